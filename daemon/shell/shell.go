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
// A frame is a type, a length (4 bytes, big endian) and so many bytes. When the
// connection breaks, the process is killed.
package shell

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"sync"
)

// Path is where the handler stands on the control socket, and protocol what the
// connection is upgraded to.
const (
	Path     = "/shell"
	protocol = "minato-shell"
)

// kind is the type of a frame.
type kind byte

const (
	kindStart  kind = iota + 1 // request, once
	kindStdin                  // bytes
	kindClosed                 // stdin has ended
	kindResize                 // size
	kindStdout                 // bytes
	kindStderr                 // bytes
	kindExit                   // int32
	kindFailed                 // text: why there is no exit code
)

// maxFrame bounds a frame; output is cut into smaller ones.
const maxFrame = 1 << 20

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

// framer writes frames from several goroutines.
type framer struct {
	mu sync.Mutex
	w  io.Writer
}

func (f *framer) send(k kind, b []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	head := binary.BigEndian.AppendUint32([]byte{byte(k)}, uint32(len(b)))
	_, err := f.w.Write(append(head, b...))
	return err
}

func (f *framer) sendJSON(k kind, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return f.send(k, b)
}

// stream is a framer as a writer of one kind of frames.
type stream struct {
	f *framer
	k kind
}

func (s stream) Write(b []byte) (int, error) {
	n := 0
	for len(b) > 0 {
		part := b[:min(len(b), 32<<10)]
		if err := s.f.send(s.k, part); err != nil {
			return n, err
		}
		n, b = n+len(part), b[len(part):]
	}
	return n, nil
}

// receive reads a frame.
func receive(r io.Reader) (kind, []byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > maxFrame {
		return 0, nil, fmt.Errorf("shell: a frame of %d bytes", n)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return kind(head[0]), b, err
}
