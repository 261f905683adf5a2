package networktest

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"minato/dataplane/network"
)

// Run is the part of the contract that carries no packets between interfaces.
func Run(t *testing.T, pool netip.Prefix, open Factory) {
	n, err := open(pool)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Purge(context.Background()); err != nil {
			t.Errorf("Purge: %v", err)
		}
	})
	ctx := t.Context()
	cfg := &network.Config{VPCs: []network.VPC{vpc("a", pool, 0)}}
	if err := n.Set(ctx, cfg); err != nil {
		t.Fatalf("Set: %v", err)
	}
	if err := n.Set(ctx, cfg); err != nil {
		t.Fatalf("the same state again: %v", err)
	}

	t.Run("Wait returns for what is set and waits for the rest", func(t *testing.T) {
		if err := n.Wait(ctx, "a-web1"); err != nil {
			t.Error(err)
		}
		short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		if err := n.Wait(short, "a-none"); err == nil {
			t.Error("an interface that nobody set is said to be there")
		}
	})
	t.Run("Wait wakes up when the interface is set", func(t *testing.T) {
		done := make(chan error, 1)
		go func() { done <- n.Wait(ctx, "a-late") }()
		v := clone(cfg.VPCs[0])
		v.Interfaces = append(v.Interfaces, network.Interface{ID: "a-late", Subnet: "a-private-a", Addr: addr("10.0.2.99"), Groups: []string{"a-web"}})
		if err := n.Set(ctx, &network.Config{VPCs: []network.VPC{v}}); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(time.Minute):
			t.Error("Wait does not wake up")
		}
	})
	t.Run("Lookup finds by VPC and address", func(t *testing.T) {
		if id, ok := n.Lookup("a", addr("10.0.2.11")); !ok || id != "a-web1" {
			t.Errorf("10.0.2.11 in a is %q, %t", id, ok)
		}
		if id, ok := n.Lookup("b", addr("10.0.2.11")); ok {
			t.Errorf("10.0.2.11 in a VPC that is not there is %q", id)
		}
	})
	t.Run("a VPC that is not there has no sockets", func(t *testing.T) {
		if l, err := n.Listen(ctx, "none", netip.MustParseAddrPort("10.0.0.20:80")); err == nil {
			l.Close()
			t.Error("listening in a VPC that is not there")
		}
		if fd, err := n.Socket("none", addr("10.0.0.20")); err == nil {
			unix.Close(fd)
			t.Error("a socket in a VPC that is not there")
		}
	})
	t.Run("listen and dial inside", func(t *testing.T) {
		at := netip.AddrPortFrom(addr("10.0.0.20"), 80)
		l, err := n.Listen(ctx, "a", at)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go greet(l, "alb")
		dctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		c, err := n.Dial(dctx, "a", addr("10.0.0.20"), at)
		if err != nil {
			t.Fatal(err)
		}
		if got := hear(c); got != "alb saw 10.0.0.20" {
			t.Errorf("answer %q", got)
		}
		connectSocket(t, n, "a", addr("10.0.0.20"), at)
		if c, err = n.DialInterface(dctx, "a-web1", at); err != nil {
			t.Fatal(err)
		}
		if got := hear(c); got != "alb saw 10.0.2.11" {
			t.Errorf("answer to an interface %q", got)
		}
		if c, err = n.DialInterface(dctx, "a-none", at); err == nil {
			c.Close()
			t.Error("dialling from an interface that is not there")
		}
	})
	t.Run("nobody listens in an interface's namespace, and there must be one", func(t *testing.T) {
		if got, err := n.Listening(ctx, "a-web1"); err != nil || len(got) > 0 {
			t.Errorf("%v %v", got, err)
		}
		if got, err := n.Listening(ctx, "a-none"); err == nil {
			t.Errorf("an interface that is not there listens on %v", got)
		}
	})
	t.Run("a contradiction is refused", func(t *testing.T) {
		v := clone(cfg.VPCs[0])
		v.Interfaces = append(v.Interfaces, network.Interface{ID: "a-twice", Subnet: "a-private-a", Addr: addr("10.0.2.11")})
		if err := n.Set(ctx, &network.Config{VPCs: []network.VPC{v}}); err == nil {
			t.Error("two interfaces with one address")
		}
	})
	t.Run("removed interfaces are unknown", func(t *testing.T) {
		if err := n.Set(ctx, &network.Config{}); err != nil {
			t.Fatal(err)
		}
		if id, ok := n.Lookup("a", addr("10.0.2.11")); ok {
			t.Errorf("still there: %s", id)
		}
	})
}
