package multiplex

import (
	"net"
	"time"

	"minato/dataplane/proxy/loop"
)

// Pipe is what lies below a client's TLS: the socket while a goroutine serves the
// client (it does all handshakes), memory in a lane, where the loop receives and
// sends. A read that finds nothing there fails for now only: crypto/tls keeps
// what it has of a record and goes on the next time.
type Pipe struct {
	net.Conn            // nil in a lane
	To       *loop.Conn // in a lane
	In       []byte     // received, and not read yet
	Offered  []string   // by ALPN, where somebody may want to know
}

// notYet is the error of a read that finds nothing.
type notYet struct{}

// Error implements error.
func (notYet) Error() string { return "nothing received yet" }

// Timeout implements net.Error.
func (notYet) Timeout() bool { return true }

// Temporary implements net.Error: crypto/tls asks.
func (notYet) Temporary() bool { return true }

// Read implements net.Conn.
func (p *Pipe) Read(b []byte) (int, error) {
	switch {
	case len(p.In) > 0:
		n := copy(b, p.In)
		p.In = p.In[n:]
		return n, nil
	case p.Conn != nil:
		return p.Conn.Read(b)
	}
	return 0, notYet{}
}

// Write implements net.Conn.
func (p *Pipe) Write(b []byte) (int, error) {
	if p.Conn != nil {
		return p.Conn.Write(b)
	}
	p.To.Out = append(p.To.Writer(), b...)
	return len(b), nil
}

// Close implements net.Conn. A lane closes by itself.
func (p *Pipe) Close() error {
	if p.Conn != nil {
		return p.Conn.Close()
	}
	return nil
}

// SetDeadline implements net.Conn. Times in a lane are the loop's.
func (p *Pipe) SetDeadline(t time.Time) error {
	if p.Conn != nil {
		return p.Conn.SetDeadline(t)
	}
	return nil
}

// SetReadDeadline implements net.Conn.
func (p *Pipe) SetReadDeadline(t time.Time) error {
	if p.Conn != nil {
		return p.Conn.SetReadDeadline(t)
	}
	return nil
}

// SetWriteDeadline implements net.Conn.
func (p *Pipe) SetWriteDeadline(t time.Time) error {
	if p.Conn != nil {
		return p.Conn.SetWriteDeadline(t)
	}
	return nil
}
