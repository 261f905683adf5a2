// Command server is what the tasks of the end-to-end tests run: one static
// binary that answers, or ends, as its arguments say.
//
//	server serve TEXT   answers TEXT on port 80 until SIGTERM, then finishes what it has
//	server exit CODE    ends at once
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: server serve TEXT | server exit CODE")
		os.Exit(2)
	}
	switch os.Args[1] {
	case "serve":
		if err := serve(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "exit":
		code, err := strconv.Atoi(os.Args[2])
		if err != nil {
			code = 2
		}
		fmt.Println("exiting with", code)
		os.Exit(code)
	}
}

// serve answers text until it is told to end; what is under way is finished, so
// that a rolling update loses no request.
func serve(text string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	s := &http.Server{Addr: ":80", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, text) // the caller may be gone
	})}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		stopped <- s.Shutdown(context.Background())
	}()
	fmt.Println("listening")
	if err := s.ListenAndServe(); err != http.ErrServerClosed {
		return err
	}
	return <-stopped
}
