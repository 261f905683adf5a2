package accesslog

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"

	"minato/aws"
	s3api "minato/aws/api/s3"
	"minato/aws/identity"
	"minato/dataplane/proxy"
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

// Collector gathers lines and brings them to buckets.
type Collector struct {
	s3  Bucket
	log *slog.Logger
	now func() time.Time

	mu        sync.Mutex
	balancers map[string]*Balancer // by ARN
	open      map[place]*file
	waiting   []*file // whole, and not in the bucket yet
}

type place struct {
	balancer string
	node     netip.Addr
}

// file is one log file.
type file struct {
	of   *Balancer
	node netip.Addr
	body bytes.Buffer
	zip  *gzip.Writer
	end  time.Time
}

// New returns a collector of nothing.
func New(s3 Bucket, now func() time.Time, log *slog.Logger) *Collector {
	return &Collector{s3: s3, now: now, log: log, balancers: map[string]*Balancer{}, open: map[place]*file{}}
}

// Set says whose requests are logged, and where to.
func (c *Collector) Set(all []Balancer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.balancers)
	for i := range all {
		c.balancers[all[i].ARN] = &all[i]
	}
}

// Add adds the line of a request.
func (c *Collector) Add(x *proxy.Exchange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.balancers[x.LoadBalancer]
	if b == nil {
		return
	}
	at := place{x.LoadBalancer, x.Node}
	f := c.open[at]
	if f == nil {
		f = &file{node: x.Node}
		f.zip = gzip.NewWriter(&f.body)
		c.open[at] = f
	}
	f.of = b // where the bucket is now
	_, _ = f.zip.Write(b.Append(nil, x))
	if f.body.Len() >= maxFile {
		c.shut(at, f)
	}
}

// shut ends a file.
func (c *Collector) shut(at place, f *file) {
	_ = f.zip.Close() // into memory
	f.zip, f.end = nil, c.now()
	delete(c.open, at)
	c.waiting = append(c.waiting, f)
	if over := len(c.waiting) - maxWaiting; over > 0 {
		c.log.Warn("access logs are lost: their bucket cannot be written", "files", over, "bucket", c.waiting[0].of.Bucket)
		c.waiting = append([]*file(nil), c.waiting[over:]...)
	}
}

// Deliver brings what was gathered to the buckets. What cannot be brought waits
// for the next time.
func (c *Collector) Deliver(ctx context.Context) {
	c.mu.Lock()
	for at, f := range c.open {
		c.shut(at, f)
	}
	files := c.waiting
	c.waiting = nil
	c.mu.Unlock()
	var left []*file
	for _, f := range files {
		if err := c.put(ctx, f.of, f.key(), "application/x-gzip", f.body.Bytes()); err != nil {
			c.log.Warn("an access log was not delivered", "loadBalancer", f.of.Name, "bucket", f.of.Bucket, "error", err)
			left = append(left, f)
		}
	}
	c.mu.Lock()
	c.waiting = append(left, c.waiting...)
	c.mu.Unlock()
}

// key is the name of a file in its bucket.
func (f *file) key() string {
	b, end := f.of, f.end.UTC()
	return fmt.Sprintf("%selasticloadbalancing/%s/%s/%s_elasticloadbalancing_%s_%s_%s_%s_%s.log.gz",
		b.root(), b.Region, end.Format("2006/01/02"), b.Account, b.Region, strings.ReplaceAll(b.Name, "/", "."), end.Format("20060102T1504Z"), f.node, ids.Alnum(8))
}

// root is what the names of all files of an account begin with.
func (b *Balancer) root() string {
	root := "AWSLogs/" + b.Account + "/"
	if b.Prefix != "" {
		root = b.Prefix + "/" + root
	}
	return root
}

// Test writes the file with which ELB finds out whether it may write to a bucket.
func (c *Collector) Test(ctx context.Context, b *Balancer) error {
	text := "Enable AccessLog for ELB: " + strings.Split(b.Name, "/")[1] + " at " + c.now().UTC().Format("2006-01-02T15:04:05.000Z")
	return c.put(ctx, b, b.root()+"ELBAccessLogTestFile", "text/plain", []byte(text))
}

// put writes an object as the delivery of logs, on behalf of the load balancer.
func (c *Collector) put(ctx context.Context, b *Balancer, key, contentType string, body []byte) error {
	caller := identity.ServiceCaller(Principal, b.Account, b.Region)
	caller.Source = b.ARN
	_, err := c.s3.PutObject(identity.With(ctx, caller), &s3api.PutObjectInput{
		Bucket: &b.Bucket, Key: &key, Body: io.NopCloser(bytes.NewReader(body)), ContentType: &contentType, ACL: aws.Ptr(s3api.ObjectCannedACLBucketOwnerFullControl),
	})
	return err
}
