// Command program is package program as a binary, for the images of tests.
package main

import (
	"os"
	"os/signal"
	"syscall"

	"minato/dataplane/container/containertest/program"
)

func main() {
	caught := make(chan os.Signal, 16)
	signal.Notify(caught, syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1)
	signals := make(chan syscall.Signal)
	go func() {
		for s := range caught {
			if s, ok := s.(syscall.Signal); ok {
				signals <- s
			}
		}
	}()
	os.Exit(program.Run(program.Proc{
		Args: os.Args[1:], Env: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Signals: signals,
	}))
}
