package linux

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// uplinkDone is the alias of an uplink that is finished.
const uplinkDone = "uplink"

// hub is the namespace between the VPCs and the host.
type hub struct {
	o      Options
	ns     *os.File
	rt     *netlink.Handle       // in the hub
	host   *netlink.Handle       // in the host's namespace
	routes map[netip.Addr]string // public address to the link of its VPC
}

// hostLink is the name of the instance's one link on the host.
func hostLink(id string) string { return "mn" + id }

// openHub makes the hub and its link to the host, or finds them, and the host's
// rules. The pool's unreachable route comes before anything else: nothing that
// is meant for the pool ever leaves the machine.
func openHub(o Options) (*hub, error) {
	host, err := routeHandle()
	if err != nil {
		return nil, err
	}
	h := &hub{o: o, host: host}
	if err := h.open(); err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

func (h *hub) open() error {
	if err := h.host.RouteReplace(guard(h.o.ID, h.o.PublicCIDR)); err != nil {
		return fmt.Errorf("unreachable route over %s: %w", h.o.PublicCIDR, err)
	}
	pin := h.o.hubPin()
	if !pinned(pin) {
		if err := createNS(pin, routerSysctls); err != nil {
			return err
		}
	}
	var err error
	if h.ns, err = os.Open(pin); err != nil {
		return err
	}
	if err := inNS(h.ns, func() (err error) { h.rt, err = routeHandle(); return err }); err != nil {
		return err
	}
	t, err := openTable(int(h.ns.Fd()), tableName)
	if err != nil {
		return err
	}
	defer t.close()
	if err := t.replace(hubRules(h.o)); err != nil {
		return err
	}
	if err := replaceHostRules(h.o); err != nil {
		return err
	}
	if err := h.linkHost(); err != nil {
		return err
	}
	return h.observe()
}

func (h *hub) close() {
	h.host.Close()
	if h.rt != nil {
		h.rt.Close()
	}
	if h.ns != nil {
		h.ns.Close()
	}
}

// guard is the route of last resort for the pool.
func guard(id string, pool netip.Prefix) *netlink.Route {
	return &netlink.Route{Dst: ipNet(pool), Type: unix.RTN_UNREACHABLE, Priority: guardPriority(id), Family: unix.AF_INET}
}

// guardPriority is behind every route that anybody makes, and tells whose guard
// it is: it leads over no link that could.
func guardPriority(id string) int {
	sum := sha256.Sum256([]byte(id))
	return 0x70000000 | int(binary.BigEndian.Uint32(sum[:]))&0x0fffffff
}

func replaceHostRules(o Options) error {
	ns, err := ownNS()
	if err != nil {
		return err
	}
	defer ns.Close()
	t, err := openTable(int(ns.Fd()), hostTable(o.ID))
	if err != nil {
		return err
	}
	defer t.close()
	return t.replace(hostRules(o))
}

// linkHost makes the veth pair between host and hub, and the routes over it.
// Every step is fine twice.
func (h *hub) linkHost() error {
	name := hostLink(h.o.ID)
	out, err := h.host.LinkByName(name)
	if err != nil {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MTU, attrs.HardwareAddr = name, mtu, hostMAC
		veth := netlink.NewVeth(attrs)
		veth.PeerName, veth.PeerHardwareAddr, veth.PeerNamespace, veth.PeerMTU = hubHost, hubMAC, netlink.NsFd(h.ns.Fd()), mtu
		if err := h.host.LinkAdd(veth); err != nil {
			return fmt.Errorf("link %s: %w", name, err)
		}
		if out, err = h.host.LinkByName(name); err != nil {
			return err
		}
	}
	in, err := h.rt.LinkByName(hubHost)
	if err != nil {
		return err
	}
	lo, err := h.rt.LinkByName("lo")
	if err != nil {
		return err
	}
	for _, s := range [][2]string{{"rp_filter", "1"}, {"send_redirects", "0"}, {"accept_redirects", "0"}} {
		if err := sysctl("net/ipv4/conf/"+name+"/"+s[0], s[1]); err != nil {
			return err
		}
	}
	if err := sysctl("net/ipv6/conf/"+name+"/disable_ipv6", "1"); err != nil && !os.IsNotExist(err) {
		return err
	}
	for _, a := range []netip.Addr{h.o.service(), h.o.host(), h.o.objects()} {
		if err := addAddr(h.host, out, netip.PrefixFrom(a, 32)); err != nil {
			return err
		}
	}
	for _, up := range []struct {
		h *netlink.Handle
		l netlink.Link
	}{{h.host, out}, {h.rt, in}, {h.rt, lo}} {
		if err := up.h.LinkSetUp(up.l); err != nil {
			return err
		}
	}
	if err := addNeighbour(h.host, out.Attrs().Index, hubSide, hubMAC); err != nil {
		return err
	}
	if err := addNeighbour(h.rt, in.Attrs().Index, farSide, hostMAC); err != nil {
		return err
	}
	if err := h.host.RouteReplace(&netlink.Route{
		LinkIndex: out.Attrs().Index, Dst: ipNet(h.o.PublicCIDR), Gw: hubSide.AsSlice(), Flags: int(netlink.FLAG_ONLINK), Src: h.o.host().AsSlice(),
	}); err != nil {
		return fmt.Errorf("route to %s: %w", h.o.PublicCIDR, err)
	}
	for _, dst := range []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(h.o.service(), 32), netip.PrefixFrom(h.o.host(), 32), netip.PrefixFrom(h.o.objects(), 32)} {
		if err := h.rt.RouteReplace(&netlink.Route{LinkIndex: in.Attrs().Index, Dst: ipNet(dst), Gw: farSide.AsSlice(), Flags: int(netlink.FLAG_ONLINK)}); err != nil {
			return fmt.Errorf("the hub's route to %s: %w", dst, err)
		}
	}
	// An address of the pool that nobody has is silence, as on the internet.
	return h.rt.RouteReplace(&netlink.Route{Dst: ipNet(h.o.PublicCIDR), Type: unix.RTN_BLACKHOLE, Family: unix.AF_INET})
}

// observe reads which public addresses are routed where.
func (h *hub) observe() error {
	links, err := h.rt.LinkList()
	if err != nil {
		return err
	}
	names := map[int]string{}
	for _, l := range links {
		names[l.Attrs().Index] = l.Attrs().Name
	}
	routes, err := h.rt.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return err
	}
	h.routes = map[netip.Addr]string{}
	for _, r := range routes {
		if p := toPrefix(r.Dst); p.Bits() == 32 && names[r.LinkIndex] != hubHost {
			h.routes[p.Addr()] = names[r.LinkIndex]
		}
	}
	return nil
}

// setPublic routes every public address to its VPC and nothing else.
func (h *hub) setPublic(want map[netip.Addr]string) error {
	var errs []error
	for a, vpc := range want {
		link := linkName("u", vpc)
		if h.routes[a] == link {
			continue
		}
		l, err := h.rt.LinkByName(link)
		if err == nil {
			err = h.rt.RouteReplace(&netlink.Route{LinkIndex: l.Attrs().Index, Dst: host32(a), Gw: farSide.AsSlice(), Flags: int(netlink.FLAG_ONLINK)})
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("route to public address %s: %w", a, err))
			continue
		}
		h.routes[a] = link
	}
	for a := range h.routes {
		if _, ok := want[a]; ok {
			continue
		}
		if err := h.rt.RouteDel(&netlink.Route{Dst: host32(a), Table: unix.RT_TABLE_MAIN}); err != nil && !gone(err) {
			errs = append(errs, fmt.Errorf("removing the route to public address %s: %w", a, err))
			continue
		}
		delete(h.routes, a)
	}
	return errors.Join(errs...)
}

// connect makes the uplink of a VPC.
func (h *hub) connect(v *vpc) error {
	name := linkName("u", v.id)
	if err := delLink(v.rt, uplinkName); err != nil {
		return err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.HardwareAddr = uplinkName, mtu, routerMAC
	veth := netlink.NewVeth(attrs)
	veth.PeerName, veth.PeerHardwareAddr, veth.PeerNamespace, veth.PeerMTU = name, hubMAC, netlink.NsFd(h.ns.Fd()), mtu
	if err := v.rt.LinkAdd(veth); err != nil {
		return fmt.Errorf("uplink: %w", err)
	}
	// A public address answers with another's route, so no reverse path check here;
	// the rules drop forged private sources.
	if err := inNS(v.ns, func() error { return sysctl("net/ipv4/conf/"+uplinkName+"/rp_filter", "0") }); err != nil {
		return err
	}
	for _, end := range []struct {
		h         *netlink.Handle
		link      string
		neighbour netip.Addr
		mac       net.HardwareAddr
	}{{v.rt, uplinkName, hubSide, hubMAC}, {h.rt, name, farSide, routerMAC}} {
		l, err := end.h.LinkByName(end.link)
		if err != nil {
			return err
		}
		if err := end.h.LinkSetUp(l); err != nil {
			return err
		}
		if err := addNeighbour(end.h, l.Attrs().Index, end.neighbour, end.mac); err != nil {
			return err
		}
	}
	l, err := v.rt.LinkByName(uplinkName)
	if err != nil {
		return err
	}
	// Routes over an earlier link of that name went with it.
	for a, link := range h.routes {
		if link == name {
			delete(h.routes, a)
		}
	}
	return v.rt.LinkSetAlias(l, uplinkDone)
}

// disconnect removes the uplink of a VPC, and the routes over it.
func (h *hub) disconnect(vpc string) error {
	name := linkName("u", vpc)
	for a, link := range h.routes {
		if link == name {
			delete(h.routes, a)
		}
	}
	return delLink(h.rt, name)
}
