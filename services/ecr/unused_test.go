package ecr

import (
	"slices"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"minato/aws"
	ecrapi "minato/aws/api/ecr"
)

// TestLayersOfDeletedImages: what no image has goes a day after that was found,
// unless somebody asks for it meanwhile; what another image has stays.
func TestLayersOfDeletedImages(t *testing.T) {
	w, ctx, chat := open(t), as(t, "admin"), aws.Ptr("chat")
	w.create("chat")
	w.push("chat", "kept", "kept")
	w.push("chat", "one", "one")
	w.push("chat", "two", "two")
	for _, tag := range []string{"one", "two"} {
		if _, err := w.BatchDeleteImage(ctx, &ecrapi.BatchDeleteImageInput{RepositoryName: chat, ImageIds: []ecrapi.ImageIdentifier{{ImageTag: &tag}}}); err != nil {
			t.Fatal(err)
		}
	}
	sweep := func(after time.Duration) (left []string) {
		t.Helper()
		w.clock.Advance(after)
		if err := w.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		all, err := w.blobs.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"{}", "kept", "one", "two"} {
			if slices.ContainsFunc(all, func(l layer) bool { return l.Digest == digest.FromString(name) }) {
				left = append(left, name)
			}
		}
		return left
	}
	all := []string{"{}", "kept", "one", "two"}
	if got := sweep(0); !slices.Equal(got, all) {
		t.Errorf("at once: %q", got)
	}
	if got := sweep(layerKept - time.Hour); !slices.Equal(got, all) {
		t.Errorf("within a day: %q", got)
	}
	// Somebody is about to push an image with one of them.
	if status, _ := w.do(w.token("admin"), "HEAD", "/v2/chat/blobs/"+digest.FromString("two").String(), ""); status != 200 {
		t.Errorf("HEAD: %d", status)
	}
	if got := sweep(2 * time.Hour); !slices.Equal(got, []string{"{}", "kept", "two"}) {
		t.Errorf("after a day: %q", got)
	}
	members, err := (repositories{w.Service}).Members(t.Context())
	if err != nil || members[digest.FromString("one")] || !members[digest.FromString("kept")] {
		t.Errorf("members: %v, %v", members, err)
	}
	w.push("chat", "two", "two")
	if got := sweep(2 * layerKept); !slices.Equal(got, []string{"{}", "kept", "two"}) {
		t.Errorf("pushed again: %q", got)
	}
	if got := sweep(2 * layerKept); !slices.Equal(got, []string{"{}", "kept", "two"}) {
		t.Errorf("and later: %q", got)
	}
}
