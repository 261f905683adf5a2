package e2e

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"minato/e2e/harness"
)

// upFails starts an instance that cannot start: exit code 1, and a message that
// has every one of the words. Nothing of it may be left on the host.
func upFails(t *testing.T, in *harness.Instance, cmd *exec.Cmd, words ...string) {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("minato up: %v, not exit code 1\n%s", err, out)
	}
	for _, w := range words {
		if !strings.Contains(string(out), w) {
			t.Errorf("minato up does not say %q:\n%s", w, out)
		}
	}
	id, err := in.ID()
	if err != nil {
		return // it did not come as far as having one
	}
	left, err := harness.Leaks(id)
	if err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 {
		t.Errorf("left on the host:\n%s", strings.Join(left, "\n"))
	}
}

func newInstance(t *testing.T) *harness.Instance {
	t.Helper()
	in, err := harness.New(binary(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tearDown(in); err != nil {
			t.Error(err)
		}
		if err := in.Release(); err != nil {
			t.Error(err)
		}
	})
	return in
}

func TestUpPortTaken(t *testing.T) {
	in := newInstance(t)
	l, err := net.Listen("tcp", in.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	upFails(t, in, in.Command("--host-names=false"), in.Listen, "--listen")
}

func TestUpRangeTaken(t *testing.T) {
	in := newInstance(t)
	address := in.ServiceAddress().Next().String()
	if out, err := exec.Command("ip", "address", "add", address+"/32", "dev", "lo").CombinedOutput(); err != nil {
		t.Fatalf("ip address add: %v: %s", err, out)
	}
	defer func() {
		if out, err := exec.Command("ip", "address", "del", address+"/32", "dev", "lo").CombinedOutput(); err != nil {
			t.Errorf("ip address del: %v: %s", err, out)
		}
	}()
	upFails(t, in, in.Command("--host-names=false"), address, in.CIDR, "--public-cidr")
}

// TestUpWithoutRunc has a PATH in which everything but runc is found.
func TestUpWithoutRunc(t *testing.T) {
	in := newInstance(t)
	path := t.TempDir()
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue // a folder of PATH that is not there
		}
		for _, e := range entries {
			if e.Name() == "runc" || e.Name() == "crun" {
				continue
			}
			os.Symlink(filepath.Join(dir, e.Name()), filepath.Join(path, e.Name())) // the first of a name wins
		}
	}
	cmd := in.Command("--host-names=false")
	cmd.Env = append(cmd.Env, "PATH="+path)
	upFails(t, in, cmd, "runc", "apt")
}

// TestUpNotRoot starts it as nobody.
func TestUpNotRoot(t *testing.T) {
	in := newInstance(t)
	// The program and its data must be where nobody may look.
	dir, err := os.MkdirTemp("", "minato-nobody")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(binary())
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "minato")
	if err := os.WriteFile(program, b, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "up", "-d", "--data-dir", filepath.Join(dir, "data"), "--listen", in.Listen, "--public-cidr", in.CIDR)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	upFails(t, in, cmd, "root")
}

// TestUpDiskFull has its data on a file system with no room.
func TestUpDiskFull(t *testing.T) {
	in := newInstance(t)
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=2m"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	}()
	in.DataDir = filepath.Join(disk, "data")
	upFails(t, in, in.Command("--host-names=false"), in.DataDir)
	if err := tearDown(in); err != nil {
		t.Error(err)
	}
}

// TestKilled kills daemon and containerd while calls are being answered: what
// was answered with success is there afterwards, and what ran still runs.
func TestKilled(t *testing.T) {
	in := newInstance(t)
	if err := in.Up("--host-names=false"); err != nil {
		t.Fatal(err)
	}
	made := make(chan string, 1000)
	go func() {
		defer close(made)
		for n := range 1000 {
			name := "g" + strings.Repeat("x", n%100) + time.Now().Format("150405.000000000")
			if _, err := in.AWS("logs", "create-log-group", "--log-group-name", name); err != nil {
				return // the daemon is dead
			}
			made <- name
		}
	}()
	acknowledged := []string{<-made, <-made, <-made}
	for _, pid := range processes(t, in, "daemon", "containerd") {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	for name := range made {
		acknowledged = append(acknowledged, name)
	}
	if err := in.Up("--host-names=false"); err != nil {
		t.Fatal(err)
	}
	out, err := in.AWS("logs", "describe-log-groups", "--query", "logGroups[].logGroupName", "--output", "text")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range acknowledged {
		if !strings.Contains(string(out), name) {
			t.Errorf("the log group %s was acknowledged and is lost", name)
		}
	}
}

// TestDownHung stops a daemon in the middle of all it does, as a fault of ours
// would: down ends what it runs without it.
func TestDownHung(t *testing.T) {
	in := newInstance(t)
	if err := in.Up("--host-names=false"); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(processes(t, in, "daemon")[0], syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(in.Binary, "down", "--purge", "--data-dir", in.DataDir).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "nothing of it is left") {
		t.Errorf("minato down --purge: %v\n%s", err, out)
	}
}

// processes lists the pids of an instance's processes of some roles.
func processes(t *testing.T, in *harness.Instance, roles ...string) []int {
	t.Helper()
	out, err := exec.Command(in.Binary, "status", "-o", "json", "--data-dir", in.DataDir).Output()
	if err != nil {
		t.Fatal(err)
	}
	var status struct {
		Processes []struct {
			Role string `json:"role"`
			PID  int    `json:"pid"`
		} `json:"processes"`
	}
	if err := json.Unmarshal(out, &status); err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, role := range roles {
		for _, p := range status.Processes {
			if p.Role == role {
				pids = append(pids, p.PID)
			}
		}
	}
	if len(pids) < len(roles) {
		t.Fatalf("processes of the roles %v: %v in %s", roles, pids, out)
	}
	return pids
}
