// Package program is what the containers of the contract tests run: a few
// behaviours, chosen by the first argument. A real runtime runs it as a binary
// (program/cmd), the fake one as a function.
package program

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Proc is what a process is given.
type Proc struct {
	Args           []string // without the program's own name
	Env            []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Signals        <-chan syscall.Signal // those that can be handled
}

// Run behaves as the first argument says and returns the exit code:
//
//	exit N            ends with code N
//	echo WORDS…       writes the words, and ends
//	err WORDS…        writes them to stderr, and ends
//	env NAME          writes a variable
//	count N MS        writes N numbered lines, MS milliseconds apart
//	long N            writes one line of N bytes
//	cat               copies its input
//	file PATH         writes a file's content
//	touch PATH        makes a file; exit code 1 when it may not
//	first PATH        makes a file; exit code 1 when it is there already
//	fill PATH MB      makes a file of that size
//	ps                writes the arguments of every process there is
//	alloc MB          uses memory, and sleeps
//	uid               writes its user and group ids
//	host              writes the host name
//	sleep             writes "ready", waits for SIGTERM, writes "stopping" and ends with 0
//	stubborn          writes "ready", waits and does not heed SIGTERM
func Run(p Proc) int {
	if len(p.Args) == 0 {
		return 64
	}
	args := p.Args[1:]
	switch p.Args[0] {
	case "exit":
		return number(args, 0)
	case "echo":
		fmt.Fprintln(p.Stdout, strings.Join(args, " "))
	case "err":
		fmt.Fprintln(p.Stderr, strings.Join(args, " "))
	case "env":
		for _, e := range p.Env {
			if name, value, _ := strings.Cut(e, "="); name == args[0] {
				fmt.Fprintln(p.Stdout, value)
			}
		}
	case "count":
		return count(p, number(args, 0), time.Duration(number(args, 1))*time.Millisecond)
	case "long":
		w := bufio.NewWriter(p.Stdout)
		fmt.Fprintln(w, strings.Repeat("x", number(args, 0)))
		w.Flush()
	case "cat":
		if _, err := io.Copy(p.Stdout, p.Stdin); err != nil {
			return 1
		}
	case "sleep":
		fmt.Fprintln(p.Stdout, "ready")
		for sig := range p.Signals {
			if sig == syscall.SIGTERM || sig == syscall.SIGINT {
				fmt.Fprintln(p.Stdout, "stopping")
				return 0
			}
		}
	case "stubborn":
		fmt.Fprintln(p.Stdout, "ready")
		for range p.Signals {
		}
	default:
		return runHost(p, p.Args[0], args)
	}
	return 0
}

// runHost are the behaviours that show the container's surroundings.
func runHost(p Proc, what string, args []string) int {
	var out string
	switch what {
	case "file":
		b, err := os.ReadFile(args[0])
		if err != nil {
			fmt.Fprintln(p.Stderr, err)
			return 1
		}
		out = string(b)
	case "touch":
		if err := os.WriteFile(args[0], []byte("x"), 0o644); err != nil {
			fmt.Fprintln(p.Stderr, err)
			return 1
		}
	case "first":
		f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			fmt.Fprintln(p.Stderr, err)
			return 1
		}
		f.Close()
	case "fill":
		if err := os.WriteFile(args[0], make([]byte, number(args, 1)<<20), 0o644); err != nil {
			fmt.Fprintln(p.Stderr, err)
			return 1
		}
	case "ps":
		files, err := filepath.Glob("/proc/[0-9]*/cmdline")
		if err != nil {
			return 1
		}
		for _, name := range files {
			if b, err := os.ReadFile(name); err == nil {
				out += strings.TrimSpace(strings.ReplaceAll(string(b), "\x00", " ")) + "\n"
			}
		}
	case "alloc":
		b := make([]byte, number(args, 0)<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		fmt.Fprintln(p.Stdout, len(b))
		for range p.Signals {
			return int(b[0]) - 1
		}
	case "uid":
		out = fmt.Sprintf("%d:%d\n", os.Getuid(), os.Getgid())
	case "host":
		h, err := os.Hostname()
		if err != nil {
			return 1
		}
		out = h + "\n"
	default:
		fmt.Fprintf(p.Stderr, "unknown behaviour %q\n", what)
		return 64
	}
	fmt.Fprint(p.Stdout, out)
	return 0
}

func count(p Proc, n int, pause time.Duration) int {
	for i := range n {
		fmt.Fprintf(p.Stdout, "line %d\n", i)
		select {
		case sig, ok := <-p.Signals:
			if sig == syscall.SIGTERM || !ok {
				return 0
			}
		case <-time.After(pause):
		}
	}
	return 0
}

func number(args []string, i int) int {
	if i >= len(args) {
		return 0
	}
	n, err := strconv.Atoi(args[i])
	if err != nil {
		return 0
	}
	return n
}
