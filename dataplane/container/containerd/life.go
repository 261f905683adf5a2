package containerd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	tasks "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types/runc/options"
	tasktypes "github.com/containerd/containerd/api/types/task"
	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"github.com/moby/sys/signal"

	"minato/dataplane/container"
	"minato/internal/clock"
)

// Ensure implements container.Runtime.
func (r *Runtime) Ensure(ctx context.Context, rec container.Container) error {
	if err := checkID("container", rec.ID); err != nil {
		return err
	}
	if (rec.Image == "") == (rec.Root == nil) {
		return fmt.Errorf("container %s: it needs either an image or a root", rec.ID)
	}
	c, err := r.register(record{Container: rec})
	if err != nil {
		return err
	}
	if err := lock(ctx, c.op); err != nil {
		return err
	}
	defer unlock(c.op)
	if r.statusOf(c).State != container.Created {
		return nil
	}
	return r.create(withNamespace(ctx), c)
}

// register returns the container of a record, made if it is not there yet.
func (r *Runtime) register(rec record) (*ctr, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.ctrs[rec.ID]; c != nil {
		if c.rec.Group != rec.Group {
			return nil, fmt.Errorf("container %s is in group %s already", rec.ID, c.rec.Group)
		}
		return c, nil
	}
	g := r.groups[rec.Group]
	if g == nil {
		return nil, fmt.Errorf("container %s: group %s: %w", rec.ID, rec.Group, container.ErrNotFound)
	}
	c := newCtr(g, rec)
	c.status.Created = time.Now().UTC()
	r.ctrs[rec.ID] = c
	return c, nil
}

// create writes the container's record and makes it known to containerd, with
// its writable layer.
func (r *Runtime) create(ctx context.Context, c *ctr) error {
	if err := r.shimReady(); err != nil {
		return err
	}
	if err := os.MkdirAll(c.dir, 0o711); err != nil {
		return err
	}
	ctx, done, err := r.lease(ctx)
	if err != nil {
		return err
	}
	defer done()
	var opts []client.NewContainerOpts
	var image *container.Image
	if c.rec.Root != nil {
		if err := r.makeHostRoot(c); err != nil {
			return err
		}
	} else {
		img, err := r.image(ctx, c.rec.Image)
		if err != nil {
			return err
		}
		described, err := r.describe(ctx, img, "")
		if err != nil {
			return err
		}
		image = &described
		if image.StopSignal != "" {
			if c.rec.StopSignal, err = signal.ParseSignal(image.StopSignal); err != nil {
				return fmt.Errorf("container %s: %w: %w", c.rec.ID, container.ErrStart, err)
			}
		}
		opts = append(opts, client.WithImageName(runName(c.rec.Image)), client.WithSnapshotter(snapshotter), client.WithNewSnapshot(c.rec.ID, img))
	}
	if err := errors.Join(writeJSON(filepath.Join(c.dir, containerFile), c.rec), r.save(c)); err != nil {
		return err
	}
	specOpts, err := r.specOpts(c, image)
	if err != nil {
		return err
	}
	pids, err := r.sharedPIDs(ctx, c)
	if err != nil {
		return err
	}
	specOpts = append(specOpts, pids...)
	opts = append(opts, client.WithNewSpec(specOpts...), client.WithRuntime(r.shim, &options.Options{
		BinaryName: r.runc, Root: r.o.runcRoot(), ShimCgroup: r.o.cgroup() + "/shims",
	}))
	if _, err := r.eng.client.ContainerService().Get(ctx, c.rec.ID); err == nil {
		return r.seed(ctx, c)
	}
	_, err = r.eng.client.NewContainer(ctx, c.rec.ID, opts...)
	if errdefs.IsAlreadyExists(err) {
		// The writable layer of an attempt that was cut off: nobody wrote to it.
		if err := r.eng.client.SnapshotService(snapshotter).Remove(ctx, c.rec.ID); err != nil && !errdefs.IsNotFound(err) {
			return err
		}
		_, err = r.eng.client.NewContainer(ctx, c.rec.ID, opts...)
	}
	if err != nil {
		return fmt.Errorf("container %s: %w", c.rec.ID, startError(err))
	}
	return r.seed(ctx, c)
}

// startError marks an error that is the container's own fault.
func startError(err error) error {
	text := err.Error()
	if slices.ContainsFunc([]string{"OCI runtime", "no users found", "no groups found", "user not found", "group not found"}, func(s string) bool { return strings.Contains(text, s) }) {
		return fmt.Errorf("%w: %w", container.ErrStart, err)
	}
	return err
}

// Start implements container.Runtime.
func (r *Runtime) Start(ctx context.Context, id string) error {
	c, err := r.hold(ctx, id)
	if err != nil {
		return err
	}
	defer unlock(c.op)
	if r.statusOf(c).State != container.Created {
		return nil
	}
	ctx = withNamespace(ctx)
	task, err := r.task(ctx, id)
	if err == nil && task.Status == tasktypes.Status_CREATED {
		// Somebody died who was starting it. Where runc was cut off after it had let
		// the process go, another runc start waits for that for ever.
		r.dropTask(ctx, c)
		task, err = r.task(ctx, id)
	}
	if errdefs.IsNotFound(err) {
		if err = r.newTask(ctx, c); err == nil {
			task, err = r.task(ctx, id)
		}
	}
	if err != nil {
		return fmt.Errorf("container %s: %w", id, startError(err))
	}
	if task.Status == tasktypes.Status_CREATED {
		patient, cancel := context.WithTimeout(ctx, startPatience)
		_, err := r.eng.client.TaskService().Start(patient, &tasks.StartRequest{ContainerID: id})
		cancel()
		if err != nil {
			err = errgrpc.ToNative(err)
			r.dropTask(ctx, c)
			return fmt.Errorf("container %s: %w", id, startError(err))
		}
	}
	return r.markRunning(c, int(task.Pid))
}

// Restart implements container.Runtime. The container becomes one that was not
// started yet, which is what it is taken for if we die now, and is started.
func (r *Runtime) Restart(ctx context.Context, id string) error {
	c, err := r.hold(ctx, id)
	if err != nil {
		return err
	}
	err = r.renew(ctx, c)
	unlock(c.op)
	if err != nil {
		return err
	}
	return r.Start(ctx, id)
}

// renew puts a container that was not started in the place of one that has ended.
func (r *Runtime) renew(ctx context.Context, c *ctr) error {
	old := r.statusOf(c)
	if old.State != container.Ended {
		return nil
	}
	select {
	case <-c.settled:
	case <-ctx.Done():
		return ctx.Err()
	}
	n := newCtr(c.group, c.rec)
	n.status.Created, n.status.Restarts = old.Created, old.Restarts+1
	if err := r.save(n); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c.gone = true
	r.ctrs[c.rec.ID] = n
	r.changedLocked(n)
	return nil
}

// task asks containerd for the task of a container.
func (r *Runtime) task(ctx context.Context, id string) (*tasktypes.Process, error) {
	resp, err := r.eng.client.TaskService().Get(withNamespace(ctx), &tasks.GetRequest{ContainerID: id})
	if err != nil {
		return nil, errgrpc.ToNative(err)
	}
	return resp.Process, nil
}

// newTask starts the group's shim if need be, and runc create.
func (r *Runtime) newTask(ctx context.Context, c *ctr) error {
	if c.rec.Root != nil {
		if err := r.makeHostRoot(c); err != nil {
			return err
		}
	}
	if r.statusOf(c).Restarts == 0 {
		if err := removeAll(c.logDir()); err != nil { // of a start that failed
			return err
		}
	}
	known, err := r.eng.client.LoadContainer(ctx, c.rec.ID)
	if err != nil {
		return err
	}
	logs := cio.NullIO
	if !c.rec.NoLog {
		u := &url.URL{Scheme: "binary-v2", Path: r.helper, RawQuery: url.Values{"log": {c.logDir()}}.Encode()}
		logs = cio.LogURI(u)
		if c.rec.TTY {
			logs = cio.TerminalLogURI(u)
		}
	}
	if err := lock(ctx, c.group.shim); err != nil {
		return err
	}
	defer unlock(c.group.shim)
	_, err = known.NewTask(ctx, logs)
	return err
}

// A start takes milliseconds, and what it has left goes as fast; a shim that hangs
// must not take us with it.
const (
	startPatience = time.Minute
	dropPatience  = 10 * time.Second
)

// dropTask removes what a start that failed has left. The kernel is asked to kill
// it, not the shim, which may wait for it.
func (r *Runtime) dropTask(ctx context.Context, c *ctr) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropPatience)
	defer cancel()
	err := r.cg.kill(r.cgroupOf(c))
	for err == nil {
		if err = r.deleteTask(ctx, c); err == nil {
			return
		}
		if errdefs.IsFailedPrecondition(err) { // its end is not known yet
			err = clock.Sleep(ctx, clock.Real(1), 10*time.Millisecond)
		}
	}
	r.o.Log.Warn("a task that did not start cannot be deleted", "container", c.rec.ID, "err", err)
}

// deleteTask tells containerd to forget a task that has ended; the shim goes
// with the last one of its group.
func (r *Runtime) deleteTask(ctx context.Context, c *ctr) error {
	if err := lock(ctx, c.group.shim); err != nil {
		return err
	}
	defer unlock(c.group.shim)
	_, err := r.eng.client.TaskService().Delete(withNamespace(ctx), &tasks.DeleteTaskRequest{ContainerID: c.rec.ID})
	if err = errgrpc.ToNative(err); errdefs.IsNotFound(err) {
		return nil
	}
	return err
}

// Signal implements container.Runtime.
func (r *Runtime) Signal(_ context.Context, id string, sig syscall.Signal) error {
	c, err := r.find(id)
	if err != nil {
		return err
	}
	return r.signal(c, sig)
}

// killAll sends SIGKILL to all processes of a container.
func (r *Runtime) killAll(ctx context.Context, id string) error {
	_, err := r.eng.client.TaskService().Kill(withNamespace(ctx), &tasks.KillRequest{ContainerID: id, Signal: uint32(syscall.SIGKILL), All: true})
	err = errgrpc.ToNative(err)
	if errdefs.IsNotFound(err) || errdefs.IsFailedPrecondition(err) {
		return fmt.Errorf("container %s: %w", id, container.ErrNotRunning)
	}
	return err
}

// Stop implements container.Runtime.
func (r *Runtime) Stop(ctx context.Context, id string, sig syscall.Signal, timeout time.Duration) error {
	c, err := r.find(id)
	if err != nil {
		return err
	}
	if r.statusOf(c).State != container.Running {
		return nil
	}
	if sig == 0 {
		sig = c.rec.StopSignal
	}
	if sig == 0 {
		sig = syscall.SIGTERM
	}
	// Whatever the signal comes to, SIGKILL follows: its errors are not ours.
	_ = r.signal(c, sig)
	select {
	case <-c.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(timeout):
	}
	return r.killHard(ctx, c)
}

// killHard sends SIGKILL, again over a restart of containerd, until the
// container has ended.
func (r *Runtime) killHard(ctx context.Context, c *ctr) error {
	for {
		err := r.killAll(ctx, c.rec.ID)
		select {
		case <-c.ended:
			return nil
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// Delete implements container.Runtime.
func (r *Runtime) Delete(ctx context.Context, id string) error {
	c, err := r.hold(ctx, id)
	if errors.Is(err, container.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unlock(c.op)
	switch r.statusOf(c).State {
	case container.Running:
		if err := r.killHard(ctx, c); err != nil {
			return err
		}
		fallthrough
	case container.Ended:
		select {
		case <-c.settled:
		case <-ctx.Done():
			return ctx.Err()
		}
	case container.Created:
		r.dropTask(ctx, c)
	}
	ctx = withNamespace(ctx)
	if known, err := r.eng.client.LoadContainer(ctx, id); err == nil {
		if err := known.Delete(ctx, client.WithSnapshotCleanup); err != nil && !errdefs.IsNotFound(err) {
			return err
		}
	} else if !errdefs.IsNotFound(err) {
		return err
	}
	if err := r.cg.remove(r.cgroupOf(c)); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(c.dir, containerFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := errors.Join(removeAll(c.dir), removeAll(r.hostRootDir(id))); err != nil {
		return err
	}
	r.letGo()
	r.mu.Lock()
	defer r.mu.Unlock()
	c.gone = true
	delete(r.ctrs, id)
	r.changedLocked(c)
	return nil
}

// Get implements container.Runtime.
func (r *Runtime) Get(_ context.Context, id string) (container.Status, error) {
	c, err := r.find(id)
	if err != nil {
		return container.Status{}, err
	}
	return r.statusOf(c), nil
}

// List implements container.Runtime.
func (r *Runtime) List(context.Context) ([]container.Status, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]container.Status, 0, len(r.ctrs))
	for _, c := range r.ctrs {
		if !c.isHolder() {
			out = append(out, c.status)
		}
	}
	slices.SortFunc(out, func(a, b container.Status) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// Wait implements container.Runtime.
func (r *Runtime) Wait(ctx context.Context, id string) (container.Status, error) {
	c, err := r.find(id)
	if err != nil {
		return container.Status{}, err
	}
	select {
	case <-c.ended:
		return r.statusOf(c), nil
	case <-ctx.Done():
		return container.Status{}, ctx.Err()
	}
}
