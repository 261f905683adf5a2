package containerd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/containerd/containerd/api/types/runc/options"
	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/containerd/errdefs"
	"github.com/containerd/typeurl/v2"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"minato/dataplane/container"
	"minato/internal/ids"
)

// Exec implements container.Runtime.
func (r *Runtime) Exec(ctx context.Context, id string, p container.Process, stdio container.Stdio) (container.Execution, error) {
	c, err := r.find(id)
	if err != nil {
		return nil, err
	}
	if s := r.statusOf(c); s.State != container.Running {
		return nil, fmt.Errorf("container %s is %s: %w", id, s.State, container.ErrNotRunning)
	}
	ctx = withNamespace(ctx)
	known, err := r.eng.client.LoadContainer(ctx, id)
	if err != nil {
		return nil, err
	}
	spec, err := r.execSpec(ctx, known, p)
	if err != nil {
		return nil, fmt.Errorf("container %s: %w", id, startError(err))
	}
	task, err := known.Task(ctx, nil)
	if err != nil {
		if errdefs.IsNotFound(err) {
			err = container.ErrNotRunning
		}
		return nil, fmt.Errorf("container %s: %w", id, err)
	}
	// The shim wants both pipes or none.
	if !p.TTY && (stdio.Stdout == nil) != (stdio.Stderr == nil) {
		for _, w := range []*io.Writer{&stdio.Stdout, &stdio.Stderr} {
			if *w == nil {
				*w = io.Discard
			}
		}
	}
	input := &stdin{r: stdio.Stdin, over: make(chan struct{})}
	opts := []cio.Opt{cio.WithFIFODir(r.o.fifoDir()), cio.WithStreams(input.reader(), stdio.Stdout, stdio.Stderr)}
	if p.TTY {
		opts = append(opts, cio.WithTerminal)
	}
	proc, err := task.Exec(ctx, r.execPrefix+ids.Hex(16), spec, cio.NewCreator(opts...))
	if err != nil {
		return nil, fmt.Errorf("container %s: %w", id, startError(err))
	}
	x := &execution{proc: proc, gone: make(chan struct{})}
	// Waited for before it starts, or a short one would be over unseen.
	if x.exit, err = proc.Wait(context.WithoutCancel(ctx)); err != nil {
		return nil, errors.Join(err, x.delete(ctx))
	}
	if err := proc.Start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("container %s: %w", id, startError(err)), x.delete(ctx))
	}
	if stdio.Stdin != nil {
		// The shim holds the pipe open too: it must be told that there is no more.
		r.wg.Go(func() {
			select {
			case <-input.over:
				_ = proc.CloseIO(withNamespace(r.ctx), client.WithStdinCloser) // it may have ended already
			case <-x.gone:
			case <-r.ctx.Done():
			}
		})
	}
	if p.TTY && p.Width > 0 {
		_ = proc.Resize(ctx, uint32(p.Width), uint32(p.Height)) // it may have ended already
	}
	return x, nil
}

// execSpec is the container's own process with other arguments.
func (r *Runtime) execSpec(ctx context.Context, known client.Container, p container.Process) (*specs.Process, error) {
	spec, err := known.Spec(ctx)
	if err != nil {
		return nil, err
	}
	out := *spec.Process
	out.Args, out.Terminal = p.Args, p.TTY
	out.Env = slices.Concat(out.Env, p.Env)
	if p.TTY {
		out.Env = append(out.Env, "TERM=xterm-256color")
	}
	if p.WorkDir != "" {
		out.Cwd = p.WorkDir
	}
	if p.User != "" {
		info, err := known.Info(ctx, client.WithoutRefreshedMetadata)
		if err != nil {
			return nil, err
		}
		spec.Process = &out
		if err := oci.WithUser(p.User)(ctx, r.eng.client, (*containers.Container)(&info), spec); err != nil {
			return nil, err
		}
	}
	return &out, nil
}

// stdin tells when a process's input is at its end.
type stdin struct {
	r    io.Reader
	once sync.Once
	over chan struct{}
}

// reader is nil when there is no input, which the process then finds empty.
func (s *stdin) reader() io.Reader {
	if s.r == nil {
		return nil
	}
	return s
}

func (s *stdin) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil {
		s.once.Do(func() { close(s.over) })
	}
	return n, err
}

// execution implements container.Execution.
type execution struct {
	proc    client.Process
	exit    <-chan client.ExitStatus
	deleted sync.Once
	gone    chan struct{} // closed once it was deleted
}

func (x *execution) delete(ctx context.Context) error {
	var err error
	x.deleted.Do(func() {
		_, err = x.proc.Delete(context.WithoutCancel(ctx), client.WithProcessKill)
		close(x.gone)
	})
	return err
}

// Resize implements container.Execution.
func (x *execution) Resize(ctx context.Context, width, height uint16) error {
	return x.proc.Resize(withNamespace(ctx), uint32(width), uint32(height))
}

// Signal implements container.Execution.
func (x *execution) Signal(ctx context.Context, sig syscall.Signal) error {
	return x.proc.Kill(withNamespace(ctx), sig)
}

// Wait implements container.Execution.
func (x *execution) Wait(ctx context.Context) (int, error) {
	select {
	case s := <-x.exit:
		code, _, err := s.Result()
		x.proc.IO().Wait() // the last output
		if derr := x.delete(withNamespace(ctx)); derr != nil && !errdefs.IsNotFound(derr) && err == nil {
			err = derr
		}
		return int(code), err
	case <-ctx.Done():
		return 0, errors.Join(ctx.Err(), x.delete(withNamespace(ctx)))
	}
}

// endExecutions kills what an earlier Runtime started in a container besides its
// first process: with its end, nobody reads or writes there any more.
func (r *Runtime) endExecutions(c *ctr) {
	ctx := withNamespace(r.ctx)
	known, err := r.eng.client.LoadContainer(ctx, c.rec.ID)
	if err != nil {
		return // it goes just now
	}
	task, err := known.Task(ctx, nil)
	if err != nil {
		return
	}
	processes, err := task.Pids(ctx)
	if err != nil {
		r.o.Log.Warn("what an earlier daemon has left in a container is not known", "container", c.rec.ID, "error", err)
		return
	}
	for _, p := range processes {
		var details options.ProcessDetails
		if p.Info == nil || typeurl.UnmarshalTo(p.Info, &details) != nil || details.ExecID == "" || strings.HasPrefix(details.ExecID, r.execPrefix) {
			continue
		}
		proc, err := task.LoadProcess(ctx, details.ExecID, nil)
		if err == nil {
			err = endLoaded(ctx, proc)
		}
		if err != nil && !errdefs.IsNotFound(err) && ctx.Err() == nil {
			r.o.Log.Warn("a process of an earlier daemon cannot be ended", "container", c.rec.ID, "error", err)
		}
	}
}

// endLoaded kills and removes a process that another Runtime started: its pid is
// not known here, so that client.WithProcessKill would do nothing.
func endLoaded(ctx context.Context, proc client.Process) error {
	exit, err := proc.Wait(ctx)
	if err != nil {
		return err
	}
	if err := proc.Kill(ctx, syscall.SIGKILL); err != nil && !errdefs.IsNotFound(err) {
		return err
	}
	select {
	case <-exit:
	case <-ctx.Done():
		return ctx.Err()
	}
	_, err = proc.Delete(ctx)
	return err
}
