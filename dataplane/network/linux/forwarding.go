package linux

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// forwardingFile says what net.ipv4.ip_forward was before the first of our
// instances turned it on, and which ones need it; the last to go restores it.
const forwardingFile = "/run/minato-forwarding.json"

const ipForward = "/proc/sys/net/ipv4/ip_forward"

type forwarding struct {
	Original  string   `json:"original"`
	Instances []string `json:"instances"`
}

// withForwarding runs f on the record, alone, and keeps what f leaves; a record
// without instances is removed.
func withForwarding(f func(*forwarding) error) error {
	lock, err := os.OpenFile("/run", os.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return err
	}
	var rec forwarding
	b, err := os.ReadFile(forwardingFile)
	if err == nil {
		err = json.Unmarshal(b, &rec)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return err
	}
	if err := f(&rec); err != nil {
		return err
	}
	if len(rec.Instances) == 0 {
		if err := os.Remove(forwardingFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	if b, err = json.Marshal(rec); err != nil {
		return err
	}
	return os.WriteFile(forwardingFile, b, 0o644)
}

func enableForwarding(id string) error {
	return withForwarding(func(rec *forwarding) error {
		b, err := os.ReadFile(ipForward)
		if err != nil {
			return err
		}
		if len(rec.Instances) == 0 {
			rec.Original = strings.TrimSpace(string(b))
		}
		if !slices.Contains(rec.Instances, id) {
			rec.Instances = append(rec.Instances, id)
		}
		return os.WriteFile(ipForward, []byte("1"), 0)
	})
}

func restoreForwarding(id string) error {
	return withForwarding(func(rec *forwarding) error {
		if !slices.Contains(rec.Instances, id) {
			return nil
		}
		rec.Instances = slices.DeleteFunc(rec.Instances, func(s string) bool { return s == id })
		if len(rec.Instances) > 0 || rec.Original != "0" {
			return nil
		}
		return os.WriteFile(ipForward, []byte("0"), 0)
	})
}

// passForward lets our packets pass a host firewall that drops forwarded ones by
// default, as dockerd's does. It changes nothing where there is none, not even by
// looking: the iptables command would make its tables.
func passForward(id string) error {
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	c, err := forwardChain(conn)
	if err != nil {
		return err
	}
	if c == nil {
		return errors.Join(legacyForward("-D", id), legacyForward("-I", id))
	}
	if rules, err := ourForward(conn, c, id); err != nil || len(rules) == 2 {
		return err
	}
	for _, key := range []expr.MetaKey{expr.MetaKeyIIFNAME, expr.MetaKeyOIFNAME} {
		conn.InsertRule(&nftables.Rule{Table: c.Table, Chain: c, UserData: []byte(hostTable(id)), Exprs: []expr.Any{
			&expr.Meta{Key: key, Register: 1},
			cmp(expr.CmpOpEq, linkKey(hostLink(id))),
			&expr.Counter{},
			&expr.Verdict{Kind: expr.VerdictAccept},
		}})
	}
	return conn.Flush()
}

// dropForward takes passForward's rules away again.
func dropForward(id string) error {
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	c, err := forwardChain(conn)
	if err != nil || c == nil {
		return errors.Join(err, legacyForward("-D", id))
	}
	rules, err := ourForward(conn, c, id)
	if err != nil {
		return err
	}
	for _, r := range rules {
		if err := conn.DelRule(r); err != nil {
			return err
		}
	}
	return conn.Flush()
}

// ourForward lists the rules of the chain that name our link.
func ourForward(conn *nftables.Conn, c *nftables.Chain, id string) ([]*nftables.Rule, error) {
	rules, err := conn.GetRules(c.Table, c)
	return slices.DeleteFunc(rules, func(r *nftables.Rule) bool {
		return !slices.ContainsFunc(r.Exprs, func(e expr.Any) bool {
			m, ok := e.(*expr.Cmp)
			return ok && bytes.Equal(m.Data, linkKey(hostLink(id)))
		})
	}), err
}

// forwardChain returns the chain FORWARD of iptables' own nft table.
func forwardChain(conn *nftables.Conn) (*nftables.Chain, error) {
	chains, err := conn.ListChainsOfTableFamily(nftables.TableFamilyIPv4)
	if err != nil {
		return nil, err
	}
	for _, c := range chains {
		if c.Table.Name == "filter" && c.Name == "FORWARD" && c.Hooknum != nil {
			return c, nil
		}
	}
	return nil, nil
}

// legacyForward does the same with the older iptables, where its table is in use.
func legacyForward(action, id string) error {
	b, err := os.ReadFile("/proc/thread-self/net/ip_tables_names")
	if err != nil || !slices.Contains(strings.Fields(string(b)), "filter") {
		return nil
	}
	iptables, err := exec.LookPath("iptables-legacy")
	if err != nil {
		return nil
	}
	for _, flag := range []string{"-i", "-o"} {
		out, err := exec.Command(iptables, "-w", action, "FORWARD", flag, hostLink(id), "-j", "ACCEPT").CombinedOutput()
		if err != nil && action == "-I" {
			return errors.New(strings.TrimSpace(string(out)))
		}
	}
	return nil
}
