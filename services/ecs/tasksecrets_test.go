package ecs

import (
	"context"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	s3api "minato/aws/api/s3"
	secretsapi "minato/aws/api/secretsmanager"
	ssmapi "minato/aws/api/ssm"
	"minato/aws/identity"
	"minato/dataplane/container"
	"minato/services/ecs/life"
	"minato/services/ecs/record"
	"minato/services/ecs/secrets"
	"minato/store"
)

const (
	dbSecret  = "arn:aws:secretsmanager:us-east-1:000000000000:secret:db-AbCdEf"
	hubSecret = "arn:aws:secretsmanager:us-east-1:000000000000:secret:hub-AbCdEf"
)

// vault stands in for Secrets Manager and the Parameter Store, and keeps who asked.
type vault struct {
	mu     sync.Mutex
	values map[string]string
	asked  int
	as     map[string]bool
}

func (v *vault) ask(ctx context.Context) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.asked++
	if v.as == nil {
		v.as = map[string]bool{}
	}
	v.as[identity.From(ctx).PrincipalID] = true
}

func (v *vault) GetSecretValue(ctx context.Context, in *secretsapi.GetSecretValueInput) (*secretsapi.GetSecretValueOutput, error) {
	v.ask(ctx)
	value, ok := v.values[*in.SecretId]
	if !ok {
		return nil, secretsapi.ResourceNotFoundException("Secrets Manager can't find the specified secret.")
	}
	return &secretsapi.GetSecretValueOutput{SecretString: &value}, nil
}

func (v *vault) GetParameters(ctx context.Context, in *ssmapi.GetParametersInput) (*ssmapi.GetParametersOutput, error) {
	v.ask(ctx)
	if value, ok := v.values[in.Names[0]]; ok {
		return &ssmapi.GetParametersOutput{Parameters: []ssmapi.Parameter{{Value: &value}}}, nil
	}
	return &ssmapi.GetParametersOutput{InvalidParameters: in.Names}, nil
}

func (v *vault) GetBucketLocation(ctx context.Context, _ *s3api.GetBucketLocationInput) (*s3api.GetBucketLocationOutput, error) {
	v.ask(ctx)
	return &s3api.GetBucketLocationOutput{}, nil
}

func (v *vault) GetObject(ctx context.Context, in *s3api.GetObjectInput) (*s3api.GetObjectOutput, error) {
	v.ask(ctx)
	text, ok := v.values[*in.Bucket+"/"+*in.Key]
	if !ok {
		return nil, &aws.Error{Code: "NoSuchKey", Message: "The specified key does not exist.", Status: 404}
	}
	return &s3api.GetObjectOutput{Body: io.NopCloser(strings.NewReader(text))}, nil
}

// TestEnvironmentFiles: the container has what is in them, unless its definition or
// the run says otherwise; without them it does not start.
func TestEnvironmentFiles(t *testing.T) {
	q := newQuay(t)
	in := secretDefinition(dbSecret + ":password::")
	in.ContainerDefinitions[0].Environment = []ecsapi.KeyValuePair{{Name: aws.Ptr("MODE"), Value: aws.Ptr("definition")}}
	in.ContainerDefinitions[0].EnvironmentFiles = []ecsapi.EnvironmentFile{{Type: aws.Ptr("s3"), Value: aws.Ptr("arn:aws:s3:::config/chat.env")}}
	task := q.until(q.run(in), life.Running)
	spec, _ := q.runtime.Container(*task.Containers[0].RuntimeId)
	for want, there := range map[string]bool{"COLOUR=blue": true, "MODE=definition": true, "MODE=file": false, "DB_PASS=s3cret-value": true, "DB_PASS=file": false} {
		if slices.Contains(spec.Env, want) != there {
			t.Errorf("%s: %v, in %q", want, !there, spec.Env)
		}
	}
	if !q.vault.as[execution] || len(q.vault.as) != 1 {
		t.Errorf("asked as %v", q.vault.as)
	}
	in.ContainerDefinitions[0].EnvironmentFiles[0].Value = aws.Ptr("arn:aws:s3:::config/none.env")
	stopped := q.until(q.run(in), life.Stopped)
	if want := "ResourceInitializationError: failed to download env files: file download command: non empty error stream: NoSuchKey: The specified key does not exist. status code: 404, request id: "; !strings.HasPrefix(aws.Val(stopped.StoppedReason), want) {
		t.Errorf("stopped: %s", aws.Val(stopped.StoppedReason))
	}
}

func newVault() *vault {
	return &vault{values: map[string]string{"config/chat.env": "COLOUR=blue\nMODE=file\nDB_PASS=file\n", dbSecret: `{"password":"s3cret-value"}`, "/chat/host": "secret-host", hubSecret: `{"username":"me","password":"registry-pass"}`}}
}

// secretDefinition is a chat whose password and host come from elsewhere.
func secretDefinition(from ...string) *ecsapi.RegisterTaskDefinitionInput {
	d := chatDefinition("sleep")
	for i, f := range from {
		d.ContainerDefinitions[0].Secrets = append(d.ContainerDefinitions[0].Secrets, ecsapi.Secret{Name: aws.Ptr([]string{"DB_PASS", "DB_HOST"}[i]), ValueFrom: &f})
	}
	return d
}

func TestTaskSecrets(t *testing.T) {
	q := newQuay(t)
	v := q.vault
	task := q.until(q.run(secretDefinition(dbSecret+":password::", "/chat/host")), life.Running)
	spec, _ := q.runtime.Container(*task.Containers[0].RuntimeId)
	if !slices.Contains(spec.Env, "DB_PASS=s3cret-value") || !slices.Contains(spec.Env, "DB_HOST=secret-host") {
		t.Errorf("the environment is %q", spec.Env)
	}
	if len(v.as) != 1 || !v.as[execution] || v.asked != 2 {
		t.Errorf("asked %d times, as %v", v.asked, v.as)
	}
	// The values are the container's alone.
	recs, _, err := q.store.List(q.ctx, "", store.Page{})
	q.must(err)
	for _, r := range recs {
		if strings.Contains(string(r.Value), "s3cret-value") || strings.Contains(string(r.Value), "secret-host") {
			t.Errorf("%s holds a value", r.Key)
		}
	}
	if _, held := q.ecs.held.Get(q.idOf(task)); held {
		t.Error("the values of a task that runs are kept")
	}
}

func (q *quay) idOf(t *ecsapi.Task) string { return (*t.TaskArn)[len(*t.TaskArn)-record.TaskIDLength:] }

func TestTaskSecretFailures(t *testing.T) {
	const prefix = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: "
	missing := strings.Replace(dbSecret, "db-", "other-", 1)
	for name, c := range map[string]struct {
		from string
		away bool
		want string
	}{
		"missing":   {from: missing, want: prefix + "unable to retrieve secret from asm: service call has been retried 1 time(s): failed to fetch secret " + missing + " from secrets manager: ResourceNotFoundException: Secrets Manager can't find the specified secret."},
		"key":       {from: dbSecret + ":pass::", want: prefix + "unable to retrieve secret from asm: service call has been retried 1 time(s): retrieved secret from Secrets Manager did not contain json key pass"},
		"parameter": {from: "/chat/port", want: prefix + "unable to retrieve secrets from ssm: service call has been retried 1 time(s): invalid ssm parameters: /chat/port"},
		"no way":    {from: dbSecret, away: true, want: prefix + "unable to retrieve secret from asm: service call has been retried 5 time(s): failed to fetch secret " + dbSecret + " from secrets manager: RequestCanceled: request context canceled caused by: context deadline exceeded. Please check your task network configuration."},
	} {
		t.Run(name, func(t *testing.T) {
			q := newQuay(t)
			if c.away {
				q.runtime.DialFunc = func(context.Context, string, string) (net.Conn, error) { return nil, os.ErrDeadlineExceeded }
			}
			task := q.until(q.run(secretDefinition(c.from)), life.Stopped)
			if *task.StoppedReason != c.want || *task.StopCode != ecsapi.TaskStopCodeTaskFailedToStart {
				t.Errorf("got  %s\nwant %s", *task.StoppedReason, c.want)
			}
		})
	}
	q := newQuay(t)
	d := secretDefinition(dbSecret)
	d.ExecutionRoleArn, d.RequiresCompatibilities = nil, nil
	if _, err := q.ecs.RegisterTaskDefinition(q.ctx, d); err == nil || !strings.HasPrefix(err.Error(), "ClientException: When you are specifying container secrets, you must also specify a value for 'executionRoleArn'.") {
		t.Errorf("without a role: %v", err)
	}
}

// TestTaskSecretsAfterRestart: a daemon that dies before a container was made
// asks for its secrets anew; the one that depends on another starts with them.
func TestTaskSecretsAfterRestart(t *testing.T) {
	q := newQuay(t)
	d := secretDefinition(dbSecret + ":password::")
	first := ecsapi.ContainerDefinition{Name: aws.Ptr("first"), Image: d.ContainerDefinitions[0].Image, Command: []string{"sleep"}, Essential: aws.Ptr(false)}
	d.ContainerDefinitions = append(d.ContainerDefinitions, first)
	d.ContainerDefinitions[0].DependsOn = []ecsapi.ContainerDependency{{ContainerName: aws.Ptr("first"), Condition: aws.Ptr(ecsapi.ContainerConditionComplete)}}
	arn := q.run(d)
	var one string
	for end := time.Now().Add(settlingTime); one == "" && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		for _, c := range q.task(arn).Containers {
			if *c.Name == "first" && aws.Val(c.LastStatus) == life.Running {
				one = *c.RuntimeId
			}
		}
	}
	q.stop()
	q.vault.values[dbSecret] = `{"password":"rotated"}`
	q.start()
	q.must(q.runtime.End(one, container.Status{}))
	task := q.until(arn, life.Running)
	for _, c := range task.Containers {
		if spec, _ := q.runtime.Container(*c.RuntimeId); *c.Name == "chat" && !slices.Contains(spec.Env, "DB_PASS=rotated") {
			t.Errorf("the environment is %q", spec.Env)
		}
	}
}

// TestPrivateRegistry: the image is asked for with the login of a secret.
func TestPrivateRegistry(t *testing.T) {
	q := newQuay(t)
	q.abroad.digests["registry.example/private"] = outsideDigest
	d := chatDefinition("sleep")
	d.ContainerDefinitions[0].Image = aws.Ptr("registry.example/private")
	d.ContainerDefinitions[0].RepositoryCredentials = &ecsapi.RepositoryCredentials{CredentialsParameter: aws.Ptr(hubSecret)}
	q.until(q.run(d), life.Running)
	if l := q.abroad.login; l == nil || *l != (secrets.Login{User: "me", Password: "registry-pass"}) {
		t.Errorf("asked with %v", l)
	}
	*d.ContainerDefinitions[0].RepositoryCredentials.CredentialsParameter += "x"
	task := q.until(q.run(d), life.Stopped)
	if !strings.Contains(*task.StoppedReason, "unable to retrieve secret from asm: service call has been retried 1 time(s): failed to fetch secret "+hubSecret+"x from secrets manager: ResourceNotFoundException") {
		t.Errorf("%s", *task.StoppedReason)
	}
}
