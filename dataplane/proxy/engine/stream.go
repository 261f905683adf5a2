package engine

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"minato/dataplane/proxy/http1"
)

const (
	defaultIdle      = time.Minute
	defaultKeepAlive = time.Hour
	connectTimeout   = 10 * time.Second // ALB's
	notReadyRetry    = 200 * time.Millisecond
	maxIdle          = 1024 // connections at rest for each target and lane
	maxRest          = time.Minute
	sweepEvery       = 5 * time.Second
	bufferSize       = 16 << 10
)

var errTooLong = errors.New("the head is too long")

// activity is when a byte last moved in an exchange, in either direction: a
// side that is silent is not idle while the other one is busy.
type activity struct{ at atomic.Int64 }

func (a *activity) touch()               { a.at.Store(int64(time.Since(begun))) }
func (a *activity) since() time.Duration { return time.Since(begun) - time.Duration(a.at.Load()) }

// begun is what activities are counted from, so that setting the clock makes
// nothing idle.
var begun = time.Now()

// stream is a connection and what was read from it and not used yet.
type stream struct {
	net.Conn
	buf  []byte // buf[r:w] is not used yet
	r, w int
	idle time.Duration
	end  time.Time // reading ends then, however busy; zero is never
	busy *activity
	halt atomic.Bool // fill must not wait
	// Counted here too, by who reads and by who writes.
	nread, nwritten int64
	// Where bytes are counted; nil for targets.
	in, out *atomic.Uint64
}

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

func getBuffer() []byte { return buffers.Get().(*[bufferSize]byte)[:] }

func putBuffer(b []byte) {
	if cap(b) >= bufferSize {
		buffers.Put((*[bufferSize]byte)(b[:bufferSize]))
	}
}

// release gives the buffer back while the connection rests.
func (s *stream) release() {
	if s.buf != nil {
		putBuffer(s.buf)
		s.buf, s.r, s.w = nil, 0, 0
	}
}

// unread is what was read and not used yet.
func (s *stream) unread() []byte { return s.buf[s.r:s.w] }

// fill reads more into the buffer, which grows as far as a head may be long.
func (s *stream) fill() error {
	if s.buf == nil {
		s.buf = getBuffer()
	}
	if s.r == s.w {
		s.r, s.w = 0, 0
	}
	if s.w == len(s.buf) {
		if s.r > 0 {
			s.w = copy(s.buf, s.buf[s.r:s.w])
			s.r = 0
		} else if len(s.buf) >= http1.MaxHead {
			return errTooLong
		} else {
			bigger := make([]byte, 2*len(s.buf))
			copy(bigger, s.buf)
			putBuffer(s.buf)
			s.buf = bigger
		}
	}
	n, err := s.read(s.buf[s.w:])
	s.w += n
	return err
}

// read reads from the connection past the buffer. It gives up when neither
// side moved a byte for the idle time.
func (s *stream) read(p []byte) (int, error) {
	for {
		until := time.Now().Add(s.idle)
		if !s.end.IsZero() && s.end.Before(until) {
			until = s.end
		}
		s.SetReadDeadline(until)
		if s.halt.Load() {
			return 0, os.ErrDeadlineExceeded
		}
		n, err := s.Conn.Read(p)
		if n > 0 {
			if s.busy != nil {
				s.busy.touch()
			}
			if s.in != nil {
				s.in.Add(uint64(n))
			}
			s.nread += int64(n)
			return n, nil
		}
		if err != nil && (!isTimeout(err) || s.halt.Load() || s.busy == nil || s.busy.since() >= s.idle) {
			return 0, err
		}
	}
}

// interrupt ends a read that another goroutine waits in, and all that follow
// until resume.
func (s *stream) interrupt() {
	s.halt.Store(true)
	s.SetReadDeadline(time.Unix(1, 0))
}

func (s *stream) resume() { s.halt.Store(false) }

// send writes all of p.
func (s *stream) send(p []byte) error {
	_, err := s.write(p)
	return err
}

// write writes all of p, or says how much of it was taken.
func (s *stream) write(p []byte) (int, error) {
	s.SetWriteDeadline(time.Now().Add(s.idle))
	n, err := s.Conn.Write(p)
	if err == nil && s.busy != nil {
		s.busy.touch()
	}
	if s.out != nil {
		s.out.Add(uint64(n))
	}
	s.nwritten += int64(n)
	return n, err
}

// head waits for a whole head and returns it; it stays in the buffer until
// something is read again.
func (s *stream) head() ([]byte, error) {
	seen := 0
	for {
		if n := http1.HeadEnd(s.unread(), seen); n > 0 {
			h := s.buf[s.r : s.r+n]
			s.r += n
			return h, nil
		}
		seen = s.w - s.r
		if err := s.fill(); err != nil {
			return nil, err
		}
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &ne) && ne.Timeout()
}
