package session

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"minato/internal/clock"
)

// Path is where clients connect, followed by a session's id.
const Path = "/v1/data-channel/"

// How long things may take, as on AWS; none of it is divided by --pace.
const (
	tokenLife   = time.Minute      // until the client connects
	IdleTimeout = 20 * time.Minute // without input and output
	helloTime   = 30 * time.Second // until the client has sent its token
)

// Size is a terminal's.
type Size struct {
	Columns uint16 `json:"cols"`
	Rows    uint16 `json:"rows"`
}

// Process is a running command.
type Process interface {
	// Resize sets the size of its terminal.
	Resize(ctx context.Context, size Size) error
	// Wait returns when it has ended and its output was written. When ctx ends
	// first, it is killed.
	Wait(ctx context.Context) error
}

// Spec is what a session is to do.
type Spec struct {
	// ID names the session, as in "ecs-execute-command-0f1e…".
	ID string
	// Start starts the command in a terminal of the given size. The error's text
	// is shown to the client.
	Start func(ctx context.Context, size Size, stdin io.Reader, stdout io.Writer) (Process, error)
	// Transcript, if set, gets what the terminal showed, and is closed at the end.
	Transcript io.WriteCloser
}

// Opened is what a client needs to take part in a session.
type Opened struct {
	ID        string
	StreamURL string
	Token     string
}

// Options is what a Server needs.
type Options struct {
	// Endpoint is the address at which the caller in ctx reaches Server, such as
	// "http://127.0.0.1:4566".
	Endpoint func(ctx context.Context) string
	Clock    clock.Clock
	Log      *slog.Logger
}

// Server has the sessions. They are this process' own: none outlives it.
type Server struct {
	opt    Options
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	runs    sync.WaitGroup      // added to under mu, and not after cancel
	waiting map[string]*waiting // guarded: those whose client has not come, by id
}

// waiting is a session that waits for its client.
type waiting struct {
	Spec
	token   string
	expires time.Time
}

// New returns a server without sessions.
func New(opt Options) *Server {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{opt: opt, waiting: map[string]*waiting{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Close ends all sessions, and tells their clients.
func (s *Server) Close() error {
	s.mu.Lock()
	s.cancel()
	s.mu.Unlock()
	s.runs.Wait()
	return nil
}

// Open makes a session that waits for its client.
func (s *Server) Open(ctx context.Context, spec Spec) Opened {
	secret := make([]byte, 48)
	rand.Read(secret) // never fails: crypto/rand aborts the program instead
	w := &waiting{Spec: spec, token: base64.StdEncoding.EncodeToString(secret), expires: s.opt.Clock.Now().Add(tokenLife)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetExpired()
	s.waiting[spec.ID] = w
	url := "ws" + strings.TrimPrefix(s.opt.Endpoint(ctx), "http") + Path + spec.ID + "?role=publish_subscribe"
	return Opened{ID: spec.ID, StreamURL: url, Token: w.token}
}

// forgetExpired drops sessions whose client never came. s.mu is held.
func (s *Server) forgetExpired() {
	now := s.opt.Clock.Now()
	for id, w := range s.waiting {
		if !now.Before(w.expires) {
			delete(s.waiting, id)
		}
	}
}

// enter lets the client of a session that waits in; false when there is none.
func (s *Server) enter(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetExpired()
	if s.waiting[id] == nil || s.ctx.Err() != nil {
		return false
	}
	s.runs.Add(1)
	return true
}

// claim takes the session that a token belongs to: once.
func (s *Server) claim(id, token string) (Spec, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetExpired()
	w := s.waiting[id]
	if w == nil || subtle.ConstantTimeCompare([]byte(token), []byte(w.token)) != 1 {
		return Spec{}, false
	}
	delete(s.waiting, id)
	return w.Spec, true
}

// ServeHTTP answers a client below Path: it runs its session to the end.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := strings.TrimPrefix(r.URL.Path, Path)
	if !s.enter(id) {
		http.Error(w, "no session of this name waits for its client", http.StatusForbidden)
		return
	}
	defer s.runs.Done()
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // answered
	}
	defer conn.CloseNow()
	conn.SetReadLimit(MaxMessage)
	spec, err := s.hello(s.ctx, conn, id)
	if err != nil {
		s.opt.Log.Info("a client of a session is refused", "session", id, "error", err)
		_ = conn.Close(websocket.StatusPolicyViolation, "the token is not valid")
		return
	}
	newRun(s, spec, conn).do(s.ctx)
}

// errToken refuses a client.
var errToken = errors.New("its token is not the session's, or was used, or is too old")

// hello reads the client's first message, which has the token.
func (s *Server) hello(ctx context.Context, conn *websocket.Conn, id string) (Spec, error) {
	ctx, cancel := context.WithTimeout(ctx, helloTime)
	defer cancel()
	_, b, err := conn.Read(ctx)
	if err != nil {
		return Spec{}, err
	}
	var open struct {
		MessageSchemaVersion, RequestId, TokenValue, ClientId, ClientVersion string
	}
	if err := json.Unmarshal(b, &open); err != nil {
		return Spec{}, err
	}
	spec, ok := s.claim(id, open.TokenValue)
	if !ok {
		return Spec{}, errToken
	}
	return spec, nil
}
