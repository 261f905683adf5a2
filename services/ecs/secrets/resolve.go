package secrets

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"minato/aws"
	secretsapi "minato/aws/api/secretsmanager"
	ssmapi "minato/aws/api/ssm"
	"minato/services/ecs/failure"
	"minato/services/ecs/reach"
)

// SecretsManager is what is needed of Secrets Manager.
type SecretsManager interface {
	GetSecretValue(context.Context, *secretsapi.GetSecretValueInput) (*secretsapi.GetSecretValueOutput, error)
}

// ParameterStore is what is needed of Systems Manager.
type ParameterStore interface {
	GetParameters(context.Context, *ssmapi.GetParametersInput) (*ssmapi.GetParametersOutput, error)
}

// Resolver gets values for one task.
type Resolver struct {
	Secrets    SecretsManager
	Parameters ParameterStore
	// As is the context of a call as the task's execution role, in a region, or
	// in the task's own for "".
	As func(ctx context.Context, region string) (context.Context, error)
	// Reach finds out whether the task's own interface reaches a service in a
	// region ("" for the task's own), with so many attempts, and returns what calls
	// by that way are marked with. Its error is the answer when it does not.
	Reach func(ctx context.Context, service, region string, attempts int) (reach.Mark, error)

	ways   map[string]way // by service and region
	have   map[Ref]*secretsapi.GetSecretValueOutput
	values map[Ref]string
}

// way is the way to a service that was tried.
type way struct {
	through reach.Mark
	err     error
}

// attempts is how often a task tries to reach the services.
const attempts = 5

const (
	prefix   = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: "
	fromASM  = "unable to retrieve secret from asm: "
	fromSSM  = "unable to retrieve secrets from ssm: "
	timedOut = "RequestCanceled: request context canceled caused by: context deadline exceeded. Please check your task network configuration."
)

// failed makes the error of one provider after so many attempts.
func failed(r Ref, times int, cause error, text string) error {
	from := fromSSM
	if r.Secret {
		from = fromASM
	}
	return failure.Of(cause, "%s%sservice call has been retried %d time(s): %s", prefix, from, times, text)
}

// refused is what a service said, as the agent passes it on.
func refused(r Ref, err error) error {
	e := aws.AsError(err)
	if e.HTTPStatus() >= 500 {
		return err // a fault of ours: tried again
	}
	text := fmt.Sprintf("%s: %s", e.Code, e.Message)
	if r.Secret {
		text = fmt.Sprintf("failed to fetch secret %s from secrets manager: %s", r.ID, text)
	}
	return failed(r, 1, err, text)
}

// Value is what a valueFrom names.
func (r *Resolver) Value(ctx context.Context, valueFrom string) (string, error) {
	ref, err := Parse(valueFrom)
	if err != nil {
		return "", failed(Ref{Secret: true}, 1, err, err.Error())
	}
	if v, ok := r.values[ref]; ok {
		return v, nil
	}
	v, err := r.value(ctx, ref)
	if err != nil {
		return "", err
	}
	if r.values == nil {
		r.values = map[Ref]string{}
	}
	r.values[ref] = v
	return v, nil
}

func (r *Resolver) value(ctx context.Context, ref Ref) (string, error) {
	if !ref.Secret {
		return r.parameter(ctx, ref)
	}
	out, err := r.secret(ctx, ref.whole())
	switch {
	case err != nil:
		return "", err
	case out.SecretString == nil:
		return "", failed(ref, 1, nil, fmt.Sprintf("the secret %s is binary: only a SecretString can be the value of a variable", ref.ID))
	case ref.JSONKey == "":
		return *out.SecretString, nil
	}
	v, err := field(*out.SecretString, ref.JSONKey)
	if err != nil {
		return "", failed(ref, 1, nil, err.Error())
	}
	return v, nil
}

// reach is the way to the service of a ref, which is found out once.
func (r *Resolver) reach(ctx context.Context, ref Ref) (way, error) {
	service := "ssm"
	if ref.Secret {
		service = "secretsmanager"
	}
	w, tried := r.ways[service+" "+ref.Region]
	if !tried {
		w.through, w.err = r.Reach(ctx, service, ref.Region, attempts)
		if ctx.Err() != nil {
			return w, ctx.Err()
		}
		if r.ways == nil {
			r.ways = map[string]way{}
		}
		r.ways[service+" "+ref.Region] = w
	}
	if w.err == nil {
		return w, nil
	}
	text := timedOut
	if ref.Secret {
		text = fmt.Sprintf("failed to fetch secret %s from secrets manager: %s", ref.ID, text)
	}
	return w, failed(ref, attempts, w.err, text)
}

// as is the context of a call about a ref.
func (r *Resolver) as(ctx context.Context, ref Ref) (context.Context, error) {
	w, err := r.reach(ctx, ref)
	if err != nil {
		return nil, err
	}
	if ctx, err = r.As(ctx, ref.Region); err != nil {
		return nil, err
	}
	return w.through(ctx), nil
}

// secret gets a version of a secret, once.
func (r *Resolver) secret(ctx context.Context, ref Ref) (*secretsapi.GetSecretValueOutput, error) {
	if out := r.have[ref]; out != nil {
		return out, nil
	}
	ctx, err := r.as(ctx, ref)
	if err != nil {
		return nil, err
	}
	in := &secretsapi.GetSecretValueInput{SecretId: &ref.ID}
	if ref.VersionStage != "" {
		in.VersionStage = &ref.VersionStage
	}
	if ref.VersionID != "" {
		in.VersionId = &ref.VersionID
	}
	out, err := r.Secrets.GetSecretValue(ctx, in)
	if err != nil {
		return nil, refused(ref, err)
	}
	if r.have == nil {
		r.have = map[Ref]*secretsapi.GetSecretValueOutput{}
	}
	r.have[ref] = out
	return out, nil
}

func (r *Resolver) parameter(ctx context.Context, ref Ref) (string, error) {
	ctx, err := r.as(ctx, ref)
	if err != nil {
		return "", err
	}
	out, err := r.Parameters.GetParameters(ctx, &ssmapi.GetParametersInput{Names: []string{ref.ID}, WithDecryption: aws.Ptr(true)})
	if err != nil {
		return "", refused(ref, err)
	}
	if len(out.Parameters) != 1 {
		return "", failed(ref, 1, nil, "invalid ssm parameters: "+strings.Join(out.InvalidParameters, ","))
	}
	return aws.Val(out.Parameters[0].Value), nil
}

// field is a key's value in a secret that is a JSON object. The errors of the
// JSON package name at most one character of it, as the agent's do.
func field(secret, key string) (string, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal([]byte(secret), &all); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			return "", errors.New("json: cannot unmarshal " + kind.Value + " into Go value of type map[string]interface {}")
		}
		return "", err
	}
	raw, ok := all[key]
	if !ok {
		return "", fmt.Errorf("retrieved secret from Secrets Manager did not contain json key %s", key)
	}
	var text string
	if json.Unmarshal(raw, &text) == nil && bytes.HasPrefix(raw, []byte(`"`)) {
		return text, nil
	}
	// Numbers and the rest as they are written: a port stays 5432.
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return "", err
	}
	return b.String(), nil
}

// Login is what a private registry is asked with.
type Login struct{ User, Password string }

// Login reads a registry's login from a secret {"username": …, "password": …}.
func (r *Resolver) Login(ctx context.Context, credentialsParameter string) (*Login, error) {
	ref := Ref{Secret: true, ID: credentialsParameter}
	if parsed, err := Parse(credentialsParameter); err == nil && parsed.Secret {
		ref = parsed
	}
	out, err := r.secret(ctx, ref.whole())
	if err != nil {
		return nil, err
	}
	var l struct {
		Username *string `json:"username"`
		Password *string `json:"password"`
	}
	problem := ""
	switch err := json.Unmarshal([]byte(aws.Val(out.SecretString)), &l); {
	case err != nil:
		problem = "asm fetching authorization data: unable to unmarshal secret value, invalid schema"
	case aws.Val(l.Username) == "":
		problem = "asm fetching username: AuthorizationData is malformed, empty field"
	case aws.Val(l.Password) == "":
		problem = "asm fetching password: AuthorizationData is malformed, empty field"
	}
	if problem != "" {
		return nil, failed(ref, 1, nil, problem)
	}
	return &Login{*l.Username, *l.Password}, nil
}
