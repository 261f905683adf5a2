package linux

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Purge implements network.Network.
func (n *Network) Purge(context.Context) error {
	err := n.Close()
	return errors.Join(err, Purge(n.o))
}

// Purge removes every trace of an instance's network, also of one whose process
// died. ID, Dir and PublicCIDR of the options count.
func Purge(o Options) error {
	var errs []error
	for _, dir := range []string{"eni", "vpc"} {
		errs = append(errs,
			eachPin(filepath.Join(o.Dir, dir), func(id string) error { return unpin(filepath.Join(o.Dir, dir, id)) }),
			removeIfThere(filepath.Join(o.Dir, dir)))
	}
	host, err := routeHandle()
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	defer host.Close()
	errs = append(errs, delLink(host, hostLink(o.ID)), unpin(o.hubPin()), removeIfThere(o.Dir))
	ns, err := ownNS()
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	defer ns.Close()
	t, err := openTable(int(ns.Fd()), hostTable(o.ID))
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	defer t.close()
	errs = append(errs, t.remove(), dropForward(o.ID), restoreForwarding(o.ID))
	if o.PublicCIDR.IsValid() {
		if err := host.RouteDel(guard(o.ID, o.PublicCIDR)); err != nil && !gone(err) {
			errs = append(errs, fmt.Errorf("removing the route over %s: %w", o.PublicCIDR, err))
		}
	}
	return errors.Join(errs...)
}

func removeIfThere(dir string) error {
	if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// Leaks lists what of an instance's network is on the host: after Purge nothing.
func Leaks(id, dir string, pool netip.Prefix) ([]string, error) {
	var found []string
	links, err := netlink.LinkList()
	if err != nil {
		return nil, err
	}
	for _, l := range links {
		if l.Attrs().Name == hostLink(id) {
			found = append(found, "link "+l.Attrs().Name)
		}
	}
	conn, err := nftables.New()
	if err != nil {
		return nil, err
	}
	tables, err := conn.ListTablesOfFamily(nftables.TableFamilyIPv4)
	if err != nil {
		return nil, err
	}
	for _, t := range tables {
		if t.Name == hostTable(id) {
			found = append(found, "nft table "+t.Name)
		}
	}
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return nil, err
	}
	for _, r := range routes {
		if r.Dst != nil && toPrefix(r.Dst) == pool.Masked() {
			found = append(found, "route "+pool.String())
		}
	}
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil {
		return nil, err
	}
	for _, line := range strings.Split(string(mounts), "\n") {
		if f := strings.Fields(line); len(f) > 1 && strings.HasPrefix(f[1], dir+"/") {
			found = append(found, "mount "+f[1])
		}
	}
	if b, err := os.ReadFile(forwardingFile); err == nil && strings.Contains(string(b), `"`+id+`"`) {
		found = append(found, forwardingFile)
	}
	return found, nil
}
