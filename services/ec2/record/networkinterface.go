package record

import (
	"hash/fnv"
	"strings"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/services/ec2/listing"
)

// NetworkInterface is a network interface. Service is who made it and uses it:
// the principal of a service of ours, or "" for a user's own.
type NetworkInterface struct {
	ec2api.NetworkInterface
	Service string
}

// Attribute gives the values of a filter of DescribeNetworkInterfaces.
func (r *NetworkInterface) Attribute(name string) ([]string, bool) {
	switch name {
	case "network-interface-id":
		return listing.Value(r.NetworkInterfaceId), true
	case "vpc-id":
		return listing.Value(r.VpcId), true
	case "subnet-id":
		return listing.Value(r.SubnetId), true
	case "availability-zone":
		return listing.Value(r.AvailabilityZone), true
	case "private-ip-address", "addresses.private-ip-address":
		return listing.Value(r.PrivateIpAddress), true
	case "private-dns-name":
		return listing.Value(r.PrivateDnsName), true
	case "mac-address":
		return listing.Value(r.MacAddress), true
	case "description":
		return listing.Value(r.Description), true
	case "status":
		return listing.Value(r.Status), true
	case "interface-type":
		return listing.Value(r.InterfaceType), true
	case "source-dest-check":
		return listing.Bool(r.SourceDestCheck), true
	case "requester-id":
		return listing.Value(r.RequesterId), true
	case "requester-managed":
		return listing.Bool(r.RequesterManaged), true
	case "owner-id":
		return listing.Value(r.OwnerId), true
	case "group-id", "group-name":
		var out []string
		for _, g := range r.Groups {
			if name == "group-id" {
				out = append(out, aws.Val(g.GroupId))
			} else {
				out = append(out, aws.Val(g.GroupName))
			}
		}
		return out, true
	case "addresses.primary":
		return each(r.PrivateIpAddresses, func(a ec2api.NetworkInterfacePrivateIpAddress) *string { return &listing.Bool(a.Primary)[0] })
	case "association.public-ip", "addresses.association.public-ip", "association.allocation-id", "association.association-id",
		"association.ip-owner-id", "addresses.association.owner-id", "association.public-dns-name":
		if r.Association == nil {
			return nil, true
		}
		switch {
		case strings.HasSuffix(name, "public-ip"):
			return listing.Value(r.Association.PublicIp), true
		case strings.HasSuffix(name, "allocation-id"):
			return listing.Value(r.Association.AllocationId), true
		case strings.HasSuffix(name, "owner-id"):
			return listing.Value(r.Association.IpOwnerId), true
		case strings.HasSuffix(name, "dns-name"):
			return listing.Value(r.Association.PublicDnsName), true
		}
		return listing.Value(r.Association.AssociationId), true
	case "attachment.instance-id", "attachment.status", "attachment.attachment-id", "attachment.instance-owner-id", "attachment.delete-on-termination", "attachment.device-index":
		if r.Attachment == nil {
			return nil, true
		}
		switch name {
		case "attachment.instance-id":
			return listing.Value(r.Attachment.InstanceId), true
		case "attachment.status":
			return listing.Value(r.Attachment.Status), true
		case "attachment.instance-owner-id":
			return listing.Value(r.Attachment.InstanceOwnerId), true
		case "attachment.delete-on-termination":
			return listing.Bool(r.Attachment.DeleteOnTermination), true
		case "attachment.device-index":
			return listing.Value(number(r.Attachment.DeviceIndex)), true
		}
		return listing.Value(r.Attachment.AttachmentId), true
	}
	return nil, false
}

// networkBalancers begin the descriptions of network load balancers' interfaces.
const networkBalancers = "ELB net/"

// OfBalancer makes a network load balancer's interface what it is; when it is
// given no groups it has none, not even the default one.
func (r *NetworkInterface) OfBalancer(groups bool) {
	if r.Service != LoadBalancing || !strings.HasPrefix(aws.Val(r.Description), networkBalancers) {
		return
	}
	r.InterfaceType = aws.Ptr(ec2api.NetworkInterfaceTypeNetworkLoadBalancer)
	if !groups {
		r.Groups = nil
	}
}

// Associate sets the interface's public side, nil for none.
func (r *NetworkInterface) Associate(a *ec2api.NetworkInterfaceAssociation) {
	r.Association = a
	for i := range r.PrivateIpAddresses {
		r.PrivateIpAddresses[i].Association = a
	}
}

// Inside tells whether an interface is an address within the VPC's own
// namespace, where our load balancers and endpoints listen, rather than a
// container's.
func (r *NetworkInterface) Inside() bool {
	return r.Service == LoadBalancing || aws.Val(r.InterfaceType) == EndpointType
}

// LoadBalancing is the principal under which Elastic Load Balancing makes its
// interfaces.
const LoadBalancing = "elasticloadbalancing.amazonaws.com"

// MAC makes the hardware address of an interface from its id: the same for
// ever, and locally administered.
func MAC(eni string) string {
	h := fnv.New64a()
	h.Write([]byte(eni)) // never fails
	v := h.Sum64()
	const digits = "0123456789abcdef"
	mac := []byte("02:00:00:00:00:00")
	for i := 3; i < len(mac); i += 3 {
		mac[i], mac[i+1] = digits[v&15], digits[v>>4&15]
		v >>= 8
	}
	return string(mac)
}
