package tail

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"minato/aws"
	"minato/aws/api/ecs"
	"minato/aws/api/logs"
)

const (
	one = "0123456789abcdef0123456789abcdef"
	two = "fedcba9876543210fedcba9876543210"
)

// fake has a service web of two tasks in the cluster chat, and a task without log.
type fake struct {
	ecs.API
	running []string
}

func (fake) ListClusters(context.Context, *ecs.ListClustersInput) (*ecs.ListClustersOutput, error) {
	return &ecs.ListClustersOutput{ClusterArns: []string{"arn:aws:ecs:us-east-1:0:cluster/empty", "arn:aws:ecs:us-east-1:0:cluster/chat"}}, nil
}

func (fake) DescribeServices(_ context.Context, in *ecs.DescribeServicesInput) (*ecs.DescribeServicesOutput, error) {
	if *in.Cluster != "chat" || in.Services[0] != "web" {
		return &ecs.DescribeServicesOutput{}, nil
	}
	return &ecs.DescribeServicesOutput{Services: []ecs.Service{{}}}, nil
}

func (f fake) ListTasks(_ context.Context, in *ecs.ListTasksInput) (*ecs.ListTasksOutput, error) {
	if *in.DesiredStatus == ecs.DesiredStatusRunning {
		return &ecs.ListTasksOutput{TaskArns: f.running}, nil
	}
	return &ecs.ListTasksOutput{TaskArns: []string{one}}, nil
}

func (fake) DescribeTasks(_ context.Context, in *ecs.DescribeTasksInput) (*ecs.DescribeTasksOutput, error) {
	out := &ecs.DescribeTasksOutput{}
	if *in.Cluster == "chat" {
		for _, id := range in.Tasks {
			definition := "web"
			if id == strings.Repeat("0", 32) {
				definition = "silent"
			}
			out.Tasks = append(out.Tasks, ecs.Task{TaskArn: aws.Ptr("arn:aws:ecs:us-east-1:0:task/chat/" + id), TaskDefinitionArn: &definition})
		}
	}
	return out, nil
}

func (fake) DescribeTaskDefinition(_ context.Context, in *ecs.DescribeTaskDefinitionInput) (*ecs.DescribeTaskDefinitionOutput, error) {
	c := ecs.ContainerDefinition{Name: aws.Ptr("app")}
	if *in.TaskDefinition == "web" {
		c.LogConfiguration = &ecs.LogConfiguration{LogDriver: aws.Ptr(ecs.LogDriverAwslogs), Options: map[string]string{"awslogs-group": "/web", "awslogs-stream-prefix": "p"}}
	}
	return &ecs.DescribeTaskDefinitionOutput{TaskDefinition: &ecs.TaskDefinition{ContainerDefinitions: []ecs.ContainerDefinition{c}}}, nil
}

// fakeLogs has three lines of the first task and one of the other; a second read
// of a stream finds one more.
type fakeLogs struct{ logs.API }

func (fakeLogs) GetLogEvents(_ context.Context, in *logs.GetLogEventsInput) (*logs.GetLogEventsOutput, error) {
	event := func(at int64, text string) logs.OutputLogEvent {
		return logs.OutputLogEvent{Timestamp: &at, Message: &text}
	}
	out := &logs.GetLogEventsOutput{NextForwardToken: aws.Ptr("f/1")}
	switch {
	case *in.LogGroupName != "/web":
		return nil, aws.Errorf("ResourceNotFoundException", "The specified log group does not exist.")
	case in.NextToken != nil && *in.NextToken == "f/1":
		out.NextForwardToken = aws.Ptr("f/2")
		out.Events = []logs.OutputLogEvent{event(9, "later\n")}
	case in.NextToken != nil:
	case *in.LogStreamName == "p/app/"+one:
		out.Events = []logs.OutputLogEvent{event(1, "a"), event(3, "c"), event(5, "e")}
	case *in.LogStreamName == "p/app/"+two:
		out.Events = []logs.OutputLogEvent{event(4, "d")}
	}
	return out, nil
}

func TestCopy(t *testing.T) {
	for _, c := range []struct {
		name    string
		running []string
		n       int
		want    string
		err     string
	}{
		{"chat/" + one, nil, 10, "a\nc\ne\n", ""},
		{"arn:aws:ecs:us-east-1:0:task/chat/" + one, nil, 2, "c\ne\n", ""},
		{one, nil, 0, "", ""},
		{"web", []string{one, two}, 10, "01234567 app | a\n01234567 app | c\nfedcba98 app | d\n01234567 app | e\n", ""},
		{"arn:aws:ecs:us-east-1:0:service/chat/web", []string{two}, 10, "d\n", ""},
		{"chat/web", nil, 1, "e\n", ""}, // the stopped ones, when none runs
		{"nobody", nil, 1, "", "nothing has that name"},
		{strings.Repeat("0", 32), nil, 1, "", "none of its containers has a logConfiguration"},
	} {
		var b strings.Builder
		err := (&Tail{ECS: fake{running: c.running}, Logs: fakeLogs{}}).Copy(t.Context(), c.name, c.n, false, &b)
		if c.err == "" && (err != nil || b.String() != c.want) || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: %q %v", c.name, b.String(), err)
		}
	}
}

// TestFollow: what comes later is shown too, until the reader leaves.
func TestFollow(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	w := &until{text: "later", done: cancel}
	if err := (&Tail{ECS: fake{running: []string{two}}, Logs: fakeLogs{}}).Copy(ctx, "chat/web", 10, true, w); err != nil {
		t.Fatal(err)
	}
	if w.String() != "d\nlater\n" || !errors.Is(ctx.Err(), context.Canceled) {
		t.Errorf("%q, %v", w.String(), ctx.Err())
	}
}

// until leaves when a text was written.
type until struct {
	strings.Builder
	text string
	done func()
}

func (u *until) Write(b []byte) (int, error) {
	n, err := u.Builder.Write(b)
	if strings.Contains(u.String(), u.text) {
		u.done()
	}
	return n, err
}
