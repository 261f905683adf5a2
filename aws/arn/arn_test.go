package arn

import "testing"

func TestParse(t *testing.T) {
	for _, c := range []struct{ in, typ, id, name string }{
		{"arn:aws:iam::000000000000:role/service-role/chat", "role", "service-role/chat", "chat"},
		{"arn:aws:ecs:us-east-1:000000000000:task-definition/web:3", "task-definition", "web:3", "3"},
		{"arn:aws:logs:us-east-1:000000000000:log-group:/ecs/chat", "log-group", "/ecs/chat", "chat"},
		{"arn:aws:s3:::bucket", "", "bucket", "bucket"},
	} {
		a, ok := Parse(c.in)
		if !ok || a.String() != c.in || a.Type() != c.typ || a.ID() != c.id || a.Name() != c.name {
			t.Errorf("%s: %v %q %q %q", c.in, ok, a.Type(), a.ID(), a.Name())
		}
	}
	for _, s := range []string{"", "chat", "arn:aws:iam::0", "arn:aws:iam::000000000000:", "urn:aws:iam::0:x", "arn::iam::0:x"} {
		if _, ok := Parse(s); ok {
			t.Errorf("%q was taken for an ARN", s)
		}
	}
}

func TestBuild(t *testing.T) {
	if got := IAM("000000000000", "user", "/team/", "a").String(); got != "arn:aws:iam::000000000000:user/team/a" {
		t.Error(got)
	}
	if got := AssumedRole("000000000000", "r", "s").String(); got != "arn:aws:sts::000000000000:assumed-role/r/s" {
		t.Error(got)
	}
}
