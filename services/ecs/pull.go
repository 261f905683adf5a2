package ecs

import (
	"context"
	"errors"
	"maps"
	"net"
	"time"

	"minato/aws"
	"minato/services/ecs/failure"
	"minato/services/ecs/pull"
	"minato/services/ecs/record"
	"minato/services/ecs/rollout"
	"minato/services/ecs/secrets"
)

// Images gets images of registries other than Amazon ECR.
type Images interface {
	// Resolve asks a registry which digest a reference stands for now.
	Resolve(ctx context.Context, from ImageSource) (digest string, err error)
	// Ensure makes an image of that reference and digest present for the runtime.
	Ensure(ctx context.Context, from ImageSource, digest string) error
}

// ImageSource is an image and the way to it: that of the task which is to run it.
type ImageSource struct {
	Ref      string // as in the task definition: "nginx", "public.ecr.aws/x/y:1"
	VPC      string // whose resolver knows the registry's name
	Platform string // that is wanted: "linux/amd64"
	// Dial connects from the task's interface to an address in digits, by the
	// task's own routes and groups.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// Login is that of repositoryCredentials, nil for none.
	Login *secrets.Login
}

// PullFailure is the error of Images for what the image, its registry or the way
// to it is to blame for. Its text is what ECS says after "CannotPullContainerError: ".
type PullFailure struct{ Cause error }

// Error implements error.
func (f *PullFailure) Error() string { return f.Cause.Error() }

// Unwrap returns the cause.
func (f *PullFailure) Unwrap() error { return f.Cause }

// pullOutside gets an image of a registry that is not ECR and returns its digest.
func (s *Service) pullOutside(ctx context.Context, t *record.Task, ref pull.Ref, arch string, as *secrets.Login) (string, error) {
	from := ImageSource{Ref: ref.Text, VPC: t.Subnet.VPC, Login: as, Platform: "linux/" + arch, Dial: func(ctx context.Context, address string) (net.Conn, error) {
		return s.Runtime.Dial(ctx, t.RuntimeGroup(), address)
	}}
	digest := ref.Digest
	err := s.waiting(ctx, t, func(ctx context.Context) (err error) {
		if digest == "" {
			digest, err = s.Images.Resolve(ctx, from)
		}
		if err == nil {
			err = s.Images.Ensure(ctx, from, digest)
		}
		return err
	})
	var failed *PullFailure
	switch {
	case err == nil:
		return digest, nil
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.As(err, &failed):
		return "", failure.Of(err, "%s", pull.Failed(failed))
	}
	return "", err
}

// firstPulls adds to a deployment's images those of other registries that one of
// its tasks has got already: as with ECR's, a tag that moves during a deployment
// changes nothing.
func (p *pass) firstPulls(r *rollout.Rollout, d *record.TaskDefinition) {
	for i := range d.ContainerDefinitions {
		c := &d.ContainerDefinitions[i]
		if pull.ParseRef(aws.Val(c.Image)).ECR() || r.Images[aws.Val(c.Name)] != "" {
			continue
		}
		if digest := pulled(p.tasks, aws.Val(r.Id), aws.Val(c.Name)); digest != "" {
			images := maps.Clone(r.Images)
			images[aws.Val(c.Name)] = digest
			r.Images = images
		}
	}
}

// pulled is the digest that a deployment's first task found for a container.
func pulled(tasks []record.Task, deployment, name string) string {
	var digest string
	var first time.Time
	for i := range tasks {
		t := &tasks[i]
		if aws.Val(t.StartedBy) != deployment || t.PullStoppedAt == nil || digest != "" && !t.PullStoppedAt.Before(first) {
			continue
		}
		for _, c := range t.Containers {
			if aws.Val(c.Name) == name && aws.Val(c.ImageDigest) != "" {
				digest, first = *c.ImageDigest, *t.PullStoppedAt
			}
		}
	}
	return digest
}
