package view_test

import (
	"encoding/json"
	"testing"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/services/ecs/view"
)

func TestEmptyListsAreShown(t *testing.T) {
	is := func(shown any, want string) {
		t.Helper()
		b, err := json.Marshal(shown)
		if err != nil {
			t.Fatal(err)
		}
		if string(b) != want {
			t.Errorf("shown\n%s, not\n%s", b, want)
		}
	}
	d := ecsapi.TaskDefinition{ContainerDefinitions: []ecsapi.ContainerDefinition{{Name: aws.Ptr("web")}}}
	shown := view.Definition(d)
	if c := shown.ContainerDefinitions[0]; shown.Volumes == nil || shown.PlacementConstraints == nil || c.Environment == nil || c.PortMappings == nil || c.MountPoints == nil || c.VolumesFrom == nil || c.SystemControls == nil {
		t.Errorf("%+v", shown)
	}
	if d.ContainerDefinitions[0].Environment != nil {
		t.Error("the record was changed")
	}

	task := ecsapi.Task{
		Containers: []ecsapi.Container{{Name: aws.Ptr("web")}, {Name: aws.Ptr("side")}},
		Overrides:  &ecsapi.TaskOverride{ContainerOverrides: []ecsapi.ContainerOverride{{Name: aws.Ptr("side"), Command: []string{"x"}}}},
	}
	seen := view.Task(task)
	if o := seen.Overrides.ContainerOverrides; len(o) != 2 || *o[0].Name != "side" || *o[1].Name != "web" || seen.Tags == nil || seen.Containers[0].NetworkBindings == nil {
		t.Errorf("%+v", seen)
	}
	if len(task.Overrides.ContainerOverrides) != 1 || task.Containers[0].NetworkBindings != nil {
		t.Error("the record was changed")
	}

	var c ecsapi.Cluster
	view.Cluster(&c)
	is([]any{c.Tags, c.Settings, c.Statistics, c.CapacityProviders, c.DefaultCapacityProviderStrategy}, `[[],[],[],[],[]]`)
	is(view.Statistics(2, 1, []*ecsapi.Service{
		{Status: aws.Ptr("ACTIVE")}, {Status: aws.Ptr("DRAINING"), LaunchType: aws.Ptr("FARGATE")}, {Status: aws.Ptr("ACTIVE"), LaunchType: aws.Ptr("EC2")}, {Status: aws.Ptr("INACTIVE")},
	})[2:8], `[{"name":"activeEC2ServiceCount","value":"1"},{"name":"drainingEC2ServiceCount","value":"0"},`+
		`{"name":"runningFargateTasksCount","value":"2"},{"name":"pendingFargateTasksCount","value":"1"},`+
		`{"name":"activeFargateServiceCount","value":"1"},{"name":"drainingFargateServiceCount","value":"1"}]`)
	var s ecsapi.Service
	view.Service(&s)
	is([]any{s.LoadBalancers, s.ServiceRegistries, s.PlacementConstraints, s.PlacementStrategy, s.Deployments, s.Events}, `[[],[],[],[],[],[]]`)
}
