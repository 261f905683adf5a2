package ssm_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	secretsapi "minato/aws/api/secretsmanager"
	api "minato/aws/api/ssm"
	"minato/aws/identity"
	"minato/aws/validate"
	"minato/gateway"
	"minato/internal/clock"
	"minato/internal/seal"
	"minato/services/ssm"
	"minato/store"
	"minato/store/memstore"
)

// iam allows everything but what it is told, and keeps what was asked.
type iam struct {
	deny  string // an action on a resource
	mu    sync.Mutex
	asked []string
}

func (i *iam) Authorize(_ context.Context, _ identity.Caller, c gateway.Check) error {
	i.mu.Lock()
	i.asked = append(i.asked, c.Action+" "+c.Resource)
	i.mu.Unlock()
	if i.deny == c.Action+" "+c.Resource {
		return aws.Errorf("AccessDeniedException", "not authorized to perform: %s on resource: %s", c.Action, c.Resource)
	}
	return nil
}

// outside are the services that ssm asks.
type outside struct {
	asked []secretsapi.GetSecretValueInput
}

func (o *outside) GetSecretValue(_ context.Context, in *secretsapi.GetSecretValueInput) (*secretsapi.GetSecretValueOutput, error) {
	o.asked = append(o.asked, *in)
	switch *in.SecretId {
	case "db":
		return &secretsapi.GetSecretValueOutput{ARN: aws.Ptr("arn:db"), Name: in.SecretId, SecretString: aws.Ptr("secret"), VersionId: aws.Ptr("v1"), CreatedDate: &start}, nil
	case "denied":
		return nil, aws.Errorf("AccessDeniedException", "no")
	}
	return nil, secretsapi.ResourceNotFoundException("Secrets Manager can't find the specified secret.")
}

func (o *outside) DescribeImages(context.Context, *ec2api.DescribeImagesInput) (*ec2api.DescribeImagesOutput, error) {
	return &ec2api.DescribeImagesOutput{Images: []ec2api.Image{{ImageId: aws.Ptr("ami-0123456789abcdef0")}}}, nil
}

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

type fixture struct {
	*api.Client
	t       *testing.T
	ctx     context.Context
	clock   *clock.Fake
	store   store.Store
	iam     *iam
	outside *outside
}

func setup(t *testing.T) *fixture {
	t.Helper()
	key, err := seal.New(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, clock: clock.NewFake(start), store: memstore.New(), iam: &iam{}, outside: &outside{}}
	g := gateway.New(gateway.Options{Account: "000000000000", Region: "us-east-1", Clock: clock.Real(1), Authorizer: f.iam, Validate: validate.Input})
	g.Register(ssm.New(ssm.Deps{Store: f.store, Clock: f.clock, Seal: key, Secrets: f.outside, EC2: f.outside}).Registration())
	f.Client = api.NewClient(g)
	f.ctx = identity.With(t.Context(), identity.Caller{Kind: identity.User, Account: "000000000000", Region: "us-east-1", Partition: "aws", ARN: "arn:aws:iam::000000000000:user/me"})
	return f
}

// put writes a parameter, over what is there.
func (f *fixture) put(name, kind, value string, change ...func(*api.PutParameterInput)) error {
	in := &api.PutParameterInput{Name: &name, Value: &value, Overwrite: aws.Ptr(true)}
	if kind != "" {
		in.Type = &kind
	}
	for _, c := range change {
		c(in)
	}
	_, err := f.PutParameter(f.ctx, in)
	return err
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// get is a parameter's value, or the error.
func (f *fixture) get(name string) string {
	out, err := f.GetParameter(f.ctx, &api.GetParameterInput{Name: &name, WithDecryption: aws.Ptr(true)})
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%s %s v%d", *out.Parameter.Type, *out.Parameter.Value, *out.Parameter.Version)
}

func want(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestVersions(t *testing.T) {
	f := setup(t)
	f.must(f.put("/prod/host", "String", "a"))
	f.must(f.put("/prod/host", "", "b"))
	f.must(f.put("/prod/host", "", "c"))
	want(t, f.get("/prod/host"), "String c v3")
	want(t, f.get("/prod/host:1"), "String a v1")
	want(t, f.get("arn:aws:ssm:us-east-1:000000000000:parameter/prod/host"), "String c v3")
	want(t, f.get("arn:aws:ssm:us-east-1:000000000000:parameter/prod/host:2"), "String b v2")
	want(t, f.get("/prod/host:9"), "ParameterVersionNotFound: Systems Manager could not find version 9 of /prod/host. Verify the version and try again.")
	want(t, f.get("/prod/other"), "ParameterNotFound: Parameter /prod/other not found.")
	_, err := f.PutParameter(f.ctx, &api.PutParameterInput{Name: aws.Ptr("/prod/host"), Type: aws.Ptr("String"), Value: aws.Ptr("x")})
	wantError(t, err, "ParameterAlreadyExists: The parameter already exists. To overwrite this value, set the overwrite option in the request to true.")

	label := func(n int64, labels ...string) (*api.LabelParameterVersionOutput, error) {
		return f.LabelParameterVersion(f.ctx, &api.LabelParameterVersionInput{Name: aws.Ptr("/prod/host"), ParameterVersion: &n, Labels: labels})
	}
	out, err := label(1, "live", "1st", "aws-x", "SSM", "a b", "ok.-_1")
	f.must(err)
	want(t, fmt.Sprint(out.InvalidLabels), "[1st aws-x SSM a b]")
	want(t, f.get("/prod/host:live"), "String a v1")
	_, err = label(2, "live")
	f.must(err)
	want(t, f.get("/prod/host:live"), "String b v2")
	_, err = label(9, "x")
	wantError(t, err, "ParameterVersionNotFound: Systems Manager could not find version 9 of /prod/host. Verify the version and try again.")
	_, err = label(3, "a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9")
	f.must(err)
	_, err = label(3, "a10")
	wantError(t, err, "ParameterVersionLabelLimitExceeded: A parameter version can have maximum 10 labels.Move one or more labels to another version and try again.")
	un, err := f.UnlabelParameterVersion(f.ctx, &api.UnlabelParameterVersionInput{Name: aws.Ptr("/prod/host"), ParameterVersion: aws.Ptr[int64](2), Labels: []string{"live", "ok.-_1"}})
	f.must(err)
	want(t, fmt.Sprint(un.RemovedLabels, un.InvalidLabels), "[live] [ok.-_1]")

	var history []string
	in := &api.GetParameterHistoryInput{Name: aws.Ptr("/prod/host"), MaxResults: aws.Ptr[int32](2)}
	for {
		h, err := f.GetParameterHistory(f.ctx, in)
		f.must(err)
		for _, v := range h.Parameters {
			history = append(history, fmt.Sprintf("%d %s %d", *v.Version, *v.Value, len(v.Labels)))
		}
		if in.NextToken = h.NextToken; in.NextToken == nil {
			break
		}
	}
	want(t, strings.Join(history, ", "), "1 a 1, 2 b 0, 3 c 10")

	// Made again it has no history.
	_, err = f.DeleteParameter(f.ctx, &api.DeleteParameterInput{Name: aws.Ptr("/prod/host")})
	f.must(err)
	recs, _, _ := f.store.List(f.ctx, "ssm/", store.Page{})
	want(t, fmt.Sprint(len(recs)), "0")
	_, err = f.DeleteParameter(f.ctx, &api.DeleteParameterInput{Name: aws.Ptr("/prod/host")})
	wantError(t, err, "ParameterNotFound: ")
	f.must(f.put("/prod/host", "String", "new"))
	want(t, f.get("/prod/host"), "String new v1")
	want(t, f.get("/prod/host:2"), "ParameterVersionNotFound: Systems Manager could not find version 2 of /prod/host. Verify the version and try again.")
}

// TestHundredVersions: the oldest goes, unless it has a label; all go together.
func TestHundredVersions(t *testing.T) {
	f := setup(t)
	for i := range 101 {
		f.must(f.put("x", "String", fmt.Sprint(i)))
	}
	want(t, f.get("x:2"), "String 1 v2")
	want(t, f.get("x:1"), "ParameterVersionNotFound: Systems Manager could not find version 1 of x. Verify the version and try again.")
	_, err := f.LabelParameterVersion(f.ctx, &api.LabelParameterVersionInput{Name: aws.Ptr("x"), ParameterVersion: aws.Ptr[int64](2), Labels: []string{"keep"}})
	f.must(err)
	wantError(t, f.put("x", "", "new"), "ParameterMaxVersionLimitExceeded: You attempted to create a new version of x by calling the PutParameter API with the overwrite flag. Version 2, the oldest version, can't be deleted because it has a label associated with it. Move the label to another version of the parameter, and try again.")
	_, err = f.DeleteParameters(f.ctx, &api.DeleteParametersInput{Names: []string{"x"}})
	f.must(err)
	recs, _, _ := f.store.List(f.ctx, "ssm/", store.Page{})
	want(t, fmt.Sprint(len(recs)), "0")
}

// TestParallelPuts: every put is a version of its own.
func TestParallelPuts(t *testing.T) {
	f := setup(t)
	var wg sync.WaitGroup
	var seen sync.Map
	for i := range 40 {
		wg.Go(func() {
			out, err := f.PutParameter(identity.With(context.Background(), identity.From(f.ctx)), &api.PutParameterInput{Name: aws.Ptr("x"), Type: aws.Ptr("String"), Value: aws.Ptr(fmt.Sprint(i)), Overwrite: aws.Ptr(true)})
			if err != nil {
				t.Error(err)
			} else if _, twice := seen.LoadOrStore(*out.Version, true); twice {
				t.Errorf("version %d was given twice", *out.Version)
			}
		})
	}
	wg.Wait()
	if got := f.get("x"); !strings.HasSuffix(got, " v40") {
		t.Error(got)
	}
}

func TestPutRefusals(t *testing.T) {
	f := setup(t)
	f.must(f.put("large", "String", strings.Repeat("x", 5000), func(in *api.PutParameterInput) { in.Tier = aws.Ptr("Intelligent-Tiering") }))
	set := func(g func(*api.PutParameterInput)) func(*api.PutParameterInput) { return g }
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"no type":       {f.put("new", "", "x"), "ValidationException: A parameter type is required when you create a parameter."},
		"empty":         {f.put("new", "String", ""), "ValidationException: 1 validation error detected: Value '' at 'value'"},
		"too long":      {f.put("new", "String", strings.Repeat("x", 4097)), "ValidationException: Standard tier parameters support a maximum parameter value of 4096 characters. To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier."},
		"much too long": {f.put("new", "String", strings.Repeat("x", 8193), set(func(in *api.PutParameterInput) { in.Tier = aws.Ptr("Advanced") })), "ValidationException: Advanced tier parameters support a maximum parameter value of 8192 characters."},
		"downgrade":     {f.put("large", "", "x", set(func(in *api.PutParameterInput) { in.Tier = aws.Ptr("Standard") })), "ValidationException: This parameter uses the advanced-parameter tier. You can't downgrade"},
		"pattern":       {f.put("new", "String", "abc", set(func(in *api.PutParameterInput) { in.AllowedPattern = aws.Ptr(`^\d+$`) })), `ParameterPatternMismatchException: Parameter value, cannot be validated against allowedPattern: ^\d+$`},
		"bad pattern":   {f.put("new", "String", "abc", set(func(in *api.PutParameterInput) { in.AllowedPattern = aws.Ptr(`(`) })), "InvalidAllowedPatternException"},
		"list pattern":  {f.put("new", "StringList", "1,2,x", set(func(in *api.PutParameterInput) { in.AllowedPattern = aws.Ptr(`^\d+$`) })), "ParameterPatternMismatchException"},
		"tags, over": {f.put("new", "String", "x", set(func(in *api.PutParameterInput) {
			in.Tags = []api.Tag{{Key: aws.Ptr("a"), Value: aws.Ptr("b")}}
		})), "ValidationException: Invalid request: tags and overwrite can't be used together."},
		"key":       {f.put("new", "SecureString", "x", set(func(in *api.PutParameterInput) { in.KeyId = aws.Ptr("alias/mine") })), "InvalidKeyId: Invalid keyId alias/mine"},
		"data type": {f.put("new", "String", "x", set(func(in *api.PutParameterInput) { in.DataType = aws.Ptr("Text") })), "ValidationException: The following data type is not supported: Text (Data type names are all lowercase.)"},
		"image":     {f.put("new", "String", "x", set(func(in *api.PutParameterInput) { in.DataType = aws.Ptr("aws:ec2:image") })), "ValidationException: Parameter value"},
		"policies":  {f.put("new", "String", "x", set(func(in *api.PutParameterInput) { in.Policies = aws.Ptr(`[{"Type":"Expiration"}]`) })), "InvalidPolicyTypeException"},
		"nested":    {f.put("new", "String", "{{resolve:ssm:x}}"), "ValidationException: "},
		"type":      {f.put("new", "Strange", "x"), "ValidationException: 1 validation error detected: Value 'Strange' at 'type' failed to satisfy constraint: Member must satisfy enum value set: [String, StringList, SecureString]"},
	} {
		t.Run(name, func(t *testing.T) { wantError(t, c.err, c.want) })
	}
	f.must(f.put("large", "", "x")) // stays what it was
	out, err := f.DescribeParameters(f.ctx, &api.DescribeParametersInput{})
	if err != nil || len(out.Parameters) != 1 || *out.Parameters[0].Tier != "Advanced" {
		t.Errorf("%v %v", out, err)
	}
}

// TestSecureString: the value is seen only by who asks for it decrypted, and
// never in the store.
func TestSecureString(t *testing.T) {
	f := setup(t)
	f.must(f.put("/prod/password", "SecureString", "correct horse"))
	want(t, f.get("/prod/password"), "SecureString correct horse v1")
	out, err := f.GetParameter(f.ctx, &api.GetParameterInput{Name: aws.Ptr("/prod/password")})
	f.must(err)
	if strings.Contains(*out.Parameter.Value, "horse") || len(*out.Parameter.Value) < 20 {
		t.Errorf("the encrypted value is %s", *out.Parameter.Value)
	}
	h, err := f.GetParameterHistory(f.ctx, &api.GetParameterHistoryInput{Name: aws.Ptr("/prod/password"), WithDecryption: aws.Ptr(true)})
	f.must(err)
	want(t, *h.Parameters[0].Value+" "+*h.Parameters[0].KeyId, "correct horse alias/aws/ssm")
	recs, _, _ := f.store.List(f.ctx, "", store.Page{})
	for _, r := range recs {
		if bytes.Contains(r.Value, []byte("horse")) || bytes.Contains(r.Value, []byte("Y29ycmVjdCBob3JzZ")) {
			t.Errorf("%s holds the value", r.Key)
		}
	}
}

func TestLists(t *testing.T) {
	f := setup(t)
	for _, name := range []string{"/prod/db/host", "/prod/db/port", "/prod/api", "/prod", "/production/x", "root"} {
		kind := "String"
		if strings.HasSuffix(name, "port") {
			kind = "SecureString"
		}
		f.must(f.put(name, kind, "v"))
	}
	_, err := f.AddTagsToResource(f.ctx, &api.AddTagsToResourceInput{ResourceType: aws.Ptr("Parameter"), ResourceId: aws.Ptr("/prod/api"), Tags: []api.Tag{{Key: aws.Ptr("team"), Value: aws.Ptr("blue")}}})
	f.must(err)
	_, err = f.LabelParameterVersion(f.ctx, &api.LabelParameterVersionInput{Name: aws.Ptr("/prod/api"), Labels: []string{"live"}})
	f.must(err)
	f.must(f.put("/prod/api", "", "newer"))
	filter := func(key, option string, values ...string) api.ParameterStringFilter {
		f := api.ParameterStringFilter{Key: &key, Values: values}
		if option != "" {
			f.Option = &option
		}
		return f
	}
	byPath := func(path string, recursive bool, filters ...api.ParameterStringFilter) string {
		var got []string
		in := &api.GetParametersByPathInput{Path: &path, Recursive: &recursive, ParameterFilters: filters, MaxResults: aws.Ptr[int32](1)}
		for {
			out, err := f.GetParametersByPath(f.ctx, in)
			if err != nil {
				return err.Error()
			}
			for _, p := range out.Parameters {
				got = append(got, *p.Name)
			}
			if in.NextToken = out.NextToken; in.NextToken == nil {
				return strings.Join(got, " ")
			}
		}
	}
	want(t, byPath("/prod", false), "/prod/api")
	want(t, byPath("/prod/", false), "/prod/api")
	want(t, byPath("/prod", true), "/prod/api /prod/db/host /prod/db/port")
	want(t, byPath("/", true), "/prod /prod/api /prod/db/host /prod/db/port /production/x root")
	want(t, byPath("/", false), "/prod root")
	want(t, byPath("/prod", true, filter("Type", "", "SecureString")), "/prod/db/port")
	want(t, byPath("/prod", true, filter("Label", "", "live")), "/prod/api")
	want(t, byPath("/nothing", true), "")
	if got := byPath("prod", true); !strings.HasPrefix(got, `ValidationException: The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward slash "/".`) {
		t.Error(got)
	}
	want(t, byPath("/prod", true, filter("Name", "", "x")), "InvalidFilterKey: The following filter key is not valid: Name. Valid filter keys include: [Type, KeyId, Label].")
	out, err := f.GetParametersByPath(f.ctx, &api.GetParametersByPathInput{Path: aws.Ptr("/prod"), ParameterFilters: []api.ParameterStringFilter{filter("Label", "", "live")}})
	f.must(err)
	want(t, fmt.Sprint(*out.Parameters[0].Value, " v", *out.Parameters[0].Version), "v v1") // the labelled version, not the newest

	describe := func(filters ...api.ParameterStringFilter) string {
		var got []string
		in := &api.DescribeParametersInput{ParameterFilters: filters, MaxResults: aws.Ptr[int32](2)}
		for {
			out, err := f.DescribeParameters(f.ctx, in)
			if err != nil {
				return err.Error()
			}
			for _, p := range out.Parameters {
				got = append(got, *p.Name)
			}
			if in.NextToken = out.NextToken; in.NextToken == nil {
				return strings.Join(got, " ")
			}
		}
	}
	want(t, describe(), "/prod /prod/api /prod/db/host /prod/db/port /production/x root")
	want(t, describe(filter("Name", "BeginsWith", "/prod/")), "/prod/api /prod/db/host /prod/db/port")
	want(t, describe(filter("Name", "Contains", "db")), "/prod/db/host /prod/db/port")
	want(t, describe(filter("Name", "", "prod", "root")), "/prod root")
	want(t, describe(filter("Path", "", "/prod")), "/prod/api")
	want(t, describe(filter("Path", "Recursive", "/prod", "/production")), "/prod/api /prod/db/host /prod/db/port /production/x")
	want(t, describe(filter("tag:team", "", "blue")), "/prod/api")
	want(t, describe(filter("tag:team", "")), "/prod/api")
	want(t, describe(filter("tag:team", "", "red")), "")
	want(t, describe(filter("KeyId", "", "alias/aws/ssm")), "/prod/db/port")
	want(t, describe(filter("Tier", "", "Standard"), filter("Type", "", "SecureString")), "/prod/db/port")
	want(t, describe(filter("Type", "", "a"), filter("Type", "", "b")), "InvalidFilterKey: The following filter is duplicated in the request: Type. A request can contain only one occurrence of a specific filter.")
	want(t, describe(filter("Name", "Near", "a")), "InvalidFilterOption: The following filter option is not valid: Near. Valid options include: [BeginsWith, Equals, Contains].")
	want(t, describe(filter("Label", "", "a")), "InvalidFilterKey: The following filter key is not valid: Label. Valid filter keys include: [Path, Name, Type, KeyId, Tier].")
	want(t, describe(filter("Name", "")), "InvalidFilterValue: The following filter values are missing : null for filter key Name")

	many, err := f.GetParameters(f.ctx, &api.GetParametersInput{Names: []string{"/prod/api", "nowhere", "/prod/api:live", "/prod/api:9", "/prod/api"}})
	f.must(err)
	want(t, fmt.Sprint(len(many.Parameters), many.InvalidParameters), "2 [/prod/api:9 nowhere]")
	want(t, aws.Val(many.Parameters[1].Selector), ":live")
	gone, err := f.DeleteParameters(f.ctx, &api.DeleteParametersInput{Names: []string{"root", "nowhere"}})
	f.must(err)
	want(t, fmt.Sprint(gone.DeletedParameters, gone.InvalidParameters), "[root] [nowhere]")
}

func TestTags(t *testing.T) {
	f := setup(t)
	f.must(f.put("x", "String", "v"))
	kind, id := aws.Ptr("Parameter"), aws.Ptr("x")
	add := func(tags ...string) error {
		in := &api.AddTagsToResourceInput{ResourceType: kind, ResourceId: id, Tags: []api.Tag{}}
		for _, tag := range tags {
			in.Tags = append(in.Tags, api.Tag{Key: &tag, Value: aws.Ptr("v")})
		}
		_, err := f.AddTagsToResource(f.ctx, in)
		return err
	}
	f.must(add("a", "b"))
	f.must(add("b", "c"))
	_, err := f.RemoveTagsFromResource(f.ctx, &api.RemoveTagsFromResourceInput{ResourceType: kind, ResourceId: id, TagKeys: []string{"a"}})
	f.must(err)
	out, err := f.ListTagsForResource(f.ctx, &api.ListTagsForResourceInput{ResourceType: kind, ResourceId: id})
	f.must(err)
	want(t, *out.TagList[0].Key+*out.TagList[1].Key+fmt.Sprint(len(out.TagList)), "bc2")
	wantError(t, add("aws:x"), "ValidationException")
	id = aws.Ptr("nowhere")
	wantError(t, add("a"), "InvalidResourceId")
	kind = aws.Ptr("Document")
	wantError(t, add("a"), "InvalidResourceType")
}

func TestReferences(t *testing.T) {
	f := setup(t)
	want(t, f.get("/aws/reference/secretsmanager/db"), "SecureString secret v0")
	want(t, f.get("/aws/reference/secretsmanager/db:AWSPREVIOUS"), "SecureString secret v0")
	want(t, f.get("/aws/reference/secretsmanager/db:00000000-0000-0000-0000-000000000001"), "SecureString secret v0")
	want(t, aws.Val(f.outside.asked[1].VersionStage)+" "+aws.Val(f.outside.asked[2].VersionId), "AWSPREVIOUS 00000000-0000-0000-0000-000000000001")
	want(t, f.get("/aws/reference/secretsmanager/other"), "ParameterNotFound: An error occurred (ParameterNotFound) when referencing Secrets Manager: Secret /aws/reference/secretsmanager/other not found. (ResourceNotFoundException: Secrets Manager can't find the specified secret.)")
	want(t, f.get("/aws/reference/secretsmanager/denied"), "AccessDeniedException: no")
	_, err := f.GetParameter(f.ctx, &api.GetParameterInput{Name: aws.Ptr("/aws/reference/secretsmanager/db")})
	wantError(t, err, "ValidationException: WithDecryption flag must be True for retrieving a Secret Manager secret.")
	out, err := f.GetParameters(f.ctx, &api.GetParametersInput{Names: []string{"/aws/reference/secretsmanager/db", "/aws/reference/secretsmanager/other"}, WithDecryption: aws.Ptr(true)})
	f.must(err)
	want(t, fmt.Sprint(len(out.Parameters), out.InvalidParameters), "1 [/aws/reference/secretsmanager/other]")
	var about map[string]any
	f.must(json.Unmarshal([]byte(*out.Parameters[0].SourceResult), &about))
	want(t, fmt.Sprintf("%s %s %s", about["ARN"], about["name"], about["versionId"]), "arn:db db v1")
	want(t, f.get("/aws/service/cloud9/amis/amazonlinux-2023-x86_64"), "String ami-0123456789abcdef0 v1")
	want(t, f.get("/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"), "ParameterNotFound: Parameter /aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id not found.")
}

func TestRights(t *testing.T) {
	f := setup(t)
	f.must(f.put("/prod/a", "String", "v"))
	f.must(f.put("b", "String", "v"))
	f.iam.asked = nil
	f.iam.deny = "ssm:GetParameters arn:aws:ssm:us-east-1:000000000000:parameter/prod/a"
	_, err := f.GetParameters(f.ctx, &api.GetParametersInput{Names: []string{"b", "/prod/a:1"}})
	wantError(t, err, "AccessDeniedException: not authorized to perform: ssm:GetParameters on resource: arn:aws:ssm:us-east-1:000000000000:parameter/prod/a")
	_, _ = f.GetParametersByPath(f.ctx, &api.GetParametersByPathInput{Path: aws.Ptr("/prod/")})
	_, _ = f.DescribeParameters(f.ctx, &api.DescribeParametersInput{})
	_, _ = f.PutParameter(f.ctx, &api.PutParameterInput{Name: aws.Ptr("c"), Value: aws.Ptr("v"), Type: aws.Ptr("String"), Tags: []api.Tag{{Key: aws.Ptr("k"), Value: aws.Ptr("v")}}})
	const p = "arn:aws:ssm:us-east-1:000000000000:"
	want(t, strings.Join(f.iam.asked, "\n"), strings.Join([]string{
		"ssm:GetParameters " + p + "parameter/b", "ssm:GetParameters " + p + "parameter/prod/a", "ssm:GetParametersByPath " + p + "parameter/prod/", "ssm:DescribeParameters " + p + "*",
		"ssm:PutParameter " + p + "parameter/c", "ssm:AddTagsToResource " + p + "parameter/c",
	}, "\n"))
}
