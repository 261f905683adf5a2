package linux

import (
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Ours tells whether a route, or an address on a link, of the host is one that
// the instance made: over its link, or a pool's route of last resort, which is
// not told apart (an instance that uses the pool has an address in it too).
func Ours(id string, r netlink.Route) bool {
	if r.Type == unix.RTN_UNREACHABLE && r.Priority == guardPriority {
		return true
	}
	if r.LinkIndex == 0 {
		return false
	}
	link, err := netlink.LinkByIndex(r.LinkIndex)
	return err == nil && link.Attrs().Name == hostLink(id)
}
