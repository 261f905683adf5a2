// Package pull reads the references of images in task definitions, and says in
// ECS's words why one cannot be pulled.
package pull

import (
	"fmt"
	"regexp"
	"runtime"
	"strings"

	"minato/services/ecs/reach"
)

// Ref is an image's reference taken apart.
type Ref struct {
	Text            string // as in the task definition
	Account, Region string // of ECR; "" for other registries
	Repository      string // in ECR
	Tag, Digest     string // Tag is "latest" when neither is named
	name            string // as written, without tag and digest
}

var ecrHost = regexp.MustCompile(`^(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com$`)

// ParseRef takes a reference apart.
func ParseRef(text string) Ref {
	ref := Ref{Text: text}
	rest, digest, _ := strings.Cut(text, "@")
	ref.Digest = digest
	if i := strings.LastIndexByte(rest, ':'); i > strings.LastIndexByte(rest, '/') {
		rest, ref.Tag = rest[:i], rest[i+1:]
	}
	ref.name = rest
	if ref.Tag == "" && ref.Digest == "" {
		ref.Tag = "latest"
	}
	host, repository, _ := strings.Cut(rest, "/")
	if m := ecrHost.FindStringSubmatch(host); m != nil {
		ref.Account, ref.Region, ref.Repository = m[1], m[2], repository
	}
	return ref
}

// ECR tells whether the image is in Amazon ECR.
func (r Ref) ECR() bool { return r.Account != "" }

// Host is the name of the image's registry, as far as one is written.
func (r Ref) Host() string {
	host, _, _ := strings.Cut(r.name, "/")
	return host
}

// Reference is what names the manifest in its repository: the digest or the tag.
func (r Ref) Reference() string {
	if r.Digest != "" {
		return r.Digest
	}
	return r.Tag
}

const (
	cannotPull  = "CannotPullContainerError: "
	noManifest  = cannotPull + "pull image manifest has been retried 1 time(s): failed to resolve ref "
	noResources = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve ecr registry auth: service call has been retried "
)

// NotFound says that there is no such repository, tag or digest.
func (r Ref) NotFound() string { return noManifest + r.Text + ": " + r.Text + ": not found" }

// Forbidden says that the registry does not give the manifest to this role.
func (r Ref) Forbidden() string {
	return fmt.Sprintf("%s%s: pulling from host %s failed with status code [manifests %s]: 403 Forbidden", noManifest, r.Text, r.Host(), r.Reference())
}

// LayerForbidden says that the registry does not give a layer to this role.
func (r Ref) LayerForbidden(layer string) string {
	return fmt.Sprintf("%sunexpected status code https://%s/v2/%s/blobs/%s: 403 Forbidden", noLayers, r.Host(), r.Repository, layer)
}

// Unreached says that the task's interface does not reach the image's registry
// at an address.
func (r Ref) Unreached(address string, cause error) string {
	return fmt.Sprintf("%s%s: failed to do request: Head \"https://%s/v2/%s/manifests/%s\": dial tcp %s: %s", noManifest, r.Text, r.Host(), r.Repository, r.Reference(), address, reach.Why(cause))
}

const noLayers = cannotPull + "ref pull has been retried 1 time(s): failed to copy: httpReadSeeker: failed open: "

// LayersUnreached says that the task's interface does not reach the bucket that
// has the layers, at an address.
func (r Ref) LayersUnreached(host, address string, cause error) string {
	return fmt.Sprintf("%sfailed to do request: Get \"https://%s/\": dial tcp %s: %s", noLayers, host, address, reach.Why(cause))
}

// LayersForbidden says that a VPC endpoint does not let the layers through.
func (r Ref) LayersForbidden(host string) string {
	return fmt.Sprintf("%sunexpected status code https://%s/: 403 Forbidden", noLayers, host)
}

// NoPlatform says that the image has nothing for a processor architecture.
func NoPlatform(arch string) string {
	return fmt.Sprintf("%spull image manifest has been retried 7 time(s): image Manifest does not contain descriptor matching platform 'linux/%s'.", cannotPull, arch)
}

// NoCapacity says that nothing here runs an image which is for another
// architecture than this machine's.
const NoCapacity = "Capacity is unavailable at this time. Please try again later or in a different availability zone"

// Unpacked says why a task of some architecture cannot run an image that this
// machine can make ready or, with an error, cannot; "" when it can.
func Unpacked(arch string, ready bool) string {
	switch {
	case arch != runtime.GOARCH && !ready:
		return NoCapacity
	case arch != runtime.GOARCH || !ready:
		return NoPlatform(arch)
	}
	return ""
}

// Failed says why another registry's image cannot be pulled.
func Failed(cause error) string { return cannotPull + cause.Error() }

// NoWay says that the task's interface does not reach ECR in a region at an
// address, after so many more tries than one.
func NoWay(region, address string, retries int, cause error) string {
	return fmt.Sprintf("%s%d time(s): RequestError: send request failed caused by: Post \"https://api.ecr.%s.amazonaws.com/\": dial tcp %s: %s. Please check your task network configuration.",
		noResources, retries, region, address, reach.Why(cause))
}

// NoLogin says why ECR gives the task no login.
func NoLogin(cause string) string { return noResources + "1 time(s): " + cause }
