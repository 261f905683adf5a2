package clock

import (
	"sync"
	"time"
)

// Fake is a clock that stands still until a test moves it.
type Fake struct {
	mu      sync.Mutex
	now     time.Time     // steady
	set     time.Duration // by how much the clock was set
	steps   steps
	pace    float64
	waiters []waiter
	changed chan struct{} // closed and replaced when the number of waiters changes
}

type waiter struct {
	at time.Time
	ch chan time.Time
}

// NewFake returns a clock that shows now; its pace is 1.
func NewFake(now time.Time) *Fake {
	return &Fake{now: now, pace: 1, changed: make(chan struct{})}
}

// SetPace sets what Paced divides by.
func (f *Fake) SetPace(pace float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pace = pace
}

// Now is part of Clock.
func (f *Fake) Now() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.steps.see(f.now.Add(f.set), f.now)
	return f.now.Add(f.set)
}

// Steady is part of Clock.
func (f *Fake) Steady() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// At is part of Clock.
func (f *Fake) At(t time.Time) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.steps.at(t, f.now.Add(f.set), f.now)
}

// Jump sets the clock forward, or back: no time passes, and nobody wakes.
func (f *Fake) Jump(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.set += d
}

// After is part of Clock.
func (f *Fake) After(d time.Duration) <-chan time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	ch := make(chan time.Time, 1)
	if d <= 0 {
		ch <- f.now
		return ch
	}
	f.waiters = append(f.waiters, waiter{f.now.Add(d), ch})
	f.notify()
	return ch
}

// Paced is part of Clock.
func (f *Fake) Paced(d time.Duration) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Duration(float64(d) / f.pace)
}

// Advance moves the time on and wakes whose time has come.
func (f *Fake) Advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
	left := f.waiters[:0]
	for _, w := range f.waiters {
		if w.at.After(f.now) {
			left = append(left, w)
		} else {
			w.ch <- f.now
		}
	}
	clear(f.waiters[len(left):])
	f.waiters = left
	f.notify()
}

// Waiting is how many waits have not ended.
func (f *Fake) Waiting() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.waiters)
}

// AwaitWaiting blocks until at least n waits are under way, so that a test
// moves the time only when the code under test waits for it. It gives up after
// five real seconds and returns false.
func (f *Fake) AwaitWaiting(n int) bool {
	timeout := time.After(5 * time.Second)
	for {
		f.mu.Lock()
		have, changed := len(f.waiters), f.changed
		f.mu.Unlock()
		if have >= n {
			return true
		}
		select {
		case <-changed:
		case <-timeout:
			return false
		}
	}
}

func (f *Fake) notify() {
	close(f.changed)
	f.changed = make(chan struct{})
}
