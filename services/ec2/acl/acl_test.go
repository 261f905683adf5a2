package acl

import (
	"errors"
	"testing"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/services/ec2/record"
)

func entry(number int32, proto, cidr string) ec2api.NetworkAclEntry {
	return ec2api.NetworkAclEntry{RuleNumber: &number, Protocol: &proto, RuleAction: aws.Ptr("allow"), Egress: aws.Ptr(false), CidrBlock: &cidr}
}

func code(err error) string {
	var e *aws.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func TestEntriesAreKeptAsEC2ShowsThem(t *testing.T) {
	web := entry(90, "tcp", "10.0.0.7/8")
	web.PortRange = &ec2api.PortRange{From: aws.Ptr(int32(80)), To: aws.Ptr(int32(443))}
	all, err := Add(Default(), web)
	if err != nil {
		t.Fatal(err)
	}
	got := all[2] // after the two of the other direction
	if aws.Val(got.Protocol) != "6" || aws.Val(got.CidrBlock) != "10.0.0.0/8" || aws.Val(got.RuleNumber) != 90 {
		t.Errorf("the entry is %+v", got)
	}
	if _, err := Add(all, web); code(err) != "NetworkAclEntryAlreadyExists" {
		t.Errorf("the same number again: %v", err)
	}
	if all, err = Replace(all, entry(90, "-1", "0.0.0.0/0")); err != nil || all[2].PortRange != nil {
		t.Errorf("replaced: %+v %v", all, err)
	}
	if all, err = Remove(all, 90, false); err != nil || len(all) != len(Default()) {
		t.Errorf("removed: %+v %v", all, err)
	}
	for _, number := range []int32{90, record.LastRule} {
		if _, err := Remove(all, number, false); code(err) != "InvalidNetworkAclEntry.NotFound" {
			t.Errorf("removing %d: %v", number, err)
		}
	}
}

func TestEntriesEC2Refuses(t *testing.T) {
	both := entry(1, "-1", "0.0.0.0/0")
	both.Ipv6CidrBlock = aws.Ptr("::/0")
	none := entry(1, "-1", "")
	none.CidrBlock = nil
	back := entry(1, "udp", "0.0.0.0/0")
	back.PortRange = &ec2api.PortRange{From: aws.Ptr(int32(9)), To: aws.Ptr(int32(8))}
	perhaps := entry(1, "-1", "0.0.0.0/0")
	perhaps.RuleAction = aws.Ptr("perhaps")
	for name, c := range map[string]struct {
		entry ec2api.NetworkAclEntry
		code  string
	}{
		"number 0":        {entry(0, "-1", "0.0.0.0/0"), "InvalidParameterValue"},
		"the last number": {entry(record.LastRule, "-1", "0.0.0.0/0"), "InvalidParameterValue"},
		"protocol":        {entry(1, "ipx", "0.0.0.0/0"), "InvalidParameterValue"},
		"action":          {perhaps, "InvalidParameterValue"},
		"cidr":            {entry(1, "-1", "10.0.0.0"), "InvalidParameterValue"},
		"no cidr":         {none, "MissingParameter"},
		"two cidrs":       {both, "InvalidParameterCombination"},
		"no ports":        {entry(1, "6", "0.0.0.0/0"), "MissingParameter"},
		"ports reversed":  {back, "InvalidParameterValue"},
		"no ICMP type":    {entry(1, "icmp", "0.0.0.0/0"), "MissingParameter"},
	} {
		if _, err := Add(Empty(), c.entry); code(err) != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
}
