package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is a program in a terminal of its own, as a person has it.
type terminal struct {
	t    *testing.T
	what string
	pty  *os.File
	done chan error

	mu  sync.Mutex
	out bytes.Buffer // guarded
	at  int          // up to where expect has read
}

// openTerminal starts a program in a terminal of 120 columns and 40 rows.
func openTerminal(t *testing.T, cmd *exec.Cmd) *terminal {
	t.Helper()
	pty, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(pty.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(pty.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	x := &terminal{t: t, what: strings.Join(cmd.Args, " "), pty: pty, done: make(chan error, 1)}
	x.resize(120, 40)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := pty.Read(b)
			x.mu.Lock()
			x.out.Write(b[:n])
			x.mu.Unlock()
			if err != nil {
				return // the terminal's last program has ended
			}
		}
	}()
	go func() { x.done <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		pty.Close()
	})
	return x
}

func (x *terminal) resize(columns, rows uint16) {
	if err := unix.IoctlSetWinsize(int(x.pty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows}); err != nil {
		x.t.Fatal(err)
	}
}

// write types text.
func (x *terminal) write(text string) {
	x.t.Helper()
	if _, err := x.pty.WriteString(text); err != nil {
		x.t.Fatalf("%s: %v", x.what, err)
	}
}

// expect waits until text is shown after what was expected before.
func (x *terminal) expect(text string) {
	x.t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		x.mu.Lock()
		i := strings.Index(x.out.String()[x.at:], text)
		if i >= 0 {
			x.at += i + len(text)
		}
		x.mu.Unlock()
		if i >= 0 {
			return
		}
		if time.Now().After(deadline) {
			x.t.Fatalf("%s does not show %q:\n%s", x.what, text, x.shown())
		}
	}
}

// end waits until the program has ended.
func (x *terminal) end() error {
	x.t.Helper()
	select {
	case err := <-x.done:
		x.done <- err
		return err
	case <-time.After(5 * time.Minute):
		x.t.Fatalf("%s does not end:\n%s", x.what, x.shown())
		return nil
	}
}

// shown is all that the terminal has shown.
func (x *terminal) shown() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.out.String()
}
