// Package acl keeps the entries of a network ACL: what an entry may say, in EC2's
// words, and how entries are added, replaced and removed. It is pure.
package acl

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/services/ec2/record"
)

// maxEntries is EC2's default quota of each direction.
const maxEntries = 20

// Empty are the entries of an ACL somebody makes: nothing passes.
func Empty() []ec2api.NetworkAclEntry {
	return []ec2api.NetworkAclEntry{every(record.LastRule, ec2api.RuleActionDeny, true), every(record.LastRule, ec2api.RuleActionDeny, false)}
}

// Default are the entries of a VPC's default ACL: everything passes.
func Default() []ec2api.NetworkAclEntry {
	out := append(Empty(), every(100, ec2api.RuleActionAllow, true), every(100, ec2api.RuleActionAllow, false))
	return sorted(out)
}

func every(number int32, action string, egress bool) ec2api.NetworkAclEntry {
	return ec2api.NetworkAclEntry{RuleNumber: &number, Protocol: aws.Ptr("-1"), RuleAction: &action, Egress: &egress, CidrBlock: aws.Ptr("0.0.0.0/0")}
}

// sorted puts outgoing entries first, each direction in the order it is tried.
func sorted(entries []ec2api.NetworkAclEntry) []ec2api.NetworkAclEntry {
	slices.SortFunc(entries, func(a, b ec2api.NetworkAclEntry) int {
		if aws.Val(a.Egress) != aws.Val(b.Egress) {
			if aws.Val(a.Egress) {
				return -1
			}
			return 1
		}
		return cmp.Compare(aws.Val(a.RuleNumber), aws.Val(b.RuleNumber))
	})
	return entries
}

func find(entries []ec2api.NetworkAclEntry, number int32, egress bool) int {
	return slices.IndexFunc(entries, func(e ec2api.NetworkAclEntry) bool {
		return aws.Val(e.RuleNumber) == number && aws.Val(e.Egress) == egress
	})
}

// Add puts one more entry in; its number must be free.
func Add(entries []ec2api.NetworkAclEntry, e ec2api.NetworkAclEntry) ([]ec2api.NetworkAclEntry, error) {
	e, err := checked(e)
	if err != nil {
		return nil, err
	}
	if find(entries, *e.RuleNumber, *e.Egress) >= 0 {
		return nil, aws.Errorf("NetworkAclEntryAlreadyExists", "The network acl entry identified by %d already exists.", *e.RuleNumber)
	}
	n := 0
	for _, o := range entries {
		if aws.Val(o.Egress) == *e.Egress && aws.Val(o.RuleNumber) != record.LastRule {
			n++
		}
	}
	if n >= maxEntries {
		return nil, aws.Errorf("NetworkAclEntryLimitExceeded", "The maximum number of network acl entries has been reached.")
	}
	return sorted(append(slices.Clone(entries), e)), nil
}

// Replace changes the entry that has the number and direction of e.
func Replace(entries []ec2api.NetworkAclEntry, e ec2api.NetworkAclEntry) ([]ec2api.NetworkAclEntry, error) {
	e, err := checked(e)
	if err != nil {
		return nil, err
	}
	i := find(entries, *e.RuleNumber, *e.Egress)
	if i < 0 {
		return nil, missing(*e.RuleNumber)
	}
	out := slices.Clone(entries)
	out[i] = e
	return out, nil
}

// Remove takes an entry out; the last rule stays.
func Remove(entries []ec2api.NetworkAclEntry, number int32, egress bool) ([]ec2api.NetworkAclEntry, error) {
	i := find(entries, number, egress)
	if i < 0 || number == record.LastRule {
		return nil, missing(number)
	}
	return slices.Delete(slices.Clone(entries), i, i+1), nil
}

func missing(number int32) error {
	return aws.Errorf("InvalidNetworkAclEntry.NotFound", "The network acl entry identified by %d does not exist.", number)
}

var numbers = map[string]string{"all": "-1", "tcp": "6", "udp": "17", "icmp": "1", "icmpv6": "58"}

// checked is the entry as it is kept: the protocol a number, the CIDR masked.
func checked(e ec2api.NetworkAclEntry) (ec2api.NetworkAclEntry, error) {
	e.Egress = aws.Ptr(aws.Val(e.Egress))
	if n := aws.Val(e.RuleNumber); n < 1 || n >= record.LastRule {
		return e, aws.Errorf("InvalidParameterValue", "Value (%d) for parameter ruleNumber is invalid. Rule numbers must be between 1 and %d.", n, record.LastRule-1)
	}
	if a := aws.Val(e.RuleAction); a != ec2api.RuleActionAllow && a != ec2api.RuleActionDeny {
		return e, aws.Errorf("InvalidParameterValue", "Value (%s) for parameter ruleAction is invalid. Must be either 'allow' or 'deny'.", a)
	}
	proto := strings.ToLower(aws.Val(e.Protocol))
	if n, ok := numbers[proto]; ok {
		proto = n
	}
	if n, err := strconv.Atoi(proto); err != nil || n < -1 || n > 255 {
		return e, aws.Errorf("InvalidParameterValue", "Invalid value '%s' for protocol. Unknown protocol.", aws.Val(e.Protocol))
	}
	e.Protocol = &proto
	if err := ends(&e); err != nil {
		return e, err
	}
	switch proto {
	case "6", "17":
		r := e.PortRange
		if r == nil || r.From == nil || r.To == nil {
			return e, aws.Errorf("MissingParameter", "The request must contain the parameter portRange")
		}
		if *r.From < 0 || *r.To > 65535 || *r.From > *r.To {
			return e, aws.Errorf("InvalidParameterValue", "Invalid value '%d-%d' for portRange. Must be between 0 and 65535, the first not after the last.", *r.From, *r.To)
		}
		e.IcmpTypeCode = nil
	case "1", "58":
		if t := e.IcmpTypeCode; t == nil || t.Type == nil || t.Code == nil {
			return e, aws.Errorf("MissingParameter", "The request must contain the parameter icmpTypeCode")
		}
		e.PortRange = nil
	default:
		e.PortRange, e.IcmpTypeCode = nil, nil // EC2 ignores the ports of other protocols
	}
	return e, nil
}

// ends checks the one CIDR an entry has. One of IPv6 is kept and shown; no
// interface here has an address it could match.
func ends(e *ec2api.NetworkAclEntry) error {
	switch {
	case e.CidrBlock == nil && e.Ipv6CidrBlock == nil:
		return aws.Errorf("MissingParameter", "The request must contain the parameter cidrBlock or ipv6CidrBlock")
	case e.CidrBlock != nil && e.Ipv6CidrBlock != nil:
		return aws.Errorf("InvalidParameterCombination", "The parameters cidrBlock and ipv6CidrBlock may not be used together.")
	}
	text, four := e.CidrBlock, true
	if text == nil {
		text, four = e.Ipv6CidrBlock, false
	}
	p, err := netip.ParsePrefix(*text)
	if err != nil || p.Addr().Is4() != four {
		return aws.Errorf("InvalidParameterValue", "CIDR block %s is malformed", *text)
	}
	if masked := aws.Ptr(p.Masked().String()); four {
		e.CidrBlock = masked
	} else {
		e.Ipv6CidrBlock = masked
	}
	return nil
}
