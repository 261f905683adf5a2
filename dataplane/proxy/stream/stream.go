// Package stream is a connection as a goroutine of the load balancer reads and
// writes it: with a buffer, whole heads, the idle time, and counts of what moved.
package stream

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"minato/dataplane/proxy/http1"
)

// BufferSize is how large a buffer is at first.
const BufferSize = 16 << 10

// ErrTooLong is the error of a head that has more than http1.MaxHead bytes.
var ErrTooLong = errors.New("the head is too long")

// Activity is when a byte last moved in an exchange, in either direction: a
// side that is silent is not idle while the other one is busy.
type Activity struct{ at atomic.Int64 }

// Touch notes that a byte moved.
func (a *Activity) Touch() { a.at.Store(int64(time.Since(begun))) }

// Since is how long ago that was.
func (a *Activity) Since() time.Duration { return time.Since(begun) - time.Duration(a.at.Load()) }

// begun is what activities are counted from, so that setting the clock makes
// nothing idle.
var begun = time.Now()

// Stream is a connection and what was read from it and not used yet.
type Stream struct {
	net.Conn
	buf  []byte // buf[r:w] is not used yet
	r, w int
	Idle time.Duration
	End  time.Time // reading ends then, however busy; zero is never
	Busy *Activity
	halt atomic.Bool // Fill must not wait
	// Counted here too, by who reads and by who writes.
	NRead, NWritten int64
	// Where bytes are counted; nil for targets.
	In, Out *atomic.Uint64
}

var buffers = sync.Pool{New: func() any { return new([BufferSize]byte) }}

// GetBuffer is a buffer of BufferSize.
func GetBuffer() []byte { return buffers.Get().(*[BufferSize]byte)[:] }

// PutBuffer gives a buffer back to be used again.
func PutBuffer(b []byte) {
	if cap(b) >= BufferSize {
		buffers.Put((*[BufferSize]byte)(b[:BufferSize]))
	}
}

// Release gives the buffer back while the connection rests.
func (s *Stream) Release() {
	if s.buf != nil {
		PutBuffer(s.buf)
		s.buf, s.r, s.w = nil, 0, 0
	}
}

// Empty reports whether all that was read is used.
func (s *Stream) Empty() bool { return s.r == s.w }

// Begin puts what was read before in front of what is to be read.
func (s *Stream) Begin(prefix []byte) {
	s.buf = GetBuffer()
	for len(s.buf) < len(prefix) {
		s.buf = make([]byte, 2*len(s.buf))
	}
	s.w = copy(s.buf, prefix)
}

// Unread is what was read and not used yet.
func (s *Stream) Unread() []byte { return s.buf[s.r:s.w] }

// Fill reads more into the buffer, which grows as far as a head may be long.
func (s *Stream) Fill() error {
	if s.buf == nil {
		s.buf = GetBuffer()
	}
	if s.r == s.w {
		s.r, s.w = 0, 0
	}
	if s.w == len(s.buf) {
		if s.r > 0 {
			s.w = copy(s.buf, s.buf[s.r:s.w])
			s.r = 0
		} else if len(s.buf) >= http1.MaxHead {
			return ErrTooLong
		} else {
			bigger := make([]byte, 2*len(s.buf))
			copy(bigger, s.buf)
			PutBuffer(s.buf)
			s.buf = bigger
		}
	}
	n, err := s.Receive(s.buf[s.w:])
	s.w += n
	return err
}

// Receive reads from the connection past the buffer. It gives up when neither
// side moved a byte for the idle time.
func (s *Stream) Receive(p []byte) (int, error) {
	for {
		until := time.Now().Add(s.Idle)
		if !s.End.IsZero() && s.End.Before(until) {
			until = s.End
		}
		s.SetReadDeadline(until)
		if s.halt.Load() {
			return 0, os.ErrDeadlineExceeded
		}
		n, err := s.Conn.Read(p)
		if n > 0 {
			if s.Busy != nil {
				s.Busy.Touch()
			}
			if s.In != nil {
				s.In.Add(uint64(n))
			}
			s.NRead += int64(n)
			return n, nil
		}
		if err != nil && (!IsTimeout(err) || s.halt.Load() || s.Busy == nil || s.Busy.Since() >= s.Idle) {
			return 0, err
		}
	}
}

// Interrupt ends a read that another goroutine waits in, and all that follow
// until resume.
func (s *Stream) Interrupt() {
	s.halt.Store(true)
	s.SetReadDeadline(time.Unix(1, 0))
}

// Resume has reads wait again.
func (s *Stream) Resume() { s.halt.Store(false) }

// Send writes all of p.
func (s *Stream) Send(p []byte) error {
	_, err := s.SendSome(p)
	return err
}

// SendSome writes all of p, or says how much of it was taken.
func (s *Stream) SendSome(p []byte) (int, error) {
	s.SetWriteDeadline(time.Now().Add(s.Idle))
	n, err := s.Conn.Write(p)
	if err == nil && s.Busy != nil {
		s.Busy.Touch()
	}
	if s.Out != nil {
		s.Out.Add(uint64(n))
	}
	s.NWritten += int64(n)
	return n, err
}

// Head waits for a whole head and returns it; it stays in the buffer until
// something is read again.
func (s *Stream) Head() ([]byte, error) {
	seen := 0
	for {
		if n := http1.HeadEnd(s.Unread(), seen); n > 0 {
			h := s.buf[s.r : s.r+n]
			s.r += n
			return h, nil
		}
		seen = s.w - s.r
		if err := s.Fill(); err != nil {
			return nil, err
		}
	}
}

// IsTimeout tells whether an error is that a time was over.
func IsTimeout(err error) bool {
	var ne net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &ne) && ne.Timeout()
}

// Pass passes bytes from one side to the other until the first ends, and ends
// the second then. It reports false when something failed.
func Pass(from, to *Stream) bool {
	p := GetBuffer()
	defer PutBuffer(p)
	for {
		n, err := from.Receive(p)
		if n > 0 && to.Send(p[:n]) != nil {
			return false
		}
		if err != nil {
			half, ok := to.Conn.(interface{ CloseWrite() error })
			return err == io.EOF && ok && half.CloseWrite() == nil
		}
	}
}
