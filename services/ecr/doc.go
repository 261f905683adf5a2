// Package ecr serves ECR: repositories, what they hold, and the tokens with
// which docker and others log in to the registry. The registry itself is
// dataplane/registry; this package tells it who may do what (registryauth.go)
// and which digest belongs to which repository (registry.go).
//
//	ecr/repository/<account>/<region>/<name>      the repository, policies and tags in it
//	ecr/image/<account>/<region>/<id>/<digest>    a manifest and the tags that name it
//	ecr/tag/<account>/<region>/<id>/<tag>         which digest a tag names
//	ecr/blob/<account>/<region>/<id>/<digest>     that a layer or config belongs to it
//	ecr/token-key/<account>/<region>/<id>         what login tokens are sealed with
//
// id is the repository's own, made new each time: deleting a repository is the
// deletion of one record, what it held is then nobody's, also when a new
// repository takes the name, and Sweep removes it.
//
// A layer outlives the images that have it by a day (unused.go): a push brings the
// layers before the image.
//
// A repository's record counts its images. Every transaction that adds or
// removes one writes the count, so that "delete when empty" and a push at the
// same moment cannot both win.
//
// # A push, step by step
//
//	GetAuthorizationToken   seals who the caller is into a password, for 12 hours
//	docker login            the registry opens the seal; nothing is stored
//	HEAD, POST, PATCH, PUT  each is one question to IAM, as that caller, with the
//	                        repository's policy: ecr:InitiateLayerUpload and so on.
//	                        A right taken away counts at once, not in 12 hours.
//	PUT manifest            image, tags and count in one transaction
//
// Not here: replication, pull-through caches, public repositories, signing and
// archiving. There is no scanner: an image of a repository with scanOnPush shows
// the scan status UNSUPPORTED_IMAGE and says why. Images lie on the disk as they
// were pushed: encryption other than AES256 (ECR's own, invisible one) is refused.
package ecr
