package linux

import (
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Ours tells whether a route on the host, or the link of an address, is one that
// the instance made or left.
func Ours(id string, r netlink.Route) bool {
	if r.Type == unix.RTN_UNREACHABLE {
		return r.Priority == guardPriority(id)
	}
	l, err := netlink.LinkByIndex(r.LinkIndex)
	return err == nil && l.Attrs().Name == hostLink(id)
}
