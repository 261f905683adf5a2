package metadata

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Network opens sockets inside a VPC: network.Network.
type Network interface {
	Listen(ctx context.Context, vpc string, addr netip.AddrPort) (net.Listener, error)
}

// Listeners has both endpoints listen in every VPC there is.
type Listeners struct {
	server  *Server
	network Network

	mu     sync.Mutex
	vpcs   map[string][]*http.Server
	closed bool
}

// NewListeners returns listeners in no VPC; Set says in which.
func NewListeners(s *Server, n Network) *Listeners {
	return &Listeners{server: s, network: n, vpcs: map[string][]*http.Server{}}
}

// Set opens the endpoints in VPCs that are new (and real in the network, with
// both addresses among their Services) and closes those of VPCs that are gone.
// One that cannot be opened is in the error and tried again by the next Set.
func (l *Listeners) Set(ctx context.Context, vpcs []string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	wanted := map[string]bool{}
	var errs []error
	for _, vpc := range vpcs {
		wanted[vpc] = true
		if l.vpcs[vpc] == nil {
			errs = append(errs, l.open(ctx, vpc))
		}
	}
	for vpc, servers := range l.vpcs {
		if !wanted[vpc] {
			closeAll(servers)
			delete(l.vpcs, vpc)
		}
	}
	return errors.Join(errs...)
}

func (l *Listeners) open(ctx context.Context, vpc string) error {
	var servers []*http.Server
	for _, e := range []struct {
		addr    netip.Addr
		handler http.Handler
	}{{TaskAddr, l.server.TaskHandler(vpc)}, {InstanceAddr, l.server.InstanceHandler(vpc)}} {
		ln, err := l.network.Listen(ctx, vpc, netip.AddrPortFrom(e.addr, Port))
		if err != nil {
			closeAll(servers)
			return err
		}
		srv := &http.Server{Handler: e.handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
		servers = append(servers, srv)
		go func() {
			if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
				l.server.Log.Warn("a metadata endpoint ended; the next Set opens it again", "vpc", vpc, "address", e.addr, "error", err)
				l.drop(vpc, srv)
			}
		}()
	}
	l.vpcs[vpc] = servers
	return nil
}

// drop forgets a VPC one of whose servers ended by itself.
func (l *Listeners) drop(vpc string, srv *http.Server) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if servers := l.vpcs[vpc]; slices.Contains(servers, srv) {
		closeAll(servers)
		delete(l.vpcs, vpc)
	}
}

// Close closes all endpoints.
func (l *Listeners) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for vpc, servers := range l.vpcs {
		closeAll(servers)
		delete(l.vpcs, vpc)
	}
}

func closeAll(servers []*http.Server) {
	for _, s := range servers {
		_ = s.Close()
	}
}
