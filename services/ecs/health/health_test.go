package health

import (
	"context"
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	ecsapi "minato/aws/api/ecs"
	"minato/dataplane/container"
	"minato/internal/clock"
)

// patient is a container whose checks give what a list says: "+" passes, "-"
// fails, "!" cannot be run; after the last one it ends.
type patient struct {
	results string
	args    [][]string
	restart bool
}

func (p *patient) Get(context.Context, string) (container.Status, error) {
	if p.results == "" {
		return container.Status{State: container.Ended}, nil
	}
	s := container.Status{State: container.Running}
	if p.restart && len(p.results) == 1 {
		s.Restarts = 1
	}
	return s, nil
}

func (p *patient) Exec(_ context.Context, _ string, proc container.Process, _ container.Stdio) (container.Execution, error) {
	r := p.results[0]
	p.results, p.args = p.results[1:], append(p.args, proc.Args)
	if r == '!' {
		return nil, container.ErrStart
	}
	return execution{code: map[byte]int{'+': 0, '-': 1}[r]}, nil
}

type execution struct{ code int }

func (execution) Resize(context.Context, uint16, uint16) error { return nil }
func (execution) Signal(context.Context, syscall.Signal) error { return errors.New("no") }
func (e execution) Wait(context.Context) (int, error)          { return e.code, nil }

func ptr[T any](v T) *T { return &v }

func TestWatch(t *testing.T) {
	for _, c := range []struct {
		results, want string
		change        func(c *Checker)
		restart       bool
	}{
		{results: "+-+", want: "HEALTHY HEALTHY"},
		{results: "--", want: ""},
		{results: "---+", want: "UNHEALTHY HEALTHY"},
		{results: "!!!", want: "UNHEALTHY"},
		{results: "-+--+---", want: "HEALTHY HEALTHY UNHEALTHY"},
		{results: "-", want: "UNHEALTHY", change: func(c *Checker) { c.Check.Retries = ptr[int32](1) }},
		// Within the start period only a success counts, and ends it.
		{results: "-----", want: "", change: func(c *Checker) { c.Check.StartPeriod = ptr[int32](300) }},
		{results: "-+---", want: "HEALTHY UNHEALTHY", change: func(c *Checker) { c.Check.StartPeriod = ptr[int32](300) }},
		// What is found of the next run is not this one's.
		{results: "+---", want: "HEALTHY", restart: true},
	} {
		p := &patient{results: c.results, restart: c.restart}
		var got []string
		x := &Checker{
			Runtime: p, Clock: clock.Real(10_000), Started: time.Now(), Check: ecsapi.HealthCheck{Command: []string{"CMD", "/check"}},
			Show: func(_ context.Context, health string) { got = append(got, health) },
		}
		if c.change != nil {
			c.change(x)
			if x.Check.StartPeriod != nil {
				x.Started = time.Now().Add(time.Hour)
			}
		}
		x.Watch(context.Background())
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", c.results, got, c.want)
		}
		if !slices.Equal(p.args[0], []string{"/check"}) {
			t.Errorf("%v", p.args[0])
		}
	}
	p := &patient{results: "+"}
	(&Checker{
		Runtime: p, Clock: clock.Real(10_000), Check: ecsapi.HealthCheck{Command: []string{"CMD-SHELL", "curl -f localhost || exit 1"}},
		Show: func(context.Context, string) {},
	}).Watch(context.Background())
	if !slices.Equal(p.args[0], []string{"/bin/sh", "-c", "curl -f localhost || exit 1"}) {
		t.Errorf("%v", p.args[0])
	}
}

func TestWorst(t *testing.T) {
	for healths, want := range map[string]string{
		"": "UNKNOWN", "HEALTHY": "HEALTHY", "UNKNOWN HEALTHY": "UNKNOWN", "HEALTHY UNKNOWN": "UNKNOWN", "HEALTHY HEALTHY": "HEALTHY",
		"UNKNOWN UNHEALTHY": "UNHEALTHY", "UNHEALTHY HEALTHY": "UNHEALTHY",
	} {
		if got := Worst(strings.Fields(healths)); got != want {
			t.Errorf("%s: %s, want %s", healths, got, want)
		}
	}
}
