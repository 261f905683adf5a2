package reference

import (
	"testing"

	"minato/aws"
)

func TestName(t *testing.T) {
	for text, want := range map[string]string{
		"chat": "chat", "": "",
		"arn:aws:ecs:us-east-1:000000000000:task/chat/0123": "0123",
		"arn:aws:ecs:us-east-1:000000000000:task/0123":      "0123",
		"arn:aws:ecs:us-east-1:000000000000:service/chat/w": "",
		"arn:aws:ec2:us-east-1:000000000000:task/0123":      "",
		"arn:aws:ecs:us-east-1:000000000000:task/chat/":     "",
	} {
		if got, ok := Name("task", text); ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q %v", text, got, ok)
		}
	}
}

func TestCluster(t *testing.T) {
	for text, want := range map[*string]string{
		nil: "default", aws.Ptr("chat"): "chat", aws.Ptr("arn:aws:ecs:us-east-1:000000000000:cluster/chat"): "chat", aws.Ptr("arn:aws:ecs:us-east-1:000000000000:task/chat"): "",
	} {
		if got, err := Cluster(text); (err == nil) != (want != "") || got != want {
			t.Errorf("%v: %q %v", aws.Val(text), got, err)
		}
	}
}

func TestDefinition(t *testing.T) {
	for text, want := range map[string]struct {
		family   string
		revision int32
		ok       bool
	}{
		"web": {"web", 0, true}, "web:3": {"web", 3, true}, "web:0": {"web", 0, false}, "web:x": {"web", 0, false}, "": {"", 0, false}, ":1": {"", 1, false},
		"arn:aws:ecs:us-east-1:000000000000:task-definition/web:3": {"web", 3, true}, "arn:aws:ecs:us-east-1:000000000000:task/web:3": {"", 0, false},
	} {
		if family, revision, ok := Definition(text); family != want.family || revision != want.revision || ok != want.ok {
			t.Errorf("%q: %q %d %v", text, family, revision, ok)
		}
	}
}
