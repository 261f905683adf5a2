package accesslog

import (
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzip"

	"minato/dataplane/proxy"
)

// A line is written where its request was served, often on the thread of an event loop
// that serves thousands of others. So it goes to a page in memory and no lock is waited
// for there; pages that are full are compressed by a goroutine of their own.

const (
	// pageSize is how much a page has when it is full, but for the last line.
	pageSize = 64 << 10
	// maxQueued is how much may wait to be compressed. What comes then is lost, and
	// counted.
	maxQueued = 16 << 20
	// writers is how many can write to a desk at once without waiting.
	writers = 4
)

// desk is where the lines of one load balancer's node and kind are written.
type desk struct {
	at    place
	of    atomic.Pointer[Balancer] // nil: none are wanted any more
	sheet [writers]sheet
}

// sheet is what one at a time writes to.
type sheet struct {
	mu   sync.Mutex
	line line
	n    int // lines
}

// page is lines that go to a file.
type page struct {
	at    place
	of    *Balancer
	lines []byte
	n     int
}

// Loss is lines that are in no file.
type Loss struct {
	Kind  Kind
	Lines int
	Last  time.Time
	Why   string
}

// Losses are the lines of a load balancer that were lost since the daemon began.
func (c *Collector) Losses(balancer string) (all []Loss) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range Kinds() {
		if l := c.losses[target{balancer, k}]; l != nil {
			all = append(all, *l)
		}
	}
	return all
}

// lose counts lines that are lost. c.mu is held.
func (c *Collector) lose(at target, n int, why string) {
	l := c.losses[at]
	if l == nil {
		l = &Loss{Kind: at.kind}
		c.losses[at] = l
	}
	l.Lines, l.Last, l.Why = l.Lines+n, c.now(), why
}

// Add adds the line of a request.
func (c *Collector) Add(x *proxy.Exchange) {
	if d := c.desk(place{target{x.LoadBalancer, Access}, x.Node}); d != nil {
		c.add(d, func(b *Balancer, w *line) { b.exchange(w, x) })
	}
}

// AddConnection adds the line of a connection: to the connection logs, and of network
// load balancers, where it came over TLS, to the access logs.
func (c *Collector) AddConnection(x *proxy.Connection) {
	switch {
	case !x.Stream:
		if d := c.desk(place{target{x.LoadBalancer, Connections}, x.Node}); d != nil {
			c.add(d, func(b *Balancer, w *line) { b.connection(w, x) })
		}
	case x.Secure:
		if d := c.desk(place{target{x.LoadBalancer, Access}, x.Node}); d != nil {
			c.add(d, func(b *Balancer, w *line) { b.stream(w, x) })
		}
	}
}

// AddCheck adds the line of a health check.
func (c *Collector) AddCheck(x *proxy.Checked) {
	c.mu.Lock()
	b := c.groups[x.TargetGroup]
	c.mu.Unlock()
	if b == nil {
		return
	}
	if d := c.desk(place{target{b.ARN, Checks}, x.Result.From}); d != nil {
		c.add(d, func(b *Balancer, w *line) { b.check(w, x) })
	}
}

// desk is where the lines of a place are written; nil when nobody wants them.
func (c *Collector) desk(at place) *desk {
	d := (*c.desks.Load())[at]
	if d == nil {
		d = c.newDesk(at)
	}
	return d
}

// newDesk makes one, if there are to be lines.
func (c *Collector) newDesk(at place) *desk {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.writes(at.target)
	if b == nil {
		return nil
	}
	all := maps.Clone(*c.desks.Load())
	d := all[at]
	if d == nil {
		d = &desk{at: at}
		d.of.Store(b)
		all[at] = d
		c.desks.Store(&all)
	}
	return d
}

// add has a line written.
func (c *Collector) add(d *desk, write func(*Balancer, *line)) {
	s := d.take()
	defer s.mu.Unlock()
	b := d.of.Load()
	if b == nil {
		return
	}
	write(b, &s.line)
	s.n++
	if len(s.line.b) >= pageSize {
		c.turn(page{d.at, b, s.line.b, s.n})
		s.line.b, s.n = blank(), 0
	}
}

// take is a sheet that nobody writes to.
func (d *desk) take() *sheet {
	for i := range d.sheet {
		if d.sheet[i].mu.TryLock() {
			return &d.sheet[i]
		}
	}
	d.sheet[0].mu.Lock()
	return &d.sheet[0]
}

var blanks = sync.Pool{New: func() any { return new([pageSize + pageSize/4]byte) }}

// blank is an empty page.
func blank() []byte { return blanks.Get().(*[pageSize + pageSize/4]byte)[:0] }

// reuse takes a page back.
func reuse(lines []byte) {
	if cap(lines) == pageSize+pageSize/4 {
		blanks.Put((*[pageSize + pageSize/4]byte)(lines[:cap(lines)]))
	}
}

// turn puts a page that is full into the queue.
func (c *Collector) turn(p page) {
	c.queueing.Lock()
	c.queue = append(c.queue, p)
	c.queued += len(p.lines)
	if c.queued > maxQueued {
		c.queued -= len(p.lines)
		reuse(p.lines)
		c.queue[len(c.queue)-1].lines = nil // its lines are counted when its turn comes
	}
	start := !c.writing
	c.writing = true
	c.queueing.Unlock()
	if start {
		go c.write()
	}
}

// write brings the pages of the queue to their files.
func (c *Collector) write() {
	for {
		c.mu.Lock()
		more := c.next()
		c.mu.Unlock()
		if !more {
			return
		}
	}
}

// next brings one page of the queue to its file; it reports false when there was none.
// c.mu is held, so that who has it finds all pages in the queue or in a file.
func (c *Collector) next() bool {
	c.queueing.Lock()
	if len(c.queue) == 0 {
		c.queue, c.writing = nil, false
		c.queueing.Unlock()
		return false
	}
	p := c.queue[0]
	c.queue[0] = page{}
	c.queue = c.queue[1:]
	c.queued -= len(p.lines)
	c.queueing.Unlock()
	if p.lines == nil {
		c.lose(p.at.target, p.n, "there were more than could be compressed")
		return true
	}
	c.file(p)
	reuse(p.lines)
	return true
}

// gather brings all that was written to files. c.mu is held.
func (c *Collector) gather() {
	for c.next() {
	}
	kept := map[place]*desk{}
	for at, d := range *c.desks.Load() {
		for i := range d.sheet {
			s := &d.sheet[i]
			s.mu.Lock()
			p := page{at, d.of.Load(), s.line.b, s.n}
			s.line.b, s.n = nil, 0
			s.mu.Unlock()
			if p.n > 0 && p.of != nil {
				c.file(p)
			}
			reuse(p.lines)
		}
		if d.of.Load() != nil {
			kept[at] = d
		}
	}
	c.desks.Store(&kept)
}

// file brings a page to its file. c.mu is held.
func (c *Collector) file(p page) {
	f := c.open[p.at]
	if f == nil {
		f = &file{kind: p.at.kind, node: p.at.node}
		f.zip, _ = gzip.NewWriterLevel(&f.body, gzip.BestSpeed)
		c.open[p.at] = f
	}
	f.of = p.of // where the bucket is now
	_, _ = f.zip.Write(p.lines)
	if f.n += p.n; f.body.Len() >= maxFile {
		c.shut(p.at, f)
	}
}

// shut ends a file.
func (c *Collector) shut(at place, f *file) {
	_ = f.zip.Close() // into memory
	f.zip, f.end = nil, c.now()
	delete(c.open, at)
	c.waiting = append(c.waiting, f)
	for len(c.waiting) > maxWaiting {
		over := c.waiting[0]
		c.waiting[0] = nil
		c.waiting = c.waiting[1:]
		c.log.Warn("an access log is lost: its bucket cannot be written", "lines", over.n, "bucket", over.to().Bucket)
		if at := (target{over.of.ARN, over.kind}); c.wanted(at) {
			c.lose(at, over.n, fmt.Sprintf("their bucket %s could not be written", over.to().Bucket))
		}
	}
}
