package netplan

import (
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/dataplane/network"
	"minato/services/ec2/record"
)

func vpc(id, cidr string) record.VPC {
	return record.VPC{Vpc: ec2api.Vpc{VpcId: &id, CidrBlock: &cidr}, DNSSupport: true, Main: "rtb-main"}
}

// TestWhatCannotBeReadIsLeftOut plans the rest, and names what it could not read.
func TestWhatCannotBeReadIsLeftOut(t *testing.T) {
	group := func(cidrs ...string) record.SecurityGroup {
		g := record.SecurityGroup{SecurityGroup: ec2api.SecurityGroup{GroupId: aws.Ptr("sg-1"), VpcId: aws.Ptr("vpc-1")}}
		for _, c := range cidrs {
			g.Rules = append(g.Rules, ec2api.SecurityGroupRule{IpProtocol: aws.Ptr("tcp"), FromPort: aws.Ptr[int32](80), ToPort: aws.Ptr[int32](80), CidrIpv4: &c})
		}
		return g
	}
	c, err := Plan(&Inventory{
		VPCs:   []record.VPC{vpc("vpc-1", "10.0.0.0/16"), vpc("vpc-2", "nonsense")},
		Groups: []record.SecurityGroup{group("10.0.0.0/8", "nonsense", "0.0.0.0/0")},
	})
	if err == nil || !strings.Contains(err.Error(), "vpc-2") || !strings.Contains(err.Error(), "sg-1") {
		t.Errorf("the error names not both: %v", err)
	}
	if len(c.VPCs) != 1 || len(c.VPCs[0].Groups) != 1 || len(c.VPCs[0].Groups[0].Ingress) != 2 {
		t.Errorf("the rest is not planned: %+v", c)
	}
}

func TestRoutes(t *testing.T) {
	to := func(cidr string, f func(*ec2api.Route)) ec2api.Route {
		r := ec2api.Route{DestinationCidrBlock: &cidr}
		f(&r)
		return r
	}
	table := record.RouteTable{RouteTable: ec2api.RouteTable{RouteTableId: aws.Ptr("rtb-1"), Routes: []ec2api.Route{
		to("10.0.0.0/16", func(r *ec2api.Route) { r.GatewayId = aws.Ptr("local") }),
		to("1.0.0.0/8", func(r *ec2api.Route) { r.GatewayId = aws.Ptr("igw-1") }),
		to("2.0.0.0/8", func(r *ec2api.Route) { r.GatewayId = aws.Ptr("igw-gone") }),
		to("3.0.0.0/8", func(r *ec2api.Route) { r.NatGatewayId = aws.Ptr("nat-1") }),
		to("4.0.0.0/8", func(r *ec2api.Route) { r.NatGatewayId = aws.Ptr("nat-gone") }),
		to("5.0.0.0/8", func(r *ec2api.Route) { r.NetworkInterfaceId = aws.Ptr("eni-1") }),
	}}}
	got, err := routeTable(&table, "igw-1", map[string]bool{"nat-1": true})
	if err != nil {
		t.Fatal(err)
	}
	want := []network.Route{
		{Destination: netip.MustParsePrefix("1.0.0.0/8"), Kind: network.ToInternet},
		{Destination: netip.MustParsePrefix("2.0.0.0/8"), Kind: network.Blackhole},
		{Destination: netip.MustParsePrefix("3.0.0.0/8"), Kind: network.ToNATGateway, Target: "nat-1"},
		{Destination: netip.MustParsePrefix("4.0.0.0/8"), Kind: network.Blackhole},
		{Destination: netip.MustParsePrefix("5.0.0.0/8"), Kind: network.ToInterface, Target: "eni-1"},
	}
	if len(got.Routes) != len(want) {
		t.Fatalf("%+v", got.Routes)
	}
	for i := range want {
		if got.Routes[i] != want[i] {
			t.Errorf("route %d is %+v, want %+v", i, got.Routes[i], want[i])
		}
	}
}

// TestProtocols: a name and its number are the same protocol.
func TestProtocols(t *testing.T) {
	for name, number := range map[string]string{"tcp": "6", "udp": "17", "icmp": "1", "icmpv6": "58"} {
		a, errA := protocol(name)
		b, errB := protocol(number)
		if errA != nil || errB != nil || a != b {
			t.Errorf("%s is %v (%v), %s is %v (%v)", name, a, errA, number, b, errB)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`-?[0-9]{1,5}`).Draw(t, "text")
		p, err := protocol(text)
		if err == nil && text != "-1" && (p < 0 || p > 255) {
			t.Fatalf("%q is protocol %v", text, p)
		}
	})
}
