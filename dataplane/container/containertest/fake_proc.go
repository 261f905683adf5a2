package containertest

import (
	"context"
	"io"
	"strings"
	"sync"
	"syscall"

	"minato/dataplane/container"
	"minato/dataplane/container/containertest/program"
)

// Exec implements container.Runtime.
func (f *Fake) Exec(_ context.Context, id string, p container.Process, stdio container.Stdio) (container.Execution, error) {
	c, err := f.running(id)
	if err != nil {
		return nil, err
	}
	run, err := f.lookUp(p.Args)
	if err != nil {
		return nil, err
	}
	in, out, errOut := stdio.Stdin, stdio.Stdout, stdio.Stderr
	if in == nil {
		in = strings.NewReader("")
	}
	if out == nil {
		out = io.Discard
	}
	if errOut == nil {
		errOut = io.Discard
	}
	x := &fakeExecution{proc: newFakeProc(), done: make(chan int, 1)}
	go func() {
		x.done <- x.proc.run(run, program.Proc{
			Args: p.Args[1:], Env: environment(c.image.Env, c.spec.Env, p.Env), Stdin: in, Stdout: out, Stderr: errOut,
		})
	}()
	return x, nil
}

// fakeProc is a running Program.
type fakeProc struct {
	mu      sync.Mutex
	signals chan syscall.Signal
	killed  bool
}

func newFakeProc() *fakeProc { return &fakeProc{signals: make(chan syscall.Signal, 16)} }

func (p *fakeProc) run(run Program, proc program.Proc) int {
	proc.Signals = p.signals
	code := run(proc)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.killed {
		return 128 + int(syscall.SIGKILL)
	}
	return code
}

func (p *fakeProc) signal(sig syscall.Signal) {
	if sig == syscall.SIGKILL {
		p.kill()
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.killed {
		select {
		case p.signals <- sig:
		default:
		}
	}
}

// kill ends a program that listens to its signals: there are no more.
func (p *fakeProc) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.killed {
		p.killed = true
		close(p.signals)
	}
}

// fakeExecution implements container.Execution.
type fakeExecution struct {
	proc *fakeProc
	done chan int
}

func (x *fakeExecution) Resize(context.Context, uint16, uint16) error { return nil }

func (x *fakeExecution) Signal(_ context.Context, sig syscall.Signal) error {
	x.proc.signal(sig)
	return nil
}

func (x *fakeExecution) Wait(ctx context.Context) (int, error) {
	select {
	case code := <-x.done:
		return code, nil
	case <-ctx.Done():
		x.proc.kill()
		return 0, ctx.Err()
	}
}
