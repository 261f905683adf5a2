// Package relay lets `minato build` work inside a workspace, which has neither
// root nor a builder: the workspace sends the build context to the daemon over
// the instance metadata address, and the daemon builds.
//
//	POST http://169.254.169.254/minato/build, with a token of IMDSv2
//	  X-Minato-Build: base64 of the Request as JSON; body: the context as a tar
//	◄ 200, frames: progress…, archive…, and at the end result or failed
//
// Who asks is known by the network interface the request comes from, like for
// everything at that address. A push logs in with the keys of the role in that
// instance's profile, and with nothing else: not with what this machine's root
// has saved. So a build in a workspace may do what its instance's role may do.
//
// What comes is unpacked into a folder of its own, in which no name and no link
// leads out.
package relay

import "minato/internal/frame"

// Path is where the handler stands on the metadata address, Variable the
// environment variable that tells `minato build` that it is in a workspace; its
// value is the address.
const (
	Path     = "/minato/build"
	Variable = "MINATO_BUILD_RELAY"
)

// header carries the Request.
const header = "X-Minato-Build"

// Request is a build, with paths within the context.
type Request struct {
	Tag        string            `json:"tag,omitempty"`
	Dockerfile string            `json:"dockerfile,omitempty"` // "": Dockerfile
	Target     string            `json:"target,omitempty"`
	Platform   string            `json:"platform,omitempty"`
	NoCache    bool              `json:"noCache,omitempty"`
	Args       map[string]string `json:"args,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
	Archive    bool              `json:"archive,omitempty"` // send an OCI archive back
	Push       bool              `json:"push,omitempty"`
}

// result is the last frame of a build that went well.
type result struct {
	Digest string `json:"digest"`
}

// The kinds of frames.
const (
	kindProgress frame.Kind = iota + 1 // text
	kindArchive                        // bytes
	kindResult                         // result
	kindFailed                         // text
)

// Limits of a context.
const (
	maxContext = 4 << 30 // bytes
	maxEntries = 200_000
)
