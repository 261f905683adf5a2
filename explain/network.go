package explain

import (
	"net/netip"
	"strings"
	"time"

	"minato/aws"
	"minato/aws/api/ec2"
	"minato/dataplane/network"
	"minato/explain/cause"
)

// fresh is how long a dropped packet speaks for the present.
const fresh = 90 * time.Second

// drops returns the packets that match. hosts are those of AWS's that were called,
// as far as that is known.
func (q *inquiry) drops(match func(network.Drop) bool, hosts ...string) ([]cause.Drop, error) {
	if !q.known {
		all, err := q.Drops(q.ctx)
		if err != nil {
			return nil, err
		}
		q.drop, q.known = all, true
	}
	var out []cause.Drop
	for _, d := range q.drop {
		if !match(d) {
			continue
		}
		x := cause.Drop{Drop: d}
		if d.Reason == network.DropIngress || d.Reason == network.DropEgress {
			to, err := q.interfaceAt(d.VPC, d.Destination)
			if err != nil {
				return nil, err
			}
			x.Receiver = to.what
		}
		if d.Reason == network.DropIngress && len(d.SourceGroups) == 0 {
			if err := q.sender(&x); err != nil {
				return nil, err
			}
		}
		if d.Reason == network.DropNoRoute {
			nat, err := q.gateway(d.VPC)
			if err != nil {
				return nil, err
			}
			x.NAT = nat
			if err := q.endpointFor(&x, hosts); err != nil {
				return nil, err
			}
		}
		out = append(out, x)
	}
	return out, nil
}

// sender says whose address it is that belongs to no group, and which addresses
// its kind may have: a network load balancer's are those of its subnets.
func (q *inquiry) sender(d *cause.Drop) error {
	from, err := q.interfaceAt(d.VPC, d.Source)
	if err != nil || !from.ungrouped || from.what == "" {
		return err
	}
	d.Sender = from.what
	out, err := q.EC2.DescribeSubnets(q.ctx, &ec2.DescribeSubnetsInput{SubnetIds: []string{from.subnet}})
	if err == nil && len(out.Subnets) > 0 {
		d.SenderCIDR = aws.Val(out.Subnets[0].CidrBlock)
	}
	return err
}

// place is an interface, and whose it is.
type place struct {
	id, what, subnet string
	ungrouped        bool // no security group filters it
}

// interfaceAt finds the interface that has an address.
func (q *inquiry) interfaceAt(vpc string, addr netip.Addr) (place, error) {
	out, err := q.EC2.DescribeNetworkInterfaces(q.ctx, &ec2.DescribeNetworkInterfacesInput{Filters: []ec2.Filter{
		{Name: aws.Ptr("addresses.private-ip-address"), Values: []string{addr.String()}},
		{Name: aws.Ptr("vpc-id"), Values: []string{vpc}},
	}})
	if err != nil || len(out.NetworkInterfaces) == 0 {
		return place{}, err
	}
	eni := out.NetworkInterfaces[0]
	p := place{id: aws.Val(eni.NetworkInterfaceId), subnet: aws.Val(eni.SubnetId), ungrouped: len(eni.Groups) == 0}
	switch text := aws.Val(eni.Description); {
	case text == "RDSNetworkInterface":
		p.what = "a database"
	case strings.HasPrefix(text, endpointInterface):
		p.what = "VPC endpoint " + strings.TrimPrefix(text, endpointInterface)
	case strings.HasPrefix(text, "ELB app/"), strings.HasPrefix(text, "ELB net/"):
		p.what = "load balancer " + strings.Split(text, "/")[1]
	}
	return p, nil
}

// vpcOf is the VPC of a subnet; "" when the subnet is gone.
func (q *inquiry) vpcOf(subnet string) (string, error) {
	if vpc, ok := q.vpcs[subnet]; ok || subnet == "" {
		return vpc, nil
	}
	out, err := q.EC2.DescribeSubnets(q.ctx, &ec2.DescribeSubnetsInput{SubnetIds: []string{subnet}})
	if err != nil && !notFound(err) {
		return "", err
	}
	if err == nil && len(out.Subnets) > 0 {
		q.vpcs[subnet] = aws.Val(out.Subnets[0].VpcId)
	} else {
		q.vpcs[subnet] = ""
	}
	return q.vpcs[subnet], nil
}

// wayOut looks where a subnet's packets go that leave the VPC.
func (q *inquiry) wayOut(subnet string) (cause.Way, error) {
	w := cause.Way{Subnet: subnet}
	t, err := q.routeTableOf(subnet)
	if err != nil || t == nil {
		return w, err
	}
	w.Table = aws.Val(t.RouteTableId)
	for _, r := range t.Routes {
		if aws.Val(r.DestinationCidrBlock) == "0.0.0.0/0" {
			w.Target = aws.Val(r.GatewayId) + aws.Val(r.NatGatewayId) + aws.Val(r.NetworkInterfaceId)
			w.Blackhole = aws.Val(r.State) == ec2.RouteStateBlackhole
		}
	}
	w.NAT, err = q.gateway(aws.Val(t.VpcId))
	return w, err
}

// routeTableOf returns the route table of a subnet: its own, or the VPC's main one.
func (q *inquiry) routeTableOf(subnet string) (*ec2.RouteTable, error) {
	filter := func(name, value string) *ec2.DescribeRouteTablesInput {
		return &ec2.DescribeRouteTablesInput{Filters: []ec2.Filter{{Name: aws.Ptr(name), Values: []string{value}}}}
	}
	out, err := q.EC2.DescribeRouteTables(q.ctx, filter("association.subnet-id", subnet))
	if err != nil {
		return nil, err
	}
	if len(out.RouteTables) > 0 {
		return &out.RouteTables[0], nil
	}
	vpc, err := q.vpcOf(subnet)
	if err != nil || vpc == "" {
		return nil, err
	}
	if out, err = q.EC2.DescribeRouteTables(q.ctx, filter("vpc-id", vpc)); err != nil {
		return nil, err
	}
	for i, t := range out.RouteTables {
		for _, a := range t.Associations {
			if aws.Val(a.Main) {
				return &out.RouteTables[i], nil
			}
		}
	}
	return nil, nil
}

// gateway is a NAT gateway of a VPC that works; "" when it has none.
func (q *inquiry) gateway(vpc string) (string, error) {
	nats, err := q.EC2.DescribeNatGateways(q.ctx, &ec2.DescribeNatGatewaysInput{Filter: []ec2.Filter{
		{Name: aws.Ptr("vpc-id"), Values: []string{vpc}}, {Name: aws.Ptr("state"), Values: []string{"available"}},
	}})
	if err != nil || len(nats.NatGateways) == 0 {
		return "", err
	}
	return aws.Val(nats.NatGateways[0].NatGatewayId), nil
}
