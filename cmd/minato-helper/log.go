package main

import (
	"errors"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"

	"minato/dataplane/container/spool"
)

// runLog copies a container's output to the spool in dir until both streams
// end. The shim sends SIGTERM when the container was deleted, with the last
// output perhaps still in the pipes: the end of the streams is what ends us.
//
// It is a logging binary of containerd: descriptors 3 and 4 are the container's
// output, and a byte into 5 says that it is ready.
func runLog(dir string) error {
	debug.SetGCPercent(20)
	signal.Ignore(syscall.SIGINT, syscall.SIGHUP, syscall.SIGTERM)
	stdout, stderr, ready := os.NewFile(3, "stdout"), os.NewFile(4, "stderr"), os.NewFile(5, "ready")
	if stdout == nil || stderr == nil || ready == nil {
		return errors.New("this is for a containerd shim to start")
	}
	s, err := spool.Create(dir)
	if err != nil {
		return err
	}
	if _, err := ready.Write([]byte{0}); err != nil {
		return err
	}
	if err := ready.Close(); err != nil {
		return err
	}
	var wg sync.WaitGroup
	var outErr, errErr error
	wg.Go(func() { outErr = s.Copy(spool.Stdout, stdout) })
	wg.Go(func() { errErr = s.Copy(spool.Stderr, stderr) })
	wg.Wait()
	return errors.Join(outErr, errErr, s.Close())
}
