package secure

import (
	"crypto/tls"
	"iter"
)

// keepWorkers is how many coroutines are kept at rest, their stacks grown to what
// a handshake takes.
const keepWorkers = 8

// Greeter does the handshakes of one loop. Only the loop's thread touches it.
type Greeter struct {
	idle []*worker
	busy map[*Handshake]struct{} // those that have begun
}

// Handshake is one with a client.
type Handshake struct {
	Conn  *tls.Conn
	Below *Pipe

	g    *Greeter
	w    *worker // nil before the first byte, and in the end
	over bool
	err  error
}

// worker is a coroutine that does one handshake after another.
type worker struct {
	h     *Handshake
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
}

// New begins with a client that has said nothing yet. What is said to it goes to
// where below leads.
func (g *Greeter) New(config *tls.Config, below *Pipe) *Handshake {
	return &Handshake{Conn: tls.Server(below, config), Below: below, g: g}
}

// Received goes on with what the client said. It reports whether the handshake is
// over; what was not used of p is in the Pipe then.
func (h *Handshake) Received(p []byte) (over bool, err error) {
	h.Below.In = p
	if h.w == nil {
		h.begin()
	}
	h.w.next()
	h.settle()
	return h.over, h.err
}

// Abort ends a handshake before its time. It must not be used afterwards.
func (h *Handshake) Abort() {
	if h.w != nil {
		h.Below.shut = true
		h.w.next()
		h.settle()
	}
}

func (h *Handshake) begin() {
	g := h.g
	if n := len(g.idle); n > 0 {
		h.w = g.idle[n-1]
		g.idle = g.idle[:n-1]
	} else {
		h.w = &worker{}
		h.w.next, h.w.stop = iter.Pull(h.w.run)
	}
	h.w.h, h.Below.wait = h, h.w.pause
	if g.busy == nil {
		g.busy = map[*Handshake]struct{}{}
	}
	g.busy[h] = struct{}{}
}

// settle takes the coroutine back when the handshake is over.
func (h *Handshake) settle() {
	if !h.over {
		return
	}
	g, w := h.g, h.w
	h.w, h.Below.wait = nil, nil
	delete(g.busy, h)
	if len(g.idle) < keepWorkers {
		g.idle = append(g.idle, w)
	} else {
		w.stop()
	}
}

// Close gives up what has begun and ends all coroutines.
func (g *Greeter) Close() {
	for h := range g.busy {
		h.Abort()
	}
	for _, w := range g.idle {
		w.stop()
	}
	g.idle = nil
}

// run is the coroutine.
func (w *worker) run(yield func(struct{}) bool) {
	w.yield = yield
	for {
		h := w.h
		h.err = h.Conn.Handshake()
		h.over, w.h = true, nil
		if !yield(struct{}{}) {
			return
		}
	}
}

// pause returns to the loop until there is more to read.
func (w *worker) pause() { w.yield(struct{}{}) }

// Busy is how many handshakes have begun and are not over.
func (g *Greeter) Busy() int { return len(g.busy) }
