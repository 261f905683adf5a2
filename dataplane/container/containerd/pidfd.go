package containerd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"minato/dataplane/container"
)

// signal sends a signal to a container's first process, straight away: one that
// went by a containerd which is down would be lost, and sending it twice is not
// what was asked for.
func (r *Runtime) signal(c *ctr, sig syscall.Signal) error {
	s := r.statusOf(c)
	ended := fmt.Errorf("container %s: %w", c.rec.ID, container.ErrNotRunning)
	if s.State != container.Running {
		return ended
	}
	fd, err := unix.PidfdOpen(s.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return ended
	}
	if err != nil {
		return os.NewSyscallError("pidfd_open", err)
	}
	defer unix.Close(fd)
	// The number may be another process's by now; those of the container are in
	// its control group.
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", s.PID))
	if err != nil || !bytes.Contains(b, []byte(r.cgroupOf(c))) {
		return ended
	}
	if err := unix.PidfdSendSignal(fd, sig, nil, 0); errors.Is(err, unix.ESRCH) {
		return ended
	} else if err != nil {
		return os.NewSyscallError("pidfd_send_signal", err)
	}
	return nil
}

// waitProcess returns when a process has ended, ours or not, or with ctx's
// error. One that is not there has ended.
func waitProcess(ctx context.Context, pid int) error {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return os.NewSyscallError("pidfd_open", err)
	}
	f := os.NewFile(uintptr(fd), "pidfd")
	stop := context.AfterFunc(ctx, func() { f.Close() })
	defer func() { stop(); f.Close() }()
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	// A pidfd is readable once the process has ended; until then the Go runtime
	// parks the goroutine.
	err = raw.Read(func(fd uintptr) bool {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(p, 0)
		return err == nil && n == 1
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
