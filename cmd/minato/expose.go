package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	"minato/daemon/control"
)

// runExpose forwards a port of this machine to a load balancer, for other
// machines, until it is told to end. The load balancer is looked for with each
// connection, so the daemon may be restarted meanwhile.
func runExpose(ctx context.Context, c *cli, args []string) error {
	listen := c.flags.String("listen", "0.0.0.0", "the address of this machine to listen on")
	args, err := c.parseMixed(args)
	if err != nil {
		return err
	}
	if len(args) != 2 {
		return fmt.Errorf("expose takes a load balancer and a port, or PORT:LISTENER-PORT: %w", errUsage)
	}
	here, there, err := ports(args[1])
	if err != nil {
		return fmt.Errorf("%w: %w", err, errUsage)
	}
	in, err := c.instance()
	if err != nil {
		return err
	}
	client := control.NewClient(in)
	target := func(ctx context.Context) (netip.AddrPort, error) {
		b, err := client.Balancer(ctx, args[0])
		if err != nil {
			return netip.AddrPort{}, err
		}
		return reached(b, here, there)
	}
	to, err := target(ctx)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", net.JoinHostPort(*listen, strconv.Itoa(int(here))))
	if err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "%s leads to the load balancer %s at %s, until Ctrl-C\n", l.Addr(), args[0], to)
	fmt.Fprintln(c.stdout, "it sees all callers as this machine: X-Forwarded-For and security groups do not tell them apart")
	return forward(ctx, l, target, c.stderr)
}

// ports reads PORT or PORT:LISTENER-PORT; there is 0 where it is not given.
func ports(text string) (here, there uint16, err error) {
	a, b, two := strings.Cut(text, ":")
	x, err := strconv.ParseUint(a, 10, 16)
	if err != nil || x == 0 {
		return 0, 0, fmt.Errorf("%q is no port", a)
	}
	if !two {
		return uint16(x), 0, nil
	}
	y, err := strconv.ParseUint(b, 10, 16)
	if err != nil || y == 0 {
		return 0, 0, fmt.Errorf("%q is no port", b)
	}
	return uint16(x), uint16(y), nil
}

// reached is the listener to forward to: the one that was asked for, that of the
// same port, or the only one.
func reached(b control.Balancer, here, there uint16) (netip.AddrPort, error) {
	addr, err := netip.ParseAddr(b.Address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	switch {
	case there != 0 && !slices.Contains(b.Ports, there):
		return netip.AddrPort{}, fmt.Errorf("the load balancer %s has no listener on port %d, but on %v", b.Name, there, b.Ports)
	case there != 0:
	case slices.Contains(b.Ports, here):
		there = here
	case len(b.Ports) == 1:
		there = b.Ports[0]
	case len(b.Ports) == 0:
		return netip.AddrPort{}, fmt.Errorf("the load balancer %s has no listener", b.Name)
	default:
		return netip.AddrPort{}, fmt.Errorf("the load balancer %s has listeners on %v: say which, as %d:PORT", b.Name, b.Ports, here)
	}
	return netip.AddrPortFrom(addr, there), nil
}

// forward carries connections from l to the target until ctx ends.
func forward(ctx context.Context, l net.Listener, target func(context.Context) (netip.AddrPort, error), log io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for {
		from, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		if err != nil {
			fmt.Fprintln(log, "minato expose:", err) // such as too many open files: the next may do
			continue
		}
		wg.Go(func() {
			if err := carry(ctx, from, target); err != nil && ctx.Err() == nil {
				fmt.Fprintln(log, "minato expose:", err)
			}
		})
	}
}

// carry copies both ways; the end of one way is passed on as such.
func carry(ctx context.Context, from net.Conn, target func(context.Context) (netip.AddrPort, error)) error {
	defer from.Close()
	at, err := target(ctx)
	if err != nil {
		return err
	}
	to, err := (&net.Dialer{}).DialContext(ctx, "tcp", at.String())
	if err != nil {
		return err
	}
	defer to.Close()
	stop := context.AfterFunc(ctx, func() { from.Close(); to.Close() })
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		half(to, from)
	}()
	half(from, to)
	<-done
	return nil
}

// half copies one way. That a side broke off is told to the other by closing.
func half(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if tcp, ok := to.(*net.TCPConn); ok && err == nil {
		_ = tcp.CloseWrite() // it may be gone already
		return
	}
	to.Close()
	from.Close()
}
