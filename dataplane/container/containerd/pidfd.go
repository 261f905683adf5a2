package containerd

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

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
