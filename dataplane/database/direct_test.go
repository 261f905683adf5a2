package database

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"minato/dataplane/container"
)

// direct is as much of a container.Runtime as a database server needs, made of
// a mount namespace and a process: no images, no limits. With it the servers are
// tested where no containerd runs.
type direct struct {
	container.Runtime // what is not implemented panics
	dir               string

	mu      sync.Mutex
	groups  map[string]container.Group
	members map[string]*directProcess
	changes []chan container.Change
}

type directProcess struct {
	c      container.Container
	status container.Status
	cmd    *exec.Cmd
	done   chan struct{}
}

func newDirect(t *testing.T) *direct {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	d := &direct{dir: t.TempDir(), groups: map[string]container.Group{}, members: map[string]*directProcess{}}
	t.Cleanup(func() {
		groups, _ := d.Groups(context.Background())
		for _, g := range groups {
			d.DeleteGroup(context.Background(), g)
		}
	})
	return d
}

func (d *direct) EnsureGroup(_ context.Context, g container.Group) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.groups[g.ID] = g
	return nil
}

func (d *direct) Groups(context.Context) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var ids []string
	for id := range d.groups {
		ids = append(ids, id)
	}
	return ids, nil
}

func (d *direct) DeleteGroup(_ context.Context, id string) error {
	d.mu.Lock()
	p := d.members[id]
	delete(d.groups, id)
	delete(d.members, id)
	d.mu.Unlock()
	if p != nil && p.cmd != nil {
		syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.done
	}
	return nil
}

func (d *direct) Ensure(_ context.Context, c container.Container) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.members[c.ID] = &directProcess{c: c, done: make(chan struct{}), status: container.Status{ID: c.ID, Group: c.Group, Labels: c.Labels}}
	return nil
}

func (d *direct) log(id string) string { return filepath.Join(d.dir, id+".log") }

func (d *direct) Start(_ context.Context, id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.members[id]
	etc := filepath.Join(d.dir, id+"-etc")
	if err := os.Mkdir(etc, 0o755); err != nil {
		return err
	}
	for name, f := range p.c.Root.Files {
		if err := os.WriteFile(filepath.Join(etc, filepath.Base(name)), f.Content, f.Mode); err != nil {
			return err
		}
	}
	script := "set -e; mount --bind " + etc + " /etc; mount -t tmpfs none /srv; mkdir -p " + home + "\n"
	for _, m := range p.c.Mounts {
		if m.Source != "" {
			script += "mount --bind " + m.Source + " " + m.Target + "\n"
			if m.ReadOnly {
				script += "mount -o remount,bind,ro " + m.Target + "\n"
			}
		}
	}
	uid, _, _ := strings.Cut(p.c.User, ":")
	script += `cd ` + p.c.WorkDir + `; exec setpriv --reuid=` + uid + ` --regid=` + uid + ` --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all "$@"` + "\n"
	args := []string{"-m", "--propagation", "private", "sh", "-c", script, "sh"}
	if netns := d.groups[p.c.Group].Netns; netns == "" {
		args = append([]string{"unshare", "-n"}, args...)
	} else {
		args = append([]string{"nsenter", "--net=" + netns, "unshare"}, args...)
	}
	args = append(append(args, p.c.Entrypoint...), p.c.Command...)
	p.cmd = exec.Command(args[0], args[1:]...)
	p.cmd.Env = p.c.Env
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	log, err := os.Create(d.log(id))
	if err != nil {
		return err
	}
	defer log.Close()
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return err
	}
	p.status.State, p.status.PID, p.status.Started = container.Running, p.cmd.Process.Pid, time.Now()
	go func() {
		p.cmd.Wait()
		d.mu.Lock()
		p.status.State, p.status.ExitCode = container.Ended, p.cmd.ProcessState.ExitCode()
		waiting := slices.Clone(d.changes)
		d.mu.Unlock()
		close(p.done)
		for _, c := range waiting {
			select {
			case c <- container.Change{Group: id, Container: id}:
			default:
			}
		}
	}()
	return nil
}

func (d *direct) get(id string) (*directProcess, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p := d.members[id]; p != nil {
		return p, nil
	}
	return nil, container.ErrNotFound
}

func (d *direct) Signal(_ context.Context, id string, sig syscall.Signal) error {
	p, err := d.get(id)
	if err != nil {
		return err
	}
	return p.cmd.Process.Signal(sig)
}

func (d *direct) Stop(ctx context.Context, id string, sig syscall.Signal, timeout time.Duration) error {
	if err := d.Signal(ctx, id, sig); err != nil {
		return err
	}
	p, err := d.get(id)
	if err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(timeout):
		return fmt.Errorf("%s does not end", id)
	}
}

func (d *direct) Get(_ context.Context, id string) (container.Status, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p := d.members[id]; p != nil {
		return p.status, nil
	}
	return container.Status{}, container.ErrNotFound
}

func (d *direct) List(context.Context) ([]container.Status, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []container.Status
	for _, p := range d.members {
		all = append(all, p.status)
	}
	return all, nil
}

func (d *direct) Wait(ctx context.Context, id string) (container.Status, error) {
	p, err := d.get(id)
	if err != nil {
		return container.Status{}, err
	}
	select {
	case <-p.done:
		return d.Get(ctx, id)
	case <-ctx.Done():
		return container.Status{}, ctx.Err()
	}
}

func (d *direct) Tail(_ context.Context, id string, _ container.Offset, fn func(container.Record) error) error {
	b, err := os.ReadFile(d.log(id))
	if err != nil {
		return err
	}
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		if err := fn(container.Record{Line: lines.Bytes()}); err != nil {
			return err
		}
	}
	return nil
}

func (d *direct) Changes(ctx context.Context) <-chan container.Change {
	c := make(chan container.Change, 64)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.changes = append(d.changes, c)
	return c
}
