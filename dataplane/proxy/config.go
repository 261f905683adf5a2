package proxy

import (
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
	Nodes     []netip.Addr
	Listeners []Listener
	Options   Options
}

// Options are a load balancer's settings.
type Options struct {
	IdleTimeout        time.Duration // without a byte from client or target; 0 means 60 s
	ClientKeepAlive    time.Duration // longest life of a client connection; 0 means 1 h
	DropInvalidHeaders bool          // drop header fields whose names are not made of letters, digits and hyphens
	XForwardedFor      ForwardedMode // what to do with X-Forwarded-For
	ClientPort         bool          // put the client's port into X-Forwarded-For too
	PreserveHost       bool          // leave Host exactly as sent (a port the client gave is kept either way)
	StrictDesync       bool          // refuse every request that breaks RFC 9112, also where it is harmless
}

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
	Queries []QueryPattern // of a Query
	Sources []netip.Prefix // of SourceIP
}

// QueryPattern matches one parameter of the query string; an empty Key any.
type QueryPattern struct{ Key, Value string }

// Action is what is done with a request. Exactly one member is set.
type Action struct {
	Forward  *Forward
	Fixed    *FixedResponse
	Redirect *Redirect
}

// Forward sends the request to one of the groups, chosen by weight.
type Forward struct{ Groups []WeightedGroup }

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

// TargetGroup is a set of targets, and how they are checked.
type TargetGroup struct {
	ID        string
	Algorithm Algorithm
	Check     Check
	Targets   []Target
}

// Target is one address requests go to.
type Target struct {
	Address  netip.AddrPort
	Draining bool
	// Last is what was known of the target before a restart; it is looked at
	// only when the engine does not know the target yet.
	Last *TargetHealth
}

// Check is how targets are checked.
type Check struct {
	Disabled           bool   // every target counts as healthy
	Port               uint16 // 0: the target's own
	Path               string // with query, begins with /
	Interval           time.Duration
	Timeout            time.Duration
	HealthyThreshold   int
	UnhealthyThreshold int
	Codes              []CodeRange
}

// CodeRange is a range of status codes, both ends included.
type CodeRange struct{ From, To int }
