package ecs

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"minato/dataplane/container"
	"minato/services/ecs/definition"
	"minato/services/ecs/failure"
	"minato/services/ecs/filesystem"
	"minato/services/ecs/pull"
	"minato/services/ecs/record"
	"minato/services/ecs/secrets"
	"minato/services/ecs/spec"
)

// prepare gets ready what the containers need: images, log streams, the group.
func (s *Service) prepare(ctx context.Context, t *record.Task, d *record.TaskDefinition) error {
	if t.PullStartedAt == nil {
		if err := s.change(ctx, t, func(t *record.Task) { t.PullStartedAt = s.now() }); err != nil {
			return err
		}
	}
	if err := spec.Supported(&d.TaskDefinition); err != nil {
		return err
	}
	if err := s.Runtime.EnsureGroup(ctx, s.specOf(t, d).ContainerGroup()); err != nil {
		return err
	}
	if role := t.TaskRole(d); role != "" {
		if _, err := s.session(ctx, t, role); err != nil {
			return err
		}
	}
	if err := filesystem.Mount(s.FileSystemsDir, &d.TaskDefinition); err != nil {
		return err
	}
	from := s.secretsFor(t, d)
	if _, err := s.environmentOf(ctx, t, d, from); err != nil {
		return err
	}
	images, err := s.pull(ctx, t, d, from)
	if err != nil {
		return err
	}
	if err := s.makeLogStreams(ctx, t, d); err != nil {
		return err
	}
	return s.change(ctx, t, func(t *record.Task) {
		t.Ready, t.PullStoppedAt = true, s.now()
		for i := range t.Containers {
			name := *t.Containers[i].Name
			image, ok := images[name]
			if !ok {
				continue
			}
			t.Containers[i].ImageDigest = &image.Digest
			if len(image.Volumes) > 0 {
				if t.ImageVolumes == nil {
					t.ImageVolumes = map[string][]string{}
				}
				t.ImageVolumes[name] = image.Volumes
			}
		}
	})
}

// pull gets the images of all containers and returns them by container.
// Logins of private registries come from secrets.
func (s *Service) pull(ctx context.Context, t *record.Task, d *record.TaskDefinition, from *secrets.Resolver) (map[string]container.Image, error) {
	images := map[string]container.Image{}
	byRef := map[string]container.Image{}
	reached := false
	for i := range d.ContainerDefinitions {
		c := &d.ContainerDefinitions[i]
		ref := pull.ParseRef(*c.Image)
		if settled := t.Digests[*c.Name]; settled != "" {
			ref.Digest = settled
		}
		if ref.ECR() && !reached {
			if err := s.logInToRegistry(ctx, t, d, ref.Region); err != nil {
				return nil, err
			}
			reached = true
		}
		as, err := login(ctx, from, c)
		if err != nil {
			return nil, err
		}
		key := ref.Text + "@" + ref.Digest
		if as != nil {
			key += " " + as.User + " " + as.Password
		}
		if _, got := byRef[key]; !got {
			var digest string
			if ref.ECR() {
				digest, err = s.resolve(ctx, t, d, ref)
			} else {
				digest, err = s.pullOutside(ctx, t, ref, definition.Architecture(&d.TaskDefinition), as)
			}
			if err != nil {
				return nil, err
			}
			if byRef[key], err = s.unpack(ctx, ref, definition.Architecture(&d.TaskDefinition), digest); err != nil {
				return nil, err
			}
		}
		images[*c.Name] = byRef[key]
	}
	return images, nil
}

// unpack makes an image ready to be run.
func (s *Service) unpack(ctx context.Context, ref pull.Ref, arch, digest string) (container.Image, error) {
	image, err := s.Runtime.EnsureUnpacked(ctx, digest)
	lacks := errors.Is(err, container.ErrPlatform) || arch != runtime.GOARCH && errors.Is(err, container.ErrNotFound)
	if lacks || err == nil {
		if why := pull.Unpacked(arch, !lacks); why != "" {
			return image, failure.Of(err, "%s", why)
		}
	}
	switch {
	case errors.Is(err, container.ErrNotFound):
		err = failure.Of(err, "%s", ref.NotFound())
	case err != nil:
		err = fmt.Errorf("image %s: %w", ref.Text, err)
	}
	return image, err
}
