package main

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func newTestCLI() *cli {
	c := &cli{stdout: io.Discard, stderr: io.Discard}
	c.newFlags("minato test")
	return c
}

func TestParseMixed(t *testing.T) {
	for _, c := range []struct {
		args    []string
		want    []string
		dataDir string
		wrong   bool
	}{
		{args: []string{"chat/chat"}, want: []string{"chat/chat"}},
		{args: []string{"chat/chat", "--data-dir", "/x"}, want: []string{"chat/chat"}, dataDir: "/x"},
		{args: []string{"--data-dir=/x", "a", "b"}, want: []string{"a", "b"}, dataDir: "/x"},
		{args: []string{"a", "--nonsense"}, wrong: true},
	} {
		cli := newTestCLI()
		cli.dataDir = ""
		got, err := cli.parseMixed(c.args)
		switch {
		case c.wrong && !errors.Is(err, errUsage):
			t.Errorf("%q: %v", c.args, err)
		case !c.wrong && (err != nil || !slices.Equal(got, c.want)):
			t.Errorf("%q: %q %v", c.args, got, err)
		case c.dataDir != "" && cli.dataDir != c.dataDir:
			t.Errorf("%q: the data directory is %q", c.args, cli.dataDir)
		}
	}
}

func TestWithoutDetach(t *testing.T) {
	got := withoutDetach([]string{"-d", "--listen", "127.0.0.1:1", "--data-dir", "/x", "--pace=20", "--d", "-data-dir=/y"})
	if want := []string{"--listen", "127.0.0.1:1", "--pace=20"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestShellQuote asks a real shell what it makes of the words.
func TestShellQuote(t *testing.T) {
	for _, s := range []string{"plain", "", "two words", "it's", `$(id) "x" \ * ;&|`, "http://127.0.0.1:4566", "wJalr+/=", "tab\tand\nline"} {
		out, err := exec.Command("sh", "-c", "printf %s "+shellQuote(s)).Output()
		if err != nil || string(out) != s {
			t.Errorf("%q became %q (%v)", s, out, err)
		}
	}
}

// TestEnviron: nothing of the user's own configuration reaches the CLI.
func TestEnviron(t *testing.T) {
	var e clientEnv
	e.state.Endpoint, e.keys.AccessKeyID = "http://127.0.0.1:1", "AKIA"
	got := e.environ([]string{"HOME=/root", "AWS_PROFILE=work", "AWS_SESSION_TOKEN=t", "AWS_ACCESS_KEY_ID=real", "AWS_REGION=eu-west-1"})
	all := strings.Join(got, "\n")
	for _, bad := range []string{"work", "real", "eu-west-1", "AWS_SESSION_TOKEN"} {
		if strings.Contains(all, bad) {
			t.Errorf("%s is left in %q", bad, got)
		}
	}
	for _, good := range []string{"HOME=/root", "AWS_ENDPOINT_URL=http://127.0.0.1:1", "AWS_ACCESS_KEY_ID=AKIA", "AWS_CONFIG_FILE=/dev/null"} {
		if !slices.Contains(got, good) {
			t.Errorf("%s is missing in %q", good, got)
		}
	}
}

// TestExitCodes: 2 for what was called wrongly, 1 for what failed.
func TestExitCodes(t *testing.T) {
	t.Setenv("MINATO_DATA_DIR", t.TempDir())
	for _, c := range []struct {
		args []string
		want int
	}{
		{nil, exitUsage},
		{[]string{"help"}, exitOK},
		{[]string{"nonsense"}, exitUsage},
		{[]string{"status", "--nonsense"}, exitUsage},
		{[]string{"status", "-h"}, exitOK},
		{[]string{"status"}, exitFailed},
		{[]string{"why", "a", "b"}, exitUsage},
		{[]string{"up", "--pace", "0.1"}, exitUsage},
		{[]string{"up", "--public-cidr", "nonsense"}, exitUsage},
		{[]string{"up", "--listen", "0.0.0.0:4566"}, exitUsage},
		{[]string{"env", "-o", "xml"}, exitFailed}, // no instance: said first
		{[]string{"down"}, exitOK},
	} {
		if got := dispatch(context.Background(), c.args); got != c.want {
			t.Errorf("minato %s: exit code %d, want %d", strings.Join(c.args, " "), got, c.want)
		}
	}
}
