package database

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"minato/dataplane/container"
	"minato/internal/durable"
)

// Snapshot implements Servers. Of a server that does not run the data is copied
// as it lies.
func (m *Manager) Snapshot(ctx context.Context, id, snapshot string) error {
	if !idPattern.MatchString(snapshot) {
		return fmt.Errorf("%q cannot name a snapshot", snapshot)
	}
	unlock, err := m.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Stat(m.snapshot(snapshot)); err == nil {
		return nil // made before, by a call that was cut short after it
	}
	r, err := m.read(id)
	if err != nil {
		return err
	}
	e, err := m.engine(r.Engine)
	if err != nil {
		return err
	}
	dir, err := m.unfinished(m.snapshots())
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) // gone after the rename
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	running, err := m.running(ctx, id)
	if err != nil {
		return err
	}
	if running == "" {
		err = copyDirectory(data, m.data(id), ".", 0, e.unfit)
	} else {
		err = m.backup(ctx, e, id, running, data)
	}
	if err != nil {
		return fmt.Errorf("copying the data of %s: %w", id, err)
	}
	if err := durable.WriteJSON(filepath.Join(dir, "snapshot.json"), r, 0o600); err != nil {
		return err
	}
	if err := syncTree(dir); err != nil {
		return err
	}
	return os.Rename(dir, m.snapshot(snapshot))
}

// backup lets the engine copy the data of a running server.
func (m *Manager) backup(ctx context.Context, e engine, id, running, data string) error {
	return m.withSession(ctx, e, id, func(s session) error {
		return e.backup(ctx, s, backup{
			signal: func(signal syscall.Signal) error {
				// The way back must not be cut off by ctx: a stopped server is no server.
				err := m.runtime.Signal(context.WithoutCancel(ctx), running, signal)
				if signal == syscall.SIGCONT && errors.Is(err, container.ErrNotRunning) {
					return nil
				}
				if signal == syscall.SIGSTOP && err == nil {
					err = m.awaitStopped(ctx, running)
				}
				return err
			},
			copy: func(dir string, skip func(string) bool) error {
				return copyDirectory(data, m.data(id), dir, 0, skip)
			},
			write: func(name string, content []byte) error {
				return os.WriteFile(filepath.Join(data, name), content, 0o600)
			},
		})
	})
}

// awaitStopped returns when no thread of a container's first process runs any
// more: SIGSTOP reaches each a little later.
func (m *Manager) awaitStopped(ctx context.Context, running string) error {
	status, err := m.runtime.Get(ctx, running)
	if err != nil {
		return err
	}
	for {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", status.PID))
		if err != nil || len(threads) == 0 {
			return fmt.Errorf("the process of %s is gone", running)
		}
		if !slices.ContainsFunc(threads, runs) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}

// runs says whether a thread, by its stat file, is not stopped.
func runs(stat string) bool {
	b, err := os.ReadFile(stat)
	if err != nil {
		return false // ended meanwhile
	}
	// "pid (name) state …"; the name may hold anything, also a parenthesis.
	_, state, found := strings.Cut(string(b[bytes.LastIndexByte(b, ')')+1:]), " ")
	return found && !strings.HasPrefix(state, "T")
}

// DeleteSnapshot implements Servers.
func (m *Manager) DeleteSnapshot(_ context.Context, snapshot string) error {
	if !idPattern.MatchString(snapshot) {
		return fmt.Errorf("%q cannot name a snapshot", snapshot)
	}
	return remove(m.snapshot(snapshot))
}

// Snapshots implements Servers.
func (m *Manager) Snapshots(context.Context) ([]string, error) { return list(m.snapshots()) }
