// Package containertest holds the contract that every container.Runtime passes
// (Run), and Fake, a Runtime that runs programs as functions, for the tests of
// those who use one.
package containertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"minato/dataplane/container"
	"minato/internal/ids"
)

// Subject is the runtime under test.
type Subject struct {
	container.Runtime
	// Reopen closes the runtime and opens another one on the same data.
	Reopen func(tb testing.TB) container.Runtime
}

// timeout bounds every test: a runtime that hangs fails.
const timeout = 5 * time.Minute

// Run holds a runtime to the contract.
func Run(t *testing.T, open func(t *testing.T) *Subject) {
	for _, c := range []struct {
		name string
		test func(*kit)
	}{
		{"life", testLife},
		{"exit codes", testExitCodes},
		{"idempotence", testIdempotence},
		{"stop", testStop},
		{"restart", testRestart},
		{"arguments and environment", testArguments},
		{"start errors", testStartErrors},
		{"images", testImages},
		{"logs", testLogs},
		{"consumed", testConsumed},
		{"exec", testExec},
		{"stats", testStats},
		{"changes", testChanges},
		{"groups", testGroups},
		{"reopen", testReopen},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), timeout)
			defer cancel()
			c.test(newKit(t, ctx, open(t)))
		})
	}
}

// kit is what the tests share: a runtime, an image, a group.
type kit struct {
	*testing.T
	ctx   context.Context
	s     *Subject
	image string
	group string
}

func newKit(t *testing.T, ctx context.Context, s *Subject) *kit {
	k := &kit{T: t, ctx: ctx, s: s, group: "g" + ids.Hex(8)}
	images, err := s.Import(ctx, Archive(t, nil))
	k.ok(err)
	k.image = images[0].Digest
	k.ok(s.EnsureGroup(ctx, container.Group{ID: k.group, Hostname: "box"}))
	t.Cleanup(func() { k.ok(s.DeleteGroup(context.Background(), k.group)) })
	return k
}

func (k *kit) ok(err error) {
	k.Helper()
	if err != nil {
		k.Fatal(err)
	}
}

// run starts a container with a command and returns its id.
func (k *kit) run(command ...string) string {
	k.Helper()
	return k.start(container.Container{Command: command})
}

func (k *kit) start(c container.Container) string {
	k.Helper()
	c.ID, c.Group, c.Image = "c"+ids.Hex(8), k.group, k.image
	k.ok(k.s.Ensure(k.ctx, c))
	k.ok(k.s.Start(k.ctx, c.ID))
	if len(c.Command) == 0 || c.Command[0] == "sleep" || c.Command[0] == "stubborn" {
		k.ok(AwaitReady(k.ctx, k.s, c.ID))
	}
	return c.ID
}

// AwaitReady waits until a container has written something: then the test
// program handles signals.
func AwaitReady(ctx context.Context, r container.Runtime, id string) error {
	written := errors.New("written")
	err := r.Tail(ctx, id, container.FromStart, func(container.Record) error { return written })
	if errors.Is(err, written) {
		return nil
	}
	return errors.Join(err, errors.New("it ended without a word"))
}

func (k *kit) wait(id string) container.Status {
	k.Helper()
	s, err := k.s.Wait(k.ctx, id)
	k.ok(err)
	return s
}

// lines waits for a container's end and returns all it wrote, "2:" before what
// went to stderr.
func (k *kit) lines(id string) []string {
	k.Helper()
	var out []string
	k.ok(k.s.Tail(k.ctx, id, container.FromStart, func(r container.Record) error {
		line := string(r.Line)
		if r.Stream == container.Stderr {
			line = "2:" + line
		}
		out = append(out, line)
		return nil
	}))
	return out
}

func (k *kit) output(command ...string) string {
	k.Helper()
	return strings.Join(k.lines(k.run(command...)), "\n")
}

func testLife(k *kit) {
	id := "life" + ids.Hex(8)
	labels := map[string]string{"what": "test"}
	before := time.Now().Add(-time.Second)
	k.ok(k.s.Ensure(k.ctx, container.Container{ID: id, Group: k.group, Image: k.image, Command: []string{"sleep"}, Labels: labels}))
	s, err := k.s.Get(k.ctx, id)
	k.ok(err)
	if s.State != container.Created || s.Group != k.group || s.Labels["what"] != "test" || s.Created.Before(before) {
		k.Errorf("after Ensure: %+v", s)
	}
	if err := k.s.Signal(k.ctx, id, syscall.SIGUSR1); !errors.Is(err, container.ErrNotRunning) {
		k.Errorf("a signal before the start: %v", err)
	}
	k.ok(k.s.Start(k.ctx, id))
	k.ok(AwaitReady(k.ctx, k.s, id))
	s, err = k.s.Get(k.ctx, id)
	k.ok(err)
	if s.State != container.Running || s.PID == 0 || s.Started.Before(s.Created) || !s.Ended.IsZero() {
		k.Errorf("after Start: %+v", s)
	}
	k.ok(k.s.Stop(k.ctx, id, 0, 10*time.Second))
	s = k.wait(id)
	if s.State != container.Ended || s.ExitCode != 0 || s.Ended.Before(s.Started) || s.PID != 0 || s.Reason != "" {
		k.Errorf("after Stop: %+v", s)
	}
	all, err := k.s.List(k.ctx)
	k.ok(err)
	if !slices.ContainsFunc(all, func(x container.Status) bool { return x.ID == id && x.State == container.Ended }) {
		k.Errorf("not listed: %+v", all)
	}
	k.ok(k.s.Delete(k.ctx, id))
	if _, err := k.s.Get(k.ctx, id); !errors.Is(err, container.ErrNotFound) {
		k.Errorf("after Delete: %v", err)
	}
	k.ok(k.s.Delete(k.ctx, id))
	running := k.run("stubborn")
	k.ok(k.s.Delete(k.ctx, running))
}

func testExitCodes(k *kit) {
	for _, code := range []int{0, 1, 42, 255} {
		if s := k.wait(k.run("exit", fmt.Sprint(code))); s.ExitCode != code || s.Reason != "" || s.OOMKilled {
			k.Errorf("exit %d: %+v", code, s)
		}
	}
}

func testIdempotence(k *kit) {
	c := container.Container{ID: "i" + ids.Hex(8), Group: k.group, Image: k.image, Command: []string{"echo", "once"}}
	for range 2 {
		k.ok(k.s.EnsureGroup(k.ctx, container.Group{ID: k.group, Hostname: "box"}))
		k.ok(k.s.Ensure(k.ctx, c))
	}
	for range 2 {
		k.ok(k.s.Start(k.ctx, c.ID))
	}
	k.wait(c.ID)
	k.ok(k.s.Start(k.ctx, c.ID))
	k.ok(k.s.Ensure(k.ctx, c))
	k.ok(k.s.Stop(k.ctx, c.ID, 0, time.Second))
	if got := k.lines(c.ID); len(got) != 1 || got[0] != "once" {
		k.Errorf("it wrote %q", got)
	}
}

func testStop(k *kit) {
	id := k.run("stubborn")
	begin := time.Now()
	k.ok(k.s.Stop(k.ctx, id, syscall.SIGTERM, 300*time.Millisecond))
	if s := k.wait(id); s.ExitCode != 137 || s.Reason != "" {
		k.Errorf("killed: %+v", s)
	}
	if d := time.Since(begin); d < 300*time.Millisecond {
		k.Errorf("it took %v", d)
	}
	id = k.run("sleep")
	k.ok(k.s.Signal(k.ctx, id, syscall.SIGINT))
	if s := k.wait(id); s.ExitCode != 0 {
		k.Errorf("signalled: %+v", s)
	}
	if err := k.s.Signal(k.ctx, id, syscall.SIGINT); !errors.Is(err, container.ErrNotRunning) {
		k.Errorf("a signal after the end: %v", err)
	}
	id = k.run("stubborn")
	ctx, cancel := context.WithTimeout(k.ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := k.s.Wait(ctx, id); !errors.Is(err, context.DeadlineExceeded) {
		k.Errorf("Wait of what runs on: %v", err)
	}
}

func testRestart(k *kit) {
	id := k.run("echo", "once more")
	first := k.wait(id)
	k.ok(k.s.Restart(k.ctx, id))
	again := k.wait(id)
	if first.Restarts != 0 || again.Restarts != 1 || again.ExitCode != 0 || !again.Created.Equal(first.Created) || again.Started.Before(first.Ended) {
		k.Errorf("first %+v, again %+v", first, again)
	}
	k.s.Runtime = k.s.Reopen(k)
	k.ok(k.s.Restart(k.ctx, id))
	if s := k.wait(id); s.Restarts != 2 || s.State != container.Ended {
		k.Errorf("after a reopen: %+v", s)
	}
	if got := k.lines(id); !slices.Equal(got, []string{"once more", "once more", "once more"}) {
		k.Errorf("it wrote %q", got)
	}
	running := k.run("sleep")
	before, err := k.s.Get(k.ctx, running)
	k.ok(err)
	k.ok(k.s.Restart(k.ctx, running))
	if s, err := k.s.Get(k.ctx, running); err != nil || s.Restarts != 0 || s.PID != before.PID {
		k.Errorf("what ran: %+v, %v", s, err)
	}
	k.ok(k.s.Stop(k.ctx, running, 0, 10*time.Second))
	k.ok(k.s.Delete(k.ctx, id))
	if err := k.s.Restart(k.ctx, id); !errors.Is(err, container.ErrNotFound) {
		k.Errorf("Restart of nobody: %v", err)
	}
}

func testArguments(k *kit) {
	if got := k.output("echo", "a b", "c"); got != "a b c" {
		k.Errorf("command: %q", got)
	}
	own := k.start(container.Container{Entrypoint: []string{"/program", "echo"}, Command: []string{"own"}})
	if got := k.lines(own); !slices.Equal(got, []string{"own"}) {
		k.Errorf("entrypoint: %q", got)
	}
	if got := k.output("env", "FROM_IMAGE"); got != "yes" {
		k.Errorf("the image's environment: %q", got)
	}
	id := k.start(container.Container{Command: []string{"env", "FROM_IMAGE"}, Env: []string{"FROM_IMAGE=no"}})
	if got := k.lines(id); !slices.Equal(got, []string{"no"}) {
		k.Errorf("environment of one's own: %q", got)
	}
	sleeping := k.start(container.Container{}) // the image's command
	k.ok(k.s.Stop(k.ctx, sleeping, 0, 10*time.Second))
	if s := k.wait(sleeping); s.ExitCode != 0 {
		k.Errorf("the image's command: %+v", s)
	}
}

func testStartErrors(k *kit) {
	c := container.Container{ID: "e" + ids.Hex(8), Group: k.group, Image: k.image, Entrypoint: []string{"/nothing-here"}}
	k.ok(k.s.Ensure(k.ctx, c))
	if err := k.s.Start(k.ctx, c.ID); !errors.Is(err, container.ErrStart) || !strings.Contains(err.Error(), "/nothing-here") {
		k.Errorf("no such program: %v", err)
	}
	if s, err := k.s.Get(k.ctx, c.ID); err != nil || s.State != container.Created {
		k.Errorf("after a start that failed: %+v, %v", s, err)
	}
	k.ok(k.s.Delete(k.ctx, c.ID))
	for _, c := range []container.Container{
		{ID: "e" + ids.Hex(8), Group: "nobody", Image: k.image},
		{ID: "e" + ids.Hex(8), Group: k.group, Image: "sha256:" + strings.Repeat("0", 64)},
	} {
		if err := k.s.Ensure(k.ctx, c); !errors.Is(err, container.ErrNotFound) {
			k.Errorf("%+v: %v", c, err)
		}
	}
	if err := k.s.Ensure(k.ctx, container.Container{ID: "../x", Group: k.group, Image: k.image}); err == nil {
		k.Error("an id with a path in it was taken")
	}
	if err := k.s.Start(k.ctx, "nobody"); !errors.Is(err, container.ErrNotFound) {
		k.Errorf("Start of nobody: %v", err)
	}
}

func testImages(k *kit) {
	imported, err := k.s.Import(k.ctx, Archive(k, func(c *v1.Config) {
		c.User, c.WorkingDir, c.StopSignal, c.Env = "app", "/etc", "SIGINT", []string{"A=1"}
	}))
	k.ok(err)
	img, err := k.s.EnsureUnpacked(k.ctx, imported[0].Digest)
	k.ok(err)
	if img.Digest == k.image || img.Manifest == "" || img.Size == 0 || img.User != "app" || img.WorkDir != "/etc" ||
		img.StopSignal != "SIGINT" || !slices.Equal(img.Env, []string{"A=1"}) || !slices.Equal(img.Entrypoint, []string{"/program"}) || !slices.Equal(img.Command, []string{"sleep"}) {
		k.Errorf("%+v", img)
	}
	k.ok(k.s.ReleaseImage(k.ctx, img.Digest))
	k.ok(k.s.ReleaseImage(k.ctx, img.Digest))
	if _, err := k.s.EnsureUnpacked(k.ctx, "sha256:"+strings.Repeat("0", 64)); !errors.Is(err, container.ErrNotFound) {
		k.Errorf("an image that is not there: %v", err)
	}
}

func testLogs(k *kit) {
	if got := k.lines(k.run("err", "oops")); !slices.Equal(got, []string{"2:oops"}) {
		k.Errorf("stderr: %q", got)
	}
	begin := time.Now().Add(-time.Second)
	id := k.run("count", "200", "0")
	var next []container.Offset
	i := 0
	k.ok(k.s.Tail(k.ctx, id, container.FromStart, func(r container.Record) error {
		if want := fmt.Sprint("line ", i); string(r.Line) != want || r.Partial || r.Time.Before(begin) || r.Time.After(time.Now()) {
			return fmt.Errorf("record %d: %q at %v", i, r.Line, r.Time)
		}
		i++
		next = append(next, r.Next)
		return nil
	}))
	if i != 200 {
		k.Fatalf("%d lines", i)
	}
	var from []string
	k.ok(k.s.Tail(k.ctx, id, next[197], func(r container.Record) error {
		from = append(from, string(r.Line))
		return nil
	}))
	if !slices.Equal(from, []string{"line 198", "line 199"}) {
		k.Errorf("from an offset: %q", from)
	}
	long := k.run("long", fmt.Sprint(container.MaxLine+7))
	var sizes []int
	var partial []bool
	k.ok(k.s.Tail(k.ctx, long, container.FromStart, func(r container.Record) error {
		sizes, partial = append(sizes, len(r.Line)), append(partial, r.Partial)
		return nil
	}))
	if !slices.Equal(sizes, []int{container.MaxLine, 7}) || !slices.Equal(partial, []bool{true, false}) {
		k.Errorf("a long line: %v %v", sizes, partial)
	}
	stop := errors.New("enough")
	if err := k.s.Tail(k.ctx, id, container.FromStart, func(container.Record) error { return stop }); !errors.Is(err, stop) {
		k.Errorf("the reader's own error: %v", err)
	}
	if err := k.s.Tail(k.ctx, "nobody", 0, nil); !errors.Is(err, container.ErrNotFound) {
		k.Errorf("the log of nobody: %v", err)
	}
}

func testConsumed(k *kit) {
	id := k.run("count", "10", "0")
	var next []container.Offset
	k.ok(k.s.Tail(k.ctx, id, container.FromConsumed, func(r container.Record) error {
		next = append(next, r.Next)
		return nil
	}))
	k.ok(k.s.Consumed(k.ctx, id, next[6]))
	var rest []string
	k.ok(k.s.Tail(k.ctx, id, container.FromConsumed, func(r container.Record) error {
		rest = append(rest, string(r.Line))
		return nil
	}))
	if !slices.Equal(rest, []string{"line 7", "line 8", "line 9"}) {
		k.Errorf("after Consumed: %q", rest)
	}
}

func testExec(k *kit) {
	id := k.start(container.Container{Command: []string{"stubborn"}, Env: []string{"MINE=1"}})
	run := func(p container.Process, stdin string) (string, string, int) {
		k.Helper()
		var out, errOut bytes.Buffer
		stdio := container.Stdio{Stdout: &out, Stderr: &errOut}
		if stdin != "" {
			stdio.Stdin = strings.NewReader(stdin)
		}
		x, err := k.s.Exec(k.ctx, id, p, stdio)
		k.ok(err)
		code, err := x.Wait(k.ctx)
		k.ok(err)
		return out.String(), errOut.String(), code
	}
	if out, _, code := run(container.Process{Args: []string{"/program", "echo", "hello"}}, ""); out != "hello\n" || code != 0 {
		k.Errorf("echo: %q, %d", out, code)
	}
	if _, errOut, code := run(container.Process{Args: []string{"/program", "err", "no"}}, ""); errOut != "no\n" || code != 0 {
		k.Errorf("err: %q, %d", errOut, code)
	}
	var one bytes.Buffer
	for what, stdio := range map[string]container.Stdio{"out": {Stdout: &one}, "err": {Stderr: &one}} {
		x, err := k.s.Exec(k.ctx, id, container.Process{Args: []string{"/program", map[string]string{"out": "echo", "err": "err"}[what], what}}, stdio)
		k.ok(err)
		if code, err := x.Wait(k.ctx); err != nil || code != 0 || !strings.Contains(one.String(), what+"\n") {
			k.Errorf("one stream only: %d, %v, %q", code, err, one.String())
		}
	}
	if _, _, code := run(container.Process{Args: []string{"/program", "exit", "3"}}, ""); code != 3 {
		k.Errorf("exit: %d", code)
	}
	if out, _, _ := run(container.Process{Args: []string{"/program", "cat"}}, "in\n"); out != "in\n" {
		k.Errorf("cat: %q", out)
	}
	if out, _, _ := run(container.Process{Args: []string{"/program", "env", "MINE"}}, ""); out != "1\n" {
		k.Errorf("the container's environment: %q", out)
	}
	if out, _, _ := run(container.Process{Args: []string{"/program", "env", "THEIRS"}, Env: []string{"THEIRS=2"}}, ""); out != "2\n" {
		k.Errorf("its own environment: %q", out)
	}
	if _, err := k.s.Exec(k.ctx, id, container.Process{Args: []string{"/nothing"}}, container.Stdio{}); !errors.Is(err, container.ErrStart) {
		k.Errorf("no such program: %v", err)
	}
	x, err := k.s.Exec(k.ctx, id, container.Process{Args: []string{"/program", "sleep"}}, container.Stdio{})
	k.ok(err)
	k.ok(x.Signal(k.ctx, syscall.SIGKILL))
	if code, err := x.Wait(k.ctx); err != nil || code != 137 {
		k.Errorf("killed: %d, %v", code, err)
	}
	k.ok(k.s.Stop(k.ctx, id, syscall.SIGKILL, 0))
	if _, err := k.s.Exec(k.ctx, id, container.Process{Args: []string{"/program"}}, container.Stdio{}); !errors.Is(err, container.ErrNotRunning) {
		k.Errorf("in what has ended: %v", err)
	}
}

// testStats: what is counted grows, and a limit is told.
func testStats(k *kit) {
	id := k.start(container.Container{Command: []string{"stubborn"}, Limits: container.Limits{Memory: 64 << 20}})
	first, err := k.s.Stats(k.ctx, id)
	k.ok(err)
	var next container.Stats
	for {
		// Whatever runs costs some time; an idle program's takes a while to show.
		if next, err = k.s.Stats(k.ctx, id); err != nil || next.CPU > 0 && next.SystemCPU > first.SystemCPU {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	k.ok(err)
	switch {
	case !next.Time.After(first.Time), next.CPU < first.CPU, next.CPUUser+next.CPUKernel == 0 && next.CPU > time.Second:
		k.Errorf("time does not pass: %+v, then %+v", first, next)
	case next.Memory <= 0, next.MemoryUsage < next.Memory, next.MemoryLimit != 64<<20, len(next.MemoryDetail) == 0:
		k.Errorf("memory: %+v", next)
	case next.PIDs < 1:
		k.Errorf("processes: %+v", next)
	}
	if _, lo := next.Networks["lo"]; lo {
		k.Errorf("the loopback interface is counted: %+v", next.Networks)
	}
	k.ok(k.s.Signal(k.ctx, id, syscall.SIGKILL))
	k.wait(id)
	if _, err := k.s.Stats(k.ctx, id); !errors.Is(err, container.ErrNotRunning) {
		k.Errorf("one that has ended: %v", err)
	}
	if _, err := k.s.Stats(k.ctx, "nobody"); !errors.Is(err, container.ErrNotFound) {
		k.Errorf("one that is not there: %v", err)
	}
}

func testChanges(k *kit) {
	ctx, cancel := context.WithCancel(k.ctx)
	changes := k.s.Changes(ctx)
	id := k.run("exit", "7")
	for s := (container.Status{}); s.State != container.Ended; {
		select {
		case c := <-changes:
			if c.Container != id || c.Group != k.group {
				continue
			}
			var err error
			s, err = k.s.Get(k.ctx, id)
			k.ok(err)
		case <-k.ctx.Done():
			k.Fatal("no change was told after which the container had ended")
		}
	}
	cancel()
	for range changes {
	}
}

func testGroups(k *kit) {
	other := "g" + ids.Hex(8)
	k.ok(k.s.EnsureGroup(k.ctx, container.Group{ID: other}))
	all, err := k.s.Groups(k.ctx)
	k.ok(err)
	if !slices.Contains(all, other) || !slices.Contains(all, k.group) {
		k.Errorf("groups: %q", all)
	}
	a := container.Container{ID: "a" + ids.Hex(8), Group: other, Image: k.image, Command: []string{"stubborn"}}
	b := container.Container{ID: "b" + ids.Hex(8), Group: other, Image: k.image, Command: []string{"exit", "0"}}
	for _, c := range []container.Container{a, b} {
		k.ok(k.s.Ensure(k.ctx, c))
		k.ok(k.s.Start(k.ctx, c.ID))
	}
	k.wait(b.ID)
	if s, err := k.s.Get(k.ctx, a.ID); err != nil || s.State != container.Running {
		k.Errorf("when its neighbour ended: %+v, %v", s, err)
	}
	if n, err := k.s.Written(k.ctx, other); err != nil || n < 0 || n > 1<<20 {
		k.Errorf("it has written %d bytes, %v", n, err)
	}
	k.ok(k.s.DeleteGroup(k.ctx, other))
	k.ok(k.s.DeleteGroup(k.ctx, other))
	if _, err := k.s.Written(k.ctx, other); !errors.Is(err, container.ErrNotFound) {
		k.Errorf("what nobody has written: %v", err)
	}
	for _, c := range []container.Container{a, b} {
		if _, err := k.s.Get(k.ctx, c.ID); !errors.Is(err, container.ErrNotFound) {
			k.Errorf("%s after DeleteGroup: %v", c.ID, err)
		}
	}
}

func testReopen(k *kit) {
	running := k.run("count", "100000", "2")
	ended := k.run("exit", "5")
	k.wait(ended)
	created := container.Container{ID: "r" + ids.Hex(8), Group: k.group, Image: k.image, Command: []string{"exit", "6"}}
	k.ok(k.s.Ensure(k.ctx, created))
	before, err := k.s.Get(k.ctx, running)
	k.ok(err)
	k.s.Runtime = k.s.Reopen(k)
	s, err := k.s.Get(k.ctx, running)
	k.ok(err)
	if s.State != container.Running || s.PID != before.PID || !s.Started.Equal(before.Started) {
		k.Errorf("it ran: %+v, before %+v", s, before)
	}
	if s := k.wait(ended); s.ExitCode != 5 {
		k.Errorf("it had ended: %+v", s)
	}
	k.ok(k.s.Start(k.ctx, created.ID))
	if s := k.wait(created.ID); s.ExitCode != 6 {
		k.Errorf("it was created: %+v", s)
	}
	k.ok(k.s.Stop(k.ctx, running, 0, 10*time.Second))
	if s := k.wait(running); s.ExitCode != 0 {
		k.Errorf("stopped: %+v", s)
	}
	for i, line := range k.lines(running) {
		if want := fmt.Sprint("line ", i); line != want {
			k.Fatalf("%q where %q should be", line, want)
		}
	}
}
