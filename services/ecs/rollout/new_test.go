package rollout

import (
	"slices"
	"testing"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/aws/arn"
)

// TestNewRunsSomewhere: a service runs as it asks for, as its cluster does
// unless told otherwise, or not at all.
func TestNewRunsSomewhere(t *testing.T) {
	spot := []ecsapi.CapacityProviderStrategyItem{{CapacityProvider: aws.Ptr("FARGATE_SPOT"), Weight: aws.Ptr[int32](1)}}
	on := func(launchType string) *ecsapi.CreateServiceInput {
		return &ecsapi.CreateServiceInput{LaunchType: &launchType}
	}
	for name, c := range map[string]struct {
		in           *ecsapi.CreateServiceInput
		clusterHas   []ecsapi.CapacityProviderStrategyItem
		compatible   string
		launch, want string // the launch type, or the provider; the error
	}{
		"on Fargate":          {on("FARGATE"), spot, "FARGATE", "FARGATE", ""},
		"as the cluster does": {&ecsapi.CreateServiceInput{}, spot, "FARGATE", "FARGATE_SPOT", ""},
		"by a strategy":       {&ecsapi.CreateServiceInput{CapacityProviderStrategy: spot}, nil, "FARGATE", "FARGATE_SPOT", ""},
		"on EC2 unless told":  {&ecsapi.CreateServiceInput{}, nil, "EC2", "EC2", ""},
		"not what EC2 needs":  {&ecsapi.CreateServiceInput{}, nil, "FARGATE", "", "Task definition does not support launch_type EC2."},
		"not what Fargate is": {on("FARGATE"), nil, "EC2", "", "Task definition does not support launch_type FARGATE."},
		"both":                {&ecsapi.CreateServiceInput{LaunchType: aws.Ptr("FARGATE"), CapacityProviderStrategy: spot}, nil, "FARGATE", "", "Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again."},
		"a platform of EC2":   {&ecsapi.CreateServiceInput{LaunchType: aws.Ptr("EC2"), PlatformVersion: aws.Ptr("LATEST")}, nil, "EC2", "", "The platform version must be null when specifying an EC2 launch type."},
	} {
		cluster := &ecsapi.Cluster{ClusterName: aws.Ptr("port"), CapacityProviders: []string{"FARGATE", "FARGATE_SPOT"}, DefaultCapacityProviderStrategy: c.clusterHas}
		d := &ecsapi.TaskDefinition{Compatibilities: []string{c.compatible}}
		r, err := New(arn.In("us-east-1", "000000000000"), cluster, d, c.in, nil, "me", &time.Time{})
		if c.want != "" {
			if err == nil || aws.AsError(err).Message != c.want {
				t.Errorf("%s: %v, want %q", name, err, c.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := aws.Val(r.LaunchType)
		if got == "" && len(r.CapacityProviderStrategy) > 0 {
			got = *r.CapacityProviderStrategy[0].CapacityProvider
		}
		if got != c.launch {
			t.Errorf("%s: %q, want %q", name, got, c.launch)
		}
	}
}

func TestNew(t *testing.T) {
	in := &ecsapi.CreateServiceInput{
		ServiceName: aws.Ptr("web"), DesiredCount: aws.Ptr[int32](3), LaunchType: aws.Ptr("FARGATE"), LoadBalancers: []ecsapi.LoadBalancer{{TargetGroupArn: aws.Ptr("tg")}},
	}
	r, err := New(arn.In("us-east-1", "000000000000"), &ecsapi.Cluster{ClusterName: aws.Ptr("port")}, &ecsapi.TaskDefinition{Compatibilities: []string{"FARGATE"}}, in, nil, "me", &time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if *r.ServiceArn != "arn:aws:ecs:us-east-1:000000000000:service/port/web" || *r.HealthCheckGracePeriodSeconds != 0 || *r.PlatformVersion != "LATEST" ||
		*r.RoleArn != "arn:aws:iam::000000000000:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS" || *r.AvailabilityZoneRebalancing != "ENABLED" || *r.CreatedBy != "me" {
		t.Errorf("%+v", r.Service)
	}
	if !slices.Equal(r.IDs(), []string{"000000000000", "us-east-1", "port", "web"}) {
		t.Errorf("%v", r.IDs())
	}
}
