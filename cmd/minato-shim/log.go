package main

import (
	"context"
	"errors"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"

	"github.com/containerd/containerd/v2/core/runtime/v2/logging"

	"minato/dataplane/container/spool"
)

// runLog copies a container's output to the spool in dir until both streams
// end. The shim sends SIGTERM when the container was deleted, with the last
// output perhaps still in the pipes: the end of the streams is what ends us.
func runLog(dir string) {
	debug.SetGCPercent(20)
	signal.Ignore(syscall.SIGINT, syscall.SIGHUP)
	logging.Run(func(_ context.Context, cfg *logging.Config, ready func() error) error {
		s, err := spool.Create(dir)
		if err != nil {
			return err
		}
		if err := ready(); err != nil {
			return err
		}
		var wg sync.WaitGroup
		var outErr, errErr error
		wg.Go(func() { outErr = s.Copy(spool.Stdout, cfg.Stdout) })
		wg.Go(func() { errErr = s.Copy(spool.Stderr, cfg.Stderr) })
		wg.Wait()
		return errors.Join(outErr, errErr, s.Close())
	})
}
