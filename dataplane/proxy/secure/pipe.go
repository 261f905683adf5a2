package secure

import (
	"net"
	"time"

	"minato/dataplane/proxy/loop"
)

// Pipe is what lies below a client's TLS: memory in a loop, which receives and
// sends; the socket while a goroutine serves the client.
type Pipe struct {
	net.Conn            // nil in a loop
	To       *loop.Conn // in a loop
	In       []byte     // received, and not read yet
	Offered  []string   // by ALPN, where somebody may want to know

	wait func() // of a handshake: until there is more in In
	shut bool   // there will not be
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
	if p.Conn != nil && len(p.In) == 0 {
		return p.Conn.Read(b)
	}
	for len(p.In) == 0 {
		switch {
		case p.shut:
			return 0, net.ErrClosed
		case p.wait == nil:
			return 0, notYet{}
		}
		p.wait()
	}
	n := copy(b, p.In)
	p.In = p.In[n:]
	return n, nil
}

// Write implements net.Conn.
func (p *Pipe) Write(b []byte) (int, error) {
	if p.Conn != nil {
		return p.Conn.Write(b)
	}
	p.To.Out = append(p.To.Writer(), b...)
	return len(b), nil
}

// Close implements net.Conn. A loop closes by itself.
func (p *Pipe) Close() error {
	if p.Conn != nil {
		return p.Conn.Close()
	}
	return nil
}

// SetDeadline implements net.Conn. Times in a loop are its own.
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
