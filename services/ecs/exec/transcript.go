package exec

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"time"

	"minato/aws"
	logsapi "minato/aws/api/logs"
)

// Bounds of what is kept of a terminal before it is sent, and how long it may
// wait for more.
const (
	transcriptLine  = 200 << 10 // a line is cut here: an event must fit into a batch
	transcriptBatch = 500 << 10
	transcriptDelay = 2 * time.Second
	transcriptWait  = 30 * time.Second // for the last of it
)

// Transcript puts what a session's terminal showed into a log stream of the
// session's name, line by line, as the task role.
type Transcript struct {
	Logs          logsapi.API
	Group, Stream string
	// As gives a context the task role's identity.
	As  func(ctx context.Context) (context.Context, error)
	Now func() time.Time

	lines chan []byte
	done  chan error
}

// Write takes what the terminal shows. It never fails: what cannot be delivered
// is told by Close. The first begins the delivery, so that a session which
// nobody enters leaves no stream.
func (t *Transcript) Write(b []byte) (int, error) {
	if t.lines == nil {
		t.lines, t.done = make(chan []byte, 64), make(chan error, 1)
		go func() { t.done <- t.deliver() }()
	}
	t.lines <- bytes.Clone(b)
	return len(b), nil
}

// Close delivers the rest and tells what could not be.
func (t *Transcript) Close() error {
	if t.lines == nil {
		return nil
	}
	close(t.lines)
	return <-t.done
}

// deliver sends what comes until there is no more. After an error it goes on
// taking, so that no terminal waits for a log.
func (t *Transcript) deliver() error {
	var line []byte
	var events []logsapi.InputLogEvent
	var size int
	var failed error
	made := false
	event := func(b []byte) {
		// A terminal's lines end with a return too.
		text := strings.TrimRight(string(b), "\r")
		if text == "" {
			return
		}
		events = append(events, logsapi.InputLogEvent{Timestamp: aws.Ptr(t.Now().UnixMilli()), Message: &text})
		size += len(text)
	}
	send := func() {
		if len(events) > 0 && failed == nil {
			failed = t.send(events, &made)
		}
		events, size = nil, 0
	}
	tick := time.NewTicker(transcriptDelay)
	defer tick.Stop()
	for {
		select {
		case b, ok := <-t.lines:
			if !ok {
				event(line)
				send()
				return failed
			}
			for {
				before, after, found := bytes.Cut(b, []byte("\n"))
				line = append(line, before...)
				if found || len(line) >= transcriptLine {
					event(line)
					line = nil
				}
				if !found {
					break
				}
				b = after
			}
			if size >= transcriptBatch {
				send()
			}
		case <-tick.C:
			send()
		}
	}
}

func (t *Transcript) send(events []logsapi.InputLogEvent, made *bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), transcriptWait)
	defer cancel()
	as, err := t.As(ctx)
	if err != nil {
		return err
	}
	if !*made {
		_, err := t.Logs.CreateLogStream(as, &logsapi.CreateLogStreamInput{LogGroupName: &t.Group, LogStreamName: &t.Stream})
		if err != nil && !aws.IsCode(err, "ResourceAlreadyExistsException") {
			return err
		}
		*made = true
	}
	out, err := t.Logs.PutLogEvents(as, &logsapi.PutLogEventsInput{LogGroupName: &t.Group, LogStreamName: &t.Stream, LogEvents: events})
	if err == nil && out.RejectedLogEventsInfo != nil {
		err = errors.New("CloudWatch Logs rejected lines of it")
	}
	return err
}
