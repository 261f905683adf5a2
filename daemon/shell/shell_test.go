package shell

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"minato/dataplane/container"
)

// fakeRuntime runs commands of its own: echo copies stdin to stdout, fail exits
// with 7 and a word on stderr, hang waits to be killed, size tells the sizes.
type fakeRuntime struct {
	mu     sync.Mutex
	last   container.Process
	killed chan struct{}
}

type execution struct {
	r     *fakeRuntime
	sizes chan string
	wait  func(ctx context.Context) (int, error)
}

func (x *execution) Resize(_ context.Context, w, h uint16) error {
	x.sizes <- fmt.Sprintf("%dx%d", w, h)
	return nil
}
func (x *execution) Signal(context.Context, syscall.Signal) error { return nil }
func (x *execution) Wait(ctx context.Context) (int, error)        { return x.wait(ctx) }
func (r *fakeRuntime) process() container.Process                 { r.mu.Lock(); defer r.mu.Unlock(); return r.last }

func (r *fakeRuntime) Exec(_ context.Context, id string, p container.Process, io_ container.Stdio) (container.Execution, error) {
	r.mu.Lock()
	r.last = p
	r.mu.Unlock()
	x := &execution{r: r, sizes: make(chan string, 10)}
	switch p.Args[0] {
	case "echo":
		x.wait = func(context.Context) (int, error) {
			_, err := io.Copy(io_.Stdout, io_.Stdin)
			return 0, err
		}
	case "fail":
		x.wait = func(context.Context) (int, error) { fmt.Fprint(io_.Stderr, "ouch"); return 7, nil }
	case "hang":
		x.wait = func(ctx context.Context) (int, error) { <-ctx.Done(); close(r.killed); return 0, ctx.Err() }
	case "size":
		x.wait = func(context.Context) (int, error) { fmt.Fprint(io_.Stdout, <-x.sizes); return 0, nil }
	default:
		return nil, fmt.Errorf("%w: %s: no such file", container.ErrStart, p.Args[0])
	}
	return x, nil
}

func start(t *testing.T) (*fakeRuntime, func(ctx context.Context, req request) (*client, error), chan string) {
	t.Helper()
	r := &fakeRuntime{killed: make(chan struct{})}
	left := make(chan string, 10)
	srv := httptest.NewServer(&Server{
		Base: t.Context(), Runtime: r, Log: slog.New(slog.DiscardHandler),
		Find: func(_ context.Context, name string) (Target, error) {
			if name != "chat" {
				return Target{}, errors.New("there is no workspace " + name)
			}
			return Target{Container: "c", Env: []string{"A=1"}, Dir: "/home", Shell: []string{"echo"}, Leave: func() { left <- name }}, nil
		},
	})
	t.Cleanup(srv.Close)
	return r, func(ctx context.Context, req request) (*client, error) {
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return open(ctx, conn, req)
	}, left
}

func TestRun(t *testing.T) {
	r, dial, left := start(t)
	big := strings.Repeat("0123456789", 100000)
	for _, c := range []struct {
		what           string
		req            request
		stdin          string
		stdout, stderr string
		code           int
		fails          string
	}{
		{"stdin and stdout", request{Name: "chat", Command: []string{"echo"}}, big, big, "", 0, ""},
		{"the shell without a command", request{Name: "chat"}, "x", "x", "", 0, ""},
		{"exit code and stderr", request{Name: "chat", Command: []string{"fail"}}, "", "", "ouch", 7, ""},
		{"no such program", request{Name: "chat", Command: []string{"nope"}}, "", "", "cannot start: nope: no such file\n", 127, ""},
		{"no such workspace", request{Name: "other"}, "", "", "", 0, "there is no workspace other"},
	} {
		client, err := dial(t.Context(), c.req)
		if err != nil {
			t.Fatal(err)
		}
		var stdout, stderr bytes.Buffer
		code, err := client.talk(strings.NewReader(c.stdin), &stdout, &stderr)
		if c.fails != "" {
			if err == nil || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%s: %v", c.what, err)
			}
			continue
		}
		if err != nil || code != c.code || stdout.String() != c.stdout || stderr.String() != c.stderr {
			t.Errorf("%s: %d %v, %d bytes of output, %q", c.what, code, err, stdout.Len(), stderr.String())
		}
	}
	if len(left) != 4 {
		t.Errorf("left %d times", len(left))
	}
	if p := r.process(); p.WorkDir != "/home" || p.TTY {
		t.Errorf("process %+v", p)
	}
}

func TestTerminal(t *testing.T) {
	r, dial, _ := start(t)
	c, err := dial(t.Context(), request{Name: "chat", Command: []string{"size"}, TTY: true, Term: "xterm", Size: size{80, 24}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.out.SendJSON(kindResize, size{100, 40}); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	block, unblock := io.Pipe()
	defer unblock.Close()
	if _, err := c.talk(block, &out, &out); err != nil || out.String() != "100x40" {
		t.Errorf("%q %v", out.String(), err)
	}
	if p := r.process(); !p.TTY || p.Width != 80 || p.Height != 24 || p.Env[1] != "TERM=xterm" {
		t.Errorf("process %+v", p)
	}
}

// TestClientGone: when the client goes, the process is killed and the workspace
// is left.
func TestClientGone(t *testing.T) {
	r, dial, left := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	c, err := dial(ctx, request{Name: "chat", Command: []string{"hang"}})
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := c.talk(strings.NewReader(""), io.Discard, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("client: %v", err)
	}
	for _, ch := range []any{r.killed, left} {
		switch ch := ch.(type) {
		case chan struct{}:
			select {
			case <-ch:
			case <-time.After(time.Minute):
				t.Fatal("the process lives on")
			}
		case chan string:
			select {
			case <-ch:
			case <-time.After(time.Minute):
				t.Fatal("the workspace is still in use")
			}
		}
	}
}

func TestPlainRequestIsRefused(t *testing.T) {
	w := httptest.NewRecorder()
	(&Server{}).ServeHTTP(w, httptest.NewRequest("POST", Path, nil))
	if w.Code != 426 {
		t.Errorf("status %d", w.Code)
	}
}
