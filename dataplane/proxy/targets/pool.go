package targets

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"minato/dataplane/proxy/secure"
	"minato/dataplane/proxy/stream"
)

// Pool holds the connections to one target: those at rest, for the next
// request, and all of them, to be cut.
type Pool struct {
	t *Target

	mu       sync.Mutex
	idle     []*Upstream // the one used last is taken first
	open     map[*Upstream]struct{}
	fast     map[InLoop]struct{} // those of loops
	draining bool                // nothing is put back
	gone     bool                // nothing is opened
	shut     atomic.Bool         // either of the two
}

// Upstream is a connection to a target.
type Upstream struct {
	stream.Stream
	pool   *Pool
	node   netip.Addr
	Reused bool
	rested time.Time
	raw    syscall.RawConn
	alive  bool
	peek   func(fd uintptr) bool // made once; writes alive
}

func (p *Pool) init(t *Target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.draining, p.gone = false, false
	p.shut.Store(false)
	if p.open == nil {
		p.t = t
		p.open, p.fast = map[*Upstream]struct{}{}, map[InLoop]struct{}{}
	}
}

// Take returns a connection at rest that is still good, or nil.
func (p *Pool) Take(node netip.Addr) *Upstream {
	for {
		u := p.pop(node)
		if u == nil || u.good() {
			return u
		}
		u.Close()
	}
}

func (p *Pool) pop(node netip.Addr) *Upstream {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := len(p.idle) - 1; i >= 0; i-- {
		if u := p.idle[i]; u.node == node {
			p.idle = append(p.idle[:i], p.idle[i+1:]...)
			u.Reused = true
			return u
		}
	}
	return nil
}

// Dial opens a connection.
func (p *Pool) Dial(ctx context.Context, network string, node netip.Addr) (*Upstream, error) {
	ctx, cancel := context.WithTimeout(ctx, ConnectTimeout)
	defer cancel()
	conn, err := p.t.Group.env.Sockets.Dial(ctx, network, node, p.t.Addr)
	if err != nil {
		return nil, err
	}
	p.t.Tally.NewConns.Add(1)
	u := &Upstream{pool: p, node: node}
	u.Conn = conn
	if p.t.Group.Settings.Load().TLS {
		if u.Conn, err = secure.ToTarget(ctx, conn); err != nil {
			p.t.Tally.TLSErrors.Add(1)
			return nil, err
		}
	}
	if sc, ok := conn.(syscall.Conn); ok { // also below TLS
		u.raw, _ = sc.SyscallConn()
	}
	u.peek = func(fd uintptr) bool {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		u.alive = err == syscall.EAGAIN
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		u.Conn.Close()
		return nil, net.ErrClosed
	}
	p.open[u] = struct{}{}
	return u, nil
}

// Target is whom the connection leads to.
func (u *Upstream) Target() *Target { return u.pool.t }

// good tells whether a connection at rest can be used: a target that closed it,
// or said something nobody asked for, shows at once.
func (u *Upstream) good() bool {
	if u.raw == nil {
		return true
	}
	return u.raw.Read(u.peek) == nil && u.alive
}

// Refused tells, after reading failed with err, whether the target's kernel threw
// away what was sent last, as it does when the target had closed the connection
// before it read it. The reset is what reading failed with, or comes after the
// end of the stream and waits in the socket.
func (u *Upstream) Refused(err error) bool {
	if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return true
	}
	if u.raw == nil {
		return false
	}
	refused := false
	u.raw.Control(func(fd uintptr) {
		code, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ERROR)
		refused = err == nil && code != 0
	})
	return refused
}

// Put lays a connection to rest.
func (u *Upstream) Put() {
	p := u.pool
	u.Release()
	p.mu.Lock()
	if !p.draining && !p.gone && len(p.idle) < MaxIdle {
		u.rested = time.Now()
		p.idle = append(p.idle, u)
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	u.Close()
}

// Close closes the connection.
func (u *Upstream) Close() {
	u.pool.mu.Lock()
	delete(u.pool.open, u)
	u.pool.mu.Unlock()
	u.Conn.Close()
	u.Release()
}

// drain closes what is at rest and lets the others finish.
func (p *Pool) drain() {
	p.mu.Lock()
	p.draining = true
	p.shut.Store(true)
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, u := range idle {
		u.Close()
	}
	for n, l := range p.t.Group.env.Loops {
		l.Do(p.t.AtRest[n].close)
	}
}

// Shut reports whether connections are not to rest any more.
func (p *Pool) Shut() bool { return p.shut.Load() }

// Join notes a connection of a loop; it reports false when the target is gone.
func (p *Pool) Join(u InLoop) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return false
	}
	p.fast[u] = struct{}{}
	return true
}

// Part forgets a connection of a loop.
func (p *Pool) Part(u InLoop) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.fast, u)
}

// cut closes everything, and nothing is opened any more.
func (p *Pool) cut() {
	p.drain()
	p.mu.Lock()
	p.gone = true
	p.mu.Unlock()
	p.sever()
}

// sever closes every connection; others may follow.
func (p *Pool) sever() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for u := range p.open {
		u.Conn.Close() // who uses it sees the error and forgets it
	}
	for u := range p.fast {
		u.Sever()
	}
}

// Sweep tidies the pools of a group; it is to be called now and then.
func (g *Group) Sweep(now time.Time) {
	g.mu.Lock()
	all := slices.Clone(g.targets)
	g.mu.Unlock()
	for _, t := range all {
		t.Pool.sweep(now)
	}
}

// sweep closes connections that rested for too long, or that the target closed.
func (p *Pool) sweep(now time.Time) {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	var kept []*Upstream
	for _, u := range idle {
		if now.Sub(u.rested) < MaxRest && u.good() {
			kept = append(kept, u)
		} else {
			u.Close()
		}
	}
	p.mu.Lock()
	if !p.draining {
		p.idle = append(kept, p.idle...)
		kept = nil
	}
	p.mu.Unlock()
	for _, u := range kept {
		u.Close()
	}
}
