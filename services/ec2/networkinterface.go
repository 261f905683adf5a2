package ec2

import (
	"context"
	"slices"
	"strings"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/aws/identity"
	"minato/internal/ids"
	"minato/services/ec2/listing"
	"minato/services/ec2/record"
	"minato/store"
)

// requesters are the names under which AWS's services show as requesters.
var requesters = map[string]string{
	"elasticloadbalancing.amazonaws.com": "amazon-elb", "rds.amazonaws.com": "amazon-rds",
}

// PrivateZone is the suffix of private host names in a region.
func PrivateZone(region string) string {
	if region == "us-east-1" {
		return "ec2.internal"
	}
	return region + ".compute.internal"
}

func privateName(region, addr string) string {
	return "ip-" + strings.ReplaceAll(addr, ".", "-") + "." + PrivateZone(region)
}

// CreateNetworkInterface makes an interface in a subnet. One that a service of
// ours makes is requester-managed, and in use from the beginning.
func (s *Service) CreateNetworkInterface(ctx context.Context, in *ec2api.CreateNetworkInterfaceInput) (*ec2api.CreateNetworkInterfaceOutput, error) {
	tags, err := tagsFor(in.TagSpecifications, "network-interface")
	if err != nil {
		return nil, err
	}
	if len(in.Ipv6Addresses) > 0 || aws.Val(in.Ipv6AddressCount) > 0 {
		return nil, unsupported("IPv6")
	}
	if len(in.PrivateIpAddresses) > 1 || aws.Val(in.SecondaryPrivateIpAddressCount) > 0 {
		return nil, unsupported("a secondary private address")
	}
	if t := in.InterfaceType; t != nil && *t != "interface" {
		return nil, unsupported("the interface type " + *t)
	}
	want := aws.Val(in.PrivateIpAddress)
	if len(in.PrivateIpAddresses) == 1 {
		want = aws.Val(in.PrivateIpAddresses[0].PrivateIpAddress)
	}
	p, caller := at(ctx), identity.From(ctx)
	var r record.NetworkInterface
	err = store.Update(ctx, s.Store, func(tx *store.Tx) error {
		var err error
		r, err = s.newInterface(tx, p, aws.Val(in.SubnetId), in.Groups, want)
		if err != nil {
			return err
		}
		r.Description, r.TagSet = aws.Ptr(aws.Val(in.Description)), tags
		if caller.Kind == identity.Service {
			s.manage(&r, caller.Service)
			r.OfBalancer(len(in.Groups) > 0)
		} else {
			r.RequesterId = aws.Ptr(caller.UserID)
		}
		return s.interfaces.TxPut(tx, r, p.account, p.region, *r.NetworkInterfaceId)
	})
	return &ec2api.CreateNetworkInterfaceOutput{NetworkInterface: &r.NetworkInterface, ClientToken: in.ClientToken}, err
}

// manage makes an interface a service's own.
func (s *Service) manage(r *record.NetworkInterface, service string) {
	r.Service = service
	requester := requesters[service]
	if requester == "" {
		requester = "amazon-" + strings.TrimSuffix(service, ".amazonaws.com")
	}
	r.RequesterManaged, r.RequesterId = aws.Ptr(true), &requester
	r.Status = aws.Ptr("in-use")
	r.Attachment = &ec2api.NetworkInterfaceAttachment{
		AttachmentId: aws.Ptr(ids.EC2("ela-attach")), AttachTime: s.now(), DeleteOnTermination: aws.Ptr(false), DeviceIndex: aws.Ptr(int32(1)),
		InstanceOwnerId: &requester, Status: aws.Ptr("attached"),
	}
}

// newInterface takes an address and makes the record, to be written.
func (s *Service) newInterface(tx *store.Tx, p place, subnet string, groups []string, want string) (record.NetworkInterface, error) {
	sub, err := get(tx, s.subnets, p, subnet, noSubnet)
	if err != nil {
		return record.NetworkInterface{}, err
	}
	v, err := get(tx, s.vpcs, p, *sub.VpcId, noVPC)
	if err != nil {
		return record.NetworkInterface{}, err
	}
	if len(groups) == 0 {
		groups = []string{v.DefaultGroup}
	}
	identifiers, err := s.groupsFor(tx, p, groups, *sub.VpcId)
	if err != nil {
		return record.NetworkInterface{}, err
	}
	id := ids.EC2("eni")
	addr, err := s.takePrivate(tx, p, &sub, id, want)
	if err != nil {
		return record.NetworkInterface{}, err
	}
	ip, name := addr.String(), privateName(p.region, addr.String())
	return record.NetworkInterface{NetworkInterface: ec2api.NetworkInterface{
		NetworkInterfaceId: &id, SubnetId: sub.SubnetId, VpcId: sub.VpcId, AvailabilityZone: sub.AvailabilityZone, AvailabilityZoneId: sub.AvailabilityZoneId,
		OwnerId: &p.account, MacAddress: aws.Ptr(record.MAC(id)), PrivateIpAddress: &ip, PrivateDnsName: &name, SourceDestCheck: aws.Ptr(true),
		Status: aws.Ptr("available"), InterfaceType: aws.Ptr("interface"), RequesterManaged: aws.Ptr(false), Groups: identifiers,
		PrivateIpAddresses: []ec2api.NetworkInterfacePrivateIpAddress{{Primary: aws.Ptr(true), PrivateIpAddress: &ip, PrivateDnsName: &name}},
	}}, nil
}

// groupsFor checks the groups of an interface: there, of the VPC, not too many.
func (s *Service) groupsFor(tx *store.Tx, p place, groups []string, vpc string) ([]ec2api.GroupIdentifier, error) {
	if len(groups) > maxGroups {
		return nil, aws.Errorf("SecurityGroupsPerInterfaceLimitExceeded", "The maximum number of security groups per interface has been reached.")
	}
	var out []ec2api.GroupIdentifier
	for _, id := range groups {
		g, err := get(tx, s.groups, p, id, noGroup)
		if err != nil {
			return nil, err
		}
		if *g.VpcId != vpc {
			return nil, aws.Errorf("InvalidParameterValue", "Security group %s and subnet belong to different networks.", id)
		}
		if !slices.ContainsFunc(out, func(o ec2api.GroupIdentifier) bool { return *o.GroupId == id }) {
			out = append(out, ec2api.GroupIdentifier{GroupId: g.GroupId, GroupName: g.GroupName})
		}
	}
	return out, nil
}

// ModifyNetworkInterfaceAttribute changes groups, description, the check of
// source and destination, or whether the interface has a public address.
func (s *Service) ModifyNetworkInterfaceAttribute(ctx context.Context, in *ec2api.ModifyNetworkInterfaceAttributeInput) (*ec2api.ModifyNetworkInterfaceAttributeOutput, error) {
	p, id := at(ctx), aws.Val(in.NetworkInterfaceId)
	return &ec2api.ModifyNetworkInterfaceAttributeOutput{}, store.Update(ctx, s.Store, func(tx *store.Tx) error {
		r, err := get(tx, s.interfaces, p, id, noInterface)
		if err != nil {
			return err
		}
		if err := mayChange(ctx, &r); err != nil {
			return err
		}
		if in.Description != nil {
			r.Description = aws.Ptr(aws.Val(in.Description.Value))
		}
		if in.SourceDestCheck != nil {
			r.SourceDestCheck = aws.Ptr(aws.Val(in.SourceDestCheck.Value))
		}
		if in.Attachment != nil && r.Attachment != nil {
			r.Attachment.DeleteOnTermination = in.Attachment.DeleteOnTermination
		}
		if len(in.Groups) > 0 {
			if r.Groups, err = s.groupsFor(tx, p, in.Groups, *r.VpcId); err != nil {
				return err
			}
		}
		if in.AssociatePublicIpAddress != nil {
			if err := s.setPublic(tx, p, &r, *in.AssociatePublicIpAddress); err != nil {
				return err
			}
		}
		return s.interfaces.TxPut(tx, r, p.account, p.region, id)
	})
}

// setPublic gives an interface an address of the pool, or takes it back; an
// elastic address is not touched.
func (s *Service) setPublic(tx *store.Tx, p place, r *record.NetworkInterface, on bool) error {
	switch {
	case on && r.Association == nil:
		addr, err := s.takePublic(tx, *r.NetworkInterfaceId)
		if err != nil {
			return err
		}
		r.Associate(&ec2api.NetworkInterfaceAssociation{IpOwnerId: aws.Ptr("amazon"), PublicIp: aws.Ptr(addr.String()), PublicDnsName: aws.Ptr("")})
	case !on && r.Association != nil && r.Association.AllocationId == nil:
		s.releasePublic(tx, *r.Association.PublicIp)
		r.Associate(nil)
	}
	return nil
}

// mayChange keeps users from what a service of ours uses.
func mayChange(ctx context.Context, r *record.NetworkInterface) error {
	if c := identity.From(ctx); r.Service != "" && c.Service != r.Service {
		return aws.Errorf("OperationNotPermitted", "You are not allowed to manage '%s' attachments.", aws.Val(r.RequesterId))
	}
	return nil
}

// DeleteNetworkInterface removes an interface that nothing uses, with its
// addresses.
func (s *Service) DeleteNetworkInterface(ctx context.Context, in *ec2api.DeleteNetworkInterfaceInput) (*ec2api.DeleteNetworkInterfaceOutput, error) {
	p, id := at(ctx), aws.Val(in.NetworkInterfaceId)
	return &ec2api.DeleteNetworkInterfaceOutput{}, store.Update(ctx, s.Store, func(tx *store.Tx) error {
		r, err := get(tx, s.interfaces, p, id, noInterface)
		if err != nil {
			return err
		}
		if mayChange(ctx, &r) != nil || r.Service == "" && r.Attachment != nil {
			return aws.Errorf("InvalidNetworkInterface.InUse", "Network interface '%s' is currently in use.", id)
		}
		return s.dropInterface(tx, p, &r)
	})
}

// dropInterface removes an interface and gives its addresses back.
func (s *Service) dropInterface(tx *store.Tx, p place, r *record.NetworkInterface) error {
	if a := r.Association; a != nil && a.AllocationId != nil {
		e, found, err := s.addresses.TxGet(tx, p.account, p.region, *a.AllocationId)
		if err != nil {
			return err
		}
		if found {
			e.Dissociate()
			if err := s.addresses.TxPut(tx, e, p.account, p.region, *a.AllocationId); err != nil {
				return err
			}
		}
	} else if a != nil {
		s.releasePublic(tx, *a.PublicIp)
	}
	s.releasePrivate(tx, p, *r.SubnetId, *r.PrivateIpAddress)
	s.interfaces.TxDelete(tx, p.account, p.region, *r.NetworkInterfaceId)
	return nil
}

// DescribeNetworkInterfaces lists interfaces.
func (s *Service) DescribeNetworkInterfaces(ctx context.Context, in *ec2api.DescribeNetworkInterfacesInput) (*ec2api.DescribeNetworkInterfacesOutput, error) {
	p := at(ctx)
	all, err := s.interfaces.ReadAll(ctx, p.account, p.region)
	if err != nil {
		return nil, err
	}
	all, err = listing.Choose(all, in.NetworkInterfaceIds, in.Filters, func(r *record.NetworkInterface) string { return aws.Val(r.NetworkInterfaceId) }, func(r *record.NetworkInterface) []ec2api.Tag { return r.TagSet }, (*record.NetworkInterface).Attribute, noInterface)
	if err != nil {
		return nil, err
	}
	all, next, err := listing.Page(all, in.MaxResults, in.NextToken)
	out := &ec2api.DescribeNetworkInterfacesOutput{NextToken: next}
	for _, r := range all {
		out.NetworkInterfaces = append(out.NetworkInterfaces, r.NetworkInterface)
	}
	return out, err
}
