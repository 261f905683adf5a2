// Package rule is the rules of security groups: what EC2 takes for one, which are
// the same, and how the older form of the API shows them.
package rule

import (
	"slices"
	"strconv"
	"strings"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
)

// Permissions joins rules of one direction, protocol and port range, as the
// older form of the API shows them.
func Permissions(rules []ec2api.SecurityGroupRule, egress bool) []ec2api.IpPermission {
	var out []ec2api.IpPermission
	for _, r := range rules {
		if aws.Val(r.IsEgress) != egress {
			continue
		}
		i := slices.IndexFunc(out, func(p ec2api.IpPermission) bool {
			return aws.Val(p.IpProtocol) == aws.Val(r.IpProtocol) && samePort(p.FromPort, shownPort(r, r.FromPort)) && samePort(p.ToPort, shownPort(r, r.ToPort))
		})
		if i < 0 {
			out = append(out, ec2api.IpPermission{IpProtocol: r.IpProtocol, FromPort: shownPort(r, r.FromPort), ToPort: shownPort(r, r.ToPort)})
			i = len(out) - 1
		}
		switch {
		case r.ReferencedGroupInfo != nil:
			out[i].UserIdGroupPairs = append(out[i].UserIdGroupPairs, ec2api.UserIdGroupPair{GroupId: r.ReferencedGroupInfo.GroupId, UserId: r.ReferencedGroupInfo.UserId, Description: r.Description})
		case r.CidrIpv6 != nil:
			out[i].Ipv6Ranges = append(out[i].Ipv6Ranges, ec2api.Ipv6Range{CidrIpv6: r.CidrIpv6, Description: r.Description})
		default:
			out[i].IpRanges = append(out[i].IpRanges, ec2api.IpRange{CidrIp: r.CidrIpv4, Description: r.Description})
		}
	}
	return out
}

// shownPort is absent in permissions for all protocols, where rules say -1.
func shownPort(r ec2api.SecurityGroupRule, p *int32) *int32 {
	if aws.Val(r.IpProtocol) == "-1" {
		return nil
	}
	return p
}

func samePort(a, b *int32) bool { return (a == nil) == (b == nil) && aws.Val(a) == aws.Val(b) }

// protocols by number, for those that have a name in the API.
var protocolNames = map[string]string{"6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6"}

// Protocol gives a protocol its canonical form.
func Protocol(text string) (string, error) {
	t := strings.ToLower(text)
	if name := protocolNames[t]; name != "" {
		return name, nil
	}
	switch t {
	case "tcp", "udp", "icmp", "icmpv6", "-1":
		return t, nil
	case "all":
		return "-1", nil
	}
	if n, err := strconv.Atoi(t); err == nil && n >= 0 && n <= 255 {
		return t, nil
	}
	return "", aws.Errorf("InvalidParameterValue", "Invalid value '%s' for IP protocol. Unknown protocol.", text)
}

// Ports checks a rule's port range and gives it its canonical form.
func Ports(proto string, from, to *int32) (*int32, *int32, error) {
	switch proto {
	case "tcp", "udp":
		if from == nil || to == nil {
			return nil, nil, aws.Errorf("InvalidParameterValue", "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.")
		}
		if *from < 0 || *to > 65535 || *from > *to {
			if *from == -1 && *to == -1 {
				return nil, nil, aws.Errorf("InvalidParameterValue", "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.")
			}
			return nil, nil, aws.Errorf("InvalidParameterValue", "Invalid value '%d-%d' for portRange. Must be between 0 and 65535, the first not after the last.", *from, *to)
		}
		return from, to, nil
	case "icmp", "icmpv6":
		if from == nil {
			from = aws.Ptr(int32(-1))
		}
		if to == nil {
			to = aws.Ptr(int32(-1))
		}
		return from, to, nil
	}
	return aws.Ptr(int32(-1)), aws.Ptr(int32(-1)), nil // EC2 ignores ports of other protocols
}

// Same tells whether two rules let the same pass.
func Same(a, b ec2api.SecurityGroupRule) bool {
	group := func(r ec2api.SecurityGroupRule) string {
		if r.ReferencedGroupInfo == nil {
			return ""
		}
		return aws.Val(r.ReferencedGroupInfo.GroupId)
	}
	return aws.Val(a.IsEgress) == aws.Val(b.IsEgress) && aws.Val(a.IpProtocol) == aws.Val(b.IpProtocol) && samePort(a.FromPort, b.FromPort) && samePort(a.ToPort, b.ToPort) &&
		aws.Val(a.CidrIpv4) == aws.Val(b.CidrIpv4) && aws.Val(a.CidrIpv6) == aws.Val(b.CidrIpv6) && group(a) == group(b)
}

// Source names a rule's other side for a message.
func Source(r ec2api.SecurityGroupRule) string {
	if r.ReferencedGroupInfo != nil {
		return aws.Val(r.ReferencedGroupInfo.GroupId)
	}
	return aws.Val(r.CidrIpv4) + aws.Val(r.CidrIpv6)
}
