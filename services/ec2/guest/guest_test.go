package guest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestHome(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	c := &Config{Dir: filepath.Join(t.TempDir(), "homes")}
	for range 2 { // the second time it is there
		if err := c.MakeHome("i-1"); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(filepath.Join(c.Home("i-1"), "environment"))
	if err != nil || int(info.Sys().(*syscall.Stat_t).Uid) != uidOf("i-1") || uidOf("i-1") < 1<<29 || uidOf("i-1") == uidOf("i-2") {
		t.Errorf("%v %v", info, err)
	}
	// What the guest puts in the place of its folder is not followed.
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(c.Home("i-1"), "environment")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(c.Home("i-1"), "environment")); err != nil {
		t.Fatal(err)
	}
	if err := c.MakeHome("i-1"); err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(outside); info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Error("a file outside was given to the guest")
	}
}

func TestContainer(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	c := &Config{Dir: dir, CA: []byte("OURS"), Endpoint: "http://api", Variables: []string{"A=1"}, Tools: func() (string, error) {
		return Install(filepath.Join(dir, ".tools"), "minato", program)
	}}
	got, err := c.Container("i-1-1", "i-1", "us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	tools := got.Mounts[len(got.Mounts)-1]
	if info, err := os.Stat(filepath.Join(tools.Source, "minato")); err != nil || info.Mode().Perm() != 0o755 || !tools.ReadOnly || tools.Target != toolsDir {
		t.Errorf("tools %+v: %v", tools, err)
	}
	for _, want := range []string{"AWS_ENDPOINT_URL=http://api", "AWS_DEFAULT_REGION=us-east-1", "A=1", "HOME=/home/ec2-user"} {
		if !slices.Contains(got.Env, want) {
			t.Errorf("no %s in %v", want, got.Env)
		}
	}
	for name, want := range map[string]string{"/etc/passwd": "ec2-user:x:", caBundle: "OURS", "/etc/nsswitch.conf": "hosts: files dns"} {
		if !strings.Contains(string(got.Root.Files[name].Content), want) {
			t.Errorf("%s: %s", name, got.Root.Files[name].Content)
		}
	}
	for _, p := range got.Root.Paths {
		if p == "/etc" || p == "/" || strings.HasPrefix(p, "/home") || strings.HasPrefix(p, "/root") || strings.HasPrefix(p, "/var") {
			t.Errorf("the guest sees %s", p)
		}
	}
	// Another program is another directory; the same one is not copied again.
	again, err := c.Tools()
	if err != nil || again != tools.Source {
		t.Errorf("%s %v", again, err)
	}
	if err := os.WriteFile(program, []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	if other, err := c.Tools(); err != nil || other == tools.Source {
		t.Errorf("%s %v", other, err)
	}
}
