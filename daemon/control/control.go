// Package control is how the commands of this machine's root talk to their
// daemon: HTTP over a unix socket of mode 0600 in the instance's run folder.
// What has a place in AWS's API is not here.
package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"minato/daemon/instance"
	"minato/explain"
)

// Process is one process that belongs to an instance.
type Process struct {
	Role string `json:"role"` // daemon, containerd, builder, shim
	PID  int    `json:"pid"`
}

// Item is one line of the status: something that runs, and where.
type Item struct {
	Kind   string `json:"kind"` // service, task, load balancer, database, workspace
	Name   string `json:"name"`
	State  string `json:"state"`
	Where  string `json:"where,omitempty"`  // URL or address
	Actual string `json:"actual,omitempty"` // what stands in for it, such as "MariaDB 10.11.14 standing in for MySQL 8.0.43"
}

// Status is what `minato status` shows.
type Status struct {
	instance.State
	Instance  string    `json:"instance"`
	DataDir   string    `json:"dataDir"`
	Since     time.Time `json:"since"`
	Processes []Process `json:"processes"`
	Items     []Item    `json:"items"`
}

// Balancer is where a load balancer is reached from this machine.
type Balancer struct {
	Name    string   `json:"name"`
	Address string   `json:"address"` // a public one
	Ports   []uint16 `json:"ports"`   // of its listeners
}

// Listen makes the control socket; a leftover of a dead daemon is replaced.
func Listen(in instance.Instance) (net.Listener, error) {
	if err := os.MkdirAll(in.RunDir(), 0o711); err != nil {
		return nil, err
	}
	name := in.ControlSocket()
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", name)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(name, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Client talks to the daemon of one instance.
type Client struct {
	in   instance.Instance
	http *http.Client
}

// NewClient returns a client; nothing is dialled yet.
func NewClient(in instance.Instance) *Client {
	return &Client{in: in, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", in.ControlSocket())
		},
	}}}
}

// Dial opens a connection to the control socket, for what upgrades.
func (c *Client) Dial(ctx context.Context) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", c.in.ControlSocket())
	return conn, notRunning(c.in, err)
}

// Status asks for the daemon's status; instance.ErrNotRunning if nobody answers.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	return s, c.call(ctx, http.MethodGet, "/status", nil, &s)
}

// Why asks what keeps the named thing from what it should be.
func (c *Client) Why(ctx context.Context, name string) ([]explain.Explanation, error) {
	var e []explain.Explanation
	return e, c.call(ctx, http.MethodGet, "/why?"+url.Values{"name": {name}}.Encode(), nil, &e)
}

// Logs copies the last lines of a service's or task's log to w and, if it is to
// follow, those that come.
func (c *Client) Logs(ctx context.Context, name string, lines int, follow bool, w io.Writer) error {
	query := url.Values{"name": {name}, "lines": {strconv.Itoa(lines)}, "follow": {strconv.FormatBool(follow)}}
	resp, err := c.send(ctx, http.MethodGet, "/logs?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(w, resp.Body)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// Balancer asks where a load balancer is reached.
func (c *Client) Balancer(ctx context.Context, name string) (Balancer, error) {
	var b Balancer
	return b, c.call(ctx, http.MethodGet, "/balancer?"+url.Values{"name": {name}}.Encode(), nil, &b)
}

// Stop asks the daemon to end; what it started goes on running.
func (c *Client) Stop(ctx context.Context) error {
	err := c.call(ctx, http.MethodPost, "/stop", nil, nil)
	if errors.Is(err, io.EOF) {
		return nil // it ended before it could answer
	}
	return err
}

// Kill ends the daemon that listens on the control socket, which may hang, by
// SIGKILL: what it runs goes on, as after any crash.
func (c *Client) Kill(ctx context.Context) error {
	conn, err := c.Dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return err
	}
	var (
		peer *unix.Ucred // whoever listens, alive or not: the kernel answers a connect
		perr error
	)
	if err := raw.Control(func(fd uintptr) { peer, perr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return err
	}
	if perr != nil {
		return perr
	}
	if peer.Pid <= 0 { // it is in another PID namespace, and this number is a group of ours
		return errors.New("the daemon's process cannot be seen from here")
	}
	return unix.Kill(int(peer.Pid), unix.SIGKILL)
}

// send makes a request; an answer other than 200 is its error.
func (c *Client) send(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://minato"+path, body)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, notRunning(c.in, err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
		return nil, errors.New(strings.TrimSpace(string(b)))
	}
	return resp, nil
}

func (c *Client) call(ctx context.Context, method, path string, body io.Reader, out any) error {
	resp, err := c.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

// notRunning turns a refused or missing socket into ErrNotRunning.
func notRunning(in instance.Instance, err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		if errors.Is(err, os.ErrPermission) {
			return fmt.Errorf("the daemon's socket is root's: run this with sudo")
		}
		return fmt.Errorf("%w on %s (minato up -d starts it)", instance.ErrNotRunning, in.DataDir)
	}
	return err
}

// Reply answers a control request with JSON, or with the error as text.
func Reply(w http.ResponseWriter, v any, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v) // the client is gone if it fails
}
