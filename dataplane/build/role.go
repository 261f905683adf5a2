package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/moby/buildkit/util/grpcerrors"
	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"
)

// roleEnv tells our binary that it is the builder, and how.
const roleEnv = "MINATO_BUILDER"

// MaybeRunRole runs the builder and ends the process, if that is what this
// process was started for. main calls it before anything else.
func MaybeRunRole() {
	text, ok := os.LookupEnv(roleEnv)
	if !ok {
		return
	}
	os.Unsetenv(roleEnv) // not for our children
	var c Config
	err := json.Unmarshal([]byte(text), &c)
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
		err = serve(ctx, c)
		stop()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "builder:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serve runs a builder until ctx ends or nobody has been connected for a while.
func serve(ctx context.Context, c Config) error {
	if err := c.check(); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("building needs root: run this with sudo")
	}
	if err := os.MkdirAll(c.Root, 0o700); err != nil {
		return err
	}
	unlock, err := lock(ctx, filepath.Join(c.Root, "lock"))
	if err != nil {
		return err
	}
	defer unlock()
	if c.Confined {
		confine()
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	controller, err := newController(ctx, c)
	if err != nil {
		return err
	}
	defer func() {
		if err := controller.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "builder: close:", err)
		}
	}()
	listener, err := listen(c.socket())
	if err != nil {
		return err
	}
	idle := &idleness{after: c.Idle, stop: stop}
	if idle.after == 0 {
		idle.after = defaultIdle
	}
	server := grpc.NewServer(
		grpc.StatsHandler(idle),
		grpc.ChainUnaryInterceptor(grpcerrors.UnaryServerInterceptor),
		grpc.ChainStreamInterceptor(grpcerrors.StreamServerInterceptor),
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage),
	)
	controller.Register(server)
	idle.begin()
	go func() {
		<-ctx.Done()
		server.Stop() // also removes the socket
	}()
	return server.Serve(listener)
}

const maxMessage = 16 << 20

func listen(socket string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(socket), 0o711); err != nil {
		return nil, err
	}
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	old := syscall.Umask(0o177) // the socket is never open to others, not for a moment
	defer syscall.Umask(old)
	return net.Listen("unix", socket)
}

// lock takes a lock file, waiting for a builder that is just ending.
func lock(ctx context.Context, name string) (unlock func(), err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	deadline := time.Now().Add(startTimeout)
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Now().After(deadline) || ctx.Err() != nil {
			f.Close()
			return nil, fmt.Errorf("another builder uses %s: %w", filepath.Dir(name), err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// idleness counts connections and stops the builder when there have been none
// for a while. It is grpc's stats handler, which sees connections.
type idleness struct {
	after time.Duration
	stop  func()

	mu    sync.Mutex
	open  int
	timer *time.Timer
}

func (i *idleness) begin() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.open == 0 {
		i.timer = time.AfterFunc(i.after, i.stop)
	}
}

// HandleConn implements stats.Handler.
func (i *idleness) HandleConn(_ context.Context, s stats.ConnStats) {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch s.(type) {
	case *stats.ConnBegin:
		i.open++
		if i.timer != nil {
			i.timer.Stop()
		}
	case *stats.ConnEnd:
		i.open--
		if i.open == 0 {
			i.timer = time.AfterFunc(i.after, i.stop)
		}
	}
}

// TagConn implements stats.Handler.
func (i *idleness) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// TagRPC implements stats.Handler.
func (i *idleness) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// HandleRPC implements stats.Handler.
func (i *idleness) HandleRPC(context.Context, stats.RPCStats) {}
