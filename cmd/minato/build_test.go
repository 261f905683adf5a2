package main

import (
	"errors"
	"flag"
	"io"
	"maps"
	"strings"
	"testing"
)

func TestParseAround(t *testing.T) {
	for _, c := range []struct {
		args, dir, tag, bad string
	}{
		{"-t x /ctx", "/ctx", "x", ""},
		{"/ctx -t x", "/ctx", "x", ""},
		{"-t x", "", "", "directory with the Dockerfile is missing"},
		{"/ctx -t x /other", "", "", "one directory is expected"},
	} {
		cmd := &cli{flags: flag.NewFlagSet("build", flag.ContinueOnError)}
		cmd.flags.SetOutput(io.Discard)
		tag := cmd.flags.String("t", "", "")
		dir, err := cmd.parseAround(strings.Fields(c.args))
		if c.bad != "" {
			if !errors.Is(err, errUsage) || !strings.Contains(err.Error(), c.bad) {
				t.Errorf("%s: %v", c.args, err)
			}
			continue
		}
		if err != nil || dir != c.dir || *tag != c.tag {
			t.Errorf("%s: %q %q %v", c.args, dir, *tag, err)
		}
	}
}

func TestAssignments(t *testing.T) {
	t.Setenv("FROM_OUTSIDE", "here")
	a := assignments{}
	for _, text := range []string{"A=1", "B=x=y", "C=", "FROM_OUTSIDE", "NOWHERE_TO_BE_FOUND"} {
		if err := a.Set(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	if want := (assignments{"A": "1", "B": "x=y", "C": "", "FROM_OUTSIDE": "here"}); !maps.Equal(a, want) {
		t.Errorf("got %v, want %v", a, want)
	}
	if a.Set("=x") == nil {
		t.Error("an assignment without a name was taken")
	}
}

func TestReadLogin(t *testing.T) {
	user, password, err := readLogin(200, []byte(`{"authorizationData":[{"authorizationToken":"QVdTOnNlY3JldDp4"}]}`))
	if err != nil || user != "AWS" || password != "secret:x" {
		t.Errorf("%q %q %v", user, password, err)
	}
	_, _, err = readLogin(400, []byte(`{"__type":"AccessDeniedException","message":"User: x is not authorized"}`))
	if err == nil || !strings.Contains(err.Error(), "(AccessDeniedException) when calling the GetAuthorizationToken operation: User: x is not authorized") {
		t.Errorf("got %v", err)
	}
	if _, _, err := readLogin(502, []byte("<html>")); err == nil {
		t.Error("a page was taken for a login")
	}
}
