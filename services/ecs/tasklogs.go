package ecs

import (
	"context"
	"errors"
	"strings"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	logsapi "minato/aws/api/logs"
	"minato/dataplane/container"
)

// Options of the log driver awslogs.
const (
	logGroup        = "awslogs-group"
	logRegion       = "awslogs-region"
	logStreamPrefix = "awslogs-stream-prefix"
	logCreateGroup  = "awslogs-create-group"
)

// A batch of PutLogEvents: CloudWatch Logs' own bounds, and how long a line may
// wait for others.
const (
	batchEvents = 10_000
	batchBytes  = 1 << 20
	eventBytes  = 26 // counted for each event besides its text
	batchDelay  = 250 * time.Millisecond
)

// logPause is the wait after logs could not be delivered, growing to the second.
const (
	logPauseMin = 200 * time.Millisecond
	logPauseMax = 10 * time.Second
	// lastLogs is how long a container that has ended is kept for logs that
	// nobody takes.
	lastLogs = 15 * time.Second
)

// logOptions are a container's awslogs options; nil when it has no such log.
func logOptions(d *ecsapi.TaskDefinition, name string) map[string]string {
	for i := range d.ContainerDefinitions {
		c := &d.ContainerDefinitions[i]
		if *c.Name == name && c.LogConfiguration != nil && aws.Val(c.LogConfiguration.LogDriver) == ecsapi.LogDriverAwslogs {
			return c.LogConfiguration.Options
		}
	}
	return nil
}

// logStream is a container's log stream: prefix/container/task.
func logStream(t *taskRecord, options map[string]string, name string) string {
	if prefix := options[logStreamPrefix]; prefix != "" {
		return prefix + "/" + name + "/" + t.ID
	}
	return *t.containerOf(name).RuntimeId
}

// makeLogStreams makes the log streams of all containers as the execution role:
// a task whose logs have nowhere to go does not start.
func (s *Service) makeLogStreams(ctx context.Context, t *taskRecord, d *taskDefinitionRecord) error {
	for i := range d.ContainerDefinitions {
		name := *d.ContainerDefinitions[i].Name
		options := logOptions(&d.TaskDefinition, name)
		if options == nil {
			continue
		}
		asRole, err := s.asRole(ctx, t, t.executionRole(d))
		if err != nil {
			return err
		}
		group := options[logGroup]
		if options[logCreateGroup] == "true" {
			_, err := s.Logs.CreateLogGroup(asRole, &logsapi.CreateLogGroupInput{LogGroupName: &group})
			if err != nil && !aws.IsCode(err, "ResourceAlreadyExistsException") {
				return loggerFailure("create log group", "failed to create Cloudwatch log group", err)
			}
		}
		stream := logStream(t, options, name)
		_, err = s.Logs.CreateLogStream(asRole, &logsapi.CreateLogStreamInput{LogGroupName: &group, LogStreamName: &stream})
		if err != nil && !aws.IsCode(err, "ResourceAlreadyExistsException") {
			return loggerFailure("create stream", "failed to create Cloudwatch log stream", err)
		}
	}
	return nil
}

// loggerFailure is how ECS says that a log driver did not get ready.
func loggerFailure(step, what string, err error) error {
	e := aws.AsError(err)
	return failure(err, "ResourceInitializationError: failed to validate logger args: %s has been retried 1 times: %s: %s: %s : exit status 1", step, what, e.Code, e.Message)
}

// forwardLogs keeps a container's log on its way to CloudWatch Logs; it reports
// whether there is more to deliver. The runtime keeps the place up to which it
// was: nothing is lost over a restart, and at most a batch is sent twice.
func (s *Service) forwardLogs(t *taskRecord, d *ecsapi.TaskDefinition, name string) bool {
	options := logOptions(d, name)
	id := *t.containerOf(name).RuntimeId
	s.mu.Lock()
	done := s.logged[id]
	s.mu.Unlock()
	if options == nil || done {
		return false
	}
	f := &forwarder{s: s, task: *t, role: "", group: options[logGroup], stream: logStream(t, options, name), container: id}
	s.once("log "+id, f.run)
	return true
}

// forwarder sends a container's log lines.
type forwarder struct {
	s                        *Service
	task                     taskRecord
	role                     string
	group, stream, container string

	events []logsapi.InputLogEvent
	bytes  int
	next   container.Offset
	parts  map[container.Stream]*strings.Builder // lines that go on
}

// run sends until the log is at its end and delivered, or nobody will take it.
func (f *forwarder) run(ctx context.Context) {
	s := f.s
	d, found, err := s.definition(ctx, f.task.Place, *f.task.TaskDefinitionArn)
	if err != nil || !found {
		s.Log.Error("a log has no task definition", "task", f.task.ID, "error", err)
		return
	}
	f.role = f.task.executionRole(&d)
	for pause := logPauseMin; ctx.Err() == nil; pause = min(2*pause, logPauseMax) {
		err := f.tail(ctx)
		if err == nil || errors.Is(err, container.ErrNotFound) {
			f.finish()
			return
		}
		if ctx.Err() != nil {
			return
		}
		s.Log.Warn("a log cannot be delivered", "container", f.container, "group", f.group, "error", err)
		if status, err := s.Runtime.Get(ctx, f.container); err != nil || status.State == container.Ended && time.Since(status.Ended) > lastLogs {
			f.finish()
			return
		}
		if sleep(ctx, pause) != nil {
			return
		}
	}
}

// finish says that the container's log needs no forwarder any more.
func (f *forwarder) finish() {
	f.s.mu.Lock()
	f.s.logged[f.container] = true
	f.s.mu.Unlock()
	f.s.enqueue(taskReconciler, f.s.tasks.Key(f.task.ids()...))
}

// tail reads the log from the last place delivered, and sends batches: a line
// waits a moment for others, and a full batch for nobody.
func (f *forwarder) tail(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f.events, f.bytes, f.parts = nil, 0, map[container.Stream]*strings.Builder{}
	type line struct {
		rec  container.Record
		text string
	}
	lines := make(chan line, 1024)
	ended := make(chan error, 1)
	go func() {
		ended <- f.s.Runtime.Tail(ctx, f.container, container.FromConsumed, func(r container.Record) error {
			select {
			case lines <- line{r, string(r.Line)}:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		close(lines)
	}()
	var due <-chan time.Time
	for {
		select {
		case l, ok := <-lines:
			if !ok {
				if err := f.send(ctx); err != nil {
					return err
				}
				return <-ended
			}
			if err := f.add(ctx, l.rec, l.text); err != nil {
				return err
			}
			if due == nil && len(f.events) > 0 {
				due = time.After(batchDelay)
			}
		case <-due:
			due = nil
			if err := f.send(ctx); err != nil {
				return err
			}
		}
	}
}

// add puts a line into the batch; empty lines are no events.
func (f *forwarder) add(ctx context.Context, r container.Record, text string) error {
	if part := f.parts[r.Stream]; r.Partial || part != nil {
		if part == nil {
			part = &strings.Builder{}
			f.parts[r.Stream] = part
		}
		part.WriteString(text)
		if r.Partial && part.Len() < batchBytes/2 {
			return nil
		}
		text = part.String()
		delete(f.parts, r.Stream)
	}
	size := len(text) + eventBytes
	if len(f.events) == batchEvents || f.bytes+size > batchBytes {
		if err := f.send(ctx); err != nil {
			return err
		}
	}
	f.next = r.Next
	if text != "" {
		at := r.Time.UnixMilli()
		f.events = append(f.events, logsapi.InputLogEvent{Timestamp: &at, Message: &text})
		f.bytes += size
	}
	return nil
}

// send delivers the batch, as the execution role, and remembers that it did.
func (f *forwarder) send(ctx context.Context) error {
	if len(f.events) == 0 {
		return nil
	}
	asRole, err := f.s.asRole(ctx, &f.task, f.role)
	if err != nil {
		return err
	}
	_, err = f.s.Logs.PutLogEvents(asRole, &logsapi.PutLogEventsInput{LogGroupName: &f.group, LogStreamName: &f.stream, LogEvents: f.events})
	if err != nil {
		return err
	}
	f.events, f.bytes = nil, 0
	return f.s.Runtime.Consumed(ctx, f.container, f.next)
}
