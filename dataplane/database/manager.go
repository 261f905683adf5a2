package database

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"minato/dataplane/container"
	"minato/internal/durable"
	"minato/internal/ids"
)

const (
	startFor = 3 * time.Minute  // until the first answer: seconds, but for a busy machine that recovers its data
	stopFor  = 60 * time.Second // until SIGKILL
)

// Options is what New needs.
type Options struct {
	Root    string // directory of ours alone
	Runtime container.Runtime
	Log     *slog.Logger
}

// Manager implements Servers on a container runtime.
type Manager struct {
	layout
	runtime container.Runtime
	log     *slog.Logger
	admin   string // password of our own user
	engines map[string]engine

	mu       sync.Mutex
	turns    map[string]*turn
	template sync.Mutex // one is made at a time
	adding   sync.Mutex // from choosing a user id to the record that has it
}

var _ Servers = (*Manager)(nil)

// New opens the directory, sweeps what a crash left half made, and looks for the
// server programs of this machine. Servers that run go on running.
func New(o Options) (*Manager, error) {
	m := &Manager{layout: layout{o.Root}, runtime: o.Runtime, log: o.Log, turns: map[string]*turn{}, engines: detect()}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(o.Root, 0o700); err != nil {
		return nil, err
	}
	if err := m.sweep(); err != nil {
		return nil, err
	}
	name := filepath.Join(o.Root, "admin-password")
	password, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		password = []byte(ids.Hex(48))
		err = durable.Write(name, password, 0o600)
	}
	if err != nil {
		return nil, err
	}
	m.admin = string(password)
	return m, m.wakeStopped(context.Background())
}

// wakeStopped lets every server go on that a snapshot stopped: one that was being
// made when the process before us was killed.
func (m *Manager) wakeStopped(ctx context.Context) error {
	all, err := m.runtime.List(ctx)
	if err != nil {
		return err
	}
	for _, status := range all {
		if status.Labels[label] == "" || status.State != container.Running {
			continue
		}
		if err := m.runtime.Signal(ctx, status.ID, syscall.SIGCONT); err != nil && !errors.Is(err, container.ErrNotRunning) && !errors.Is(err, container.ErrNotFound) {
			return err
		}
	}
	return nil
}

// turn lets the calls about one server wait for each other.
type turn struct {
	held    chan struct{}
	waiting int
}

// lock waits for a server's turn.
func (m *Manager) lock(ctx context.Context, id string) (unlock func(), err error) {
	if !idPattern.MatchString(id) {
		return nil, fmt.Errorf("%q cannot name a database server", id)
	}
	m.mu.Lock()
	t := m.turns[id]
	if t == nil {
		t = &turn{held: make(chan struct{}, 1)}
		m.turns[id] = t
	}
	t.waiting++
	m.mu.Unlock()
	leave := func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if t.waiting--; t.waiting == 0 {
			delete(m.turns, id)
		}
	}
	select {
	case t.held <- struct{}{}:
		return func() { <-t.held; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}

func (m *Manager) engine(name string) (engine, error) {
	e := m.engines[name]
	if e == nil {
		return nil, fmt.Errorf("%w for the engine %q: install it (make setup)", ErrNoEngine, name)
	}
	return e, nil
}

// Product implements Servers.
func (m *Manager) Product(name string) (Product, error) {
	e, err := m.engine(name)
	if err != nil {
		return Product{}, err
	}
	return e.product(), nil
}

// Verifier implements Servers.
func (m *Manager) Verifier(name, password string) (string, error) {
	e, err := m.engine(name)
	if err != nil {
		return "", err
	}
	return e.verifier(password)
}

func (m *Manager) read(id string) (record, error) {
	var r record
	err := readJSON(filepath.Join(m.server(id), "server.json"), &r)
	if errors.Is(err, fs.ErrNotExist) {
		return r, fmt.Errorf("database server %s: %w", id, ErrNotFound)
	}
	return r, err
}

func (m *Manager) write(r record) error {
	return durable.WriteJSON(filepath.Join(m.server(r.ID), "server.json"), r, 0o600)
}

// Ensure implements Servers.
func (m *Manager) Ensure(ctx context.Context, s Server) error {
	unlock, err := m.lock(ctx, s.ID)
	if err != nil {
		return err
	}
	defer unlock()
	e, err := m.engine(s.Engine)
	if err != nil {
		return err
	}
	r, err := m.read(s.ID)
	if errors.Is(err, ErrNotFound) {
		r, err = m.make(ctx, e, s)
	}
	if err != nil {
		return err
	}
	if err := m.ensureRunning(ctx, e, s, &r); err != nil {
		return err
	}
	if r.Provisioned {
		return nil
	}
	err = m.withSession(ctx, e, s.ID, func(c session) error { return c.provision(ctx, s.Master, s.Database) })
	if err != nil {
		return fmt.Errorf("making the master user of %s: %w", s.ID, err)
	}
	r.Provisioned = true
	return m.write(r)
}

// make lays a new server out: a copy of the template or of a snapshot.
func (m *Manager) make(ctx context.Context, e engine, s Server) (record, error) {
	source := filepath.Join(m.snapshot(s.Snapshot), "data")
	if s.Snapshot == "" {
		var err error
		if source, err = m.ensureTemplate(ctx, e); err != nil {
			return record{}, err
		}
	} else if !idPattern.MatchString(s.Snapshot) {
		return record{}, fmt.Errorf("%q cannot name a snapshot", s.Snapshot)
	}
	m.adding.Lock()
	defer m.adding.Unlock()
	uid, err := m.freeUID()
	if err != nil {
		return record{}, err
	}
	dir, err := m.unfinished(m.servers())
	if err != nil {
		return record{}, err
	}
	defer os.RemoveAll(dir) // gone after the rename
	if err := makeHome(filepath.Join(dir, "home"), uid); err != nil {
		return record{}, err
	}
	if err := copyDirectory(filepath.Join(dir, "home", "data"), source, ".", uid, e.unfit); err != nil {
		return record{}, fmt.Errorf("copying %s: %w", source, err)
	}
	p := e.product()
	r := record{ID: s.ID, Engine: s.Engine, Product: p.Name, Version: p.Version, UID: uid}
	if err := durable.WriteJSON(filepath.Join(dir, "server.json"), r, 0o600); err != nil {
		return record{}, err
	}
	if err := syncTree(dir); err != nil {
		return record{}, err
	}
	return r, os.Rename(dir, m.server(s.ID))
}

func copyDirectory(to, from, dir string, uid int, skip func(string) bool) error {
	src, err := os.OpenRoot(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenRoot(to)
	if err != nil {
		return err
	}
	defer dst.Close()
	return copyTree(dst, src, dir, uid, skip)
}

// ensureRunning starts the server's container if none runs, and waits for its
// first answer.
func (m *Manager) ensureRunning(ctx context.Context, e engine, s Server, r *record) error {
	running, err := m.running(ctx, s.ID)
	if err != nil {
		return err
	}
	if running != "" {
		return m.await(ctx, e, s.ID, running)
	}
	if err := m.clear(ctx, s.ID); err != nil {
		return err
	}
	if p := e.product(); p.Name != r.Product {
		return fmt.Errorf("the data of %s is %s's; this machine has %s %s now", s.ID, r.Product, p.Name, p.Version)
	}
	for _, name := range e.stale() {
		if err := os.Remove(filepath.Join(m.data(s.ID), name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := emptyDir(m.run(s.ID)); err != nil {
		return err
	}
	if err := writeConf(m.home(s.ID), e.configure(s)); err != nil {
		return err
	}
	if !maps.Equal(r.Started, s.Parameters) {
		r.Started = maps.Clone(s.Parameters)
		if err := m.write(*r); err != nil {
			return err
		}
	}
	begin := time.Now()
	id, err := m.launch(ctx, s, r.UID, m.home(s.ID), e.command())
	if err != nil {
		return err
	}
	if err := m.await(ctx, e, s.ID, id); err != nil {
		return err
	}
	m.log.Info("database server runs", "id", s.ID, "product", r.Product, "version", e.product().Version, "after", time.Since(begin).Round(time.Millisecond))
	return nil
}

func emptyDir(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// await waits until the server answers, or its container has ended.
func (m *Manager) await(ctx context.Context, e engine, id, running string) error {
	ctx, cancel := context.WithTimeout(ctx, startFor)
	defer cancel()
	for {
		err := m.withSession(ctx, e, id, func(session) error { return nil })
		if err == nil {
			return nil
		}
		status, gone := m.runtime.Get(ctx, running)
		if gone == nil && status.State == container.Ended {
			return fmt.Errorf("the database server %s ended with code %d: %s", id, status.ExitCode, m.lastWords(running))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the database server %s does not answer: %w", id, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// withSession runs fn with a connection as admin.
func (m *Manager) withSession(ctx context.Context, e engine, id string, fn func(session) error) error {
	s, err := e.connect(ctx, m.run(id), m.admin)
	if err != nil {
		return err
	}
	defer s.close()
	return fn(s)
}

// session is withSession for a server that must be there, in its turn.
func (m *Manager) session(ctx context.Context, id string, fn func(engine, record, session) error) error {
	unlock, err := m.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	r, err := m.read(id)
	if err != nil {
		return err
	}
	e, err := m.engine(r.Engine)
	if err != nil {
		return err
	}
	return m.withSession(ctx, e, id, func(s session) error { return fn(e, r, s) })
}

// Check implements Servers. It does not wait for its turn: a long snapshot is
// no reason not to know.
func (m *Manager) Check(ctx context.Context, id string) error {
	r, err := m.read(id)
	if err != nil {
		return err
	}
	e, err := m.engine(r.Engine)
	if err != nil {
		return err
	}
	return m.withSession(ctx, e, id, func(s session) error { return s.check(ctx) })
}

// Running implements Servers.
func (m *Manager) Running(ctx context.Context, id string) (bool, error) {
	running, err := m.running(ctx, id)
	return running != "", err
}

// Stop implements Servers.
func (m *Manager) Stop(ctx context.Context, id string) error {
	unlock, err := m.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	r, err := m.read(id)
	if err != nil {
		return err
	}
	return m.stop(ctx, r)
}

func (m *Manager) stop(ctx context.Context, r record) error {
	running, err := m.running(ctx, r.ID)
	if err != nil {
		return err
	}
	if running != "" {
		signal := syscall.SIGTERM
		if e := m.engines[r.Engine]; e != nil {
			signal = e.stopSignal()
		}
		if err := m.runtime.Stop(ctx, running, signal, stopFor); err != nil {
			return err
		}
	}
	return m.clear(ctx, r.ID)
}

// Delete implements Servers.
func (m *Manager) Delete(ctx context.Context, id string) error {
	unlock, err := m.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	// No need for a clean end: the data goes.
	if err := m.clear(ctx, id); err != nil {
		return err
	}
	return remove(m.server(id))
}

// List implements Servers.
func (m *Manager) List(context.Context) ([]string, error) { return list(m.servers()) }

// SetMaster implements Servers.
func (m *Manager) SetMaster(ctx context.Context, id string, master Master) error {
	return m.session(ctx, id, func(_ engine, _ record, s session) error { return s.setMaster(ctx, master) })
}

// Apply implements Servers.
func (m *Manager) Apply(ctx context.Context, id string, settings []Setting) ([]Outcome, error) {
	var out []Outcome
	err := m.session(ctx, id, func(_ engine, r record, s session) error {
		settings = slices.SortedFunc(slices.Values(settings), func(a, b Setting) int { return strings.Compare(a.Name, b.Name) })
		for _, wanted := range settings {
			var started *string
			if v, ok := r.Started[wanted.Name]; ok {
				started = &v
			}
			out = append(out, s.apply(ctx, wanted, started))
		}
		return ctx.Err()
	})
	return out, err
}
