package engine

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
)

// pool holds the connections to one target: those at rest, for the next
// request, and all of them, to be cut.
type pool struct {
	t *target

	mu       sync.Mutex
	idle     []*upstream // the one used last is taken first
	open     map[*upstream]struct{}
	fast     map[*fastUpstream]struct{} // those of lanes
	draining bool                       // nothing is put back
	gone     bool                       // nothing is opened
	shut     atomic.Bool                // either of the two
}

// upstream is a connection to a target.
type upstream struct {
	stream
	pool   *pool
	node   netip.Addr
	reused bool
	rested time.Time
	raw    syscall.RawConn
	alive  bool
	peek   func(fd uintptr) bool // made once; writes alive
}

func (p *pool) init(t *target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.draining, p.gone = false, false
	p.shut.Store(false)
	if p.open == nil {
		p.t = t
		p.open, p.fast = map[*upstream]struct{}{}, map[*fastUpstream]struct{}{}
	}
}

// take returns a connection at rest that is still good, or nil.
func (p *pool) take(node netip.Addr) *upstream {
	for {
		u := p.pop(node)
		if u == nil || u.good() {
			return u
		}
		u.close()
	}
}

func (p *pool) pop(node netip.Addr) *upstream {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := len(p.idle) - 1; i >= 0; i-- {
		if u := p.idle[i]; u.node == node {
			p.idle = append(p.idle[:i], p.idle[i+1:]...)
			u.reused = true
			return u
		}
	}
	return nil
}

// dial opens a connection.
func (p *pool) dial(ctx context.Context, network string, node netip.Addr) (*upstream, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := p.t.g.e.sockets.Dial(ctx, network, node, p.t.addr)
	if err != nil {
		return nil, err
	}
	p.t.tally.NewConns.Add(1)
	u := &upstream{pool: p, node: node}
	u.Conn = conn
	if p.t.g.settings.Load().TLS {
		if u.Conn, err = secure.ToTarget(ctx, conn); err != nil {
			p.t.tally.TLSErrors.Add(1)
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

// good tells whether a connection at rest can be used: a target that closed it,
// or said something nobody asked for, shows at once.
func (u *upstream) good() bool {
	if u.raw == nil {
		return true
	}
	return u.raw.Read(u.peek) == nil && u.alive
}

// refused tells, after reading failed with err, whether the target's kernel threw
// away what was sent last, as it does when the target had closed the connection
// before it read it. The reset is what reading failed with, or comes after the
// end of the stream and waits in the socket.
func (u *upstream) refused(err error) bool {
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

// put lays a connection to rest.
func (u *upstream) put() {
	p := u.pool
	u.release()
	p.mu.Lock()
	if !p.draining && !p.gone && len(p.idle) < maxIdle {
		u.rested = time.Now()
		p.idle = append(p.idle, u)
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	u.close()
}

func (u *upstream) close() {
	u.pool.mu.Lock()
	delete(u.pool.open, u)
	u.pool.mu.Unlock()
	u.Conn.Close()
	u.release()
}

// drain closes what is at rest and lets the others finish.
func (p *pool) drain() {
	p.mu.Lock()
	p.draining = true
	p.shut.Store(true)
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, u := range idle {
		u.close()
	}
	for n, l := range p.t.g.e.lanes {
		l.loop.Do(func() {
			for _, r := range p.t.idle[n].nodes {
				for _, u := range slices.Clone(r.all) {
					u.close()
				}
			}
		})
	}
}

// join notes a connection of a lane; it reports false when the target is gone.
func (p *pool) join(u *fastUpstream) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return false
	}
	p.fast[u] = struct{}{}
	return true
}

// part forgets a connection of a lane.
func (p *pool) part(u *fastUpstream) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.fast, u)
}

// cut closes everything, and nothing is opened any more.
func (p *pool) cut() {
	p.drain()
	p.mu.Lock()
	p.gone = true
	p.mu.Unlock()
	p.sever()
}

// sever closes every connection; others may follow.
func (p *pool) sever() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for u := range p.open {
		u.Conn.Close() // who uses it sees the error and forgets it
	}
	for u := range p.fast {
		u.lane.loop.Do(u.cut)
	}
}

// sweep closes connections that rested for too long, or that the target closed.
func (p *pool) sweep(now time.Time) {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	var kept []*upstream
	for _, u := range idle {
		if now.Sub(u.rested) < maxRest && u.good() {
			kept = append(kept, u)
		} else {
			u.close()
		}
	}
	p.mu.Lock()
	if !p.draining {
		p.idle = append(kept, p.idle...)
		kept = nil
	}
	p.mu.Unlock()
	for _, u := range kept {
		u.close()
	}
}

// sweep tidies all pools now and then.
func (e *Engine) sweep() {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-e.ctx.Done():
			return
		case now := <-tick.C:
			e.mu.Lock()
			var pools []*pool
			for _, g := range e.groups {
				g.mu.Lock()
				for _, t := range g.targets {
					pools = append(pools, &t.pool)
				}
				g.mu.Unlock()
			}
			e.mu.Unlock()
			for _, p := range pools {
				p.sweep(now)
			}
		}
	}
}
