package registrytest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"minato/dataplane/registry"
)

// Suite is what every Repositories must do. open returns one that has the two
// repositories, empty, on the same host.
func Suite(t *testing.T, open func(t *testing.T, a, b registry.Repository) registry.Repositories) {
	a, b := registry.Repository{Host: "localhost", Name: "suite/a"}, registry.Repository{Host: "localhost", Name: "suite/b"}
	d := func(s string) digest.Digest { return digest.FromString(s) }
	manifest := func(s string) registry.Manifest {
		return registry.Manifest{Digest: d(s), MediaType: "application/vnd.oci.image.manifest.v1+json", Size: 7, PushedAt: time.Unix(1700000000, 0).UTC()}
	}
	t.Run("an unknown repository", func(t *testing.T) {
		repos, nowhere := open(t, a, b), registry.Repository{Host: "localhost", Name: "nowhere"}
		wantCode(t, repos.Exists(t.Context(), nowhere), "NAME_UNKNOWN")
		_, err := repos.Blob(t.Context(), nowhere, d("x"))
		wantCode(t, err, "NAME_UNKNOWN", "BLOB_UNKNOWN")
		wantCode(t, repos.PutBlob(t.Context(), nowhere, registry.Blob{Digest: d("x")}), "NAME_UNKNOWN")
		wantCode(t, repos.PutManifest(t.Context(), nowhere, manifest("x"), nil), "NAME_UNKNOWN")
		must(t, repos.Exists(t.Context(), a))
	})
	t.Run("a blob belongs to the repository it was put in", func(t *testing.T) {
		repos := open(t, a, b)
		must(t, repos.PutBlob(t.Context(), a, registry.Blob{Digest: d("x"), Size: 1}))
		must(t, repos.PutBlob(t.Context(), a, registry.Blob{Digest: d("x"), Size: 1}))
		if got, err := repos.Blob(t.Context(), a, d("x")); err != nil || got.Size != 1 {
			t.Errorf("the blob is %v, %v", got, err)
		}
		_, err := repos.Blob(t.Context(), b, d("x"))
		wantCode(t, err, "BLOB_UNKNOWN")
		if holders, err := repos.Holders(t.Context(), "localhost", d("x")); err != nil || !slices.Equal(holders, []registry.Repository{a}) {
			t.Errorf("holders %v, %v", holders, err)
		}
		if members, err := repos.Members(t.Context()); err != nil || !members[d("x")] || members[d("y")] {
			t.Errorf("members %v, %v", members, err)
		}
		must(t, repos.DeleteBlob(t.Context(), a, d("x")))
		wantCode(t, repos.DeleteBlob(t.Context(), a, d("x")), "BLOB_UNKNOWN")
		if members, err := repos.Members(t.Context()); err != nil || members[d("x")] {
			t.Errorf("members after the delete %v, %v", members, err)
		}
	})
	t.Run("tags move, and go with their manifest", func(t *testing.T) {
		repos := open(t, a, b)
		must(t, repos.PutManifest(t.Context(), a, manifest("1"), []string{"latest", "v1"}))
		must(t, repos.PutManifest(t.Context(), a, manifest("2"), []string{"latest"}))
		for ref, want := range map[string]digest.Digest{"latest": d("2"), "v1": d("1"), d("1").String(): d("1")} {
			if got, err := repos.Manifest(t.Context(), a, ref); err != nil || got.Digest != want {
				t.Errorf("%s is %v, %v", ref, got.Digest, err)
			}
		}
		must(t, repos.DeleteTag(t.Context(), a, "latest"))
		wantCode(t, repos.DeleteTag(t.Context(), a, "latest"), "MANIFEST_UNKNOWN")
		if _, err := repos.Manifest(t.Context(), a, d("2").String()); err != nil {
			t.Errorf("the manifest went with its tag: %v", err)
		}
		must(t, repos.DeleteManifest(t.Context(), a, d("1")))
		wantCode(t, repos.DeleteManifest(t.Context(), a, d("1")), "MANIFEST_UNKNOWN")
		_, err := repos.Manifest(t.Context(), a, "v1")
		wantCode(t, err, "MANIFEST_UNKNOWN")
		if tags, err := repos.Tags(t.Context(), a); err != nil || len(tags) != 0 {
			t.Errorf("tags %v, %v", tags, err)
		}
	})
	t.Run("referrers", func(t *testing.T) {
		repos := open(t, a, b)
		signature := manifest("signature")
		signature.Subject, signature.ArtifactType = d("1"), "example/signature"
		must(t, repos.PutManifest(t.Context(), a, signature, nil))
		got, err := repos.Referrers(t.Context(), a, d("1"))
		if err != nil || len(got) != 1 || got[0].ArtifactType != "example/signature" {
			t.Errorf("referrers %v, %v", got, err)
		}
		must(t, repos.DeleteManifest(t.Context(), a, signature.Digest))
		if got, err := repos.Referrers(t.Context(), a, d("1")); err != nil || len(got) != 0 {
			t.Errorf("referrers after the delete %v, %v", got, err)
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, codes ...string) {
	t.Helper()
	var e *registry.Error
	if !errors.As(err, &e) || !slices.Contains(codes, e.Code) {
		t.Errorf("got %v, want %v", err, codes)
	}
}
