// Package targets is whom the load balancer gives requests to: target groups, how
// healthy their targets are, who gets the next request, and the connections to them.
//
//	Group      checks its targets (package check), and enrolls who is healthy
//	           (roster.go); Choose takes one for a request, Flow for a stream
//	Target     one of them: counts, requests in flight, slow start
//	Pool       its connections: a goroutine's (Upstream) with those at rest, and all
//	           that event loops have, to be closed when it drains or goes
//	AtRest     those of one event loop that are at rest; the loop's thread alone has it
//	Carriers   its connections that speak HTTP/2
//
// A target that is taken out drains: it gets nothing new, connections at rest are
// closed, the others when their requests are answered. One that is gone is cut off.
package targets

import (
	"context"
	"sync"
	"time"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/loop"
	"minato/dataplane/proxy/news"
	"minato/internal/clock"
)

// Env is what all groups work with.
type Env struct {
	Context context.Context // until all ends
	Work    *sync.WaitGroup
	Sockets proxy.Sockets
	Clock   clock.Clock
	News    *news.News
	Checked func(*proxy.Checked)
	Loops   []*loop.Loop // that have connections to targets
}

const (
	// ConnectTimeout is how long a target may take to accept a connection: ALB's.
	ConnectTimeout = 10 * time.Second
	// MaxIdle is how many connections of a target rest in each loop, and beside the
	// loops.
	MaxIdle = 1024
	// MaxRest is how long they rest.
	MaxRest       = time.Minute
	notReadyRetry = 200 * time.Millisecond
)
