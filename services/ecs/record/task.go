package record

import (
	"slices"
	"strings"
	"time"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	ecsapi "minato/aws/api/ecs"
	"minato/aws/arn"
	"minato/services/ecs/awslogs"
	"minato/services/ecs/life"
	"minato/services/ecs/rollout"
)

// Task is a task. Operations write Stop and ProtectedUntil, everything else that changes
// after RunTask is written by the reconciler.
type Task struct {
	ecsapi.Task

	ID      string
	Cluster string // name
	Place   arn.Place
	// VPC is where the task's interface is to be.
	VPC    *ecsapi.AwsVpcConfiguration
	Subnet rollout.Subnet
	// CredentialsID names the task role's credentials at the metadata endpoint.
	CredentialsID string
	// Request tells the RunTask that a client token belongs to from others.
	Request string
	// Service is when the service was created that started the task, which tells it
	// from others of its name.
	Service time.Time `json:",omitzero"`
	// Digests are the images of containers, by name, that a service's deployment
	// has settled; others are found by their tag.
	Digests map[string]string
	// Stop says that the task is to end.
	Stop *Stop
	// ProtectedUntil is until when neither a lower desired count nor a deployment
	// ends the task.
	ProtectedUntil time.Time

	// ENI is the network interface's id once it was made, Address its private one.
	ENI     string
	Address string
	// Ready says that images are there and log streams made.
	Ready bool
	// ImageVolumes are what the images of containers declare as volumes, by the
	// containers' names.
	ImageVolumes map[string][]string
	// Failed are the containers that could not be started, by name, and why.
	Failed map[string]string
}

// Stop is why a task is to end.
type Stop struct {
	Code   string // a TaskStopCode
	Reason string
	At     time.Time
}

// Container returns the shown container of a name.
func (t *Task) Container(name string) *ecsapi.Container {
	i := slices.IndexFunc(t.Containers, func(c ecsapi.Container) bool { return aws.Val(c.Name) == name })
	if i < 0 {
		return nil
	}
	return &t.Containers[i]
}

// RuntimeGroup is the id of the task's group of containers: it holds the task's key, so
// that a change of a container leads to its task. Clusters' names may not be part
// of it: they may be too long.
func (t *Task) RuntimeGroup() string { return t.ID + "-" + t.Place.Account + "-" + t.Place.Region }

// TaskOfGroup is the key of the task that a group belongs to; ok is false for
// groups of others, such as databases.
func TaskOfGroup(group string) (ids []string, ok bool) {
	p := strings.SplitN(group, "-", 3)
	if len(p) != 3 || len(p[0]) != TaskIDLength || len(p[1]) != 12 {
		return nil, false
	}
	return []string{p[1], p[2], p[0]}, true
}

// TaskIDLength is the number of hexadecimal digits of a task's id.
const TaskIDLength = 32

// IDs are the parts of the task's key.
func (t *Task) IDs() []string { return []string{t.Place.Account, t.Place.Region, t.ID} }

// OfService is the name of the service that the task belongs to; ok is false for
// the others.
func (t *Task) OfService() (name string, ok bool) {
	return strings.CutPrefix(aws.Val(t.Group), rollout.GroupPrefix)
}

// End notes that a task is to end, and why; the first reason counts.
func (t *Task) End(stop Stop) {
	if t.Stop == nil {
		t.Stop = &stop
	}
	t.DesiredStatus = aws.Ptr(life.Stopped)
}

// HostName is "ip-10-0-2-15.us-east-1.compute.internal", as the interface's
// private name says.
func (t *Task) HostName() string {
	for _, d := range t.Attachments[0].Details {
		if aws.Val(d.Name) == "privateDnsName" {
			return aws.Val(d.Value)
		}
	}
	return t.ID
}

// Attach shows a task's interface in its attachment and containers.
func (t *Task) Attach(eni *ec2api.NetworkInterface) {
	t.ENI = *eni.NetworkInterfaceId
	a := &t.Attachments[0]
	a.Status = aws.Ptr("ATTACHED")
	a.Details = []ecsapi.KeyValuePair{
		{Name: aws.Ptr("subnetId"), Value: eni.SubnetId},
		{Name: aws.Ptr("networkInterfaceId"), Value: eni.NetworkInterfaceId},
		{Name: aws.Ptr("macAddress"), Value: eni.MacAddress},
		{Name: aws.Ptr("privateDnsName"), Value: eni.PrivateDnsName},
		{Name: aws.Ptr("privateIPv4Address"), Value: eni.PrivateIpAddress},
	}
	t.Address = aws.Val(eni.PrivateIpAddress)
	for i := range t.Containers {
		t.Containers[i].NetworkInterfaces = []ecsapi.NetworkInterface{{AttachmentId: a.Id, PrivateIpv4Address: eni.PrivateIpAddress}}
	}
}

// TaskRole is the role of the task's own programs, "" for none.
func (t *Task) TaskRole(d *TaskDefinition) string {
	if t.Overrides != nil && t.Overrides.TaskRoleArn != nil {
		return *t.Overrides.TaskRoleArn
	}
	return aws.Val(d.TaskRoleArn)
}

// ExecutionRole is the role under which images and logs are got and sent.
func (t *Task) ExecutionRole(d *TaskDefinition) string {
	if t.Overrides != nil && t.Overrides.ExecutionRoleArn != nil {
		return *t.Overrides.ExecutionRoleArn
	}
	return aws.Val(d.ExecutionRoleArn)
}

// LogStream is a container's log stream: prefix/container/task.
func (t *Task) LogStream(options map[string]string, name string) string {
	if prefix := options[awslogs.OptionStreamPrefix]; prefix != "" {
		return prefix + "/" + name + "/" + t.ID
	}
	return *t.Container(name).RuntimeId
}

// Stopping tells whether a task was told to stop, or stops, or has stopped.
func (t *Task) Stopping() bool {
	switch aws.Val(t.LastStatus) {
	case life.Deactivating, life.Stopping, life.Deprovisioning, life.Stopped:
		return true
	}
	return t.Stop != nil || aws.Val(t.DesiredStatus) == life.Stopped
}

// Seen is a task of a service as its rollouts see it.
func (t *Task) Seen() *rollout.Task {
	out := &rollout.Task{
		ID: t.ID, Deployment: aws.Val(t.StartedBy), Zone: t.Subnet.Zone, Address: t.Address,
		Running: aws.Val(t.LastStatus) == life.Running, Stopping: t.Stopping(),
		Created: aws.Val(t.CreatedAt), Started: aws.Val(t.StartedAt), Ended: aws.Val(t.StoppingAt), Health: aws.Val(t.HealthStatus),
		Protected: t.ProtectedUntil,
	}
	out.ByUser = t.Stop != nil && t.Stop.Code == ecsapi.TaskStopCodeUserInitiated
	if t.StartedAt == nil && aws.Val(t.LastStatus) == life.Stopped && aws.Val(t.StopCode) == ecsapi.TaskStopCodeTaskFailedToStart {
		out.Unstarted = aws.Val(t.StoppedReason)
	}
	if out.Ended.IsZero() {
		out.Ended = aws.Val(t.StoppedAt)
	}
	return out
}
