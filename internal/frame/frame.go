// Package frame carries several streams over one connection: a frame is a kind,
// a length (4 bytes, big endian) and so many bytes.
package frame

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"sync"
)

// Kind is the type of a frame; what the kinds mean is the protocol's affair.
type Kind byte

// Max bounds a frame; Stream cuts what is larger.
const Max = 1 << 20

// part is the size into which Stream cuts.
const part = 32 << 10

// Writer writes frames, from any goroutine.
type Writer struct {
	mu sync.Mutex
	w  io.Writer
}

// NewWriter returns a Writer on a connection.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Send writes a frame.
func (f *Writer) Send(k Kind, b []byte) error {
	if len(b) > Max {
		return fmt.Errorf("a frame of %d bytes", len(b))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	head := binary.BigEndian.AppendUint32([]byte{byte(k)}, uint32(len(b)))
	_, err := f.w.Write(append(head, b...))
	return err
}

// SendJSON writes a frame of JSON.
func (f *Writer) SendJSON(k Kind, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return f.Send(k, b)
}

// Stream is the Writer as an io.Writer of frames of one kind.
func (f *Writer) Stream(k Kind) io.Writer { return stream{f, k} }

type stream struct {
	f *Writer
	k Kind
}

func (s stream) Write(b []byte) (int, error) {
	n := 0
	for len(b) > 0 {
		p := b[:min(len(b), part)]
		if err := s.f.Send(s.k, p); err != nil {
			return n, err
		}
		n, b = n+len(p), b[len(p):]
	}
	return n, nil
}

// Read reads a frame.
func Read(r io.Reader) (Kind, []byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > Max {
		return 0, nil, fmt.Errorf("a frame of %d bytes", n)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return Kind(head[0]), b, err
}
