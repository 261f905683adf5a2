package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// report collects figures and what could not be measured.
type report struct {
	figures []figure
	last    []figure   // follow the others
	rows    [][]string // of a table, its header first
	left    []string
}

type figure struct{ name, value string }

// add notes a figure; digits is how many follow the point.
func (r *report) add(name string, value float64, digits int) {
	f := figure{name, fmt.Sprintf("%.*f", digits, value)}
	r.figures = append(r.figures, f)
	r.say("  %s %s", f.name, f.value)
}

// endWith notes a figure that stands after all others.
func (r *report) endWith(name string, value float64, digits int) {
	r.add(name, value, digits)
	r.last = append(r.last, r.figures[len(r.figures)-1])
	r.figures = r.figures[:len(r.figures)-1]
}

// leave notes why something is not among the figures.
func (r *report) leave(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.left = append(r.left, text)
	r.say("  %s", text)
}

// say tells somebody who watches what happens.
func (r *report) say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}

func (r *report) machine() {
	model := "unknown processor"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		kernel = []byte("unknown")
	}
	r.say("%d cores, %s, Linux %s, %s, load average %s", runtime.NumCPU(), model, strings.TrimSpace(string(kernel)), runtime.Version(), loadAverage())
}

func (r *report) print(w io.Writer) {
	for _, l := range r.left {
		fmt.Fprintf(w, "# %s\n", strings.ReplaceAll(l, "\n", " "))
	}
	for i, row := range r.rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			fmt.Fprintln(w, strings.Repeat("|---", len(row))+"|")
		}
	}
	for _, f := range slices.Concat(r.figures, r.last) {
		fmt.Fprintf(w, "%s %s\n", f.name, f.value)
	}
}

// loadAverage is the machine's over one minute: figures taken while others work
// are not worth much.
func loadAverage() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	one, _, _ := strings.Cut(string(b), " ")
	return one
}

func median(v []float64) float64 { return quantile(v, 0.5) }

func quantile(v []float64, q float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	return s[min(len(s)-1, int(q*float64(len(s))))]
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// until asks every few milliseconds until it holds or the time is up.
func until(ctx context.Context, limit time.Duration, what string, holds func() (bool, error)) error {
	deadline := time.Now().Add(limit)
	for {
		ok, err := holds()
		if ok {
			return nil
		}
		if time.Now().After(deadline) {
			if err != nil {
				return fmt.Errorf("%s: not within %s: %w", what, limit, err)
			}
			return fmt.Errorf("%s: not within %s", what, limit)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		time.Sleep(2 * time.Millisecond)
	}
}
