package session

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"minato/internal/clock"
)

// process is a command of the tests: echo gives back its input until "exit" comes, big
// writes a lot and ends, hang waits to be killed.
type process struct {
	sizes chan Size
	wait  func(ctx context.Context) error
}

func (p *process) Resize(_ context.Context, s Size) error { p.sizes <- s; return nil }
func (p *process) Wait(ctx context.Context) error         { return p.wait(ctx) }

const bigOutput = 300 << 10

func command(what string) func(ctx context.Context, size Size, stdin io.Reader, stdout io.Writer) (Process, error) {
	return func(_ context.Context, size Size, stdin io.Reader, stdout io.Writer) (Process, error) {
		p := &process{sizes: make(chan Size, 10)}
		switch what {
		case "echo":
			p.wait = func(ctx context.Context) error {
				fmt.Fprintf(stdout, "%dx%d;", size.Columns, size.Rows)
				b := make([]byte, 100)
				for {
					n, err := stdin.Read(b)
					if err != nil || strings.Contains(string(b[:n]), "exit") {
						return err
					}
					_, _ = stdout.Write(b[:n])
				}
			}
		case "size":
			p.wait = func(context.Context) error {
				s := <-p.sizes
				fmt.Fprintf(stdout, "%dx%d", s.Columns, s.Rows)
				return nil
			}
		case "big":
			p.wait = func(context.Context) error {
				_, err := stdout.Write(bytes.Repeat([]byte("0123456789"), bigOutput/10))
				return err
			}
		case "hang":
			p.wait = func(ctx context.Context) error {
				fmt.Fprint(stdout, "ready")
				<-ctx.Done()
				return ctx.Err()
			}
		default:
			return nil, errors.New("no such command: " + what)
		}
		return p, nil
	}
}

type world struct {
	*Server
	t     *testing.T
	clock *clock.Fake
	http  *httptest.Server
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, clock: clock.NewFake(now)}
	w.Server = New(Options{Clock: w.clock, Endpoint: func(context.Context) string { return w.http.URL }})
	w.http = httptest.NewServer(w.Server)
	t.Cleanup(func() {
		_ = w.Server.Close()
		w.http.Close()
	})
	return w
}

func (w *world) open(what string, transcript io.WriteCloser) Opened {
	return w.Open(w.t.Context(), Spec{ID: "ecs-execute-command-" + what, Start: command(what), Transcript: transcript})
}

// client does what the plugin does.
type client struct {
	t    *testing.T
	conn *websocket.Conn
	seq  int64
	next int64
	out  strings.Builder
	shy  bool // does not acknowledge
}

func (w *world) dial(o Opened, token string) *client {
	w.t.Helper()
	conn, resp, err := websocket.Dial(w.t.Context(), o.StreamURL, nil)
	if err != nil {
		w.t.Fatalf("%v (%v)", err, resp)
	}
	w.t.Cleanup(func() { conn.CloseNow() })
	c := &client{t: w.t, conn: conn}
	if err := conn.Write(w.t.Context(), websocket.MessageText, encode(map[string]string{"MessageSchemaVersion": "1.0", "RequestId": "r", "TokenValue": token, "ClientId": "c", "ClientVersion": "1.3.0.0"})); err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (c *client) send(t PayloadType, payload string) {
	c.t.Helper()
	if err := c.conn.Write(c.t.Context(), websocket.MessageBinary, input(c.seq, t, payload)); err != nil {
		c.t.Fatal(err)
	}
	c.seq++
}

// until reads until the session is closed, or what was shown contains text, and
// returns the closing's output.
func (c *client) until(text string) (closed bool, output string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	for text == "" || !strings.Contains(c.out.String(), text) {
		_, b, err := c.conn.Read(ctx)
		if err != nil {
			c.t.Fatalf("after %q: %v", c.out.String(), err)
		}
		m := parsed(c.t, b)
		switch m.Type {
		case TypeChannelClosed:
			var p struct{ Output string }
			if err := json.Unmarshal(m.Payload, &p); err != nil {
				c.t.Fatal(err)
			}
			return true, p.Output
		case TypeOutput:
			if m.Sequence != c.next {
				continue // sent again
			}
			c.next++
			if !c.shy {
				if err := c.conn.Write(ctx, websocket.MessageBinary, ack(m)); err != nil {
					c.t.Fatal(err)
				}
			}
			c.take(m)
		}
	}
	return false, ""
}

func (c *client) take(m Message) {
	switch m.PayloadType {
	case PayloadHandshakeRequest:
		c.send(PayloadHandshakeResponse, `{"ClientVersion":"1.3.0.0","ProcessedClientActions":[{"ActionType":"SessionType","ActionStatus":1,"ActionResult":null,"Error":""}],"Errors":null}`)
	case PayloadHandshakeComplete:
		c.send(PayloadSize, `{"cols":80,"rows":24}`)
	case PayloadOutput:
		c.out.Write(m.Payload)
	}
}

// transcript is a Spec.Transcript.
type transcript struct {
	mu sync.Mutex
	bytes.Buffer
	closed chan struct{}
}

func (t *transcript) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.Buffer.Write(b)
}
func (t *transcript) Close() error { close(t.closed); return nil }

func TestSession(t *testing.T) {
	w := newWorld(t)
	shown := &transcript{closed: make(chan struct{})}
	o := w.open("echo", shown)
	if !strings.HasPrefix(o.StreamURL, "ws://") || !strings.HasSuffix(o.StreamURL, "/v1/data-channel/ecs-execute-command-echo?role=publish_subscribe") {
		t.Errorf("the URL is %s", o.StreamURL)
	}
	c := w.dial(o, o.Token)
	c.until("80x24;")
	c.send(PayloadOutput, "hello")
	c.until("hello")
	c.send(PayloadOutput, "exit")
	if closed, output := c.until(""); !closed || output != "" {
		t.Errorf("closed: %v %q", closed, output)
	}
	c.conn.CloseNow()
	<-shown.closed
	if got := shown.String(); got != "80x24;hello" {
		t.Errorf("the transcript is %q", got)
	}
}

func TestSessionEnds(t *testing.T) {
	for _, x := range []struct {
		what   string
		script func(w *world, c *client)
		output string
		shown  int
	}{
		{"size", func(_ *world, c *client) { // a second size
			c.until0()
			c.send(PayloadSize, `{"cols":0,"rows":1}`)
			c.send(PayloadSize, `{"cols":100,"rows":40}`)
			c.until("100x40")
		}, "", 6},
		{"big", nil, "", bigOutput},
		{"missing", nil, "no such command: missing", 0},
		{"hang", func(_ *world, c *client) { c.until("ready"); c.send(PayloadFlag, "\x00\x00\x00\x02") }, "", 5},
		{"hang", func(w *world, c *client) { c.until("ready"); w.clock.Advance(IdleTimeout) }, idleText, 5},
		{"hang", func(w *world, c *client) { c.until("ready"); go w.Close() }, shutdownText, 5},
	} {
		w := newWorld(t)
		o := w.open(x.what, nil)
		c := w.dial(o, o.Token)
		if x.script != nil {
			x.script(w, c)
		}
		if closed, output := c.until(""); !closed || output != x.output || c.out.Len() != x.shown {
			t.Errorf("%s: closed %v with %q after %d bytes", x.what, closed, output, c.out.Len())
		}
	}
}

// until0 reads until the handshake is over.
func (c *client) until0() {
	for c.next < 2 {
		_, b, err := c.conn.Read(c.t.Context())
		if err != nil {
			c.t.Fatal(err)
		}
		m := parsed(c.t, b)
		if m.Type != TypeOutput {
			continue
		}
		c.next++
		_ = c.conn.Write(c.t.Context(), websocket.MessageBinary, ack(m))
		c.take(m)
	}
}

// TestClientGone: the command ends with its client's connection.
func TestClientGone(t *testing.T) {
	w := newWorld(t)
	over := &transcript{closed: make(chan struct{})}
	o := w.open("hang", over)
	c := w.dial(o, o.Token)
	c.until0()
	c.conn.CloseNow()
	select {
	case <-over.closed:
	case <-time.After(time.Minute):
		t.Fatal("the session goes on")
	}
}

// TestSlowClient: a client that does not acknowledge is not sent without end, and
// gets the same again.
func TestSlowClient(t *testing.T) {
	w := newWorld(t)
	o := w.open("big", nil)
	c := w.dial(o, o.Token)
	c.until0()
	seen := map[int64]int{}
	for again := 0; again < 3; w.clock.Advance(maxTimeout) {
		_, b, err := c.conn.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if m := parsed(t, b); m.Type == TypeOutput {
			if seen[m.Sequence]++; seen[m.Sequence] > 1 {
				again++
			}
		}
	}
	if len(seen) > window {
		t.Errorf("%d messages are under way", len(seen))
	}
}

// TestToken: a token is good once, for its session, for a minute.
func TestToken(t *testing.T) {
	w := newWorld(t)
	a, b := w.open("hang", nil), w.open("echo", nil)
	refused := func(what string, o Opened, token string) {
		t.Helper()
		c := w.dial(o, token)
		if _, _, err := c.conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
			t.Errorf("%s: %v", what, err)
		}
	}
	gone := func(what string, o Opened) {
		t.Helper()
		_, resp, err := websocket.Dial(t.Context(), o.StreamURL, nil)
		if err == nil || resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("no token", a, "")
	refused("another's token", a, b.Token)
	w.dial(a, a.Token).until0()
	gone("a used token", a)
	gone("nobody's session", Opened{StreamURL: strings.Replace(a.StreamURL, "hang", "other", 1)})
	// The token grew too old after the client had connected.
	conn, _, err := websocket.Dial(t.Context(), b.StreamURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	w.clock.Advance(tokenLife)
	_ = conn.Write(t.Context(), websocket.MessageText, encode(map[string]string{"TokenValue": b.Token}))
	if _, _, err := conn.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
		t.Errorf("an old token: %v", err)
	}
	gone("an old session", b)
	// A web page of another site is not let in, whatever it knows.
	d := w.open("size", nil)
	if _, _, err := websocket.Dial(t.Context(), d.StreamURL, &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"https://example.com"}}}); err == nil {
		t.Error("a page of another site is let in")
	}
}
