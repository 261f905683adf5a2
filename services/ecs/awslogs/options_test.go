package awslogs

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"minato/dataplane/container"
)

func TestParse(t *testing.T) {
	for want, options := range map[string]map[string]string{
		"must specify a value for log opt 'awslogs-group'":                                                             {},
		"unknown log opt 'awslogs-nonsense' for awslogs log driver":                                                    {"awslogs-nonsense": "x"},
		`must specify valid value for log opt 'awslogs-create-group': strconv.ParseBool: parsing "ja": invalid syntax`: {OptionGroup: "g", OptionCreateGroup: "ja"},
		"you cannot configure log opt 'awslogs-datetime-format' and 'awslogs-multiline-pattern' at the same time":      {OptionGroup: "g", OptionMultiline: "a", OptionDatetime: "%Y"},
		"awslogs could not parse multiline pattern key \"(\": error parsing regexp: missing closing ): `(`":            {OptionGroup: "g", OptionMultiline: "("},
		"logger: logging mode not supported: fast":                                                                     {OptionGroup: "g", OptionMode: "fast"},
		"logger: max-buffer-size option is only supported with 'mode=non-blocking'":                                    {OptionGroup: "g", OptionMode: "blocking", OptionBuffer: "1m"},
		"error parsing option max-buffer-size: invalid size: 'much'":                                                   {OptionGroup: "g", OptionBuffer: "much"},
	} {
		if _, err := Parse(options, NonBlocking); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
	o, err := Parse(map[string]string{OptionGroup: "g", OptionBuffer: "25m", OptionCreateGroup: "true", OptionStreamPrefix: "p"}, NonBlocking)
	if err != nil || !o.NonBlocking || o.Buffer != 25<<20 || !o.CreateGroup || o.StreamPrefix != "p" {
		t.Errorf("%+v %v", o, err)
	}
	if o, err = Parse(map[string]string{OptionGroup: "g"}, Blocking); err != nil || o.NonBlocking {
		t.Errorf("%+v %v", o, err)
	}
}

func TestDatetime(t *testing.T) {
	for _, c := range []struct {
		format, line string
		match        bool
	}{
		{"%Y-%m-%d %H:%M:%S", "2026-11-30 12:00:59 INFO", true},
		{"%Y-%m-%d %H:%M:%S", "\tat java.lang.Thread", false},
		{"%Y-%m-%d %H:%M:%S", "2026-13-30 12:00:59", false},
		{"%Y-%m-%d %H:%M:%S", "2026-11-30 24:00:59", false},
		{`\[%b %d, %Y %H:%M:%S\]`, "[May 01, 2017 19:00:01] A message was logged", true},
		{`\[%b %d, %Y %H:%M:%S\]`, "Another multiline message", false},
		{"%d/%b/%Y:%H:%M:%S %z", "07/Jan/2026:01:02:03 +0900", true},
		{"%A %I:%M %p", "Monday 09:30 AM", true},
		{"%A %I:%M %p", "Monday 13:30 AM", false},
		{"%H:%M:%S%L", "12:00:00.123", true},
		{"%H:%M:%S.%f", "12:00:00.123456", true},
		{"%y%j", "26366", true},
		{"%a %w %B %Z", "Sun 0 March JST", true},
		{"100%", "100%", true},
		{"%q", "%q", true},
	} {
		if got := regexp.MustCompile(datetimePattern(c.format)).MatchString(c.line); got != c.match {
			t.Errorf("%s and %q: %v", c.format, c.line, got)
		}
	}
}

// FuzzOptions: whatever a task definition says is taken or refused, and every
// conversion alone is an expression.
func FuzzOptions(f *testing.F) {
	f.Add("%Y-%m-%d", "25m", "true")
	f.Add(`\[%b`, "1.5 GiB", "x")
	f.Fuzz(func(t *testing.T, format, size, create string) {
		o, err := Parse(map[string]string{OptionGroup: "g", OptionDatetime: format, OptionBuffer: size, OptionCreateGroup: create}, NonBlocking)
		if err == nil && (o.Multiline == nil || o.Buffer <= 0) {
			t.Errorf("%+v", o)
		}
	})
}

func TestMultiline(t *testing.T) {
	log, b := &tape{}, &book{}
	for _, line := range []string{"half of one", "2026 first", "  at a", "", "  at b", "2026 second", "2026 third", "  at c"} {
		log.write(container.Stdout, line, false)
	}
	f := forwarder(log, b)
	f.Multiline = regexp.MustCompile(`^\d{4}`)
	if err := f.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(b.got, "|"), "half of one\n|2026 first\n  at a\n\n  at b\n|2026 second\n|2026 third\n  at c\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if b.at[1] != 1 || log.consumed != container.Offset(len(log.records)) {
		t.Errorf("times %v, consumed %d", b.at, log.consumed)
	}
}

// TestMultilineIsBounded: an event that never ends is cut.
func TestMultilineIsBounded(t *testing.T) {
	log, b := &tape{}, &book{}
	for range 20 {
		log.write(container.Stdout, strings.Repeat("x", 100<<10), false)
	}
	f := forwarder(log, b)
	f.Multiline = regexp.MustCompile(`^\d{4}`)
	if err := f.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, m := range b.got {
		total += len(m)
	}
	if len(b.got) != 10 || total != 20*(100<<10+1) {
		t.Errorf("%d events of %d bytes", len(b.got), total)
	}
}

// TestMultilineWaits: an event that nothing follows is sent after a while.
func TestMultilineWaits(t *testing.T) {
	log, b := &tape{}, &book{}
	log.write(container.Stdout, "2026 alone", false)
	said := make(chan struct{})
	b.fail = func(int) error { close(said); return nil }
	f := forwarder(log, b)
	f.Source = &endless{log}
	f.Multiline = regexp.MustCompile(`^\d{4}`)
	ended := make(chan error, 1)
	go func() { ended <- f.Run(t.Context()) }()
	select {
	case <-said:
	case err := <-ended:
		t.Errorf("it ended: %v", err)
	case <-time.After(time.Minute):
		t.Error("nothing was sent")
	}
}

// endless is a log whose container runs on.
type endless struct{ *tape }

func (e *endless) Tail(ctx context.Context, id string, from container.Offset, fn func(container.Record) error) error {
	if err := e.tape.Tail(ctx, id, from, fn); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}
