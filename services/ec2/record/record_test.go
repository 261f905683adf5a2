package record

import (
	"net"
	"testing"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
)

// TestAttributes: a name that no filter has is known by nobody, and an empty
// record answers every name that is known.
func TestAttributes(t *testing.T) {
	for name, c := range map[string]struct {
		attribute func(string) ([]string, bool)
		known     string
	}{
		"VPC":              {new(VPC).Attribute, "vpc-id"},
		"Subnet":           {new(Subnet).Attribute, "subnet-id"},
		"InternetGateway":  {new(InternetGateway).Attribute, "attachment.vpc-id"},
		"RouteTable":       {new(RouteTable).Attribute, "association.main"},
		"NetworkACL":       {new(NetworkACL).Attribute, "association.subnet-id"},
		"SecurityGroup":    {new(SecurityGroup).Attribute, "egress.ip-permission.group-id"},
		"NetworkInterface": {new(NetworkInterface).Attribute, "association.public-ip"},
		"Address":          {new(Address).Attribute, "public-ip"},
		"NATGateway":       {new(NATGateway).Attribute, "state"},
	} {
		if _, ok := c.attribute("colour"); ok {
			t.Errorf("a %s has a colour", name)
		}
		if _, ok := c.attribute(c.known); !ok {
			t.Errorf("a %s has no %s", name, c.known)
		}
	}
}

// TestPermissionAttributes: the filters of permissions look at one direction.
func TestPermissionAttributes(t *testing.T) {
	g := SecurityGroup{Rules: []ec2api.SecurityGroupRule{
		{IsEgress: aws.Ptr(false), IpProtocol: aws.Ptr("tcp"), FromPort: aws.Ptr(int32(22)), ToPort: aws.Ptr(int32(23)), CidrIpv6: aws.Ptr("::/0")},
		{IsEgress: aws.Ptr(true), IpProtocol: aws.Ptr("-1"), FromPort: aws.Ptr(int32(-1)), ReferencedGroupInfo: &ec2api.ReferencedSecurityGroup{UserId: aws.Ptr("000000000000")}},
	}}
	for name, want := range map[string]string{
		"ip-permission.from-port": "22", "ip-permission.to-port": "23", "ip-permission.ipv6-cidr": "::/0", "egress.ip-permission.from-port": "-1",
		"egress.ip-permission.user-id": "000000000000", "egress.ip-permission.to-port": "", "ip-permission.user-id": "", "ip-permission.cidr": "",
	} {
		got, ok := g.Attribute(name)
		if !ok || len(got) != min(len(want), 1) || want != "" && got[0] != want {
			t.Errorf("%s is %q %t, want %q", name, got, ok, want)
		}
	}
}

func TestRouteTable(t *testing.T) {
	r := RouteTable{RouteTable: ec2api.RouteTable{Routes: []ec2api.Route{{DestinationCidrBlock: aws.Ptr("10.0.0.0/16")}, {DestinationCidrBlock: aws.Ptr("0.0.0.0/0")}}}}
	for destination, want := range map[string]int{"10.0.0.0/16": 0, "10.0.7.7/16": 0, "0.0.0.0/0": 1, "10.0.0.0/8": -1, "nonsense": -1} {
		if got := r.Route(destination); got != want {
			t.Errorf("%s is route %d, want %d", destination, got, want)
		}
	}
}

// TestMAC: an interface's address is a local one, of one machine, and its own.
func TestMAC(t *testing.T) {
	a, b := MAC("eni-0123456789abcdef0"), MAC("eni-0123456789abcdef1")
	hw, err := net.ParseMAC(a)
	if err != nil || hw[0]&1 != 0 || hw[0]&2 == 0 {
		t.Errorf("%s: %v", a, err)
	}
	if a == b || a != MAC("eni-0123456789abcdef0") {
		t.Errorf("%s and %s", a, b)
	}
}
