package engine

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// watchAfter is how long an answer may take before somebody looks whether the
// client is still there. Most answers are quicker and cost a timer only.
const watchAfter = 50 * time.Millisecond

// watcher notices that a client left while a target thinks, and interrupts the
// wait for the target then. It looks without taking bytes away.
type watcher struct {
	c     *client
	raw   syscall.RawConn
	timer *time.Timer
	on    bool
	u     *upstream
	gone  bool
	done  chan struct{}
}

func (w *watcher) init(c *client) {
	w.c = c
	if sc, ok := c.Conn.(syscall.Conn); ok {
		w.raw, _ = sc.SyscallConn()
	}
	w.done = make(chan struct{}, 1)
}

// start watches for the time of an exchange with u. Nobody may read from the
// client until stop.
func (w *watcher) start(u *upstream) {
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
		w.c.interrupt()
		<-w.done
		w.c.resume()
	}
	return w.gone
}

func (w *watcher) run() {
	left := false
	err := w.raw.Read(func(fd uintptr) bool {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		if err == syscall.EAGAIN {
			return false // wait until there is something to see
		}
		left = err != nil || n == 0
		return true
	})
	if left || err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		w.gone = true
		w.u.interrupt()
	}
	w.done <- struct{}{}
}
