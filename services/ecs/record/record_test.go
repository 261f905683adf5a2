package record

import (
	"context"
	"regexp"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/services/ecs/life"
	"minato/services/ecs/rollout"
)

var (
	here = arn.In("eu-west-1", "000000000000")
	noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
)

func chat() *TaskDefinition {
	return &TaskDefinition{TaskDefinition: ecsapi.TaskDefinition{
		Family: aws.Ptr("chat"), Revision: aws.Ptr[int32](7), Cpu: aws.Ptr("256"), Memory: aws.Ptr("512"), TaskRoleArn: aws.Ptr("arn:aws:iam::000000000000:role/chat"),
		ContainerDefinitions: []ecsapi.ContainerDefinition{{Name: aws.Ptr("web"), Image: aws.Ptr("nginx"), MemoryReservation: aws.Ptr[int32](64)}, {Name: aws.Ptr("log"), Image: aws.Ptr("busybox")}},
	}}
}

func newChat(r Request) Task {
	r.Cluster, r.Definition, r.Subnet = "port", chat(), rollout.Subnet{ID: "subnet-1", Zone: "eu-west-1a"}
	return NewTask(here, r, &noon)
}

func TestNewTask(t *testing.T) {
	x := newChat(Request{Group: "family:chat", Overrides: &ecsapi.TaskOverride{Cpu: aws.Ptr("1024")}})
	if *x.Cpu != "1024" || *x.Memory != "512" || *x.LastStatus != life.Provisioning || *x.DesiredStatus != life.Running || !x.CreatedAt.Equal(noon) || x.CredentialsID == "" {
		t.Errorf("%+v", x.Task)
	}
	if x.StartedBy != nil || x.CapacityProviderName != nil {
		t.Errorf("what was not said is shown: %v, %v", x.StartedBy, x.CapacityProviderName)
	}
	runtimeID := regexp.MustCompile(`^` + x.ID + `-\d{10}$`)
	for _, c := range x.Containers {
		if !runtimeID.MatchString(*c.RuntimeId) || *c.LastStatus != life.Pending {
			t.Errorf("%s is %s, %s", *c.Name, *c.RuntimeId, *c.LastStatus)
		}
	}
	if web := x.Container("web"); web == nil || *web.MemoryReservation != "64" || web.Memory != nil {
		t.Errorf("web: %+v", web)
	}
	if x.Container("none") != nil {
		t.Error("there is a container that was not defined")
	}
}

// TestGroups: a group of containers leads to its task, and groups of others to none.
func TestGroups(t *testing.T) {
	x := newChat(Request{})
	if ids, ok := TaskOfGroup(x.RuntimeGroup()); !ok || !slices.Equal(ids, x.IDs()) {
		t.Errorf("%s leads to %v, %v", x.RuntimeGroup(), ids, ok)
	}
	for _, other := range []string{"", "i-0123456789abcdef0-1", "db-000000000000-eu-west-1", x.ID, x.ID + "-1-eu-west-1"} {
		if ids, ok := TaskOfGroup(other); ok {
			t.Errorf("%q leads to %v", other, ids)
		}
	}
}

func TestRoles(t *testing.T) {
	d := chat()
	x := newChat(Request{})
	if x.TaskRole(d) != *d.TaskRoleArn || x.ExecutionRole(d) != "" {
		t.Errorf("%q, %q", x.TaskRole(d), x.ExecutionRole(d))
	}
	x = newChat(Request{Overrides: &ecsapi.TaskOverride{TaskRoleArn: aws.Ptr("arn:other"), ExecutionRoleArn: aws.Ptr("arn:execution")}})
	if x.TaskRole(d) != "arn:other" || x.ExecutionRole(d) != "arn:execution" {
		t.Errorf("overrides: %q, %q", x.TaskRole(d), x.ExecutionRole(d))
	}
}

// TestStopping: the first reason counts, and a task that is to end counts as
// stopping before anything of it has stopped.
func TestStopping(t *testing.T) {
	x := newChat(Request{})
	if x.Stopping() || x.Seen().Stopping {
		t.Error("a new task is stopping")
	}
	x.End(Stop{Code: ecsapi.TaskStopCodeUserInitiated, Reason: "enough"})
	x.End(Stop{Code: ecsapi.TaskStopCodeTaskFailedToStart, Reason: "later"})
	if x.Stop.Reason != "enough" || !x.Stopping() || *x.DesiredStatus != life.Stopped {
		t.Errorf("%+v, %v", x.Stop, x.Stopping())
	}
	if seen := x.Seen(); !seen.ByUser || seen.Running {
		t.Errorf("%+v", seen)
	}
}

// TestToken: the same call of the same caller leads to the same ids, any other
// to others.
func TestToken(t *testing.T) {
	as := func(who string) context.Context {
		return identity.With(context.Background(), identity.Caller{PrincipalID: who})
	}
	in := func(token string, count int32) *ecsapi.RunTaskInput {
		return &ecsapi.RunTaskInput{ClientToken: &token, Count: &count}
	}
	rapid.Check(t, func(t *rapid.T) {
		who, cluster, token := rapid.StringMatching(`[a-z/]{1,3}`), rapid.StringMatching(`[a-z]{1,3}`), rapid.StringMatching(`[a-z/]{1,3}`)
		w1, c1, t1 := who.Draw(t, "who"), cluster.Draw(t, "cluster"), token.Draw(t, "token")
		a, err := TokenOf(as(w1), c1, in(t1, 2))
		b, errB := TokenOf(as(w1), c1, in(t1, 2))
		if err != nil || errB != nil || a != b || a.TaskID(0) != b.TaskID(0) || len(a.TaskID(0)) != TaskIDLength || a.TaskID(0) == a.TaskID(1) {
			t.Fatalf("%v, %v; %+v, %+v", err, errB, a, b)
		}
		if other, _ := TokenOf(as(w1), c1, in(t1, 3)); other.Request == a.Request || other.TaskID(0) != a.TaskID(0) {
			t.Fatalf("another request with the token is not told from it: %+v", other)
		}
	})
	if none, err := TokenOf(as("x"), "c", &ecsapi.RunTaskInput{}); err != nil || none.TaskID(0) != "" {
		t.Errorf("without a token: %+v, %v", none, err)
	}
}
