package e2e

import (
	"bytes"
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"minato/e2e/harness"
)

// TestDemo goes the demo's whole way in a pipe: both walls are shown and
// explained, the rollout loses no request, and the end says how to clean up.
// It holds the host's names, so nothing runs beside it.
func TestDemo(t *testing.T) {
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
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary(), "demo", "--data-dir", in.DataDir)
	cmd.Dir = root()
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s%s", err, out.String(), stderr.String())
	}
	for _, want := range []string{
		"Cannot find version 5.7.22 for mysql",
		"RDS has retired mysql 5.7.22",
		"is not authorized to perform: ecr:GetAuthorizationToken on resource: *",
		"healthy behind the load balancer",
		"requests meanwhile, 0 failed",
		"The workshop is done.",
		"down --purge",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the demo does not say %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("escape sequences in a pipe")
	}
}
