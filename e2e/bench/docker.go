package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/vishvananda/netns"
)

// docker is a dockerd of our own in network and mount namespaces of its own, so
// that its bridge and its firewall rules touch nothing of the host's.
type docker struct {
	cmd   *exec.Cmd
	ended chan struct{}
	api   *http.Client
	made  []string
}

func (b *bench) docker(ctx context.Context) (*docker, error) {
	path, err := exec.LookPath("dockerd")
	if err != nil {
		return nil, errors.New("dockerd is not installed")
	}
	dir := filepath.Join(b.dir, "d")
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, err
	}
	socket := filepath.Join(dir, "docker.sock")
	var log bytes.Buffer
	d := &docker{ended: make(chan struct{}), api: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}}
	// exec: the process we know is dockerd itself.
	d.cmd = exec.Command("sh", "-c", `ip link set lo up && exec "$@"`, "sh", path, "--host", "unix://"+socket, "--data-root", filepath.Join(dir, "data"),
		"--exec-root", filepath.Join(dir, "exec"), "--pidfile", filepath.Join(dir, "pid"), "--config-file", filepath.Join(dir, "none.json"), "--cgroup-parent", "/minato-bench-docker")
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
	if err := os.WriteFile(filepath.Join(dir, "none.json"), []byte("{}"), 0o600); err != nil {
		return nil, err
	}
	d.cmd.Stdout, d.cmd.Stderr = &log, &log
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		d.cmd.Wait() // how it ended is in its log
		close(d.ended)
	}()
	err = until(ctx, 30*time.Second, "dockerd answers", func() (bool, error) {
		select {
		case <-d.ended:
			return true, nil
		default:
			return d.call(ctx, http.MethodGet, "/_ping", "", nil, nil) == nil, nil
		}
	})
	if err == nil && gone(d.cmd.Process.Pid) {
		b, last := log.Bytes(), 0
		if last = bytes.LastIndexByte(bytes.TrimSpace(b), '\n'); last < 0 {
			last = 0
		}
		return nil, fmt.Errorf("dockerd does not run here: %s", bytes.TrimSpace(b[last:]))
	}
	if err == nil {
		err = d.load(ctx, b.answer)
	}
	if err != nil {
		d.stop()
		return nil, err
	}
	return d, nil
}

// load gives dockerd the image that minato's tasks run.
func (d *docker) load(ctx context.Context, program string) error {
	img, err := makeImage(program)
	if err != nil {
		return err
	}
	tag, err := name.NewTag("answer:latest")
	if err != nil {
		return err
	}
	var archive bytes.Buffer
	if err := tarball.Write(tag, img, &archive); err != nil {
		return err
	}
	return d.call(ctx, http.MethodPost, "/images/load", "application/x-tar", &archive, nil)
}

// run does what docker run does, through the API: the start of docker's command
// line is not counted, as that of the aws CLI is not.
func (d *docker) run(ctx context.Context) (time.Duration, error) {
	begin := time.Now()
	var made struct{ ID string }
	if err := d.call(ctx, http.MethodPost, "/containers/create", "application/json", bytes.NewReader([]byte(`{"Image":"answer"}`)), &made); err != nil {
		return 0, err
	}
	d.made = append(d.made, made.ID)
	if err := d.call(ctx, http.MethodPost, "/containers/"+made.ID+"/start", "", nil, nil); err != nil {
		return 0, err
	}
	var seen struct {
		NetworkSettings struct {
			Networks map[string]struct{ IPAddress string }
		}
	}
	if err := d.call(ctx, http.MethodGet, "/containers/"+made.ID+"/json", "", nil, &seen); err != nil {
		return 0, err
	}
	address := seen.NetworkSettings.Networks["bridge"].IPAddress
	err := until(ctx, 10*time.Second, "the container answers", func() (bool, error) {
		err := d.visit(net.JoinHostPort(address, "80"))
		return err == nil, err
	})
	return time.Since(begin), err
}

// visit asks the container for its page, from dockerd's namespace.
func (d *docker) visit(address string) error {
	c, err := d.dial(address)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: bench\r\n\r\n"); err != nil {
		return err
	}
	_, err = readAnswer(newReader(c))
	return err
}

func (d *docker) dial(address string) (net.Conn, error) {
	runtime.LockOSThread()
	host, err := netns.Get()
	if err != nil {
		return nil, err
	}
	defer host.Close()
	there, err := netns.GetFromPid(d.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	defer there.Close()
	if err := netns.Set(there); err != nil {
		return nil, err
	}
	c, dialErr := net.DialTimeout("tcp", address, time.Second)
	if err := netns.Set(host); err != nil {
		return nil, err // the thread stays locked, and ends with the goroutine
	}
	runtime.UnlockOSThread()
	return c, dialErr
}

func (d *docker) call(ctx context.Context, method, path, contentType string, body io.Reader, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://docker"+path, body)
	if err != nil {
		return err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := d.api.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("docker: %s %s: %s %s", method, path, resp.Status, b)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(b, out)
}

// stop removes the containers, then dockerd.
func (d *docker) stop() {
	for _, id := range d.made {
		// Without its containers dockerd ends at once; what stays goes with it.
		_ = d.call(context.Background(), http.MethodDelete, "/containers/"+id+"?force=1", "", nil, nil)
	}
	terminate(d.cmd, d.ended)
}
