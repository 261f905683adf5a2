// Package shell carries a terminal, or one command, from `minato shell` into a
// workspace: HTTP on the daemon's control socket, upgraded to frames both ways.
//
//	client                                   server
//	POST /shell, Upgrade: minato-shell ────►
//	                                   ◄──── 101
//	start {name, command, tty, size}   ────►  finds the workspace, execs in its container
//	stdin…, closed, resize             ────►
//	                                   ◄──── stdout…, stderr…
//	                                   ◄──── exit code, or failed with a text
//
// When the connection breaks, the process is killed.
package shell

import "minato/internal/frame"

// Path is where the handler stands on the control socket, and protocol what the
// connection is upgraded to.
const (
	Path     = "/shell"
	protocol = "minato-shell"
)

// The kinds of frames.
const (
	kindStart  frame.Kind = iota + 1 // request, once
	kindStdin                        // bytes
	kindClosed                       // stdin has ended
	kindResize                       // size
	kindStdout                       // bytes
	kindStderr                       // bytes
	kindExit                         // int32
	kindFailed                       // text: why there is no exit code
)

// request is what is to be run.
type request struct {
	Name    string   `json:"name"`              // of the workspace
	Command []string `json:"command,omitempty"` // empty: an interactive shell
	TTY     bool     `json:"tty"`
	Term    string   `json:"term,omitempty"`
	Size    size     `json:"size"`
}

// size is a terminal's.
type size struct {
	Width  uint16 `json:"width"`
	Height uint16 `json:"height"`
}
