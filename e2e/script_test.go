package e2e

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"minato/e2e/harness"

	"github.com/rogpeppe/go-internal/testscript"
)

// scratch holds what all tests share.
var scratch string

func TestMain(m *testing.M) {
	flag.Parse()
	if err := requirements(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	var err error
	if scratch, err = os.MkdirTemp("", "minato-e2e"); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(scratch) // a leftover in /tmp is nobody's failure
	if code == 0 {
		if err := checkCoverage(); err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// requirements says what is missing before the first test fails strangely.
func requirements() error {
	if os.Getuid() != 0 {
		return fmt.Errorf("the end-to-end tests make network namespaces and containers: run them as root")
	}
	if _, err := os.Stat(binary()); err != nil {
		return fmt.Errorf("%w: make build first", err)
	}
	for _, tool := range []string{"aws", "curl", "jq", "skopeo", "nft", "ip", "runc"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%w: make setup first", err)
		}
	}
	return nil
}

func binary() string { return filepath.Join(root(), "bin", "minato") }

func root() string {
	dir, err := filepath.Abs("..")
	if err != nil {
		panic(err) // the working directory is gone
	}
	return dir
}

// TestScripts runs testdata/script/*.txtar: what a user types, against an
// instance of its own each. See command for the words they have besides
// testscript's.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup:               setup,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"up":    cmdUp,
			"var":   cmdVar,
			"until": cmdUntil,
			"soon":  cmdSoon,
			"a":     cmdAWS,
			"named": cmdNamed,
		},
		Condition: func(name string) (bool, error) {
			switch name {
			case "terraform":
				_, err := exec.LookPath("terraform")
				_, missing := os.Stat(filepath.Join(terraformPlugins, "registry.terraform.io/hashicorp/aws"))
				return err == nil && missing == nil, nil
			case "ecspresso":
				there, err := ecspresso()
				return there, err
			case "aws2": // Debian's, besides the one of the PATH
				out, err := exec.Command("/usr/bin/aws", "--version").Output()
				return err == nil && strings.HasPrefix(string(out), "aws-cli/2"), nil
			}
			return false, fmt.Errorf("no condition %q", name)
		},
	})
}

// terraformPlugins is a file system mirror that has Terraform's provider for AWS,
// on machines that can be given one; it cannot be fetched from everywhere.
const terraformPlugins = "/opt/tf-plugins"

// testServer builds ./server, the program in most tests' images, once, and
// testProgram that of the runtime's own tests, which shows its surroundings.
var (
	testServer  = sync.OnceValues(func() (string, error) { return buildTool("server", "./server") })
	testProgram = sync.OnceValues(func() (string, error) {
		return buildTool("program", "minato/dataplane/container/containertest/program/cmd")
	})
)

// ecspressoPath is where ecspresso builds the program of that name.
func ecspressoPath() string { return filepath.Join(scratch, "ecspresso") }

// ecspresso builds ecspresso, once; false: its modules could not be fetched.
var ecspresso = sync.OnceValues(func() (there bool, err error) {
	dir := filepath.Join(root(), "e2e", "ecspresso")
	fetch := exec.Command("go", "mod", "download")
	fetch.Dir = dir
	if fetch.Run() != nil {
		return false, nil
	}
	build := exec.Command("go", "build", "-o", ecspressoPath(), "github.com/kayac/ecspresso/cmd/ecspresso")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		return false, fmt.Errorf("ecspresso: %w\n%s", err, out)
	}
	return true, nil
})

func buildTool(name, pkg string) (string, error) {
	path := filepath.Join(scratch, name)
	cmd := exec.Command("go", "build", "-trimpath", "-o", path, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("the tests' %s: %w\n%s", name, err, out)
	}
	return path, nil
}

type instanceKey struct{}

// registryName is AWS's name for the account's registry.
const registryName = "000000000000.dkr.ecr.us-east-1.amazonaws.com"

func setup(env *testscript.Env) error {
	in, err := harness.New(binary(), env.WorkDir)
	if err != nil {
		return err
	}
	env.Values[instanceKey{}] = in
	env.Setenv("MINATO_DATA_DIR", in.DataDir)
	env.Setenv("PATH", filepath.Dir(binary())+":"+os.Getenv("PATH"))
	env.Setenv("ROOT", root())
	env.Setenv("CIDR", in.CIDR)
	env.Setenv("LISTEN", in.Listen)
	env.Setenv("AWS_PAGER", "")
	env.Setenv("AWS_CONFIG_FILE", "/dev/null")
	env.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	env.Setenv("REGISTRY_AUTH_FILE", filepath.Join(env.WorkDir, "auth.json"))
	env.Setenv("MINATO_RECORD", in.Record)
	env.Setenv("SSL_CERT_FILE", filepath.Join(in.DataDir, "ca", "ca.crt"))
	server, err := testServer()
	if err != nil {
		return err
	}
	env.Setenv("SERVER", server)
	env.Setenv("TF_PLUGINS", terraformPlugins)
	env.Setenv("ECSPRESSO", ecspressoPath())
	program, err := testProgram()
	if err != nil {
		return err
	}
	env.Setenv("PROGRAM", program)
	hosts := fmt.Sprintf("127.0.0.1 localhost\n%s %s\n", in.ServiceAddress(), registryName)
	if err := os.WriteFile(filepath.Join(env.WorkDir, "hosts"), []byte(hosts), 0o644); err != nil {
		return err
	}
	env.Defer(func() {
		if err := tearDown(in); err != nil {
			env.T().Log(err)
			env.T().Fatal("the instance did not go without a trace")
		}
		if err := in.Release(); err != nil {
			env.T().Fatal(err)
		}
	})
	return nil
}

// tearDown purges the instance, looks for what it left, and keeps the record
// of what it served for the coverage.
func tearDown(in *harness.Instance) error {
	id, err := in.ID()
	if err != nil {
		return nil // never up, or already purged by the script, which checked itself
	}
	if b, err := os.ReadFile(filepath.Join(in.DataDir, "daemon.log")); err == nil && os.Getenv("MINATO_E2E_LOG") != "" {
		os.Stderr.Write(b)
	}
	if err := in.Down(); err != nil {
		return err
	}
	recordCalls(in.Record)
	left, err := harness.Leaks(id)
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("left on the host:\n%s", strings.Join(left, "\n"))
	}
	return err
}

// cmdUp is `up [FLAG…]`: the instance is started and the environment set as by
// eval "$(minato env)".
func cmdUp(ts *testscript.TestScript, neg bool, args []string) {
	in := ts.Value(instanceKey{}).(*harness.Instance)
	ts.Check(in.Up(args...))
	env, err := in.Env()
	ts.Check(err)
	for k, v := range env {
		ts.Setenv(k, v)
	}
}

// cmdAWS is `a ARGS…`: the aws CLI with JSON output; `! a …` expects failure.
func cmdAWS(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec("aws", append([]string{"--endpoint-url", ts.Getenv("AWS_ENDPOINT_URL"), "--output", "json"}, args...)...)
	if neg && err == nil {
		ts.Fatalf("aws %s succeeded", strings.Join(args, " "))
	}
	if !neg {
		ts.Check(err)
	}
}

// cmdNamed is `named COMMAND…`: runs it where AWS's name of the registry leads to
// this instance and its CA is trusted. Only one instance can hold the host's
// names, so the command gets an /etc/hosts of its own.
func cmdNamed(ts *testscript.TestScript, neg bool, args []string) {
	err := ts.Exec("unshare", append([]string{"-m", "sh", "-c", `mount --bind "$WORK/hosts" /etc/hosts && exec "$@"`, "named"}, args...)...)
	if neg && err == nil {
		ts.Fatalf("%s succeeded", strings.Join(args, " "))
	}
	if !neg {
		ts.Check(err)
	}
}

// cmdVar is `var NAME JQ`: sets a variable from the last output.
func cmdVar(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: var NAME JQ")
	}
	out, err := jq(args[1], ts.ReadFile("stdout"))
	ts.Check(err)
	if out == "" || out == "null" {
		ts.Fatalf("%s is %q in the last output", args[1], out)
	}
	ts.Setenv(args[0], out)
}

// scriptPatience is for how long a script waits at least for what it waits for: a
// deadline only matters when it fails, and CI's machine may be a slow one.
const scriptPatience = 5 * time.Minute

// cmdSoon is `soon REGEX COMMAND…`: repeats a command until it succeeds and what it
// prints on stdout fits.
func cmdSoon(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || neg {
		ts.Fatalf("usage: soon REGEX COMMAND…")
	}
	want, err := regexp.Compile("(?m)" + args[0])
	ts.Check(err)
	for end := time.Now().Add(scriptPatience); ; time.Sleep(200 * time.Millisecond) {
		err := ts.Exec(args[1], args[2:]...)
		if err == nil && want.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("after %s %s does not print %q: %v", scriptPatience, strings.Join(args[1:], " "), args[0], err)
		}
	}
}

// cmdUntil is `until SECONDS JQ VALUE AWS-ARGS…`: repeats the call until the jq
// expression gives the value. The seconds say what is usual; it waits for longer.
func cmdUntil(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 4 {
		ts.Fatalf("usage: until SECONDS JQ VALUE AWS-ARGS…")
	}
	seconds, err := strconv.Atoi(args[0])
	ts.Check(err)
	limit := max(scriptPatience, time.Duration(seconds)*time.Second)
	deadline := time.Now().Add(limit)
	var last string
	for {
		if err := ts.Exec("aws", append([]string{"--endpoint-url", ts.Getenv("AWS_ENDPOINT_URL"), "--output", "json"}, args[3:]...)...); err == nil {
			if last, err = jq(args[1], ts.ReadFile("stdout")); err == nil && last == args[2] {
				return
			}
		}
		if time.Now().After(deadline) {
			ts.Fatalf("after %s %s is %q, not %q", limit, args[1], last, args[2])
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func jq(expr, input string) (string, error) {
	if !json.Valid([]byte(input)) {
		return "", fmt.Errorf("the last output is no JSON: %.200s", input)
	}
	cmd := exec.Command("jq", "-r", expr)
	cmd.Stdin = strings.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("jq %s: %w: %s", expr, err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}
