package rights

import (
	"reflect"
	"testing"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/aws/arn"
	"minato/gateway"
)

// nothing finds nothing.
var nothing = Lookup{
	Definition: func(string) *ecsapi.TaskDefinition { return nil },
	Cluster:    func(*string) *ecsapi.Cluster { return nil },
	Task:       func(_, _ string) *ecsapi.Task { return nil },
}

const prefix = "arn:aws:ecs:us-east-1:000000000000:"

func TestExecuteCommand(t *testing.T) {
	here := nothing
	here.Cluster = func(*string) *ecsapi.Cluster {
		return &ecsapi.Cluster{Tags: []ecsapi.Tag{{Key: aws.Ptr("of"), Value: aws.Ptr("cluster")}}}
	}
	here.Task = func(cluster, text string) *ecsapi.Task {
		if cluster != "chat" || text != "1" {
			return nil
		}
		return &ecsapi.Task{Tags: []ecsapi.Tag{{Key: aws.Ptr("stage"), Value: aws.Ptr("test")}}, Containers: []ecsapi.Container{{Name: aws.Ptr("web")}}}
	}
	keys := func(more ...string) map[string][]string {
		out := map[string][]string{"ecs:cluster": {prefix + "cluster/chat"}, "ecs:task": {prefix + "task/chat/1"}}
		for i := 0; i < len(more); i += 2 {
			out[more[i]] = []string{more[i+1]}
		}
		return out
	}
	check := func(resource string, context map[string][]string) gateway.Check {
		return gateway.Check{Action: "ecs:ExecuteCommand", Resource: prefix + resource, Context: context}
	}
	for _, c := range []struct {
		what string
		look Lookup
		in   ecsapi.ExecuteCommandInput
		want []gateway.Check
	}{
		{"the only container is meant", here, ecsapi.ExecuteCommandInput{Cluster: aws.Ptr("chat"), Task: aws.Ptr("1")}, []gateway.Check{
			check("cluster/chat", keys("ecs:container-name", "web", "aws:ResourceTag/of", "cluster", "ecs:ResourceTag/of", "cluster")),
			check("task/chat/1", keys("ecs:container-name", "web", "aws:ResourceTag/stage", "test", "ecs:ResourceTag/stage", "test")),
		}},
		{"nothing is there", nothing, ecsapi.ExecuteCommandInput{Cluster: aws.Ptr("chat"), Task: aws.Ptr("1"), Container: aws.Ptr("db")}, []gateway.Check{
			check("cluster/chat", keys("ecs:container-name", "db")), check("task/chat/1", keys("ecs:container-name", "db")),
		}},
	} {
		if got := Checks(c.look, arn.In("us-east-1", "000000000000"), ecsapi.Model.Operations["ExecuteCommand"], &c.in); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", c.what, got, c.want)
		}
	}
}

// TestPassRole: RunTask asks for the roles that the task will have.
func TestPassRole(t *testing.T) {
	here := nothing
	here.Definition = func(string) *ecsapi.TaskDefinition {
		return &ecsapi.TaskDefinition{Family: aws.Ptr("web"), Revision: aws.Ptr[int32](3), TaskRoleArn: aws.Ptr("arn:aws:iam::000000000000:role/t"), ExecutionRoleArn: aws.Ptr("e")}
	}
	got := Checks(here, arn.In("us-east-1", "000000000000"), ecsapi.Model.Operations["RunTask"], &ecsapi.RunTaskInput{
		TaskDefinition: aws.Ptr("web"), Overrides: &ecsapi.TaskOverride{TaskRoleArn: aws.Ptr("arn:aws:iam::000000000000:role/other")},
	})
	var asked []string
	for _, c := range got {
		asked = append(asked, c.Action+" "+c.Resource)
	}
	want := []string{"ecs:RunTask " + prefix + "task-definition/web:3", "iam:PassRole arn:aws:iam::000000000000:role/e", "iam:PassRole arn:aws:iam::000000000000:role/other"}
	if !reflect.DeepEqual(asked, want) {
		t.Errorf("asked %q", asked)
	}
}
