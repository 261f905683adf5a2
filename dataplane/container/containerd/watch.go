package containerd

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	tasks "github.com/containerd/containerd/api/services/tasks/v1"
	tasktypes "github.com/containerd/containerd/api/types/task"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"

	"minato/dataplane/container"
	"minato/dataplane/container/spool"
)

// Why containers end that did not end by themselves.
const (
	reasonShim   = "the process that supervises the container (minato-shim) died"
	reasonLogger = "the process that writes the container's log (minato-helper log) died"
	reasonReboot = "the machine was restarted"
)

// killedCode is the exit code of a container whose own nobody knows.
const killedCode = 128 + int(syscall.SIGKILL)

// retryWatch is how soon containerd is asked again while it does not answer.
const retryWatch = 20 * time.Millisecond

// logSettle is how long the last lines of a container may take to be written.
const logSettle = 15 * time.Second

// adopt takes up what was running when the last Runtime was closed or killed.
func (r *Runtime) adopt(ctx context.Context) error {
	r.mu.Lock()
	all := make([]*ctr, 0, len(r.ctrs))
	for _, c := range r.ctrs {
		all = append(all, c)
	}
	r.mu.Unlock()
	for _, c := range all {
		switch s := r.statusOf(c); s.State {
		case container.Running:
			r.startWatch(c)
			r.wg.Go(func() { r.endExecutions(c) })
		case container.Ended:
			r.wg.Go(func() { r.settle(c) })
		case container.Created:
			// Started, perhaps, by one who died before he wrote it down.
			task, err := r.task(ctx, c.rec.ID)
			if errdefs.IsNotFound(err) {
				continue
			}
			if err != nil {
				return err
			}
			if task.Status != tasktypes.Status_CREATED {
				if err := r.markRunning(c, int(task.Pid)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// markRunning notes that a container runs, and watches it.
func (r *Runtime) markRunning(c *ctr, pid int) error {
	r.mu.Lock()
	c.status.State, c.status.PID, c.status.Started = container.Running, pid, time.Now().UTC()
	r.changedLocked(c)
	r.mu.Unlock()
	// Written before anybody waits for its end, which is written to the same file.
	err := r.save(c)
	r.startWatch(c)
	return err
}

// save writes a container's status as it is now: of several at once the last one
// writes the newest.
func (r *Runtime) save(c *ctr) error {
	c.file.Lock()
	defer c.file.Unlock()
	return writeJSON(filepath.Join(c.dir, statusFile), r.statusOf(c))
}

func (r *Runtime) startWatch(c *ctr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !c.watched {
		c.watched = true
		r.wg.Go(func() { r.watch(c) })
	}
}

// watch waits for the end of a container, whatever happens to containerd.
func (r *Runtime) watch(c *ctr) {
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	if !c.rec.NoLog {
		r.wg.Go(func() { r.watchLogger(ctx, c) })
	}
	for ctx.Err() == nil {
		select {
		case <-c.ended: // recoverExits saw it
			r.settle(c)
			return
		default:
		}
		if r.observe(ctx, c) {
			r.settle(c)
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(retryWatch):
		}
	}
}

// observe waits for the end of a container's task and notes it. It returns
// false when containerd cannot tell, for now.
func (r *Runtime) observe(ctx context.Context, c *ctr) bool {
	task, err := r.task(ctx, c.rec.ID)
	switch {
	case errdefs.IsNotFound(err):
		// containerd forgets a task by itself only when its shim is dead.
		r.finish(c, exit{code: killedCode, at: time.Now(), reason: r.goneReason(c)})
		return true
	case err != nil:
		return false
	case task.Status == tasktypes.Status_STOPPED:
		r.finish(c, exit{code: int(task.ExitStatus), at: task.ExitedAt.AsTime()})
		return true
	}
	resp, err := r.eng.client.TaskService().Wait(withNamespace(ctx), &tasks.WaitRequest{ContainerID: c.rec.ID})
	if err != nil {
		return false
	}
	// A shim that died is told from a container that was killed by this: the task
	// is still known in the second case.
	e := exit{code: int(resp.ExitStatus), at: resp.ExitedAt.AsTime()}
	if e.code == killedCode {
		if _, err := r.task(ctx, c.rec.ID); err != nil && ctx.Err() == nil && !r.engineGone(err) {
			e.reason = reasonShim
		}
	}
	r.finish(c, e)
	return true
}

// engineGone tells whether an error is containerd's absence, not its answer.
func (r *Runtime) engineGone(err error) bool {
	return errdefs.IsUnavailable(errgrpc.ToNative(err)) && socketOwner(r.o.socket()) == 0
}

// goneReason is why a task is not there that was running: after a reboot the
// run directory is empty, and the boot is younger than the task.
func (r *Runtime) goneReason(c *ctr) string {
	if b, err := os.ReadFile("/proc/uptime"); err == nil {
		var up float64
		seconds, _, _ := bytes.Cut(b, []byte(" "))
		if json.Unmarshal(seconds, &up) == nil &&
			time.Since(r.statusOf(c).Started) > time.Duration(up*float64(time.Second)) {
			return reasonReboot
		}
	}
	return reasonShim
}

// watchLogger kills a container whose log writer died: its lines would be lost,
// and the next one it writes would kill it anyway, with SIGPIPE.
func (r *Runtime) watchLogger(ctx context.Context, c *ctr) {
	pid := spool.Writer(c.logDir())
	if pid == 0 {
		return
	}
	if err := waitProcess(ctx, pid); err != nil || ctx.Err() != nil || spool.Complete(c.logDir()) {
		return // the container closed its output, or is over
	}
	r.mu.Lock()
	if c.status.State == container.Running {
		c.reason = reasonLogger
	}
	r.mu.Unlock()
	if err := r.killHard(ctx, c); err != nil && ctx.Err() == nil {
		r.o.Log.Error("a container without a log writer cannot be killed", "container", c.rec.ID, "err", err)
	}
}

type exit struct {
	code   int
	at     time.Time
	reason string
}

// finish writes down how a container ended; only the first one to say so counts,
// and it is on disk when finish returns.
func (r *Runtime) finish(c *ctr, e exit) {
	oom := r.cg.oomKills(r.cgroupOf(c)) > 0
	r.mu.Lock()
	if c.status.State == container.Ended {
		r.mu.Unlock()
		<-c.ended
		return
	}
	if e.at.IsZero() || e.at.Unix() <= 0 {
		e.at = time.Now()
	}
	if e.reason == "" {
		e.reason = c.reason
	}
	s := &c.status
	s.State, s.PID, s.ExitCode, s.Ended, s.OOMKilled, s.Reason = container.Ended, 0, e.code, e.at.UTC(), oom, e.reason
	if s.Started.IsZero() {
		s.Started = s.Ended
	}
	r.mu.Unlock()
	if err := r.save(c); err != nil {
		// A full disk: it is known as long as we live.
		r.o.Log.Error("a container's end cannot be written down", "container", c.rec.ID, "err", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	close(c.ended)
	r.changedLocked(c)
}

// settle clears up after a container that has ended: containerd's task, with
// which the shim lets go of the log writer, whose last lines are waited for.
func (r *Runtime) settle(c *ctr) {
	ctx, cancel := context.WithTimeout(r.ctx, logSettle)
	defer cancel()
	for {
		err := r.deleteTask(ctx, c)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			if r.ctx.Err() != nil {
				return // the next Runtime does it
			}
			r.o.Log.Error("a task that has ended cannot be deleted", "container", c.rec.ID, "err", err)
			break
		}
		time.Sleep(retryWatch)
	}
	if pid := spool.Writer(c.logDir()); pid != 0 && !spool.Complete(c.logDir()) && isLogger(pid, c.logDir()) {
		if err := waitProcess(ctx, pid); err != nil {
			r.o.Log.Warn("a log writer does not end", "container", c.rec.ID, "pid", pid, "err", err)
		}
	}
	close(c.settled)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changedLocked(c)
}

// isLogger tells whether a process is the log writer of a directory: ids of
// processes are used again.
func isLogger(pid int, dir string) bool {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	return err == nil && containsArg(b, dir)
}

// recoverExits reads the exit.json of every running container: what the shims
// wrote while there was no containerd to tell.
func (r *Runtime) recoverExits() {
	r.mu.Lock()
	var running []*ctr
	for _, c := range r.ctrs {
		if c.status.State == container.Running {
			running = append(running, c)
		}
	}
	r.mu.Unlock()
	for _, c := range running {
		b, err := os.ReadFile(filepath.Join(r.o.bundle(c.rec.ID), "exit.json"))
		if err != nil {
			continue
		}
		var e struct {
			Timestamp time.Time
			Status    int
		}
		if json.Unmarshal(b, &e) == nil && !e.Timestamp.IsZero() {
			r.finish(c, exit{code: e.Status, at: e.Timestamp})
		}
	}
}
