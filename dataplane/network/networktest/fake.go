package networktest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"

	"minato/dataplane/network"
)

// Fake is a network without packets, for the tests of what stands on one. It
// keeps what was Set; listening and dialling inside a VPC go over loopback and no
// group is asked. Its fields are set before use.
type Fake struct {
	// Err, if set, is what Set answers.
	Err error
	// Dropped is what Drops reports.
	Dropped []network.Drop
	// Sockets is what Listening reports, by interface.
	Sockets map[string][]netip.AddrPort

	mu      sync.Mutex
	config  *network.Config
	sets    int
	changed chan struct{}
	open    map[string]netip.AddrPort // "VPC address:port" to the socket on loopback
}

var _ network.Network = (*Fake)(nil)

// NewFake returns a network of nothing.
func NewFake() *Fake {
	return &Fake{config: &network.Config{}, changed: make(chan struct{}), open: map[string]netip.AddrPort{}}
}

// Config returns what was Set last, and how often Set was called.
func (f *Fake) Config() (*network.Config, int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.config, f.sets
}

// Set implements network.Network.
func (f *Fake) Set(_ context.Context, c *network.Config) error {
	for _, v := range c.VPCs {
		seen := map[netip.Addr]string{}
		for _, e := range v.Interfaces {
			if other := seen[e.Addr]; other != "" {
				return fmt.Errorf("interface %s: %s is taken by %q", e.ID, e.Addr, other)
			}
			seen[e.Addr] = e.ID
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sets++
	if f.Err != nil {
		return f.Err
	}
	f.config = c
	close(f.changed)
	f.changed = make(chan struct{})
	return nil
}

func (f *Fake) vpc(id string) (network.VPC, bool) {
	i := slices.IndexFunc(f.config.VPCs, func(v network.VPC) bool { return v.ID == id })
	if i < 0 {
		return network.VPC{}, false
	}
	return f.config.VPCs[i], true
}

// Wait implements network.Network.
func (f *Fake) Wait(ctx context.Context, eni string) error {
	for {
		f.mu.Lock()
		changed := f.changed
		there := slices.ContainsFunc(f.config.VPCs, func(v network.VPC) bool {
			return slices.ContainsFunc(v.Interfaces, func(e network.Interface) bool { return e.ID == eni })
		})
		f.mu.Unlock()
		if there {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("interface %s is not there: %w", eni, ctx.Err())
		}
	}
}

// NetnsPath implements network.Network; nothing is there.
func (f *Fake) NetnsPath(eni string) string { return "/nonexistent/" + eni }

// Lookup implements network.Network.
func (f *Fake) Lookup(vpc string, a netip.Addr) (string, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	v, _ := f.vpc(vpc)
	for _, e := range v.Interfaces {
		if e.Addr == a.Unmap() {
			return e.ID, true
		}
	}
	return "", false
}

func key(vpc string, at netip.AddrPort) string { return vpc + " " + at.String() }

// Listen implements network.Network.
func (f *Fake) Listen(ctx context.Context, vpc string, at netip.AddrPort) (net.Listener, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.vpc(vpc); !ok {
		return nil, fmt.Errorf("no VPC %s", vpc)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f.open[key(vpc, at)] = l.Addr().(*net.TCPAddr).AddrPort()
	return callers{l}, nil
}

// ListenEndpoint implements network.Network; the socket is its VPC's, at the
// endpoint's address.
func (f *Fake) ListenEndpoint(ctx context.Context, endpoint string, port uint16) (net.Listener, error) {
	f.mu.Lock()
	c := f.config
	f.mu.Unlock()
	for _, v := range c.VPCs {
		for _, e := range v.Endpoints {
			if e.ID == endpoint {
				return f.Listen(ctx, v.ID, netip.AddrPortFrom(e.Addr, port))
			}
		}
	}
	return nil, fmt.Errorf("no endpoint %s", endpoint)
}

// ListenPacket implements network.Network.
func (f *Fake) ListenPacket(ctx context.Context, vpc string, _ netip.AddrPort) (net.PacketConn, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.vpc(vpc); !ok {
		return nil, fmt.Errorf("no VPC %s", vpc)
	}
	return new(net.ListenConfig).ListenPacket(ctx, "udp4", "127.0.0.1:0")
}

// Dial implements network.Network. The caller's address goes ahead on the wire,
// so that the listener sees it as the remote address.
func (f *Fake) Dial(ctx context.Context, vpc string, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
	f.mu.Lock()
	at, ok := f.open[key(vpc, to)]
	f.mu.Unlock()
	if !ok {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(to), Err: errors.New("nobody listens")}
	}
	c, err := new(net.Dialer).DialContext(ctx, "tcp4", at.String())
	if err != nil {
		return nil, err
	}
	b := from.As4()
	if _, err := c.Write(b[:]); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Socket implements network.Network.
func (f *Fake) Socket(string, netip.Addr) (int, error) { return -1, errors.ErrUnsupported }

// DialInterface implements network.Network: from the interface's address, in its VPC.
func (f *Fake) DialInterface(ctx context.Context, eni string, to netip.AddrPort) (net.Conn, error) {
	f.mu.Lock()
	c := f.config
	f.mu.Unlock()
	for _, v := range c.VPCs {
		for _, e := range v.Interfaces {
			if e.ID == eni {
				return f.Dial(ctx, v.ID, e.Addr, to)
			}
		}
	}
	return nil, fmt.Errorf("no interface %s", eni)
}

// callers is a listener whose connections begin with the caller's address.
type callers struct{ net.Listener }

func (l callers) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	var b [4]byte
	if _, err := c.Read(b[:]); err != nil {
		c.Close()
		return nil, err
	}
	return caller{c, netip.AddrFrom4(b)}, nil
}

type caller struct {
	net.Conn
	from netip.Addr
}

func (c caller) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(c.from, c.Conn.RemoteAddr().(*net.TCPAddr).AddrPort().Port()))
}

// Listening implements network.Network.
func (f *Fake) Listening(_ context.Context, eni string) ([]netip.AddrPort, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, v := range f.config.VPCs {
		if slices.ContainsFunc(v.Interfaces, func(e network.Interface) bool { return e.ID == eni && !e.Inside }) {
			return f.Sockets[eni], nil
		}
	}
	return nil, fmt.Errorf("no interface %s with a namespace of its own", eni)
}

// Drops implements network.Network.
func (f *Fake) Drops(context.Context) ([]network.Drop, error) { return f.Dropped, nil }

// Close implements network.Network.
func (f *Fake) Close() error { return nil }

// Purge implements network.Network.
func (f *Fake) Purge(context.Context) error { return nil }
