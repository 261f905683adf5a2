// Package harness starts real minato instances for the end-to-end tests: the
// binary that `make build` made, a data directory, a port and a public range of
// its own each, torn down with `down --purge` and followed by a leak check.
package harness

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"minato/daemon/instance"
	"minato/dataplane/network"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Instance is one minato under test.
type Instance struct {
	Binary  string
	DataDir string
	Listen  string
	CIDR    string
	Record  string // where the daemon writes the operations it served
	Extra   []string

	lock *os.File // holds the public range
}

// ranges is how many public ranges there are: the /20s of 240.19.0.0/16, which is
// nobody's: the benchmarking range is left to the instances that people start.
const ranges = 16

// ports are where instances listen: as many for each range, from the first on. None
// is one that the kernel gives to connections, so nobody else takes it meanwhile.
const (
	firstPort = 24000
	ports     = 16
)

// takeRange locks the first range that no instance of any test process has.
func takeRange() (netip.Prefix, int, *os.File, error) {
	for n := range ranges {
		f, err := os.OpenFile(filepath.Join(os.TempDir(), fmt.Sprintf("minato-e2e-range-%d.lock", n)), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return netip.Prefix{}, 0, nil, err
		}
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
			f.Close()
			continue // somebody else's
		}
		r := netip.PrefixFrom(netip.AddrFrom4([4]byte{240, 19, byte(n) * 16, 0}), 20)
		used, err := hasRoute(r)
		if port := freePort(firstPort + n*ports); err == nil && !used && port != 0 {
			return r, port, f, nil
		}
		f.Close()
		if err != nil {
			return netip.Prefix{}, 0, nil, err
		}
	}
	return netip.Prefix{}, 0, nil, errors.New("all public ranges of the tests, or their ports, are in use")
}

// hasRoute tells whether this machine routes addresses of a range: an instance
// outlives a test process that was killed, and the lock does not.
func hasRoute(r netip.Prefix) (bool, error) {
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	for _, have := range routes {
		if have.Dst != nil && have.Dst.IP != nil {
			if a, ok := netip.AddrFromSlice(have.Dst.IP.To4()); ok && r.Contains(a) {
				return true, nil
			}
		}
	}
	return false, err
}

// New prepares an instance below dir; nothing runs yet.
func New(binary, dir string) (*Instance, error) {
	cidr, port, lock, err := takeRange()
	if err != nil {
		return nil, err
	}
	return &Instance{
		Binary: binary, DataDir: filepath.Join(dir, "data"), Listen: fmt.Sprintf("127.0.0.1:%d", port),
		CIDR: cidr.String(), Record: filepath.Join(dir, "record"), lock: lock,
	}, nil
}

// Release gives the instance's public range to others; it must be gone.
func (i *Instance) Release() error { return i.lock.Close() }

// ServiceAddress is the public address at which the instance's tasks, and the
// clients of its registry, find AWS's services: the first of the range.
func (i *Instance) ServiceAddress() netip.Addr {
	return network.ServiceAddress(netip.MustParsePrefix(i.CIDR))
}

// freePort is the first of a range's ports on which nobody listens, or 0.
func freePort(first int) int {
	for port := first; port < first+ports; port++ {
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			l.Close()
			return port
		}
	}
	return 0
}

// Up starts the daemon in the background and waits until it is ready. The host
// names stay with one instance at a time, so tests that want them ask for it.
func (i *Instance) Up(flags ...string) error {
	_, err := output(i.Command(flags...))
	return err
}

// Command is the command that Up runs, for tests in which it fails.
func (i *Instance) Command(flags ...string) *exec.Cmd {
	args := append([]string{"up", "-d", "--data-dir", i.DataDir, "--listen", i.Listen, "--public-cidr", i.CIDR, "--pace", "20"}, i.Extra...)
	return i.command(append(args, flags...)...)
}

// AWS runs the aws CLI as the instance's admin.
func (i *Instance) AWS(args ...string) ([]byte, error) {
	return i.run(append([]string{"aws"}, args...)...)
}

// Down stops the instance and removes every trace of it.
func (i *Instance) Down() error {
	_, err := i.run("down", "--purge", "--data-dir", i.DataDir)
	return err
}

// Env is what clients need to reach the instance as its admin.
func (i *Instance) Env() (map[string]string, error) {
	out, err := i.run("env", "-o", "json", "--data-dir", i.DataDir)
	if err != nil {
		return nil, err
	}
	env := map[string]string{}
	return env, json.Unmarshal(out, &env)
}

func (i *Instance) run(args ...string) ([]byte, error) { return output(i.command(args...)) }

func (i *Instance) command(args ...string) *exec.Cmd {
	cmd := exec.Command(i.Binary, args...)
	cmd.Env = append(os.Environ(), "MINATO_RECORD="+i.Record, "MINATO_DATA_DIR="+i.DataDir)
	return cmd
}

func output(cmd *exec.Cmd) ([]byte, error) {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("%s: %w\n%s%s", strings.Join(cmd.Args, " "), err, out, stderr.Bytes())
	}
	return out, nil
}

// Leaks lists what carries the instance's id on the host after it is gone. The
// kernel takes down a namespace's links a little after the namespace: what is a leak
// is there for longer than a busy machine takes for it.
func Leaks(id string) ([]string, error) {
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		if left, err := leaks(id); err != nil || len(left) == 0 || time.Now().After(end) {
			return left, err
		}
	}
}

func leaks(id string) ([]string, error) {
	var left []string
	look := func(what, name string, args ...string) error {
		out, err := exec.Command(name, args...).Output()
		if errors.Is(err, exec.ErrNotFound) {
			return fmt.Errorf("the leak check needs %s: %w", name, err)
		}
		for _, line := range strings.Split(string(out), "\n") {
			if strings.Contains(line, id) {
				left = append(left, what+": "+strings.TrimSpace(line))
			}
		}
		return nil
	}
	for _, c := range [][]string{
		{"link", "ip", "-o", "link"},
		{"route", "ip", "route", "show", "table", "all"},
		{"rule", "ip", "rule"},
		{"nft", "nft", "list", "ruleset"},
		{"netns", "ip", "netns", "list"},
	} {
		if err := look(c[0], c[1], c[2:]...); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{"/proc/self/mountinfo", "/etc/hosts"} {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		for _, line := range strings.Split(string(b), "\n") {
			if strings.Contains(line, id) {
				left = append(left, name+": "+line)
			}
		}
	}
	for _, pattern := range []string{"/run/minato/" + id, "/sys/fs/cgroup/*" + id + "*", "/sys/fs/cgroup/*/*" + id + "*", "/etc/docker/certs.d/*/*" + id + "*"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return nil, err
		}
		left = append(left, found...)
	}
	procs, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, err
	}
	for _, p := range procs {
		b, err := os.ReadFile(p)
		if err == nil && bytes.Contains(b, []byte(id)) {
			left = append(left, p+": "+strings.ReplaceAll(string(b), "\x00", " "))
		}
	}
	return left, nil
}

// ID is the instance's id, for the leak check.
func (i *Instance) ID() (string, error) {
	in, err := instance.Find(i.DataDir)
	return in.ID, err
}
