package main

import (
	"os/signal"
	"syscall"
	"time"
)

// runHold is the first process of a namespace that containers share: it reaps
// what they leave behind, and ends when it is killed.
func runHold() {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	for {
		var ws syscall.WaitStatus
		if _, err := syscall.Wait4(-1, &ws, 0, nil); err != nil && err != syscall.EINTR {
			time.Sleep(time.Second) // there are no children for now
		}
	}
}
