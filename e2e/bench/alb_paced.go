package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Latency is measured at a rate, not at saturation, and by an open loop: requests
// are due at fixed times whatever the answers take, and each one's latency counts
// from the time it was due. A request that is due while every connection waits
// for an answer stands in line, and its time there counts too. So a proxy that
// stops for a moment cannot hide it by having fewer requests sent meanwhile
// (coordinated omission). wrk knows no rate, and h2load's is one for each
// connection and its latencies count from the sending; hence this.

// pacedRole is the first argument of the process that makes such a load:
// ADDRESS PATH RATE CONNECTIONS MILLISECONDS.
const pacedRole = "alb-paced"

const (
	pacedThreads = 2
	pacedWarmUp  = 500 * time.Millisecond // not counted
	pacedDrain   = 5 * time.Second        // what is not answered then has failed
	// pacedTick is how often the generator looks: what is due is sent and what is
	// there is taken, all at a time, because waking for each would cost the cores
	// that it shares more than the proxies do. Latencies are so much coarser, for all.
	pacedTick = 200 * time.Microsecond
)

// pacedResult is what the process prints; latencies are milliseconds.
type pacedResult struct {
	Sent, Failed        int
	P50, P99, P999, Max float64
	Why                 string // of the first failure
}

func pace(args []string) error {
	if len(args) != 5 {
		return errors.New("alb-paced ADDRESS PATH RATE CONNECTIONS MILLISECONDS")
	}
	at, err := netip.ParseAddrPort(args[0])
	if err != nil {
		return err
	}
	var numbers [3]int
	for i, a := range args[2:] {
		if numbers[i], err = strconv.Atoi(a); err != nil || numbers[i] < 1 {
			return fmt.Errorf("alb-paced: %q: %w", a, err)
		}
	}
	rate, connections, length := numbers[0], numbers[1], time.Duration(numbers[2])*time.Millisecond
	debug.SetGCPercent(-1) // a pause of the generator would be the proxy's; what is made here is little and counted beforehand
	runtime.GOMAXPROCS(pacedThreads + 1)
	begin := time.Now().Add(20 * time.Millisecond)
	every := time.Second * pacedThreads / time.Duration(rate)
	loops := make([]*pacedLoop, pacedThreads)
	var wait sync.WaitGroup
	for i := range loops {
		l := &pacedLoop{
			at: at, request: fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: paced\r\n\r\n", args[1], at),
			begin: begin.Add(every * time.Duration(i) / pacedThreads), every: every, length: length,
			latencies: make([]time.Duration, 0, int(length/every)+16),
		}
		loops[i] = l
		if err := l.connect(max(connections/pacedThreads, 1)); err != nil {
			return err
		}
		wait.Go(l.run)
	}
	wait.Wait()
	var r pacedResult
	var all []time.Duration
	for _, l := range loops {
		all = append(all, l.latencies...)
		r.Sent += l.sent
		r.Failed += l.failed
		if r.Why == "" && l.why != nil {
			r.Why = l.why.Error()
		}
	}
	if len(all) == 0 {
		return fmt.Errorf("nothing was answered: %s", r.Why)
	}
	slices.Sort(all)
	at0 := func(q float64) float64 { return milliseconds(all[min(len(all)-1, int(q*float64(len(all))))]) }
	r.P50, r.P99, r.P999, r.Max = at0(0.5), at0(0.99), at0(0.999), milliseconds(all[len(all)-1])
	return json.NewEncoder(os.Stdout).Encode(r)
}

// pacedLoop is a thread with some of the connections.
type pacedLoop struct {
	at      netip.AddrPort
	request []byte
	begin   time.Time // when the first request is due
	every   time.Duration
	length  time.Duration

	epoll     int
	conns     []*pacedConn // by descriptor
	idle      []*pacedConn
	line      []time.Time // requests that were due while every connection was busy
	latencies []time.Duration
	busy      int
	sent      int
	failed    int
	why       error
}

type pacedConn struct {
	fd    int
	due   time.Time // of the request that waits for an answer
	waits bool
	have  []byte
}

func (l *pacedLoop) connect(n int) (err error) {
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	for range n {
		if err := l.open(); err != nil {
			return err
		}
	}
	return nil
}

func (l *pacedLoop) open() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err = unix.Connect(fd, &unix.SockaddrInet4{Addr: l.at.Addr().As4(), Port: int(l.at.Port())}); err == nil {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err == nil {
		err = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
	}
	if err != nil {
		unix.Close(fd)
		return err
	}
	c := &pacedConn{fd: fd, have: make([]byte, 0, 8<<10)}
	l.conns = append(l.conns, make([]*pacedConn, max(0, fd+1-len(l.conns)))...)
	l.conns[fd] = c
	l.idle = append(l.idle, c)
	return nil
}

func (l *pacedLoop) fail(err error) {
	l.failed++
	if l.why == nil {
		l.why = err
	}
}

// run sends what is due and takes answers until the time is up and everything
// that was sent is answered.
func (l *pacedLoop) run() {
	runtime.LockOSThread()
	// Sleeps are as long as they are said to be, not up to 50 us longer.
	unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	events, buffer := make([]unix.EpollEvent, 128), make([]byte, 64<<10)
	end := l.begin.Add(l.length)
	for due := l.begin; ; {
		now := time.Now()
		for ; !due.After(now) && due.Before(end); due = due.Add(l.every) {
			l.ask(due)
		}
		if !due.Before(end) {
			if l.busy == 0 && len(l.line) == 0 {
				return
			}
			if now.Sub(end) > pacedDrain {
				for range l.busy + len(l.line) {
					l.fail(errors.New("not answered in time"))
				}
				return
			}
		}
		t := unix.NsecToTimespec(int64(pacedTick))
		unix.Nanosleep(&t, nil) // one that is cut short by a signal does no harm
		n, err := unix.EpollWait(l.epoll, events, 0)
		if err != nil && err != unix.EINTR {
			l.fail(err)
			return
		}
		for _, e := range events[:max(n, 0)] {
			l.take(l.conns[e.Fd], buffer)
		}
	}
}

// ask sends the request that was due, or puts it into the line.
func (l *pacedLoop) ask(due time.Time) {
	for len(l.idle) > 0 {
		c := l.idle[0] // the one at rest longest: all of them are used
		l.idle = l.idle[1:]
		if c.fd < 0 {
			continue // was closed at rest
		}
		l.send(c, due)
		return
	}
	if l.busy == 0 { // every connection is gone
		l.sent++
		l.fail(errors.New("no connection is left"))
		return
	}
	l.line = append(l.line, due)
}

func (l *pacedLoop) send(c *pacedConn, due time.Time) {
	c.due, c.waits = due, true
	l.sent++
	l.busy++
	if n, err := unix.Write(c.fd, l.request); err != nil || n != len(l.request) {
		l.gone(c, fmt.Errorf("sending: %d of %d bytes, %v", n, len(l.request), err))
	}
}

// gone replaces a connection that ended; with a request on it that has failed.
func (l *pacedLoop) gone(c *pacedConn, why error) {
	unix.Close(c.fd)
	l.conns[c.fd] = nil
	c.fd = -1
	if c.waits {
		l.busy--
		l.fail(why)
	}
	if err := l.open(); err != nil {
		l.fail(err)
	}
}

func (l *pacedLoop) take(c *pacedConn, buffer []byte) {
	if c == nil {
		return // closed by an event before this one
	}
	n, err := unix.Read(c.fd, buffer)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return
	case err != nil || n == 0:
		l.gone(c, fmt.Errorf("reading: %d bytes, %v", n, err))
		return
	}
	c.have = append(c.have, buffer[:n]...)
	whole, err := wholeAnswer(c.have)
	if whole && !c.waits {
		err = errors.New("an answer to nothing")
	}
	if err != nil {
		l.gone(c, fmt.Errorf("%w: %.80q", err, c.have))
		return
	}
	if !whole {
		return
	}
	if c.due.Sub(l.begin) >= pacedWarmUp {
		l.latencies = append(l.latencies, time.Since(c.due))
	}
	c.have, c.waits = c.have[:0], false
	l.busy--
	if len(l.line) > 0 {
		due := l.line[0]
		l.line = l.line[1:]
		l.send(c, due)
		return
	}
	l.idle = append(l.idle, c)
}

// wholeAnswer tells whether b is an answer to its end; it must be 200 and say
// how long it is.
func wholeAnswer(b []byte) (bool, error) {
	end := bytes.Index(b, emptyLine)
	if end < 0 {
		return false, nil
	}
	head := b[:end+2]
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 200")) {
		return false, errors.New("not 200")
	}
	at := bytes.Index(bytes.ToLower(head), []byte("\r\ncontent-length:"))
	if at < 0 {
		return false, errors.New("no length")
	}
	value, _, _ := bytes.Cut(head[at+len("\r\ncontent-length:"):], []byte("\r\n"))
	length, err := strconv.Atoi(string(bytes.TrimSpace(value)))
	if err != nil {
		return false, err
	}
	return len(b) >= end+len(emptyLine)+length, nil
}
