package targets

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"

	"minato/dataplane/proxy/secure"
)

// Carriers are the HTTP/2 connections to one target, from each node.
type Carriers struct {
	mu   sync.Mutex
	by   map[netip.Addr]*http.Transport
	open map[*carrier]struct{}
}

// carrier is one of them.
type carrier struct {
	net.Conn
	of *Carriers
}

// Close implements net.Conn.
func (c *carrier) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}

// DialError is a connection that could not be made.
type DialError struct{ Err error }

// Error implements error.
func (e *DialError) Error() string { return e.Err.Error() }

// Of returns what carries requests from a node to the target.
func (c *Carriers) Of(t *Target, network string, node netip.Addr) *http.Transport {
	c.mu.Lock()
	defer c.mu.Unlock()
	if tr := c.by[node]; tr != nil {
		return tr
	}
	if c.by == nil {
		c.by, c.open = map[netip.Addr]*http.Transport{}, map[*carrier]struct{}{}
	}
	tr := &http.Transport{
		Protocols: unencryptedHTTP2(), DisableCompression: true, IdleConnTimeout: MaxRest,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return c.dial(ctx, t, network, node)
		},
	}
	c.by[node] = tr
	return tr
}

func (c *Carriers) dial(ctx context.Context, t *Target, network string, node netip.Addr) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, ConnectTimeout)
	defer cancel()
	conn, err := t.Group.env.Sockets.Dial(ctx, network, node, t.Addr)
	if err == nil && t.Group.Settings.Load().TLS {
		conn, err = secure.ToTarget(ctx, conn, "h2")
	}
	if err != nil {
		return nil, &DialError{err}
	}
	t.Tally.NewConns.Add(1)
	u := &carrier{conn, c}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[u] = struct{}{}
	return u, nil
}

// close closes everything.
func (c *Carriers) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for u := range c.open {
		u.Conn.Close()
	}
}

// unencryptedHTTP2 is HTTP/2 with prior knowledge and nothing else.
func unencryptedHTTP2() *http.Protocols {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return p
}
