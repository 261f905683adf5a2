package explain

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"minato/aws"
	"minato/aws/api/ec2"
	"minato/dataplane/network"
)

// fresh is how long a dropped packet speaks for the present: longer than two
// health checks of the longest usual interval.
const fresh = 90 * time.Second

// drops returns the packets that match and were dropped lately.
func (x *Explainer) drops(ctx context.Context, match func(network.Drop) bool) ([]network.Drop, error) {
	all, err := x.Drops(ctx)
	if err != nil {
		return nil, err
	}
	var out []network.Drop
	for _, d := range all {
		if match(d) && time.Since(d.Last) < fresh {
			out = append(out, d)
		}
	}
	return out, nil
}

// about is the evidence of a drop, in words.
func about(d network.Drop) string {
	return fmt.Sprintf("%d packets from %s to %s %s were dropped, the last at %s", d.Packets, d.Source, d.Destination, port(d.Protocol, d.Port), d.Last.Local().Format("15:04:05"))
}

func port(p network.Protocol, n uint16) string {
	switch p {
	case network.TCP:
		return fmt.Sprintf("tcp port %d", n)
	case network.UDP:
		return fmt.Sprintf("udp port %d", n)
	case network.ICMP:
		return "icmp"
	}
	return fmt.Sprintf("protocol %d", p)
}

// blame makes the cause of a drop: the group without a rule, the table without
// a route.
func (x *Explainer) blame(ctx context.Context, d network.Drop) (Cause, error) {
	c := Cause{Evidence: []string{about(d)}}
	switch d.Reason {
	case network.DropIngress:
		group := strings.Join(d.Groups, ", ")
		c.What = fmt.Sprintf("security group %s lets nothing in from %s to %s", group, d.Source, port(d.Protocol, d.Port))
		source, err := x.groupsOf(ctx, d.VPC, d.Source)
		if err != nil {
			return c, err
		}
		from := "--cidr " + d.Source.String() + "/32"
		if len(source) > 0 {
			from = "--source-group " + source[0]
			c.What = fmt.Sprintf("security group %s has no rule that lets %s in from security group %s", group, port(d.Protocol, d.Port), strings.Join(source, ", "))
			c.Evidence = append(c.Evidence, fmt.Sprintf("%s belongs to security group %s", d.Source, strings.Join(source, ", ")))
		}
		if len(d.Groups) > 0 && (d.Protocol == network.TCP || d.Protocol == network.UDP) {
			c.Remedy = append(c.Remedy, fmt.Sprintf("aws ec2 authorize-security-group-ingress --group-id %s --protocol %s --port %d %s", d.Groups[0], protocolName(d.Protocol), d.Port, from))
		}
	case network.DropEgress:
		c.What = fmt.Sprintf("security group %s lets nothing out to %s %s", strings.Join(d.Groups, ", "), d.Destination, port(d.Protocol, d.Port))
		if len(d.Groups) > 0 {
			c.Remedy = append(c.Remedy, fmt.Sprintf("aws ec2 authorize-security-group-egress --group-id %s --ip-permissions IpProtocol=-1,IpRanges=[{CidrIp=0.0.0.0/0}]", d.Groups[0]))
		}
	case network.DropNoRoute:
		c.What = fmt.Sprintf("route table %s has no route to %s", d.RouteTable, d.Destination)
		remedy, err := x.routeRemedy(ctx, d.VPC, d.RouteTable)
		if err != nil {
			return c, err
		}
		c.Remedy = append(c.Remedy, remedy)
	case network.DropNoPublic:
		c.What = fmt.Sprintf("%s has no public address, and its subnet's route leads to the internet gateway", d.Source)
		c.Remedy = append(c.Remedy, "give the task a public address (assignPublicIp=ENABLED), or route its subnet through a NAT gateway")
	case network.DropACL:
		c.What = fmt.Sprintf("network ACL %s denies %s from %s to %s", d.ACL, port(d.Protocol, d.Port), d.Source, d.Destination)
	case network.DropNobody:
		c.What = fmt.Sprintf("nobody has the address %s", d.Destination)
	default:
		c.What = fmt.Sprintf("the network dropped the packets (%s)", d.Reason)
	}
	return c, nil
}

func protocolName(p network.Protocol) string {
	if p == network.UDP {
		return "udp"
	}
	return "tcp"
}

// groupsOf returns the security groups of the interface that has an address.
func (x *Explainer) groupsOf(ctx context.Context, vpc string, addr netip.Addr) ([]string, error) {
	out, err := x.EC2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{Filters: []ec2.Filter{
		{Name: aws.Ptr("addresses.private-ip-address"), Values: []string{addr.String()}},
		{Name: aws.Ptr("vpc-id"), Values: []string{vpc}},
	}})
	if err != nil {
		return nil, err
	}
	var groups []string
	for _, eni := range out.NetworkInterfaces {
		for _, g := range eni.Groups {
			groups = append(groups, aws.Val(g.GroupId))
		}
	}
	return groups, nil
}

// routeTableOf returns the route table of a subnet: its own, or the VPC's main one.
func (x *Explainer) routeTableOf(ctx context.Context, subnet string) (*ec2.RouteTable, error) {
	filter := func(name, value string) *ec2.DescribeRouteTablesInput {
		return &ec2.DescribeRouteTablesInput{Filters: []ec2.Filter{{Name: aws.Ptr(name), Values: []string{value}}}}
	}
	out, err := x.EC2.DescribeRouteTables(ctx, filter("association.subnet-id", subnet))
	if err != nil {
		return nil, err
	}
	if len(out.RouteTables) > 0 {
		return &out.RouteTables[0], nil
	}
	subnets, err := x.EC2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: []string{subnet}})
	if err != nil || len(subnets.Subnets) == 0 {
		return nil, err
	}
	if out, err = x.EC2.DescribeRouteTables(ctx, filter("vpc-id", aws.Val(subnets.Subnets[0].VpcId))); err != nil {
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

// wayOut looks whether a subnet has a way to AWS's services: nil when it has.
func (x *Explainer) wayOut(ctx context.Context, subnet string, public bool) (*Cause, error) {
	t, err := x.routeTableOf(ctx, subnet)
	if err != nil || t == nil {
		return nil, err
	}
	id := aws.Val(t.RouteTableId)
	for _, r := range t.Routes {
		if aws.Val(r.DestinationCidrBlock) != "0.0.0.0/0" {
			continue
		}
		switch gateway := aws.Val(r.GatewayId); {
		case aws.Val(r.State) == ec2.RouteStateBlackhole:
			return &Cause{
				What:     fmt.Sprintf("the route 0.0.0.0/0 of route table %s leads nowhere: %s%s is gone", id, gateway, aws.Val(r.NatGatewayId)),
				Evidence: []string{fmt.Sprintf("subnet %s uses route table %s; the route's state is blackhole", subnet, id)},
			}, nil
		case strings.HasPrefix(gateway, "igw-") && !public:
			return &Cause{
				What:     fmt.Sprintf("the task has no public address, and route table %s of its subnet leads to the internet gateway %s, which needs one", id, gateway),
				Evidence: []string{fmt.Sprintf("subnet %s uses route table %s", subnet, id)},
				Remedy:   []string{"give the tasks a public address (assignPublicIp=ENABLED), or use subnets whose route 0.0.0.0/0 leads to a NAT gateway"},
			}, nil
		}
		return nil, nil
	}
	remedy, err := x.routeRemedy(ctx, aws.Val(t.VpcId), id)
	if err != nil {
		return nil, err
	}
	return &Cause{
		What:     fmt.Sprintf("route table %s of subnet %s has no route out of the VPC, so nothing in it reaches ECR or CloudWatch Logs", id, subnet),
		Evidence: []string{fmt.Sprintf("subnet %s uses route table %s, which has no route for 0.0.0.0/0", subnet, id)},
		Remedy:   []string{remedy},
	}, nil
}

// routeRemedy is the command that gives a route table a way out, through what
// the VPC has.
func (x *Explainer) routeRemedy(ctx context.Context, vpc, table string) (string, error) {
	command := "aws ec2 create-route --route-table-id " + table + " --destination-cidr-block 0.0.0.0/0 "
	nats, err := x.EC2.DescribeNatGateways(ctx, &ec2.DescribeNatGatewaysInput{Filter: []ec2.Filter{
		{Name: aws.Ptr("vpc-id"), Values: []string{vpc}}, {Name: aws.Ptr("state"), Values: []string{"available"}},
	}})
	if err != nil {
		return "", err
	}
	if len(nats.NatGateways) > 0 {
		return command + "--nat-gateway-id " + aws.Val(nats.NatGateways[0].NatGatewayId), nil
	}
	return command + "--nat-gateway-id NAT-GATEWAY (create one in a public subnet first)", nil
}
