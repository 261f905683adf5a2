package containerd

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"minato/dataplane/container"
)

// Dial implements container.Runtime. The connection is made by a thread that
// enters the namespace and comes back. To let it end in there would not do: the
// process's first thread cannot end, and it would hold the namespace, and show it as
// this process's in /proc, for as long as the daemon lives.
func (r *Runtime) Dial(ctx context.Context, group, address string) (net.Conn, error) {
	r.mu.Lock()
	g := r.groups[group]
	r.mu.Unlock()
	if g == nil {
		return nil, fmt.Errorf("group %s: %w", group, container.ErrNotFound)
	}
	netns := r.recordOf(g).Netns
	if netns == "" {
		return nil, fmt.Errorf("group %s has no network", group)
	}
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			done <- result{nil, err}
			return
		}
		defer home.Close()
		conn, err := dialIn(ctx, netns, address)
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		done <- result{conn, err}
	}()
	res := <-done
	return res.conn, res.err
}

func dialIn(ctx context.Context, netns, address string) (net.Conn, error) {
	f, err := os.Open(netns)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, os.NewSyscallError("setns", err)
	}
	// An address in digits needs no other goroutine, which would be elsewhere.
	return (&net.Dialer{}).DialContext(ctx, "tcp4", address)
}
