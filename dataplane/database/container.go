package database

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"minato/dataplane/container"
	"minato/internal/ids"
)

// label marks the containers that are database servers, with the server's id.
const label = "minato.database"

// launch runs a command in a new group with one container; both have the same
// id, which is never used again.
func (m *Manager) launch(ctx context.Context, s Server, uid int, homeDir string, command []string) (string, error) {
	id := "db-" + s.ID + "-" + ids.Alnum(8)
	group := container.Group{
		ID: id, Netns: s.Netns, Hostname: s.Hostname, DNS: container.DNS{Servers: s.DNS}, Labels: map[string]string{label: s.ID},
		Limits: container.Limits{Memory: s.Memory, CPUs: s.CPUs, PIDs: 4096},
	}
	if err := m.runtime.EnsureGroup(ctx, group); err != nil {
		return "", err
	}
	err := m.runtime.Ensure(ctx, container.Container{
		ID: id, Group: id, Labels: map[string]string{label: s.ID},
		Root:       hostRoot(uid),
		Entrypoint: command[:1], Command: command[1:],
		Env:  []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + home + "/tmp", "TMPDIR=" + home + "/tmp", "LC_ALL=C.UTF-8", "TZ=UTC"},
		User: fmt.Sprintf("%d:%d", uid, uid), WorkDir: home,
		Mounts: []container.Mount{
			{Source: homeDir, Target: home},
			{Source: filepath.Join(homeDir, "conf"), Target: home + "/conf", ReadOnly: true},
			{Target: "/tmp", Size: 64 << 20},
		},
		ReadOnlyRoot: true, ShmSize: 256 << 20, DropCaps: []string{"ALL"}, NoNewPrivs: true,
		Ulimits: []container.Ulimit{openFiles()},
	})
	if err == nil {
		err = m.runtime.Start(ctx, id)
	}
	if err != nil {
		return "", errors.Join(err, m.runtime.DeleteGroup(context.WithoutCancel(ctx), id))
	}
	return id, nil
}

// openFiles is how many files a server may open: plenty, but not more than we may
// ourselves, for where we are root without CAP_SYS_RESOURCE.
func openFiles() container.Ulimit {
	n := uint64(65536)
	var own unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &own) == nil {
		n = min(n, own.Max)
	}
	return container.Ulimit{Name: "nofile", Soft: n, Hard: n}
}

// hostRoot is the file system of a server: this machine's programs, and an /etc
// that knows nobody but the server's user.
func hostRoot(uid int) *container.HostRoot {
	root := &container.HostRoot{
		Paths: []string{"/usr"},
		Dirs:  []string{home, "/tmp", "/var/tmp"},
		Files: map[string]container.File{
			"/etc/passwd":        {Content: fmt.Appendf(nil, "root:x:0:0:root:/:/usr/sbin/nologin\ndatabase:x:%d:%d:database:%s:/usr/sbin/nologin\n", uid, uid, home), Mode: 0o644},
			"/etc/group":         {Content: fmt.Appendf(nil, "root:x:0:\ndatabase:x:%d:\n", uid), Mode: 0o644},
			"/etc/nsswitch.conf": {Content: []byte("passwd: files\ngroup: files\nhosts: files dns\n"), Mode: 0o644},
		},
	}
	for _, name := range []string{"/bin", "/sbin", "/lib", "/lib64"} {
		if info, err := os.Lstat(name); err == nil && info.Mode().Type() == fs.ModeSymlink {
			root.Paths = append(root.Paths, name)
		}
	}
	return root
}

// containers returns the containers of a server.
func (m *Manager) containers(ctx context.Context, id string) ([]container.Status, error) {
	all, err := m.runtime.List(ctx)
	if err != nil {
		return nil, err
	}
	var found []container.Status
	for _, status := range all {
		if status.Labels[label] == id {
			found = append(found, status)
		}
	}
	return found, nil
}

// running returns the id of the container in which a server runs, or "".
func (m *Manager) running(ctx context.Context, id string) (string, error) {
	all, err := m.containers(ctx, id)
	if err != nil {
		return "", err
	}
	for _, status := range all {
		if status.State == container.Running {
			return status.ID, nil
		}
	}
	return "", nil
}

// clear removes every container of a server, and groups that never got one.
func (m *Manager) clear(ctx context.Context, id string) error {
	groups, err := m.runtime.Groups(ctx)
	if err != nil {
		return err
	}
	for _, group := range groups {
		rest, ours := strings.CutPrefix(group, "db-"+id+"-")
		if !ours || strings.Contains(rest, "-") { // db-a-<random> is not a group of server "a-b"
			continue
		}
		if err := m.runtime.DeleteGroup(ctx, group); err != nil {
			return err
		}
	}
	return nil
}

// lastWords returns the errors at the end of a container's log, or its end if it
// names none, for an error's text.
func (m *Manager) lastWords(id string) string {
	const few = 8
	var lines, errs []string
	keep := func(to []string, line string) []string {
		to = append(to, line)
		return to[max(0, len(to)-few):]
	}
	// Tail ends with the container; the limit is for one whose log does not end.
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err := m.runtime.Tail(ctx, id, container.FromStart, func(r container.Record) error {
		line := string(r.Line)
		lines = keep(lines, line)
		if strings.Contains(line, "[ERROR]") { // MariaDB's and MySQL's, between many notes
			errs = keep(errs, line)
		}
		return nil
	})
	if len(errs) > 0 {
		lines = errs
	}
	if err != nil {
		lines = append(lines, "(its log could not be read: "+err.Error()+")")
	}
	return strings.Join(lines, "\n")
}

// ensureTemplate makes the data directory that new servers are copies of, the
// first time with each version of the product, and returns it.
func (m *Manager) ensureTemplate(ctx context.Context, e engine) (string, error) {
	m.template.Lock()
	defer m.template.Unlock()
	p := e.product()
	dir := m.layout.template(p)
	if _, err := os.Stat(dir); err == nil {
		return filepath.Join(dir, "data"), nil
	}
	begin := time.Now()
	script, files, err := e.initialize(m.admin)
	if err != nil {
		return "", err
	}
	work, err := m.unfinished(filepath.Dir(dir))
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work) // gone after the rename
	const uid = lastUID      // the data is copied to the server's own
	homeDir := filepath.Join(work, "home")
	if err := makeHome(homeDir, uid); err != nil {
		return "", err
	}
	if err := writeConf(homeDir, files); err != nil {
		return "", err
	}
	id, err := m.launch(ctx, Server{ID: "template-" + strings.ToLower(p.Name)}, uid, homeDir, []string{"/bin/sh", "-ec", script})
	if err != nil {
		return "", err
	}
	defer func() {
		if err := m.runtime.DeleteGroup(context.WithoutCancel(ctx), id); err != nil {
			m.log.Warn("a container is left", "id", id, "error", err)
		}
	}()
	status, err := m.runtime.Wait(ctx, id)
	if err != nil {
		return "", err
	}
	if status.ExitCode != 0 {
		return "", fmt.Errorf("preparing %s %s ended with code %d: %s", p.Name, p.Version, status.ExitCode, m.lastWords(id))
	}
	// What remains is data/, in a directory that names the version.
	final, err := m.unfinished(filepath.Dir(dir))
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(final)
	if err := os.Rename(filepath.Join(homeDir, "data"), filepath.Join(final, "data")); err != nil {
		return "", err
	}
	if err := syncTree(final); err != nil {
		return "", err
	}
	m.log.Info("database template made", "product", p.Name, "version", p.Version, "after", time.Since(begin).Round(time.Millisecond))
	return filepath.Join(dir, "data"), os.Rename(final, dir)
}

// Changes implements Servers.
func (m *Manager) Changes(ctx context.Context) <-chan string {
	out := make(chan string)
	changes := m.runtime.Changes(ctx)
	go func() {
		defer close(out)
		for c := range changes {
			rest, ours := strings.CutPrefix(c.Group, "db-")
			i := strings.LastIndexByte(rest, '-')
			if !ours || i < 0 {
				continue
			}
			select {
			case out <- rest[:i]:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}
