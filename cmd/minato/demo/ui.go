package demo

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// ui shows progress: with colour and a moving last line on a terminal, as plain
// lines in a pipe.
type ui struct {
	w     io.Writer
	tty   bool
	start time.Time

	mu   sync.Mutex
	live bool // the last line is one that moves
}

func newUI(w *os.File) *ui {
	return &ui{w: w, tty: term.IsTerminal(int(w.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb", start: time.Now()}
}

const (
	bold   = "\x1b[1m"
	dim    = "\x1b[2m"
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	cyan   = "\x1b[36m"
	reset  = "\x1b[0m"
)

func (u *ui) style(s, style string) string {
	if !u.tty {
		return s
	}
	return style + s + reset
}

// line prints one line for good, in place of a moving one.
func (u *ui) line(format string, args ...any) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.clear()
	fmt.Fprintf(u.w, format+"\n", args...)
}

// move shows a line that the next one replaces; in a pipe it is not shown.
func (u *ui) move(format string, args ...any) {
	if !u.tty {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.clear()
	fmt.Fprintf(u.w, format, args...)
	u.live = true
}

func (u *ui) clear() {
	if u.live {
		fmt.Fprint(u.w, "\r\x1b[K")
		u.live = false
	}
}

// chapter begins a part of the journey.
func (u *ui) chapter(n int, title string) {
	u.line("")
	u.line("%s", u.style(fmt.Sprintf("%d  %s", n, title), bold))
}

// say explains something in a sentence or two.
func (u *ui) say(format string, args ...any) {
	for _, l := range strings.Split(fmt.Sprintf(format, args...), "\n") {
		u.line("   %s", l)
	}
}

// call shows the command that does a step.
func (u *ui) call(command string) { u.line("   %s", u.style("$ "+command, cyan)) }

// done marks a step with the time it took.
func (u *ui) done(took time.Duration, format string, args ...any) {
	u.line("   %s %s %s", u.style("✓", green), fmt.Sprintf(format, args...), u.style(seconds(took), dim))
}

// wall shows what stopped the learner, word for word.
func (u *ui) wall(text string) {
	for _, l := range strings.Split(strings.TrimSpace(text), "\n") {
		u.line("   %s %s", u.style("✗", red), u.style(l, yellow))
	}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// spinner moves until the returned function is called.
func (u *ui) spinner(what string) (stop func()) {
	if !u.tty {
		return func() {}
	}
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		begin := time.Now()
		for i := 0; ; i++ {
			u.move("   %c %s %s", []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")[i%10], what, u.style(seconds(time.Since(begin)), dim))
			select {
			case <-quit:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	return func() {
		close(quit)
		<-ended
		u.mu.Lock()
		u.clear()
		u.mu.Unlock()
	}
}
