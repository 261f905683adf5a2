package instance

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

// TestAnInstanceIsFoundAgain: what is written once is what every command reads.
func TestAnInstanceIsFoundAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if _, err := Find(dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("found before it was made: %v", err)
	}
	in, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Open(dir)
	found, errFind := Find(dir)
	if err != nil || errFind != nil || again != in || found != in {
		t.Errorf("%v, %v, %v; %v, %v", in, again, found, err, errFind)
	}
	if _, err := in.State(); !errors.Is(err, ErrNotRunning) {
		t.Errorf("the state of one that was never up: %v", err)
	}
	if p, err := in.Pool(); err != nil || p.IsValid() {
		t.Errorf("the pool of one that was never up: %v, %v", p, err)
	}
	pool, state, keys := netip.MustParsePrefix("198.18.0.0/16"), State{Endpoint: "http://127.0.0.1:4566", Region: "us-east-1"}, Keys{"AKIA", "secret"}
	withPID := state
	withPID.PID = 7 // another daemon's is another
	if err := errors.Join(in.WritePool(pool), in.WriteState(withPID), in.WriteKeys(keys)); err != nil {
		t.Fatal(err)
	}
	gotPool, err1 := in.Pool()
	gotState, err2 := in.State()
	gotKeys, err3 := in.Keys()
	if err := errors.Join(err1, err2, err3); err != nil || gotPool != pool || gotState != state || gotKeys != keys {
		t.Errorf("%v, %+v, %+v, %v", gotPool, gotState, gotKeys, err)
	}
	if info, err := os.Stat(in.Path("admin.json")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("who may read the keys: %v, %v", info, err)
	}
}

func TestABrokenInstance(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "instance-id"), []byte("../../etc\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, open := range map[string]func(string) (Instance, error){"Find": Find, "Open": Open} {
		if in, err := open(dir); err == nil || errors.Is(err, ErrNotRunning) {
			t.Errorf("%s: %v, %v", name, in, err)
		}
	}
}

func TestLock(t *testing.T) {
	in, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	first, err := in.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.Lock(); err == nil {
		t.Error("two daemons have it")
	}
	first.Close()
	second, err := in.Lock()
	if err != nil {
		t.Fatalf("after the first has ended: %v", err)
	}
	second.Close()
}
