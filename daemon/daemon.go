package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"minato/controller"
	"minato/daemon/control"
	"minato/daemon/instance"
	"minato/dataplane/container/containerd"
	"minato/dataplane/dns"
	"minato/dataplane/host"
	"minato/dataplane/network"
	"minato/dataplane/network/linux"
	"minato/dataplane/proxy"
	"minato/dataplane/proxy/engine"
	"minato/gateway"
	"minato/internal/clock"
	"minato/internal/seal"
	"minato/internal/version"
	"minato/store/sqlite"
)

// daemon is one running minato.
type daemon struct {
	cfg   Config
	in    instance.Instance
	log   *slog.Logger
	clock clock.Clock
	since time.Time

	store   *sqlite.Store
	bus     *controller.Bus
	control *controller.Controller
	runtime *containerd.Runtime
	network *linux.Network
	proxy   proxy.Proxy
	dns     *dns.Server
	ca      *host.CA
	sealer  *seal.Sealer // of values that must not lie in the open
	issuer  *host.CA     // of the certificates that ACM issues
	gateway *gateway.Gateway
	refused *gateway.Refusals
	services
	names     *names
	vpcs      *vpcServices
	endpoints *endpoints

	ctx     context.Context // ends when the daemon does
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	closers []func() error // in the order they were opened
}

// errStopped ends a daemon that was asked to stop through its socket.
var errStopped = errors.New("stopped")

// Run is the daemon: it starts everything, calls ready once with the state or
// with why it could not start, and runs until ctx ends. What it started on the
// host - containers, their network - runs on; Down stops it.
func Run(ctx context.Context, cfg Config, ready func(instance.State, error)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	d, state, err := start(ctx, cfg, func() { cancel(errStopped) })
	ready(state, err)
	if err != nil {
		return err
	}
	<-ctx.Done()
	d.log.Info("the daemon ends; what it started runs on", "cause", context.Cause(ctx))
	return d.close()
}

// start builds the daemon from its rooms. The order has its reasons:
//
//  1. The instance's lock, so that nothing below is done twice at a time.
//  2. The preflight: every problem is told before the first change to the host.
//  3. The network's hub, whose `unreachable` route over the public pool must
//     stand before anything could send a packet there.
//  4. Store and containerd, beside it: they need nothing of each other.
//  5. The services, which only register; then the network's wanted state from
//     the records, so that the namespaces are adopted before anything is
//     reconciled on top of them.
//  6. The reconcilers: every key is queued, recovery is the normal path.
//  7. The doors, last: whoever is let in finds everything behind them.
func start(ctx context.Context, cfg Config, stop func()) (d *daemon, state instance.State, err error) {
	in, err := instance.Open(cfg.DataDir)
	if err != nil {
		return nil, state, err
	}
	d = &daemon{cfg: cfg, in: in, log: newLog(), clock: clock.Real(cfg.Pace), since: time.Now()}
	d.ctx, d.cancel = context.WithCancel(ctx)
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	lock, err := in.Lock()
	if err != nil {
		return d, state, err
	}
	d.onClose(lock.Close)
	if err := d.settlePool(); err != nil {
		return d, state, err
	}
	if err := d.preflight(); err != nil {
		return d, state, err
	}
	if err := raiseLimits(); err != nil {
		d.log.Warn("the limit of open files stays as it is", "error", err)
	}
	// The door is opened first, to know that it is free, and answered last.
	api, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return d, state, host.CheckListen(cfg.Listen, err)
	}
	d.onClose(func() error { return ignoreClosed(api.Close()) })
	d.cfg.Listen = api.Addr().String() // port 0 asks for any that is free
	if err := d.openPlanes(); err != nil {
		return d, state, err
	}
	if err := d.buildServices(); err != nil {
		return d, state, err
	}
	if err := d.startReconcilers(); err != nil {
		return d, state, err
	}
	return d, d.state(), d.openDoors(api, stop)
}

func newLog() *slog.Logger {
	level := slog.LevelInfo
	if os.Getenv("MINATO_DEBUG") != "" {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}

func (d *daemon) onClose(f func() error) { d.closers = append(d.closers, f) }

// close lets go of everything in the reverse order. What runs on the host is
// not touched.
func (d *daemon) close() error {
	d.cancel()
	var errs []error
	for i := len(d.closers) - 1; i >= 0; i-- {
		errs = append(errs, d.closers[i]())
	}
	d.wg.Wait()
	return errors.Join(errs...)
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (d *daemon) preflight() error {
	_, err := os.Stat(d.in.Path(storeFile))
	begun := err == nil
	if begun {
		if err := host.CheckDisk(d.cfg.DataDir); err != nil {
			d.log.Warn("writes may be refused until there is room", "error", err)
		}
	}
	return host.Preflight(host.Needs{DataDir: d.cfg.DataDir, Pool: d.cfg.PublicCIDR, Ours: d.oursOnHost, Begun: begun})
}

// storeFile is the store's, in the data directory.
const storeFile = "state.db"

// settlePool finds the range of public addresses: it stays what the instance
// was made with, since addresses of it are given away.
func (d *daemon) settlePool() error {
	made, err := d.in.Pool()
	if err != nil {
		return err
	}
	switch {
	case !d.cfg.PublicCIDR.IsValid() && made.IsValid():
		d.cfg.PublicCIDR = made
	case !d.cfg.PublicCIDR.IsValid():
		d.cfg.PublicCIDR = DefaultPublicCIDR
	case made.IsValid() && made != d.cfg.PublicCIDR.Masked():
		return host.Problem{
			What: fmt.Sprintf("this instance was made with the public range %s, and addresses of it are given away", made),
			Mend: "leave --public-cidr out, or start anew: minato down --purge",
		}
	}
	d.cfg.PublicCIDR = d.cfg.PublicCIDR.Masked()
	return nil
}

// openPlanes opens the network, then the store and containerd beside each other.
func (d *daemon) openPlanes() error {
	err := d.in.WritePool(d.cfg.PublicCIDR)
	if err != nil {
		return err
	}
	if d.network, err = linux.Open(d.networkOptions()); err != nil {
		return err
	}
	d.onClose(d.network.Close)
	var wg sync.WaitGroup
	var storeErr, runtimeErr, caErr error
	wg.Go(func() { d.store, storeErr = sqlite.Open(d.in.Path(storeFile)) })
	wg.Go(func() { d.runtime, runtimeErr = containerd.New(d.ctx, d.runtimeOptions()) })
	wg.Go(func() {
		if d.ca, caErr = host.OpenCA(d.in.Path("ca"), d.in.ID, "amazonaws.com", d.cfg.PublicCIDR); caErr == nil {
			d.issuer, caErr = host.OpenIssuer(d.in.Path("ca", "certificates"), d.in.ID)
		}
	})
	wg.Wait()
	if d.store != nil {
		d.onClose(d.store.Close)
	}
	if d.runtime != nil {
		d.onClose(d.runtime.Close)
	}
	if err := errors.Join(storeErr, runtimeErr, caErr); err != nil {
		return err
	}
	d.bus = controller.NewBus()
	d.control = controller.New(d.clock, d.log, d.bus)
	d.control.WatchStore(d.store)
	d.proxy = engine.New(sockets{d.network}, d.clock, d.log)
	d.onClose(d.proxy.Close)
	d.dns = dns.New(d.log)
	return nil
}

func (d *daemon) networkOptions() linux.Options {
	return linux.Options{
		ID: d.in.ID, Dir: networkDir(d.in), PublicCIDR: d.cfg.PublicCIDR, ServicePorts: []uint16{httpsPort, d.plainPort()}, LAN: d.cfg.LAN, Log: d.log,
	}
}

func (d *daemon) runtimeOptions() containerd.Options {
	return containerd.Options{
		InstanceID: d.in.ID, DataDir: runtimeDir(d.in), RunDir: runtimeRunDir(d.in), Log: d.log,
		MountRoots: []string{d.in.Path("databases"), d.in.Path("workspaces"), d.in.Path("volumes"), d.in.Path("efs")},
	}
}

// state is what the instance's file says of the ready daemon.
func (d *daemon) state() instance.State {
	return instance.State{
		PID: os.Getpid(), Endpoint: "http://" + d.cfg.Listen, Region: d.cfg.Region, Account: d.cfg.Account, PublicCIDR: d.cfg.PublicCIDR.String(),
		ServiceAddress: network.ServiceAddress(d.cfg.PublicCIDR).String(), HostNames: d.cfg.HostNames, Version: version.String(),
	}
}

// openDoors serves the API, the control socket and AWS's services' own address,
// and says that the daemon is ready.
func (d *daemon) openDoors(api net.Listener, stop func()) error {
	ctl, err := control.Listen(d.in)
	if err != nil {
		return err
	}
	door := d.door()
	d.serve(ctl, d.controlHandler(stop))
	d.serve(api, door)
	if err := d.serveServiceAddress(door); err != nil {
		return err
	}
	if err := d.in.WriteState(d.state()); err != nil {
		return err
	}
	return nil
}

// serve runs an HTTP server on a listener until the daemon ends.
func (d *daemon) serve(l net.Listener, h http.Handler) {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 30 * time.Second, ErrorLog: slog.NewLogLogger(d.log.Handler(), slog.LevelDebug)}
	d.wg.Go(func() {
		if err := srv.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) && d.ctx.Err() == nil {
			d.log.Error("a door closed", "address", l.Addr(), "error", err)
		}
	})
	d.onClose(srv.Close)
}

// sockets are the load balancer's: made inside the VPCs.
type sockets struct{ network.Network }
