package shell

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"

	"minato/dataplane/container"
	"minato/internal/frame"
)

// Target is where in a workspace a command runs.
type Target struct {
	Container string
	Env       []string
	Dir       string
	Shell     []string // of an interactive terminal
	// Leave is called when the command has ended.
	Leave func()
}

// Server opens terminals.
type Server struct {
	// Base ends when the daemon does; terminals end with it.
	Base context.Context
	// Find says where the workspace of a name is, once it can be entered.
	Find    func(ctx context.Context, name string) (Target, error)
	Runtime interface {
		Exec(ctx context.Context, id string, p container.Process, stdio container.Stdio) (container.Execution, error)
	}
	Log *slog.Logger
}

// ServeHTTP upgrades the connection and runs one command.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != protocol {
		http.Error(w, "this is for minato shell", http.StatusUpgradeRequired)
		return
	}
	conn, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+protocol+"\r\n\r\n"); err != nil {
		return
	}
	ctx, cancel := context.WithCancel(s.Base)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	out := frame.NewWriter(conn)
	code, err := s.run(ctx, cancel, rw.Reader, out)
	if errors.Is(err, container.ErrStart) {
		// As a shell answers a command that is not there.
		_, _ = io.WriteString(out.Stream(kindStderr), err.Error()+"\n")
		code, err = 127, nil
	}
	if err != nil {
		if ctx.Err() == nil {
			s.Log.Info("minato shell", "error", err)
		}
		_ = out.Send(kindFailed, []byte(err.Error())) // the client may be gone
		return
	}
	_ = out.Send(kindExit, binary.BigEndian.AppendUint32(nil, uint32(code)))
}

func (s *Server) run(ctx context.Context, cancel context.CancelFunc, r *bufio.Reader, out *frame.Writer) (int, error) {
	k, b, err := frame.Read(r)
	var req request
	if err == nil && k != kindStart {
		err = errors.New("the first frame is not the request")
	}
	if err == nil {
		err = json.Unmarshal(b, &req)
	}
	if err != nil {
		return 0, err
	}
	// From here on the client's frames are read, so that one that goes away
	// while the workspace starts is seen.
	stdin, feed := io.Pipe()
	defer stdin.Close()
	resize := make(chan size, 1)
	go func() {
		defer cancel()
		read(r, feed, resize)
	}()
	t, err := s.Find(ctx, req.Name)
	if err != nil {
		return 0, err
	}
	if t.Leave != nil {
		defer t.Leave()
	}
	p := container.Process{Args: req.Command, Env: t.Env, WorkDir: t.Dir, TTY: req.TTY, Width: req.Size.Width, Height: req.Size.Height}
	if len(p.Args) == 0 {
		p.Args = t.Shell
	}
	if req.TTY && req.Term != "" {
		p.Env = append(p.Env[:len(p.Env):len(p.Env)], "TERM="+req.Term)
	}
	x, err := s.Runtime.Exec(ctx, t.Container, p, container.Stdio{Stdin: stdin, Stdout: out.Stream(kindStdout), Stderr: out.Stream(kindStderr)})
	if err != nil {
		return 0, err
	}
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case z := <-resize:
				_ = x.Resize(ctx, z.Width, z.Height) // it may just have ended
			case <-done:
				return
			}
		}
	}()
	return x.Wait(ctx)
}

// ahead is how many frames of input are taken that the process has not read
// yet, so that a client that goes away is seen although nobody reads.
const ahead = 64

// read takes the client's frames until it is gone.
func read(r io.Reader, feed *io.PipeWriter, resize chan size) {
	input := make(chan []byte, ahead)
	go func() {
		for b := range input {
			// A process that no longer reads its input is not an error; what it
			// does not read is thrown away.
			_, _ = feed.Write(b)
		}
		feed.Close()
	}()
	closed := false
	end := func() {
		if !closed {
			closed = true
			close(input)
		}
	}
	defer end()
	for {
		k, b, err := frame.Read(r)
		if err != nil {
			return
		}
		switch {
		case k == kindStdin && !closed:
			input <- b
		case k == kindClosed:
			end()
		case k == kindResize:
			var z size
			if json.Unmarshal(b, &z) != nil {
				return
			}
			select { // only the newest counts
			case <-resize:
			default:
			}
			resize <- z
		default:
			return
		}
	}
}
