package ec2

import (
	"context"
	"net/netip"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/gateway/metadata"
	"minato/services/ec2/netplan"
	"minato/services/ec2/record"
)

// instanceByInterface finds the instance behind an interface, in any account.
func (s *Service) instanceByInterface(ctx context.Context, eni string) (*instanceRecord, error) {
	all, err := s.instances.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		if r.Interface == eni && r.Wanted != stateTerminated {
			return &r, s.fill(ctx, &r)
		}
	}
	return nil, nil
}

// Instance is part of metadata.Instances.
func (s *Service) Instance(ctx context.Context, eni string) (*metadata.Instance, error) {
	r, err := s.instanceByInterface(ctx, eni)
	if err != nil || r == nil || len(r.NetworkInterfaces) == 0 || aws.Val(r.MetadataOptions.HttpEndpoint) == "disabled" {
		return nil, err
	}
	sub, _, err := s.subnets.Get(ctx, r.Account, r.Region, aws.Val(r.SubnetId))
	if err != nil {
		return nil, err
	}
	v, _, err := s.vpcs.Get(ctx, r.Account, r.Region, aws.Val(r.VpcId))
	if err != nil {
		return nil, err
	}
	n := r.NetworkInterfaces[0]
	out := &metadata.Instance{
		ID: *r.InstanceId, ImageID: aws.Val(r.ImageId), Type: aws.Val(r.InstanceType), Account: r.Account, Region: r.Region,
		Zone: aws.Val(r.Placement.AvailabilityZone), ZoneID: aws.Val(sub.AvailabilityZoneId), ReservationID: r.ReservationID,
		PrivateIP: aws.Val(r.PrivateIpAddress), PublicIP: aws.Val(r.PublicIpAddress), PrivateDNS: aws.Val(r.PrivateDnsName), PublicDNS: aws.Val(r.PublicDnsName),
		Architecture: aws.Val(r.Architecture), LaunchTime: aws.Val(r.LaunchTime), RequireToken: aws.Val(r.MetadataOptions.HttpTokens) == "required",
		Interfaces: []metadata.Interface{{
			ID: r.Interface, MAC: aws.Val(n.MacAddress), PrivateIP: aws.Val(n.PrivateIpAddress), PublicIP: aws.Val(r.PublicIpAddress),
			PrivateDNS: aws.Val(n.PrivateDnsName), PublicDNS: aws.Val(r.PublicDnsName), SubnetID: aws.Val(n.SubnetId), SubnetCIDR: aws.Val(sub.CidrBlock),
			VPCID: aws.Val(n.VpcId), VPCCIDRs: []string{aws.Val(v.CidrBlock)},
		}},
	}
	for _, g := range n.Groups {
		i := &out.Interfaces[0]
		i.GroupIDs, i.GroupNames = append(i.GroupIDs, aws.Val(g.GroupId)), append(i.GroupNames, aws.Val(g.GroupName))
		out.SecurityGroupNames = i.GroupNames
	}
	if aws.Val(r.MetadataOptions.InstanceMetadataTags) == "enabled" {
		out.Tags = map[string]string{}
		for _, t := range r.Tags {
			out.Tags[aws.Val(t.Key)] = aws.Val(t.Value)
		}
	}
	if r.IamInstanceProfile != nil {
		out.Profile = &metadata.Profile{ARN: aws.Val(r.IamInstanceProfile.Arn), ID: aws.Val(r.IamInstanceProfile.Id)}
		role, err := s.roleOf(ctx, r)
		if err != nil {
			return nil, err
		}
		out.Profile.RoleName = lastPart(role)
	}
	return out, nil
}

// roleOf is the ARN of the role in an instance's profile; "" for none.
func (s *Service) roleOf(ctx context.Context, r *instanceRecord) (string, error) {
	p, err := s.readProfile(self(ctx, r.Account, r.Region), &ec2api.IamInstanceProfileSpecification{Arn: r.IamInstanceProfile.Arn})
	if aws.IsCode(err, "InvalidParameterValue") {
		return "", nil // deleted under the instance's feet
	}
	if err != nil || len(p.Roles) == 0 {
		return "", err
	}
	return aws.Val(p.Roles[0].Arn), nil
}

// InstanceCredentials is part of metadata.Instances.
func (s *Service) InstanceCredentials(ctx context.Context, id string) (*metadata.Credentials, error) {
	all, err := s.instances.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range all {
		if *r.InstanceId != id || r.IamInstanceProfile == nil {
			continue
		}
		role, err := s.roleOf(ctx, &r)
		if err != nil || role == "" {
			return nil, err
		}
		return s.sessions.Get(self(ctx, r.Account, r.Region), role, id)
	}
	return nil, nil
}

func lastPart(text string) string {
	for i := len(text) - 1; i >= 0; i-- {
		if text[i] == '/' {
			return text[i+1:]
		}
	}
	return text
}

// resolver is the address of a VPC's resolver.
func resolver(v *record.VPC) (netip.Addr, bool) {
	cidr, err := netip.ParsePrefix(aws.Val(v.CidrBlock))
	if err != nil || !v.DNSSupport {
		return netip.Addr{}, false
	}
	return netplan.Resolver(cidr), true
}
