package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/opencontainers/go-digest"

	"minato/dataplane/registry"
	"minato/services/ecs"
)

// outsideImages gets tasks the images of other people's registries: by the
// task's own route, with the names that its VPC's resolver knows.
type outsideImages struct {
	puller *registry.Puller
	lookup func(ctx context.Context, vpc, name string) ([]netip.Addr, error)
}

// outsideImages is what ECS is handed.
func (d *daemon) outsideImages() *outsideImages {
	return &outsideImages{
		puller: registry.NewPuller(registry.PullerOptions{
			Content: d.runtime.Content(), Leases: d.runtime.Leases(), Namespace: d.runtime.Namespace(), Clock: d.clock, Log: d.log,
		}),
		lookup: d.dns.Lookup,
	}
}

// Resolve implements ecs.Images.
func (o *outsideImages) Resolve(ctx context.Context, from ecs.ImageSource) (string, error) {
	found, err := o.puller.Resolve(ctx, o.pull(from))
	return found.String(), pullFailure(err)
}

// Ensure implements ecs.Images.
func (o *outsideImages) Ensure(ctx context.Context, from ecs.ImageSource, want string) error {
	return pullFailure(o.puller.Ensure(ctx, o.pull(from), digest.Digest(want)))
}

// pullFailure tells what the image or the way to it is to blame for from what
// is wrong here.
func pullFailure(err error) error {
	var failed *registry.PullError
	if errors.As(err, &failed) {
		return &ecs.PullFailure{Cause: failed}
	}
	return err
}

func (o *outsideImages) pull(from ecs.ImageSource) registry.Pull {
	p := registry.Pull{Ref: from.Ref, Platform: from.Platform, Dial: func(ctx context.Context, _, address string) (net.Conn, error) {
		return o.dial(ctx, from, address)
	}}
	if l := from.Login; l != nil {
		p.Credentials = func(string) (user, password string, err error) { return l.User, l.Password, nil }
	}
	return p
}

// dial tries the addresses of a name one after the other, each with its part of
// the time that is left, as net.Dialer does.
func (o *outsideImages) dial(ctx context.Context, from ecs.ImageSource, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	if a, err := netip.ParseAddr(host); err == nil {
		addrs = []netip.Addr{a}
	} else if addrs, err = o.lookup(ctx, from.VPC, host); err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	var first error
	for i, a := range addrs {
		conn, err := dialPart(ctx, len(addrs)-i, from, net.JoinHostPort(a.String(), port))
		if err == nil {
			return conn, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// dialPart dials with one of so many parts of the time left.
func dialPart(ctx context.Context, parts int, from ecs.ImageSource, address string) (net.Conn, error) {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/time.Duration(parts))
		defer cancel()
	}
	conn, err := from.Dial(ctx, address)
	var op *net.OpError
	if errors.As(err, &op) {
		// Without our own sockets' kind, as everybody else says it.
		return nil, &net.OpError{Op: op.Op, Net: "tcp", Addr: op.Addr, Err: op.Err}
	}
	if err != nil {
		return nil, fmt.Errorf("dial tcp %s: %w", address, err)
	}
	return conn, nil
}
