package ecs

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strings"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/dataplane/container"
)

// prepare gets ready what the containers need: images, log streams, the group.
func (s *Service) prepare(ctx context.Context, t *taskRecord, d *taskDefinitionRecord) error {
	if t.PullStartedAt == nil {
		if err := s.change(ctx, t, func(t *taskRecord) { t.PullStartedAt = s.now() }); err != nil {
			return err
		}
	}
	if err := supported(d); err != nil {
		return err
	}
	if err := s.Runtime.EnsureGroup(ctx, s.containerGroup(t)); err != nil {
		return err
	}
	if role := t.taskRole(d); role != "" {
		if _, err := s.session(ctx, t, role); err != nil {
			return err
		}
	}
	digests, err := s.pull(ctx, t, d)
	if err != nil {
		return err
	}
	if err := s.makeLogStreams(ctx, t, d); err != nil {
		return err
	}
	return s.change(ctx, t, func(t *taskRecord) {
		t.Ready, t.PullStoppedAt = true, s.now()
		for i := range t.Containers {
			if digest := digests[*t.Containers[i].Name]; digest != "" {
				t.Containers[i].ImageDigest = &digest
			}
		}
	})
}

// supported refuses what a task definition may ask for on AWS and minato does
// not do, before anything runs without it.
func supported(d *taskDefinitionRecord) error {
	for _, v := range d.Volumes {
		if _, asked := aws.Asked(v, "EfsVolumeConfiguration", "FsxWindowsFileServerVolumeConfiguration", "DockerVolumeConfiguration", "S3filesVolumeConfiguration", "ConfiguredAtLaunch"); asked {
			return failure(nil, "ResourceInitializationError: the volume %s: not served by minato", aws.Val(v.Name))
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
		if name, asked := aws.Asked(c, "CredentialSpecs", "DnsSearchDomains", "DnsServers", "FirelensConfiguration", "Hostname", "ResourceRequirements", "RestartPolicy", "VolumesFrom"); asked {
			return failure(nil, "ResourceInitializationError: %s of the container %s: not served by minato", strings.ToLower(name[:1])+name[1:], aws.Val(c.Name))
		}
		switch {
		case c.LogConfiguration != nil && len(c.LogConfiguration.SecretOptions) > 0:
			return failure(nil, "ResourceInitializationError: unable to pull secrets or registry auth: secretOptions of a log configuration: not served by minato")
		case len(c.Secrets) > 0:
			return failure(nil, "ResourceInitializationError: unable to pull secrets or registry auth: secrets of containers: not served by minato")
		case len(c.EnvironmentFiles) > 0:
			return failure(nil, "ResourceInitializationError: failed to download env files: not served by minato")
		case c.LogConfiguration != nil && aws.Val(c.LogConfiguration.LogDriver) != ecsapi.LogDriverAwslogs:
			return failure(nil, "ResourceInitializationError: failed to validate logger args: the log driver %s: not served by minato", aws.Val(c.LogConfiguration.LogDriver))
		case c.LogConfiguration != nil && (c.LogConfiguration.Options["awslogs-multiline-pattern"] != "" || c.LogConfiguration.Options["awslogs-datetime-format"] != ""):
			return failure(nil, "ResourceInitializationError: failed to validate logger args: awslogs-multiline-pattern and awslogs-datetime-format: not served by minato")
		case c.RepositoryCredentials != nil:
			return failure(nil, "ResourceInitializationError: unable to pull secrets or registry auth: repositoryCredentials need AWS Secrets Manager: not served by minato")
		}
	}
	return nil
}

// imageRef is an image's reference taken apart.
type imageRef struct {
	text               string
	account, region    string // of ECR; "" for other registries
	repository         string
	tag, digest        string
	registryRepository string // as written, without tag and digest
}

var ecrHost = regexp.MustCompile(`^(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com$`)

func parseImage(text string) imageRef {
	ref := imageRef{text: text}
	rest, digest, _ := strings.Cut(text, "@")
	ref.digest = digest
	if i := strings.LastIndexByte(rest, ':'); i > strings.LastIndexByte(rest, '/') {
		rest, ref.tag = rest[:i], rest[i+1:]
	}
	ref.registryRepository = rest
	if ref.tag == "" && ref.digest == "" {
		ref.tag = "latest"
	}
	host, repository, _ := strings.Cut(rest, "/")
	if m := ecrHost.FindStringSubmatch(host); m != nil {
		ref.account, ref.region, ref.repository = m[1], m[2], repository
	}
	return ref
}

func isECR(image string) bool { return parseImage(image).account != "" }

// pull gets the images of all containers and returns their digests by container.
func (s *Service) pull(ctx context.Context, t *taskRecord, d *taskDefinitionRecord) (map[string]string, error) {
	digests := map[string]string{}
	byRef := map[string]string{}
	reached := false
	for i := range d.ContainerDefinitions {
		c := &d.ContainerDefinitions[i]
		ref := parseImage(*c.Image)
		if settled := t.Digests[*c.Name]; settled != "" {
			ref.digest = settled
		}
		if ref.account != "" && !reached {
			if err := s.reachRegistry(ctx, t, ref.region); err != nil {
				return nil, err
			}
			if err := s.logInToRegistry(ctx, t, d); err != nil {
				return nil, err
			}
			reached = true
		}
		key := ref.text + "@" + ref.digest
		if byRef[key] == "" {
			get := s.pullOutside
			if ref.account != "" {
				get = func(ctx context.Context, t *taskRecord, ref imageRef) (string, error) {
					return s.resolve(ctx, t, d, ref)
				}
			}
			digest, err := get(ctx, t, ref)
			if err != nil {
				return nil, err
			}
			if err := s.unpack(ctx, ref, digest); err != nil {
				return nil, err
			}
			byRef[key] = digest
		}
		digests[*c.Name] = byRef[key]
	}
	return digests, nil
}

// unpack makes an image ready to be run.
func (s *Service) unpack(ctx context.Context, ref imageRef, digest string) error {
	_, err := s.Runtime.EnsureUnpacked(ctx, digest)
	switch {
	case errors.Is(err, container.ErrPlatform):
		return failure(err, "CannotPullContainerError: pull image manifest has been retried 7 time(s): image Manifest does not contain descriptor matching platform 'linux/%s'.", runtime.GOARCH)
	case errors.Is(err, container.ErrNotFound):
		return failure(err, "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref %s: %s: not found", ref.text, ref.text)
	case err != nil:
		return fmt.Errorf("image %s: %w", ref.text, err)
	}
	return nil
}
