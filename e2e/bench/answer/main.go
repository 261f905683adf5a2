// Command answer is the smallest useful server: each request gets a body of
// 1 KiB in one write. It is the program of the benchmark's image, and the
// upstream behind the proxies that are compared. On SIGTERM it finishes what it
// answers and ends.
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	listen := flag.String("listen", ":80", "address")
	flag.Parse()
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	s := &server{open: map[net.Conn]bool{}, answer: fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: 1024\r\nContent-Type: text/plain\r\n\r\n%01024d", 0)}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-term
		s.end()
		l.Close()
	}()
	for {
		c, err := l.Accept()
		if err != nil {
			break // closed by the signal
		}
		s.wait.Go(func() { s.serve(c) })
	}
	s.wait.Wait()
}

type server struct {
	answer []byte
	ending atomic.Bool
	wait   sync.WaitGroup

	mu   sync.Mutex
	open map[net.Conn]bool
}

// end wakes the connections that wait for a request; those that answer finish.
func (s *server) end() {
	s.ending.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open {
		c.SetReadDeadline(time.Now()) // a connection that is gone needs no waking
	}
}

func (s *server) serve(c net.Conn) {
	s.mu.Lock()
	s.open[c] = true
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.open, c)
		s.mu.Unlock()
		c.Close()
	}()
	r := bufio.NewReaderSize(c, 8<<10)
	for last := false; !last && !s.ending.Load(); {
		for {
			line, err := r.ReadSlice('\n')
			if err != nil {
				return
			}
			if len(line) == 2 { // the empty line: requests with bodies are not sent here
				break
			}
			if bytes.EqualFold(line, []byte("Connection: close\r\n")) { // health checks
				last = true
			}
		}
		if _, err := c.Write(s.answer); err != nil {
			return
		}
	}
}
