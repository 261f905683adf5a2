package linux

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/google/nftables"

	"minato/dataplane/network"
)

// Drops implements network.Network.
func (n *Network) Drops(ctx context.Context) ([]network.Drop, error) {
	n.mu.Lock()
	vpcs := make([]*vpc, 0, len(n.vpcs))
	for _, v := range n.vpcs {
		vpcs = append(vpcs, v)
	}
	n.mu.Unlock()
	var out []network.Drop
	var errs []error
	for _, v := range vpcs {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		drops, err := v.drops(time.Now())
		if err != nil {
			errs = append(errs, fmt.Errorf("drops of VPC %s: %w", v.id, err))
		}
		out = append(out, drops...)
	}
	slices.SortFunc(out, func(a, b network.Drop) int { return b.Last.Compare(a.Last) })
	return out, errors.Join(errs...)
}

func (v *vpc) drops(now time.Time) ([]network.Drop, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.cfg == nil {
		return nil, nil
	}
	places := newPlaces(v.cfg, v.gone)
	var out []network.Drop
	for _, name := range dropSets {
		elems, err := v.nft.tuples(name)
		if err != nil {
			return out, err
		}
		for _, e := range elems {
			if d, ok := dropOf(e, now); ok {
				d.VPC = v.id
				places.explain(&d, name)
				out = append(out, d)
			}
		}
	}
	return out, nil
}

// dropOf decodes an element of a set of dropped packets.
func dropOf(e nftables.SetElement, now time.Time) (network.Drop, bool) {
	if len(e.Key) < 16 {
		return network.Drop{}, false
	}
	d := network.Drop{
		Source:      netip.AddrFrom4([4]byte(e.Key[0:4])),
		Destination: netip.AddrFrom4([4]byte(e.Key[4:8])),
		Protocol:    network.Protocol(e.Key[8]),
		Port:        binary.BigEndian.Uint16(e.Key[12:14]),
		Last:        now.Add(e.Expires - dropTimeout),
	}
	if e.Counter != nil {
		d.Packets = e.Counter.Packets
	}
	return d, true
}

// departed is an interface that was removed: its drops are asked for when its
// task has stopped, and another one may have its address by then.
type departed struct {
	network.Interface
	at time.Time
}

// depart remembers the interfaces that are not in next any more, as long as their
// drops are.
func (v *vpc) depart(next *network.VPC, now time.Time) {
	v.gone = slices.DeleteFunc(v.gone, func(d departed) bool { return now.Sub(d.at) > dropTimeout })
	if v.cfg == nil {
		return
	}
	stays := make(map[string]bool, len(next.Interfaces))
	for _, e := range next.Interfaces {
		stays[e.ID] = true
	}
	for _, e := range v.cfg.Interfaces {
		if !stays[e.ID] {
			v.gone = append(v.gone, departed{e, now})
		}
	}
}

// places finds the cause of a drop by its addresses.
type places struct {
	interfaces map[netip.Addr]network.Interface
	gone       []departed // the earliest first
	subnets    []network.Subnet
}

// at is the interface that had an address at a time.
func (p places) at(a netip.Addr, when time.Time) network.Interface {
	for _, d := range p.gone {
		if d.Addr == a && !d.at.Before(when) {
			return d.Interface
		}
	}
	return p.interfaces[a]
}

func newPlaces(v *network.VPC, gone []departed) places {
	p := places{interfaces: map[netip.Addr]network.Interface{}, gone: gone, subnets: v.Subnets}
	for _, e := range v.Interfaces {
		p.interfaces[e.Addr] = e
	}
	for _, g := range v.NATGateways {
		p.interfaces[g.Addr] = network.Interface{ID: g.Interface, Subnet: g.Subnet, Addr: g.Addr, Public: g.Public}
	}
	return p
}

func (p places) subnet(a netip.Addr) network.Subnet {
	for _, s := range p.subnets {
		if s.CIDR.Contains(a) {
			return s
		}
	}
	return network.Subnet{}
}

func (p places) explain(d *network.Drop, set string) {
	at := d.Source
	if set == dropsIn || set == dropsACLIn {
		at = d.Destination
	}
	e := p.at(at, d.Last)
	d.Interface, d.SourceGroups = e.ID, p.at(d.Source, d.Last).Groups
	switch set {
	case dropsIn:
		d.Reason, d.Groups = network.DropIngress, e.Groups
	case dropsOut:
		d.Reason, d.Groups = network.DropEgress, e.Groups
	case dropsACLIn, dropsACLOut:
		d.Reason, d.ACL = network.DropACL, p.subnet(at).ACL
	case dropsRoute:
		d.Reason, d.RouteTable = network.DropNoRoute, p.subnet(at).RouteTable
	case dropsPublic:
		d.Reason, d.RouteTable = network.DropNoPublic, p.subnet(at).RouteTable
	case dropsNobody:
		d.Reason = network.DropNobody
	}
}
