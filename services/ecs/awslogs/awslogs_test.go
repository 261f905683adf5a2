package awslogs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	logsapi "minato/aws/api/logs"
	"minato/dataplane/container"
)

// tape is a log that was written.
type tape struct {
	records  []container.Record
	consumed container.Offset
	status   container.Status
	lost     error // what Get says of the container
}

func (t *tape) write(stream container.Stream, text string, partial bool) {
	t.records = append(t.records, container.Record{
		Time: time.UnixMilli(int64(len(t.records))), Stream: stream, Line: []byte(text), Partial: partial, Next: container.Offset(len(t.records) + 1),
	})
}

func (t *tape) Get(context.Context, string) (container.Status, error) { return t.status, t.lost }

func (t *tape) Tail(_ context.Context, _ string, _ container.Offset, fn func(container.Record) error) error {
	for _, r := range t.records[t.consumed:] {
		if err := fn(r); err != nil {
			return err
		}
	}
	return nil
}

func (t *tape) Consumed(_ context.Context, _ string, upTo container.Offset) error {
	t.consumed = upTo
	return nil
}

// book takes events, and fails when it is told to.
type book struct {
	logsapi.API
	got   []string
	at    []int64
	calls int
	fail  func(call int) error
}

func (b *book) PutLogEvents(_ context.Context, in *logsapi.PutLogEventsInput) (*logsapi.PutLogEventsOutput, error) {
	b.calls++
	if b.fail != nil {
		if err := b.fail(b.calls); err != nil {
			return nil, err
		}
	}
	size := 0
	for _, e := range in.LogEvents {
		size += len(*e.Message) + eventBytes
		b.got, b.at = append(b.got, *e.Message), append(b.at, *e.Timestamp)
	}
	if size > batchBytes || len(in.LogEvents) > batchEvents {
		return nil, fmt.Errorf("a batch of %d events, %d bytes", len(in.LogEvents), size)
	}
	return &logsapi.PutLogEventsOutput{}, nil
}

func forwarder(t *tape, b *book) *Forwarder {
	return &Forwarder{Logs: b, Source: t, As: func(ctx context.Context) (context.Context, error) { return ctx, nil }}
}

func TestLines(t *testing.T) {
	log, b := &tape{}, &book{}
	log.write(container.Stdout, "one", false)
	log.write(container.Stdout, "", false)
	log.write(container.Stdout, "be", true)
	log.write(container.Stderr, "between", false)
	log.write(container.Stdout, "gin", false)
	log.write(container.Stdout, "no end", true)
	if err := forwarder(log, b).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(b.got, "|"); got != "one|between|begin|no end" {
		t.Errorf("%q", got)
	}
	if b.at[2] != 2 {
		t.Errorf("the time of a line is that of its beginning: %v", b.at)
	}
	if log.consumed != 5 {
		t.Errorf("consumed up to %d", log.consumed)
	}
}

func TestBatchesAreBounded(t *testing.T) {
	log, b := &tape{}, &book{}
	for i := range 25_000 {
		log.write(container.Stdout, fmt.Sprintf("line %d", i), false)
	}
	for range 9 {
		log.write(container.Stdout, strings.Repeat("x", 200<<10), false)
	}
	for range 3 {
		log.write(container.Stdout, strings.Repeat("y", 256<<10), true)
	}
	log.write(container.Stdout, "end", false)
	if err := forwarder(log, b).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(b.got); n != 25_000+9+4 || b.calls < 5 {
		t.Errorf("%d events in %d calls", n, b.calls)
	}
	total := 0
	for _, m := range b.got[25_009:] {
		total += len(m)
	}
	if total != 3*256<<10+len("end") {
		t.Errorf("a long line has %d bytes", total)
	}
}

// What was not delivered is delivered by the next run.
func TestFailuresLoseNothing(t *testing.T) {
	log := &tape{}
	b := &book{fail: func(call int) error {
		if call%2 == 0 {
			return errors.New("not now")
		}
		return nil
	}}
	for i := range 35_000 {
		log.write(container.Stdout, fmt.Sprintf("line %d", i), false)
	}
	runs := 0
	for f := forwarder(log, b); ; runs++ {
		if err := f.Run(t.Context()); err == nil {
			break
		} else if runs > 20 {
			t.Fatal(err)
		}
	}
	if runs == 0 {
		t.Fatal("nothing failed")
	}
	for i, line := range b.got {
		if line != fmt.Sprint("line ", i) {
			t.Fatalf("%q is event %d", line, i)
		}
	}
	if len(b.got) != 35_000 {
		t.Errorf("%d events", len(b.got))
	}
}

// TestDeliver: what nobody takes for a while is delivered later, once; what
// nobody takes at all is given up when the container has ended long ago.
func TestDeliver(t *testing.T) {
	written := func() *tape {
		x := &tape{status: container.Status{State: container.Ended, Restarts: 2, Ended: time.Now()}}
		x.write(container.Stdout, "ahoy", false)
		return x
	}
	down := errors.New("CloudWatch Logs is not there")
	for name, c := range map[string]struct {
		tape *tape
		book *book
		want int // events
	}{
		"at once":       {written(), &book{}, 1},
		"on the second": {written(), &book{fail: func(call int) error { return map[bool]error{true: down}[call == 1] }}, 1},
		"never": {func() *tape {
			x := written()
			x.status.Ended = time.Now().Add(-2 * lastLogs)
			return x
		}(), &book{fail: func(int) error { return down }}, 0},
	} {
		f := forwarder(c.tape, c.book)
		f.Log = slog.New(slog.DiscardHandler)
		if runs, ok := f.Deliver(t.Context()); !ok || runs != 3 || len(c.book.got) != c.want {
			t.Errorf("%s: %d runs, %v; delivered %q", name, runs, ok, c.book.got)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, ok := forwarder(written(), &book{}).Deliver(ctx); ok {
		t.Error("delivered although the daemon ends")
	}
}
