package serviceconfig

import (
	"testing"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
)

func says(t *testing.T, err error, code, text string) {
	t.Helper()
	if text == "" && err == nil {
		return
	}
	if !aws.IsCode(err, code) || aws.AsError(err).Message != text {
		t.Errorf("got  %v\nwant %s: %s", err, code, text)
	}
}

func TestCreate(t *testing.T) {
	for _, c := range []struct {
		change     func(in *ecsapi.CreateServiceInput)
		code, text string
	}{
		{func(*ecsapi.CreateServiceInput) {}, "", ""},
		{func(in *ecsapi.CreateServiceInput) { in.ServiceName = aws.Ptr("a/b") }, "InvalidParameterException", "Invalid identifier: Name must only contain letters, numbers, hyphens, and underscores."},
		{func(in *ecsapi.CreateServiceInput) { in.TaskDefinition = nil }, "InvalidParameterException", "TaskDefinition can not be blank."},
		{func(in *ecsapi.CreateServiceInput) { in.DesiredCount = nil }, "InvalidParameterException", "Desired count can not be blank."},
		{func(in *ecsapi.CreateServiceInput) { in.DesiredCount = aws.Ptr[int32](5001) }, "InvalidParameterException", "Desired count must be less than or equal to 5000."},
		{func(in *ecsapi.CreateServiceInput) { in.SchedulingStrategy = aws.Ptr("DAEMON") }, "InvalidParameterException", "The daemon scheduling strategy is not supported for the FARGATE launch type."},
		{func(in *ecsapi.CreateServiceInput) { in.SchedulingStrategy, in.LaunchType = aws.Ptr("DAEMON"), nil }, "InvalidParameterException", "The daemon scheduling strategy does not support a desired count for services. Remove the desired count value and try again"},
		{func(in *ecsapi.CreateServiceInput) {
			in.DeploymentController = &ecsapi.DeploymentController{Type: aws.Ptr("EXTERNAL")}
		}, "UnsupportedFeatureException", "the deployment controller EXTERNAL: not served by minato"},
		{func(in *ecsapi.CreateServiceInput) { in.Role = aws.Ptr("ecsServiceRole") }, "InvalidParameterException", "You cannot specify an IAM role for services that require a service linked role."},
		{func(in *ecsapi.CreateServiceInput) { in.ServiceRegistries = []ecsapi.ServiceRegistry{{}} }, "UnsupportedFeatureException", "service discovery registries: not served by minato"},
	} {
		in := &ecsapi.CreateServiceInput{ServiceName: aws.Ptr("web"), TaskDefinition: aws.Ptr("web"), DesiredCount: aws.Ptr[int32](1), LaunchType: aws.Ptr("FARGATE")}
		c.change(in)
		says(t, Create(in), c.code, c.text)
	}
}

func TestDeployment(t *testing.T) {
	n := aws.Ptr[int32]
	for _, c := range []struct {
		have, change *ecsapi.DeploymentConfiguration
		daemon       bool
		low, high    int32
		text         string
	}{
		{nil, nil, false, 100, 200, ""},
		{nil, nil, true, 0, 100, ""},
		{&ecsapi.DeploymentConfiguration{MinimumHealthyPercent: n(50), MaximumPercent: n(150)}, &ecsapi.DeploymentConfiguration{MaximumPercent: n(110)}, false, 50, 110, ""},
		{nil, &ecsapi.DeploymentConfiguration{MaximumPercent: n(100)}, false, 0, 0, "Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments."},
		{nil, &ecsapi.DeploymentConfiguration{MaximumPercent: n(201)}, false, 0, 0, "maximumPercent must be between 100 and 200."},
		{nil, &ecsapi.DeploymentConfiguration{MinimumHealthyPercent: n(-1)}, false, 0, 0, "minimumHealthyPercent must be between 0 and 100."},
	} {
		got, err := Deployment(c.have, c.change, c.daemon)
		says(t, err, "InvalidParameterException", c.text)
		if c.text == "" && (*got.MinimumHealthyPercent != c.low || *got.MaximumPercent != c.high || *got.DeploymentCircuitBreaker.Enable || *got.Strategy != "ROLLING") {
			t.Errorf("%+v", got)
		}
	}
}

func TestSameDefinition(t *testing.T) {
	const have = "arn:aws:ecs:us-east-1:000000000000:task-definition/web:7"
	for text, want := range map[string]bool{"web:7": true, have: true, "web:07": true, "web": false, "web:8": false, "x:7": false, "": false} {
		if sameDefinition(text, have) != want {
			t.Errorf("%q: not %v", text, want)
		}
	}
}

func TestStrategy(t *testing.T) {
	item := func(name string, base, weight int32) ecsapi.CapacityProviderStrategyItem {
		return ecsapi.CapacityProviderStrategyItem{CapacityProvider: &name, Base: &base, Weight: &weight}
	}
	has := []string{"FARGATE", "FARGATE_SPOT"}
	says(t, Strategy(has, []ecsapi.CapacityProviderStrategyItem{item("FARGATE", 1, 1), item("FARGATE_SPOT", 0, 3)}), "", "")
	says(t, Strategy(has[:1], []ecsapi.CapacityProviderStrategyItem{item("FARGATE_SPOT", 0, 3)}), "InvalidParameterException", "The specified capacity provider strategy cannot contain a capacity provider that is not associated with the cluster. Associate the capacity provider with the cluster and try again.")
	says(t, Strategy(has, []ecsapi.CapacityProviderStrategyItem{item("FARGATE", 1, 1), item("FARGATE_SPOT", 1, 3)}), "InvalidParameterException", "Only one capacity provider in a capacity provider strategy can have a base defined.")
	says(t, Strategy(has, []ecsapi.CapacityProviderStrategyItem{item("FARGATE", 0, 0), item("FARGATE_SPOT", 0, 0)}), "InvalidParameterException", "At least one capacity provider in a capacity provider strategy must have a weight greater than 0.")
}
