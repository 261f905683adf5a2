// Package envfile reads the environment files of containers: which variables are
// in one, and how a task gets them from S3 before its containers are made.
//
// A file is got as the task's execution role, which needs s3:GetBucketLocation and
// s3:GetObject, and by the task's own way: a task that does not reach AWS's
// services fails here as on Fargate. What the task definition or the override of
// a run says of a variable outweighs all files, an earlier file a later one.
package envfile

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	s3api "minato/aws/api/s3"
	"minato/aws/arn"
	"minato/internal/ids"
	"minato/services/ecs/failure"
	"minato/services/ecs/reach"
	"minato/services/ecs/secrets"
)

// maxFile is how large a file may be.
const maxFile = 1 << 20

// Parse reads the variables of a file, NAME=value a line, as the agent of ECS
// does: nothing is unquoted or trimmed, a line that begins with # is a comment,
// one without a name, a value or what is between them does not count, and of two
// with one name the later does.
func Parse(content []byte) []string {
	var out []string
	at := map[string]int{}
	lines := bufio.NewScanner(bytes.NewReader(content))
	lines.Buffer(nil, maxFile+1)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), "=")
		if !ok || name == "" || value == "" || strings.HasPrefix(name, "#") || strings.ContainsRune(name+value, 0) {
			continue
		}
		if i, seen := at[name]; seen {
			out[i] = name + "=" + value
			continue
		}
		at[name] = len(out)
		out = append(out, name+"="+value)
	}
	return out
}

// S3 is what is needed of S3.
type S3 interface {
	GetBucketLocation(context.Context, *s3api.GetBucketLocationInput) (*s3api.GetBucketLocationOutput, error)
	GetObject(context.Context, *s3api.GetObjectInput) (*s3api.GetObjectOutput, error)
}

// Resolver gets files for one task.
type Resolver struct {
	S3 S3
	// As is the context of a call as the task's execution role.
	As func(ctx context.Context) (context.Context, error)
	// Reach finds out whether the task's own interface reaches the services, with
	// so many attempts, and returns what calls by that way are marked with.
	Reach func(ctx context.Context, attempts int) (reach.Mark, error)
}

// attempts is how often a task tries to reach S3.
const attempts = 5

// failed is why a file cannot be got, in the words of Fargate's agent.
func failed(cause error, format string, args ...any) error {
	return &failure.Error{Reason: "ResourceInitializationError: failed to download env files: file download command: non empty error stream: " + fmt.Sprintf(format, args...), Cause: cause}
}

// Wanted tells whether containers ask for any files.
func Wanted(containers []ecsapi.ContainerDefinition) bool {
	return slices.ContainsFunc(containers, func(c ecsapi.ContainerDefinition) bool { return len(c.EnvironmentFiles) > 0 })
}

// Add adds the variables of all containers' files to what the containers get.
// set tells what a container's environment has by its definition and the
// overrides; that stays.
func (r *Resolver) Add(ctx context.Context, containers []ecsapi.ContainerDefinition, to secrets.Environment, set func(container string) []string) error {
	if !Wanted(containers) {
		return nil
	}
	through, err := r.Reach(ctx, attempts)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return failed(err, "service call has been retried %d time(s): RequestCanceled: request context canceled caused by: context deadline exceeded", attempts)
	}
	if ctx, err = r.As(ctx); err != nil {
		return err
	}
	ctx = through(ctx)
	have := map[string][]string{}
	for i := range containers {
		c := &containers[i]
		name := aws.Val(c.Name)
		taken := append(set(name), to[name]...)
		for _, f := range c.EnvironmentFiles {
			file := aws.Val(f.Value)
			if _, got := have[file]; !got {
				content, err := r.get(ctx, file)
				if err != nil {
					return err
				}
				have[file] = Parse(content)
			}
			for _, v := range have[file] {
				variable, _, _ := strings.Cut(v, "=")
				if !slices.ContainsFunc(taken, func(t string) bool { return strings.HasPrefix(t, variable+"=") }) {
					to[name], taken = append(to[name], v), append(taken, v)
				}
			}
		}
	}
	return nil
}

// get gets a file by its ARN.
func (r *Resolver) get(ctx context.Context, file string) ([]byte, error) {
	a, ok := arn.Parse(file)
	bucket, key, _ := strings.Cut(a.Resource, "/")
	if !ok || a.Service != "s3" || bucket == "" || key == "" {
		return nil, failed(nil, "invalid s3 arn: %s", file)
	}
	if _, err := r.S3.GetBucketLocation(ctx, &s3api.GetBucketLocationInput{Bucket: &bucket}); err != nil {
		return nil, refused(file, err)
	}
	out, err := r.S3.GetObject(ctx, &s3api.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return nil, refused(file, err)
	}
	defer out.Body.Close()
	content, err := io.ReadAll(io.LimitReader(out.Body, maxFile+1))
	switch {
	case err != nil:
		return nil, err
	case len(content) > maxFile:
		return nil, failed(nil, "the file %s is larger than %d bytes", file, maxFile)
	}
	return content, nil
}

// refused is what S3 said, as the SDK of the agent shows it.
func refused(file string, err error) error {
	e := aws.AsError(err)
	if e.OurFault() {
		return err // tried again
	}
	return failed(errors.Join(fmt.Errorf("the file %s", file), err), "%s: %s status code: %d, request id: %s", e.Code, e.Message, e.HTTPStatus(), ids.Alnum(16))
}
