package ecs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"runtime"
	"strings"
	"time"

	"minato/aws"
	ecrapi "minato/aws/api/ecr"
	ecsapi "minato/aws/api/ecs"
	"minato/aws/identity"
	"minato/dataplane/container"
)

// How often and how long a task tries to reach ECR. These are real attempts and
// real time-outs: a route that comes late is found.
const (
	reachRetries = 3
	reachTimeout = 2 * time.Second
)

// prepare gets ready what the containers need: images, log streams, the group.
func (s *Service) prepare(ctx context.Context, t *taskRecord, d *taskDefinitionRecord) error {
	if t.PullStartedAt == nil {
		if err := s.change(ctx, t, func(t *taskRecord) { t.PullStartedAt = s.now() }); err != nil {
			return err
		}
	}
	if err := s.supported(d); err != nil {
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
func (s *Service) supported(d *taskDefinitionRecord) error {
	for _, v := range d.Volumes {
		if v.EfsVolumeConfiguration != nil || v.FsxWindowsFileServerVolumeConfiguration != nil || v.DockerVolumeConfiguration != nil || aws.Val(v.ConfiguredAtLaunch) {
			return failure(nil, "ResourceInitializationError: the volume %s: not served by minato", aws.Val(v.Name))
		}
	}
	for i := range d.ContainerDefinitions {
		c := &d.ContainerDefinitions[i]
		switch {
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

// reachRegistry connects to ECR from the task's own interface, by its own routes
// and groups.
func (s *Service) reachRegistry(ctx context.Context, t *taskRecord, region string) error {
	var last error
	for range 1 + reachRetries {
		dctx, cancel := context.WithTimeout(ctx, reachTimeout)
		conn, err := s.Runtime.Dial(dctx, t.group(), s.Registry.String())
		cancel()
		if err == nil {
			return conn.Close()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		last = err
		var ne net.Error
		if !errors.As(err, &ne) || !ne.Timeout() {
			// Refused, or no route at all: not worth a pause, but worth a retry.
			if err := sleep(ctx, 100*time.Millisecond); err != nil {
				return err
			}
		}
	}
	return failure(last, "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve ecr registry auth: service call has been retried %d time(s): RequestError: send request failed caused by: Post \"https://api.ecr.%s.amazonaws.com/\": dial tcp %s: %s. Please check your task network configuration.",
		reachRetries, region, s.Registry, dialError(last))
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// dialError is the last part of what net says of a connection that failed.
func dialError(err error) string {
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() {
		return "i/o timeout"
	}
	text := err.Error()
	return text[strings.LastIndex(text, "connect: ")+len("connect: ")*min(1, strings.Count(text, "connect: ")):]
}

// logInToRegistry asks for ECR's login as the execution role.
func (s *Service) logInToRegistry(ctx context.Context, t *taskRecord, d *taskDefinitionRecord) error {
	const what = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve ecr registry auth: service call has been retried 1 time(s): "
	role := t.executionRole(d)
	if role == "" {
		return failure(nil, what+"no execution role was given for this task")
	}
	ctx, err := s.asRole(ctx, t, role)
	if err != nil {
		return err
	}
	if _, err := s.ECR.GetAuthorizationToken(ctx, &ecrapi.GetAuthorizationTokenInput{}); err != nil {
		e := aws.AsError(err)
		return failure(err, "%s%s: %s", what, e.Code, e.Message)
	}
	return nil
}

// manifestTypes are the media types of what can be run.
var manifestTypes = []string{
	"application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json",
	"application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.distribution.manifest.list.v2+json",
}

// resolve asks ECR, as the execution role, what an image's tag stands for.
func (s *Service) resolve(ctx context.Context, t *taskRecord, d *taskDefinitionRecord, ref imageRef) (string, error) {
	ctx, err := s.asRole(ctx, t, t.executionRole(d))
	if err != nil {
		return "", err
	}
	// The registry that the image's name says, which need not be that of the
	// task's region.
	caller := identity.From(ctx)
	caller.Region = ref.region
	ctx = identity.With(ctx, caller)
	id := ecrapi.ImageIdentifier{}
	if ref.digest != "" {
		id.ImageDigest = &ref.digest
	} else {
		id.ImageTag = &ref.tag
	}
	const what = "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref "
	out, err := s.ECR.BatchGetImage(ctx, &ecrapi.BatchGetImageInput{
		RegistryId: &ref.account, RepositoryName: &ref.repository, ImageIds: []ecrapi.ImageIdentifier{id}, AcceptedMediaTypes: manifestTypes,
	})
	switch {
	case aws.IsCode(err, "RepositoryNotFoundException"):
		return "", failure(err, "%s%s: %s: not found", what, ref.text, ref.text)
	case aws.IsCode(err, "AccessDeniedException"):
		return "", failure(err, "%s%s: pulling from host %s failed with status code [manifests %s]: 403 Forbidden", what, ref.text, hostOf(ref), ref.reference())
	case err != nil:
		return "", err
	case len(out.Images) == 0 || out.Images[0].ImageId == nil:
		return "", failure(nil, "%s%s: %s: not found", what, ref.text, ref.text)
	}
	return aws.Val(out.Images[0].ImageId.ImageDigest), nil
}

func hostOf(ref imageRef) string {
	host, _, _ := strings.Cut(ref.registryRepository, "/")
	return host
}

func (ref imageRef) reference() string {
	if ref.digest != "" {
		return ref.digest
	}
	return ref.tag
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
