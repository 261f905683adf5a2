package containertest_test

import (
	"testing"

	"minato/dataplane/container"
	"minato/dataplane/container/containertest"
)

func TestMain(m *testing.M) {
	defer containertest.RemoveBinaries()
	m.Run()
}

func TestFake(t *testing.T) {
	f := containertest.NewFake(t)
	s := &containertest.Subject{Runtime: f, Reopen: func(testing.TB) container.Runtime { return f }}
	containertest.Run(t, func(*testing.T) *containertest.Subject { return s })
}
