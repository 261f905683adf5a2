package managed

import (
	"testing"

	"minato/aws/policy"
)

func TestEveryDocumentCompilesAndIsFound(t *testing.T) {
	all := All()
	if len(all) < 40 {
		t.Fatalf("%d policies", len(all))
	}
	for _, p := range all {
		if Get(p.ARN()) != p || p.CreateDate.IsZero() || p.DefaultVersionID == "" {
			t.Errorf("%+v", p)
		}
	}
}

func TestWhatTheWorkshopNeeds(t *testing.T) {
	const prefix = "arn:aws:iam::aws:policy/"
	for _, c := range []struct {
		name, action, resource string
		want                   bool
	}{
		{"AdministratorAccess", "ecs:CreateCluster", "*", true},
		{"PowerUserAccess", "iam:CreateUser", "*", false},
		{"AmazonEC2ContainerRegistryReadOnly", "ecr:GetAuthorizationToken", "*", true},
		{"AmazonEC2ContainerRegistryReadOnly", "ecr:PutImage", "*", false},
		{"AmazonEC2ContainerRegistryPowerUser", "ecr:PutImage", "arn:aws:ecr:us-east-1:000000000000:repository/chat", true},
		{"AmazonEC2ContainerRegistryPowerUser", "ecr:DeleteRepository", "*", false},
		{"service-role/AmazonECSTaskExecutionRolePolicy", "logs:CreateLogStream", "*", true},
		{"service-role/AmazonECSTaskExecutionRolePolicy", "logs:CreateLogGroup", "*", false},
		{"aws-service-role/AmazonECSServiceRolePolicy", "elasticloadbalancing:RegisterTargets", "*", true},
		{"aws-service-role/AmazonECSServiceRolePolicy", "ec2:CreateNetworkInterface", "*", true},
		{"aws-service-role/AmazonECSServiceRolePolicy", "ecr:BatchGetImage", "*", false},
	} {
		p := Get(prefix + c.name)
		if p == nil {
			t.Fatalf("no %s", c.name)
		}
		d := policy.Evaluate(&policy.Set{Identity: []policy.Named{{Name: p.Name, Policy: p.Compiled}}}, &policy.Request{Action: c.action, Resource: c.resource})
		if d.Allowed != c.want {
			t.Errorf("%s on %s: %v", c.name, c.action, d.Allowed)
		}
	}
}
