package daemon

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"minato/aws/protocol"
	"minato/dataplane/network"
	"minato/gateway"
	"minato/gateway/session"
)

// httpsPort is where AWS's services are on their own address of the pool.
const httpsPort = 443

// plainPort is the port of the API without TLS, the same on the service address
// as on loopback.
func (d *daemon) plainPort() uint16 {
	return netip.MustParseAddrPort(d.cfg.Listen).Port() // checked by Config.Check
}

// door is what every client meets: the registry below /v2/, terminals of ECS Exec
// below their own path, AWS's API elsewhere. A bucket of S3 can be none of the
// three: their names are too short, or have capitals.
func (d *daemon) door() http.Handler {
	api, registry := d.gateway.Handler(), d.ecr.Registry()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, bucket := protocol.BucketOfHost(r.Host); bucket {
			api.ServeHTTP(w, r) // whatever the key is called
			return
		}
		if r.URL.Path == "/v2" || strings.HasPrefix(r.URL.Path, "/v2/") {
			registry.ServeHTTP(w, r)
			return
		}
		if strings.HasPrefix(r.URL.Path, session.Path) {
			d.sessions.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r)
	})
}

// serveServiceAddress opens the door at AWS's services' own addresses, by TLS and
// plain: VPCs reach them through their gateways, docker and skopeo by their names.
// S3 has its own, because a route can lead to S3 alone.
func (d *daemon) serveServiceAddress(door http.Handler) error {
	for _, addr := range []netip.Addr{network.ServiceAddress(d.cfg.PublicCIDR), network.ObjectsAddress(d.cfg.PublicCIDR)} {
		for port, secure := range map[uint16]bool{httpsPort: true, d.plainPort(): false} {
			l, err := net.Listen("tcp", netip.AddrPortFrom(addr, port).String())
			if err != nil {
				return fmt.Errorf("the addresses of AWS's services: %w", err)
			}
			if secure {
				l = tls.NewListener(l, d.ca.TLSConfig())
			}
			d.serve(l, door)
		}
	}
	return nil
}

// reachedAt is the address at which the client of a call reached us; from inside,
// the API's own.
func (d *daemon) reachedAt(ctx context.Context) string {
	if e := gateway.Endpoint(ctx); e != "" {
		return e
	}
	return "http://" + d.cfg.Listen
}

// endpointInside is the AWS_ENDPOINT_URL of tasks and workspaces.
func (d *daemon) endpointInside() string {
	return fmt.Sprintf("http://%s:%d", network.ServiceAddress(d.cfg.PublicCIDR), d.plainPort())
}
