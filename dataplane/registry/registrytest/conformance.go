package registrytest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Conformance runs the suite of the distribution specification against a
// registry: the program that go.mod pins as a tool, with everything that it can
// test. The two repositories must be there, and password must open them to the
// user AWS. CONFORMANCE_RESULTS names a folder for the suite's report.
func Conformance(t *testing.T, url, password, repo1, repo2 string) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	tool := filepath.Join(t.TempDir(), "conformance")
	if out, err := exec.Command("go", "build", "-o", tool, "github.com/opencontainers/distribution-spec/conformance").CombinedOutput(); err != nil {
		t.Fatalf("the suite does not build: %v\n%s", err, out)
	}
	results := t.TempDir()
	cmd := exec.Command(tool)
	cmd.Dir = results
	cmd.Env = append(os.Environ(), "OCI_REGISTRY="+strings.TrimPrefix(url, "http://"), "OCI_TLS=disabled",
		"OCI_USERNAME=AWS", "OCI_PASSWORD="+password, "OCI_REPO1="+repo1, "OCI_REPO2="+repo2,
		"OCI_VERSION=1.1", "OCI_RESULTS_DIR="+results,
		"OCI_API_BLOBS_UPLOAD_CANCEL=true", "OCI_API_BLOBS_DIGEST_HEADER=true", "OCI_API_MANIFESTS_DIGEST_HEADER=true", "OCI_API_MANIFESTS_TAG_PARAM=true")
	out, err := cmd.CombinedOutput()
	if dir := os.Getenv("CONFORMANCE_RESULTS"); dir != "" {
		if err := os.CopyFS(dir, os.DirFS(results)); err != nil {
			t.Error(err)
		}
	}
	junit, readErr := os.ReadFile(filepath.Join(results, "junit.xml"))
	if err != nil || readErr != nil {
		t.Fatalf("%v %v\n%s", err, readErr, out)
	}
	// The program is content with skipped tests; we are not.
	for _, status := range []string{`status="failure"`, `status="error"`, `status="skipped"`} {
		if n := bytes.Count(junit, []byte(status)); n != 0 {
			t.Errorf("%d tests are %s\n%s", n, status, out)
		}
	}
	if n := bytes.Count(junit, []byte(`status="passed"`)); n < 500 {
		t.Errorf("only %d tests passed\n%s", n, out)
	} else {
		t.Logf("%d tests passed", n)
	}
}
