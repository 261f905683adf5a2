package explain

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"minato/aws"
	"minato/aws/api/ecr"
	"minato/aws/api/ecs"
	"minato/aws/api/iam"
	"minato/aws/api/logs"
	"minato/aws/arn"
	"minato/dataplane/network"
	"minato/explain/cause"
)

// lastLinesShown is how many lines of a container's log are shown.
const lastLinesShown = 5

var taskID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// clusters are the names of all clusters.
func (q *inquiry) clusters() ([]string, error) {
	out, err := q.ECS.ListClusters(q.ctx, &ecs.ListClustersInput{})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, arn := range out.ClusterArns {
		names = append(names, last(arn))
	}
	return names, nil
}

var unassumed = regexp.MustCompile(`unable to assume the role '[^']*/([^/']+)'`)

// tasksNamed finds where the task of a bare id may be: in every cluster.
func (q *inquiry) tasksNamed(id string) ([]string, error) {
	if strings.Contains(id, "/") {
		return []string{id}, nil
	}
	if !taskID.MatchString(id) {
		return nil, nil
	}
	clusters, err := q.clusters()
	for i := range clusters {
		clusters[i] += "/" + id
	}
	return clusters, err
}

// taskNamed explains the task of CLUSTER/ID.
func (q *inquiry) taskNamed(name string) (*Explanation, error) {
	cluster, id, _ := strings.Cut(name, "/")
	out, err := q.ECS.DescribeTasks(q.ctx, &ecs.DescribeTasksInput{Cluster: &cluster, Tasks: []string{id}})
	if notFound(err) || err == nil && len(out.Tasks) == 0 {
		return nil, absent("task", name)
	}
	if err != nil {
		return nil, err
	}
	t, err := q.taskSeen(cluster, out.Tasks[0])
	if err != nil {
		return nil, err
	}
	e := &Explanation{Subject: aws.Val(out.Tasks[0].TaskArn), Kind: "task", Name: "task:" + cluster + "/" + t.ID}
	return e.conclude(cause.OfTask(t), "the task runs"), nil
}

// listTasks are a cluster's tasks of a desired status; of one service, if it is named.
func (q *inquiry) listTasks(cluster, service, status string) ([]ecs.Task, error) {
	in := &ecs.ListTasksInput{Cluster: &cluster, DesiredStatus: &status}
	if service != "" {
		in.ServiceName = &service
	}
	var out []ecs.Task
	for {
		list, err := q.ECS.ListTasks(q.ctx, in)
		if notFound(err) {
			return out, nil // gone meanwhile
		}
		if err != nil || len(list.TaskArns) == 0 {
			return out, err
		}
		tasks, err := q.ECS.DescribeTasks(q.ctx, &ecs.DescribeTasksInput{Cluster: &cluster, Tasks: list.TaskArns})
		if err != nil {
			return nil, err
		}
		out = append(out, tasks.Tasks...)
		if in.NextToken = list.NextToken; in.NextToken == nil {
			return out, nil
		}
	}
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

// taskSeen gathers what is known of a task.
func (q *inquiry) taskSeen(cluster string, t ecs.Task) (cause.Task, error) {
	x := cause.Task{
		ID: last(aws.Val(t.TaskArn)), Cluster: cluster, Group: aws.Val(t.Group), StartedBy: aws.Val(t.StartedBy), Definition: last(aws.Val(t.TaskDefinitionArn)),
		Status: aws.Val(t.LastStatus), Reason: aws.Val(t.StoppedReason), Code: aws.Val(t.StopCode), Health: aws.Val(t.HealthStatus), Memory: aws.Val(t.Memory),
		Created: aws.Val(t.CreatedAt), Started: aws.Val(t.StartedAt), Stopped: aws.Val(t.StoppedAt), Subnet: attachment(t, "subnetId"), Address: attachment(t, "privateIPv4Address"), Now: q.now,
	}
	definition, err := q.ECS.DescribeTaskDefinition(q.ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: t.TaskDefinitionArn})
	if err != nil && !aws.IsCode(err, "ClientException") {
		return x, err
	}
	var d ecs.TaskDefinition // deleted: what it said is not known any more
	if err == nil && definition.TaskDefinition != nil {
		d = *definition.TaskDefinition
	}
	for _, c := range t.Containers {
		seen := cause.Container{Name: aws.Val(c.Name), Image: aws.Val(c.Image), Status: aws.Val(c.LastStatus), Reason: aws.Val(c.Reason), Health: aws.Val(c.HealthStatus), Exit: c.ExitCode}
		if i := slices.IndexFunc(d.ContainerDefinitions, func(def ecs.ContainerDefinition) bool { return aws.Val(def.Name) == seen.Name }); i >= 0 {
			if err := q.defined(&seen, &x, d.ContainerDefinitions[i]); err != nil {
				return x, err
			}
		}
		if strings.Contains(x.Reason, "CannotPull") {
			if seen.ImageInfo, err = q.imageInfo(seen.Image); err != nil {
				return x, err
			}
		}
		x.Containers = append(x.Containers, seen)
	}
	if m := unassumed.FindStringSubmatch(x.Reason); m != nil {
		_, err := q.IAM.GetRole(q.ctx, &iam.GetRoleInput{RoleName: &m[1]})
		x.RoleGone = aws.IsCode(err, "NoSuchEntity") || aws.IsCode(err, "NoSuchEntityException")
	}
	if x.Drops, err = q.dropsOf(t, x); err != nil {
		return x, err
	}
	for _, r := range q.Refusals() {
		if strings.HasSuffix(r.Caller, "/"+x.ID) {
			x.Refused = append(x.Refused, cause.Refusal(r))
		}
	}
	if x.Reason != "" && x.Subnet != "" {
		x.Public, err = q.public(t)
		if err == nil {
			x.Way, err = q.wayOut(x.Subnet)
		}
	}
	return x, err
}

// defined adds what the task definition says of a container.
func (q *inquiry) defined(c *cause.Container, t *cause.Task, d ecs.ContainerDefinition) error {
	c.Memory = aws.Val(d.Memory)
	if d.HealthCheck != nil {
		c.HealthCommand = strings.Join(d.HealthCheck.Command, " ")
	}
	if l := d.LogConfiguration; l != nil && aws.Val(l.LogDriver) == ecs.LogDriverAwslogs {
		c.LogGroup = l.Options["awslogs-group"]
		if c.Status != "PENDING" && !strings.HasPrefix(t.Reason, "Scaling activity") {
			var err error
			if c.Lines, err = q.lastLines(l.Options, c.Name, t.ID); err != nil {
				return err
			}
		}
	}
	for _, e := range d.Environment {
		db, err := q.databaseIn(aws.Val(e.Value))
		if err != nil {
			return err
		}
		if db != nil && !slices.ContainsFunc(t.Databases, func(have cause.Database) bool { return have.ID == db.ID }) {
			t.Databases = append(t.Databases, *db)
		}
	}
	return nil
}

// public tells whether a task has, or had, a public address: its service's or its
// own assignPublicIp is not shown, so the attachment's detail counts.
func (q *inquiry) public(t ecs.Task) (bool, error) {
	if attachment(t, "publicIPv4Address") != "" {
		return true, nil
	}
	cluster, name := last(aws.Val(t.ClusterArn)), strings.TrimPrefix(aws.Val(t.Group), "service:")
	if name == aws.Val(t.Group) {
		return false, nil
	}
	out, err := q.ECS.DescribeServices(q.ctx, &ecs.DescribeServicesInput{Cluster: &cluster, Services: []string{name}})
	if notFound(err) || err == nil && len(out.Services) == 0 {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	n := out.Services[0].NetworkConfiguration
	return n != nil && n.AwsvpcConfiguration != nil && aws.Val(n.AwsvpcConfiguration.AssignPublicIp) == ecs.AssignPublicIpEnabled, nil
}

// dropsOf are a task's own packets that were dropped while it lived. What other
// interfaces sent to it is not its doing.
func (q *inquiry) dropsOf(t ecs.Task, x cause.Task) ([]cause.Drop, error) {
	eni := attachment(t, "networkInterfaceId")
	source, err := netip.ParseAddr(x.Address)
	if err != nil {
		return nil, nil // it never had an interface
	}
	vpc, err := q.vpcOf(x.Subnet)
	if err != nil {
		return nil, err
	}
	place, _ := arn.Parse(aws.Val(t.TaskArn))
	from, to := x.Created, x.Stopped
	if to.IsZero() {
		from, to = q.now.Add(-fresh), q.now.Add(time.Minute)
	}
	drops, err := q.drops(func(d network.Drop) bool {
		ours := d.Interface == eni && eni != "" && d.Reason != network.DropIngress || d.Source == source && d.VPC == vpc
		return ours && !d.Last.Before(from.Add(-time.Second)) && d.Last.Before(to.Add(time.Second))
	}, called(x.Reason, place.Region)...)
	return few(drops), err
}

// few keeps one drop of each cause: a program that tries many addresses in vain
// has one route or rule that is missing.
func few(drops []cause.Drop) []cause.Drop {
	seen := map[string]bool{}
	return slices.DeleteFunc(drops, func(d cause.Drop) bool {
		key := string(d.Reason) + d.RouteTable + d.ACL
		if d.Reason == network.DropIngress || d.Reason == network.DropEgress {
			key += strings.Join(d.Groups, ",") + netip.AddrPortFrom(d.Destination, d.Port).String()
		}
		again := seen[key]
		seen[key] = true
		return again
	})
}

// lastLines are the last lines a container wrote to CloudWatch Logs.
func (q *inquiry) lastLines(options map[string]string, container, task string) ([]string, error) {
	if options["awslogs-group"] == "" || options["awslogs-stream-prefix"] == "" {
		return nil, nil
	}
	out, err := q.Logs.GetLogEvents(q.ctx, &logs.GetLogEventsInput{
		LogGroupName: aws.Ptr(options["awslogs-group"]), LogStreamName: aws.Ptr(options["awslogs-stream-prefix"] + "/" + container + "/" + task), Limit: aws.Ptr(int32(lastLinesShown)),
	})
	if notFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, e := range out.Events {
		lines = append(lines, strings.TrimRight(aws.Val(e.Message), "\r\n"))
	}
	return lines, nil
}

var ecrImage = regexp.MustCompile(`^(\d{12})\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com/([^:@]+)(?::([^@]+))?`)

// tagsShown is how many tags of a repository are shown.
const tagsShown = 6

// imageInfo looks at what ECR has of an image; nil for another registry's.
func (q *inquiry) imageInfo(image string) (*cause.Image, error) {
	m := ecrImage.FindStringSubmatch(image)
	if m == nil {
		return nil, nil
	}
	info := &cause.Image{Repository: m[2], Tag: m[3]}
	if info.Tag == "" {
		info.Tag = "latest"
	}
	out, err := q.ECR.DescribeImages(q.ctx, &ecr.DescribeImagesInput{RegistryId: &m[1], RepositoryName: &m[2]})
	if notFound(err) {
		return info, nil
	}
	if err != nil {
		return nil, err
	}
	info.Exists = true
	_, err = q.ECR.DescribeImages(q.ctx, &ecr.DescribeImagesInput{RegistryId: &m[1], RepositoryName: &m[2], ImageIds: []ecr.ImageIdentifier{{ImageTag: &info.Tag}}})
	info.Pushed = err == nil
	if err != nil && !aws.IsCode(err, "ImageNotFoundException") {
		return nil, err
	}
	for _, i := range out.ImageDetails {
		info.Tags = append(info.Tags, i.ImageTags...)
	}
	slices.Sort(info.Tags)
	info.Tags = info.Tags[:min(len(info.Tags), tagsShown)]
	return info, nil
}
