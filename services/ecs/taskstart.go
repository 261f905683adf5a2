package ecs

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/dataplane/container"
	"minato/services/ecs/definition"
	"minato/services/ecs/pull"
	"minato/services/ecs/record"
	"minato/services/ecs/secrets"
)

// prepare gets ready what the containers need: images, log streams, the group.
func (s *Service) prepare(ctx context.Context, t *record.Task, d *record.TaskDefinition) error {
	if t.PullStartedAt == nil {
		if err := s.change(ctx, t, func(t *record.Task) { t.PullStartedAt = s.now() }); err != nil {
			return err
		}
	}
	if err := supported(d); err != nil {
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
	if err := s.mountFileSystems(d); err != nil {
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

// supported refuses what a task definition may ask for on AWS and minato does
// not do, before anything runs without it.
func supported(d *record.TaskDefinition) error {
	for _, v := range d.Volumes {
		if _, asked := aws.Asked(v, "FsxWindowsFileServerVolumeConfiguration", "DockerVolumeConfiguration", "S3filesVolumeConfiguration", "ConfiguredAtLaunch"); asked {
			return failure(nil, "ResourceInitializationError: the volume %s: not served by minato", aws.Val(v.Name))
		}
	}
	for _, v := range d.Volumes {
		if e := v.EfsVolumeConfiguration; e != nil && e.AuthorizationConfig != nil && e.AuthorizationConfig.AccessPointId != nil {
			return failure(nil, "%s", efsFailure("EFS access points: not served by minato"))
		}
	}
	if p := d.RuntimePlatform; p != nil && p.OperatingSystemFamily != nil && *p.OperatingSystemFamily != ecsapi.OSFamilyLinux {
		return failure(nil, "ResourceInitializationError: the operating system family %s: not served by minato", *p.OperatingSystemFamily)
	}
	if d.ProxyConfiguration != nil {
		return failure(nil, "ResourceInitializationError: proxyConfiguration: not served by minato")
	}
	for i := range d.ContainerDefinitions {
		c := &d.ContainerDefinitions[i]
		if name, asked := aws.Asked(c, "CredentialSpecs", "DnsSearchDomains", "DnsServers", "FirelensConfiguration", "Hostname", "ResourceRequirements"); asked {
			return failure(nil, "ResourceInitializationError: %s of the container %s: not served by minato", strings.ToLower(name[:1])+name[1:], aws.Val(c.Name))
		}
		switch {
		case c.LogConfiguration != nil && len(c.LogConfiguration.SecretOptions) > 0:
			return failure(nil, "ResourceInitializationError: unable to pull secrets or registry auth: secretOptions of a log configuration: not served by minato")
		case c.LogConfiguration != nil && aws.Val(c.LogConfiguration.LogDriver) != ecsapi.LogDriverAwslogs:
			return failure(nil, "ResourceInitializationError: failed to validate logger args: the log driver %s: not served by minato", aws.Val(c.LogConfiguration.LogDriver))
		}
	}
	return nil
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
			if err := s.reachRegistry(ctx, t, ref.Region); err != nil {
				return nil, err
			}
			if err := s.logInToRegistry(ctx, t, d); err != nil {
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
			return image, failure(err, "%s", why)
		}
	}
	switch {
	case errors.Is(err, container.ErrNotFound):
		err = failure(err, "%s", ref.NotFound())
	case err != nil:
		err = fmt.Errorf("image %s: %w", ref.Text, err)
	}
	return image, err
}
