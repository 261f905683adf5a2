package protect

import (
	"slices"
	"strings"
	"testing"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
)

var now = time.Date(2026, 11, 30, 12, 0, 0, 5e8, time.UTC)

func TestUntil(t *testing.T) {
	for _, c := range []struct {
		what    string
		tasks   int
		enabled bool
		minutes *int32
		want    time.Duration
		err     string
	}{
		{"two hours unless said otherwise", 1, true, nil, 2 * time.Hour, ""},
		{"a minute at least", 10, true, aws.Ptr[int32](1), time.Minute, ""},
		{"two days at most", 1, true, aws.Ptr[int32](2880), 48 * time.Hour, ""},
		{"given up", 1, false, nil, 0, ""},
		{"less than a minute", 1, true, aws.Ptr[int32](0), 0, "between 1 and 2880"},
		{"more than two days", 1, false, aws.Ptr[int32](2881), 0, "between 1 and 2880"},
		{"no tasks", 0, true, nil, 0, "cannot be empty"},
		{"too many tasks", 11, true, nil, 0, "more than 10"},
	} {
		got, err := Until(&ecsapi.UpdateTaskProtectionInput{Tasks: slices.Repeat([]string{"t"}, c.tasks), ProtectionEnabled: &c.enabled, ExpiresInMinutes: c.minutes}, now)
		switch {
		case c.err != "":
			if err == nil || !aws.IsCode(err, "InvalidParameterException") || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v", c.what, err)
			}
		case err != nil, c.want == 0 && !got.IsZero(), c.want != 0 && !got.Equal(now.Add(c.want).Truncate(time.Second)):
			t.Errorf("%s: %v %v", c.what, got, err)
		}
	}
	if CheckGet(slices.Repeat([]string{"t"}, 101)) == nil || CheckGet(slices.Repeat([]string{"t"}, 100)) != nil {
		t.Error("the limit of GetTaskProtection is not 100")
	}
}

func TestFailures(t *testing.T) {
	for _, c := range []struct {
		task     Task
		enable   bool
		read, is string
	}{
		{Task{}, true, "MISSING", "MISSING"},
		{Task{Found: true}, false, "TASK_NOT_VALID", "TASK_NOT_VALID"},
		{Task{Found: true, OfService: true, Stopping: true}, true, "TASK_NOT_VALID", "TASK_NOT_VALID"},
		{Task{Found: true, OfService: true, Blocked: true}, true, "", "DEPLOYMENT_BLOCKED"},
		{Task{Found: true, OfService: true, Blocked: true}, false, "", ""},
		{Task{Found: true, OfService: true}, true, "", ""},
	} {
		reason := func(f *ecsapi.Failure) string {
			if f == nil {
				return ""
			}
			return aws.Val(f.Reason)
		}
		if read, is := reason(c.task.Failure("arn")), reason(c.task.Denied("arn", c.enable)); read != c.read || is != c.is {
			t.Errorf("%+v: %q and %q", c, read, is)
		}
	}
}

func TestShown(t *testing.T) {
	if s := Shown("arn", now.Add(time.Minute), now); !*s.ProtectionEnabled || !s.ExpirationDate.Equal(now.Add(time.Minute)) {
		t.Errorf("%+v", s)
	}
	if s := Shown("arn", now, now); *s.ProtectionEnabled || s.ExpirationDate != nil {
		t.Errorf("over: %+v", s)
	}
}

func TestBlocked(t *testing.T) {
	fresh, kept, old := Member{Primary: true, Running: true}, Member{Running: true, Until: now.Add(time.Hour)}, Member{Running: true}
	for _, c := range []struct {
		what    string
		members []Member
		desired int
		want    bool
	}{
		{"nothing runs", nil, 0, false},
		{"steady", []Member{fresh, fresh}, 2, false},
		{"only a protected one is left", []Member{fresh, fresh, kept}, 2, true},
		{"new ones are still to come", []Member{fresh, kept}, 2, false},
		{"others are still to go", []Member{fresh, fresh, kept, old}, 2, false},
	} {
		if Blocked(c.members, c.desired, now) != c.want {
			t.Error(c.what)
		}
	}
}
