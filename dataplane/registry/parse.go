package registry

import (
	"encoding/json"
	"mime"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// The media types of docker's manifests.
const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerForeign  = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
)

// maxReferences bounds what one manifest may refer to; every reference is a
// look-up and a label.
const maxReferences = 4096

// maxMediaType is RFC 6838's limit of 127 characters, twice and a slash.
const maxMediaType = 255

// envelope is what a manifest and an index have between them.
type envelope struct {
	SchemaVersion int                  `json:"schemaVersion"`
	MediaType     string               `json:"mediaType"`
	ArtifactType  string               `json:"artifactType"`
	Config        *ocispec.Descriptor  `json:"config"`
	Layers        []ocispec.Descriptor `json:"layers"`
	Manifests     []ocispec.Descriptor `json:"manifests"`
	Subject       *ocispec.Descriptor  `json:"subject"`
	Annotations   map[string]string    `json:"annotations"`
	FSLayers      json.RawMessage      `json:"fsLayers"` // of schema 1, which is refused
}

// ParseManifest reads a manifest as it was pushed. contentType is the
// request's header and may be empty; d is the digest of body. References are
// checked for form, not for being there.
func ParseManifest(contentType string, body []byte, d digest.Digest) (Manifest, error) {
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return Manifest{}, errManifestInvalid("the manifest is no JSON: %v", err)
	}
	if contentType != "" {
		bare, _, err := mime.ParseMediaType(contentType)
		if err != nil {
			return Manifest{}, errManifestInvalid("Content-Type %q: %v", contentType, err)
		}
		if e.MediaType != "" && bare != e.MediaType {
			return Manifest{}, errManifestInvalid("the manifest's mediaType %q is not its Content-Type %q", e.MediaType, bare)
		}
		contentType = bare
	} else {
		contentType = e.MediaType
	}
	m := Manifest{
		Digest: d, MediaType: contentType, Size: int64(len(body)), ArtifactType: e.ArtifactType,
	}
	if len(e.ArtifactType) > maxMediaType || e.Config != nil && len(e.Config.MediaType) > maxMediaType {
		return Manifest{}, errManifestInvalid("a media type has more than %d characters", maxMediaType)
	}
	if e.SchemaVersion != 2 {
		return Manifest{}, errManifestInvalid("schemaVersion %d is not supported", e.SchemaVersion)
	}
	if len(e.Layers)+len(e.Manifests) > maxReferences {
		return Manifest{}, errManifestInvalid("the manifest has more than %d references", maxReferences)
	}
	var err error
	switch contentType {
	case ocispec.MediaTypeImageManifest, dockerManifest:
		err = m.readImage(e)
	case ocispec.MediaTypeImageIndex, dockerList:
		err = m.readIndex(e)
	default:
		err = errManifestInvalid("manifests of type %q are not supported", contentType)
	}
	if err != nil {
		return Manifest{}, err
	}
	if e.Subject != nil {
		if err := e.Subject.Digest.Validate(); err != nil {
			return Manifest{}, errManifestInvalid("subject %q: %v", e.Subject.Digest, err)
		}
		m.Subject = e.Subject.Digest
	}
	return m, nil
}

func (m *Manifest) readImage(e envelope) error {
	if e.Config == nil || len(e.Manifests) > 0 || len(e.FSLayers) > 0 {
		return errManifestInvalid("an image manifest has one config, and no manifests or fsLayers")
	}
	m.Config = e.Config.MediaType
	if m.ArtifactType == "" {
		m.ArtifactType = m.Config // as the referrers API shows it
	}
	for i, desc := range append([]ocispec.Descriptor{*e.Config}, e.Layers...) {
		if err := checkDescriptor(desc); err != nil {
			return err
		}
		if elsewhere(desc) {
			continue
		}
		m.Blobs = append(m.Blobs, desc.Digest)
		if i > 0 {
			m.ImageSize += desc.Size
		}
	}
	return nil
}

func (m *Manifest) readIndex(e envelope) error {
	if e.Config != nil || len(e.Layers) > 0 || len(e.FSLayers) > 0 {
		return errManifestInvalid("an index has manifests, and no config, layers or fsLayers")
	}
	for _, desc := range e.Manifests {
		if err := checkDescriptor(desc); err != nil {
			return err
		}
		m.Manifests = append(m.Manifests, desc.Digest)
	}
	return nil
}

func checkDescriptor(desc ocispec.Descriptor) error {
	if err := desc.Digest.Validate(); err != nil {
		return errManifestInvalid("descriptor %q: %v", desc.Digest, err)
	}
	if desc.Size < 0 || desc.Size > 1<<50 { // sums of them must not overflow
		return errManifestInvalid("descriptor %s has the size %d", desc.Digest, desc.Size)
	}
	return nil
}

// elsewhere tells whether a layer is fetched from another place and need not
// be pushed: foreign and nondistributable layers.
func elsewhere(desc ocispec.Descriptor) bool {
	return desc.MediaType == dockerForeign || strings.Contains(desc.MediaType, ".nondistributable.")
}
