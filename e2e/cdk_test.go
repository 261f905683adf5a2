package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"minato/e2e/harness"
)

// cdkApp is the app in e2e/testdata/cdk and where it is deployed to.
type cdkApp struct {
	*testing.T
	in  *harness.Instance
	env []string
}

// run runs the CDK's command line, as it is, with what changes the app. What
// deploys nothing takes the app as it was synthesized last.
func (a *cdkApp) run(change string, args ...string) string {
	a.Helper()
	out := filepath.Join(a.in.DataDir, "../cdk.out")
	switch args[0] {
	case "bootstrap":
	case "deploy":
		args = append([]string{"--app", "node app.js", "--output", out}, args...)
	default:
		args = append([]string{"--app", out}, args...)
	}
	cmd := exec.CommandContext(a.Context(), "node_modules/.bin/cdk", append([]string{"--no-notices", "--no-color", "--ci"}, args...)...)
	cmd.Dir = "testdata/cdk"
	cmd.Env = append(a.env, strings.Fields(change)...)
	text, err := cmd.CombinedOutput()
	if err != nil {
		a.Fatalf("cdk %s: %v\n%s", strings.Join(args, " "), err, text)
	}
	return string(text)
}

func (a *cdkApp) aws(args ...string) string {
	a.Helper()
	out, err := a.in.AWS(append(args, "--output", "text")...)
	if err != nil {
		a.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// answers waits until a page says something.
func (a *cdkApp) answers(url, want string) {
	a.Helper()
	if err := soakUntil(deploymentLimit, func() error {
		got, err := get(url)
		if err == nil && got != want {
			err = fmt.Errorf("%s says %q, not %q", url, got, want)
		}
		return err
	}); err != nil {
		a.Fatal(err)
	}
}

// TestCDK bootstraps the account and deploys the workshop's parts from a CDK app
// by its own roles and bucket: changed under load, compared, destroyed.
func TestCDK(t *testing.T) {
	if _, err := os.Stat("testdata/cdk/node_modules/.bin/cdk"); err != nil {
		t.Skip("no CDK here: scripts/setup tests installs it where there is npm")
	}
	in := newInstance(t)
	if err := in.Up("--host-names=false"); err != nil {
		t.Fatal(err)
	}
	a := &cdkApp{T: t, in: in, env: append(os.Environ(), "CDK_DISABLE_CLI_TELEMETRY=true", "CDK_DEFAULT_ACCOUNT=000000000000", "CDK_DEFAULT_REGION=us-east-1")}
	env, err := in.Env()
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range env {
		a.env = append(a.env, k+"="+v)
	}
	a.push("000000000000.dkr.ecr.us-east-1.amazonaws.com/web:v1")

	a.run("", "bootstrap", "aws://000000000000/us-east-1")
	a.run("", "deploy", "--require-approval", "never")
	name := a.aws("cloudformation", "describe-stacks", "--stack-name", "chat", "--query", "Stacks[0].Outputs[?OutputKey=='Name'].OutputValue")
	url := "http://" + a.aws("ec2", "describe-network-interfaces", "--filters", "Name=description,Values=ELB app/"+name+"/*", "--query", "NetworkInterfaces[0].Association.PublicIp") + "/"
	a.answers(url, "one")
	a.answers(url+"fixed", "fixed")

	crowd := visit(url)
	a.run("COUNT=3 ANSWER=two", "deploy", "--require-approval", "never")
	a.answers(url, "two")
	if requests, failures := crowd.end(); requests == 0 || len(failures) > 0 {
		t.Errorf("%d requests, %d failed: %v", requests, len(failures), failures)
	}
	if out := a.run("COUNT=3 ANSWER=two", "diff", "--fail"); !strings.Contains(out, "no differences") {
		t.Errorf("it differs from what was deployed:\n%s", out)
	}

	a.run("", "destroy", "--force")
	if left := a.aws("ecs", "list-clusters", "--query", "clusterArns"); left != "" && left != "None" {
		t.Errorf("after cdk destroy there is %s", left)
	}
	if kept := a.aws("s3api", "list-object-versions", "--bucket", "cdk-hnb659fds-assets-000000000000-us-east-1", "--query", "length(Versions)"); kept != "2" {
		t.Errorf("%s templates are in the bucket of what was deployed twice", kept)
	}
}

// push has an image of the test's server built and pushed.
func (a *cdkApp) push(ref string) {
	a.Helper()
	dir := a.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "server"), "minato/e2e/server")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		a.Fatalf("%v: %s", err, out)
	}
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM scratch\nCOPY server /server\nENTRYPOINT [\"/server\"]\n"), 0o600); err != nil {
		a.Fatal(err)
	}
	a.aws("ecr", "create-repository", "--repository-name", "web")
	began := time.Now()
	if out, err := exec.Command(a.in.Binary, "build", "--data-dir", a.in.DataDir, "--push", "-t", ref, dir).CombinedOutput(); err != nil {
		a.Fatalf("minato build: %v\n%s", err, out)
	}
	a.Logf("built and pushed in %s", time.Since(began).Round(time.Millisecond))
}
