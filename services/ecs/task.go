package ecs

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/aws/arn"
	"minato/services/ecs/awsvpc"
	"minato/services/ecs/clusterconfig"
	"minato/services/ecs/definition"
	"minato/services/ecs/deploy"
	"minato/services/ecs/exec"
	"minato/services/ecs/life"
	"minato/services/ecs/listing"
	"minato/services/ecs/record"
	"minato/services/ecs/reference"
	"minato/services/ecs/rollout"
	"minato/services/ecs/serviceconfig"
	"minato/services/ecs/tag"
	"minato/services/ecs/view"
	"minato/store"
)

// Bounds of what RunTask takes.
const (
	maxStartedBy   = 128
	maxReferenceID = 1024
)

// putTask writes the record of a task. The reconciler does the rest.
func (s *Service) putTask(tx *store.Tx, t record.Task) error { return s.tasks.TxPut(tx, t, t.IDs()...) }

// stopTask says that a task is to end; one that is ending is left alone. found
// is false when there is no such task.
func (s *Service) stopTask(tx *store.Tx, p arn.Place, id string, stop record.Stop) (t record.Task, found bool, err error) {
	t, found, err = s.tasks.TxGet(tx, p.Account, p.Region, id)
	if err != nil || !found || t.Stop != nil || aws.Val(t.DesiredStatus) == life.Stopped {
		return t, found, err
	}
	stop.At = *s.now()
	t.Stop = &stop
	t.DesiredStatus = aws.Ptr(life.Stopped)
	return t, true, s.putTask(tx, t)
}

// tasksOf returns all tasks of a cluster, stopped ones too, by id. They are to be
// read only.
func (s *Service) tasksOf(ctx context.Context, cluster string) ([]record.Task, error) {
	p := at(ctx)
	all, err := s.tasks.ReadAll(ctx, p.Account, p.Region)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(t record.Task) bool { return t.Cluster != cluster }), nil
}

// RunTask makes tasks.
func (s *Service) RunTask(ctx context.Context, in *ecsapi.RunTaskInput) (*ecsapi.RunTaskOutput, error) {
	switch {
	case len(aws.Val(in.StartedBy)) > maxStartedBy:
		return nil, ecsapi.InvalidParameterException("startedBy must be at most %d characters long.", maxStartedBy)
	case len(aws.Val(in.ReferenceId)) > maxReferenceID:
		return nil, ecsapi.InvalidParameterException("referenceId must be at most %d characters long.", maxReferenceID)
	case len(in.PlacementConstraints) > 0 || len(in.PlacementStrategy) > 0:
		return nil, invalid("Placement constraints and strategies are not supported for the FARGATE launch type.")
	case len(in.VolumeConfigurations) > 0:
		return nil, notServed("EBS volumes")
	}
	cluster, err := s.cluster(ctx, in.Cluster)
	if err != nil {
		return nil, err
	}
	d, err := s.runnableDefinition(ctx, *in.TaskDefinition)
	if err != nil {
		return nil, err
	}
	count := int32(1)
	if in.Count != nil {
		count = *in.Count
	}
	if count < 1 || count > 10 {
		return nil, ecsapi.InvalidParameterException("Count must be between 1 and 10.")
	}
	strategy, err := clusterconfig.Placement(&cluster.Cluster, &d.TaskDefinition, in.LaunchType, in.CapacityProviderStrategy)
	if err != nil {
		return nil, err
	}
	if _, err := serviceconfig.Platform(in.PlatformVersion); err != nil {
		return nil, err
	}
	if err := tag.Check(in.Tags); err != nil {
		return nil, err
	}
	if err := definition.CheckOverrides(&d.TaskDefinition, in.Overrides); err != nil {
		return nil, err
	}
	if asked := (&record.Task{Task: ecsapi.Task{Overrides: in.Overrides}}); aws.Val(in.EnableExecuteCommand) && asked.TaskRole(&d) == "" {
		return nil, exec.NoRole()
	}
	vpc, subnets, err := awsvpc.Check(own(ctx, at(ctx)), s.EC2, &d.TaskDefinition, in.NetworkConfiguration)
	if err != nil {
		return nil, err
	}
	token, err := record.TokenOf(ctx, *cluster.ClusterName, in)
	if err != nil {
		return nil, err
	}
	group, err := groupOf(in, &d)
	if err != nil {
		return nil, err
	}
	out := &ecsapi.RunTaskOutput{Failures: []ecsapi.Failure{}}
	err = store.Update(ctx, s.Store, func(tx *store.Tx) error {
		if err := s.enter(tx, at(ctx), *cluster.ClusterName); err != nil {
			return err
		}
		var again bool
		if out.Tasks, again, err = s.tasksOfToken(tx, at(ctx), token); err != nil || again {
			return err
		}
		placed := map[string]int{}
		for i := range int(count) {
			provider := deploy.NextProvider(rollout.Shares(strategy), placed)
			placed[provider]++
			t := record.NewTask(at(ctx), record.Request{
				ID: token.TaskID(i), Cluster: *cluster.ClusterName, Definition: &d, VPC: vpc, Subnet: subnets[i%len(subnets)], Group: group,
				StartedBy: aws.Val(in.StartedBy), CapacityProvider: provider, Request: token.Request,
				Overrides: in.Overrides, Tags: tagsOf(in, &cluster, &d), ExecuteCommand: aws.Val(in.EnableExecuteCommand),
			}, s.now())
			if err := s.putTask(tx, t); err != nil {
				return err
			}
			out.Tasks = append(out.Tasks, t.Task)
		}
		return nil
	})
	for i := range out.Tasks {
		out.Tasks[i] = view.Task(out.Tasks[i])
	}
	return out, err
}

// groupOf is the group of RunTask's tasks.
func groupOf(in *ecsapi.RunTaskInput, d *record.TaskDefinition) (string, error) {
	if in.Group == nil {
		return "family:" + *d.Family, nil
	}
	if strings.HasPrefix(*in.Group, rollout.GroupPrefix) { // such a task would count as the service's
		return "", invalid("The group name must not begin with '%s'.", rollout.GroupPrefix)
	}
	return *in.Group, nil
}

// tagsOf are the tags of RunTask's tasks.
func tagsOf(in *ecsapi.RunTaskInput, cluster *record.Cluster, d *record.TaskDefinition) []ecsapi.Tag {
	tags := in.Tags
	if aws.Val(in.PropagateTags) == ecsapi.PropagateTagsTaskDefinition {
		tags = tag.Merge(d.Tags, tags)
	}
	if aws.Val(in.EnableECSManagedTags) {
		tags = tag.Merge(tags, []ecsapi.Tag{{Key: aws.Ptr("aws:ecs:clusterName"), Value: cluster.ClusterName}})
	}
	return tags
}

// StartTask places tasks on container instances, of which there are none.
func (s *Service) StartTask(ctx context.Context, in *ecsapi.StartTaskInput) (*ecsapi.StartTaskOutput, error) {
	if _, err := s.cluster(ctx, in.Cluster); err != nil {
		return nil, err
	}
	if _, err := s.runnableDefinition(ctx, *in.TaskDefinition); err != nil {
		return nil, err
	}
	out := &ecsapi.StartTaskOutput{Tasks: []ecsapi.Task{}}
	for _, ci := range in.ContainerInstances {
		out.Failures = append(out.Failures, ecsapi.Failure{Arn: &ci, Reason: aws.Ptr("MISSING")})
	}
	return out, nil
}

// StopTask ends a task.
func (s *Service) StopTask(ctx context.Context, in *ecsapi.StopTaskInput) (*ecsapi.StopTaskOutput, error) {
	cluster, err := s.cluster(ctx, in.Cluster)
	if err != nil {
		return nil, err
	}
	id, ok := nameOf("task", *in.Task)
	reason := "Task stopped by user"
	if in.Reason != nil {
		reason = *in.Reason
	}
	out := &ecsapi.StopTaskOutput{}
	return out, store.Update(ctx, s.Store, func(tx *store.Tx) error {
		t, found, err := s.stopTask(tx, at(ctx), id, record.Stop{Code: ecsapi.TaskStopCodeUserInitiated, Reason: reason})
		if err != nil {
			return err
		}
		if !ok || !found || t.Cluster != *cluster.ClusterName {
			return ecsapi.InvalidParameterException("The referenced task was not found.")
		}
		if t.Stop != nil && t.StopCode == nil {
			t.StopCode, t.StoppedReason = &t.Stop.Code, &t.Stop.Reason
		}
		out.Task = aws.Ptr(view.Task(t.Task))
		return nil
	})
}

// DescribeTasks shows tasks.
func (s *Service) DescribeTasks(ctx context.Context, in *ecsapi.DescribeTasksInput) (*ecsapi.DescribeTasksOutput, error) {
	cluster, err := s.cluster(ctx, in.Cluster)
	if err != nil {
		return nil, err
	}
	if len(in.Tasks) == 0 {
		return nil, ecsapi.InvalidParameterException("Tasks cannot be empty.")
	}
	if len(in.Tasks) > 100 {
		return nil, ecsapi.InvalidParameterException("Tasks can not have more than 100 elements.")
	}
	p := at(ctx)
	out := &ecsapi.DescribeTasksOutput{Tasks: []ecsapi.Task{}, Failures: []ecsapi.Failure{}}
	for _, text := range in.Tasks {
		id, ok := nameOf("task", text)
		if !ok {
			return nil, ecsapi.InvalidParameterException("Invalid identifier: Identifier is for %s. Your account is %s", text, p.Account)
		}
		t, found, err := s.tasks.Get(ctx, p.Account, p.Region, id)
		if err != nil {
			return nil, err
		}
		if !found || t.Cluster != *cluster.ClusterName {
			out.Failures = append(out.Failures, ecsapi.Failure{Arn: aws.Ptr(p.ECSTask(*cluster.ClusterName, id)), Reason: aws.Ptr("MISSING")})
			continue
		}
		if !slices.Contains(in.Include, "TAGS") {
			t.Tags = nil
		}
		out.Tasks = append(out.Tasks, view.Task(t.Task))
	}
	return out, nil
}

// ListTasks lists the ARNs of tasks that are to run, or have stopped.
func (s *Service) ListTasks(ctx context.Context, in *ecsapi.ListTasksInput) (*ecsapi.ListTasksOutput, error) {
	cluster, err := s.cluster(ctx, in.Cluster)
	if err != nil {
		return nil, err
	}
	all, err := s.tasksOf(ctx, *cluster.ClusterName)
	if err != nil {
		return nil, err
	}
	desired := aws.Val(in.DesiredStatus)
	if desired == "" {
		desired = life.Running
	}
	service := ""
	if in.ServiceName != nil {
		var ok bool
		if service, ok = nameOf("service", *in.ServiceName); !ok {
			return nil, ecsapi.InvalidParameterException("Invalid identifier: %s", *in.ServiceName)
		}
		p := at(ctx)
		if _, found, err := s.services().Get(ctx, p.Account, p.Region, *cluster.ClusterName, service); err != nil || !found {
			return nil, cmp.Or(err, serviceNotFound())
		}
	}
	arns := []string{}
	for i := range all {
		t := &all[i]
		family, _, _ := reference.Definition(*t.TaskDefinitionArn)
		switch {
		case aws.Val(t.DesiredStatus) != desired,
			in.Family != nil && *in.Family != family,
			in.StartedBy != nil && *in.StartedBy != aws.Val(t.StartedBy),
			in.LaunchType != nil && *in.LaunchType != aws.Val(t.LaunchType),
			in.ContainerInstance != nil,
			service != "" && aws.Val(t.Group) != rollout.GroupPrefix+service:
			continue
		}
		arns = append(arns, *t.TaskArn)
	}
	slices.SortFunc(arns, strings.Compare)
	arns, next, err := listing.Page(arns, in.NextToken, in.MaxResults, listing.Most)
	return &ecsapi.ListTasksOutput{TaskArns: arns, NextToken: next}, err
}
