package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// runInit runs a command as the only child that counts, hands signals on to it
// and reaps what it leaves behind: what ECS's initProcessEnabled promises.
func runInit(args []string) {
	signals := make(chan os.Signal, 64)
	signal.Notify(signals)
	path, err := exec.LookPath(args[0])
	if err != nil && !errors.Is(err, exec.ErrDot) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(127)
	}
	child, err := os.StartProcess(path, args, &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(126)
	}
	for sig := range signals {
		switch sig {
		case syscall.SIGCHLD:
			if status, over := reap(child.Pid); over {
				os.Exit(status)
			}
		case syscall.SIGURG: // the Go runtime's own
		default:
			_ = child.Signal(sig)
		}
	}
}

// reap collects every child that has ended; it tells the exit status of the one
// that counts when that was among them.
func reap(pid int) (status int, over bool) {
	for {
		var ws syscall.WaitStatus
		p, err := syscall.Wait4(-1, &ws, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || p <= 0 {
			return status, over
		}
		if p == pid {
			status, over = ws.ExitStatus(), true
			if ws.Signaled() {
				status = 128 + int(ws.Signal())
			}
		}
	}
}
