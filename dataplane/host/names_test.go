package host

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const machine = "127.0.0.1 localhost\n::1 localhost\n"

func hostsFile(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func set(t *testing.T, file, id string, alive bool, names ...string) []string {
	t.Helper()
	var list []Name
	for i, n := range names {
		list = append(list, Name{Name: n, Addr: netip.AddrFrom4([4]byte{198, 18, 0, byte(i + 1)})})
	}
	refused, err := SetNames(file, id, list, func(string) bool { return alive })
	if err != nil {
		t.Fatal(err)
	}
	return refused
}

func TestNamesComeAndGo(t *testing.T) {
	for _, content := range []string{machine, "127.0.0.1 localhost", ""} {
		file := hostsFile(t, content)
		set(t, file, "aaaaaa", true, "one.elb.amazonaws.com", "two.elb.amazonaws.com")
		got := read(t, file)
		if !strings.HasPrefix(got, content) || !strings.Contains(got, "198.18.0.1 one.elb.amazonaws.com\n") {
			t.Errorf("after the first set:\n%s", got)
		}
		set(t, file, "aaaaaa", true, "two.elb.amazonaws.com")
		if got := read(t, file); strings.Contains(got, "one.elb") || strings.Count(got, "two.elb") != 1 {
			t.Errorf("after the second set:\n%s", got)
		}
		set(t, file, "aaaaaa", true)
		if got := read(t, file); got != content {
			t.Errorf("after the removal %q, not %q", got, content)
		}
	}
}

func TestALiveInstanceKeepsItsNames(t *testing.T) {
	file := hostsFile(t, machine)
	set(t, file, "aaaaaa", true, "registry.amazonaws.com")
	if refused := set(t, file, "bbbbbb", true, "registry.amazonaws.com", "mine.amazonaws.com"); len(refused) != 1 || refused[0] != "registry.amazonaws.com" {
		t.Errorf("refused %v", refused)
	}
	if got := read(t, file); strings.Count(got, "registry.amazonaws.com") != 1 || !strings.Contains(got, "mine.amazonaws.com") {
		t.Errorf("two live instances:\n%s", got)
	}
	// The first dies: its block is stale, and the name is free.
	if refused := set(t, file, "bbbbbb", false, "registry.amazonaws.com"); len(refused) != 0 {
		t.Errorf("refused %v of a dead instance", refused)
	}
	if got := read(t, file); strings.Contains(got, "aaaaaa") {
		t.Errorf("the stale block stays:\n%s", got)
	}
}

// TestTornBlock: a block whose end was never written does not swallow what
// somebody wrote behind it.
func TestTornBlock(t *testing.T) {
	file := hostsFile(t, machine+"# minato aaaaaa: made by minato, removed by minato down\n198.18.0.9 a.amazonaws.com\n# my own\n10.0.0.1 mine\n")
	set(t, file, "bbbbbb", false)
	if got, want := read(t, file), machine+"# my own\n10.0.0.1 mine\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestSetNamesTogether(t *testing.T) {
	file := hostsFile(t, machine)
	var wg sync.WaitGroup
	for _, id := range []string{"aaaaaa", "bbbbbb", "cccccc"} {
		wg.Go(func() {
			for range 30 {
				set(t, file, id, true, id+".amazonaws.com")
				set(t, file, id, true)
			}
		})
	}
	wg.Wait()
	if got := read(t, file); got != machine {
		t.Errorf("left:\n%s", got)
	}
}

func FuzzParseHosts(f *testing.F) {
	f.Add(machine + "# minato aaaaaa: made by minato\n1.2.3.4 x\n# minato aaaaaa end\n")
	f.Fuzz(func(t *testing.T, text string) {
		own, blocks := parseHosts(text)
		n := len(own)
		for _, b := range blocks {
			n += len(b.text)
		}
		if n > len(text) {
			t.Errorf("%d bytes became %d", len(text), n)
		}
	})
}
