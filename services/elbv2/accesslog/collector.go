package accesslog

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzip"

	"minato/aws"
	s3api "minato/aws/api/s3"
	"minato/aws/identity"
	"minato/internal/ids"
)

// Principal is the name under which logs are delivered: a bucket's policy has to
// let it write.
const Principal = "logdelivery.elasticloadbalancing.amazonaws.com"

const (
	// maxFile is how large a file may become before its five minutes are over.
	maxFile = 8 << 20
	// maxWaiting is how many files wait for a bucket that cannot be written.
	maxWaiting = 24
)

// Bucket is what is called of S3.
type Bucket interface {
	PutObject(context.Context, *s3api.PutObjectInput) (*s3api.PutObjectOutput, error)
}

// Kind is a kind of log.
type Kind uint8

// The kinds of logs.
const (
	Access      Kind = iota // of requests; of network load balancers, of connections over TLS
	Connections             // of connections to application load balancers
	Checks                  // of health checks
)

// Kinds are all of them.
func Kinds() []Kind { return []Kind{Access, Connections, Checks} }

// String is what ELB calls the kind.
func (k Kind) String() string {
	return [...]string{"Access logs", "Connection logs", "Health check logs"}[k]
}

// title is what the kind is called in the name of ELB's test file and what begins the
// names of its files.
func (k Kind) title() (test, file string) {
	switch k {
	case Connections:
		return "Connection", "conn_log_"
	case Checks:
		return "HealthCheck", "health_check_log_"
	}
	return "Access", ""
}

// Attributes is what the names of the attributes of a kind begin with.
func (k Kind) Attributes() string {
	return [...]string{"access_logs.s3.", "connection_logs.s3.", "health_check_logs.s3."}[k]
}

// Failure is a log that could not be brought to its bucket.
type Failure struct {
	Kind   Kind
	Bucket string
	Keys   string    // what the bucket's policy has to let be put
	Since  time.Time // when it first could not
	Files  int       // that wait
	Err    error
}

// Collector gathers lines and brings them to buckets.
type Collector struct {
	s3    Bucket
	log   *slog.Logger
	now   func() time.Time
	desks atomic.Pointer[map[place]*desk] // never changed, but replaced

	mu        sync.Mutex
	balancers map[string]*Balancer // by ARN
	groups    map[string]*Balancer // whose target groups are checked, by their ARNs
	open      map[place]*file
	waiting   []*file // whole, and not in the bucket yet
	failures  map[target]Failure
	losses    map[target]*Loss

	// Pages that are full, and not in a file yet. Who has queueing waits for nobody.
	queueing sync.Mutex
	queue    []page
	queued   int  // bytes in it
	writing  bool // somebody takes them out
}

// target is where logs of a kind go.
type target struct {
	balancer string
	kind     Kind
}

type place struct {
	target
	node netip.Addr
}

// file is one log file.
type file struct {
	of   *Balancer
	kind Kind
	node netip.Addr
	body bytes.Buffer
	zip  *gzip.Writer
	n    int // lines
	end  time.Time
}

// New returns a collector of nothing.
func New(s3 Bucket, now func() time.Time, log *slog.Logger) *Collector {
	c := &Collector{
		s3: s3, now: now, log: log, balancers: map[string]*Balancer{}, groups: map[string]*Balancer{}, open: map[place]*file{},
		failures: map[target]Failure{}, losses: map[target]*Loss{},
	}
	c.desks.Store(&map[place]*desk{})
	return c
}

// Set says what is logged, and where to.
func (c *Collector) Set(all []Balancer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gather() // what was written belongs to what was wanted then
	clear(c.balancers)
	clear(c.groups)
	for i := range all {
		b := &all[i]
		c.balancers[b.ARN] = b
		for _, g := range b.Groups {
			c.groups[g] = b
		}
	}
	for at, d := range *c.desks.Load() {
		d.of.Store(c.writes(at.target))
	}
	for at := range c.failures { // what is not wanted any more cannot fail
		if !c.wanted(at) {
			delete(c.failures, at)
		}
	}
	for at := range c.losses {
		if !c.wanted(at) {
			delete(c.losses, at)
		}
	}
}

// wanted tells whether a load balancer has logs of a kind.
func (c *Collector) wanted(at target) bool { return c.writes(at) != nil }

// writes is the load balancer, if it has logs of the kind.
func (c *Collector) writes(at target) *Balancer {
	if b := c.balancers[at.balancer]; b != nil && b.To[at.kind].Bucket != "" {
		return b
	}
	return nil
}

// Failures are the logs of a load balancer that could not be delivered the last time.
func (c *Collector) Failures(balancer string) (all []Failure) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range Kinds() {
		if f, ok := c.failures[target{balancer, k}]; ok {
			all = append(all, f)
		}
	}
	return all
}

// Deliver brings what was gathered to the buckets. What cannot be brought waits
// for the next time.
func (c *Collector) Deliver(ctx context.Context) {
	c.mu.Lock()
	c.gather()
	for at, f := range c.open {
		c.shut(at, f)
	}
	files := c.waiting
	c.waiting = nil
	c.mu.Unlock()
	var left []*file
	failures := map[target]Failure{}
	for _, f := range files {
		err := c.put(ctx, f.of, f.to().Bucket, f.key(), "application/x-gzip", f.body.Bytes())
		if err == nil {
			continue
		}
		c.log.Warn("a log of a load balancer was not delivered", "loadBalancer", f.of.Name, "bucket", f.to().Bucket, "error", err)
		left = append(left, f)
		at := target{f.of.ARN, f.kind}
		failures[at] = Failure{Kind: f.kind, Bucket: f.to().Bucket, Keys: f.of.root(f.kind) + "*", Since: c.now(), Files: failures[at].Files + 1, Err: err}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	left = slices.DeleteFunc(left, func(f *file) bool { return !c.wanted(target{f.of.ARN, f.kind}) })
	c.waiting = append(left, c.waiting...)
	for at, f := range failures {
		if !c.wanted(at) {
			delete(failures, at)
			continue
		}
		if before, ok := c.failures[at]; ok {
			f.Since = before.Since
			failures[at] = f
		}
	}
	for _, f := range files { // what went is well again; of what had nothing to bring nothing new is known
		delete(c.failures, target{f.of.ARN, f.kind})
	}
	maps.Copy(c.failures, failures)
}

// to is where the file goes.
func (f *file) to() Destination { return f.of.To[f.kind] }

// key is the name of a file in its bucket.
func (f *file) key() string {
	b, end := f.of, f.end.UTC()
	_, begin := f.kind.title()
	node := b.address(f.node) + "_"
	if b.Network {
		node = ""
	}
	return fmt.Sprintf("%selasticloadbalancing/%s/%s/%s%s_elasticloadbalancing_%s_%s_%s_%s%s.log.gz",
		b.root(f.kind), b.Region, end.Format("2006/01/02"), begin, b.Account, b.Region, strings.ReplaceAll(b.Name, "/", "."), end.Format("20060102T1504Z"), node, ids.Alnum(8))
}

// address is how logs call a node: by its public address, if it has one.
func (b *Balancer) address(node netip.Addr) string {
	if public := b.Public[node]; public.IsValid() {
		return public.String()
	}
	return node.String()
}

// root is what the names of all files of a kind begin with.
func (b *Balancer) root(k Kind) string {
	root := "AWSLogs/" + b.Account + "/"
	if prefix := b.To[k].Prefix; prefix != "" {
		root = prefix + "/" + root
	}
	return root
}

// Test writes the file with which ELB finds out whether it may write to a bucket.
func (c *Collector) Test(ctx context.Context, b *Balancer, k Kind) error {
	title, _ := k.title()
	text := "Enable " + title + "Log for ELB: " + strings.Split(b.Name, "/")[1] + " at " + c.now().UTC().Format("2006-01-02T15:04:05.000Z")
	return c.put(ctx, b, b.To[k].Bucket, b.root(k)+"ELB"+title+"LogTestFile", "text/plain", []byte(text))
}

// put writes an object as the delivery of logs, on behalf of the load balancer.
func (c *Collector) put(ctx context.Context, b *Balancer, bucket, key, contentType string, body []byte) error {
	caller := identity.ServiceCaller(Principal, b.Account, b.Region)
	caller.Source = b.ARN
	_, err := c.s3.PutObject(identity.With(ctx, caller), &s3api.PutObjectInput{
		Bucket: &bucket, Key: &key, Body: io.NopCloser(bytes.NewReader(body)), ContentType: &contentType, ACL: aws.Ptr(s3api.ObjectCannedACLBucketOwnerFullControl),
	})
	return err
}
