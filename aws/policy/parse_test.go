package policy

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"minato/aws"
)

func TestMalformed(t *testing.T) {
	wrap := func(statement string) string { return `{"Version":"2012-10-17","Statement":` + statement + `}` }
	for _, c := range []struct {
		kind       Kind
		text, want string
	}{
		{Identity, `{`, "Syntax errors in policy."},
		{Identity, `[]`, "Syntax errors in policy."},
		{Identity, `{"Version":"2012-10-17"}`, "Syntax errors in policy."},
		{Identity, `{"Version":"2012-10-17","Statement":[]}`, "Syntax errors in policy."},
		{Identity, `{"Version":"2013-01-01","Statement":` + allowAll + `}`, "Syntax errors in policy."},
		{Identity, `{"Version":"2012-10-17","Statement":` + allowAll + `} x`, "Syntax errors in policy."},
		{Identity, `{"Version":"2012-10-17","Bogus":1,"Statement":` + allowAll + `}`, "Syntax errors in policy."},
		{Identity, wrap(`{"Effect":"allow","Action":"*","Resource":"*"}`), "Syntax errors in policy."},
		{Identity, wrap(`{"Effect":"Allow","Resource":"*"}`), "Policy statement must contain actions."},
		{Identity, wrap(`{"Effect":"Allow","Action":[],"Resource":"*"}`), "Policy statement must contain actions."},
		{Identity, wrap(`{"Effect":"Allow","Action":"*"}`), "Policy statement must contain resources."},
		{Identity, wrap(`{"Effect":"Allow","Action":"*","NotAction":"*","Resource":"*"}`), "Syntax errors in policy."},
		{Identity, wrap(`{"Effect":"Allow","Action":"RunTask","Resource":"*"}`), "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."},
		{Identity, wrap(`{"Effect":"Allow","Action":"ecs:Run:Task","Resource":"*"}`), "Actions/Condition can contain only one colon."},
		{Identity, wrap(`{"Effect":"Allow","Action":"e*s:x","Resource":"*"}`), "Vendor e*s is not valid"},
		{Identity, wrap(`{"Effect":"Allow","Action":"*","Resource":"chat"}`), `Resource chat must be in ARN format or "*".`},
		{Identity, wrap(`{"Effect":"Allow","Action":"*","Resource":"*","Principal":"*"}`), "Policy document should not specify a principal."},
		{Identity, wrap(`{"Sid":"a b","Effect":"Allow","Action":"*","Resource":"*"}`), "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*"},
		{Identity, wrap(`[{"Sid":"a","Effect":"Allow","Action":"*","Resource":"*"},{"Sid":"a","Effect":"Allow","Action":"*","Resource":"*"}]`), "Statement IDs (SID) in a single policy must be unique."},
		{Identity, wrap(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringSame":{"aws:username":"a"}}}`), "Syntax errors in policy."},
		{Identity, wrap(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:CurrentTime":"tomorrow"}}}`), "Syntax errors in policy."},
		{Trust, `{`, "This policy contains invalid Json"},
		{Trust, wrap(`{"Effect":"Allow","Action":"sts:AssumeRole"}`), "Missing required field Principal"},
		{Trust, wrap(`{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"*"},"Resource":"*"}`), "Has prohibited field Resource"},
		{Trust, wrap(`{"Effect":"Allow","Action":"ecs:RunTask","Principal":{"AWS":"*"}}`), "AssumeRole policy may only specify STS AssumeRole actions."},
		{Trust, wrap(`{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"learner"}}`), `Invalid principal in policy: "AWS":"learner"`},
		{Trust, wrap(`{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Service":"ecs-tasks"}}`), `Invalid principal in policy: "SERVICE":"ecs-tasks"`},
		{Trust, wrap(`{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Bogus":"a"}}`), "Syntax errors in policy."},
	} {
		_, err := Parse(c.text, c.kind)
		var e *aws.Error
		if !errors.As(err, &e) || e.Code != "MalformedPolicyDocument" || e.Message != c.want {
			t.Errorf("%s\n got %v\nwant %s", c.text, err, c.want)
		}
	}
}

func TestAccepted(t *testing.T) {
	for _, c := range []struct {
		kind Kind
		text string
	}{
		{Trust, `{"Version":"2008-10-17","Statement":[{"Sid":"a.b","Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:AssumeRole"}]}`},
		{Trust, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["000000000000","arn:aws:iam::000000000000:root"],"Federated":"cognito-identity.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession"]}]}`},
		{Resource, `{"Version":"2008-10-17","Id":"x","Statement":{"Sid":"allow pull","Effect":"Allow","Principal":"*","Action":"ecr:*"}}`},
		{Identity, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":["arn:aws:s3:::*","arn:aws:s3:*"]}}`},
	} {
		if _, err := Parse(c.text, c.kind); err != nil {
			t.Errorf("%s: %v", c.text, err)
		}
	}
}

// Policies within a role may be of the older version, in which a variable is
// plain text; managed ones may not.
func TestVersions(t *testing.T) {
	const old = `{"Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/${aws:username}"}}`
	p, err := Parse(old, Identity)
	if err != nil {
		t.Fatal(err)
	}
	set := &Set{Identity: []Named{{Policy: p}}}
	for resource, want := range map[string]bool{"arn:aws:s3:::b/learner": false, "arn:aws:s3:::b/${aws:username}": true} {
		request := &Request{Action: "s3:GetObject", Resource: resource, Lookup: keysOf(map[string][]string{"aws:username": {"learner"}})}
		if got := Evaluate(set, request).Allowed; got != want {
			t.Errorf("a document of 2008 on %s: allowed %v", resource, got)
		}
	}
	_, err = ParseManaged(old)
	var e *aws.Error
	if !errors.As(err, &e) || e.Code != "MalformedPolicyDocument" || e.Message != "Policy document must be version 2012-10-17 or greater." {
		t.Errorf("a managed policy without Version: %v", err)
	}
	if _, err := ParseManaged(`{"Version":"2012-10-17","Statement":` + allowAll + `}`); err != nil {
		t.Error(err)
	}
}

// naive is the obvious matcher: exponential, but short enough to trust.
func naive(pattern, s []rune) bool {
	if len(pattern) == 0 {
		return len(s) == 0
	}
	switch pattern[0] {
	case '*':
		return naive(pattern[1:], s) || (len(s) > 0 && naive(pattern, s[1:]))
	case '?':
		return len(s) > 0 && naive(pattern[1:], s[1:])
	}
	return len(s) > 0 && s[0] == pattern[0] && naive(pattern[1:], s[1:])
}

func TestGlobMatchesLikeTheNaiveMatcher(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringOfN(rapid.RuneFrom([]rune("ab:港*?")), 0, 12, -1).Draw(t, "pattern")
		s := rapid.StringOfN(rapid.RuneFrom([]rune("ab:港")), 0, 12, -1).Draw(t, "s")
		g := compileGlob(pattern, globOptions{wildcards: true})
		if got, want := g.match(s, nil), naive([]rune(pattern), []rune(s)); got != want {
			t.Fatalf("%q on %q: %v", pattern, s, got)
		}
	})
}

// A Deny can only take away, an Allow only give, and the order of statements
// and policies says nothing.
func TestDecisionProperties(t *testing.T) {
	effects := rapid.SampledFrom([]string{"Allow", "Deny"})
	actions := rapid.SampledFrom([]string{"*", "ecs:*", "ecs:RunTask", "ecs:Run*", "s3:*", "ecs:StopTask"})
	resources := rapid.SampledFrom([]string{"*", "arn:aws:ecs:*:*:task/*", "arn:aws:ecs:us-east-1:000000000000:task/c/1"})
	statement := rapid.Custom(func(t *rapid.T) string {
		return `{"Effect":"` + effects.Draw(t, "effect") + `","Action":"` + actions.Draw(t, "action") + `","Resource":"` + resources.Draw(t, "resource") + `"}`
	})
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(statement, 1, 6).Draw(t, "statements")
		request := &Request{Action: rapid.SampledFrom([]string{"ecs:RunTask", "ecs:StopTask", "s3:GetObject"}).Draw(t, "action"), Resource: "arn:aws:ecs:us-east-1:000000000000:task/c/1"}
		decide := func(list ...string) Decision {
			p, err := Parse(`{"Version":"2012-10-17","Statement":[`+strings.Join(list, ",")+`]}`, Identity)
			if err != nil {
				t.Fatal(err)
			}
			return Evaluate(&Set{Identity: []Named{{"p", p}}}, request)
		}
		d := decide(list...)
		if decide(rapid.Permutation(list).Draw(t, "order")...).Allowed != d.Allowed {
			t.Fatal("the order of statements counts")
		}
		if d.Allowed && decide(append(list, `{"Effect":"Deny","Action":"*","Resource":"*"}`)...).Allowed {
			t.Fatal("a deny of everything does not deny")
		}
		if !d.Explicit && !decide(append(list, allowAll)...).Allowed {
			t.Fatal("an allow of everything does not allow")
		}
		if d.Allowed != (d.Policy != "" && !d.Explicit) {
			t.Fatalf("the decision does not name its policy: %+v", d)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(`{"Version":"2012-10-17","Statement":`+ownUser+`}`, "ecs:RunTask", "*")
	f.Add(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","NotAction":"a:*","NotResource":"*","Condition":{"Null":{"a:b":"true"}}}]}`, "a:b", "arn:")
	f.Fuzz(func(t *testing.T, text, action, resource string) {
		for _, kind := range []Kind{Identity, Resource, Trust} {
			p, err := Parse(text, kind)
			if err != nil {
				if aws.AsError(err).Code != "MalformedPolicyDocument" {
					t.Fatalf("%v", err)
				}
				continue
			}
			Evaluate(&Set{Identity: []Named{{"p", p}}}, &Request{Action: action, Resource: resource})
		}
	})
}

// FuzzCondition: any operator with any key and values, asked about any value,
// allows, denies or is refused, and does not take for ever.
func FuzzCondition(f *testing.F) {
	f.Add("StringLike", "aws:PrincipalArn", "arn:*:${aws:username}", "arn:aws:iam::1:user/me")
	f.Add("ForAllValues:NumericLessThanEqualsIfExists", "s3:max-keys", "1e3", "12")
	f.Add("DateGreaterThan", "aws:CurrentTime", "2026-11-30T00:00:00Z", "1795996800")
	f.Add("NotIpAddress", "aws:SourceIp", "10.0.0.0/8", "::ffff:10.0.0.1")
	f.Add("StringNotLike", "a:b", "${a:b}*${*}?${$}", "****")
	f.Fuzz(func(t *testing.T, operator, key, value, have string) {
		quote := func(s string) string { b, _ := json.Marshal(s); return string(b) }
		text := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{` + quote(operator) + `:{` + quote(key) + `:[` + quote(value) + `]}}}}`
		p, err := Parse(text, Identity)
		if err != nil {
			if aws.AsError(err).Code != "MalformedPolicyDocument" {
				t.Fatalf("%v", err)
			}
			return
		}
		for _, lookup := range []func(string) ([]string, bool){
			nil,
			func(string) ([]string, bool) { return []string{have}, true },
			func(string) ([]string, bool) { return []string{have, ""}, true },
			func(string) ([]string, bool) { return nil, true },
		} {
			r := &Request{Action: "ecs:RunTask", Resource: "*", Lookup: lookup}
			d, again := Evaluate(&Set{Identity: []Named{{"p", p}}}, r), Evaluate(&Set{Identity: []Named{{"p", p}}}, r)
			if d != again || d.Explicit {
				t.Fatalf("%+v, then %+v", d, again)
			}
		}
	})
}
