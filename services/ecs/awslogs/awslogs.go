// Package awslogs is the log driver of tasks: it takes a container's lines from
// the runtime, which keeps them and the place up to which they were delivered,
// and puts them into a log stream. Nothing is lost over a restart; at most one
// batch is sent twice.
package awslogs

import (
	"context"
	"log/slog"
	"regexp"
	"strings"
	"time"

	logsapi "minato/aws/api/logs"
	"minato/dataplane/container"
)

// The options of the log driver.
const (
	OptionGroup        = "awslogs-group"
	OptionRegion       = "awslogs-region"
	OptionStreamPrefix = "awslogs-stream-prefix"
	OptionCreateGroup  = "awslogs-create-group"
	OptionMultiline    = "awslogs-multiline-pattern"
	OptionDatetime     = "awslogs-datetime-format"
	OptionMode         = "mode"
	OptionBuffer       = "max-buffer-size"
)

// Bounds of a batch, CloudWatch Logs' own, and how long a line may wait for
// others.
const (
	batchEvents = 10_000
	batchBytes  = 1 << 20
	eventBytes  = 26 // counted for each event besides its text
	batchDelay  = 250 * time.Millisecond
	// lastLine is how long an event of several lines may wait for its next one.
	lastLine = 5 * time.Second
)

// maxText is the length at which a line of several records is cut: an event must
// fit into a batch.
const maxText = 256<<10 - eventBytes

// Source is where the lines come from: a container.Runtime.
type Source interface {
	Get(ctx context.Context, id string) (container.Status, error)
	Tail(ctx context.Context, id string, from container.Offset, fn func(container.Record) error) error
	Consumed(ctx context.Context, id string, upTo container.Offset) error
}

// Forwarder delivers one container's log.
type Forwarder struct {
	Logs      logsapi.API
	Source    Source
	Container string
	Group     string
	Stream    string
	Multiline *regexp.Regexp // what a line begins with that begins an event; nil: each is one
	// As gives a context the identity to deliver under.
	As func(ctx context.Context) (context.Context, error)
	// Log is told what Deliver could not deliver.
	Log *slog.Logger
}

// line is a record with a text of its own.
type line struct {
	container.Record
	text string
}

// Run delivers the log from the place up to which it was delivered before, and
// returns nil at its end. After an error it can be called again.
func (f *Forwarder) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines := make(chan line, 1024)
	ended := make(chan error, 1)
	go func() {
		ended <- f.Source.Tail(ctx, f.Container, container.FromConsumed, func(r container.Record) error {
			select {
			case lines <- line{r, string(r.Line)}:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		close(lines)
	}()
	b := &batch{Forwarder: f, parts: map[container.Stream]*part{}}
	var due, last <-chan time.Time
	for {
		select {
		case l, ok := <-lines:
			if !ok {
				if err := b.finish(ctx); err != nil {
					return err
				}
				return <-ended
			}
			if err := b.add(ctx, l); err != nil {
				return err
			}
			if due == nil && len(b.events) > 0 {
				due = time.After(batchDelay)
			}
			if last = nil; b.open != nil {
				last = time.After(lastLine)
			}
		case <-last:
			last = nil
			if err := b.close(ctx); err != nil {
				return err
			}
			due = time.After(batchDelay)
		case <-due:
			due = nil
			if err := b.send(ctx); err != nil {
				return err
			}
		}
	}
}

// batch is what is sent next.
type batch struct {
	*Forwarder
	events []logsapi.InputLogEvent
	bytes  int
	next   container.Offset
	parts  map[container.Stream]*part
	open   *event // of several lines, which may go on
}

// event is an event of several lines.
type event struct {
	text strings.Builder
	at   time.Time        // of its first line
	next container.Offset // after its last
}

// part is the beginning of a line that goes on.
type part struct {
	text strings.Builder
	at   time.Time
}

// add puts a line into the batch.
func (b *batch) add(ctx context.Context, l line) error {
	p := b.parts[l.Stream]
	if p == nil && !l.Partial {
		return b.line(ctx, l.text, l.Time, l.Next)
	}
	if p == nil {
		p = &part{at: l.Time}
		b.parts[l.Stream] = p
	}
	for text := l.text; text != ""; {
		n := min(len(text), maxText-p.text.Len())
		p.text.WriteString(text[:n])
		if text = text[n:]; p.text.Len() == maxText {
			if err := b.line(ctx, p.text.String(), p.at, b.next); err != nil {
				return err
			}
			p.text.Reset()
		}
	}
	if l.Partial {
		return nil
	}
	delete(b.parts, l.Stream)
	return b.line(ctx, p.text.String(), p.at, l.Next)
}

// line adds a whole line: an event, or a part of one of several lines. Those end
// with a line feed, as the driver has it.
func (b *batch) line(ctx context.Context, text string, at time.Time, next container.Offset) error {
	if b.Multiline == nil {
		return b.event(ctx, text, at, next)
	}
	if e := b.open; e != nil && (b.Multiline.MatchString(text) || e.text.Len()+len(text)+1 > maxText) {
		if err := b.close(ctx); err != nil {
			return err
		}
	}
	if b.open == nil {
		b.open = &event{at: at}
	}
	b.open.text.WriteString(text)
	if b.open.text.Len() < maxText {
		b.open.text.WriteByte('\n')
	}
	b.open.next = next
	return nil
}

// close ends the event of several lines.
func (b *batch) close(ctx context.Context) error {
	e := b.open
	if e == nil {
		return nil
	}
	b.open = nil
	return b.event(ctx, e.text.String(), e.at, e.next)
}

// event adds an event, and sends the batch first if it would not fit; empty
// lines are no events. next is the place after it.
func (b *batch) event(ctx context.Context, text string, at time.Time, next container.Offset) error {
	size := len(text) + eventBytes
	if len(b.events) == batchEvents || b.bytes+size > batchBytes {
		if err := b.send(ctx); err != nil {
			return err
		}
	}
	b.next = next
	if text == "" {
		return nil
	}
	millis := at.UnixMilli()
	b.events = append(b.events, logsapi.InputLogEvent{Timestamp: &millis, Message: &text})
	b.bytes += size
	return nil
}

// finish sends what is left, also of lines that have no end.
func (b *batch) finish(ctx context.Context) error {
	for stream, p := range b.parts {
		delete(b.parts, stream)
		if err := b.line(ctx, p.text.String(), p.at, b.next); err != nil {
			return err
		}
	}
	if err := b.close(ctx); err != nil {
		return err
	}
	return b.send(ctx)
}

// send delivers the batch and remembers that it did.
func (b *batch) send(ctx context.Context) error {
	if len(b.events) == 0 {
		return nil
	}
	as, err := b.As(ctx)
	if err != nil {
		return err
	}
	if _, err := b.Logs.PutLogEvents(as, &logsapi.PutLogEventsInput{LogGroupName: &b.Group, LogStreamName: &b.Stream, LogEvents: b.events}); err != nil {
		return err
	}
	b.events, b.bytes = nil, 0
	return b.Source.Consumed(ctx, b.Container, b.next)
}
