package host

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Problem is something that keeps minato from running here, and what helps.
type Problem struct {
	What string
	Mend string
}

// Error implements error.
func (p Problem) Error() string { return p.What + "\n  " + p.Mend }

// Needs is what Preflight looks for.
type Needs struct {
	DataDir string
	Pool    netip.Prefix
	// Ours tells whether a route to the pool is one that this instance left.
	Ours func(netlink.Route) bool
	// Begun says that the instance was up before: it comes up again with what
	// room there is, because tasks may run on that need looking after.
	Begun bool
}

// minFree is the disk space without which no instance is begun, in bytes.
const minFree = 256 << 20

// Preflight looks whether this machine can run minato. All problems are
// returned together, joined; each is a Problem.
func Preflight(n Needs) error {
	if os.Geteuid() != 0 {
		return Problem{"minato makes network namespaces and containers, which takes root", "run it with sudo"}
	}
	disk := error(nil)
	if !n.Begun {
		disk = CheckDisk(n.DataDir)
	}
	return errors.Join(checkRunc(), checkOverlay(n.DataDir), checkNftables(), disk, checkPool(n))
}

var runcVersion = regexp.MustCompile(`runc version (\d+)\.(\d+)\.(\d+)`)

func checkRunc() error {
	out, err := exec.Command("runc", "--version").Output()
	if errors.Is(err, exec.ErrNotFound) {
		return Problem{"runc is not installed", "apt-get install runc (make setup does it)"}
	}
	if err != nil {
		return Problem{fmt.Sprintf("runc does not run: %v", err), "runc --version shows why"}
	}
	m := runcVersion.FindStringSubmatch(string(out))
	if m == nil {
		return nil // a build without a number in its version: it will show
	}
	var v [3]int
	for i := range v {
		v[i], _ = strconv.Atoi(m[i+1]) // digits by the pattern
	}
	if v[0] < 1 || v[0] == 1 && (v[1] < 1 || v[1] == 1 && v[2] < 5) {
		return Problem{"runc " + strings.Join(m[1:], ".") + " is too old", "install runc 1.1.5 or newer"}
	}
	return nil
}

func checkOverlay(dataDir string) error {
	b, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return err
	}
	if !strings.Contains(string(b), "\toverlay\n") {
		if err := exec.Command("modprobe", "overlay").Run(); err != nil {
			return Problem{"the kernel has no overlayfs", "modprobe overlay, or a kernel with CONFIG_OVERLAY_FS"}
		}
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dataDir, &fs); err != nil {
		return err
	}
	if fs.Type == unix.OVERLAYFS_SUPER_MAGIC {
		return Problem{dataDir + " is itself on an overlay file system, which cannot carry another", "--data-dir on a real disk, or in a container: a volume"}
	}
	return nil
}

func checkNftables() error {
	c, err := nftables.New()
	if err == nil {
		_, err = c.ListTables()
	}
	if err != nil {
		return Problem{fmt.Sprintf("the kernel has no nf_tables (%v)", err), "modprobe nf_tables, or a kernel with CONFIG_NF_TABLES; in a container: --privileged"}
	}
	return nil
}

// CheckDisk says whether there is room for an instance, in words.
func CheckDisk(dataDir string) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(dataDir, &fs); err != nil {
		return err
	}
	if free := fs.Bavail * uint64(fs.Bsize); free < minFree {
		return Problem{fmt.Sprintf("the disk of %s has %d MiB left, and minato needs %d", dataDir, free>>20, minFree>>20), "free some space, or choose another --data-dir"}
	}
	return nil
}

// checkPool looks whether somebody else uses addresses of the public pool.
func checkPool(n Needs) error {
	addrs, err := netlink.AddrList(nil, netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	for _, a := range addrs {
		if ip, ok := netip.AddrFromSlice(a.IP.To4()); ok && n.Pool.Contains(ip) {
			if n.Ours != nil && n.Ours(netlink.Route{LinkIndex: a.LinkIndex}) {
				continue
			}
			return Problem{fmt.Sprintf("this machine has the address %s, which is in the public range %s", ip, n.Pool), "--public-cidr with a range that nothing here uses, such as 198.19.128.0/17"}
		}
	}
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	for _, r := range routes {
		if r.Dst == nil || n.Ours != nil && n.Ours(r) {
			continue
		}
		ones, _ := r.Dst.Mask.Size()
		ip, ok := netip.AddrFromSlice(r.Dst.IP.To4())
		if !ok || ones == 0 {
			continue
		}
		if dst := netip.PrefixFrom(ip, ones); dst.Overlaps(n.Pool) {
			return Problem{fmt.Sprintf("a route of this machine, %s, overlaps the public range %s", dst, n.Pool), "another minato may be up with that range: --public-cidr with one that nothing here uses, such as 198.19.128.0/17"}
		}
	}
	return nil
}

// CheckListen says whether an address can be listened on, in words.
func CheckListen(addr string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return Problem{addr + " is taken by another program", "--listen with another port, such as 127.0.0.1:4567 (ss -ltnp shows who has it)"}
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return Problem{addr + " is no address of this machine", "--listen 127.0.0.1:4566"}
	}
	return err
}
