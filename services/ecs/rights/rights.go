// Package rights is what IAM is asked before ECS's operations: which actions on
// which ARNs, with which condition keys.
package rights

import (
	"strconv"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/aws/arn"
	"minato/gateway"
	"minato/services/ecs/exec"
	"minato/services/ecs/reference"
)

// The services that roles of ECS trust.
const (
	Principal      = "ecs.amazonaws.com"
	TasksPrincipal = "ecs-tasks.amazonaws.com" // roles of tasks
)

// Lookup finds what a call means, for what IAM is asked about it. What is not
// there, or cannot be read, is nil: the operation itself says so.
type Lookup struct {
	Definition func(text string) *ecsapi.TaskDefinition
	Cluster    func(cluster *string) *ecsapi.Cluster
	Task       func(cluster, text string) *ecsapi.Task
}

// Checks lists what IAM is asked before an operation: its action on the ARN that
// AWS names in its service authorization reference, with the cluster as condition
// key, and iam:PassRole for roles that tasks are given.
func Checks(l Lookup, place arn.Place, op *aws.Operation, in any) []gateway.Check {
	q := &question{Lookup: l, place: place, action: op.Action()}
	switch in := in.(type) {
	case *ecsapi.CreateClusterInput:
		name := reference.DefaultCluster
		if in.ClusterName != nil {
			name = *in.ClusterName
		}
		return q.tagged(q.place.ECSCluster(name), nil, in.Tags)
	case *ecsapi.DeleteClusterInput:
		return q.on(q.cluster(in.Cluster), nil)
	case *ecsapi.UpdateClusterInput:
		return q.on(q.cluster(in.Cluster), nil)
	case *ecsapi.UpdateClusterSettingsInput:
		return q.on(q.cluster(in.Cluster), nil)
	case *ecsapi.DescribeClustersInput:
		var out []gateway.Check
		for _, c := range in.Clusters {
			out = append(out, q.on(q.cluster(&c), nil)...)
		}
		if out == nil {
			out = q.on(q.cluster(nil), nil)
		}
		return out
	case *ecsapi.RegisterTaskDefinitionInput:
		out := q.tagged(q.place.ECSTaskDefinition(aws.Val(in.Family), "*"), nil, in.Tags)
		return append(out, q.pass(in.ExecutionRoleArn, in.TaskRoleArn)...)
	case *ecsapi.RunTaskInput:
		return q.runTask(in.Cluster, in.TaskDefinition, in.Overrides, in.Tags)
	case *ecsapi.StartTaskInput:
		return q.runTask(in.Cluster, in.TaskDefinition, in.Overrides, in.Tags)
	case *ecsapi.StopTaskInput:
		return q.on(q.inCluster("task", in.Cluster, in.Task), q.clusterKey(in.Cluster))
	case *ecsapi.DescribeTasksInput:
		return q.eachTask(in.Cluster, in.Tasks)
	case *ecsapi.UpdateTaskProtectionInput:
		return q.eachTask(in.Cluster, in.Tasks)
	case *ecsapi.GetTaskProtectionInput:
		return q.eachTask(in.Cluster, in.Tasks)
	case *ecsapi.ExecuteCommandInput:
		return q.executeCommand(in)
	case *ecsapi.ListTasksInput:
		return q.on("*", q.clusterKey(in.Cluster))
	case *ecsapi.ListServicesInput:
		return q.on("*", q.clusterKey(in.Cluster))
	case *ecsapi.CreateServiceInput:
		return append(q.tagged(q.inCluster("service", in.Cluster, in.ServiceName), q.clusterKey(in.Cluster), in.Tags), q.balancers(in.LoadBalancers)...)
	case *ecsapi.UpdateServiceInput:
		return append(q.on(q.inCluster("service", in.Cluster, in.Service), q.clusterKey(in.Cluster)), q.balancers(in.LoadBalancers)...)
	case *ecsapi.DeleteServiceInput:
		return q.on(q.inCluster("service", in.Cluster, in.Service), q.clusterKey(in.Cluster))
	case *ecsapi.DescribeServicesInput:
		var out []gateway.Check
		for _, name := range in.Services {
			out = append(out, q.on(q.inCluster("service", in.Cluster, &name), q.clusterKey(in.Cluster))...)
		}
		return out
	case *ecsapi.ListServiceDeploymentsInput:
		return q.on(q.inCluster("service", in.Cluster, in.Service), q.clusterKey(in.Cluster))
	case *ecsapi.DescribeServiceDeploymentsInput:
		return q.each(in.ServiceDeploymentArns)
	case *ecsapi.DescribeServiceRevisionsInput:
		return q.each(in.ServiceRevisionArns)
	case *ecsapi.StopServiceDeploymentInput:
		return q.on(aws.Val(in.ServiceDeploymentArn), nil)
	case *ecsapi.ListContainerInstancesInput:
		return q.on(q.cluster(in.Cluster), nil)
	case *ecsapi.PutClusterCapacityProvidersInput:
		return q.on(q.cluster(in.Cluster), nil)
	case *ecsapi.TagResourceInput:
		return q.on(aws.Val(in.ResourceArn), requestTags(nil, in.Tags))
	case *ecsapi.UntagResourceInput:
		return q.on(aws.Val(in.ResourceArn), map[string][]string{"aws:TagKeys": in.TagKeys})
	case *ecsapi.ListTagsForResourceInput:
		return q.on(aws.Val(in.ResourceArn), nil)
	}
	return q.on("*", nil)
}

// question puts the checks of one call together.
type question struct {
	Lookup
	place  arn.Place
	action string
}

func (q *question) on(resource string, keys map[string][]string) []gateway.Check {
	return []gateway.Check{{Action: q.action, Resource: resource, Context: keys}}
}

// each is on for everything that is named.
func (q *question) each(arns []string) []gateway.Check {
	var out []gateway.Check
	for _, a := range arns {
		out = append(out, q.on(a, nil)...)
	}
	return out
}

// tagged is on for what is made with tags: it asks for ecs:TagResource too.
func (q *question) tagged(resource string, keys map[string][]string, tags []ecsapi.Tag) []gateway.Check {
	keys = requestTags(keys, tags)
	out := q.on(resource, keys)
	if len(tags) > 0 {
		out = append(out, gateway.Check{Action: "ecs:TagResource", Resource: resource, Context: keys})
	}
	return out
}

func requestTags(keys map[string][]string, tags []ecsapi.Tag) map[string][]string {
	out := map[string][]string{}
	for k, v := range keys {
		out[k] = v
	}
	for _, t := range tags {
		out["aws:RequestTag/"+aws.Val(t.Key)] = []string{aws.Val(t.Value)}
		out["aws:TagKeys"] = append(out["aws:TagKeys"], aws.Val(t.Key))
	}
	return out
}

func (q *question) cluster(cluster *string) string {
	name, err := reference.Cluster(cluster)
	if err != nil {
		name = aws.Val(cluster)
	}
	return q.place.ECSCluster(name)
}

func (q *question) clusterKey(cluster *string) map[string][]string {
	return map[string][]string{"ecs:cluster": {q.cluster(cluster)}}
}

// inCluster is the ARN of a task or service that is given by name or ARN.
func (q *question) inCluster(kind string, cluster, text *string) string {
	name, ok := reference.Name(kind, aws.Val(text))
	if !ok {
		name = aws.Val(text)
	}
	c, err := reference.Cluster(cluster)
	if err != nil {
		c = aws.Val(cluster)
	}
	return q.place.Of("ecs", kind+"/"+c+"/"+name)
}

// eachTask asks for each of a cluster's tasks that a call names.
func (q *question) eachTask(cluster *string, tasks []string) []gateway.Check {
	var out []gateway.Check
	for _, t := range tasks {
		out = append(out, q.on(q.inCluster("task", cluster, &t), q.clusterKey(cluster))...)
	}
	if out == nil {
		out = q.on("*", q.clusterKey(cluster))
	}
	return out
}

// runTask asks for the task definition, the revision that is meant, and for
// passing its roles or those that override them.
func (q *question) runTask(cluster, definition *string, o *ecsapi.TaskOverride, tags []ecsapi.Tag) []gateway.Check {
	resource := aws.Val(definition)
	var roles []*string
	d := q.Definition(resource)
	switch {
	case d != nil:
		resource = q.place.ECSTaskDefinition(*d.Family, strconv.Itoa(int(*d.Revision)))
		roles = []*string{d.ExecutionRoleArn, d.TaskRoleArn}
		if o != nil && o.ExecutionRoleArn != nil {
			roles[0] = o.ExecutionRoleArn
		}
		if o != nil && o.TaskRoleArn != nil {
			roles[1] = o.TaskRoleArn
		}
	case !arn.Is(resource):
		family, _, _ := reference.Definition(resource)
		resource = q.place.ECSTaskDefinition(family, "*")
	}
	return append(q.tagged(resource, q.clusterKey(cluster), tags), q.pass(roles...)...)
}

// balancers asks whether ECS may be given the roles under which it shifts traffic.
func (q *question) balancers(list []ecsapi.LoadBalancer) (out []gateway.Check) {
	for _, lb := range list {
		if lb.AdvancedConfiguration != nil {
			out = append(out, q.passTo(Principal, lb.AdvancedConfiguration.RoleArn)...)
		}
	}
	return out
}

// pass asks whether roles may be given to tasks.
func (q *question) pass(roles ...*string) []gateway.Check { return q.passTo(TasksPrincipal, roles...) }

// passTo asks whether roles may be given to a service.
func (q *question) passTo(principal string, roles ...*string) []gateway.Check {
	var out []gateway.Check
	for _, role := range roles {
		text := aws.Val(role)
		if text == "" {
			continue
		}
		if !arn.Is(text) {
			text = q.place.Role("/", text)
		}
		out = append(out, gateway.Check{
			Action: "iam:PassRole", Resource: text,
			Context: map[string][]string{"iam:PassedToService": {principal}},
		})
	}
	return out
}

// executeCommand is what IAM is asked before ExecuteCommand: about the cluster
// and about the task, with the container that is meant.
func (q *question) executeCommand(in *ecsapi.ExecuteCommandInput) []gateway.Check {
	keys := q.clusterKey(in.Cluster)
	task := q.inCluster("task", in.Cluster, in.Task)
	keys["ecs:task"] = []string{task}
	name := aws.Val(in.Container)
	taskKeys, clusterKeys := map[string][]string{}, map[string][]string{}
	if cluster, err := reference.Cluster(in.Cluster); err == nil {
		if t := q.Task(cluster, aws.Val(in.Task)); t != nil {
			if c, err := exec.Container(t, in.Container); err == nil {
				name = aws.Val(c.Name)
			}
			taskKeys = resourceTags(t.Tags)
		}
		if c := q.Cluster(in.Cluster); c != nil {
			clusterKeys = resourceTags(c.Tags)
		}
	}
	if name != "" {
		keys["ecs:container-name"] = []string{name}
	}
	for k, v := range keys {
		taskKeys[k], clusterKeys[k] = v, v
	}
	return append(q.on(q.cluster(in.Cluster), clusterKeys), q.on(task, taskKeys)...)
}

// resourceTags are the condition keys of a resource's tags.
func resourceTags(tags []ecsapi.Tag) map[string][]string {
	keys := map[string][]string{}
	for _, t := range tags {
		keys["aws:ResourceTag/"+aws.Val(t.Key)] = []string{aws.Val(t.Value)}
		keys["ecs:ResourceTag/"+aws.Val(t.Key)] = []string{aws.Val(t.Value)}
	}
	return keys
}
