package secrets_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	secretsapi "minato/aws/api/secretsmanager"
	ssmapi "minato/aws/api/ssm"
	"minato/services/ecs/failure"
	"minato/services/ecs/secrets"

	"minato/services/ecs/reach"
)

const (
	db    = "arn:aws:secretsmanager:us-east-1:000000000000:secret:db-AbCdEf"
	plain = "arn:aws:secretsmanager:us-east-1:000000000000:secret:plain-AbCdEf"
	param = "arn:aws:ssm:eu-west-1:000000000000:parameter/prod/host"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]secrets.Ref{
		"host":                         {ID: "host"},
		"/prod/host":                   {ID: "/prod/host"},
		"/prod/host:3":                 {ID: "/prod/host:3"},
		param:                          {ID: param, Region: "eu-west-1"},
		db:                             {Secret: true, ID: db, Region: "us-east-1"},
		db + ":password::":             {Secret: true, ID: db, Region: "us-east-1", JSONKey: "password"},
		db + "::AWSPREVIOUS:":          {Secret: true, ID: db, Region: "us-east-1", VersionStage: "AWSPREVIOUS"},
		db + ":::0123":                 {Secret: true, ID: db, Region: "us-east-1", VersionID: "0123"},
		db + ":password:AWSCURRENT:01": {Secret: true, ID: db, Region: "us-east-1", JSONKey: "password", VersionStage: "AWSCURRENT", VersionID: "01"},
	} {
		if got, err := secrets.Parse(text); err != nil || got != want {
			t.Errorf("%s: %+v %v", text, got, err)
		}
	}
	for _, bad := range []string{db + ":password", db + ":password:", db + ":a:b:c:d", "arn:aws:secretsmanager:us-east-1:000000000000:secret:", "arn:aws:secretsmanager:us-east-1:000000000000:db", "arn:aws:s3:::bucket", "arn:"} {
		if got, err := secrets.Parse(bad); err == nil {
			t.Errorf("%s is taken for %+v", bad, got)
		}
	}
}

// FuzzParse: what is read of a valueFrom is in it, and a secret is named by its
// ARN alone.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"host", param, db, db + ":password::", db + ":a:b:c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := secrets.Parse(text)
		if err != nil {
			return
		}
		if !r.Secret {
			if r.ID != text || r.JSONKey+r.VersionStage+r.VersionID != "" {
				t.Errorf("%q: %+v", text, r)
			}
			return
		}
		whole, err := secrets.Parse(r.ID)
		if err != nil || whole.ID != r.ID || !whole.Secret {
			t.Errorf("%q: %q does not name the secret: %v", text, r.ID, err)
		}
		if text != r.ID && text != r.ID+":"+r.JSONKey+":"+r.VersionStage+":"+r.VersionID {
			t.Errorf("%q: %+v", text, r)
		}
	})
}

// world is both services, with what they were asked.
type world struct {
	asked  []string
	broken error
}

func (w *world) GetSecretValue(_ context.Context, in *secretsapi.GetSecretValueInput) (*secretsapi.GetSecretValueOutput, error) {
	w.asked = append(w.asked, *in.SecretId+" "+aws.Val(in.VersionStage)+" "+aws.Val(in.VersionId))
	if w.broken != nil {
		return nil, w.broken
	}
	value := map[string]*string{
		db:       aws.Ptr(`{"username":"admin","password":"s3cret","port":5432,"big":12345678901,"on":true,"none":null,"deep": {"a" : 1}}`),
		plain:    aws.Ptr("hunter2"),
		"list":   aws.Ptr("[1]"),
		"empty":  aws.Ptr(`{"username":""}`),
		"binary": nil,
	}
	v, ok := value[*in.SecretId]
	if !ok {
		return nil, secretsapi.ResourceNotFoundException("Secrets Manager can't find the specified secret.")
	}
	return &secretsapi.GetSecretValueOutput{SecretString: v}, nil
}

func (w *world) GetParameters(_ context.Context, in *ssmapi.GetParametersInput) (*ssmapi.GetParametersOutput, error) {
	w.asked = append(w.asked, strings.Join(in.Names, ","))
	if w.broken != nil {
		return nil, w.broken
	}
	if in.Names[0] != "/prod/host" && in.Names[0] != param {
		return &ssmapi.GetParametersOutput{InvalidParameters: in.Names}, nil
	}
	return &ssmapi.GetParametersOutput{Parameters: []ssmapi.Parameter{{Value: aws.Ptr("db.internal")}}}, nil
}

func resolver(w *world) *secrets.Resolver {
	return &secrets.Resolver{
		Secrets: w, Parameters: w,
		As: func(ctx context.Context, _ string) (context.Context, error) { return ctx, nil },
		Reach: func(context.Context, string, string, int) (reach.Mark, error) {
			return func(ctx context.Context) context.Context { return ctx }, nil
		},
	}
}

func TestValues(t *testing.T) {
	for from, want := range map[string]string{
		"/prod/host": "db.internal", param: "db.internal", plain: "hunter2", db + ":password::": "s3cret", db + ":port:AWSPREVIOUS:": "5432",
		db + ":big::": "12345678901", db + ":on::": "true", db + ":none::": "null", db + ":deep::": `{"a":1}`,
	} {
		if got, err := resolver(&world{}).Value(t.Context(), from); err != nil || got != want {
			t.Errorf("%s: %q %v", from, got, err)
		}
	}
}

const (
	auth = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: "
	asm  = auth + "unable to retrieve secret from asm: service call has been retried "
	ssm  = auth + "unable to retrieve secrets from ssm: service call has been retried "
)

func TestFailures(t *testing.T) {
	denied := aws.Errorf("AccessDeniedException", "User: x is not authorized")
	other := "arn:aws:secretsmanager:us-east-1:000000000000:secret:other"
	for name, c := range map[string]struct {
		from   string
		broken error
		away   bool
		want   string
	}{
		"no such secret":    {from: other, want: asm + "1 time(s): failed to fetch secret " + other + " from secrets manager: ResourceNotFoundException: Secrets Manager can't find the specified secret."},
		"denied":            {from: db, broken: denied, want: asm + "1 time(s): failed to fetch secret " + db + " from secrets manager: AccessDeniedException: User: x is not authorized"},
		"no key":            {from: db + ":pass::", want: asm + "1 time(s): retrieved secret from Secrets Manager did not contain json key pass"},
		"no JSON":           {from: plain + ":pass::", want: asm + "1 time(s): invalid character 'h' looking for beginning of value"},
		"format":            {from: db + ":pass", want: asm + "1 time(s): unexpected ARN format with parameters when trying to retrieve ASM secret"},
		"no way":            {from: db, away: true, want: asm + "5 time(s): failed to fetch secret " + db + " from secrets manager: RequestCanceled: request context canceled caused by: context deadline exceeded. Please check your task network configuration."},
		"no parameter":      {from: "/prod/other", want: ssm + "1 time(s): invalid ssm parameters: /prod/other"},
		"parameter, denied": {from: "/prod/host", broken: denied, want: ssm + "1 time(s): AccessDeniedException: User: x is not authorized"},
		"parameter, no way": {from: "/prod/host", away: true, want: ssm + "5 time(s): RequestCanceled: request context canceled caused by: context deadline exceeded. Please check your task network configuration."},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{broken: c.broken}
			r := resolver(w)
			if c.away {
				r.Reach = func(context.Context, string, string, int) (reach.Mark, error) { return nil, errors.New("no route") }
			}
			_, err := r.Value(t.Context(), c.from)
			var failed *failure.Error
			if !errors.As(err, &failed) || failed.Reason != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
			if c.away && len(w.asked) > 0 {
				t.Error("a service was asked that cannot be reached")
			}
		})
	}
	// A fault of ours is no failure of the task.
	ours := aws.Internal(errors.New("the disk"))
	var failed *failure.Error
	if _, err := resolver(&world{broken: ours}).Value(t.Context(), db); err == nil || errors.As(err, &failed) {
		t.Errorf("a fault of ours: %v", err)
	}
}

// TestEnvironment: a secret that several variables are made of is asked for once.
func TestEnvironment(t *testing.T) {
	w := &world{}
	secret := func(name, from string) ecsapi.Secret { return ecsapi.Secret{Name: &name, ValueFrom: &from} }
	env, err := resolver(w).Environment(t.Context(), []ecsapi.ContainerDefinition{
		{Name: aws.Ptr("web"), Secrets: []ecsapi.Secret{secret("USER", db+":username::"), secret("PASS", db+":password::"), secret("HOST", "/prod/host")}},
		{Name: aws.Ptr("none")},
		{Name: aws.Ptr("side"), Secrets: []ecsapi.Secret{secret("ALL", plain), secret("HOST", "/prod/host"), secret("OLD", db+":port:AWSPREVIOUS:")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(env["web"], " "); got != "USER=admin PASS=s3cret HOST=db.internal" {
		t.Error(got)
	}
	if got := strings.Join(env["side"], " "); got != "ALL=hunter2 HOST=db.internal OLD=5432" || env["none"] != nil {
		t.Error(got)
	}
	if len(w.asked) != 4 {
		t.Errorf("asked %q", w.asked)
	}
	var h secrets.Held
	if _, ok := h.Get("t"); ok {
		t.Error("held before it was put")
	}
	h.Put("t", env)
	if got, ok := h.Get("t"); !ok || len(got) != 2 {
		t.Errorf("held %v", got)
	}
	h.Drop("t")
	if _, ok := h.Get("t"); ok {
		t.Error("held after it was dropped")
	}
}

func TestLogin(t *testing.T) {
	if l, err := resolver(&world{}).Login(t.Context(), db); err != nil || *l != (secrets.Login{User: "admin", Password: "s3cret"}) {
		t.Errorf("%v %v", l, err)
	}
	for from, want := range map[string]string{
		"list": "asm fetching authorization data: unable to unmarshal secret value, invalid schema", "empty": "asm fetching username: AuthorizationData is malformed, empty field",
		"binary": "asm fetching authorization data: unable to unmarshal secret value, invalid schema",
		"other":  "failed to fetch secret other from secrets manager: ResourceNotFoundException: Secrets Manager can't find the specified secret.",
	} {
		if _, err := resolver(&world{}).Login(t.Context(), from); err == nil || err.Error() != asm+"1 time(s): "+want {
			t.Errorf("%s: %v", from, err)
		}
	}
}

func TestCheck(t *testing.T) {
	role := aws.Ptr("arn:aws:iam::000000000000:role/x")
	secret := ecsapi.Secret{Name: aws.Ptr("PASS"), ValueFrom: aws.Ptr("x")}
	def := func(role *string, c ecsapi.ContainerDefinition) *ecsapi.TaskDefinition {
		c.Name = aws.Ptr("web")
		return &ecsapi.TaskDefinition{ExecutionRoleArn: role, ContainerDefinitions: []ecsapi.ContainerDefinition{c}}
	}
	login := &ecsapi.RepositoryCredentials{CredentialsParameter: aws.Ptr(db)}
	for name, c := range map[string]struct {
		d    *ecsapi.TaskDefinition
		want string
	}{
		"fine":           {def(role, ecsapi.ContainerDefinition{Secrets: []ecsapi.Secret{secret}, RepositoryCredentials: login}), ""},
		"nothing":        {def(nil, ecsapi.ContainerDefinition{}), ""},
		"no role":        {def(nil, ecsapi.ContainerDefinition{Secrets: []ecsapi.Secret{secret}}), "ClientException: When you are specifying container secrets, you must also specify a value for 'executionRoleArn'."},
		"log, no role":   {def(nil, ecsapi.ContainerDefinition{LogConfiguration: &ecsapi.LogConfiguration{SecretOptions: []ecsapi.Secret{secret}}}), "ClientException: When you are specifying container secrets"},
		"shared":         {def(role, ecsapi.ContainerDefinition{Secrets: []ecsapi.Secret{secret}, Environment: []ecsapi.KeyValuePair{{Name: aws.Ptr("PASS")}}}), "ClientException: The secret name must be unique and not shared with any new or existing environment variables set on the container, such as 'PASS'."},
		"twice":          {def(role, ecsapi.ContainerDefinition{Secrets: []ecsapi.Secret{secret, secret}}), "ClientException: The secret name must be unique"},
		"no name":        {def(role, ecsapi.ContainerDefinition{Secrets: []ecsapi.Secret{{ValueFrom: aws.Ptr("x")}}}), "ClientException: Invalid secret for container 'web'"},
		"login, no role": {def(nil, ecsapi.ContainerDefinition{RepositoryCredentials: login}), "ClientException: Private repository authentication requires that the task definition specify a value for executionRoleArn."},
		"login, space":   {def(role, ecsapi.ContainerDefinition{RepositoryCredentials: &ecsapi.RepositoryCredentials{CredentialsParameter: aws.Ptr("a b")}}), "ClientException: The repository credentials parameter specified for container 'web' is invalid."},
	} {
		t.Run(name, func(t *testing.T) {
			err := secrets.Check(c.d)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}
