package filesystem

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	ecsapi "minato/aws/api/ecs"
	"minato/services/ecs/failure"
)

func TestMount(t *testing.T) {
	base := t.TempDir()
	outside := t.TempDir()
	const id = "fs-01234567"
	for _, err := range []error{
		os.MkdirAll(filepath.Join(base, id, "data"), 0o755),
		os.WriteFile(filepath.Join(base, id, "file"), nil, 0o644),
		os.Symlink(outside, filepath.Join(base, id, "link")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct{ id, dir, want string }{
		"the root":              {id, "", ""},
		"a directory":           {id, "/data", ""},
		"above the root":        {id, "/../../data", ""},
		"one that begins empty": {"fs-76543210", "/", ""},
		"nobody made it":        {id, "/none", "No such file or directory"},
		"a file":                {id, "/file", "No such file or directory"},
		"a link outside":        {id, "/link", "access denied by server"},
		"no file system's name": {"../" + id, "/", "Failed to resolve"},
	} {
		err := Mount(base, &ecsapi.TaskDefinition{Volumes: []ecsapi.Volume{{}, {EfsVolumeConfiguration: &ecsapi.EFSVolumeConfiguration{FileSystemId: &c.id, RootDirectory: &c.dir}}}})
		var failed *failure.Error
		if c.want == "" && err != nil || c.want != "" && (!errors.As(err, &failed) || !strings.Contains(failed.Reason, c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := os.Stat(filepath.Join(base, "fs-76543210")); err != nil {
		t.Errorf("the new file system is not there: %v", err)
	}
}
