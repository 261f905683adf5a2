package proxy

import (
	"crypto/tls"
	"net/netip"
	"time"
)

// Config is the whole wanted state. Whoever hands it over must not change it
// afterwards.
type Config struct {
	LoadBalancers []LoadBalancer
	TargetGroups  []TargetGroup
}

// LoadBalancer is one load balancer: some addresses and what listens on them.
type LoadBalancer struct {
	ID        string // opaque, unique
	Network   string // the network its addresses are in; given to Sockets
	Nodes     []Node
	Listeners []Listener
	Options   Options
}

// Node is an address of a load balancer and the zone it stands in.
type Node struct {
	Addr netip.Addr
	Zone string
}

// Options are a load balancer's settings.
type Options struct {
	IdleTimeout        time.Duration // without a byte from client or target; 0 means 60 s
	ClientKeepAlive    time.Duration // longest life of a client connection; 0 means 1 h
	DropInvalidHeaders bool          // drop header fields whose names are not made of letters, digits and hyphens
	XForwardedFor      ForwardedMode // what to do with X-Forwarded-For
	ClientPort         bool          // put the client's port into X-Forwarded-For too
	Desync             DesyncMode    // what to do with requests that two readers could read differently
	TLSHeaders         bool          // tell targets the client's TLS version and cipher suite
	NoHTTP2            bool          // do not offer HTTP/2 to clients
	Recorded           bool          // tell of every request (Proxy.OnExchange)
	Connections        bool          // tell of every connection (Proxy.OnConnection)
}

// DesyncMode says which requests are passed on, by how they comply with RFC 9112
// (http1.Class). Where a message ends is never left to chance: a request that
// cannot be framed for sure is refused in every mode.
type DesyncMode uint8

// The modes of desync mitigation.
const (
	Defensive DesyncMode = iota // an ambiguous request is the last one of its connections
	Monitor                     // ambiguous requests pass as others do
	Strictest                   // only requests without any fault pass
)

// ForwardedMode says what happens to X-Forwarded-For.
type ForwardedMode uint8

// The modes of X-Forwarded-For.
const (
	Append   ForwardedMode = iota // add the client's address at the end
	Preserve                      // leave as it came
	Remove                        // take it out
)

// Listener is a port with rules.
type Listener struct {
	ID    string
	Port  uint16
	Rules []Rule // in any order; the lowest priority that matches wins
	// Default is done when no rule matches.
	Default Action
	// HideServer takes the Server header out of targets' answers.
	HideServer bool
	// SetHeaders are fields of every answer, in the place of a target's own.
	SetHeaders []HeaderField
	// TLSVersion and TLSCipher are the names of the fields of Options.TLSHeaders; empty:
	// ALB's.
	TLSVersion, TLSCipher string
	// TLS ends clients' TLS here; nil takes plain connections.
	TLS *TLS
	// IdleTimeout is that of the listener; 0 stands for the load balancer's.
	IdleTimeout time.Duration
	// Stream passes bytes and knows nothing of HTTP: each connection goes to one
	// target of the default action, which is a forward. There are no rules.
	Stream bool
}

// HeaderField is a field of a head.
type HeaderField struct{ Name, Value string }

// TLS is how a listener speaks TLS.
type TLS struct {
	// Certificates are tried in this order for the name a client asks for; the
	// first is for those that match none.
	Certificates []*tls.Certificate
	MinVersion   uint16
	MaxVersion   uint16
	CipherSuites []uint16      // up to TLS 1.2
	Curves       []tls.CurveID // nil: Go's
	// ALPN are the protocols a stream listener offers; others offer what they speak.
	ALPN []string
}

// Rule is an action and what must hold for it.
type Rule struct {
	ID         string
	Priority   int
	Conditions []Condition // all must hold
	Action     Action
}

// Field is what a Condition looks at.
type Field uint8

// The fields of conditions.
const (
	Path     Field = iota // the path, case-sensitive pattern
	Host                  // the host name without port, pattern
	Method                // the method, exactly
	Header                // the header named Name, pattern
	Query                 // key and value of the query string, patterns
	SourceIP              // the address the connection comes from
)

// Condition holds when one of its values matches. In patterns * stands for any
// number of characters and ? for one.
type Condition struct {
	Field   Field
	Name    string // of a Header
	Values  []string
	Regexes []string       // of Path, Host and Header: see Regexp; a host's are for any case
	Queries []QueryPattern // of a Query
	Sources []netip.Prefix // of SourceIP
}

// QueryPattern matches one parameter of the query string; an empty Key any. After
// a backslash * and ? stand for themselves.
type QueryPattern struct{ Key, Value string }

// Action is what is done with a request. Exactly one member is set.
type Action struct {
	Forward  *Forward
	Fixed    *FixedResponse
	Redirect *Redirect
}

// Forward sends the request to one of the groups, chosen by weight.
type Forward struct {
	Groups []WeightedGroup
	// Sticky is how long a client keeps the group it was given; 0 is not at all.
	Sticky time.Duration
	// Rewrite changes the request before a target gets it; nil is not at all.
	Rewrite *Rewrite
}

// Rewrite is what becomes of a request's Host, and of its path and query. Where a
// pattern does not match, nothing; where the result is none, the answer is 500.
type Rewrite struct{ Host, URL *Substitution }

// Substitution puts Replace in the place of the first match of Regex. $1 and so on
// stand for its groups.
type Substitution struct{ Regex, Replace string }

// WeightedGroup is a group and its share; weight 0 gets nothing.
type WeightedGroup struct {
	TargetGroup string
	Weight      int
}

// FixedResponse is an answer without a target.
type FixedResponse struct {
	Status      int
	ContentType string
	Body        string
}

// Redirect answers with another address. Each part may hold the placeholders
// #{protocol}, #{host}, #{port}, #{path} and #{query}, which stand for those of
// the request; an empty part is the request's own.
type Redirect struct {
	Status   int    // 301 or 302
	Protocol string // "HTTP", "HTTPS"
	Host     string
	Port     string
	Path     string // begins with /
	Query    string
}

// Algorithm is how a group chooses among its targets.
type Algorithm uint8

// The algorithms.
const (
	RoundRobin Algorithm = iota
	LeastOutstanding
)

// Protocol is what is spoken with targets.
type Protocol uint8

// The protocols of target groups. What a client speaks must fit: HTTP/1.1 goes
// to HTTP1 only, gRPC not to HTTP1.
const (
	HTTP1 Protocol = iota
	HTTP2
	GRPC
	Stream // of stream listeners only
)

// TargetGroup is a set of targets, and how they are checked.
type TargetGroup struct {
	ID        string
	Protocol  Protocol
	TLS       bool // to targets; their certificates are not verified
	Algorithm Algorithm
	Stickiness
	// SlowStart is how long the share of a target that became healthy grows
	// from nothing to full; paced.
	SlowStart time.Duration
	// ZoneOnly keeps requests in the zone of the node they came to.
	ZoneOnly bool
	// Fewer healthy targets than either of these, and requests go to all that do
	// not drain (fail open). 0 stands for 1 target and for no percentage.
	MinHealthyCount, MinHealthyPercent int
	// ProxyProtocol begins streams to targets with who the client is (version 2).
	ProxyProtocol bool
	// Linger lets connections to targets that are no longer in the Config live
	// until they end, instead of cutting them.
	Linger bool
	// CutUnhealthy closes the connections to a target that fails its checks.
	CutUnhealthy bool
	Check        Check
	Targets      []Target
}

// Stickiness keeps a client at the target that answered it first.
type Stickiness struct {
	// Sticky is for how long; 0 is not at all.
	Sticky time.Duration
	// AppCookie is the cookie of the application that the stickiness follows;
	// "" is a cookie of the load balancer's own. Streams go by the client's address.
	AppCookie string
}

// Target is one address requests go to.
type Target struct {
	Address  netip.AddrPort
	Zone     string // "" is in every zone
	Draining bool
	// Last is what was known of the target before a restart; it is looked at
	// only when the engine does not know the target yet.
	Last *TargetHealth
}

// CheckKind is what a check asks.
type CheckKind uint8

// The kinds of checks.
const (
	CheckHTTP  CheckKind = iota // a GET over HTTP/1.1; the status must be among Codes
	CheckHTTP2                  // a GET over HTTP/2
	CheckGRPC                   // a call; the gRPC status must be among Codes
	CheckTCP                    // a connection that can be made
)

// Check is how targets are checked.
type Check struct {
	Disabled           bool // every target counts as healthy
	Kind               CheckKind
	TLS                bool   // certificates are not verified
	Port               uint16 // 0: the target's own
	Path               string // with query, begins with /; of CheckGRPC the method
	Interval           time.Duration
	Timeout            time.Duration
	HealthyThreshold   int
	UnhealthyThreshold int
	Codes              []CodeRange
}

// CodeRange is a range of status codes, both ends included.
type CodeRange struct{ From, To int }
