package linux

import (
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// background runs f beside everything else; Close waits for it.
func (n *Network) background(f func()) {
	n.bg.Add(1)
	go func() {
		defer n.bg.Done()
		f()
	}()
}

// inVPC runs f on a thread in a VPC's namespace, if it is still there.
func (n *Network) inVPC(id string, f func() error) error {
	ns, err := os.Open(n.vpcPin(id))
	if err != nil {
		return err
	}
	defer ns.Close()
	return inNS(ns, f)
}

// deleteLink deletes a link in a VPC's namespace through a handle of its own, so
// that nobody waits for it.
func (n *Network) deleteLink(vpc, link string) {
	err := n.inVPC(vpc, func() error {
		h, err := routeHandle()
		if err != nil {
			return err
		}
		defer h.Close()
		return delLink(h, link)
	})
	if err != nil && !os.IsNotExist(err) {
		n.log.Warn("network: deleting a link", "vpc", vpc, "link", link, "error", err)
	}
}

// connectionsOf matches tracked connections from or to one of some addresses.
type connectionsOf map[netip.Addr]bool

// MatchConntrackFlow implements netlink.CustomConntrackFilter.
func (c connectionsOf) MatchConntrackFlow(f *netlink.ConntrackFlow) bool {
	for _, ip := range []net.IP{f.Forward.SrcIP, f.Forward.DstIP, f.Reverse.SrcIP, f.Reverse.DstIP} {
		if a, ok := netip.AddrFromSlice(ip.To4()); ok && c[a] {
			return true
		}
	}
	return false
}

func (n *Network) forgetConnections(vpc string, addrs []netip.Addr) {
	filter := connectionsOf{}
	for _, a := range addrs {
		filter[a] = true
	}
	err := n.inVPC(vpc, func() error {
		h, err := netlink.NewHandle(unix.NETLINK_NETFILTER)
		if err != nil {
			return err
		}
		defer h.Close()
		_, err = h.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, filter)
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		n.log.Warn("network: forgetting connections", "vpc", vpc, "error", err)
	}
}
