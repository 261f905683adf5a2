package ecs

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
)

// What ECS refuses, in its words.
func TestDefinitionsThatAreRefused(t *testing.T) {
	type in = ecsapi.RegisterTaskDefinitionInput
	c := func(d *in) *ecsapi.ContainerDefinition { return &d.ContainerDefinitions[0] }
	y := newYard(t)
	for _, x := range []struct {
		change func(d *in)
		want   string
	}{
		{func(d *in) { d.Family = aws.Ptr("a b") }, "Family contains invalid characters."},
		{func(d *in) { d.ContainerDefinitions = nil }, "Container list cannot be empty."},
		{func(d *in) { d.Cpu = aws.Ptr("lots") }, "Invalid 'cpu' setting for task. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."},
		{func(d *in) { d.Memory = aws.Ptr("-1") }, "Invalid 'memory' setting for task. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."},
		{func(d *in) { d.Cpu = nil }, "Fargate requires that 'cpu' be defined at the task level."},
		{func(d *in) { d.Memory = nil }, "Fargate requires that 'memory' be defined at the task level."},
		{func(d *in) { d.Memory = aws.Ptr("4096") }, "No Fargate configuration exists for given values."},
		{func(d *in) { d.Cpu = aws.Ptr("300") }, "No Fargate configuration exists for given values."},
		{func(d *in) { d.NetworkMode = aws.Ptr("bridge") }, "Fargate only supports network mode 'awsvpc'."},
		{func(d *in) { d.ExecutionRoleArn = nil }, "Fargate requires task definition to have execution role ARN to support ECR images."},
		{func(d *in) { d.ExecutionRoleArn, c(d).Image = nil, aws.Ptr("nginx") }, "Fargate requires task definition to have execution role ARN to support log driver awslogs."},
		{func(d *in) { c(d).PortMappings[0].HostPort = aws.Ptr[int32](8080) }, "When networkMode=awsvpc, the host ports and container ports in port mappings must match."},
		{func(d *in) { c(d).Name = nil }, "Container.name should not be null or empty."},
		{func(d *in) { c(d).Image = nil }, "Container.image should not be null or empty."},
		{func(d *in) { d.RequiresCompatibilities, d.Memory = nil, nil }, "Invalid setting for container 'chat'. At least one of 'memory' or 'memoryReservation' must be specified."},
		{func(d *in) { delete(c(d).LogConfiguration.Options, "awslogs-group") }, "Log driver awslogs requires options: awslogs-group"},
		{func(d *in) { c(d).Essential = aws.Ptr(false) }, "Task definition doesn't have any essential container."},
		{func(d *in) { c(d).Privileged = aws.Ptr(true) }, "Fargate requires that the 'privileged' setting be 'false'."},
		{func(d *in) {
			c(d).DependsOn = []ecsapi.ContainerDependency{{ContainerName: aws.Ptr("db"), Condition: aws.Ptr("START")}}
		}, "Cannot depend on container db because it does not exist"},
		{func(d *in) { d.Tags = []ecsapi.Tag{{Key: aws.Ptr("aws:x"), Value: aws.Ptr("")}} }, "Some tags contain invalid characters. Valid characters: UTF-8 letters, spaces, numbers and _ . / = + - : @. Tag keys can not start with aws:."},
	} {
		d := chatDefinition()
		x.change(d)
		_, err := y.ecs.RegisterTaskDefinition(y.ctx, d)
		if e := aws.AsError(err); err == nil || e.Message != x.want {
			t.Errorf("%v, want %s", err, x.want)
		}
	}
}

func TestCircularDependencies(t *testing.T) {
	y := newYard(t)
	d := chatDefinition()
	for _, name := range []string{"a", "b"} {
		c := d.ContainerDefinitions[0]
		c.Name = aws.Ptr(name)
		c.DependsOn = []ecsapi.ContainerDependency{{ContainerName: aws.Ptr(map[string]string{"a": "b", "b": "a"}[name]), Condition: aws.Ptr("START")}}
		d.ContainerDefinitions = append(d.ContainerDefinitions, c)
	}
	_, err := y.ecs.RegisterTaskDefinition(y.ctx, d)
	if e := aws.AsError(err); err == nil || e.Message != "Container dependencies must not be circular." {
		t.Errorf("%v", err)
	}
}

func TestRevisions(t *testing.T) {
	y := newYard(t) // it registers chat:1
	for range 11 {
		y.must(second(y.ecs.RegisterTaskDefinition(y.ctx, chatDefinition())))
	}
	latest := func(ref string) int32 {
		t.Helper()
		out, err := y.ecs.DescribeTaskDefinition(y.ctx, &ecsapi.DescribeTaskDefinitionInput{TaskDefinition: &ref})
		y.must(err)
		return *out.TaskDefinition.Revision
	}
	const base = "arn:aws:ecs:us-east-1:000000000000:task-definition/chat"
	if latest("chat") != 12 || latest("chat:3") != 3 || latest(base+":9") != 9 || latest(base) != 12 {
		t.Error("a reference found the wrong revision")
	}
	for _, ref := range []string{"chat:12", base + ":11"} {
		y.must(second(y.ecs.DeregisterTaskDefinition(y.ctx, &ecsapi.DeregisterTaskDefinitionInput{TaskDefinition: &ref})))
	}
	if latest("chat") != 10 || latest("chat:12") != 12 {
		t.Error("inactive revisions are shown by number only")
	}
	y.must(second(y.ecs.RegisterTaskDefinition(y.ctx, chatDefinition())))
	if latest("chat") != 13 {
		t.Error("a revision's number was used again")
	}
	_, err := y.ecs.RunTask(y.ctx, func() *ecsapi.RunTaskInput { in := runInput(); in.TaskDefinition = aws.Ptr("chat:12"); return in }())
	if e := aws.AsError(err); err == nil || e.Message != "TaskDefinition is inactive" {
		t.Errorf("run of an inactive one: %v", err)
	}
	first, err := y.ecs.ListTaskDefinitions(y.ctx, &ecsapi.ListTaskDefinitionsInput{MaxResults: aws.Ptr[int32](6), Sort: aws.Ptr("DESC")})
	y.must(err)
	rest, err := y.ecs.ListTaskDefinitions(y.ctx, &ecsapi.ListTaskDefinitionsInput{NextToken: first.NextToken, Sort: aws.Ptr("DESC")})
	y.must(err)
	all := slices.Concat(first.TaskDefinitionArns, rest.TaskDefinitionArns)
	if len(all) != 11 || all[0] != base+":13" || all[1] != base+":10" || all[10] != base+":1" || rest.NextToken != nil {
		t.Errorf("%v", all)
	}
	deleted, err := y.ecs.DeleteTaskDefinitions(y.ctx, &ecsapi.DeleteTaskDefinitionsInput{TaskDefinitions: []string{"chat:12", "chat:1", "chat:99"}})
	y.must(err)
	if len(deleted.TaskDefinitions) != 1 || *deleted.TaskDefinitions[0].Status != "DELETE_IN_PROGRESS" || len(deleted.Failures) != 2 {
		t.Errorf("%+v", deleted)
	}
}

// What RunTask refuses.
func TestRunsThatAreRefused(t *testing.T) {
	type in = ecsapi.RunTaskInput
	y := newQuay(t)
	y.must(second(y.ecs.RegisterTaskDefinition(y.ctx, chatDefinition())))
	for _, x := range []struct {
		change     func(r *in)
		code, want string
	}{
		{func(r *in) { r.Cluster = aws.Ptr("none") }, "ClusterNotFoundException", "Cluster not found."},
		{func(r *in) { r.TaskDefinition = aws.Ptr("none") }, "ClientException", "TaskDefinition not found."},
		{func(r *in) { r.NetworkConfiguration = nil }, "InvalidParameterException", "Network Configuration must be provided when networkMode 'awsvpc' is specified."},
		{func(r *in) { r.LaunchType = nil }, "InvalidParameterException", "No Container Instances were found in your cluster."},
		{func(r *in) { r.PlatformVersion = aws.Ptr("9.9.9") }, "PlatformUnknownException", "The specified platform does not exist."},
		{func(r *in) { r.Count = aws.Ptr[int32](11) }, "InvalidParameterException", "Count must be between 1 and 10."},
		{func(r *in) { r.NetworkConfiguration.AwsvpcConfiguration.Subnets = []string{"subnet-x"} }, "InvalidParameterException", "Error retrieving subnet information for [subnet-x]: The subnet ID 'subnet-x' does not exist (ErrorCode: InvalidSubnetID.NotFound)"},
		{func(r *in) { r.NetworkConfiguration.AwsvpcConfiguration.SecurityGroups = []string{"sg-x"} }, "InvalidParameterException", "Error retrieving security group information for [sg-x]: The security group 'sg-x' does not exist (ErrorCode: InvalidGroup.NotFound)"},
		{func(r *in) {
			r.Overrides = &ecsapi.TaskOverride{ContainerOverrides: []ecsapi.ContainerOverride{{Name: aws.Ptr("x")}}}
		}, "InvalidParameterException", "Override for container named x is not a container in the TaskDefinition."},
		{func(r *in) {
			r.Overrides = &ecsapi.TaskOverride{ContainerOverrides: []ecsapi.ContainerOverride{{Name: aws.Ptr("chat"), Command: []string{strings.Repeat("x", 8192)}}}}
		}, "InvalidParameterException", "Container Overrides length must be at most 8192"},
		{func(r *in) {
			r.Overrides = &ecsapi.TaskOverride{EphemeralStorage: &ecsapi.EphemeralStorage{SizeInGiB: aws.Ptr[int32](20)}}
		}, "ClientException", "EphemeralStorage size should be at least 21."},
		{func(r *in) { r.Overrides = &ecsapi.TaskOverride{Cpu: aws.Ptr("4096")} }, "ClientException", "No Fargate configuration exists for given values."},
		{func(r *in) { r.StartedBy = aws.Ptr(strings.Repeat("x", 129)) }, "InvalidParameterException", "startedBy must be at most 128 characters long."},
		{func(r *in) {
			r.LaunchType, r.CapacityProviderStrategy = nil, []ecsapi.CapacityProviderStrategyItem{{CapacityProvider: aws.Ptr("mine")}}
		}, "InvalidParameterException", "The specified capacity provider 'mine' was not found. Specify a valid name or ARN and try again."},
	} {
		r := runInput()
		x.change(r)
		_, err := y.ecs.RunTask(y.ctx, r)
		if e := aws.AsError(err); err == nil || e.Code != x.code || e.Message != x.want {
			t.Errorf("%v, want %s", err, x.want)
		}
	}
	y.must(second(y.ecs.DeleteCluster(y.ctx, &ecsapi.DeleteClusterInput{Cluster: aws.Ptr("chat")})))
	_, err := y.ecs.StopTask(y.ctx, &ecsapi.StopTaskInput{Cluster: aws.Ptr("chat"), Task: aws.Ptr("x")})
	if !aws.IsCode(err, "ClusterNotFoundException") {
		t.Errorf("StopTask in a deleted cluster: %v", err)
	}
}

// A client token makes a second RunTask find the first one's tasks.
func TestClientToken(t *testing.T) {
	q := newQuay(t)
	q.must(second(q.ecs.RegisterTaskDefinition(q.ctx, chatDefinition())))
	in := runInput()
	in.ClientToken, in.Count = aws.Ptr("once"), aws.Ptr[int32](2)
	a, err := q.ecs.RunTask(q.ctx, in)
	q.must(err)
	b, err := q.ecs.RunTask(q.ctx, in)
	q.must(err)
	if len(a.Tasks) != 2 || len(b.Tasks) != 2 || !slices.ContainsFunc(b.Tasks, func(t ecsapi.Task) bool { return *t.TaskArn == *a.Tasks[0].TaskArn }) {
		t.Errorf("%d, then %d others", len(a.Tasks), len(b.Tasks))
	}
	in.Count = aws.Ptr[int32](3)
	if _, err := q.ecs.RunTask(q.ctx, in); !aws.IsCode(err, "ConflictException") {
		t.Errorf("another request with the same token: %v", err)
	}
	in.Count, in.ClientToken = aws.Ptr[int32](1), aws.Ptr("at once")
	var arns [8]string
	var calls sync.WaitGroup
	for i := range arns {
		calls.Go(func() {
			if out, err := q.ecs.RunTask(q.ctx, in); err == nil {
				arns[i] = *out.Tasks[0].TaskArn
			}
		})
	}
	calls.Wait()
	if other := slices.IndexFunc(arns[:], func(a string) bool { return a == "" || a != arns[0] }); other >= 0 {
		t.Errorf("at once: %q", arns)
	}
}
