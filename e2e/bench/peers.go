package main

import (
	"bufio"
	"io"
	"os/exec"
	"syscall"
	"time"
)

// terminate asks a program we started to end, and makes it after a while.
func terminate(cmd *exec.Cmd, ended <-chan struct{}) {
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return // it is gone already
	}
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		cmd.Process.Kill() // a process that is gone by now is fine too
		<-ended
	}
}

func newReader(r io.Reader) *bufio.Reader { return bufio.NewReaderSize(r, 64<<10) }
