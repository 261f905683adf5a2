// Package controller runs reconcilers: level-triggered loops that bring what is
// observed to what is wanted.
//
//	operation ──writes──► store ──watch──► bus ──key──► queue ──► Reconcile(key)
//	                                       ▲                          │ reads everything,
//	                         Publish(key) ─┘                          │ acts, writes what it saw
//	                         timer, start ───────────► queue ◄────────┘ Result.After, back-off
//
// A reconciler is woken by a key, never by an event's content; the key says
// where to look. Every key is queued at the start and at each resync, so a lost
// wake-up only costs time, and recovery after a crash is the normal path. A key
// never runs in two workers at once.
package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"minato/internal/clock"
	"minato/store"
)

// Reconciler brings the things of one kind to what is wanted of them.
type Reconciler interface {
	// Reconcile looks at one thing and acts. It must be idempotent, and must
	// take a key of a thing that is gone. An error is logged and tried again
	// after a while.
	Reconcile(ctx context.Context, key string) (Result, error)
	// Keys lists the keys of all things there are.
	Keys(ctx context.Context) ([]string, error)
}

// Result is how a reconcile ended well.
type Result struct {
	// After asks to be run again after this time even if nothing changes; zero
	// does not. The reconciler paces it itself, if nothing works in that time.
	After time.Duration
}

// Options is how a reconciler is run.
type Options struct {
	Workers int           // keys reconciled at the same time; 0 means 4
	Resync  time.Duration // all keys are queued so often, paced; 0 means a minute
}

// Controller runs reconcilers.
type Controller struct {
	clock clock.Clock
	log   *slog.Logger
	bus   *Bus

	loops   map[string]*loop
	stores  []store.Store
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	started bool
}

// loop is one reconciler with its queue.
type loop struct {
	*Controller
	name string
	r    Reconciler
	opt  Options
	q    *queue
}

// New returns a controller; reconcilers are added before Start.
func New(c clock.Clock, log *slog.Logger, bus *Bus) *Controller {
	return &Controller{clock: c, log: log, bus: bus, loops: map[string]*loop{}}
}

// Bus is the bus the controller was made with.
func (c *Controller) Bus() *Bus { return c.bus }

// Add adds a reconciler under a name. Adding after Start, or a name twice, is a
// fault of the build and panics.
func (c *Controller) Add(name string, r Reconciler, opt Options) {
	if c.started || c.loops[name] != nil {
		panic(fmt.Sprintf("controller: %s is added twice or too late", name))
	}
	if opt.Workers <= 0 {
		opt.Workers = 4
	}
	if opt.Resync <= 0 {
		opt.Resync = time.Minute
	}
	c.loops[name] = &loop{Controller: c, name: name, r: r, opt: opt, q: newQueue()}
}

// Enqueue asks a reconciler to look at a key soon. It does not block.
func (c *Controller) Enqueue(name, key string) {
	l := c.loops[name]
	if l == nil {
		panic("controller: there is no reconciler " + name)
	}
	l.q.add(key, c.clock.Steady(), c.clock.Paced)
}

// Wake has every change below a bus prefix enqueue a key: f says which, from
// the key that changed ("" for none). nil stands for the changed key itself.
func (c *Controller) Wake(name, prefix string, f func(changed string) string) {
	c.bus.Subscribe(prefix, func(key string) {
		if f != nil {
			key = f(key)
		}
		if key != "" {
			c.Enqueue(name, key)
		}
	})
}

// WatchStore has every change in a store published on the bus under the
// record's key, so that services need not publish by hand. Call it before Start.
func (c *Controller) WatchStore(s store.Store) { c.stores = append(c.stores, s) }

// Start queues every key of every reconciler and begins to work.
func (c *Controller) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel, c.started = cancel, true
	for _, s := range c.stores {
		// Watching begins now, before any key is queued: nothing falls between.
		_, rev, err := s.List(ctx, "", store.Page{Limit: 1})
		w := s.Watch("", rev)
		c.wg.Go(func() { c.follow(ctx, s, w, err) })
	}
	for _, l := range c.loops {
		for range l.opt.Workers {
			c.wg.Go(func() { l.work(ctx) })
		}
		c.wg.Go(func() { l.plan(ctx) })
		c.wg.Go(func() { l.resync(ctx) })
	}
}

// Stop cancels the context of running reconciles and waits for them to return.
func (c *Controller) Stop() {
	if !c.started {
		return
	}
	c.cancel()
	for _, l := range c.loops {
		l.q.close()
	}
	c.wg.Wait()
}

// ResyncAll queues every key of every reconciler.
func (c *Controller) ResyncAll(ctx context.Context) error {
	var errs []error
	for _, l := range c.loops {
		errs = append(errs, l.queueAll(ctx))
	}
	return errors.Join(errs...)
}

// follow publishes the changes of a store. When it has fallen behind, anything
// may have changed: every record's key is published and every key queued.
func (c *Controller) follow(ctx context.Context, s store.Store, w store.Watcher, err error) {
	for ctx.Err() == nil {
		if err != nil {
			if !errors.Is(err, store.ErrCompacted) {
				c.log.Error("cannot follow the store", "error", err)
				if clock.Sleep(ctx, c.clock, time.Second) != nil {
					return
				}
			}
			var recs []store.Record
			var rev store.Revision
			if recs, rev, err = s.List(ctx, "", store.Page{}); err != nil {
				continue
			}
			w = s.Watch("", rev)
			for _, r := range recs {
				c.bus.Publish(r.Key)
			}
			if err := c.ResyncAll(ctx); err != nil {
				c.log.Error("resync", "error", err)
			}
		}
		var events []store.Event
		if events, err = w.Next(ctx); errors.Is(err, store.ErrClosed) {
			return
		}
		for _, e := range events {
			c.bus.Publish(e.Key)
		}
	}
}

func (l *loop) work(ctx context.Context) {
	for {
		key, ok := l.q.take()
		if !ok {
			return
		}
		res, err := l.reconcile(ctx, key)
		if err != nil && ctx.Err() == nil {
			l.log.Warn("reconcile failed; it will be tried again", "reconciler", l.name, "key", key, "error", err)
		}
		l.q.done(key, res.After, err != nil, l.clock.Steady(), l.clock.Paced)
	}
}

// reconcile turns a panic into an error: one broken thing must not take the
// others down.
func (l *loop) reconcile(ctx context.Context, key string) (res Result, err error) {
	defer func() {
		if r := recover(); r != nil {
			l.log.Error("reconcile panicked", "reconciler", l.name, "key", key, "panic", r, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	return l.r.Reconcile(ctx, key)
}

// plan queues keys when their time has come.
func (l *loop) plan(ctx context.Context) {
	for {
		var timer <-chan time.Time
		if d, ok := l.q.plan(l.clock.Steady()); ok {
			timer = l.clock.After(d)
		}
		select {
		case <-timer:
		case <-l.q.replan:
		case <-ctx.Done():
			return
		}
	}
}

// resync queues every key at the start, and again and again.
func (l *loop) resync(ctx context.Context) {
	for ctx.Err() == nil {
		wait := l.clock.Paced(l.opt.Resync)
		if err := l.queueAll(ctx); err != nil && ctx.Err() == nil {
			l.log.Error("cannot list what there is to reconcile", "reconciler", l.name, "error", err)
			wait = time.Second
		}
		if clock.Sleep(ctx, l.clock, wait) != nil {
			return
		}
	}
}

func (l *loop) queueAll(ctx context.Context) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s: panic: %v\n%s", l.name, r, debug.Stack())
		}
	}()
	keys, err := l.r.Keys(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", l.name, err)
	}
	for _, key := range keys {
		l.q.add(key, l.clock.Steady(), l.clock.Paced)
	}
	return nil
}
