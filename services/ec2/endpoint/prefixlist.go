package endpoint

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
)

// prefixLists are AWS's own ids of the prefix lists of S3.
var prefixLists = map[string]string{
	"us-east-1": "pl-63a5400a", "us-east-2": "pl-7ba54012", "us-west-1": "pl-6ba54002", "us-west-2": "pl-68a54001",
	"eu-west-1": "pl-6da54004", "eu-central-1": "pl-6ea54007", "ap-northeast-1": "pl-61a54008", "ap-southeast-1": "pl-6fa54006", "ap-southeast-2": "pl-6ca54005",
}

// digest is a part of an id that is made of a name: the same for ever.
func digest(name string) string {
	sum := sha256.Sum256([]byte(name))
	return "0" + hex.EncodeToString(sum[:8])
}

// PrefixList is the id of a gateway service's prefix list.
func (s Service) PrefixList(region string) string {
	if id := prefixLists[region]; id != "" && s.Name == "s3" {
		return id
	}
	return "pl-" + digest(s.In(region))[1:9]
}

// PrefixLists are the lists of a region: those of the services with gateway
// endpoints, whose addresses are given.
func PrefixLists(region string, addr netip.Addr) []ec2api.PrefixList {
	var out []ec2api.PrefixList
	for _, s := range services {
		if s.Gateway {
			out = append(out, ec2api.PrefixList{PrefixListId: ptr(s.PrefixList(region)), PrefixListName: ptr(s.In(region)), Cidrs: []string{netip.PrefixFrom(addr, 32).String()}})
		}
	}
	return out
}

// Managed is a list as DescribeManagedPrefixLists shows it: AWS's own.
func Managed(region string, l ec2api.PrefixList) ec2api.ManagedPrefixList {
	return ec2api.ManagedPrefixList{
		PrefixListId: l.PrefixListId, PrefixListName: l.PrefixListName, AddressFamily: ptr("IPv4"), OwnerId: ptr("AWS"), State: ptr(ec2api.PrefixListStateCreateComplete),
		PrefixListArn: ptr("arn:aws:ec2:" + region + ":aws:prefix-list/" + *l.PrefixListId), MaxEntries: ptr(int32(len(l.Cidrs))), Version: ptr(int64(1)),
	}
}

// ListAttribute gives the values of a filter of DescribePrefixLists.
func ListAttribute(l *ec2api.PrefixList, name string) ([]string, bool) {
	switch name {
	case "prefix-list-id":
		return value(l.PrefixListId), true
	case "prefix-list-name":
		return value(l.PrefixListName), true
	}
	return nil, false
}

// ManagedAttribute gives the values of a filter of DescribeManagedPrefixLists.
func ManagedAttribute(l *ec2api.ManagedPrefixList, name string) ([]string, bool) {
	switch name {
	case "owner-id":
		return value(l.OwnerId), true
	case "prefix-list-id":
		return value(l.PrefixListId), true
	case "prefix-list-name":
		return value(l.PrefixListName), true
	}
	return nil, false
}

// NoPrefixList says that there is no such list.
func NoPrefixList(id string) error {
	return aws.Errorf("InvalidPrefixListID.NotFound", "The prefix list ID '%s' does not exist", id)
}
