package explain

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"minato/aws"
	"minato/aws/api/ecs"
	"minato/aws/api/logs"
	"minato/dataplane/network"
)

// errAbsent marks that a thing does not exist.
var errAbsent = errors.New("does not exist")

func absent(kind, name string) error { return fmt.Errorf("%s %s %w", kind, name, errAbsent) }

func isAbsent(err error) bool { return errors.Is(err, errAbsent) }

var taskID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// tasksNamed finds the task of a bare id, in every cluster.
func (x *Explainer) tasksNamed(ctx context.Context, id string) ([]Explanation, error) {
	if !taskID.MatchString(id) {
		return nil, nil
	}
	clusters, err := x.ECS.ListClusters(ctx, &ecs.ListClustersInput{})
	if err != nil {
		return nil, err
	}
	for _, cluster := range clusters.ClusterArns {
		e, err := x.task(ctx, last(cluster), id)
		if isAbsent(err) {
			continue
		}
		return one(e, err)
	}
	return nil, nil
}

// task explains why a task stopped, or does not start.
func (x *Explainer) task(ctx context.Context, cluster, id string) (*Explanation, error) {
	out, err := x.ECS.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &cluster, Tasks: []string{id}})
	if notFound(err) || err == nil && len(out.Tasks) == 0 {
		return nil, absent("task", cluster+"/"+id)
	}
	if err != nil {
		return nil, err
	}
	t := out.Tasks[0]
	e := &Explanation{Subject: aws.Val(t.TaskArn), Kind: "task"}
	status := aws.Val(t.LastStatus)
	for _, c := range t.Containers {
		e.Proof = append(e.Proof, fmt.Sprintf("container %s is %s", aws.Val(c.Name), aws.Val(c.LastStatus)))
	}
	switch {
	case aws.Val(t.StoppedReason) != "" || status == "STOPPED":
		if e.Causes, err = x.taskCauses(ctx, t); err != nil {
			return nil, err
		}
	case status != "RUNNING":
		e.Causes = []Cause{{What: "the task is " + status + " and nothing has failed so far"}}
		if drops, err := x.dropsOf(ctx, t); err != nil {
			return nil, err
		} else if len(drops) > 0 {
			e.Causes = append(e.Causes, drops...)
		}
	}
	return e.conclude("nothing is wrong: the task runs"), nil
}

// healthStop tells whether the scheduler stopped a task for its health.
func healthStop(t ecs.Task) bool {
	return strings.Contains(aws.Val(t.StoppedReason), "health checks")
}

// taskCauses reads a stopped task's reason and looks for what is behind it.
func (x *Explainer) taskCauses(ctx context.Context, t ecs.Task) ([]Cause, error) {
	reason := aws.Val(t.StoppedReason)
	evidence := []string{fmt.Sprintf("task %s stopped: %s", last(aws.Val(t.TaskArn)), reason)}
	for _, c := range t.Containers {
		if r := aws.Val(c.Reason); r != "" && !strings.Contains(reason, r) {
			evidence = append(evidence, fmt.Sprintf("container %s: %s", aws.Val(c.Name), r))
		}
	}
	whole := reason + " " + strings.Join(evidence, " ")
	switch {
	case strings.Contains(whole, "not authorized to perform"):
		return []Cause{denied(whole, evidence)}, nil
	case strings.Contains(whole, "The specified log group does not exist"):
		return x.logGroup(ctx, t, evidence)
	case strings.Contains(whole, "i/o timeout"), strings.Contains(whole, "deadline exceeded"), strings.Contains(whole, "waiting for connection"), strings.Contains(whole, "no route to host"):
		return x.unreachable(ctx, t, evidence)
	case strings.Contains(reason, "CannotPullContainerError"):
		remedy := "compare the image of the task definition with what its registry has"
		if strings.Contains(whole, ".dkr.ecr.") {
			remedy += ": aws ecr describe-images --repository-name REPOSITORY"
		}
		return []Cause{{
			What: "the image cannot be pulled: " + strings.TrimPrefix(reason, "CannotPullContainerError: "), Evidence: evidence, Remedy: []string{remedy},
		}}, nil
	case strings.Contains(whole, "CannotStartContainerError"):
		return []Cause{{
			What: "a container cannot be started: " + cannotStart(t), Evidence: evidence,
			Remedy: []string{"look at the container's command, entry point, user and dependencies: aws ecs describe-task-definition --task-definition " + last(aws.Val(t.TaskDefinitionArn))},
		}}, nil
	case strings.Contains(whole, "OutOfMemory"):
		return []Cause{{
			What: fmt.Sprintf("a container needed more memory than its limit (task memory %s MiB)", aws.Val(t.Memory)), Evidence: evidence,
			Remedy: []string{"register a revision of the task definition with more memory, or let the application need less"},
		}}, nil
	case healthStop(t):
		return []Cause{{
			What: "the task did not pass its load balancer's health checks", Evidence: evidence,
			Remedy: []string{"minato why TARGET-GROUP-ARN, while a task is being checked"},
		}}, nil
	case strings.Contains(reason, "Essential container in task exited"):
		return x.exited(ctx, t, evidence)
	case aws.Val(t.StopCode) == ecs.TaskStopCodeUserInitiated:
		return []Cause{{What: "somebody stopped the task: " + reason, Evidence: evidence}}, nil
	}
	return []Cause{{What: reason, Evidence: evidence}}, nil
}

// cannotStart is why the first container of a task that could not be started
// was not.
func cannotStart(t ecs.Task) string {
	for _, c := range t.Containers {
		if why, ok := strings.CutPrefix(aws.Val(c.Reason), "CannotStartContainerError: "); ok {
			return aws.Val(c.Name) + ": " + why
		}
	}
	return aws.Val(t.StoppedReason)
}

var denial = regexp.MustCompile(`User: (\S+) is not authorized to perform: (\S+) on resource: (\S+)`)

// denied is the cause behind IAM's words.
func denied(text string, evidence []string) Cause {
	m := denial.FindStringSubmatch(text)
	if m == nil {
		return Cause{What: "a right is missing", Evidence: evidence}
	}
	who, action, resource := m[1], m[2], m[3]
	c := Cause{What: fmt.Sprintf("%s may not %s on %s", who, action, resource), Evidence: evidence}
	if parts := strings.Split(who, "/"); strings.Contains(who, ":assumed-role/") && len(parts) > 1 {
		c.Remedy = []string{"aws iam attach-role-policy --role-name " + parts[1] + " --policy-arn arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy, or another policy that allows " + action}
	}
	return c
}

// logGroup is the cause of a missing log group, by its name.
func (x *Explainer) logGroup(ctx context.Context, t ecs.Task, evidence []string) ([]Cause, error) {
	for _, o := range x.logOptions(ctx, t) {
		group := o["awslogs-group"]
		return []Cause{{
			What: "the log group " + group + " does not exist", Evidence: evidence,
			Remedy: []string{"aws logs create-log-group --log-group-name " + group},
		}}, nil
	}
	return []Cause{{What: "the task's log group does not exist", Evidence: evidence}}, nil
}

// logOptions are the awslogs options of the task's containers, by container.
func (x *Explainer) logOptions(ctx context.Context, t ecs.Task) map[string]map[string]string {
	out, err := x.ECS.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: t.TaskDefinitionArn})
	if err != nil || out.TaskDefinition == nil {
		return nil // deleted: then its logs are not found, and nothing is said of them
	}
	options := map[string]map[string]string{}
	for _, c := range out.TaskDefinition.ContainerDefinitions {
		if l := c.LogConfiguration; l != nil && aws.Val(l.LogDriver) == ecs.LogDriverAwslogs {
			options[aws.Val(c.Name)] = l.Options
		}
	}
	return options
}

// unreachable looks for what kept a task from AWS's services.
func (x *Explainer) unreachable(ctx context.Context, t ecs.Task, evidence []string) ([]Cause, error) {
	subnet, public := attachment(t, "subnetId"), attachment(t, "publicIPv4Address") != ""
	var causes []Cause
	if subnet != "" {
		c, err := x.wayOut(ctx, subnet, public)
		if err != nil {
			return nil, err
		}
		if c != nil {
			c.Evidence = append(evidence, c.Evidence...)
			causes = append(causes, *c)
		}
	}
	drops, err := x.dropsOf(ctx, t)
	if err != nil {
		return nil, err
	}
	for _, d := range drops {
		d.Evidence = append(evidence[:len(evidence):len(evidence)], d.Evidence...)
		causes = append(causes, d)
	}
	if len(causes) == 0 {
		causes = []Cause{{What: "the task did not reach what it needed to start; its subnet's routes and its security groups let it now", Evidence: evidence, Remedy: []string{"start it again"}}}
	}
	return causes, nil
}

// attachment is a detail of the task's network interface.
func attachment(t ecs.Task, name string) string {
	for _, a := range t.Attachments {
		for _, d := range a.Details {
			if aws.Val(d.Name) == name {
				return aws.Val(d.Value)
			}
		}
	}
	return ""
}

// dropsOf makes causes of a task's own packets that were dropped.
func (x *Explainer) dropsOf(ctx context.Context, t ecs.Task) ([]Cause, error) {
	eni, addr := attachment(t, "networkInterfaceId"), attachment(t, "privateIPv4Address")
	source, _ := netip.ParseAddr(addr)
	drops, err := x.drops(ctx, func(d network.Drop) bool {
		return d.Reason != network.DropIngress && (d.Interface == eni && eni != "" || d.Source == source && source.IsValid() && d.Interface == "")
	})
	if err != nil {
		return nil, err
	}
	var causes []Cause
	for _, d := range drops {
		c, err := x.blame(ctx, d)
		if err != nil {
			return nil, err
		}
		causes = append(causes, c)
	}
	return causes, nil
}

// exited explains a container that ended by itself: its code, its last lines.
func (x *Explainer) exited(ctx context.Context, t ecs.Task, evidence []string) ([]Cause, error) {
	options := x.logOptions(ctx, t)
	var causes []Cause
	for _, c := range t.Containers {
		if c.ExitCode == nil {
			continue
		}
		cause := Cause{What: fmt.Sprintf("container %s exited with code %d", aws.Val(c.Name), *c.ExitCode), Evidence: evidence}
		lines, err := x.lastLines(ctx, options[aws.Val(c.Name)], aws.Val(c.Name), last(aws.Val(t.TaskArn)))
		if err != nil {
			return nil, err
		}
		cause.Evidence = append(cause.Evidence[:len(cause.Evidence):len(cause.Evidence)], lines...)
		cause.Remedy = []string{"mend what the last lines of its log say"}
		if len(lines) == 0 {
			cause.Remedy = []string{"give the container a logConfiguration with awslogs to see what it says"}
		}
		causes = append(causes, cause)
	}
	return causes, nil
}

// lastLines are the last lines a container wrote to CloudWatch Logs.
func (x *Explainer) lastLines(ctx context.Context, options map[string]string, container, task string) ([]string, error) {
	if options["awslogs-group"] == "" || options["awslogs-stream-prefix"] == "" {
		return nil, nil
	}
	stream := options["awslogs-stream-prefix"] + "/" + container + "/" + task
	out, err := x.Logs.GetLogEvents(ctx, &logs.GetLogEventsInput{LogGroupName: aws.Ptr(options["awslogs-group"]), LogStreamName: &stream, Limit: aws.Ptr(int32(5))})
	if notFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, ev := range out.Events {
		lines = append(lines, "log: "+aws.Val(ev.Message))
	}
	return lines, nil
}
