package reference

import (
	"fmt"
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

// FuzzDefinition: a family and a revision that were read are read again from
// their short form.
func FuzzDefinition(f *testing.F) {
	for _, text := range []string{"chat", "chat:7", "arn:aws:ecs:us-east-1:000000000000:task-definition/chat:7", "chat:", ":7", "chat:-1", "chat:99999999999"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		family, revision, ok := Definition(text)
		if !ok {
			return
		}
		if family == "" || revision < 0 {
			t.Fatalf("%q: %q, %d", text, family, revision)
		}
		short := family
		if revision > 0 {
			short = fmt.Sprintf("%s:%d", family, revision)
		}
		if f2, r2, ok := Definition(short); !ok || f2 != family || r2 != revision {
			t.Fatalf("%q is %q, %d; %q is %q, %d, %v", text, family, revision, short, f2, r2, ok)
		}
	})
}
