package secretsmanager_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"minato/aws"
	api "minato/aws/api/secretsmanager"
)

func TestList(t *testing.T) {
	f := setup(t)
	for i, s := range []struct{ name, description, key, value string }{
		{"prod/db", "The main Database of sales", "team", "blue"}, {"prod/api", "", "team", "green"}, {"dev/db", "main toy", "Owner", "blue"}, {"plain", "", "", ""},
	} {
		in := &api.CreateSecretInput{Name: &s.name, Description: &s.description, SecretString: aws.Ptr("value of " + s.name), ClientRequestToken: token(i)}
		if s.key != "" {
			in.Tags = []api.Tag{{Key: &s.key, Value: &s.value}}
		}
		if _, err := f.CreateSecret(f.ctx, in); err != nil {
			t.Fatal(err)
		}
		f.clock.Advance(time.Minute)
	}
	filter := func(key string, values ...string) api.Filter { return api.Filter{Key: &key, Values: values} }
	for _, c := range []struct {
		filters []api.Filter
		want    string
	}{
		{nil, "dev/db plain prod/api prod/db"},
		{[]api.Filter{filter("name", "prod/")}, "prod/api prod/db"},
		{[]api.Filter{filter("name", "Prod/")}, ""},
		{[]api.Filter{filter("name", "!prod/")}, "dev/db plain"},
		{[]api.Filter{filter("name", "prod/", "dev/")}, "dev/db prod/api prod/db"},
		{[]api.Filter{filter("name", "prod/", "!prod/a")}, "prod/db"},
		{[]api.Filter{filter("name", "prod/"), filter("tag-value", "blue")}, "prod/db"},
		{[]api.Filter{filter("description", "MAIN")}, "dev/db prod/db"},
		{[]api.Filter{filter("description", "data")}, "prod/db"},
		{[]api.Filter{filter("tag-key", "team")}, "prod/api prod/db"},
		{[]api.Filter{filter("tag-key", "owner")}, ""},
		{[]api.Filter{filter("all", "toy")}, "dev/db"},
		{[]api.Filter{filter("all", "green")}, "prod/api"},
		{[]api.Filter{filter("primary-region", "us-east")}, "dev/db plain prod/api prod/db"},
		{[]api.Filter{filter("owning-service", "rds")}, ""},
	} {
		var got, batch []string
		in := &api.ListSecretsInput{Filters: c.filters, MaxResults: aws.Ptr[int32](1), SortBy: aws.Ptr("name"), SortOrder: aws.Ptr("asc")}
		for {
			out, err := f.ListSecrets(f.ctx, in)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range out.SecretList {
				got = append(got, *s.Name)
			}
			if in.NextToken = out.NextToken; in.NextToken == nil {
				break
			}
		}
		want(t, strings.Join(got, " "), c.want)
		if len(c.filters) == 0 {
			continue
		}
		out, err := f.BatchGetSecretValue(f.ctx, &api.BatchGetSecretValueInput{Filters: c.filters})
		if err != nil || len(out.Errors) > 0 {
			t.Fatal(out, err)
		}
		for _, v := range out.SecretValues {
			want(t, *v.SecretString, "value of "+*v.Name)
			batch = append(batch, *v.Name)
		}
		slices.Sort(batch)
		want(t, strings.Join(batch, " "), c.want)
	}
	out, err := f.ListSecrets(f.ctx, &api.ListSecretsInput{})
	if err != nil || *out.SecretList[0].Name != "plain" {
		t.Errorf("the newest is first: %v %v", out, err)
	}
}

// TestRights: who may what is decided on the secret's ARN, its tags and policy.
func TestRights(t *testing.T) {
	allow := func(action, resource, condition string) string {
		if condition != "" {
			condition = `,"Condition":` + condition
		}
		return fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":%q,"Resource":%q%s}}`, action, resource, condition)
	}
	const secret = "arn:aws:secretsmanager:us-east-1:000000000000:secret:"
	for name, c := range map[string]struct {
		identity, resource string
		want               string // "" means the value
	}{
		"by wildcard":     {identity: allow("secretsmanager:GetSecretValue", secret+"prod/*", "")},
		"by ??????":       {identity: allow("secretsmanager:GetSecretValue", secret+"prod/db-??????", "")},
		"by the name":     {identity: allow("secretsmanager:GetSecretValue", secret+"prod/db", ""), want: "AccessDeniedException: User: arn:aws:iam::000000000000:user/me is not authorized to perform: secretsmanager:GetSecretValue on resource: " + secret + "prod/db-"},
		"another action":  {identity: allow("secretsmanager:DescribeSecret", "*", ""), want: "AccessDeniedException"},
		"by tag":          {identity: allow("secretsmanager:GetSecretValue", "*", `{"StringEquals":{"secretsmanager:ResourceTag/team":"blue"}}`)},
		"by another tag":  {identity: allow("secretsmanager:GetSecretValue", "*", `{"StringEquals":{"aws:ResourceTag/team":"red"}}`), want: "AccessDeniedException"},
		"by the label":    {identity: allow("secretsmanager:GetSecretValue", "*", `{"StringEquals":{"secretsmanager:VersionStage":"AWSCURRENT"}}`), want: "AccessDeniedException"},
		"by its policy":   {resource: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::000000000000:user/me"},"Action":"secretsmanager:GetSecretValue","Resource":"*"}}`},
		"its policy deny": {identity: all, resource: `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"secretsmanager:GetSecretValue","Resource":"*"}}`, want: "AccessDeniedException: User: arn:aws:iam::000000000000:user/me is not authorized to perform: secretsmanager:GetSecretValue on resource: " + secret + "prod/db-"},
	} {
		t.Run(name, func(t *testing.T) {
			f := setup(t)
			_, err := f.CreateSecret(f.ctx, &api.CreateSecretInput{Name: aws.Ptr("prod/db"), SecretString: aws.Ptr("value"), ClientRequestToken: token(1), Tags: []api.Tag{{Key: aws.Ptr("team"), Value: aws.Ptr("blue")}}})
			if err != nil {
				t.Fatal(err)
			}
			if c.resource != "" {
				if _, err := f.PutResourcePolicy(f.ctx, &api.PutResourcePolicyInput{SecretId: aws.Ptr("prod/db"), ResourcePolicy: &c.resource}); err != nil {
					t.Fatal(err)
				}
			}
			f.iam.identity = c.identity
			got := f.value("prod/db")
			if c.want == "" {
				want(t, got, "value")
			} else if !strings.HasPrefix(got, c.want) {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	f := setup(t)
	f.iam.identity = allow("secretsmanager:CreateSecret", secret+"dev/db-??????", "")
	f.create("dev/db", "x")
	_, err := f.CreateSecret(f.ctx, &api.CreateSecretInput{Name: aws.Ptr("prod/db")})
	wantError(t, err, "AccessDeniedException: User: arn:aws:iam::000000000000:user/me is not authorized to perform: secretsmanager:CreateSecret on resource: prod/db because no identity-based policy allows the secretsmanager:CreateSecret action")
	_, err = f.CreateSecret(f.ctx, &api.CreateSecretInput{Name: aws.Ptr("dev/db"), Tags: []api.Tag{{Key: aws.Ptr("a")}}})
	wantError(t, err, "AccessDeniedException: User: arn:aws:iam::000000000000:user/me is not authorized to perform: secretsmanager:TagResource")

	// A batch has what may be read, and says what may not.
	f.iam.identity = all
	f.create("prod/db", "y")
	f.iam.identity = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"secretsmanager:BatchGetSecretValue","Resource":"*"},{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"arn:aws:secretsmanager:*:*:secret:prod/*"}]}`
	out, err := f.BatchGetSecretValue(f.ctx, &api.BatchGetSecretValueInput{SecretIdList: []string{"prod/db", "dev/db"}})
	if err != nil || len(out.SecretValues) != 1 || len(out.Errors) != 1 || *out.Errors[0].ErrorCode != "AccessDeniedException" || *out.Errors[0].SecretId != "dev/db" {
		t.Errorf("the batch: %+v %v", out, err)
	}
}

func TestRandomPassword(t *testing.T) {
	f := setup(t)
	types := []string{"abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", " "}
	rapid.Check(t, func(rt *rapid.T) {
		in := &api.GetRandomPasswordInput{}
		flag := func(name string) *bool {
			if rapid.Bool().Draw(rt, name+" given") {
				return aws.Ptr(rapid.Bool().Draw(rt, name))
			}
			return nil
		}
		in.ExcludeLowercase, in.ExcludeUppercase, in.ExcludeNumbers, in.ExcludePunctuation = flag("lower"), flag("upper"), flag("numbers"), flag("punctuation")
		in.IncludeSpace, in.RequireEachIncludedType = flag("space"), flag("each")
		in.PasswordLength = aws.Ptr(rapid.Int64Range(1, 300).Draw(rt, "length"))
		in.ExcludeCharacters = aws.Ptr(rapid.StringOfN(rapid.RuneFrom([]rune(strings.Join(types, ""))), 0, 20, -1).Draw(rt, "without"))
		var included []string
		for i, without := range []bool{aws.Val(in.ExcludeLowercase), aws.Val(in.ExcludeUppercase), aws.Val(in.ExcludeNumbers), aws.Val(in.ExcludePunctuation), !aws.Val(in.IncludeSpace)} {
			left := strings.Map(func(r rune) rune {
				if strings.ContainsRune(*in.ExcludeCharacters, r) {
					return -1
				}
				return r
			}, types[i])
			if !without && left != "" {
				included = append(included, left)
			}
		}
		each := in.RequireEachIncludedType == nil || *in.RequireEachIncludedType
		out, err := f.GetRandomPassword(f.ctx, in)
		if len(included) == 0 || each && int(*in.PasswordLength) < len(included) {
			if !aws.IsCode(err, "InvalidParameterException") {
				rt.Fatalf("answered %v", err)
			}
			return
		}
		if err != nil {
			rt.Fatal(err)
		}
		p := *out.RandomPassword
		if len(p) != int(*in.PasswordLength) {
			rt.Fatalf("%d characters", len(p))
		}
		if rest := strings.Trim(p, strings.Join(included, "")); rest != "" {
			rt.Fatalf("%q holds %q", p, rest)
		}
		for _, kind := range included {
			if each && !strings.ContainsAny(p, kind) {
				rt.Fatalf("%q holds none of %q", p, kind)
			}
		}
	})
	out, err := f.GetRandomPassword(f.ctx, &api.GetRandomPasswordInput{})
	if err != nil || len(*out.RandomPassword) != 32 {
		t.Errorf("%v %v", out, err)
	}
}
