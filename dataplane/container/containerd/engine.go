package containerd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	tasks "github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/defaults"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
)

const (
	// namespace is containerd's word for a tenant; we are its only one.
	namespace   = "minato"
	snapshotter = "overlayfs"

	engineStartTimeout = 60 * time.Second
	engineStopTimeout  = 10 * time.Second
	engineLogBytes     = 16 << 20
)

// engine is the containerd process and the connection to it.
type engine struct {
	o      *Options
	client *client.Client
	// recover reads what ended while no containerd ran. It is called over and
	// over while one starts.
	recover func()

	mu      sync.Mutex
	pid     int
	stopped bool // on purpose

	cancel context.CancelFunc
	done   chan struct{} // the supervisor has ended
}

// startEngine adopts the containerd that runs, or starts one, and keeps one
// running until close or stop.
func startEngine(ctx context.Context, o *Options, recover func()) (*engine, error) {
	for _, dir := range []string{o.engineRoot(), o.engineState(), o.socketDir(), o.fifoDir(), o.rootDir(), o.groupsDir()} {
		// 0711 on the way to root file systems: processes of a user namespace go
		// through.
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return nil, err
		}
	}
	if err := keepFile(o.engineConfig(), o.engineConfigText(), 0o600); err != nil {
		return nil, err
	}
	e := &engine{o: o, recover: recover, done: make(chan struct{})}
	spawned := false
	if pid := socketOwner(o.socket()); pid != 0 {
		e.pid = pid
		recover()
	} else if err := e.spawn(ctx); err != nil {
		return nil, err
	} else {
		spawned = true
	}
	conn, err := dial(o.socket())
	if err != nil {
		return nil, err
	}
	e.client, err = client.NewWithConn(conn, client.WithDefaultNamespace(namespace))
	if err != nil {
		conn.Close()
		return nil, err
	}
	if err := e.serving(ctx); err != nil {
		e.client.Close()
		if spawned {
			_ = syscall.Kill(e.pid, syscall.SIGTERM) // nobody would look after it
		}
		return nil, err
	}
	sctx, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	go e.supervise(sctx)
	return e, nil
}

func (o *Options) engineConfig() string { return filepath.Join(o.DataDir, "containerd.toml") }

func (o *Options) engineConfigText() string {
	return fmt.Sprintf(`version = 4
root = %q
state = %q

[plugins."io.containerd.server.v1.grpc"]
address = %q
max_recv_message_size = %d
max_send_message_size = %d

[plugins."io.containerd.server.v1.ttrpc"]
address = %q

[plugins."io.containerd.shim.v1.manager"]
socket_dir = %q
`, o.engineRoot(), o.engineState(), o.socket(), defaults.DefaultMaxRecvMsgSize, defaults.DefaultMaxSendMsgSize,
		o.socket()+".ttrpc", o.socketDir())
}

// dial connects to containerd's socket. The connection finds a restarted
// containerd at once: nobody else is waiting at a local socket.
func dial(socket string) (*grpc.ClientConn, error) {
	return grpc.NewClient("passthrough:///"+socket,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", addr)
		}),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.Config{
			BaseDelay: 10 * time.Millisecond, Multiplier: 1.5, Jitter: 0.1, MaxDelay: 200 * time.Millisecond,
		}, MinConnectTimeout: time.Second}),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(defaults.DefaultMaxRecvMsgSize),
			grpc.MaxCallSendMsgSize(defaults.DefaultMaxSendMsgSize)),
		grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			return invoke(withNamespace(ctx), method, req, reply, cc, opts...)
		}),
		grpc.WithStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, stream grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			return stream(withNamespace(ctx), desc, cc, method, opts...)
		}))
}

func withNamespace(ctx context.Context) context.Context {
	if _, ok := namespaces.Namespace(ctx); ok {
		return ctx
	}
	return namespaces.WithNamespace(ctx, namespace)
}

// socketOwner is the process that listens at a unix socket, 0 when none does.
func socketOwner(path string) int {
	c, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		return 0
	}
	defer c.Close()
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0
	}
	pid := 0
	_ = raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
	})
	return pid
}

// spawn starts containerd and returns when it listens.
func (e *engine) spawn(ctx context.Context) error {
	e.recover()
	logFile, err := e.openLog()
	if err != nil {
		return err
	}
	defer logFile.Close()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self)
	cmd.Args = []string{"minato-containerd", e.o.engineConfig()} // for people who look at ps
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), roleEnv+"="+e.o.engineConfig())
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start containerd: %w", err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	ctx, cancel := context.WithTimeout(ctx, engineStartTimeout)
	defer cancel()
	for socketOwner(e.o.socket()) != cmd.Process.Pid {
		select {
		case err := <-exited:
			return fmt.Errorf("containerd ended at once (%w); see %s", err, e.o.engineLog())
		case <-ctx.Done():
			_ = cmd.Process.Kill()
			return fmt.Errorf("containerd did not come up; see %s: %w", e.o.engineLog(), ctx.Err())
		case <-time.After(2 * time.Millisecond):
		}
		// A task that ends in this moment: its exit.json lies there until the new
		// containerd has cleaned up.
		e.recover()
	}
	e.mu.Lock()
	e.pid = cmd.Process.Pid
	e.mu.Unlock()
	return nil
}

func (e *engine) openLog() (*os.File, error) {
	name := e.o.engineLog()
	if fi, err := os.Stat(name); err == nil && fi.Size() > engineLogBytes {
		if err := os.Rename(name, name+".1"); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
}

// serving waits until containerd answers.
func (e *engine) serving(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, engineStartTimeout)
	defer cancel()
	for {
		ok, err := e.client.IsServing(ctx)
		if ok {
			return e.whole(ctx)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("containerd does not answer: %w", errors.Join(err, ctx.Err()))
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// whole refuses a containerd that serves without what it could not load: with
// its metadata broken it answers, and knows neither tasks nor images.
func (e *engine) whole(ctx context.Context) error {
	_, err := e.client.TaskService().List(withNamespace(ctx), &tasks.ListTasksRequest{})
	if errdefs.IsNotImplemented(errgrpc.ToNative(err)) {
		return fmt.Errorf("containerd could not load what it keeps in %s (%w)", e.o.engineRoot(), err)
	}
	return nil // anything else shows where it matters
}

// supervise starts containerd again whenever it dies.
func (e *engine) supervise(ctx context.Context) {
	defer close(e.done)
	for delay := time.Duration(0); ; {
		started := time.Now()
		if err := waitProcess(ctx, e.process()); ctx.Err() != nil {
			return
		} else if err != nil {
			e.o.Log.Error("cannot watch containerd", "err", err)
		}
		if e.isStopped() {
			return
		}
		if delay = min(max(2*delay, 10*time.Millisecond), 5*time.Second); time.Since(started) > time.Minute {
			delay = 0
		}
		e.o.Log.Warn("containerd died; it is started again", "pid", e.process())
		if err := e.spawn(ctx); err != nil {
			e.o.Log.Error("containerd does not start", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(delay):
		}
	}
}

func (e *engine) process() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.pid
}

func (e *engine) isStopped() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stopped
}

// close lets go of containerd, which runs on.
func (e *engine) close() error {
	e.cancel()
	<-e.done
	return e.client.Close()
}

// stop ends containerd.
func (e *engine) stop(ctx context.Context) error {
	e.mu.Lock()
	e.stopped = true
	pid := e.pid
	e.mu.Unlock()
	defer func() { _ = e.close() }()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := syscall.Kill(pid, sig); errors.Is(err, syscall.ESRCH) {
			break
		}
		wctx, cancel := context.WithTimeout(ctx, engineStopTimeout)
		err := waitProcess(wctx, pid)
		cancel()
		if err == nil {
			break
		}
	}
	for _, name := range []string{e.o.socket(), e.o.socket() + ".ttrpc"} {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
