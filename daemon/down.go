package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"minato/daemon/control"
	"minato/daemon/instance"
	"minato/dataplane/build"
	"minato/dataplane/container/containerd"
	"minato/dataplane/host"
	"minato/dataplane/network/linux"
	"minato/internal/clock"
)

// lockWait is how long Down waits for the daemon to answer, and to let go of its
// data; after that it is taken to hang, and is killed.
const lockWait = 15 * time.Second

// Down stops everything that an instance runs; with purge it removes its data
// and every trace on the host, and returns what it could not remove. It does the
// same whether the daemon lives, is dead, or was never ready: it first ends the
// daemon, and then takes down what that left, with its own hands.
func Down(ctx context.Context, in instance.Instance, purge bool) (left []string, err error) {
	lock, err := endDaemon(ctx, in)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	d := &daemon{cfg: Defaults(), in: in, log: newLog(), clock: clock.Real(1)}
	d.cfg.DataDir = in.DataDir
	if d.cfg.PublicCIDR, err = in.Pool(); err != nil {
		return nil, err
	}
	var errs []error
	for _, c := range builders(in) {
		errs = append(errs, build.Stop(ctx, c))
	}
	errs = append(errs, d.stopContainers(ctx, purge), linux.Purge(d.networkOptions()), d.restoreHost(), in.RemoveRunDir())
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if !purge {
		return nil, nil
	}
	return purgeData(in)
}

// endDaemon asks the daemon to end, kills it if it does not, and returns the
// instance's lock.
func endDaemon(ctx context.Context, in instance.Instance) (*os.File, error) {
	c := control.NewClient(in)
	asked, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	err := c.Stop(asked)
	hangs := asked.Err() != nil && ctx.Err() == nil
	if err != nil && !hangs && !errors.Is(err, instance.ErrNotRunning) {
		return nil, err
	}
	if !hangs {
		if lock, err := awaitLock(ctx, in); err == nil || ctx.Err() != nil {
			return lock, err
		}
	}
	if err := c.Kill(ctx); err != nil && !errors.Is(err, instance.ErrNotRunning) {
		return nil, fmt.Errorf("the daemon does not end, and cannot be killed: %w", err)
	}
	return awaitLock(ctx, in)
}

// awaitLock waits until nobody else has the instance.
func awaitLock(ctx context.Context, in instance.Instance) (*os.File, error) {
	deadline := time.Now().Add(lockWait)
	for {
		lock, err := in.Lock()
		if err == nil || time.Now().After(deadline) {
			return lock, err
		}
		if err := clock.Sleep(ctx, clock.Real(1), 20*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// stopContainers ends every container and the engine.
func (d *daemon) stopContainers(ctx context.Context, purge bool) error {
	if _, err := os.Stat(runtimeDir(d.in)); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	rt, err := containerd.New(ctx, d.runtimeOptions())
	if err != nil && purge {
		// An engine that cannot start any more, on a broken or full disk, must keep
		// nobody from taking everything off the host.
		d.log.Warn("the engine does not start: what it left is removed without it", "error", err)
		return containerd.PurgeTraces(d.runtimeOptions())
	}
	if err != nil {
		return fmt.Errorf("containers: %w", err)
	}
	defer rt.Close()
	if purge {
		return rt.Purge(ctx)
	}
	return rt.Shutdown(ctx)
}

// restoreHost takes back names and trust.
func (d *daemon) restoreHost() error {
	_, err := host.SetNames(host.HostsFile, d.in.ID, nil, alive)
	return errors.Join(err, host.Untrust(host.CertsDir, d.in.ID))
}

// purgeData removes the data directory, unless something is still mounted below
// it; other file systems are not crossed.
func purgeData(in instance.Instance) (left []string, err error) {
	root, err := filepath.EvalSymlinks(in.DataDir)
	if err != nil {
		return nil, err
	}
	mounted, err := mountsBelow(root)
	if err != nil || len(mounted) > 0 {
		for _, m := range mounted {
			left = append(left, m+" is still mounted")
		}
		return left, err
	}
	var st unix.Stat_t
	if err := unix.Stat(root, &st); err != nil {
		return nil, err
	}
	err = removeTree(root, st.Dev, &left)
	return left, err
}

// oursOnHost tells whether an address or route in the public pool is one this
// instance left when it last ran.
func (d *daemon) oursOnHost(r netlink.Route) bool {
	return linux.Ours(d.in.ID, r)
}
