package endpoint

import (
	"cmp"
	"net/netip"
	"slices"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/services/ec2/record"
)

// hosted is the hosted zone in which the names of a service's endpoints are. Nobody
// can look into it, as on AWS.
func hosted(name string) *string { return ptr("Z" + digest(name)[1:14]) }

// Arrange makes what an interface endpoint shows of its interfaces: their ids,
// subnets and names.
func Arrange(r *record.VPCEndpoint, s Service) {
	slices.SortFunc(r.Interfaces, func(a, b record.EndpointInterface) int { return cmp.Compare(a.Zone, b.Zone) })
	r.NetworkInterfaceIds, r.SubnetIds, r.DnsEntries = nil, nil, nil
	for _, i := range r.Interfaces {
		r.NetworkInterfaceIds = append(r.NetworkInterfaceIds, i.ID)
		r.SubnetIds = append(r.SubnetIds, i.Subnet)
	}
	if s.Gateway {
		return
	}
	for _, n := range ownNames(r, s) {
		r.DnsEntries = append(r.DnsEntries, ec2api.DnsEntry{DnsName: &n.Name, HostedZoneId: hosted(s.Base(r.Region))})
	}
	if aws.Val(r.PrivateDnsEnabled) {
		r.DnsEntries = append(r.DnsEntries, ec2api.DnsEntry{DnsName: ptr(s.PrivateName(r.Region)), HostedZoneId: hosted(*r.VpcEndpointId)})
	}
}

// Name is a name with the addresses that it stands for.
type Name struct {
	Name  string
	Addrs []netip.Addr
}

// ownNames are the endpoint's own: for all its interfaces, and for those of each
// zone.
func ownNames(r *record.VPCEndpoint, s Service) []Name {
	id, base := *r.VpcEndpointId+"-"+r.Suffix, "."+s.Base(r.Region)
	all := []Name{{Name: id + base, Addrs: addrs(r)}}
	for _, i := range r.Interfaces {
		all = append(all, Name{Name: id + "-" + i.Zone + base, Addrs: []netip.Addr{i.Addr}})
	}
	return all
}

func addrs(r *record.VPCEndpoint) []netip.Addr {
	var out []netip.Addr
	for _, i := range r.Interfaces {
		out = append(out, i.Addr)
	}
	return out
}

// Names are the names that lead to an interface endpoint: those that everybody
// is told, and the service's own if the VPC is told that.
func Names(r *record.VPCEndpoint, s Service) (all []Name, private *Name) {
	if s.Gateway || len(r.Interfaces) == 0 {
		return nil, nil
	}
	if aws.Val(r.PrivateDnsEnabled) {
		private = &Name{Name: s.PrivateName(r.Region), Addrs: addrs(r)}
	}
	return ownNames(r, s), private
}
