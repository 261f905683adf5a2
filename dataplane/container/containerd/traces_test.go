package containerd

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// nothingLeft fails a test after which something of an instance is on the
// machine: files, mounts, cgroups, processes.
func nothingLeft(t testing.TB, o Options) {
	t.Helper()
	for _, dir := range []string{o.DataDir, o.RunDir} {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s is left", dir)
		}
	}
	os.Remove(filepath.Dir(o.RunDir))
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, o.DataDir) || strings.Contains(line, o.RunDir) {
			t.Errorf("a mount is left: %s", line)
		}
	}
	err = filepath.WalkDir("/sys/fs/cgroup", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && strings.Contains(name, o.InstanceID) {
			t.Errorf("a cgroup is left: %s", name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	procs, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range procs {
		b, err := os.ReadFile(p)
		if err == nil && (strings.Contains(string(b), o.RunDir) || strings.Contains(string(b), o.DataDir)) {
			t.Errorf("a process is left: %s", strings.ReplaceAll(string(b), "\x00", " "))
		}
	}
}
