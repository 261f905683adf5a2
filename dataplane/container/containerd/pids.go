package containerd

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/containerd/containerd/v2/pkg/oci"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"minato/dataplane/container"
)

// The containers of a group that shares its processes are in the process
// namespace of a container that does nothing but reap them, the holder: with the
// first process of a namespace all others end. Nobody is told of it.

// holderVerb is what the helper does in a holder.
const holderVerb = "hold"

func holderID(group string) string { return group + "-pids" }

// isHolder tells a holder from what was asked for.
func (c *ctr) isHolder() bool { return c.rec.Holder }

// sharedPIDs is how a container joins the processes of its group.
func (r *Runtime) sharedPIDs(ctx context.Context, c *ctr) ([]oci.SpecOpts, error) {
	if c.isHolder() || !r.recordOf(c.group).SharePIDs {
		return nil, nil
	}
	pid, err := r.holderOf(ctx, c.group)
	if err != nil {
		return nil, err
	}
	return []oci.SpecOpts{oci.WithLinuxNamespace(specs.LinuxNamespace{Type: specs.PIDNamespace, Path: fmt.Sprintf("/proc/%d/ns/pid", pid)})}, nil
}

// holderOf returns the process of a group's holder, which is started if need be.
func (r *Runtime) holderOf(ctx context.Context, g *group) (pid int, err error) {
	if err := lock(ctx, g.holder); err != nil {
		return 0, err
	}
	defer unlock(g.holder)
	group := r.recordOf(g).ID
	id := holderID(group)
	c, err := r.register(record{Holder: true, Container: container.Container{ID: id, Group: group, Root: &container.HostRoot{}, NoLog: true}})
	if err != nil {
		return 0, err
	}
	if err := lock(ctx, c.op); err != nil {
		return 0, err
	}
	if r.statusOf(c).State == container.Created {
		err = r.create(ctx, c)
	}
	unlock(c.op)
	if err == nil {
		err = r.Start(ctx, id)
	}
	if err != nil {
		return 0, err
	}
	s := r.statusOf(c)
	if s.State != container.Running {
		return 0, fmt.Errorf("group %s: what holds its processes has ended: %s", group, s.Reason)
	}
	return s.PID, nil
}

// stopHolders ends the holders, when nothing else runs.
func (r *Runtime) stopHolders(ctx context.Context, all []*ctr) error {
	for _, c := range all {
		if !c.isHolder() || r.statusOf(c).State != container.Running {
			continue
		}
		if err := r.Stop(ctx, c.rec.ID, syscall.SIGKILL, time.Second); err != nil {
			return err
		}
		select {
		case <-c.settled:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
