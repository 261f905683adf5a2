package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// holdRole is the first argument of the process that keeps connections at rest:
// ADDRESS COUNT. It says "ready" when each has had an answer, and ends with its
// standard input.
const holdRole = "alb-hold"

func hold(args []string) error {
	if len(args) != 2 {
		return errors.New("alb-hold ADDRESS COUNT")
	}
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	conns := make([]net.Conn, n)
	r := bufio.NewReaderSize(nil, 16<<10)
	for i := range conns {
		if conns[i], err = net.Dial("tcp", args[0]); err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
		if err := conns[i].SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(conns[i], "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", args[0]); err != nil {
			return err
		}
		r.Reset(conns[i])
		keep, err := readAnswer(r)
		if err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
		if !keep {
			return fmt.Errorf("connection %d was not kept", i)
		}
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// idle returns by how many KiB a proxy's memory grew for each of n connections
// that stay open.
func (w *albWorld) idle(ctx context.Context, p *candidate, n int) (kib float64, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	// What the first requests of all make is not theirs.
	if _, err := w.paced(ctx, p, 200, 16, 2*time.Second); err != nil {
		return 0, err
	}
	before, err := p.memory()
	if err != nil {
		return 0, err
	}
	cmd := inNamespace(ctx, w.clientNS, self, holdRole, w.address(p, one), fmt.Sprint(n))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return 0, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() {
		in.Close()
		if e := cmd.Wait(); err == nil {
			err = e
		}
	}()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		return 0, fmt.Errorf("holding %d connections: %q %w", n, line, err)
	}
	select {
	case <-time.After(3 * time.Second): // buffers that are given back at rest are
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	after, err := p.memory()
	return (after - before) * 1024 / float64(n), err
}

// memory is the proportional set size of a proxy's processes, in MiB.
func (p *candidate) memory() (mib float64, err error) {
	pids, err := p.processes()
	if err != nil {
		return 0, err
	}
	for _, pid := range pids {
		m, err := pss(pid)
		if err != nil {
			return 0, err
		}
		mib += m
	}
	return mib, nil
}

// processorTime is what the threads of a proxy have taken so far. A thread that
// ended is not in it; those that serve stay.
func (p *candidate) processorTime() (sum time.Duration, err error) {
	pids, err := p.processes()
	if err != nil {
		return 0, err
	}
	for _, pid := range pids {
		files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		if err != nil {
			return 0, err
		}
		for _, name := range files {
			b, err := os.ReadFile(name)
			if err != nil {
				continue // gone since
			}
			var ns int64
			if _, err := fmt.Sscan(string(b), &ns); err != nil {
				return 0, err
			}
			sum += time.Duration(ns)
		}
	}
	return sum, nil
}
