package arn

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct{ text, service, kind, id, last string }{
		{"arn:aws:ecs:us-east-1:000000000000:task/chat/0123", "ecs", "task", "chat/0123", "0123"},
		{"arn:aws:ecs:us-east-1:000000000000:task-definition/chat:3", "ecs", "task-definition", "chat:3", "3"},
		{"arn:aws:rds:us-east-1:000000000000:db:chat-db", "rds", "db", "chat-db", "chat-db"},
		{"arn:aws:iam::000000000000:role/service-role/x", "iam", "role", "service-role/x", "x"},
		{"arn:aws:iam::000000000000:root", "iam", "root", "", "root"},
		{"arn:aws:logs:us-east-1:000000000000:log-group:/a/b:*", "logs", "log-group", "/a/b:*", "*"},
	} {
		a, ok := Parse(c.text)
		if !ok || a.String() != c.text || a.Service != c.service || a.Kind() != c.kind || a.ID() != c.id || a.Last() != c.last {
			t.Errorf("%s: %v %+v kind %q id %q last %q", c.text, ok, a, a.Kind(), a.ID(), a.Last())
		}
	}
	for _, bad := range []string{"", "arn", "chat", "arn:aws:ecs:us-east-1:000000000000:", "arn:aws:ecs:us-east-1", "urn:aws:ecs:r:a:x"} {
		if a, ok := Parse(bad); ok {
			t.Errorf("%q is taken for %+v", bad, a)
		}
	}
}

func TestBuild(t *testing.T) {
	p := In("us-east-1", "000000000000")
	for got, want := range map[string]string{
		p.ECSService("chat", "web"):               "arn:aws:ecs:us-east-1:000000000000:service/chat/web",
		p.LoadBalancer("app", "chat-alb", "0123"): "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/chat-alb/0123",
		p.Role("/", "x"):                          "arn:aws:iam::000000000000:role/x",
		p.AssumedRole("x", "s"):                   "arn:aws:sts::000000000000:assumed-role/x/s",
		p.LogStream("/chat", "web/chat/1"):        "arn:aws:logs:us-east-1:000000000000:log-group:/chat:log-stream:web/chat/1",
		p.Environment("0123456789abcdef"):         "arn:aws:cloud9:us-east-1:000000000000:environment:0123456789abcdef",
		p.EC2("vpc", "vpc-0123456789abcdef0"):     "arn:aws:ec2:us-east-1:000000000000:vpc/vpc-0123456789abcdef0",
		p.Root():                                  "arn:aws:iam::000000000000:root",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// FuzzParse: an ARN is written as it was read, and its parts are in it.
func FuzzParse(f *testing.F) {
	f.Add("arn:aws:ecs:us-east-1:000000000000:task/chat/0123")
	f.Add("arn:aws:rds:us-east-1:000000000000:db:chat-db")
	f.Add("arn:aws:s3:::bucket/key:with/slashes")
	f.Fuzz(func(t *testing.T, text string) {
		a, ok := Parse(text)
		if !ok {
			return
		}
		if a.String() != text || !Is(text) {
			t.Fatalf("%q is written %q", text, a)
		}
		if !strings.HasPrefix(a.Resource, a.Kind()) || !strings.HasSuffix(a.Resource, a.ID()) || !strings.HasSuffix(a.Resource, a.Last()) {
			t.Fatalf("%q: kind %q, id %q, last %q", a.Resource, a.Kind(), a.ID(), a.Last())
		}
	})
}
