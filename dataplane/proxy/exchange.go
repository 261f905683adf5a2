package proxy

import (
	"crypto/tls"
	"net/netip"
	"slices"
	"time"
)

// Exchange is one request of a client and what came of it, as it is told of load
// balancers whose Options say Recorded, after the answer was sent. It is the engine's
// and used again for another request: who wants to keep it clones it.
type Exchange struct {
	LoadBalancer string
	Listener     string
	Port         uint16 // of the listener
	Node         netip.Addr
	Client       netip.AddrPort
	Connection   string // the same for all requests of a client's connection
	TLS          *tls.ConnectionState
	HTTP2, GRPC  bool

	Target      netip.AddrPort // not valid: the request was sent to none
	TargetGroup string

	Created, Ended time.Time // when the head was asked for, and when the answer was sent
	// Request is the time until the request was sent to the target, Thinking
	// until its answer began, Response until that was sent. Negative: it did not
	// come to that.
	Request, Thinking, Response time.Duration

	Status       int // what the client was told; 460 when it left before
	TargetStatus int // 0: the target did not answer
	BytesIn      int64
	BytesOut     int64

	// Of the head; empty when none could be read.
	Method, Host, URI  []byte // URI is path and query
	UserAgent, TraceID []byte
	Version            string
	WebSocket          bool

	Rule     int    // priority of the rule that matched; 0 is the default action, -1 none
	Action   string // "forward", "redirect", "fixed-response"; empty: it did not come to that
	Location string // of a redirect
	// What a rewrite made of Host and URI; empty where it left them. Transformed is
	// what came of it: "TransformSuccess" and the like; empty: there was none.
	NewHost, NewURI, Transformed string
	Class                        string // how the request complies: "Acceptable", "Ambiguous", "Severe"; empty: it does
	Why                          string // of Class
}

// Clone is a copy that is the caller's.
func (x *Exchange) Clone() *Exchange {
	c := *x
	for _, text := range []*[]byte{&c.Method, &c.Host, &c.URI, &c.UserAgent, &c.TraceID} {
		*text = slices.Clone(*text)
	}
	return &c
}

// Connection is a connection of a client. It is told of when it was made, or could
// not be; that of a stream listener when it has ended.
type Connection struct {
	LoadBalancer string
	Listener     string
	Port         uint16 // of the listener
	Stream       bool
	Node         netip.Addr
	Client       netip.AddrPort
	Name         string // Exchange.Connection of its requests

	Accepted, At time.Time
	Secure       bool                 // the listener speaks TLS
	TLS          *tls.ConnectionState // nil: plain, or the handshake failed
	Handshake    time.Duration
	Alert        int      // of TLS, by which the client ended the handshake; -1: none
	Offered      []string // by ALPN, on a stream listener

	// Of streams.
	Target            netip.AddrPort // not valid: none took it
	BytesIn, BytesOut int64          // from the client and to it
}

// Checked is one check of a target.
type Checked struct {
	TargetGroup string
	Target      netip.AddrPort
	Kind        CheckKind
	TLS         bool
	Result      CheckResult
}
