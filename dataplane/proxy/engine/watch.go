package engine

import (
	"errors"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"minato/dataplane/proxy/targets"
)

// watchAfter is how long an answer may take before somebody looks whether the
// client is still there. Most answers are quicker and cost a timer only. A client
// that only said that it asks no more looks like one that left, and hears answers
// for so long: on a busy machine a twentieth of a second was too short for that.
const watchAfter = time.Second

// lookAgain is how often the end of a connection is looked for behind bytes.
const lookAgain = 100 * time.Millisecond

// ended tells whether the client ended a connection, though bytes wait before the end.
func ended(fd uintptr) bool {
	info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	const closeWait, closed = 8, 7
	return err == nil && (info.State == closeWait || info.State == closed)
}

// watcher notices that a client left while a target thinks, and interrupts the
// wait for the target then. It looks without taking bytes away.
type watcher struct {
	c     *client
	raw   syscall.RawConn
	timer *time.Timer
	on    bool
	u     *targets.Upstream
	gone  bool
	done  chan struct{}
	quit  chan struct{}
}

func (w *watcher) init(c *client) {
	w.c = c
	if sc, ok := c.tcp.(syscall.Conn); ok {
		w.raw, _ = sc.SyscallConn()
	}
	w.done, w.quit = make(chan struct{}, 1), make(chan struct{}, 1)
}

// start watches for the time of an exchange with u. Nobody may read from the
// client until stop.
func (w *watcher) start(u *targets.Upstream) {
	w.gone = false
	if w.raw == nil {
		return
	}
	w.u, w.on = u, true
	if w.timer == nil {
		w.timer = time.AfterFunc(watchAfter, w.run)
	} else {
		w.timer.Reset(watchAfter)
	}
}

// stop ends watching and reports whether the client is gone.
func (w *watcher) stop() bool {
	if !w.on {
		return w.gone
	}
	w.on = false
	if !w.timer.Stop() {
		w.quit <- struct{}{}
		w.c.Interrupt()
		<-w.done
		w.c.Resume()
		select {
		case <-w.quit:
		default:
		}
	}
	return w.gone
}

func (w *watcher) run() {
	left, there := false, false
	look := func(fd uintptr) bool {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		if err == syscall.EAGAIN {
			return false // wait until there is something to see
		}
		there = n > 0
		left = err != nil || n == 0 || w.c.tls != nil && ended(fd)
		return true
	}
	err := w.raw.Read(look)
	// A record of TLS may say goodbye, or be the next request: the end of the
	// connection is looked for behind it.
	for w.c.tls != nil && there && !left && err == nil {
		select {
		case <-w.quit:
			w.done <- struct{}{}
			return
		case <-time.After(lookAgain):
			err = w.raw.Read(look)
		}
	}
	if left || err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		w.gone = true
		w.u.Interrupt()
	}
	w.done <- struct{}{}
}
