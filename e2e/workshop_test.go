package e2e

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestWorkshop runs the hands-on from its first wall to the clean host, exactly
// as its script says. The script holds the host's names and compares the host
// before and after, so no other instance may run beside it: like every test
// here that is no script, it is not parallel.
func TestWorkshop(t *testing.T) {
	if testing.Short() {
		t.Skip("the workshop takes minutes")
	}
	record := filepath.Join(t.TempDir(), "record")
	cmd := exec.CommandContext(t.Context(), "bash", filepath.Join(root(), "e2e", "testdata", "workshop", "workshop.sh"))
	cmd.Dir = root()
	cmd.Env = append(os.Environ(), "MINATO="+binary(), "MINATO_RECORD="+record)
	cmd.Env = append(cmd.Env, "PATH="+filepath.Dir(binary())+":"+os.Getenv("PATH"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var last string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		last = lines.Text()
		t.Log(last)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("the workshop: %v", err)
	}
	if !strings.HasSuffix(last, "workshop: passed") {
		t.Fatalf("the workshop ended with %q", last)
	}
	recordCalls(record)
}
