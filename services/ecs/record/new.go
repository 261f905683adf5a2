package record

import (
	"cmp"
	"strconv"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/aws/arn"
	"minato/internal/ids"
	"minato/services/ecs/definition"
	"minato/services/ecs/exec"
	"minato/services/ecs/life"
	"minato/services/ecs/rollout"
	"minato/services/ecs/serviceconfig"
)

// Request is what RunTask and services ask NewTask for.
type Request struct {
	ID         string // "" for a random one
	Cluster    string // name
	Definition *TaskDefinition
	VPC        *ecsapi.AwsVpcConfiguration
	Subnet     rollout.Subnet // the one of VPC's subnets that the task is in
	Group      string         // "family:chat", "service:chat"
	StartedBy  string

	CapacityProvider string // "" for the launch type FARGATE
	Request          string // of a client token
	Overrides        *ecsapi.TaskOverride
	Tags             []ecsapi.Tag
	ExecuteCommand   bool
}

// NewTask makes the record of a task that is to run; it is not written.
func NewTask(p arn.Place, r Request, now *time.Time) Task {
	d := r.Definition
	id := cmp.Or(r.ID, ids.Hex(TaskIDLength))
	taskARN := p.ECSTask(r.Cluster, id)
	t := Task{
		ID: id, Cluster: r.Cluster, Place: p, VPC: r.VPC, Subnet: r.Subnet, Request: r.Request,
		Task: ecsapi.Task{
			TaskArn: &taskARN, ClusterArn: aws.Ptr(p.ECSCluster(r.Cluster)), TaskDefinitionArn: d.TaskDefinitionArn,
			LastStatus: aws.Ptr(life.Provisioning), DesiredStatus: aws.Ptr(life.Running), HealthStatus: aws.Ptr(ecsapi.HealthStatusUnknown),
			LaunchType: aws.Ptr(ecsapi.LaunchTypeFargate), PlatformVersion: aws.Ptr(serviceconfig.PlatformVersion), PlatformFamily: aws.Ptr("Linux"),
			Cpu: d.Cpu, Memory: d.Memory, Group: &r.Group, CreatedAt: now, Version: aws.Ptr(int64(1)), Overrides: r.Overrides,
			EnableExecuteCommand: &r.ExecuteCommand, Tags: r.Tags, AvailabilityZone: aws.Ptr(r.Subnet.Zone),
			EphemeralStorage: &ecsapi.EphemeralStorage{SizeInGiB: aws.Ptr[int32](definition.DefaultStorage)},
			Attachments: []ecsapi.Attachment{{
				Id: aws.Ptr(ids.UUID()), Type: aws.Ptr("ElasticNetworkInterface"), Status: aws.Ptr("PRECREATED"),
				Details: []ecsapi.KeyValuePair{{Name: aws.Ptr("subnetId"), Value: aws.Ptr(r.Subnet.ID)}},
			}},
			Attributes: []ecsapi.Attribute{{Name: aws.Ptr("ecs.cpu-architecture"), Value: aws.Ptr(definition.CPUArchitecture(&d.TaskDefinition))}},
		},
	}
	if d.EphemeralStorage != nil {
		t.EphemeralStorage = d.EphemeralStorage
	}
	if r.CapacityProvider != "" {
		t.CapacityProviderName = &r.CapacityProvider
	}
	if r.StartedBy != "" {
		t.StartedBy = &r.StartedBy
	}
	if o := r.Overrides; o != nil {
		if o.Cpu != nil {
			t.Cpu = o.Cpu
		}
		if o.Memory != nil {
			t.Memory = o.Memory
		}
		if o.EphemeralStorage != nil {
			t.EphemeralStorage = o.EphemeralStorage
		}
	} else {
		t.Overrides = &ecsapi.TaskOverride{}
	}
	if t.TaskRole(d) != "" {
		t.CredentialsID = ids.UUID()
	}
	for i := range d.ContainerDefinitions {
		c := &d.ContainerDefinitions[i]
		shown := ecsapi.Container{
			ContainerArn: aws.Ptr(p.ECSContainer(r.Cluster, id, ids.UUID())), TaskArn: &taskARN, Name: c.Name, Image: c.Image,
			LastStatus: aws.Ptr(life.Pending), HealthStatus: aws.Ptr(ecsapi.HealthStatusUnknown), Cpu: aws.Ptr(strconv.Itoa(int(aws.Val(c.Cpu)))),
			RuntimeId: aws.Ptr(id + "-" + runtimeNumber()),
		}
		if c.Memory != nil {
			shown.Memory = aws.Ptr(strconv.Itoa(int(*c.Memory)))
		}
		if r.ExecuteCommand {
			shown.ManagedAgents = exec.NewAgents()
		}
		if c.MemoryReservation != nil {
			shown.MemoryReservation = aws.Ptr(strconv.Itoa(int(*c.MemoryReservation)))
		}
		t.Containers = append(t.Containers, shown)
	}
	return t
}

// runtimeNumber is what follows a task's id in its containers' runtime ids on
// Fargate: ten digits.
func runtimeNumber() string {
	n, _ := strconv.ParseUint(ids.Hex(12), 16, 64)
	return strconv.FormatUint(1_000_000_000+n%9_000_000_000, 10)
}
