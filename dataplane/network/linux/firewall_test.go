package linux

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestFirewallThatDrops runs in a namespace of its own, with dockerd's FORWARD
// chain as the iptables command would have made it.
func TestFirewallThatDrops(t *testing.T) {
	newOptions(t)
	nft, err := exec.LookPath("nft")
	if err != nil {
		t.Fatalf("the package nftables is needed: %v", err)
	}
	pin := filepath.Join(t.TempDir(), "ns")
	if err := createNS(pin, func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	defer unpin(pin)
	ns, err := os.Open(pin)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	run := func(args ...string) string {
		out, err := exec.Command(nft, args...).CombinedOutput()
		if err != nil {
			t.Errorf("nft %v: %s", args, out)
		}
		return string(out)
	}
	err = inNS(ns, func() error {
		if err := passForward("abcdef"); err != nil {
			return err
		}
		if got := run("list", "ruleset"); got != "" {
			t.Errorf("looking at no firewall made one:\n%s", got)
		}
		run("add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }; add rule ip filter FORWARD counter")
		before := run("list", "ruleset")
		for range 2 {
			if err := passForward("abcdef"); err != nil {
				return err
			}
		}
		got := run("list", "ruleset")
		if strings.Count(got, `"mnabcdef"`) != 2 || strings.Index(got, "mnabcdef") > strings.LastIndex(got, "counter") {
			t.Errorf("not one rule in each direction before the others:\n%s", got)
		}
		if err := dropForward("abcdef"); err != nil {
			return err
		}
		if got := run("list", "ruleset"); got != before {
			t.Errorf("not as before:\n%s", got)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
