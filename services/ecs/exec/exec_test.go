package exec

import (
	"context"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	logsapi "minato/aws/api/logs"
	"minato/dataplane/container"
	"minato/gateway/session"
)

var now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func TestArguments(t *testing.T) {
	for text, want := range map[string][]string{
		"/bin/sh":                   {"/bin/sh"},
		`sh -c "echo  'a b' $HOME"`: {"sh", "-c", "echo  'a b' $HOME"},
		`printf %s\ x 'it''s'`:      {"printf", "%s x", "its"},
		"  ls   -l ":                {"ls", "-l"},
		`echo a;ls`:                 {"echo", "a;ls"}, // no shell
		"":                          nil,
		"   ":                       nil,
		`sh -c "never closed`:       nil,
	} {
		got, err := Arguments(text)
		if !slices.Equal(got, want) || (err == nil) != (want != nil) {
			t.Errorf("%q: %q %v", text, got, err)
		}
		if err != nil && !aws.IsCode(err, "InvalidParameterException") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzArguments(f *testing.F) {
	f.Add(`sh -c "echo 'a b' # c"`)
	f.Add("\\")
	f.Fuzz(func(t *testing.T, s string) {
		if args, err := Arguments(s); err == nil && len(args) == 0 {
			t.Error("nothing to run, and no error")
		}
	})
}

func TestContainer(t *testing.T) {
	one := &ecsapi.Task{Containers: []ecsapi.Container{{Name: aws.Ptr("web")}}}
	two := &ecsapi.Task{Containers: []ecsapi.Container{{Name: aws.Ptr("web")}, {Name: aws.Ptr("log")}}}
	for _, c := range []struct {
		task *ecsapi.Task
		name *string
		want string
	}{
		{one, nil, "web"}, {one, aws.Ptr("web"), "web"}, {one, aws.Ptr("other"), ""}, {two, aws.Ptr("log"), "log"}, {two, nil, ""}, {two, aws.Ptr(""), ""},
	} {
		got, err := Container(c.task, c.name)
		if (err == nil) != (c.want != "") || err == nil && *got.Name != c.want {
			t.Errorf("%v in %d: %v %v", aws.Val(c.name), len(c.task.Containers), got, err)
		}
	}
}

// TestAgent follows an agent through its container's life.
func TestAgent(t *testing.T) {
	for _, readOnly := range []bool{false, true} {
		c := &ecsapi.Container{Name: aws.Ptr("web"), LastStatus: aws.Ptr("PENDING"), ManagedAgents: NewAgents()}
		task := &ecsapi.Task{EnableExecuteCommand: aws.Ptr(true), DesiredStatus: aws.Ptr("RUNNING")}
		var seen []string
		for _, status := range []string{"PENDING", "RUNNING", "RUNNING", "STOPPED"} {
			c.LastStatus = aws.Ptr(status)
			shared := c.ManagedAgents
			before := *shared[0].LastStatus
			if ShowAgent(c, readOnly, now) {
				seen = append(seen, *c.ManagedAgents[0].LastStatus)
			}
			if *shared[0].LastStatus != before {
				t.Error("the record that it was copied from is changed too")
			}
			if err := Enterable(task, c); (err == nil) != (status == "RUNNING" && !readOnly) {
				t.Errorf("%s, read-only %v: %v", status, readOnly, err)
			}
		}
		want := []string{"RUNNING", "STOPPED"}
		if readOnly {
			want = want[1:]
		}
		if !slices.Equal(seen, want) || (aws.Val(c.ManagedAgents[0].Reason) != "") != readOnly {
			t.Errorf("read-only %v: %v, %+v", readOnly, seen, c.ManagedAgents)
		}
	}
	if ShowAgent(&ecsapi.Container{LastStatus: aws.Ptr("RUNNING")}, false, now) {
		t.Error("a container without an agent gets one")
	}
}

func TestConfiguration(t *testing.T) {
	cluster := func(logging string, l *ecsapi.ExecuteCommandLogConfiguration) *ecsapi.ClusterConfiguration {
		e := &ecsapi.ExecuteCommandConfiguration{LogConfiguration: l}
		if logging != "" {
			e.Logging = &logging
		}
		return &ecsapi.ClusterConfiguration{ExecuteCommandConfiguration: e}
	}
	group := &ecsapi.ExecuteCommandLogConfiguration{CloudWatchLogGroupName: aws.Ptr("/exec"), CloudWatchEncryptionEnabled: aws.Ptr(false)}
	for _, c := range []struct {
		what   string
		config *ecsapi.ClusterConfiguration
		err    string
		group  string
	}{
		{"nothing", nil, "", "/task"},
		{"an empty one", &ecsapi.ClusterConfiguration{}, "", "/task"},
		{"default", cluster("DEFAULT", nil), "", "/task"},
		{"unset", cluster("", nil), "", "/task"},
		{"none", cluster("NONE", nil), "", ""},
		{"override", cluster("OVERRIDE", group), "", "/exec"},
		{"override with nothing", cluster("OVERRIDE", nil), "logConfiguration is required", ""},
		{"a group without override", cluster("DEFAULT", group), "must be OVERRIDE", ""},
		{"no group", cluster("OVERRIDE", &ecsapi.ExecuteCommandLogConfiguration{}), "must name a CloudWatch log group", ""},
		{"S3", cluster("OVERRIDE", &ecsapi.ExecuteCommandLogConfiguration{S3BucketName: aws.Ptr("b")}), "Amazon S3: not served", ""},
		{"encryption", cluster("OVERRIDE", &ecsapi.ExecuteCommandLogConfiguration{CloudWatchLogGroupName: aws.Ptr("g"), CloudWatchEncryptionEnabled: aws.Ptr(true)}), "cloudWatchEncryptionEnabled: not served", ""},
		{"KMS", &ecsapi.ClusterConfiguration{ExecuteCommandConfiguration: &ecsapi.ExecuteCommandConfiguration{KmsKeyId: aws.Ptr("k")}}, "kmsKeyId: not served", ""},
	} {
		err := CheckConfiguration(c.config)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v", c.what, err)
			}
			continue
		}
		if got := LogGroup(c.config, "/task"); err != nil || got != c.group {
			t.Errorf("%s: %q %v", c.what, got, err)
		}
	}
}

type fakeRuntime struct {
	err  error
	last container.Process
	id   string
}

func (r *fakeRuntime) Exec(_ context.Context, id string, p container.Process, _ container.Stdio) (container.Execution, error) {
	r.id, r.last = id, p
	return nil, r.err
}

func TestStarter(t *testing.T) {
	r := &fakeRuntime{}
	start := Starter(r, "c", []string{"sh"})
	if _, err := start(t.Context(), session.Size{Columns: 100, Rows: 40}, nil, io.Discard); err != nil || r.id != "c" || !r.last.TTY || r.last.Width != 100 || r.last.Height != 40 || r.last.User != "0:0" {
		t.Errorf("%+v %v", r.last, err)
	}
	if _, err := start(t.Context(), session.Size{}, nil, io.Discard); err != nil || r.last.Width != 80 || r.last.Height != 24 {
		t.Errorf("no size: %+v %v", r.last, err)
	}
	r.err = errors.Join(errors.New(container.ErrStart.Error()+`: runc did not terminate successfully: exec failed: unable to start container process: exec: "bash": executable file not found in $PATH`), container.ErrStart)
	_, err := start(t.Context(), session.Size{}, nil, io.Discard)
	if err == nil || !strings.HasPrefix(err.Error(), "\n----------ERROR-------\nUnable to start command: Failed to start pty: exec: \"bash\": executable file not found in $PATH") {
		t.Errorf("%v", err)
	}
}

// logs is a log group that takes everything, or nothing.
type logs struct {
	logsapi.API
	mu     sync.Mutex
	err    error
	stream string
	lines  []string
}

func (l *logs) CreateLogStream(_ context.Context, in *logsapi.CreateLogStreamInput) (*logsapi.CreateLogStreamOutput, error) {
	l.stream = *in.LogGroupName + ":" + *in.LogStreamName
	return &logsapi.CreateLogStreamOutput{}, l.err
}

func (l *logs) PutLogEvents(_ context.Context, in *logsapi.PutLogEventsInput) (*logsapi.PutLogEventsOutput, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range in.LogEvents {
		l.lines = append(l.lines, *e.Message)
	}
	return &logsapi.PutLogEventsOutput{}, nil
}

func TestTranscript(t *testing.T) {
	write := func(l *logs, parts ...string) error {
		tr := &Transcript{Logs: l, Group: "g", Stream: "s", As: func(ctx context.Context) (context.Context, error) { return ctx, nil }, Now: func() time.Time { return now }}
		for _, p := range parts {
			if n, err := tr.Write([]byte(p)); n != len(p) || err != nil {
				t.Fatal(n, err)
			}
		}
		return tr.Close()
	}
	l := &logs{}
	if err := write(l, "$ ec", "ho a\r\na\r\n\r\n", "$ exit"); err != nil || l.stream != "g:s" || !reflect.DeepEqual(l.lines, []string{"$ echo a", "a", "$ exit"}) {
		t.Errorf("%v: %q in %s", err, l.lines, l.stream)
	}
	l = &logs{}
	if err := write(l, strings.Repeat("x", transcriptLine), strings.Repeat("y", 10)+"\n"); err != nil || len(l.lines) != 2 || len(l.lines[0]) != transcriptLine {
		t.Errorf("a long line: %v, %d lines", err, len(l.lines))
	}
	l = &logs{}
	if err := write(l); err != nil || l.stream != "" {
		t.Errorf("a session that nobody entered: %v, %q", err, l.stream)
	}
	refused := ecsapi.AccessDeniedException("no")
	if err := write(&logs{err: refused}, strings.Repeat("line\n", 1000)); !errors.Is(err, refused) {
		t.Errorf("a group that is not open to the task role: %v", err)
	}
}
