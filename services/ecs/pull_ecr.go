package ecs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"time"

	"minato/aws"
	ecrapi "minato/aws/api/ecr"
	"minato/aws/identity"
)

// How often and how long a task tries to reach ECR. These are real attempts and
// real time-outs: a route that comes late is found.
const (
	reachRetries = 3
	reachTimeout = 2 * time.Second
)

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
	return aws.Val(out.Images[0].ImageId.ImageDigest), s.mayDownload(ctx, ref, aws.Val(out.Images[0].ImageManifest))
}

// manifest is what is read of an image's manifest, or of an index of several.
type manifest struct {
	Layers    []struct{ Digest string }
	Manifests []struct {
		Digest   string
		Platform struct{ OS, Architecture string }
	}
}

// mayDownload asks for a layer of an image as whoever pulls it would. The layer
// is here already, but a role that may not have it cannot pull on AWS either.
func (s *Service) mayDownload(ctx context.Context, ref imageRef, body string) error {
	var m manifest
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		return fmt.Errorf("the manifest of %s: %w", ref.text, err)
	}
	for _, child := range m.Manifests {
		if child.Platform.OS != "linux" || child.Platform.Architecture != runtime.GOARCH {
			continue
		}
		out, err := s.ECR.BatchGetImage(ctx, &ecrapi.BatchGetImageInput{
			RegistryId: &ref.account, RepositoryName: &ref.repository, ImageIds: []ecrapi.ImageIdentifier{{ImageDigest: &child.Digest}}, AcceptedMediaTypes: manifestTypes,
		})
		if err != nil {
			return err
		}
		if len(out.Images) == 0 {
			return nil // what is missing is told when the image is unpacked
		}
		if err := json.Unmarshal([]byte(aws.Val(out.Images[0].ImageManifest)), &m); err != nil {
			return fmt.Errorf("the manifest of %s: %w", ref.text, err)
		}
		break
	}
	if len(m.Layers) == 0 {
		return nil
	}
	layer := m.Layers[0].Digest
	_, err := s.ECR.GetDownloadUrlForLayer(ctx, &ecrapi.GetDownloadUrlForLayerInput{RegistryId: &ref.account, RepositoryName: &ref.repository, LayerDigest: &layer})
	switch {
	case aws.IsCode(err, "AccessDeniedException"):
		return failure(err, "CannotPullContainerError: ref pull has been retried 1 time(s): failed to copy: httpReadSeeker: failed open: unexpected status code https://%s/v2/%s/blobs/%s: 403 Forbidden", hostOf(ref), ref.repository, layer)
	case aws.IsCode(err, "LayersNotFoundException"):
		return nil // one that others serve, or missing: told when the image is unpacked
	}
	return err
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
