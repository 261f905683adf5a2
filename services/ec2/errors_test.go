package ec2

import (
	"strings"
	"testing"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/store"
)

// call makes one call and returns its error.
type call func(l *lab, h handsOn) error

// TestFailsWhereAWSFails holds EC2's own codes and texts.
func TestFailsWhereAWSFails(t *testing.T) {
	str := aws.Ptr[string]
	for name, c := range map[string]struct {
		call       call
		code, text string
	}{
		"an unknown VPC": {
			func(l *lab, _ handsOn) error {
				_, err := l.s.DescribeVpcs(l.ctx, &ec2api.DescribeVpcsInput{VpcIds: []string{"vpc-x"}})
				return err
			},
			"InvalidVpcID.NotFound", "The vpc ID 'vpc-x' does not exist",
		},
		"a VPC that is too large": {
			func(l *lab, _ handsOn) error {
				_, err := l.s.CreateVpc(l.ctx, &ec2api.CreateVpcInput{CidrBlock: str("10.0.0.0/8")})
				return err
			},
			"InvalidVpc.Range", "The CIDR '10.0.0.0/8' is invalid.",
		},
		"a VPC with things in it": {
			func(l *lab, h handsOn) error {
				_, err := l.s.DeleteVpc(l.ctx, &ec2api.DeleteVpcInput{VpcId: &h.vpc})
				return err
			},
			"DependencyViolation", "has dependencies and cannot be deleted.",
		},
		"a subnet over another": {
			func(l *lab, h handsOn) error {
				_, err := l.s.CreateSubnet(l.ctx, &ec2api.CreateSubnetInput{VpcId: &h.vpc, CidrBlock: str("10.0.0.128/25")})
				return err
			},
			"InvalidSubnet.Conflict", "The CIDR '10.0.0.128/25' conflicts with another subnet",
		},
		"a subnet outside its VPC": {
			func(l *lab, h handsOn) error {
				_, err := l.s.CreateSubnet(l.ctx, &ec2api.CreateSubnetInput{VpcId: &h.vpc, CidrBlock: str("10.1.0.0/24")})
				return err
			},
			"InvalidSubnet.Range", "The CIDR '10.1.0.0/24' is invalid.",
		},
		"a subnet with an interface": {
			func(l *lab, h handsOn) error {
				_, err := l.s.DeleteSubnet(l.ctx, &ec2api.DeleteSubnetInput{SubnetId: &h.public})
				return err
			},
			"DependencyViolation", "The subnet '",
		},
		"a second internet gateway": {
			func(l *lab, h handsOn) error {
				igw := must(l.s.CreateInternetGateway(l.ctx, &ec2api.CreateInternetGatewayInput{})).InternetGateway.InternetGatewayId
				_, err := l.s.AttachInternetGateway(l.ctx, &ec2api.AttachInternetGatewayInput{InternetGatewayId: igw, VpcId: &h.vpc})
				return err
			},
			"Resource.AlreadyAssociated", "is already attached to network",
		},
		"detaching while addresses are mapped": {
			func(l *lab, h handsOn) error {
				_, err := l.s.DetachInternetGateway(l.ctx, &ec2api.DetachInternetGatewayInput{InternetGatewayId: &h.igw, VpcId: &h.vpc})
				return err
			},
			"DependencyViolation", "has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.",
		},
		"a route that is there": {
			func(l *lab, h handsOn) error {
				_, err := l.s.CreateRoute(l.ctx, &ec2api.CreateRouteInput{RouteTableId: &h.routesPrivate, DestinationCidrBlock: str("0.0.0.0/0"), GatewayId: &h.igw})
				return err
			},
			"RouteAlreadyExists", "The route identified by 0.0.0.0/0 already exists.",
		},
		"a route that is not there": {
			func(l *lab, h handsOn) error {
				_, err := l.s.DeleteRoute(l.ctx, &ec2api.DeleteRouteInput{RouteTableId: &h.routesPrivate, DestinationCidrBlock: str("192.0.2.0/24")})
				return err
			},
			"InvalidRoute.NotFound", "no route with destination-cidr-block 192.0.2.0/24 in route table",
		},
		"a table in use": {
			func(l *lab, h handsOn) error {
				_, err := l.s.DeleteRouteTable(l.ctx, &ec2api.DeleteRouteTableInput{RouteTableId: &h.routesPrivate})
				return err
			},
			"DependencyViolation", "has dependencies and cannot be deleted.",
		},
		"an address in use": {
			func(l *lab, h handsOn) error {
				_, err := l.s.ReleaseAddress(l.ctx, &ec2api.ReleaseAddressInput{AllocationId: &h.eip})
				return err
			},
			"InvalidIPAddress.InUse", "is in use.",
		},
		"a rule that is there": {
			func(l *lab, h handsOn) error {
				_, err := l.s.AuthorizeSecurityGroupIngress(l.ctx, &ec2api.AuthorizeSecurityGroupIngressInput{GroupId: &h.lb, IpProtocol: str("tcp"), FromPort: aws.Ptr(int32(80)), ToPort: aws.Ptr(int32(80)), CidrIp: str("0.0.0.0/0")})
				return err
			},
			"InvalidPermission.Duplicate", `the specified rule "peer: 0.0.0.0/0, TCP, from port: 80, to port: 80, ALLOW" already exists`,
		},
		"a rule that is not there": {
			func(l *lab, h handsOn) error {
				_, err := l.s.RevokeSecurityGroupIngress(l.ctx, &ec2api.RevokeSecurityGroupIngressInput{GroupId: &h.lb, IpProtocol: str("tcp"), FromPort: aws.Ptr(int32(81)), ToPort: aws.Ptr(int32(81)), CidrIp: str("0.0.0.0/0")})
				return err
			},
			"InvalidPermission.NotFound", "The specified rule does not exist in this security group.",
		},
		"a group that another refers to": {
			func(l *lab, h handsOn) error {
				_, err := l.s.DeleteSecurityGroup(l.ctx, &ec2api.DeleteSecurityGroupInput{GroupId: &h.lb})
				return err
			},
			"DependencyViolation", "has a dependent object",
		},
		"a group name twice": {
			func(l *lab, h handsOn) error {
				_, err := l.s.CreateSecurityGroup(l.ctx, &ec2api.CreateSecurityGroupInput{GroupName: str("web"), Description: str("again"), VpcId: &h.vpc})
				return err
			},
			"InvalidGroup.Duplicate", "The security group 'web' already exists for VPC",
		},
		"an unknown filter": {
			func(l *lab, _ handsOn) error {
				_, err := l.s.DescribeSubnets(l.ctx, &ec2api.DescribeSubnetsInput{Filters: []ec2api.Filter{{Name: str("colour"), Values: []string{"red"}}}})
				return err
			},
			"InvalidParameterValue", "The filter 'colour' is invalid",
		},
		"an interface of a service": {
			func(l *lab, h handsOn) error {
				eni := must(l.s.CreateNetworkInterface(l.as("ecs.amazonaws.com"), &ec2api.CreateNetworkInterfaceInput{SubnetId: &h.private, Groups: []string{h.web}})).NetworkInterface.NetworkInterfaceId
				_, err := l.s.DeleteNetworkInterface(l.ctx, &ec2api.DeleteNetworkInterfaceInput{NetworkInterfaceId: eni})
				return err
			},
			"InvalidNetworkInterface.InUse", "is currently in use.",
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.fails(c.call(l, l.handsOn()), c.code, c.text)
		})
	}
}

func TestDryRunChangesNothing(t *testing.T) {
	l := newLab(t)
	_, err := l.s.Registration().Handlers["CreateVpc"](l.ctx, &ec2api.CreateVpcInput{CidrBlock: aws.Ptr("10.0.0.0/16"), DryRun: aws.Ptr(true)})
	l.fails(err, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
	if out := must(l.s.DescribeVpcs(l.ctx, &ec2api.DescribeVpcsInput{})); len(out.Vpcs) != 0 {
		t.Errorf("made: %+v", out.Vpcs)
	}
}

// TestTheHandsOnIsTakenDown deletes in the only order that works.
func TestTheHandsOnIsTakenDown(t *testing.T) {
	l := newLab(t)
	h := l.handsOn()
	must(l.s.DeleteNatGateway(l.ctx, &ec2api.DeleteNatGatewayInput{NatGatewayId: &h.nat}))
	l.planned(h.vpc)
	must(l.s.ReleaseAddress(l.ctx, &ec2api.ReleaseAddressInput{AllocationId: &h.eip}))
	must(l.s.DetachInternetGateway(l.ctx, &ec2api.DetachInternetGatewayInput{InternetGatewayId: &h.igw, VpcId: &h.vpc}))
	must(l.s.DeleteInternetGateway(l.ctx, &ec2api.DeleteInternetGatewayInput{InternetGatewayId: &h.igw}))
	for _, id := range []string{h.public, h.private} {
		must(l.s.DeleteSubnet(l.ctx, &ec2api.DeleteSubnetInput{SubnetId: &id}))
	}
	for _, id := range []string{h.routesPublic, h.routesPrivate} {
		must(l.s.DeleteRouteTable(l.ctx, &ec2api.DeleteRouteTableInput{RouteTableId: &id}))
	}
	for _, id := range []string{h.web, h.lb} {
		must(l.s.DeleteSecurityGroup(l.ctx, &ec2api.DeleteSecurityGroupInput{GroupId: &id}))
	}
	must(l.s.DeleteVpc(l.ctx, &ec2api.DeleteVpcInput{VpcId: &h.vpc}))
	if _, err := l.r.Reconcile(l.ctx, NetworkKey); err != nil {
		t.Fatal(err)
	}
	if c, _ := l.net.Config(); len(c.VPCs) != 0 {
		t.Errorf("still planned: %+v", c.VPCs)
	}
	recs, _, err := l.s.Store.List(l.ctx, NetworkPrefix, store.Page{})
	for _, r := range recs {
		if !strings.HasPrefix(r.Key, "ec2/natgateway/") { // shown for an hour
			t.Errorf("left: %s %v", r.Key, err)
		}
	}
}
