package linux

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The two ends of every link towards the hub. They are neighbours by permanent
// entry only, so the same pair serves every link; packets never carry them.
var (
	hubSide = netip.MustParseAddr("169.254.100.1")
	farSide = netip.MustParseAddr("169.254.100.2")
)

// Fixed addresses of the routers' ends of all links; each link is a wire of its own.
var (
	routerMAC = net.HardwareAddr{0x02, 'm', 'n', 't', 'o', 0x01}
	hubMAC    = net.HardwareAddr{0x02, 'm', 'n', 't', 'o', 0x02}
	hostMAC   = net.HardwareAddr{0x02, 'm', 'n', 't', 'o', 0x03}
)

const mtu = 1500

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}
}

func host32(a netip.Addr) *net.IPNet { return ipNet(netip.PrefixFrom(a, 32)) }

// toPrefix is the reverse of ipNet; nil is everything.
func toPrefix(n *net.IPNet) netip.Prefix {
	if n == nil {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	a, _ := netip.AddrFromSlice(n.IP.To4())
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(a, bits)
}

func addNeighbour(h *netlink.Handle, link int, addr netip.Addr, mac net.HardwareAddr) error {
	return h.NeighSet(&netlink.Neigh{
		LinkIndex: link, Family: unix.AF_INET, State: netlink.NUD_PERMANENT, IP: addr.AsSlice(), HardwareAddr: mac,
	})
}

// addAddr gives a link an address without the route to its subnet, so that
// everything goes by the router.
func addAddr(h *netlink.Handle, link netlink.Link, p netip.Prefix) error {
	a := &netlink.Addr{IPNet: ipNet(p), Flags: unix.IFA_F_NOPREFIXROUTE}
	if p.Bits() < 31 {
		a.Broadcast = broadcast(p)
	}
	if err := h.AddrReplace(link, a); err != nil {
		return fmt.Errorf("address %s: %w", p, err)
	}
	return nil
}

func broadcast(p netip.Prefix) net.IP {
	n := ipNet(p.Masked())
	b := make(net.IP, 4)
	for i := range b {
		b[i] = n.IP.To4()[i] | ^n.Mask[i]
	}
	return b
}

// gone tells whether a deletion failed because there is nothing to delete.
func gone(err error) bool {
	var notFound netlink.LinkNotFoundError
	return errors.As(err, &notFound) || errors.Is(err, syscall.ENODEV) || errors.Is(err, syscall.ESRCH) ||
		errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.EADDRNOTAVAIL)
}

func exists(err error) bool { return errors.Is(err, syscall.EEXIST) }

// delLink deletes a link if it is there.
func delLink(h *netlink.Handle, name string) error {
	l, err := h.LinkByName(name)
	if err == nil {
		err = h.LinkDel(l)
	}
	if err != nil && !gone(err) {
		return fmt.Errorf("deleting link %s: %w", name, err)
	}
	return nil
}

// makeEth makes an interface with a namespace of its own. The link's alias is
// set last: an interface with the right one is finished.
func (v *vpc) makeEth(e eth) error {
	pin := v.n.NetnsPath(e.id)
	if err := delLink(v.rt, e.link); err != nil {
		return err
	}
	if err := createNS(pin, func() error { return v.insideEth(e) }); err != nil {
		return err
	}
	l, err := v.rt.LinkByName(e.link)
	if err != nil {
		return err
	}
	if err := v.rt.LinkSetUp(l); err != nil {
		return err
	}
	if err := addNeighbour(v.rt, l.Attrs().Index, e.addr.Addr(), macAddr(e.mac)); err != nil {
		return err
	}
	return v.rt.LinkSetAlias(l, e.digest())
}

// insideEth runs on a thread in the new namespace: the veth pair, address, the
// way to the router.
func (v *vpc) insideEth(e eth) error {
	h, err := routeHandle()
	if err != nil {
		return err
	}
	defer h.Close()
	lo, err := h.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := h.LinkSetUp(lo); err != nil {
		return err
	}
	if e.nat {
		if err := routerSysctls(); err != nil {
			return err
		}
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.HardwareAddr = "eth0", mtu, macAddr(e.mac)
	veth := netlink.NewVeth(attrs)
	veth.PeerName, veth.PeerHardwareAddr, veth.PeerNamespace, veth.PeerMTU = e.link, routerMAC, netlink.NsFd(v.ns.Fd()), mtu
	if err := h.LinkAdd(veth); err != nil {
		return fmt.Errorf("veth pair eth0-%s: %w", e.link, err)
	}
	l, err := h.LinkByName("eth0")
	if err != nil {
		return err
	}
	if err := addAddr(h, l, e.addr); err != nil {
		return err
	}
	if err := h.LinkSetUp(l); err != nil {
		return err
	}
	if err := addNeighbour(h, l.Attrs().Index, e.router, routerMAC); err != nil {
		return err
	}
	if err := h.RouteReplace(&netlink.Route{
		LinkIndex: l.Attrs().Index, Dst: ipNet(netip.PrefixFrom(netip.IPv4Unspecified(), 0)),
		Gw: e.router.AsSlice(), Flags: int(netlink.FLAG_ONLINK),
	}); err != nil {
		return fmt.Errorf("default route: %w", err)
	}
	if e.nat {
		return natRules()
	}
	return nil
}

// natRules makes the namespace of the calling thread a NAT gateway: what comes
// from the VPC leaves with the gateway's address, and nobody calls in.
func natRules() error {
	ns, err := ownNS()
	if err != nil {
		return err
	}
	defer ns.Close()
	t, err := openTable(int(ns.Fd()), tableName)
	if err != nil {
		return err
	}
	defer t.close()
	return t.replace(natGatewayRules())
}
