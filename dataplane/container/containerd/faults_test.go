package containerd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"minato/dataplane/container"
	"minato/dataplane/container/containertest"
	"minato/dataplane/container/spool"
	"minato/internal/clock"
	"minato/internal/ids"
)

// fixture is a real runtime with an image and a group.
type fixture struct {
	*testing.T
	*containertest.Subject
	o     Options
	ctx   context.Context
	image string
	group string
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	o := testOptions(t)
	f := &fixture{T: t, o: o, ctx: ctx, group: "g" + ids.Hex(8), Subject: open(t, o)}
	images, err := f.Import(ctx, containertest.Archive(t, nil))
	f.ok(err)
	f.image = images[0].Digest
	f.ok(f.EnsureGroup(ctx, container.Group{ID: f.group, Hostname: "box"}))
	return f
}

func (f *fixture) ok(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) runtime() *Runtime { return f.Runtime.(*Runtime) }

func (f *fixture) start(c container.Container) string {
	f.Helper()
	c.ID = "c" + ids.Hex(8)
	if c.Group == "" {
		c.Group = f.group
	}
	if c.Root == nil {
		c.Image = f.image
	}
	f.ok(f.Ensure(f.ctx, c))
	f.ok(f.Start(f.ctx, c.ID))
	if len(c.Command) > 0 && (c.Command[0] == "sleep" || c.Command[0] == "stubborn") {
		f.ok(containertest.AwaitReady(f.ctx, f, c.ID))
	}
	return c.ID
}

func (f *fixture) run(command ...string) string {
	f.Helper()
	return f.start(container.Container{Command: command})
}

func (f *fixture) lines(id string) []string {
	f.Helper()
	var out []string
	f.ok(f.Tail(f.ctx, id, container.FromStart, func(r container.Record) error {
		out = append(out, string(r.Line))
		return nil
	}))
	return out
}

func (f *fixture) wait(id string) container.Status {
	f.Helper()
	s, err := f.Wait(f.ctx, id)
	f.ok(err)
	return s
}

// await polls until something is so.
func (f *fixture) await(what string, so func() bool) {
	f.Helper()
	for !so() {
		if err := clock.Sleep(f.ctx, clock.Real(1), 20*time.Millisecond); err != nil {
			f.Fatalf("no %s: %v", what, err)
		}
	}
}

// processes are the ids of processes with an argument, by their command lines.
func (f *fixture) processes(args ...string) []int {
	f.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	f.ok(err)
	var out []int
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		if !slices.ContainsFunc(args, func(a string) bool { return !containsArg(b, a) }) {
			var pid int
			fmt.Sscanf(name, "/proc/%d/", &pid)
			out = append(out, pid)
		}
	}
	return out
}

// Containers run on without containerd; one that ends meanwhile is not lost, and
// logs have no gap.
func TestContainerdDies(t *testing.T) {
	f := newFixture(t)
	counting := f.run("count", "100000", "1")
	leaving := f.run("count", "300", "1")
	pid := f.runtime().EnginePID()
	f.ok(syscall.Kill(pid, syscall.SIGKILL))
	if s := f.wait(leaving); s.ExitCode != 0 || s.Reason != "" {
		t.Errorf("it ended meanwhile: %+v", s)
	}
	if got := f.lines(leaving); len(got) != 300 {
		t.Errorf("it wrote %d lines", len(got))
	}
	f.await("another containerd", func() bool { now := f.runtime().EnginePID(); return now != pid && now != 0 })
	if s, err := f.Get(f.ctx, counting); err != nil || s.State != container.Running {
		t.Errorf("it runs on: %+v, %v", s, err)
	}
	f.ok(f.Stop(f.ctx, counting, 0, 10*time.Second))
	for i, line := range f.lines(counting) {
		if line != fmt.Sprint("line ", i) {
			t.Fatalf("%q is line %d", line, i)
		}
	}
	if s := f.wait(f.run("exit", "3")); s.ExitCode != 3 {
		t.Errorf("a new one: %+v", s)
	}
}

// Daemon and containerd die together, and containers end while both are dead.
func TestBothDie(t *testing.T) {
	f := newFixture(t)
	var leaving []string
	for range 3 {
		leaving = append(leaving, f.run("count", "200", "1"))
	}
	staying := f.run("count", "100000", "5")
	r := f.runtime()
	r.eng.cancel() // nobody starts containerd again
	<-r.eng.done
	f.ok(syscall.Kill(r.EnginePID(), syscall.SIGKILL))
	f.ok(r.Close())
	time.Sleep(time.Second)
	r, err := New(f.ctx, f.o)
	f.ok(err)
	f.Runtime = r
	for _, id := range leaving {
		if s := f.wait(id); s.ExitCode != 0 || s.Reason != "" {
			t.Errorf("%s ended meanwhile: %+v", id, s)
		}
		if got := f.lines(id); len(got) != 200 {
			t.Errorf("%s wrote %d lines", id, len(got))
		}
	}
	if s, err := f.Get(f.ctx, staying); err != nil || s.State != container.Running {
		t.Errorf("it runs on: %+v, %v", s, err)
	}
}

func TestShimDies(t *testing.T) {
	f := newFixture(t)
	a, b := f.run("stubborn"), f.run("sleep")
	shims := f.processes("-namespace", namespace, "-address", f.o.socket())
	if len(shims) != 1 {
		t.Fatalf("%d shims for the containers of one group", len(shims))
	}
	f.ok(syscall.Kill(shims[0], syscall.SIGKILL))
	for _, id := range []string{a, b} {
		if s := f.wait(id); s.ExitCode != 137 || s.Reason != reasonShim {
			t.Errorf("%+v", s)
		}
	}
	again := f.run("exit", "4")
	if s := f.wait(again); s.ExitCode != 4 {
		t.Errorf("a new one: %+v", s)
	}
}

func TestLogWriterDies(t *testing.T) {
	f := newFixture(t)
	id := f.run("stubborn")
	pid := spool.Writer(f.runtime().ctrs[id].logDir())
	f.ok(syscall.Kill(pid, syscall.SIGKILL))
	if s := f.wait(id); s.Reason != reasonLogger {
		t.Errorf("%+v", s)
	}
}

func TestKilledIsNoFault(t *testing.T) {
	f := newFixture(t)
	id := f.run("stubborn")
	s, err := f.Get(f.ctx, id)
	f.ok(err)
	f.ok(syscall.Kill(s.PID, syscall.SIGKILL))
	if s := f.wait(id); s.ExitCode != 137 || s.Reason != "" {
		t.Errorf("%+v", s)
	}
}

// Shutdown ends everything, and the next Runtime knows how.
func TestShutdown(t *testing.T) {
	f := newFixture(t)
	var ids []string
	for range 3 {
		ids = append(ids, f.run("sleep"))
	}
	f.ok(f.Shutdown(f.ctx))
	if left := f.processes(f.o.socket()); len(left) > 0 {
		t.Errorf("processes are left: %v", left)
	}
	for _, id := range ids {
		if left := f.processes("log", f.runtime().ctrs[id].logDir()); len(left) > 0 {
			t.Errorf("a log writer is left: %v", left)
		}
	}
	if b, err := os.ReadFile("/proc/self/mountinfo"); err != nil || strings.Contains(string(b), f.o.RunDir) {
		t.Errorf("mounts are left: %s, %v", b, err)
	}
	r, err := New(f.ctx, f.o)
	f.ok(err)
	f.Runtime = r
	for _, id := range ids {
		if s := f.wait(id); s.ExitCode != 0 || s.Reason != "" {
			t.Errorf("%+v", s)
		}
		if got := f.lines(id); !slices.Equal(got, []string{"ready", "stopping"}) {
			t.Errorf("it wrote %q", got)
		}
	}
}

func TestMemoryLimits(t *testing.T) {
	f := newFixture(t)
	id := f.start(container.Container{Command: []string{"alloc", "64"}, Limits: container.Limits{Memory: 32 << 20}})
	if s := f.wait(id); !s.OOMKilled || s.ExitCode != 137 {
		t.Errorf("beyond the container's limit: %+v", s)
	}
	small := "g" + ids.Hex(8)
	f.ok(f.EnsureGroup(f.ctx, container.Group{ID: small, Limits: container.Limits{Memory: 48 << 20, CPUs: 0.5}}))
	id = f.start(container.Container{Group: small, Command: []string{"alloc", "96"}})
	if s := f.wait(id); !s.OOMKilled {
		t.Errorf("beyond the group's limit: %+v", s)
	}
	id = f.start(container.Container{Command: []string{"alloc", "20"}, Limits: container.Limits{Memory: 100 << 20}})
	deadline := time.Now().Add(time.Minute)
	for {
		m, err := f.Stats(f.ctx, id)
		f.ok(err)
		if m.Memory > 20<<20 && m.CPU > 0 && m.PIDs > 0 && m.MemoryLimit == 100<<20 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("stats: %+v", m)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestSurroundings(t *testing.T) {
	f := newFixture(t)
	f.ok(f.EnsureGroup(f.ctx, container.Group{
		ID: f.group, Hostname: "ip-10-0-0-1", Hosts: []container.HostEntry{{Addr: "10.0.0.1", Names: []string{"ip-10-0-0-1"}}},
		DNS: container.DNS{Servers: []string{"169.254.169.253"}, Search: []string{"ec2.internal"}},
	}))
	data := filepath.Join(f.o.MountRoots[0], "data")
	f.ok(os.Mkdir(data, 0o777))
	for _, c := range []struct {
		spec container.Container
		want string
		code int
	}{
		{container.Container{Command: []string{"file", "/etc/hosts"}}, "127.0.0.1 localhost\n10.0.0.1 ip-10-0-0-1", 0},
		{container.Container{Command: []string{"file", "/etc/hosts"}, ExtraHosts: []container.HostEntry{{Addr: "1.2.3.4", Names: []string{"a", "b"}}}}, "127.0.0.1 localhost\n10.0.0.1 ip-10-0-0-1\n1.2.3.4 a b", 0},
		{container.Container{Command: []string{"file", "/etc/resolv.conf"}}, "nameserver 169.254.169.253\nsearch ec2.internal", 0},
		{container.Container{Command: []string{"file", "/etc/hostname"}}, "ip-10-0-0-1", 0},
		{container.Container{Command: []string{"uid"}}, "0:0", 0},
		{container.Container{Command: []string{"uid"}, User: "app"}, "1000:1001", 0},
		{container.Container{Command: []string{"uid"}, User: "7:8"}, "7:8", 0},
		{container.Container{Command: []string{"touch", "/made"}}, "", 0},
		{container.Container{Command: []string{"touch", "/made"}, ReadOnlyRoot: true}, "open /made: read-only file system", 1},
		{container.Container{Command: []string{"touch", "/made"}, User: "app"}, "open /made: permission denied", 1},
		{container.Container{Command: []string{"touch", "/tmp/x"}, ReadOnlyRoot: true, Mounts: []container.Mount{{Target: "/tmp"}}}, "", 0},
		{container.Container{Command: []string{"touch", "/tmp/x"}, User: "app", Mounts: []container.Mount{{Target: "/tmp", Options: []string{"mode=0700"}}}}, "open /tmp/x: permission denied", 1},
		{container.Container{Command: []string{"touch", "/tmp/x"}, User: "app", Mounts: []container.Mount{{Target: "/tmp", Options: []string{"mode=0700", "uid=1000"}}}}, "", 0},
		{container.Container{Command: []string{"touch", "/tmp/x"}, Mounts: []container.Mount{{Target: "/tmp", Options: []string{"ro"}}}}, "open /tmp/x: read-only file system", 1},
		{container.Container{Command: []string{"touch", "/data/x"}, Mounts: []container.Mount{{Source: data, Target: "/data"}}}, "", 0},
		{container.Container{Command: []string{"touch", "/data/y"}, Mounts: []container.Mount{{Source: data, Target: "/data", ReadOnly: true}}}, "open /data/y: read-only file system", 1},
		{container.Container{Command: []string{"exit", "9"}, Init: true}, "", 9},
		{container.Container{Command: []string{"echo", "tty"}, TTY: true}, "tty", 0},
	} {
		id := f.start(c.spec)
		if s := f.wait(id); s.ExitCode != c.code {
			t.Errorf("%v: %+v", c.spec.Command, s)
		}
		if got := strings.Join(f.lines(id), "\n"); got != c.want {
			t.Errorf("%v: %q, want %q", c.spec.Command, got, c.want)
		}
	}
	if _, err := os.Stat(filepath.Join(data, "x")); err != nil {
		t.Error("the data mount is not where it should be:", err)
	}
	if err := f.Ensure(f.ctx, container.Container{ID: "etc", Group: f.group, Image: f.image, Mounts: []container.Mount{{Source: "/etc", Target: "/e"}}}); err == nil || !strings.Contains(err.Error(), "not below a directory that containers may mount") {
		t.Errorf("a mount of /etc: %v", err)
	}
}

// A container that is started again has its writable layer and its place in the
// cgroups; what ended it last time is not held against it.
func TestRestart(t *testing.T) {
	f := newFixture(t)
	id := f.run("first", "/made")
	if s := f.wait(id); s.ExitCode != 0 {
		t.Fatalf("the first time: %+v", s)
	}
	f.ok(f.Restart(f.ctx, id))
	if s := f.wait(id); s.ExitCode != 1 || s.Restarts != 1 {
		t.Errorf("what it wrote is not there: %+v", s)
	}
	greedy := f.start(container.Container{Command: []string{"alloc", "64"}, Limits: container.Limits{Memory: 32 << 20}})
	for range 2 {
		if s := f.wait(greedy); !s.OOMKilled {
			t.Errorf("beyond its limit: %+v", s)
		}
		f.ok(f.Restart(f.ctx, greedy))
	}
	counting := f.run("count", "100000", "1")
	f.ok(f.Stop(f.ctx, counting, syscall.SIGKILL, 0))
	f.ok(f.Restart(f.ctx, counting))
	f.ok(syscall.Kill(f.runtime().EnginePID(), syscall.SIGKILL))
	f.ok(f.Stop(f.ctx, counting, syscall.SIGKILL, 0))
	if s := f.wait(counting); s.Restarts != 1 || s.ExitCode != 137 || s.Reason != "" {
		t.Errorf("over a restart of containerd: %+v", s)
	}
}

// Containers of a group that shares its processes see each other's; one that ends
// takes nobody with it, and what holds them is seen by nobody.
func TestSharedPIDs(t *testing.T) {
	f := newFixture(t)
	g := container.Group{ID: "g" + ids.Hex(8), SharePIDs: true}
	f.ok(f.EnsureGroup(f.ctx, g))
	a := f.start(container.Container{Group: g.ID, Command: []string{"stubborn"}})
	f.wait(f.start(container.Container{Group: g.ID, Command: []string{"exit", "0"}}))
	b := f.start(container.Container{Group: g.ID, Command: []string{"ps"}})
	f.wait(b)
	if got := f.lines(b); !slices.Contains(got, "/program stubborn") || !slices.Contains(got, "/program ps") || !slices.Contains(got, "/dev/.minato-init hold") {
		t.Errorf("it sees %q", got)
	}
	alone := f.run("ps")
	f.wait(alone)
	if got := f.lines(alone); !slices.Equal(got, []string{"/program ps"}) {
		t.Errorf("another group's sees %q", got)
	}
	if s, err := f.Get(f.ctx, a); err != nil || s.State != container.Running {
		t.Errorf("%+v, %v", s, err)
	}
	all, err := f.List(f.ctx)
	f.ok(err)
	if len(all) != 4 {
		t.Errorf("%d containers are listed", len(all))
	}
	f.ok(f.Stop(f.ctx, a, syscall.SIGTERM, 100*time.Millisecond))
	if s := f.wait(a); s.ExitCode != 137 || s.Reason != "" {
		t.Errorf("%+v", s)
	}
	c := f.start(container.Container{Group: g.ID, Command: []string{"sleep"}})
	f.ok(f.Shutdown(f.ctx))
	if s := f.wait(c); s.ExitCode != 0 || s.Reason != "" {
		t.Errorf("at the shutdown: %+v", s)
	}
}

func TestWritten(t *testing.T) {
	f := newFixture(t)
	source := filepath.Join(f.o.MountRoots[0], "data")
	f.ok(os.Mkdir(source, 0o755))
	f.wait(f.run("fill", "/made", "3"))
	f.wait(f.start(container.Container{Command: []string{"fill", "/data/made", "5"}, Mounts: []container.Mount{{Source: source, Target: "/data"}}}))
	if n, err := f.Written(f.ctx, f.group); err != nil || n < 3<<20 || n >= 5<<20 {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// A mount is filled with what the image has there, once.
func TestSeed(t *testing.T) {
	f := newFixture(t)
	source, empty := filepath.Join(f.o.MountRoots[0], "etc"), filepath.Join(f.o.MountRoots[0], "empty")
	f.ok(errors.Join(os.Mkdir(source, 0o755), os.Mkdir(empty, 0o755)))
	mounts := []container.Mount{{Source: source, Target: "/etc", Seed: true}, {Source: empty, Target: "/nothing/there", Seed: true}}
	id := f.start(container.Container{Command: []string{"file", "/etc/passwd"}, Mounts: mounts})
	if s := f.wait(id); s.ExitCode != 0 || !strings.Contains(strings.Join(f.lines(id), "\n"), "app:x:1000:1001") {
		t.Errorf("%+v wrote %q", s, f.lines(id))
	}
	f.ok(os.WriteFile(filepath.Join(source, "passwd"), []byte("mine\n"), 0o644))
	id = f.start(container.Container{Command: []string{"file", "/etc/passwd"}, Mounts: mounts})
	f.wait(id)
	if got := f.lines(id); !slices.Equal(got, []string{"mine"}) {
		t.Errorf("what was there is gone: %q", got)
	}
	id = f.start(container.Container{Command: []string{"file", "/etc/hostname"}, Mounts: mounts})
	f.wait(id)
	if got := f.lines(id); !slices.Equal(got, []string{"box"}) {
		t.Errorf("the group's files are hidden: %q", got)
	}
	if left, err := os.ReadDir(empty); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
	if left, err := os.ReadDir(filepath.Join(f.o.RunDir, "seed")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// seccompOf tells a process's seccomp mode, 2 for a filter.
func seccompOf(pid int) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "Seccomp:"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func TestConfinement(t *testing.T) {
	f := newFixture(t)
	id := f.start(container.Container{Command: []string{"stubborn"}, DropCaps: []string{"ALL"}, AddCaps: []string{"SYS_PTRACE"}, NoNewPrivs: true})
	s, err := f.Get(f.ctx, id)
	f.ok(err)
	if mode := seccompOf(s.PID); mode != "2" {
		t.Errorf("seccomp mode %q", mode)
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.PID))
	f.ok(err)
	for _, want := range []string{"CapEff:\t0000000000080000", "NoNewPrivs:\t1"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %q in\n%s", want, b)
		}
	}
	if got, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", s.PID)); err != nil || !strings.Contains(string(got), f.o.cgroup()+"/"+f.group+"/"+id) {
		t.Errorf("cgroup: %s, %v", got, err)
	}
}

func TestHostRoot(t *testing.T) {
	f := newFixture(t)
	root := &container.HostRoot{
		Paths: []string{"/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32"},
		Files: map[string]container.File{"/etc/passwd": {Content: []byte("root:x:0:0::/:/bin/sh\ndb:x:27:27::/:/bin/sh\n"), Mode: 0o644}},
		Dirs:  []string{"/var/tmp"},
	}
	for _, c := range []struct {
		name string
		spec container.Container
		want string
	}{
		{"root", container.Container{Command: []string{"/bin/sh", "-c", "id -u; ls /; ls -d /var/tmp; touch /x 2>&1"}}, "0\nbin dev etc lib lib64 proc sbin sys tmp usr var\n/var/tmp\nreadonly"},
		{"user", container.Container{Command: []string{"/bin/sh", "-c", "id -u"}, User: "db"}, "27"},
		{"user namespace", container.Container{Command: []string{"/bin/sh", "-c", "id -u; cat /proc/self/uid_map | tr -s ' '"}, UserNamespace: &container.IDMap{Host: 200000, Size: 65536}}, "0\n 0 200000 65536"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.spec.Root = root
			id := f.start(c.spec)
			f.wait(id)
			got := strings.Join(f.lines(id), "\n")
			if c.name == "root" {
				head, rest, _ := strings.Cut(got, "\n")
				names, tail, _ := strings.Cut(rest, "/var/tmp")
				got = head + "\n" + strings.Join(slices.DeleteFunc(strings.Fields(names), func(s string) bool { return s == "lib32" || s == ".minato-init" }), " ") + "\n/var/tmp\n"
				if strings.Contains(tail, "Read-only file system") {
					got += "readonly"
				}
			}
			if got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
	err := f.Ensure(f.ctx, container.Container{ID: "shadow", Group: f.group, Root: &container.HostRoot{Paths: []string{"/etc/shadow"}}, Command: []string{"/bin/sh"}})
	if err == nil || !strings.Contains(err.Error(), "not to be seen") {
		t.Errorf("/etc/shadow: %v", err)
	}
}

// Containers of a group share a network namespace, and Dial goes through it.
func TestNetns(t *testing.T) {
	f := newFixture(t)
	path := filepath.Join(f.o.MountRoots[0], "netns")
	f.ok(pinNetns(path))
	t.Cleanup(func() { _ = unix.Unmount(path, unix.MNT_DETACH) })
	g := container.Group{ID: "g" + ids.Hex(8), Netns: path}
	f.ok(f.EnsureGroup(f.ctx, g))
	id := f.start(container.Container{Group: g.ID, Command: []string{"stubborn"}})
	s, err := f.Get(f.ctx, id)
	f.ok(err)
	inside, err := os.Stat(fmt.Sprintf("/proc/%d/ns/net", s.PID))
	f.ok(err)
	want, err := os.Stat(path)
	f.ok(err)
	if !os.SameFile(inside, want) {
		t.Error("the container is in another network namespace")
	}
	// An empty namespace has no route anywhere, unlike this machine to itself.
	if c, err := f.Dial(f.ctx, g.ID, "127.0.0.1:1"); err == nil {
		c.Close()
		t.Error("connected to nothing")
	} else if !errors.Is(err, unix.ENETUNREACH) && !errors.Is(err, unix.EHOSTUNREACH) {
		t.Errorf("from an empty namespace: %v", err)
	}
	if _, err := f.Dial(f.ctx, "nobody", "127.0.0.1:1"); !errors.Is(err, container.ErrNotFound) {
		t.Errorf("from nobody's: %v", err)
	}
	// No thread stays in there, not the first one either, which could not end.
	for range 50 {
		if c, err := f.Dial(f.ctx, g.ID, "127.0.0.1:1"); err == nil {
			c.Close()
		}
	}
	f.await("the threads to come back", func() bool {
		threads, err := filepath.Glob("/proc/self/task/*/ns/net")
		f.ok(err)
		for _, name := range threads {
			if at, err := os.Stat(name); err == nil && os.SameFile(at, want) {
				return false
			}
		}
		return true
	})
}

// pinNetns makes a network namespace and pins it at a path.
func pinNetns(path string) error {
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return err
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open("/proc/thread-self/ns/net")
		if err == nil {
			defer home.Close()
			err = unix.Unshare(unix.CLONE_NEWNET)
		}
		if err == nil {
			err = errors.Join(unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, ""), unix.Setns(int(home.Fd()), unix.CLONE_NEWNET))
		}
		if err == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

func TestWithoutShim(t *testing.T) {
	if _, err := embedded.ReadFile("embed/minato-shim.gz"); err == nil {
		path, write, err := findProgram(t.TempDir(), shimProgram)
		if err == nil {
			err = write()
		}
		if err != nil {
			t.Fatal(err)
		}
		if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o755 {
			t.Errorf("%v, %v", fi, err)
		}
		return
	}
	if _, _, err := findProgram(t.TempDir(), shimProgram); !errors.Is(err, ErrNoShim) {
		t.Errorf("a binary without its shim: %v", err)
	}
}
