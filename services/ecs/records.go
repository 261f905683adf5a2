package ecs

import (
	"slices"
	"strings"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/aws/arn"
)

// clusterRecord is a cluster; its counts are counted when it is shown.
type clusterRecord struct {
	ecsapi.Cluster
}

// familyRecord holds the number of a family's last revision, which is never
// used again.
type familyRecord struct {
	Name     string
	Revision int32
}

// taskDefinitionRecord is a revision of a task definition.
type taskDefinitionRecord struct {
	ecsapi.TaskDefinition
	Tags []ecsapi.Tag
}

// taskRecord is a task. Operations write Stop and ProtectedUntil, everything else that changes
// after RunTask is written by the reconciler.
type taskRecord struct {
	ecsapi.Task

	ID      string
	Cluster string // name
	Place   arn.Place
	// VPC is where the task's interface is to be.
	VPC    *ecsapi.AwsVpcConfiguration
	Subnet taskSubnet
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
	Stop *stopRequest
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

// stopRequest is why a task is to end.
type stopRequest struct {
	Code   string // a TaskStopCode
	Reason string
	At     time.Time
}

// containerOf returns the shown container of a name.
func (t *taskRecord) containerOf(name string) *ecsapi.Container {
	i := slices.IndexFunc(t.Containers, func(c ecsapi.Container) bool { return aws.Val(c.Name) == name })
	if i < 0 {
		return nil
	}
	return &t.Containers[i]
}

// group is the id of the task's group of containers: it holds the task's key, so
// that a change of a container leads to its task. Clusters' names may not be part
// of it: they may be too long.
func (t *taskRecord) group() string { return t.ID + "-" + t.Place.Account + "-" + t.Place.Region }

// keyOfGroup is the key of the task that a group belongs to; ok is false for
// groups of others, such as databases.
func keyOfGroup(group string) (ids []string, ok bool) {
	p := strings.SplitN(group, "-", 3)
	if len(p) != 3 || len(p[0]) != taskIDLength || len(p[1]) != 12 {
		return nil, false
	}
	return []string{p[1], p[2], p[0]}, true
}

// taskIDLength is the number of hexadecimal digits of a task's id.
const taskIDLength = 32

// ids are the parts of the task's key.
func (t *taskRecord) ids() []string { return []string{t.Place.Account, t.Place.Region, t.ID} }
