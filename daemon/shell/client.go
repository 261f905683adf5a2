package shell

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"minato/internal/frame"
)

// Run runs a command in a workspace, an interactive shell if there is none, over
// a connection to the control socket, and returns its exit code. If stdin and
// stdout are terminals the command gets one too, and ours is made raw until it
// has ended.
func Run(ctx context.Context, conn net.Conn, name string, command []string, stdin, stdout, stderr *os.File) (int, error) {
	req := request{Name: name, Command: command}
	if term.IsTerminal(int(stdin.Fd())) && term.IsTerminal(int(stdout.Fd())) {
		req.TTY, req.Term = true, os.Getenv("TERM")
		req.Size = sizeOf(stdout)
	}
	c, err := open(ctx, conn, req)
	if err != nil {
		return 0, err
	}
	if req.TTY {
		old, err := term.MakeRaw(int(stdin.Fd()))
		if err != nil {
			return 0, err
		}
		defer func() { _ = term.Restore(int(stdin.Fd()), old) }()
		changed := make(chan os.Signal, 1)
		signal.Notify(changed, syscall.SIGWINCH)
		defer signal.Stop(changed)
		done := make(chan struct{})
		defer close(done)
		go func() {
			for {
				select {
				case <-changed:
					_ = c.out.SendJSON(kindResize, sizeOf(stdout))
				case <-done:
					return
				}
			}
		}()
	}
	return c.talk(stdin, stdout, stderr)
}

func sizeOf(f *os.File) size {
	w, h, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return size{}
	}
	return size{uint16(w), uint16(h)}
}

// client is the one end of an upgraded connection.
type client struct {
	ctx context.Context
	r   *bufio.Reader
	out *frame.Writer
}

// open upgrades a connection and asks for a command. The connection is closed
// when ctx ends.
func open(ctx context.Context, conn net.Conn, req request) (*client, error) {
	context.AfterFunc(ctx, func() { conn.Close() })
	if _, err := io.WriteString(conn, "POST "+Path+" HTTP/1.1\r\nHost: minato\r\nConnection: Upgrade\r\nUpgrade: "+protocol+"\r\nContent-Length: 0\r\n\r\n"); err != nil {
		return nil, err
	}
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 4096))
		return nil, fmt.Errorf("the daemon answered %s: %s", resp.Status, b)
	}
	c := &client{ctx: ctx, r: r, out: frame.NewWriter(conn)}
	return c, c.out.SendJSON(kindStart, req)
}

// talk carries input and output until the command has ended.
func (c *client) talk(stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	go func() {
		_, err := io.Copy(c.out.Stream(kindStdin), stdin)
		if err == nil {
			_ = c.out.Send(kindClosed, nil) // a broken connection shows in Read
		}
	}()
	for {
		k, b, err := frame.Read(c.r)
		switch {
		case c.ctx.Err() != nil:
			return 0, c.ctx.Err()
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return 0, errors.New("the daemon closed the connection")
		case err != nil:
			return 0, err
		}
		switch k {
		case kindStdout:
			_, err = stdout.Write(b)
		case kindStderr:
			_, err = stderr.Write(b)
		case kindExit:
			if len(b) != 4 {
				return 0, errors.New("the daemon sent a broken exit code")
			}
			return int(int32(binary.BigEndian.Uint32(b))), nil
		case kindFailed:
			return 0, errors.New(string(b))
		}
		if err != nil {
			return 0, err
		}
	}
}
