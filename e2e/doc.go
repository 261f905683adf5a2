// Package e2e tests minato through its front door: the real aws CLI, skopeo,
// curl and SDKs against the real binary with real containers.
package e2e
