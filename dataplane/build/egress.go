package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/containerd/containerd/v2/pkg/oci"
	resourcestypes "github.com/moby/buildkit/executor/resources/types"
	"github.com/moby/buildkit/util/network"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// proxyPort is where the way out listens, on loopback of each namespace.
const proxyPort = "3128"

type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// egressProvider gives each RUN step a network namespace of its own.
type egressProvider struct{ dial dialFunc }

// Close implements network.Provider.
func (*egressProvider) Close() error { return nil }

// egressNamespace is a namespace with a proxy in it. It is held by a file
// descriptor of this process and named by /proc, so that nothing of it can be
// left: no mount, no link.
type egressNamespace struct {
	ns     netns.NsHandle
	server *http.Server
}

var _ network.ProxyNamespace = (*egressNamespace)(nil)

// New implements network.Provider.
func (p *egressProvider) New(context.Context, string, network.NamespaceOptions) (network.Namespace, error) {
	ns, listener, err := newNamespace()
	if err != nil {
		return nil, fmt.Errorf("network of a RUN step: %w", err)
	}
	n := &egressNamespace{ns: ns, server: &http.Server{Handler: newProxy(p.dial), ReadHeaderTimeout: 30 * time.Second}}
	go n.server.Serve(listener) // ends with Close
	return n, nil
}

// newNamespace makes a namespace with loopback up, and a listener in it.
func newNamespace() (netns.NsHandle, net.Listener, error) {
	type result struct {
		ns       netns.NsHandle
		listener net.Listener
		err      error
	}
	done := make(chan result)
	go func() {
		// The thread changes its namespace and is not given back: it ends with
		// this goroutine, so that nothing else ever runs in there.
		runtime.LockOSThread()
		ns, listener, err := enterNew()
		done <- result{ns, listener, err}
	}()
	r := <-done
	return r.ns, r.listener, r.err
}

func enterNew() (netns.NsHandle, net.Listener, error) {
	ns, err := netns.New()
	if err != nil {
		return 0, nil, err
	}
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	var listener net.Listener
	if err == nil {
		listener, err = net.Listen("tcp4", "127.0.0.1:"+proxyPort)
	}
	if err != nil {
		ns.Close()
		return 0, nil, err
	}
	return ns, listener, nil
}

// Set implements network.Namespace.
func (n *egressNamespace) Set(s *specs.Spec) error {
	return oci.WithLinuxNamespace(specs.LinuxNamespace{
		Type: specs.NetworkNamespace, Path: fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), int(n.ns)),
	})(nil, nil, nil, s)
}

// Close implements network.Namespace.
func (n *egressNamespace) Close() error {
	return errors.Join(n.server.Close(), n.ns.Close())
}

// Sample implements network.Namespace.
func (n *egressNamespace) Sample() (*resourcestypes.NetworkSample, error) { return nil, nil }

// ProxyEnv implements network.ProxyNamespace.
func (n *egressNamespace) ProxyEnv() []string {
	return network.ProxyEnv("http://127.0.0.1:"+proxyPort, "localhost,127.0.0.1,::1")
}

// ProxyCACert implements network.ProxyNamespace: there is none, TLS goes
// through unread.
func (n *egressNamespace) ProxyCACert() []byte { return nil }

// errNotPublic is why a connection was refused.
var errNotPublic = errors.New("public addresses only")

// publicDialer dials what is neither this machine nor near it. The address is
// checked when it is connected to, after names were resolved. who is named in
// the refusal.
func publicDialer(who string) dialFunc {
	d := &net.Dialer{Timeout: 30 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		if !public(to.Addr()) {
			return fmt.Errorf("%s reaches %w, not %s", who, errNotPublic, to.Addr())
		}
		return nil
	}}
	return d.DialContext
}

// notPublic are the ranges besides those that netip knows: this network,
// carriers' NAT, protocol assignments, documentation, benchmarking (our own
// public addresses), reserved, and NAT64's way to all of them.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("64:ff9b::/96"),
}

func public(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, p := range notPublic {
		if p.Contains(a) {
			return false
		}
	}
	own, err := net.InterfaceAddrs() // this machine may have public addresses itself
	if err != nil {
		return false
	}
	for _, addr := range own {
		if p, err := netip.ParsePrefix(addr.String()); err != nil || p.Addr().Unmap() == a {
			return false
		}
	}
	return true
}

// newProxy returns the handler of an HTTP proxy that connects with dial.
func newProxy(dial dialFunc) http.Handler {
	transport := &http.Transport{DialContext: dial, DisableCompression: true, MaxIdleConns: 16, IdleConnTimeout: 30 * time.Second}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodConnect {
			tunnel(w, r, dial)
			return
		}
		if !r.URL.IsAbs() || r.URL.Scheme != "http" {
			http.Error(w, "this is a proxy", http.StatusBadRequest)
			return
		}
		out := r.Clone(r.Context())
		out.RequestURI = ""
		for _, name := range []string{"Proxy-Connection", "Proxy-Authorization", "Connection", "Te", "Trailer", "Upgrade"} {
			out.Header.Del(name)
		}
		resp, err := transport.RoundTrip(out)
		if err != nil {
			refuse(w, err)
			return
		}
		defer resp.Body.Close()
		for name, values := range resp.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(resp.StatusCode)
		io.Copy(w, resp.Body) // what is cut off, the client sees
	})
}

func refuse(w http.ResponseWriter, err error) {
	status := http.StatusBadGateway
	if errors.Is(err, errNotPublic) {
		status = http.StatusForbidden
	}
	http.Error(w, err.Error(), status)
}

// tunnel connects the client with the host it names.
func tunnel(w http.ResponseWriter, r *http.Request, dial dialFunc) {
	out, err := dial(r.Context(), "tcp", r.Host)
	if err != nil {
		refuse(w, err)
		return
	}
	defer out.Close()
	in, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		refuse(w, err)
		return
	}
	defer in.Close()
	if _, err := io.WriteString(in, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(out, buffered)
		if half, ok := out.(interface{ CloseWrite() error }); ok {
			half.CloseWrite()
		}
	}()
	io.Copy(in, out)
	in.Close() // the other direction is over too
	<-done
}
