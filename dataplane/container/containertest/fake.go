package containertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"minato/dataplane/container"
	"minato/dataplane/container/containertest/program"
	"minato/dataplane/container/spool"
)

// Program is what a container of a Fake runs.
type Program func(program.Proc) int

// Fake is a Runtime whose containers are goroutines. It keeps the contract, and
// does what a test tells it.
type Fake struct {
	// Programs are the executables of every image, by path.
	Programs map[string]Program
	// DialFunc, if set, is Dial.
	DialFunc func(ctx context.Context, group, address string) (net.Conn, error)

	dir  string
	made time.Time

	mu     sync.Mutex
	images map[string]container.Image
	groups map[string]container.Group
	ctrs   map[string]*fakeContainer
	subs   map[*fakeSub]bool

	written int64
}

var _ container.Runtime = (*Fake)(nil)

type fakeContainer struct {
	spec   container.Container
	image  container.Image
	status container.Status // guarded by the Fake
	proc   *fakeProc
	ended  chan struct{}
	logged chan struct{} // the log is complete
	dir    string
}

type fakeSub struct {
	pending map[container.Change]bool
	wake    chan struct{}
}

// NewFake returns a runtime without images; every image holds /program.
func NewFake(tb testing.TB) *Fake {
	return &Fake{
		Programs: map[string]Program{"/program": program.Run}, dir: tb.TempDir(), made: time.Now(),
		images: map[string]container.Image{}, groups: map[string]container.Group{}, ctrs: map[string]*fakeContainer{}, subs: map[*fakeSub]bool{},
	}
}

// AddImage makes an image known.
func (f *Fake) AddImage(img container.Image) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.images[img.Digest] = img
}

// Import implements container.Runtime.
func (f *Fake) Import(_ context.Context, archive io.Reader) ([]container.Image, error) {
	b, err := io.ReadAll(archive)
	if err != nil {
		return nil, err
	}
	img, err := tarball.Image(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }, nil)
	if err != nil {
		return nil, err
	}
	digest, err := img.Digest()
	if err != nil {
		return nil, err
	}
	cf, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	size, err := img.Size()
	if err != nil {
		return nil, err
	}
	out := container.Image{
		Digest: digest.String(), Manifest: digest.String(), Size: size, Entrypoint: cf.Config.Entrypoint, Command: cf.Config.Cmd,
		Env: cf.Config.Env, User: cf.Config.User, WorkDir: cf.Config.WorkingDir, StopSignal: cf.Config.StopSignal,
		Volumes: slices.Sorted(maps.Keys(cf.Config.Volumes)),
	}
	f.AddImage(out)
	return []container.Image{out}, nil
}

// EnsureUnpacked implements container.Runtime.
func (f *Fake) EnsureUnpacked(_ context.Context, digest string) (container.Image, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	img, ok := f.images[digest]
	if !ok {
		return img, fmt.Errorf("image %s: %w", digest, container.ErrNotFound)
	}
	return img, nil
}

// ReleaseImage implements container.Runtime.
func (f *Fake) ReleaseImage(_ context.Context, digest string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.images, digest)
	return nil
}

// EnsureGroup implements container.Runtime.
func (f *Fake) EnsureGroup(_ context.Context, g container.Group) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.groups[g.ID] = g
	return nil
}

// Group returns a group as it was made.
func (f *Fake) Group(id string) (container.Group, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	g, ok := f.groups[id]
	return g, ok
}

// Container returns a container as it was made.
func (f *Fake) Container(id string) (container.Container, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c, ok := f.ctrs[id]
	if !ok {
		return container.Container{}, false
	}
	return c.spec, true
}

// DeleteGroup implements container.Runtime.
func (f *Fake) DeleteGroup(ctx context.Context, id string) error {
	f.mu.Lock()
	var members []string
	for cid, c := range f.ctrs {
		if c.spec.Group == id {
			members = append(members, cid)
		}
	}
	f.mu.Unlock()
	for _, cid := range members {
		if err := f.Delete(ctx, cid); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.groups, id)
	return nil
}

// Written implements container.Runtime: a program writes to this machine's own
// file system, so it is what a test says.
func (f *Fake) Written(_ context.Context, group string) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.groups[group]; !ok {
		return 0, fmt.Errorf("group %s: %w", group, container.ErrNotFound)
	}
	return f.written, nil
}

// SetWritten says how much every group has written.
func (f *Fake) SetWritten(bytes int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.written = bytes
}

// Groups implements container.Runtime.
func (f *Fake) Groups(context.Context) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.groups)), nil
}

// Ensure implements container.Runtime.
func (f *Fake) Ensure(_ context.Context, c container.Container) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if strings.ContainsAny(c.ID, "/ ") || c.ID == "" {
		return fmt.Errorf("%q cannot be the id of a container", c.ID)
	}
	if _, ok := f.groups[c.Group]; !ok {
		return fmt.Errorf("group %s: %w", c.Group, container.ErrNotFound)
	}
	if f.ctrs[c.ID] != nil {
		return nil
	}
	img, ok := f.images[c.Image]
	if !ok && c.Root == nil {
		return fmt.Errorf("image %s: %w", c.Image, container.ErrNotFound)
	}
	f.ctrs[c.ID] = &fakeContainer{
		spec: c, image: img, ended: make(chan struct{}), logged: make(chan struct{}), dir: filepath.Join(f.dir, c.ID),
		status: container.Status{ID: c.ID, Group: c.Group, Labels: c.Labels, Created: time.Now()},
	}
	f.changedLocked(f.ctrs[c.ID])
	return nil
}

func (f *Fake) find(id string) (*fakeContainer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.ctrs[id]
	if c == nil {
		return nil, fmt.Errorf("container %s: %w", id, container.ErrNotFound)
	}
	return c, nil
}

// Start implements container.Runtime.
func (f *Fake) Start(_ context.Context, id string) error {
	c, err := f.find(id)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.status.State != container.Created {
		return nil
	}
	args, command := c.spec.Entrypoint, c.spec.Command
	if args == nil {
		if args = c.image.Entrypoint; command == nil {
			command = c.image.Command
		}
	}
	args = slices.Concat(args, command)
	run, err := f.lookUp(args)
	if err != nil {
		return err
	}
	log, err := spool.Create(c.dir)
	if err != nil {
		return err
	}
	outR, outW := io.Pipe()
	errR, errW := io.Pipe()
	c.proc = newFakeProc()
	c.status.State, c.status.Started, c.status.PID = container.Running, time.Now(), os.Getpid()
	f.changedLocked(c)
	var copies sync.WaitGroup
	copies.Go(func() { _ = log.Copy(spool.Stdout, outR) })
	copies.Go(func() { _ = log.Copy(spool.Stderr, errR) })
	go func() {
		code := c.proc.run(run, program.Proc{
			Args: args[1:], Env: environment(c.image.Env, c.spec.Env), Stdin: strings.NewReader(""), Stdout: outW, Stderr: errW,
		})
		outW.Close()
		errW.Close()
		copies.Wait()
		_ = log.Close()
		f.end(c, container.Status{ExitCode: code})
		close(c.logged)
	}()
	return nil
}

// Restart implements container.Runtime.
func (f *Fake) Restart(ctx context.Context, id string) error {
	c, err := f.find(id)
	if err != nil {
		return err
	}
	f.mu.Lock()
	over := c.status.State == container.Ended
	f.mu.Unlock()
	if over {
		select {
		case <-c.logged:
		case <-ctx.Done():
			return ctx.Err()
		}
		again := &fakeContainer{
			spec: c.spec, image: c.image, ended: make(chan struct{}), logged: make(chan struct{}), dir: c.dir,
			status: container.Status{ID: c.spec.ID, Group: c.spec.Group, Labels: c.spec.Labels, Created: c.status.Created, Restarts: c.status.Restarts + 1},
		}
		f.mu.Lock()
		f.ctrs[id] = again
		f.mu.Unlock()
	}
	return f.Start(ctx, id)
}

func (f *Fake) lookUp(args []string) (Program, error) {
	if len(args) == 0 {
		return nil, fmt.Errorf("%w: no command specified", container.ErrStart)
	}
	run, ok := f.Programs[args[0]]
	if !ok {
		return nil, fmt.Errorf("%w: exec: %q: no such file or directory", container.ErrStart, args[0])
	}
	return run, nil
}

// environment is one list made of several, the later ones' values.
func environment(lists ...[]string) []string {
	var out []string
	for _, e := range slices.Concat(lists...) {
		name, _, _ := strings.Cut(e, "=")
		out = slices.DeleteFunc(out, func(have string) bool { return strings.HasPrefix(have, name+"=") })
		out = append(out, e)
	}
	return out
}

// end notes how a container ended; ExitCode, OOMKilled and Reason of how count.
func (f *Fake) end(c *fakeContainer, how container.Status) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.status.State == container.Ended {
		return
	}
	c.status.State, c.status.Ended, c.status.PID = container.Ended, time.Now(), 0
	c.status.ExitCode, c.status.OOMKilled, c.status.Reason = how.ExitCode, how.OOMKilled, how.Reason
	close(c.ended)
	f.changedLocked(c)
}

// End has a running container end as a test wants it: its exit code, and whether
// memory or a fault of ours was the cause.
func (f *Fake) End(id string, how container.Status) error {
	c, err := f.find(id)
	if err != nil {
		return err
	}
	f.end(c, how)
	c.proc.kill()
	return nil
}

func (f *Fake) running(id string) (*fakeContainer, error) {
	c, err := f.find(id)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.status.State != container.Running {
		return nil, fmt.Errorf("container %s is %s: %w", id, c.status.State, container.ErrNotRunning)
	}
	return c, nil
}

// Signal implements container.Runtime.
func (f *Fake) Signal(_ context.Context, id string, sig syscall.Signal) error {
	c, err := f.running(id)
	if err != nil {
		return err
	}
	c.proc.signal(sig)
	return nil
}

// Stop implements container.Runtime.
func (f *Fake) Stop(ctx context.Context, id string, sig syscall.Signal, timeout time.Duration) error {
	c, err := f.running(id)
	if errors.Is(err, container.ErrNotRunning) {
		return nil
	}
	if err != nil {
		return err
	}
	if sig == 0 {
		sig = syscall.SIGTERM
	}
	c.proc.signal(sig)
	select {
	case <-c.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(timeout):
	}
	c.proc.kill()
	<-c.ended
	return nil
}

// Delete implements container.Runtime.
func (f *Fake) Delete(_ context.Context, id string) error {
	c, err := f.find(id)
	if err != nil {
		return nil
	}
	f.mu.Lock()
	proc := c.proc
	f.mu.Unlock()
	if proc != nil {
		proc.kill()
		<-c.logged
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.ctrs, id)
	f.changedLocked(c)
	return os.RemoveAll(c.dir)
}

// Get implements container.Runtime.
func (f *Fake) Get(_ context.Context, id string) (container.Status, error) {
	c, err := f.find(id)
	if err != nil {
		return container.Status{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return c.status, nil
}

// List implements container.Runtime.
func (f *Fake) List(context.Context) ([]container.Status, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []container.Status
	for _, id := range slices.Sorted(maps.Keys(f.ctrs)) {
		out = append(out, f.ctrs[id].status)
	}
	return out, nil
}

// Wait implements container.Runtime.
func (f *Fake) Wait(ctx context.Context, id string) (container.Status, error) {
	c, err := f.find(id)
	if err != nil {
		return container.Status{}, err
	}
	select {
	case <-c.ended:
		return f.Get(ctx, id)
	case <-ctx.Done():
		return container.Status{}, ctx.Err()
	}
}

// Dial implements container.Runtime.
func (f *Fake) Dial(ctx context.Context, group, address string) (net.Conn, error) {
	if _, ok := f.Group(group); !ok {
		return nil, fmt.Errorf("group %s: %w", group, container.ErrNotFound)
	}
	if f.DialFunc != nil {
		return f.DialFunc(ctx, group, address)
	}
	here, there := net.Pipe()
	there.Close()
	return here, nil
}

// Stats implements container.Runtime.
func (f *Fake) Stats(_ context.Context, id string) (container.Stats, error) {
	c, err := f.running(id)
	if err != nil {
		return container.Stats{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	// A tenth of a processor, and a MiB, from the start on.
	now := time.Now()
	used := now.Sub(c.status.Started) / 10
	return container.Stats{
		Time: now, CPU: used, CPUUser: used, SystemCPU: now.Sub(f.made) + time.Second, Memory: 1 << 20, MemoryUsage: 1 << 20, MemoryMax: 1 << 20,
		MemoryLimit: c.spec.Limits.Memory, MemoryDetail: map[string]uint64{"anon": 1 << 20}, PIDs: 1, PIDsLimit: c.spec.Limits.PIDs,
	}, nil
}

// Tail implements container.Runtime.
func (f *Fake) Tail(ctx context.Context, id string, from container.Offset, fn func(container.Record) error) error {
	c, err := f.find(id)
	if err != nil {
		return err
	}
	at := int64(from)
	if from == container.FromConsumed {
		at = spool.Consumed(c.dir)
	}
	over := func() bool {
		select {
		case <-c.logged:
			return true
		default:
			return false
		}
	}
	return spool.Tail(ctx, c.dir, at, over, func(r spool.Record, next int64) error {
		return fn(container.Record{Time: r.Time, Stream: container.Stream(r.Stream), Line: r.Line, Partial: r.Partial, Next: container.Offset(next)})
	})
}

// Consumed implements container.Runtime.
func (f *Fake) Consumed(_ context.Context, id string, upTo container.Offset) error {
	c, err := f.find(id)
	if err != nil {
		return err
	}
	return spool.Consume(c.dir, int64(upTo))
}

// changedLocked tells everybody that something about a container changed.
func (f *Fake) changedLocked(c *fakeContainer) {
	for s := range f.subs {
		s.pending[container.Change{Group: c.spec.Group, Container: c.spec.ID}] = true
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// Changes implements container.Runtime.
func (f *Fake) Changes(ctx context.Context) <-chan container.Change {
	s := &fakeSub{pending: map[container.Change]bool{}, wake: make(chan struct{}, 1)}
	f.mu.Lock()
	f.subs[s] = true
	f.mu.Unlock()
	out := make(chan container.Change)
	go func() {
		defer close(out)
		for {
			select {
			case <-s.wake:
			case <-ctx.Done():
				f.mu.Lock()
				delete(f.subs, s)
				f.mu.Unlock()
				return
			}
			f.mu.Lock()
			pending := s.pending
			s.pending = map[container.Change]bool{}
			f.mu.Unlock()
			for ch := range pending {
				select {
				case out <- ch:
				case <-ctx.Done():
				}
			}
		}
	}()
	return out
}

// Close implements container.Runtime; what runs runs on.
func (f *Fake) Close() error { return nil }

// Shutdown implements container.Runtime.
func (f *Fake) Shutdown(ctx context.Context) error {
	all, err := f.List(ctx)
	for _, s := range all {
		if err := f.Stop(ctx, s.ID, 0, time.Second); err != nil {
			return err
		}
	}
	return err
}

// Purge implements container.Runtime.
func (f *Fake) Purge(ctx context.Context) error {
	groups, err := f.Groups(ctx)
	for _, g := range groups {
		if err := f.DeleteGroup(ctx, g); err != nil {
			return err
		}
	}
	return err
}
