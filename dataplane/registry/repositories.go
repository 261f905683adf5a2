package registry

import (
	"context"
	"net/http"
	"time"

	"github.com/opencontainers/go-digest"
)

// Repository names a repository: the host by which the client asked, without
// port, and the path.
type Repository struct{ Host, Name string }

// String is the name as in an image reference.
func (r Repository) String() string { return r.Host + "/" + r.Name }

// Action is what a client wants to do, as fine as ECR's permissions are.
type Action string

// The actions of a client.
const (
	Login          Action = "login" // GET /v2/: are the credentials good at all?
	CheckBlob      Action = "check blob"
	ReadBlob       Action = "read blob"
	ReadManifest   Action = "read manifest"
	ListTags       Action = "list tags"
	StartUpload    Action = "start upload"
	WriteUpload    Action = "write upload"
	CompleteUpload Action = "complete upload"
	WriteManifest  Action = "write manifest"
	Delete         Action = "delete"
)

// Authorizer decides who may do what.
type Authorizer interface {
	// Authorize returns the context to go on with, or an *Error: ErrUnauthorized
	// with a challenge, or ErrDenied. The repository may not exist.
	Authorize(r *http.Request, action Action, repo Repository) (context.Context, error)
}

// Blob is a member of a repository that is no manifest.
type Blob struct {
	Digest digest.Digest
	Size   int64
}

// Manifest is a member of a repository that tags may name. What it says of
// itself at any length, such as annotations, is left in its content, so that a
// record is small.
type Manifest struct {
	Digest       digest.Digest
	MediaType    string
	Size         int64 // of the manifest itself
	ArtifactType string
	Config       string          // media type of the config, if any
	Subject      digest.Digest   // what it refers to, if anything
	Blobs        []digest.Digest // config and layers that must be here
	Manifests    []digest.Digest // children of an index
	ImageSize    int64           // sum of the layers as they were pushed
	PushedAt     time.Time
}

// Repositories keeps which repositories there are and what belongs to them. An
// answer that is the client's fault is an *Error.
type Repositories interface {
	// Exists returns ErrNameUnknown when there is no such repository.
	Exists(ctx context.Context, repo Repository) error

	// Blob returns a member, or ErrBlobUnknown.
	Blob(ctx context.Context, repo Repository, d digest.Digest) (Blob, error)
	// PutBlob makes a blob a member; the content is there already. Twice is fine.
	PutBlob(ctx context.Context, repo Repository, b Blob) error
	// DeleteBlob ends a membership, or returns ErrBlobUnknown.
	DeleteBlob(ctx context.Context, repo Repository, d digest.Digest) error
	// Holders lists the repositories of the same registry that hold a blob.
	Holders(ctx context.Context, host string, d digest.Digest) ([]Repository, error)

	// Manifest returns a member by tag or by digest, or ErrManifestUnknown.
	Manifest(ctx context.Context, repo Repository, reference string) (Manifest, error)
	// PutManifest makes a manifest a member and moves the tags to it, in one
	// step; ErrTagInvalid when a tag may not be moved. The content is there.
	PutManifest(ctx context.Context, repo Repository, m Manifest, tags []string) error
	// DeleteManifest takes a manifest and its tags, or returns ErrManifestUnknown.
	DeleteManifest(ctx context.Context, repo Repository, d digest.Digest) error
	// DeleteTag takes a tag, or returns ErrManifestUnknown.
	DeleteTag(ctx context.Context, repo Repository, tag string) error
	// Tags lists the tags in any order.
	Tags(ctx context.Context, repo Repository) ([]string, error)
	// Referrers lists the manifests whose subject is d.
	Referrers(ctx context.Context, repo Repository, d digest.Digest) ([]Manifest, error)

	// Members returns every digest that any repository of any host holds, blobs
	// and manifests; content that is not among them may be collected.
	Members(ctx context.Context) (map[digest.Digest]bool, error)
}
