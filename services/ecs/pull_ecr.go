package ecs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"runtime"
	"time"

	"minato/aws"
	ecrapi "minato/aws/api/ecr"
	"minato/aws/identity"
	"minato/services/ecs/pull"
)

// How often and how long a task tries to reach ECR. These are real attempts and
// real time-outs: a route that comes late is found.
const (
	reachRetries = 3
	reachTimeout = 2 * time.Second
)

// reachRegistry finds out whether the task's own interface reaches ECR.
func (s *Service) reachRegistry(ctx context.Context, t *taskRecord, region string) error {
	err := s.reach(ctx, t, 1+reachRetries)
	if err == nil || ctx.Err() != nil {
		return err
	}
	return failure(err, "%s", pull.NoWay(region, s.Registry.String(), reachRetries, err))
}

// reach connects to AWS's services from the task's own interface, by its own
// routes and groups.
func (s *Service) reach(ctx context.Context, t *taskRecord, attempts int) error {
	var last error
	for range attempts {
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
	return last
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// logInToRegistry asks for ECR's login as the execution role.
func (s *Service) logInToRegistry(ctx context.Context, t *taskRecord, d *taskDefinitionRecord) error {
	role := t.executionRole(d)
	if role == "" {
		return failure(nil, "%s", pull.NoLogin("no execution role was given for this task"))
	}
	ctx, err := s.asRole(ctx, t, role)
	if err != nil {
		return err
	}
	if _, err := s.ECR.GetAuthorizationToken(ctx, &ecrapi.GetAuthorizationTokenInput{}); err != nil {
		e := aws.AsError(err)
		return failure(err, "%s", pull.NoLogin(e.Code+": "+e.Message))
	}
	return nil
}

// manifestTypes are the media types of what can be run.
var manifestTypes = []string{
	"application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json",
	"application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.distribution.manifest.list.v2+json",
}

// resolve asks ECR, as the execution role, what an image's tag stands for.
func (s *Service) resolve(ctx context.Context, t *taskRecord, d *taskDefinitionRecord, ref pull.Ref) (string, error) {
	ctx, err := s.asRole(ctx, t, t.executionRole(d))
	if err != nil {
		return "", err
	}
	// The registry that the image's name says, which need not be that of the
	// task's region.
	caller := identity.From(ctx)
	caller.Region = ref.Region
	ctx = identity.With(ctx, caller)
	id := ecrapi.ImageIdentifier{}
	if ref.Digest != "" {
		id.ImageDigest = &ref.Digest
	} else {
		id.ImageTag = &ref.Tag
	}
	out, err := s.ECR.BatchGetImage(ctx, &ecrapi.BatchGetImageInput{
		RegistryId: &ref.Account, RepositoryName: &ref.Repository, ImageIds: []ecrapi.ImageIdentifier{id}, AcceptedMediaTypes: manifestTypes,
	})
	switch {
	case aws.IsCode(err, "RepositoryNotFoundException"):
		return "", failure(err, "%s", ref.NotFound())
	case aws.IsCode(err, "AccessDeniedException"):
		return "", failure(err, "%s", ref.Forbidden())
	case err != nil:
		return "", err
	case len(out.Images) == 0 || out.Images[0].ImageId == nil:
		return "", failure(nil, "%s", ref.NotFound())
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
func (s *Service) mayDownload(ctx context.Context, ref pull.Ref, body string) error {
	var m manifest
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		return fmt.Errorf("the manifest of %s: %w", ref.Text, err)
	}
	for _, child := range m.Manifests {
		if child.Platform.OS != "linux" || child.Platform.Architecture != runtime.GOARCH {
			continue
		}
		out, err := s.ECR.BatchGetImage(ctx, &ecrapi.BatchGetImageInput{
			RegistryId: &ref.Account, RepositoryName: &ref.Repository, ImageIds: []ecrapi.ImageIdentifier{{ImageDigest: &child.Digest}}, AcceptedMediaTypes: manifestTypes,
		})
		if err != nil {
			return err
		}
		if len(out.Images) == 0 {
			return nil // what is missing is told when the image is unpacked
		}
		if err := json.Unmarshal([]byte(aws.Val(out.Images[0].ImageManifest)), &m); err != nil {
			return fmt.Errorf("the manifest of %s: %w", ref.Text, err)
		}
		break
	}
	if len(m.Layers) == 0 {
		return nil
	}
	layer := m.Layers[0].Digest
	_, err := s.ECR.GetDownloadUrlForLayer(ctx, &ecrapi.GetDownloadUrlForLayerInput{RegistryId: &ref.Account, RepositoryName: &ref.Repository, LayerDigest: &layer})
	switch {
	case aws.IsCode(err, "AccessDeniedException"):
		return failure(err, "%s", ref.LayerForbidden(layer))
	case aws.IsCode(err, "LayersNotFoundException"):
		return nil // one that others serve, or missing: told when the image is unpacked
	}
	return err
}
