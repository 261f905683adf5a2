package controller

import (
	"sync"
	"time"
)

// Back-off of a key whose reconcile fails: 50 ms, doubled up to a minute, paced.
// A change of what the key is about brings the next try forward, but not closer
// than a wake-up apart: a reconciler that writes its failure down would
// otherwise wake itself in a circle.
const (
	backoffMin = 50 * time.Millisecond
	backoffMax = time.Minute
	wakeUp     = 100 * time.Millisecond
)

// entry is a key that is queued, running, or waits for its time.
type entry struct {
	queued   bool      // in ready
	running  bool      // a worker has it
	again    bool      // enqueued while it ran
	due      time.Time // runs then by itself; zero: not planned
	failures int
	last     time.Time // end of the last run, while failures > 0
}

// queue holds the keys of one reconciler. A key is in it once, and with one
// worker at most.
type queue struct {
	mu      sync.Mutex
	cond    *sync.Cond // a key is ready, or the queue is closed
	ready   []string
	entries map[string]*entry
	replan  chan struct{} // the earliest due time may have changed
	closed  bool
}

func newQueue() *queue {
	q := &queue{entries: map[string]*entry{}, replan: make(chan struct{}, 1)}
	q.cond = sync.NewCond(&q.mu)
	return q
}

// add queues a key because something may have changed.
func (q *queue) add(key string, now time.Time, paced func(time.Duration) time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e := q.entry(key)
	switch {
	case e.running:
		e.again = true
	case e.queued:
	case e.failures > 0 && now.Before(e.last.Add(paced(wakeUp))):
		if at := e.last.Add(paced(wakeUp)); at.Before(e.due) {
			e.due = at
			q.poke()
		}
	default:
		q.push(key, e)
	}
}

func (q *queue) entry(key string) *entry {
	e := q.entries[key]
	if e == nil {
		e = &entry{}
		q.entries[key] = e
	}
	return e
}

func (q *queue) push(key string, e *entry) {
	e.queued, e.due = true, time.Time{}
	q.ready = append(q.ready, key)
	q.cond.Signal()
}

func (q *queue) poke() {
	select {
	case q.replan <- struct{}{}:
	default:
	}
}

// take waits for a key to run; false when the queue is closed.
func (q *queue) take() (string, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.ready) == 0 && !q.closed {
		q.cond.Wait()
	}
	if q.closed {
		return "", false
	}
	key := q.ready[0]
	q.ready[0] = ""
	q.ready = q.ready[1:]
	e := q.entries[key]
	e.queued, e.running, e.again = false, true, false
	return key, true
}

// done records how the run of a key ended and plans the next one.
func (q *queue) done(key string, after time.Duration, failed bool, now time.Time, paced func(time.Duration) time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	e := q.entries[key]
	e.running = false
	if failed {
		delay := backoffMax
		if e.failures < 11 {
			delay = min(backoffMin<<e.failures, backoffMax)
		}
		e.failures++
		e.last = now
		if e.again {
			delay = min(delay, wakeUp)
		}
		e.due = now.Add(paced(delay))
		q.poke()
		return
	}
	e.failures, e.last = 0, time.Time{}
	switch {
	case e.again:
		q.push(key, e)
	case after > 0:
		e.due = now.Add(after)
		q.poke()
	default:
		delete(q.entries, key)
	}
}

// plan queues the keys whose time has come and returns how long the next one
// has to wait; false when none waits.
func (q *queue) plan(now time.Time) (time.Duration, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var next time.Time
	for key, e := range q.entries {
		switch {
		case e.due.IsZero():
		case !e.due.After(now):
			q.push(key, e)
		case next.IsZero() || e.due.Before(next):
			next = e.due
		}
	}
	return next.Sub(now), !next.IsZero()
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.cond.Broadcast()
}
