package loop

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Options choose how a loop works.
type Options struct {
	Epoll bool // do not use io_uring, even if it is there
	// Mended is told, on the loop's thread, of an error of the kernel's interface, not
	// of a connection: all connections were ended by it, and the loop goes on with epoll.
	Mended func(error)
}

// Loop is a thread and the connections it serves.
type Loop struct {
	p    poller
	wake int // an eventfd: something was queued
	done chan struct{}

	mu     sync.Mutex
	queue  []func()
	told   bool // wake was written and not read yet
	closed bool

	// The thread's own.
	listeners map[*Listener]struct{}
	timers    timers
	now       int64
	free      [][]byte
	big       [][]byte
	lost      [][]byte // see lose
	mended    func(error)
	bigOut    int // big buffers that are in use
	spare     []func()
	later     []func()
	count     atomic.Int64 // connections
}

// poller is how the kernel is asked.
type poller interface {
	// add and remove begin and end with a connection that has nothing going on.
	add(*Conn) error
	remove(*Conn)
	each(func(*Conn))
	// connect brings connected.
	connect(*Conn)
	// receive brings one received or ended.
	receive(*Conn)
	// send brings sent for c.sending, wholly taken, or ended.
	send(*Conn)
	// cancel makes what goes on with c end soon.
	cancel(*Conn)
	// listen and unlisten begin and end with a listener that is not waited for.
	listen(*Listener) error
	unlisten(*Listener)
	// accept brings one accepted or failed; deafen makes it come soon.
	accept(*Listener)
	deafen(*Listener)
	// turn submits what was begun, waits until something happened, at most for
	// so long (negative: for ever), and has it handled.
	turn(wait time.Duration) error
	close()
}

// ErrClosed is returned by a Loop that was closed.
var ErrClosed = errors.New("loop: closed")

// New starts a loop.
func New(o Options) (*Loop, error) {
	l := &Loop{mended: o.Mended, done: make(chan struct{}), listeners: map[*Listener]struct{}{}}
	started := make(chan error)
	go func() {
		// Never unlocked: the thread, with its scheduling policy, ends with the loop.
		runtime.LockOSThread()
		defer close(l.done)
		err := l.open(o)
		started <- err
		if err == nil {
			l.run()
		}
	}()
	if err := <-started; err != nil {
		<-l.done
		return nil, err
	}
	return l, nil
}

func (l *Loop) open(o Options) (err error) {
	if l.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return err
	}
	if !o.Epoll {
		l.p, err = newURing(l)
	}
	if o.Epoll || err != nil {
		if l.p, err = newEpoll(l); err != nil {
			unix.Close(l.wake)
			return err
		}
	}
	batch() // works without, too
	l.tick()
	return nil
}

// batch makes the calling thread one that does not interrupt others.
func batch() {
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_BATCH}
	unix.SchedSetAttr(0, &attr, 0)
}

// URing reports whether the loop uses io_uring.
func (l *Loop) URing() bool { _, ok := l.p.(*uring); return ok }

// Len is the number of connections.
func (l *Loop) Len() int { return int(l.count.Load()) }

// Each calls f with the Handler of each connection. Only on the loop's thread.
func (l *Loop) Each(f func(Handler)) {
	l.p.each(func(c *Conn) {
		if !c.over() {
			f(c.h)
		}
	})
}

// Do has f run on the loop's thread, soon. After Close it is not run, which Do
// reports.
func (l *Loop) Do(f func()) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	l.queue = append(l.queue, f)
	if !l.told {
		l.told = true
		l.ring()
	}
	return nil
}

// Later has f run when everything that happened in this turn was handled, so that
// what comes of it can go together. Only on the loop's thread.
func (l *Loop) Later(f func()) { l.later = append(l.later, f) }

func (l *Loop) ring() {
	one := uint64(1)
	unix.Write(l.wake, (*[8]byte)(unsafe.Pointer(&one))[:])
}

// Close closes all connections, without telling their Handlers, and ends the
// thread.
func (l *Loop) Close() {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		l.ring()
	}
	l.mu.Unlock()
	<-l.done
}

// begun is where the time of loops starts.
var begun = time.Now()

// Now is the time since the program started, as it was when the turn began.
// Only on the loop's thread.
func (l *Loop) Now() time.Duration { return time.Duration(l.now) }

// Time is a time of loops as others know it; Since is the other way round.
func Time(at time.Duration) time.Time { return begun.Add(at) }

// Since is a time as loops know it.
func Since(t time.Time) time.Duration { return t.Sub(begun) }

func (l *Loop) tick() { l.now = int64(time.Since(begun)) }

// longest bounds a wait.
const longest = time.Minute

// brief is how long a wait may be of which the runtime is not told. It spares
// what it would do on a longer one: take the processor away and give it back.
// Whoever stops the world waits for so long.
const brief = 100 * time.Microsecond

// fair is how long a busy loop runs until it lets other goroutines run.
const fair = 2 * time.Millisecond

func (l *Loop) run() {
	yielded := l.now
	for {
		closed := l.dequeue()
		if closed {
			break
		}
		wait := longest
		if next, ok := l.timers.next(); ok {
			wait = min(max(time.Duration(next-l.now), 0), longest)
		}
		if err := l.p.turn(wait); err != nil {
			l.mend(err)
		}
		l.tick()
		l.expire()
		if l.now-yielded > int64(fair) {
			runtime.Gosched()
			yielded = l.now
		}
	}
	l.p.each((*Conn).Close)
	for li := range l.listeners {
		if !li.closed {
			li.Close(func() {})
		}
	}
	for l.Len()+len(l.listeners) > 0 {
		if l.p.turn(longest) != nil {
			break
		}
	}
	l.p.close()
	unix.Close(l.wake)
}

// dequeue runs what was given to Do. It reports whether the loop is closed.
func (l *Loop) dequeue() bool {
	l.mu.Lock()
	todo, closed := l.queue, l.closed
	l.queue, l.told = l.spare[:0], false
	l.mu.Unlock()
	for i, f := range todo {
		f()
		todo[i] = nil
	}
	l.spare = todo
	for i := 0; i < len(l.later); i++ {
		l.later[i]()
		l.later[i] = nil
	}
	l.later = l.later[:0]
	return closed
}

// woken empties the eventfd.
func (l *Loop) woken() {
	var b [8]byte
	unix.Read(l.wake, b[:])
}

const (
	// bufferSize is that of what is sent: what was received fits, with a head.
	bufferSize = recvBufferSize + 4<<10
	keepFree   = 256

	// BigSize is how much a big buffer holds. There are maxBig of them at most; who
	// gets none goes on with small ones.
	BigSize = 64 << 10
	maxBig  = 128
)

// buffer is a buffer of bufferSize bytes or so, empty.
func (l *Loop) buffer() []byte {
	if n := len(l.free); n > 0 {
		b := l.free[n-1]
		l.free = l.free[:n-1]
		return b[:0]
	}
	return make([]byte, 0, bufferSize)
}

// Buffer returns an empty buffer of some KiB; Recycle takes it back.
func (l *Loop) Buffer() []byte { return l.buffer() }

// Recycle takes a buffer that is not used any more.
func (l *Loop) Recycle(b []byte) {
	switch {
	case cap(b) == BigSize:
		if l.bigOut > 0 { // else it is one that grew to that size by itself
			l.bigOut--
			l.big = append(l.big, b)
		}
	case cap(b) == bufferSize && len(l.free) < keepFree:
		l.free = append(l.free, b)
	}
}

func (l *Loop) takeBig() []byte {
	n := len(l.big)
	switch {
	case n > 0:
		b := l.big[n-1]
		l.big = l.big[:n-1]
		l.bigOut++
		return b[:BigSize]
	case l.bigOut < maxBig:
		l.bigOut++
		return make([]byte, BigSize)
	}
	return nil
}
