package news

import (
	"context"
	"testing"

	"minato/dataplane/proxy"
)

// TestNews: what changes before it is told is told once, what changes while it is
// told is told again, and nobody needs to listen.
func TestNews(t *testing.T) {
	n := New()
	a, b := proxy.Change{TargetGroup: "a"}, proxy.Change{TargetGroup: "b"}
	told := make(chan proxy.Change)
	n.Subscribe(func(c proxy.Change) { told <- c })
	n.Add(a)
	n.Add(a)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { n.Run(ctx); close(ended) }()
	if c := <-told; c != a {
		t.Fatalf("told %v", c)
	}
	n.Add(b)
	if c := <-told; c != b { // a second a would come before
		t.Fatalf("told %v", c)
	}
	n.Subscribe(nil)
	n.Add(a)
	cancel()
	<-ended
}
