package containerd

import (
	"context"
	"errors"
	"testing"

	"minato/dataplane/container"
	"minato/dataplane/container/containertest"
	"minato/internal/ids"
)

// BenchmarkStart is from Ensure to running, for an image that is unpacked.
func BenchmarkStart(b *testing.B) {
	ctx := context.Background()
	s := open(b, testOptions(b))
	images, err := s.Import(ctx, containertest.Archive(b, nil))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		g := "g" + ids.Hex(8)
		if err := errors.Join(
			s.EnsureGroup(ctx, container.Group{ID: g}),
			s.Ensure(ctx, container.Container{ID: "c" + g, Group: g, Image: images[0].Digest}),
			s.Start(ctx, "c"+g)); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := s.DeleteGroup(ctx, g); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
