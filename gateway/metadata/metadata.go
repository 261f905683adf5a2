// Package metadata answers what a task or an instance may ask about itself:
//
//	169.254.170.2     task metadata (v3 and v4 at ECS_CONTAINER_METADATA_URI…), the task role's credentials,
//	                  and task protection at ECS_AGENT_URI
//	169.254.169.254   the instance metadata service, IMDSv2 with tokens and IMDSv1
//
// Both addresses exist inside every VPC; nobody outside reaches them. Who asks
// is known by where the packet came from: the VPC's listener and the source
// address name a network interface, and addresses cannot be forged inside a VPC.
// So nothing can be asked about another task, and an id in a URL is only looked
// for among what runs behind the asker's own interface.
//
// The package knows HTTP and the forms of the answers. What it answers comes
// from the services: Tasks from services/ecs, Instances from services/ec2.
//
// Not here: user data in parts, PKCS #7 signatures of the identity document,
// spot and scheduled events, IPv6 endpoints.
package metadata

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/netip"

	"minato/internal/clock"
)

// The addresses, and the port of both.
var (
	TaskAddr     = netip.MustParseAddr("169.254.170.2")
	InstanceAddr = netip.MustParseAddr("169.254.169.254")
)

// Port is the port of both addresses.
const Port = 80

// Locator tells which interface has an address in a VPC: network.Network.
type Locator interface {
	Lookup(vpc string, addr netip.Addr) (eni string, ok bool)
}

// Tasks is what services/ecs tells about the tasks behind an interface.
type Tasks interface {
	// Task returns the task behind an interface that has a container with the
	// metadata id that its ECS_CONTAINER_METADATA_URI_V4 ends with; nil if none.
	Task(ctx context.Context, eni, metadataID string) (*Task, error)
	// Stats measures a container of such a task; nil while it does not run.
	Stats(ctx context.Context, eni, metadataID string) (*Stats, error)
	// TaskCredentials returns keys of the role of a task behind the interface
	// whose AWS_CONTAINER_CREDENTIALS_RELATIVE_URI ends with id; nil if none.
	TaskCredentials(ctx context.Context, eni, id string) (*Credentials, error)
	// AsTaskRole returns ctx with the identity of the task's own role; nil if it
	// has none.
	AsTaskRole(ctx context.Context, eni, metadataID string) (context.Context, error)
}

// Instances is what services/ec2 tells about the instance behind an interface.
type Instances interface {
	// Instance returns the instance that an interface is attached to; nil if none.
	Instance(ctx context.Context, eni string) (*Instance, error)
	// InstanceCredentials returns keys of the role in the instance's profile; nil
	// if it has none.
	InstanceCredentials(ctx context.Context, instanceID string) (*Credentials, error)
}

// Options is what a Server needs. Tasks or Instances may be nil: then the
// endpoint knows nobody.
type Options struct {
	Locator   Locator
	Tasks     Tasks
	ECS       Protector // by which tasks protect themselves
	Instances Instances
	// Build answers POST /minato/build of an instance; nil answers 404. See
	// daemon/relay.
	Build func(w http.ResponseWriter, r *http.Request, instance string)
	Clock clock.Clock
	Log   *slog.Logger
}

// Server answers at both addresses, for all VPCs.
type Server struct {
	Options
	tokens  tokens
	samples samples
}

// New returns a server; see Listeners for how it is reached.
func New(opt Options) *Server {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	return &Server{Options: opt, tokens: newTokens()}
}

// caller is the interface that a request comes from; false, and answered, when
// there is none.
func (s *Server) caller(w http.ResponseWriter, r *http.Request, vpc string) (string, bool) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	addr, err := netip.ParseAddr(host)
	if err == nil {
		if eni, ok := s.Locator.Lookup(vpc, addr.Unmap()); ok {
			return eni, true
		}
	}
	http.Error(w, "no network interface of this VPC has the address "+host, http.StatusForbidden)
	return "", false
}

// fault answers a request that failed through no fault of the asker.
func (s *Server) fault(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return
	}
	s.Log.Error("metadata request failed", "path", r.URL.Path, "error", err)
	http.Error(w, "internal error", http.StatusInternalServerError)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b) // fails only when the asker is gone
}
