// Command server is what the tasks of the end-to-end tests run: one static
// binary that answers, or ends, as its arguments say.
//
//	server serve TEXT   answers TEXT on port 80 until SIGTERM, then finishes what it has;
//	                    /echo answers with what it is sent, /ws is a WebSocket that does
//	server exit CODE    ends at once
//	server digest NAMES prints the SHA-256 of variables, by their names between commas
//	server talk BYTES   writes lines of so many bytes until SIGTERM
//	server say TEXT     writes TEXT and ends
//	server fetch URL    prints the answer to a GET, with variables in the URL expanded
//	server burn PERCENT uses so much of a processor until SIGTERM
//
// and those of broken.
package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/websocket"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: server serve TEXT | exit CODE | digest NAMES | talk BYTES | say TEXT | fetch URL | burn PERCENT")
		os.Exit(2)
	}
	if run := broken[os.Args[1]]; run != nil {
		if err := run(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	switch os.Args[1] {
	case "serve":
		if err := serve(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "talk":
		size, err := strconv.Atoi(os.Args[2])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		talk(size)
	case "digest":
		for _, name := range strings.Split(os.Args[2], ",") {
			fmt.Printf("%s %x\n", name, sha256.Sum256([]byte(os.Getenv(name))))
		}
	case "fetch":
		if err := fetch(os.ExpandEnv(os.Args[2])); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "say":
		fmt.Println(os.Args[2])
	case "burn":
		percent, err := strconv.Atoi(os.Args[2])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		burn(time.Duration(percent) * time.Millisecond)
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
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, text) // the caller may be gone
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
			panic(err) // the first answer would end the reading
		}
		io.Copy(w, r.Body)
	})
	mux.Handle("/ws", websocket.Server{Handler: func(c *websocket.Conn) {
		defer context.AfterFunc(ctx, func() { c.SetReadDeadline(time.Now()) })()
		for message := ""; websocket.Message.Receive(c, &message) == nil; {
			if websocket.Message.Send(c, message) != nil {
				return
			}
		}
	}})
	s := &http.Server{Addr: ":80", Handler: mux}
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

// fetch prints what a URL answers, on one line.
func fetch(url string) error {
	r, err := http.Get(url)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	fmt.Println(url, r.Status, strings.Join(strings.Fields(string(body)), " "))
	return err
}

// talk writes numbered lines, fifty a second.
func talk(size int) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	for n := 0; ctx.Err() == nil; n++ {
		if _, err := fmt.Printf("%-*d\n", size, n); err != nil {
			os.Exit(3) // whoever reads the log must not go before us
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// burn works for a part of every 100 ms.
func burn(busy time.Duration) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	for ctx.Err() == nil {
		for start := time.Now(); time.Since(start) < busy; {
		}
		time.Sleep(100*time.Millisecond - busy)
	}
}
