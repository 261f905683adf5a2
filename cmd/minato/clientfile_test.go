package main

import (
	"os"
	"testing"

	"minato/daemon/instance"
)

// TestClientFile: whoever ran sudo gets a file of their own, written with their
// own rights, and purge removes it.
func TestClientFile(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("becoming another user takes root")
	}
	const nobody = 65534
	in, err := instance.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	want := instance.Keys{AccessKeyID: "AKIA", SecretAccessKey: "secret"}
	if err := in.WriteKeys(want); err != nil {
		t.Fatal(err)
	}
	home, err := os.MkdirTemp("", "minato-home")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(home)
	f := clientFile{UID: nobody, GID: nobody}
	if err := leaveClientFile(in, f, home); err == nil {
		t.Error("a file was written where only root may")
	}
	if err := os.Chown(home, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	for range 2 { // each `up` does it again
		if err := leaveClientFile(in, f, home); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(clientPath(home, in))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	t.Setenv("HOME", home)
	if got, err := ownKeys(in); err != nil || got != want {
		t.Errorf("%+v %v", got, err)
	}
	if err := removeClientFiles(in); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(clientPath(home, in)); err == nil {
		t.Error("it is still there")
	}
}
