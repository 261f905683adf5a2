//go:build tools

// Package ecspresso pins ecspresso, a deployment tool for ECS, for the end-to-end
// tests: a module of its own, so that its dependencies are not minato's. Its code is
// as released; the AWS SDK under it is a newer one, which knows AWS_ENDPOINT_URL.
package ecspresso

import _ "github.com/kayac/ecspresso/cmd/ecspresso"
