package proxy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"
)

// Proxy is a load balancer's data plane.
type Proxy interface {
	// Set makes c the wanted state. It returns when the new rules and targets
	// count for every following request; sockets that cannot be opened yet are
	// tried again on their own and seen in Listeners. An error means that c
	// contradicts itself and nothing was changed.
	Set(ctx context.Context, c *Config) error

	// OnChange gives the function that is called, with nothing locked and never
	// twice at a time, after the health of a target or the state of a socket
	// changed. It says what to look at, not what happened. Call it before Set.
	OnChange(func(Change))

	// OnExchange gives the function that is told of every request of the load
	// balancers that are Recorded, by whoever served it: it must be quick, and may not
	// keep what it is told. Call it before Set.
	OnExchange(func(*Exchange))

	// OnConnection gives the function that is told of the clients' connections of the
	// load balancers whose Options say so. It must be quick. Call it before Set.
	OnConnection(func(*Connection))

	// OnCheck gives the function that is told of every check of a target. It must be
	// quick. Call it before Set.
	OnCheck(func(*Checked))

	// Health reports every target of a group in the order of the Config, and
	// false when the group is not in it.
	Health(targetGroup string) ([]TargetHealth, bool)

	// Listeners reports every socket of a load balancer.
	Listeners(loadBalancer string) []ListenerStatus

	// Counters reports what a load balancer has done since it was first Set.
	Counters(loadBalancer string) Counters
	// Account reports everything that is counted, of all there are now.
	Account() Account

	// Close closes every socket and ends every goroutine.
	Close() error
}

// Change names what changed. Exactly one member is set.
type Change struct {
	TargetGroup  string
	LoadBalancer string
}

// Sockets makes the sockets, because they live in networks of their own (the
// network namespace of a VPC).
type Sockets interface {
	// Listen opens a listening TCP socket at addr inside the named network.
	Listen(ctx context.Context, network string, addr netip.AddrPort) (net.Listener, error)
	// Dial opens a TCP connection inside the named network, from the address
	// from, to the address to. ctx carries the deadline.
	Dial(ctx context.Context, network string, from netip.Addr, to netip.AddrPort) (net.Conn, error)
	// Socket is a non-blocking TCP socket for such a connection, bound to from, for
	// who connects it and waits by himself. With an error Dial may still do.
	Socket(network string, from netip.Addr) (fd int, err error)
}

// ErrNotReady is wrapped by Sockets when the network or the node's address is
// not there yet: nothing is known of the target then, and it is soon tried again.
var ErrNotReady = errors.New("the node is not there yet")

// ListenerStatus is what became of one wanted socket.
type ListenerStatus struct {
	Listener string
	Address  netip.AddrPort
	Err      error // why it does not listen; nil when it does
}

// Counters is a load balancer's account since it was first Set.
type Counters struct {
	Requests          uint64 // answered or given up, by whatever means
	NewConnections    uint64 // accepted from clients
	ActiveConnections int64  // open now, from clients
	BytesIn           uint64 // request bytes read from clients
	BytesOut          uint64 // response bytes written to clients
	Target            Codes  // answers that targets gave
	Own               Codes  // answers the load balancer made itself, errors included
	ClientClosed      uint64 // the client left before the answer began (ALB's 460)
	TargetConnErrors  uint64 // connections to targets that could not be made
	Retries           uint64 // requests sent again on another connection
	NonCompliant      uint64 // requests that break RFC 9112 and were not refused for it by the parser
	TLSErrors         uint64 // handshakes with clients that failed
}

// Plus adds up two accounts.
func (c Counters) Plus(o Counters) Counters {
	return Counters{
		c.Requests + o.Requests, c.NewConnections + o.NewConnections, c.ActiveConnections + o.ActiveConnections, c.BytesIn + o.BytesIn, c.BytesOut + o.BytesOut,
		c.Target.Plus(o.Target), c.Own.Plus(o.Own), c.ClientClosed + o.ClientClosed, c.TargetConnErrors + o.TargetConnErrors, c.Retries + o.Retries,
		c.NonCompliant + o.NonCompliant, c.TLSErrors + o.TLSErrors,
	}
}

// Account is everything that is counted, by id and zone.
type Account struct {
	LoadBalancers map[string]map[string]Counters
	TargetGroups  map[string]map[string]GroupCounters
}

// GroupCounters is what the targets of a group in one zone have done.
type GroupCounters struct {
	Requests       uint64 // answered by a target
	Codes          Codes
	ConnErrors     uint64 // connections that could not be made
	TLSErrors      uint64 // handshakes with targets that failed
	NewConnections uint64
	BytesIn        uint64 // of streams: from targets
	BytesOut       uint64 // of streams: to targets
	Time           time.Duration
	Times          map[time.Duration]uint64 // how many answers took about so long until their head was here
	Healthy        int
	Unhealthy      int
}

// Codes counts answers by class.
type Codes struct {
	C2xx, C3xx, C4xx, C5xx uint64
	C500, C502, C503, C504 uint64 // within C5xx
	Redirects, Fixed       uint64 // of the load balancer's own answers: those that rules ask for
}

// Plus adds up two accounts.
func (c Codes) Plus(o Codes) Codes {
	return Codes{
		c.C2xx + o.C2xx, c.C3xx + o.C3xx, c.C4xx + o.C4xx, c.C5xx + o.C5xx,
		c.C500 + o.C500, c.C502 + o.C502, c.C503 + o.C503, c.C504 + o.C504, c.Redirects + o.Redirects, c.Fixed + o.Fixed,
	}
}
