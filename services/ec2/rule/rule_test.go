package rule

import (
	"testing"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
)

func TestProtocol(t *testing.T) {
	for text, want := range map[string]string{
		"tcp": "tcp", "TCP": "tcp", "6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6", "-1": "-1", "all": "-1", "50": "50", "0": "0", "255": "255",
		"256": "", "-2": "", "": "", "tcpx": "",
	} {
		got, err := Protocol(text)
		if want == "" && !aws.IsCode(err, "InvalidParameterValue") || want != "" && (err != nil || got != want) {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestPorts(t *testing.T) {
	p := func(n int32) *int32 { return &n }
	for name, c := range map[string]struct {
		proto            string
		from, to         *int32
		wantFrom, wantTo int32
		wantInvalid      bool
	}{
		"a range":                {"tcp", p(80), p(443), 80, 443, false},
		"all ports":              {"udp", p(0), p(65535), 0, 65535, false},
		"no ports of TCP":        {"tcp", nil, nil, 0, 0, true},
		"half a range":           {"tcp", p(80), nil, 0, 0, true},
		"backwards":              {"tcp", p(443), p(80), 0, 0, true},
		"too large":              {"udp", p(0), p(65536), 0, 0, true},
		"-1 of TCP":              {"tcp", p(-1), p(-1), 0, 0, true},
		"ICMP, any type":         {"icmp", nil, nil, -1, -1, false},
		"ICMP, echo":             {"icmp", p(8), p(0), 8, 0, false},
		"other protocols' ports": {"-1", p(80), p(80), -1, -1, false},
	} {
		from, to, err := Ports(c.proto, c.from, c.to)
		if c.wantInvalid {
			if !aws.IsCode(err, "InvalidParameterValue") {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || *from != c.wantFrom || *to != c.wantTo {
			t.Errorf("%s: %v, %v, %v", name, aws.Val(from), aws.Val(to), err)
		}
	}
}

// of makes a rule for an IPv4 block.
func of(proto string, port int32, cidr string, egress bool) ec2api.SecurityGroupRule {
	return ec2api.SecurityGroupRule{IpProtocol: &proto, FromPort: &port, ToPort: &port, CidrIpv4: &cidr, IsEgress: &egress}
}

func TestSame(t *testing.T) {
	a := of("tcp", 80, "10.0.0.0/8", false)
	described := a
	described.Description = aws.Ptr("the office")
	if !Same(a, described) {
		t.Error("a description makes another rule")
	}
	group := a
	group.CidrIpv4, group.ReferencedGroupInfo = nil, &ec2api.ReferencedSecurityGroup{GroupId: aws.Ptr("sg-1")}
	for name, b := range map[string]ec2api.SecurityGroupRule{
		"direction": of("tcp", 80, "10.0.0.0/8", true), "protocol": of("udp", 80, "10.0.0.0/8", false),
		"port": of("tcp", 81, "10.0.0.0/8", false), "block": of("tcp", 80, "10.0.0.0/9", false), "group": group,
	} {
		if Same(a, b) {
			t.Errorf("another %s makes no other rule", name)
		}
	}
}

func TestPermissions(t *testing.T) {
	rules := []ec2api.SecurityGroupRule{
		of("tcp", 80, "10.0.0.0/8", false), of("tcp", 80, "192.168.0.0/16", false), of("tcp", 443, "10.0.0.0/8", false), of("-1", -1, "0.0.0.0/0", true),
	}
	in, out := Permissions(rules, false), Permissions(rules, true)
	if len(in) != 2 || len(in[0].IpRanges) != 2 || aws.Val(in[0].FromPort) != 80 || len(in[1].IpRanges) != 1 {
		t.Errorf("ingress: %+v", in)
	}
	if len(out) != 1 || out[0].FromPort != nil || out[0].ToPort != nil {
		t.Errorf("egress: a permission for all protocols has ports: %+v", out)
	}
}
