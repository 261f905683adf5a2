package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"minato/e2e/harness"
)

// dockerd is a docker engine of the test's own: no bridge, no firewall rules,
// no forwarding, mounts in a namespace of its own, so that nothing of it is
// left on the host. It shares the host's network, because it is to reach the
// registry by AWS's name, as a learner's docker does.
type dockerd struct {
	t      *testing.T
	socket string
	config string
	log    bytes.Buffer
}

func startDockerd(t *testing.T) *dockerd {
	t.Helper()
	path, err := exec.LookPath("dockerd")
	if err != nil {
		t.Skip("no dockerd here: scripts/setup installs docker.io where apt has it")
	}
	if _, err := exec.LookPath("docker"); err != nil {
		t.Skip("no docker client here")
	}
	dir := t.TempDir()
	d := &dockerd{t: t, socket: filepath.Join(dir, "s"), config: filepath.Join(dir, "config")}
	none := filepath.Join(dir, "daemon.json")
	if err := os.WriteFile(none, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--host", "unix://"+d.socket, "--config-file", none, "--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "exec"),
		"--pidfile", filepath.Join(dir, "pid"), "--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	cmd.Stdout, cmd.Stderr = &d.log, &d.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(2 * time.Minute):
			_ = cmd.Process.Kill()
			<-ended
		}
	})
	for deadline := time.Now().Add(5 * time.Minute); ; {
		if _, err := d.run("", "version"); err == nil {
			return d
		}
		select {
		case <-ended:
			t.Skipf("dockerd does not run on this machine:\n%s", d.log.String())
		case <-time.After(200 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatal("dockerd does not answer")
		}
	}
}

// run runs the docker client.
func (d *dockerd) run(stdin string, args ...string) (string, error) {
	cmd := exec.Command("docker", append([]string{"--host", "unix://" + d.socket, "--config", d.config}, args...)...)
	cmd.Env = append(os.Environ(), "DOCKER_BUILDKIT=0")
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// must is run for what has to succeed.
func (d *dockerd) must(stdin string, args ...string) string {
	d.t.Helper()
	out, err := d.run(stdin, args...)
	if err != nil {
		d.t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// TestDocker is ECR's "view push commands" with the docker client: login,
// build, tag, push; refused before the login, and pulled again by digest.
func TestDocker(t *testing.T) {
	in, err := harness.New(binary(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tearDown(in); err != nil {
			t.Error(err)
		}
	})
	if err := in.Up(); err != nil {
		t.Fatal(err)
	}
	// After the names are in /etc/hosts: dockerd may go by what it read there
	// for some seconds.
	d := startDockerd(t)
	aws := func(args ...string) []byte {
		t.Helper()
		cmd := exec.Command(binary(), append([]string{"aws", "--data-dir", in.DataDir, "--output", "json"}, args...)...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("aws %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
		}
		return out
	}
	var made struct {
		Repository struct{ RepositoryUri string } `json:"repository"`
	}
	if err := json.Unmarshal(aws("ecr", "create-repository", "--repository-name", "chat"), &made); err != nil {
		t.Fatal(err)
	}
	ref := made.Repository.RepositoryUri + ":latest"
	registry, _, _ := strings.Cut(ref, "/")

	d.must("", "build", "-t", "chat", filepath.Join(root(), "examples", "workshop", "chat"))
	d.must("", "tag", "chat", ref)
	if out, err := d.run("", "push", ref); err == nil || !strings.Contains(out, "no basic auth credentials") {
		t.Errorf("a push without a login: %v\n%s", err, out)
	}
	password := strings.TrimSpace(string(aws("ecr", "get-login-password")))
	if out := d.must(password, "login", "--username", "AWS", "--password-stdin", registry); !strings.Contains(out, "Login Succeeded") {
		t.Errorf("login: %s", out)
	}
	d.must("", "push", ref)
	var images struct {
		ImageDetails []struct {
			ImageDigest string   `json:"imageDigest"`
			ImageTags   []string `json:"imageTags"`
		} `json:"imageDetails"`
	}
	if err := json.Unmarshal(aws("ecr", "describe-images", "--repository-name", "chat"), &images); err != nil {
		t.Fatal(err)
	}
	if len(images.ImageDetails) != 1 || len(images.ImageDetails[0].ImageTags) != 1 || images.ImageDetails[0].ImageTags[0] != "latest" {
		t.Fatalf("in ECR: %+v", images)
	}
	d.must("", "rmi", ref, "chat")
	d.must("", "pull", made.Repository.RepositoryUri+"@"+images.ImageDetails[0].ImageDigest)
	if out, err := d.run("", "push", registry+"/nobody:latest"); err == nil {
		t.Errorf("a push of an image that is not there: %s", out)
	}
}
