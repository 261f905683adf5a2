package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// The upstream of the load balancers that are compared costs as little as can be,
// because it shares the cores with them: two threads with an epoll each, one read
// and one write a request, answers that are made before. It knows of HTTP only
// what it needs here: requests without bodies end with an empty line.

// upstreamRole is the first argument of the process that plays the targets:
// ADDRESS, then PORT=BYTES for each socket.
const upstreamRole = "alb-upstream"

// serveUpstream answers on every socket until it is told to end.
func serveUpstream(args []string) error {
	if len(args) < 2 {
		return errors.New("alb-upstream wants ADDRESS PORT=BYTES …")
	}
	address, err := netip.ParseAddr(args[0])
	if err != nil {
		return err
	}
	u := &upstream{}
	for i := range u.loops {
		if u.loops[i], err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
			return err
		}
	}
	for _, a := range args[1:] {
		port, size, _ := strings.Cut(a, "=")
		p, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(size)
		if err != nil {
			return err
		}
		body := bytes.Repeat([]byte{'x'}, n)
		answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nServer: upstream\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", n, body)
		if err := u.listen(netip.AddrPortFrom(address, uint16(p)), answer); err != nil {
			return err
		}
	}
	for _, epoll := range u.loops {
		go u.run(epoll)
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, os.Interrupt, syscall.SIGTERM)
	<-end
	return nil
}

type upstream struct {
	loops [2]int   // epolls
	next  int      // the loop of the next connection; only the first loop accepts
	conns sync.Map // descriptor to *upstreamConn
}

// upstreamConn is a connection, or a socket that takes them.
type upstreamConn struct {
	answer  []byte
	listens bool
	partial []byte // of a request
	owed    int    // answers
	rest    []byte // of the answer that is being sent
	waits   bool   // for the socket to take more
	last    bool
}

func (u *upstream) listen(at netip.AddrPort, answer []byte) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	for _, o := range [][3]int{{unix.SOL_SOCKET, unix.SO_REUSEADDR, 1}, {unix.IPPROTO_TCP, unix.TCP_NODELAY, 1}} { // connections inherit them
		if err := unix.SetsockoptInt(fd, o[0], o[1], o[2]); err != nil {
			return err
		}
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: at.Addr().As4(), Port: int(at.Port())}); err != nil {
		return fmt.Errorf("%s: %w", at, err)
	}
	if err := unix.Listen(fd, 4096); err != nil {
		return err
	}
	return u.add(u.loops[0], fd, &upstreamConn{answer: answer, listens: true})
}

func (u *upstream) add(epoll, fd int, c *upstreamConn) error {
	u.conns.Store(fd, c)
	return unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: int32(fd)})
}

func (u *upstream) run(epoll int) {
	events, buffer := make([]unix.EpollEvent, 256), make([]byte, 64<<10)
	for {
		n, err := unix.EpollWait(epoll, events, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			panic(err) // nothing of this process is left to be used
		}
		for _, e := range events[:max(n, 0)] {
			v, ok := u.conns.Load(int(e.Fd))
			if !ok {
				continue
			}
			c := v.(*upstreamConn)
			if c.listens {
				u.accept(int(e.Fd), c)
			} else if !c.serve(epoll, int(e.Fd), e.Events, buffer) {
				u.conns.Delete(int(e.Fd))
				unix.Close(int(e.Fd))
			}
		}
	}
}

func (u *upstream) accept(fd int, l *upstreamConn) {
	for {
		c, _, err := unix.Accept4(fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return // no more now, or the client was quicker
		}
		u.next++
		if u.add(u.loops[u.next%len(u.loops)], c, &upstreamConn{answer: l.answer}) != nil {
			u.conns.Delete(c)
			unix.Close(c)
		}
	}
}

var emptyLine = []byte("\r\n\r\n")

// serve does what can be done now; it returns whether the connection stays.
func (c *upstreamConn) serve(epoll, fd int, events uint32, buffer []byte) bool {
	if c.waits {
		return events&(unix.EPOLLHUP|unix.EPOLLERR) == 0 && c.write(epoll, fd)
	}
	n, err := unix.Read(fd, buffer)
	if err != nil {
		return errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR)
	}
	if n == 0 {
		return false
	}
	in := buffer[:n]
	if len(c.partial) > 0 {
		in, c.partial = append(c.partial, in...), nil
	}
	for {
		end := bytes.Index(in, emptyLine)
		if end < 0 {
			break
		}
		if bytes.Contains(in[:end], []byte("onnection: close")) { // health checks
			c.last = true
		}
		in = in[end+len(emptyLine):]
		c.owed++
	}
	if len(in) > 0 {
		c.partial = bytes.Clone(in)
	}
	return c.write(epoll, fd)
}

// write sends what is owed, as far as the socket takes it.
func (c *upstreamConn) write(epoll, fd int) bool {
	for c.owed > 0 {
		if len(c.rest) == 0 {
			c.rest = c.answer
		}
		n, err := unix.Write(fd, c.rest)
		if errors.Is(err, unix.EAGAIN) {
			if c.waits {
				return true
			}
			c.waits = true
			return unix.EpollCtl(epoll, unix.EPOLL_CTL_MOD, fd, &unix.EpollEvent{Events: unix.EPOLLOUT, Fd: int32(fd)}) == nil
		}
		if err != nil {
			return false
		}
		if c.rest = c.rest[n:]; len(c.rest) == 0 {
			c.owed--
		}
	}
	if c.waits {
		c.waits = false
		if unix.EpollCtl(epoll, unix.EPOLL_CTL_MOD, fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: int32(fd)}) != nil {
			return false
		}
	}
	return !c.last
}
