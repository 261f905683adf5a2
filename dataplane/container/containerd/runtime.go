package containerd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/leases"
	"golang.org/x/sync/errgroup"

	"minato/dataplane/container"
	"minato/internal/ids"
)

// shutdownGrace is how long Shutdown lets containers end by themselves.
const shutdownGrace = 5 * time.Second

// Runtime implements container.Runtime.
type Runtime struct {
	o      Options
	runc   string
	shim   string
	helper string
	// shimReady returns when shim and helper are written, which takes longer than
	// the rest of the first start: only the first container waits for it.
	shimReady func() error
	cg        *cgroups
	eng       *engine

	ctx    context.Context // of everything in the background
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	groups  map[string]*group
	ctrs    map[string]*ctr
	changes changes

	garbage chan struct{} // has one when there is something to collect
	doubt   chan struct{} // has one when there may be stray shims

	// execPrefix begins the ids of the processes that this Runtime has started in
	// running containers, and not those of others before it.
	execPrefix string
}

var _ container.Runtime = (*Runtime)(nil)

// New starts the engine, or finds the one that runs, and everything in it.
func New(ctx context.Context, o Options) (*Runtime, error) {
	runc, err := o.check()
	if err != nil {
		return nil, err
	}
	r := &Runtime{o: o, runc: runc, execPrefix: "exec-" + ids.Hex(8) + "-", groups: map[string]*group{}, ctrs: map[string]*ctr{}, garbage: make(chan struct{}, 1), doubt: make(chan struct{}, 1)}
	if err := r.findPrograms(); err != nil {
		return nil, err
	}
	if r.cg, err = findCgroups(); err != nil {
		return nil, err
	}
	if err := r.cg.make(o.cgroup()+"/shims", container.Limits{}); err != nil {
		return nil, err
	}
	if err := r.load(); err != nil {
		return nil, err
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	if r.eng, err = startEngine(ctx, &r.o, func() {
		r.letGo() // it died in the middle of something
		r.doubtful()
		r.recoverExits()
	}); err != nil {
		r.cancel()
		return nil, err
	}
	if err := r.adopt(ctx); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	r.letGo() // what a process before us did, and could not note
	r.doubtful()
	r.wg.Go(r.endStrays)
	r.wg.Go(func() {
		r.endLeases()
		r.collect()
	})
	return r, nil
}

// EnginePID is the process id of containerd.
func (r *Runtime) EnginePID() int { return r.eng.process() }

// Socket is where containerd listens, for the builder.
func (r *Runtime) Socket() string { return r.o.socket() }

// Namespace is the one that everything is in, in containerd's sense.
func (r *Runtime) Namespace() string { return namespace }

// Content is the store of blobs, for the registry: what is pushed is here already.
func (r *Runtime) Content() content.Store { return r.eng.client.ContentStore() }

// Leases keep content from being collected.
func (r *Runtime) Leases() leases.Manager { return r.eng.client.LeasesService() }

// Images are the names that keep images from being collected.
func (r *Runtime) Images() images.Store { return r.eng.client.ImageService() }

// Close implements container.Runtime.
func (r *Runtime) Close() error {
	r.cancel()
	err := r.eng.close()
	r.wg.Wait()
	return err
}

// Shutdown implements container.Runtime.
func (r *Runtime) Shutdown(ctx context.Context) error {
	r.mu.Lock()
	all := slices.Collect(maps.Values(r.ctrs))
	r.mu.Unlock()
	var eg errgroup.Group
	eg.SetLimit(16)
	for _, c := range all {
		if c.isHolder() {
			continue
		}
		eg.Go(func() error {
			if err := r.Stop(ctx, c.rec.ID, 0, shutdownGrace); err != nil || r.statusOf(c).State != container.Ended {
				return err
			}
			select {
			case <-c.settled: // its shim and log writer are gone
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}
	err := errors.Join(eg.Wait(), r.stopHolders(ctx, all))
	return errors.Join(err, r.halt(ctx))
}

// halt ends the engine and what supervised containers, of which none runs.
func (r *Runtime) halt(ctx context.Context) error {
	r.cancel()
	err := r.eng.stop(ctx)
	r.wg.Wait()
	return errors.Join(err, r.cg.kill(r.o.cgroup()), unmountBelow(r.o.RunDir))
}

// Purge implements container.Runtime.
func (r *Runtime) Purge(ctx context.Context) error {
	var eg errgroup.Group
	eg.SetLimit(8)
	for _, id := range r.groupIDs() {
		eg.Go(func() error { return r.DeleteGroup(ctx, id) })
	}
	err := errors.Join(eg.Wait(), r.halt(ctx))
	if traces := removeTraces(r.o, r.cg); traces != nil {
		return errors.Join(err, traces)
	}
	if err != nil {
		r.o.Log.Info("what could not end in good order was removed all the same", "error", err)
	}
	return nil
}

// PurgeTraces removes what a runtime with these options left on the host, for
// when none can be started any more: processes in its cgroups are killed.
func PurgeTraces(o Options) error {
	cg, err := findCgroups()
	if err != nil {
		return err
	}
	if pid := socketOwner(o.socket()); pid != 0 {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			return err
		}
	}
	return removeTraces(o, cg)
}

// purgeTries is how often what is left is removed: the kernel lets go of the
// mounts of a killed process a moment after its end.
const purgeTries = 10

func removeTraces(o Options, cg *cgroups) error {
	var err error
	for range purgeTries {
		if err = removeTracesOnce(o, cg); !errors.Is(err, syscall.EBUSY) {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
	return err
}

func removeTracesOnce(o Options, cg *cgroups) error {
	errs := []error{cg.kill(o.cgroup()), cg.remove(o.cgroup())}
	for _, dir := range []string{o.RunDir, o.DataDir} {
		errs = append(errs, unmountBelow(dir))
	}
	if err := errors.Join(errs...); err != nil {
		return err // never remove through a mount that is still there
	}
	for _, dir := range []string{o.RunDir, o.DataDir} {
		errs = append(errs, removeAll(dir))
	}
	return errors.Join(errs...)
}

// removeAll is os.RemoveAll that says what is in the way.
func removeAll(dir string) error {
	if err := os.RemoveAll(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove %s: %w", dir, err)
	}
	return nil
}

// Groups implements container.Runtime.
func (r *Runtime) Groups(context.Context) ([]string, error) { return r.groupIDs(), nil }

func (r *Runtime) groupIDs() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.groups))
}

// find returns a container that is there.
func (r *Runtime) find(id string) (*ctr, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.ctrs[id]
	if c == nil {
		return nil, fmt.Errorf("container %s: %w", id, container.ErrNotFound)
	}
	return c, nil
}

// hold returns a container that is there, for one operation: unlock its op.
func (r *Runtime) hold(ctx context.Context, id string) (*ctr, error) {
	for {
		c, err := r.find(id)
		if err != nil {
			return nil, err
		}
		if err := lock(ctx, c.op); err != nil {
			return nil, err
		}
		r.mu.Lock()
		gone := c.gone
		r.mu.Unlock()
		if !gone {
			return c, nil
		}
		unlock(c.op) // deleted, or started again as another
	}
}

// statusOf returns a copy of a container's status.
func (r *Runtime) statusOf(c *ctr) container.Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return c.status
}

// lock takes a one-place channel, unless ctx ends first.
func lock(ctx context.Context, ch chan struct{}) error {
	select {
	case ch <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func unlock(ch chan struct{}) { <-ch }

// changes hands out who changed to those who want to know. A receiver who is
// slow loses nothing: its ids wait, each once.
type changes struct{ subs map[*subscription]bool }

type subscription struct {
	pending map[container.Change]bool // guarded by the runtime's mutex
	wake    chan struct{}
}

// changedLocked tells everybody that something about a container changed.
func (r *Runtime) changedLocked(c *ctr) {
	if c.isHolder() {
		return
	}
	for s := range r.changes.subs {
		s.pending[container.Change{Group: c.rec.Group, Container: c.rec.ID}] = true
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// Changes implements container.Runtime.
func (r *Runtime) Changes(ctx context.Context) <-chan container.Change {
	s := &subscription{pending: map[container.Change]bool{}, wake: make(chan struct{}, 1)}
	r.mu.Lock()
	if r.changes.subs == nil {
		r.changes.subs = map[*subscription]bool{}
	}
	r.changes.subs[s] = true
	r.mu.Unlock()
	out := make(chan container.Change)
	go func() {
		defer close(out)
		defer func() {
			r.mu.Lock()
			delete(r.changes.subs, s)
			r.mu.Unlock()
		}()
		for {
			select {
			case <-s.wake:
			case <-ctx.Done():
				return
			}
			r.mu.Lock()
			pending := s.pending
			s.pending = map[container.Change]bool{}
			r.mu.Unlock()
			for ch := range pending {
				select {
				case out <- ch:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return out
}
