package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/moby/buildkit/client"
	"golang.org/x/sys/unix"
)

// startTimeout is for a machine that is busy: a builder starts within a second.
const startTimeout = time.Minute

// connect returns a client of the builder, which is started if none runs.
func connect(ctx context.Context, c Config) (*client.Client, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if os.Geteuid() != 0 {
		return nil, errors.New("building needs root: run this with sudo")
	}
	if err := os.MkdirAll(c.Root, 0o700); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.RunDir, 0o711); err != nil {
		return nil, err
	}
	if err := c.writeRegistries(); err != nil {
		return nil, err
	}
	// One at a time: two would start two.
	unlock, err := lock(ctx, filepath.Join(c.Root, "start.lock"))
	if err != nil {
		return nil, err
	}
	defer unlock()
	if !answers(c) {
		if err := start(ctx, c); err != nil {
			return nil, err
		}
	}
	return client.New(ctx, "unix://"+c.socket())
}

func answers(c Config) bool {
	conn, err := net.Dial("unix", c.socket())
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// start runs our own binary as builder, in a session of its own, so that the
// next build finds it after this process ended.
func start(ctx context.Context, c Config) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	logName := filepath.Join(c.Root, "builder.log")
	log, err := os.OpenFile(logName, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(self, "builder", c.Root) // the arguments are for who lists processes
	cmd.Env = append(os.Environ(), roleEnv+"="+string(text))
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the builder: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	for {
		select {
		case err := <-ended:
			return fmt.Errorf("the builder ended at once (%v): %s", err, lastLine(logName))
		case <-timeout.C:
			err := cmd.Process.Kill()
			return errors.Join(fmt.Errorf("the builder did not answer within %s: %s", startTimeout, lastLine(logName)), err)
		case <-ctx.Done():
			return ctx.Err() // the builder ends by itself
		case <-time.After(5 * time.Millisecond):
			if answers(c) {
				return nil
			}
		}
	}
}

func lastLine(name string) string {
	b, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[len(lines)-1]
}

// Running returns the builder's process id, and whether one answers.
func Running(c Config) (pid int, ok bool) {
	conn, err := net.Dial("unix", c.socket())
	if err != nil {
		return 0, false
	}
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0, false
	}
	var peer *unix.Ucred
	if ctlErr := raw.Control(func(fd uintptr) { peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); ctlErr != nil || err != nil {
		return 0, false
	}
	return int(peer.Pid), true
}

// Stop ends the builder, if one runs, and returns when it has let go of its
// folder. What it was building fails.
func Stop(ctx context.Context, c Config) error {
	pid, ok := Running(c)
	if !ok {
		return nil
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop the builder: %w", err)
	}
	unlock, err := lock(ctx, filepath.Join(c.Root, "lock"))
	if err != nil {
		return fmt.Errorf("stop the builder: %w", err)
	}
	unlock()
	return nil
}
