package daemon

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"minato/aws/identity"
	"minato/dataplane/network"
	"minato/gateway"
	"minato/gateway/session"
	"minato/services/ec2"
	"minato/services/ecs/reach"
)

// endpoints keep AWS's services listening at the VPC endpoints: at the addresses
// of their interfaces, or where their routes lead. A request that comes in there
// is marked with the endpoint, whose policy counts for it.
type endpoints struct {
	d *daemon

	mu      sync.Mutex
	current map[string]ec2.Endpoint       // by id
	running map[string]context.CancelFunc // by id and address
}

func newEndpoints(d *daemon) *endpoints {
	return &endpoints{d: d, current: map[string]ec2.Endpoint{}, running: map[string]context.CancelFunc{}}
}

// update is called after each change of the network: what came is served, what
// went is not.
func (e *endpoints) update(all []ec2.Endpoint) {
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(e.current)
	there := map[string]bool{}
	serve := func(id, at string, listen func(context.Context) (net.Listener, error)) {
		key := id + " " + at
		there[key] = true
		if e.running[key] == nil {
			ctx, cancel := context.WithCancel(e.d.ctx)
			e.running[key] = cancel
			e.d.wg.Go(func() { e.run(ctx, id, listen) })
		}
	}
	for _, x := range all {
		e.current[x.ID] = x
		for _, a := range x.Addrs {
			serve(x.ID, a.String(), func(ctx context.Context) (net.Listener, error) {
				return e.d.network.Listen(ctx, x.VPC, netip.AddrPortFrom(a, httpsPort))
			})
		}
		if x.Of.Gateway {
			serve(x.ID, "tls", func(ctx context.Context) (net.Listener, error) {
				return e.d.network.ListenEndpoint(ctx, x.ID, httpsPort)
			})
			serve(x.ID, "plain", func(ctx context.Context) (net.Listener, error) {
				return e.d.network.ListenEndpoint(ctx, x.ID, e.d.plainPort())
			})
		}
	}
	for key, cancel := range e.running {
		if !there[key] {
			cancel()
			delete(e.running, key)
		}
	}
}

// run serves at one address of an endpoint until ctx ends.
func (e *endpoints) run(ctx context.Context, id string, listen func(context.Context) (net.Listener, error)) {
	for ctx.Err() == nil {
		l, err := listen(ctx)
		if err == nil {
			err = e.serve(ctx, id, l)
		}
		if err != nil && ctx.Err() == nil {
			e.d.log.Debug("a VPC endpoint", "endpoint", id, "error", err)
		}
		select {
		case <-time.After(retry):
		case <-ctx.Done():
		}
	}
}

func (e *endpoints) serve(ctx context.Context, id string, l net.Listener) error {
	srv := &http.Server{
		Handler: e.handler(id), ReadHeaderTimeout: 30 * time.Second, ErrorLog: slog.NewLogLogger(e.d.log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, eitherKey{}, c) },
	}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	err := srv.Serve(eitherListener{l, e.d.ca.TLSConfig()})
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// handler answers at an endpoint: the registry at its own, the channels of agents
// at theirs, the API at the others.
func (e *endpoints) handler(id string) http.Handler {
	api, registry := e.d.gateway.Handler(), e.d.ecr.Registry()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		x, ok := e.current[id]
		e.mu.Unlock()
		if !ok {
			http.Error(w, "the VPC endpoint is gone", http.StatusServiceUnavailable)
			return
		}
		ctx := gateway.Through(r.Context(), passed(&x, r.RemoteAddr))
		r = r.WithContext(ctx)
		if c, ok := ctx.Value(eitherKey{}).(*eitherConn); ok && c.secure {
			r.TLS = &tls.ConnectionState{}
		}
		switch x.Of.Name {
		case "ecr.dkr":
			registry.ServeHTTP(w, r)
		case "ssmmessages":
			if strings.HasPrefix(r.URL.Path, session.Path) {
				e.d.sessions.ServeHTTP(w, r)
				return
			}
			fallthrough
		default:
			api.ServeHTTP(w, r)
		}
	})
}

// passed is an endpoint as a request from an address passes it.
func passed(x *ec2.Endpoint, from string) *identity.Endpoint {
	source, _, _ := strings.Cut(from, ":")
	return &identity.Endpoint{ID: x.ID, VPC: x.VPC, Policy: x.Policy, Signing: x.Of.Signing, Actions: x.Of.Actions, Source: source}
}

// eitherKey is the context's key of a request's connection.
type eitherKey struct{}

// eitherListener takes TLS and plain HTTP at one port: a program that does not
// trust our CA is given the names of endpoints without TLS.
type eitherListener struct {
	net.Listener
	config *tls.Config
}

func (l eitherListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &eitherConn{Conn: c, config: l.config}, nil
}

// eitherConn is a connection that is found to be TLS, or not, by its first byte
// when it is first read.
type eitherConn struct {
	net.Conn // as it was accepted
	config   *tls.Config
	once     sync.Once
	secure   bool
	spoken   atomic.Pointer[net.Conn] // what is read and written, once it is known
}

// handshakeByte begins every connection of TLS.
const handshakeByte = 0x16

func (c *eitherConn) Read(b []byte) (int, error) {
	c.once.Do(func() {
		p := &peeked{Conn: c.Conn, r: bufio.NewReaderSize(c.Conn, 1024)}
		spoken := net.Conn(p)
		first, err := p.r.Peek(1)
		if c.secure = err == nil && first[0] == handshakeByte; c.secure {
			spoken = tls.Server(p, c.config)
		}
		c.spoken.Store(&spoken)
	})
	return (*c.spoken.Load()).Read(b)
}

// Write implements net.Conn. A server reads first.
func (c *eitherConn) Write(b []byte) (int, error) {
	if spoken := c.spoken.Load(); spoken != nil {
		return (*spoken).Write(b)
	}
	return c.Conn.Write(b)
}

// Close implements net.Conn.
func (c *eitherConn) Close() error {
	if spoken := c.spoken.Load(); spoken != nil {
		return (*spoken).Close()
	}
	return c.Conn.Close()
}

// peeked is a connection of which something was read ahead.
type peeked struct {
	net.Conn
	r *bufio.Reader
}

func (p *peeked) Read(b []byte) (int, error) { return p.r.Read(b) }

// Way implements reach.Ways: a host of the region has the address that its VPC
// is told. Where nobody is told any, and in other regions, it is that of AWS's
// services.
func (e *endpoints) Way(ctx context.Context, vpc, subnet, host string) (reach.Way, error) {
	addr := network.ServiceAddress(e.d.cfg.PublicCIDR)
	if strings.HasSuffix(host, "."+e.d.cfg.Region+".amazonaws.com") {
		if found, err := e.d.dns.Lookup(ctx, vpc, host); err == nil {
			addr = found[0]
		}
	}
	way := reach.Way{Address: netip.AddrPortFrom(addr, httpsPort)}
	all, err := e.d.ec2.Endpoints(ctx) // as they are now: a policy counts at once
	if err != nil {
		return way, err
	}
	for _, x := range all {
		if x.VPC != vpc {
			continue
		}
		leads := slices.Contains(x.Addrs, addr)
		if x.Of.Gateway && addr == network.ObjectsAddress(e.d.cfg.PublicCIDR) {
			if leads, err = e.d.ec2.Leads(ctx, subnet, x.Tables); err != nil {
				return way, err
			}
		}
		if leads {
			way.Through = passed(&x, "")
			break
		}
	}
	return way, nil
}

// Variables implements reach.Ways: the SDKs are led by AWS_ENDPOINT_URL to the
// address of all services, to which a VPC without a way out does not lead; what it
// has an endpoint for is reached there.
func (e *endpoints) Variables(vpc string) []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []string
	for _, x := range e.current {
		switch {
		case x.VPC != vpc || x.Of.SDK == "":
		case x.Of.Gateway:
			out = append(out, fmt.Sprintf("AWS_ENDPOINT_URL_%s=http://%s:%d", x.Of.SDK, network.ObjectsAddress(e.d.cfg.PublicCIDR), e.d.plainPort()))
		case x.Private != nil:
			out = append(out, fmt.Sprintf("AWS_ENDPOINT_URL_%s=http://%s:%d", x.Of.SDK, x.Private.Name, httpsPort))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
