// Package tail reads the log lines of a service or a task for `minato logs`, and
// follows them. It is a client of the public API: what it shows is what CloudWatch
// Logs has.
package tail

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"minato/aws"
	"minato/aws/api/ecs"
	"minato/aws/api/logs"
)

// pause is the wait between two looks of a tail that follows.
const pause = 500 * time.Millisecond

// Tail finds and reads logs.
type Tail struct {
	ECS  ecs.API
	Logs logs.API
}

// ErrNoLog says that the thing is there and writes nowhere.
var ErrNoLog = errors.New("none of its containers has a logConfiguration with awslogs and a stream prefix")

// stream is where one container of one task writes.
type stream struct {
	group, name     string
	task, container string
	token           *string // behind what was shown
}

// line is one event of a stream.
type line struct {
	at   int64
	from *stream
	text string
}

// Copy writes the last n lines of each container to w, in the order of time, and
// then, if it is to follow, what comes until ctx ends. Where several containers or
// tasks write, each line says whose it is.
func (t *Tail) Copy(ctx context.Context, name string, n int, follow bool, w io.Writer) error {
	streams, err := t.streams(ctx, name)
	if err != nil {
		return err
	}
	many := len(streams) > 1
	var all []line
	for _, s := range streams {
		lines, err := t.read(ctx, s, &logs.GetLogEventsInput{Limit: aws.Ptr(int32(max(n, 1)))})
		if err != nil {
			return err
		}
		all = append(all, lines[max(0, len(lines)-n):]...)
	}
	if err := show(w, all, many); err != nil || !follow {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		found, err := t.streams(ctx, name)
		if err != nil && !errors.Is(err, ErrNoLog) {
			return ended(ctx, err)
		}
		for _, s := range found { // tasks that were started meanwhile
			if !slices.ContainsFunc(streams, func(have *stream) bool { return have.group == s.group && have.name == s.name }) {
				streams = append(streams, s)
			}
		}
		many = many || len(streams) > 1
		all = all[:0]
		for _, s := range streams {
			lines, err := t.read(ctx, s, &logs.GetLogEventsInput{StartFromHead: aws.Ptr(true)})
			if err != nil {
				return ended(ctx, err)
			}
			all = append(all, lines...)
		}
		if err := show(w, all, many); err != nil {
			return err
		}
	}
}

// ended forgives the error of a call that was cut off because the reader left.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func show(w io.Writer, lines []line, many bool) error {
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(a.at, b.at) })
	for _, l := range lines {
		whose := ""
		if many {
			whose = fmt.Sprintf("%.8s %s | ", l.from.task, l.from.container)
		}
		if _, err := fmt.Fprintf(w, "%s%s\n", whose, strings.TrimRight(l.text, "\r\n")); err != nil {
			return err
		}
	}
	return nil
}

// read returns the events of a stream behind what was read before.
func (t *Tail) read(ctx context.Context, s *stream, in *logs.GetLogEventsInput) ([]line, error) {
	in.LogGroupName, in.LogStreamName, in.NextToken = &s.group, &s.name, s.token
	out, err := t.Logs.GetLogEvents(ctx, in)
	if aws.IsCode(err, "ResourceNotFoundException") {
		return nil, nil // it has not been made yet, or was deleted
	}
	if err != nil {
		return nil, err
	}
	s.token = out.NextForwardToken
	var lines []line
	for _, e := range out.Events {
		lines = append(lines, line{aws.Val(e.Timestamp), s, aws.Val(e.Message)})
	}
	return lines, nil
}

var taskID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// streams finds where the tasks that a name means write: a task's ARN or id, or a
// service as ARN, CLUSTER/SERVICE or bare name.
func (t *Tail) streams(ctx context.Context, name string) ([]*stream, error) {
	tasks, err := t.tasks(ctx, name)
	if err != nil {
		return nil, err
	}
	var out []*stream
	definitions := map[string]*ecs.TaskDefinition{}
	for _, task := range tasks {
		arn := aws.Val(task.TaskDefinitionArn)
		if definitions[arn] == nil {
			d, err := t.ECS.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &arn})
			if err != nil {
				return nil, err
			}
			definitions[arn] = d.TaskDefinition
		}
		for _, c := range definitions[arn].ContainerDefinitions {
			if c.LogConfiguration == nil || aws.Val(c.LogConfiguration.LogDriver) != ecs.LogDriverAwslogs || c.LogConfiguration.Options["awslogs-stream-prefix"] == "" {
				continue
			}
			id := last(aws.Val(task.TaskArn))
			out = append(out, &stream{
				group: c.LogConfiguration.Options["awslogs-group"], name: c.LogConfiguration.Options["awslogs-stream-prefix"] + "/" + aws.Val(c.Name) + "/" + id,
				task: id, container: aws.Val(c.Name),
			})
		}
	}
	if len(out) == 0 {
		if len(tasks) == 0 {
			return nil, fmt.Errorf("%s has no tasks, and has had none in the last hour", name)
		}
		return nil, fmt.Errorf("%s: %w", name, ErrNoLog)
	}
	return out, nil
}

// tasks finds the tasks that a name means; of a service those that run, or else
// those that stopped in the last hour.
func (t *Tail) tasks(ctx context.Context, name string) ([]ecs.Task, error) {
	cluster, rest, within := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(resource(name), "service/"), "task/"), "/")
	clusters := []string{cluster}
	if !within {
		rest = cluster
		all, err := t.ECS.ListClusters(ctx, &ecs.ListClustersInput{})
		if err != nil {
			return nil, err
		}
		clusters = all.ClusterArns
	}
	var found []ecs.Task
	var where []string
	for _, c := range clusters {
		tasks, ok, err := t.within(ctx, last(c), rest)
		if err != nil {
			return nil, err
		}
		if ok {
			found, where = tasks, append(where, last(c)+"/"+rest)
		}
	}
	switch len(where) {
	case 0:
		return nil, fmt.Errorf("nothing has that name: %s is no service (CLUSTER/SERVICE) or task here", name)
	case 1:
		return found, nil
	}
	return nil, fmt.Errorf("%s is in several clusters; ask for one of them: %s", name, strings.Join(where, ", "))
}

// within finds a task, or a service's tasks, in one cluster.
func (t *Tail) within(ctx context.Context, cluster, name string) ([]ecs.Task, bool, error) {
	if taskID.MatchString(name) {
		out, err := t.ECS.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &cluster, Tasks: []string{name}})
		if aws.IsCode(err, "ClusterNotFoundException") {
			return nil, false, nil
		}
		if err != nil || len(out.Tasks) == 0 {
			return nil, false, err
		}
		return out.Tasks, true, nil
	}
	services, err := t.ECS.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: &cluster, Services: []string{name}})
	if aws.IsCode(err, "ClusterNotFoundException") || aws.IsCode(err, "InvalidParameterException") {
		return nil, false, nil
	}
	if err != nil || len(services.Services) == 0 {
		return nil, false, err
	}
	for _, status := range []string{ecs.DesiredStatusRunning, ecs.DesiredStatusStopped} {
		list, err := t.ECS.ListTasks(ctx, &ecs.ListTasksInput{Cluster: &cluster, ServiceName: &name, DesiredStatus: &status})
		if err != nil || len(list.TaskArns) == 0 {
			if err != nil && !strings.Contains(aws.AsError(err).Code, "NotFound") {
				return nil, false, err
			}
			continue
		}
		out, err := t.ECS.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &cluster, Tasks: list.TaskArns})
		if err != nil {
			return nil, false, err
		}
		return out.Tasks, true, nil
	}
	return nil, true, nil
}

// resource is the resource of an ARN, or the name as it is.
func resource(name string) string {
	if strings.HasPrefix(name, "arn:") {
		return name[strings.LastIndexByte(name, ':')+1:]
	}
	return name
}

func last(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }
