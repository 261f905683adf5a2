package ec2

import (
	"context"
	"net/netip"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/internal/ids"
	"minato/services/ec2/block"
	"minato/services/ec2/record"
	"minato/services/ec2/zone"
	"minato/store"
)

// defaultCIDR is what the default VPC has on AWS.
var defaultCIDR = netip.MustParsePrefix("172.31.0.0/16")

// seededRecord notes that an account's default VPC was made once; a user may
// delete it, and then it stays deleted.
type seededRecord struct{ VPC string }

// EnsureDefaultVPC makes an account's default VPC in a region, once: three /20
// subnets that give public addresses, a gateway, a route to it.
func (s *Service) EnsureDefaultVPC(ctx context.Context, account, region string) error {
	p := place{account, region}
	seeded := store.NewTable[seededRecord](s.Store, "ec2/default-vpc")
	return store.Update(ctx, s.Store, func(tx *store.Tx) error {
		if _, found, err := seeded.TxGet(tx, account, region); err != nil || found {
			return err
		}
		v, err := s.newVPC(tx, p, defaultCIDR, true, nil)
		if err != nil {
			return err
		}
		igw := ids.EC2("igw")
		g := record.InternetGateway{InternetGateway: ec2api.InternetGateway{InternetGatewayId: &igw, OwnerId: &p.account, Attachments: []ec2api.InternetGatewayAttachment{{State: aws.Ptr("available"), VpcId: v.VpcId}}}}
		main, err := get(tx, s.tables, p, v.Main, noRouteTable)
		if err != nil {
			return err
		}
		main.Routes = append(main.Routes, ec2api.Route{DestinationCidrBlock: aws.Ptr("0.0.0.0/0"), GatewayId: &igw, Origin: aws.Ptr("CreateRoute"), State: aws.Ptr(ec2api.RouteStateActive)})
		for i, zone := range zone.All(region) {
			sub := newSubnet(p, &v, netip.PrefixFrom(block.Nth(defaultCIDR, i<<12), 20), zone, nil)
			sub.DefaultForAz, sub.MapPublicIpOnLaunch = aws.Ptr(true), aws.Ptr(true)
			if err := s.subnets.TxPut(tx, sub, account, region, *sub.SubnetId); err != nil {
				return err
			}
		}
		return errFirst(
			s.vpcs.TxPut(tx, v, account, region, *v.VpcId),
			s.gateways.TxPut(tx, g, account, region, igw),
			s.tables.TxPut(tx, main, account, region, v.Main),
			seeded.TxPut(tx, seededRecord{VPC: *v.VpcId}, account, region),
		)
	})
}

// defaultVPC is the id of the caller's default VPC.
func (s *Service) defaultVPC(ctx context.Context) (string, error) {
	all, err := list(ctx, s.vpcs)
	if err != nil {
		return "", err
	}
	for _, v := range all {
		if aws.Val(v.IsDefault) {
			return *v.VpcId, nil
		}
	}
	return "", aws.Errorf("VPCIdNotSpecified", "No default VPC for this user")
}
