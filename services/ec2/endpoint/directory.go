package endpoint

import (
	"context"
	"net/netip"
	"slices"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/aws/identity"
	"minato/dataplane/network"
	"minato/services/ec2/listing"
	"minato/services/ec2/zone"
)

// Directory answers what can be asked of services and prefix lists.
type Directory struct {
	Addresses netip.Prefix // of public addresses
}

// DescribeVpcEndpointServices lists the services that endpoints lead to.
func (d Directory) DescribeVpcEndpointServices(ctx context.Context, in *ec2api.DescribeVpcEndpointServicesInput) (*ec2api.DescribeVpcEndpointServicesOutput, error) {
	region := identity.From(ctx).Region
	if i := slices.IndexFunc(in.ServiceRegions, func(r string) bool { return r != region }); i >= 0 {
		return nil, unserved("endpoints for services of the region " + in.ServiceRegions[i])
	}
	var all []ec2api.ServiceDetail
	for _, s := range Services() {
		all = append(all, s.Detail(region, zone.All(region)))
	}
	all, err := listing.Choose(all, in.ServiceNames, in.Filters, func(d *ec2api.ServiceDetail) string { return *d.ServiceName }, func(d *ec2api.ServiceDetail) []ec2api.Tag { return d.Tags }, ServiceAttribute, NoService)
	if err != nil {
		return nil, err
	}
	all, next, err := listing.Page(all, in.MaxResults, in.NextToken)
	out := &ec2api.DescribeVpcEndpointServicesOutput{ServiceDetails: all, NextToken: next}
	for _, d := range all {
		out.ServiceNames = append(out.ServiceNames, *d.ServiceName)
	}
	return out, err
}

// prefixLists are the region's.
func (d Directory) prefixLists(ctx context.Context) []ec2api.PrefixList {
	return PrefixLists(identity.From(ctx).Region, network.ObjectsAddress(d.Addresses))
}

func noTags[T any](*T) []ec2api.Tag { return nil }

// DescribePrefixLists lists the addresses of the services with gateway endpoints.
func (d Directory) DescribePrefixLists(ctx context.Context, in *ec2api.DescribePrefixListsInput) (*ec2api.DescribePrefixListsOutput, error) {
	all, err := listing.Choose(d.prefixLists(ctx), in.PrefixListIds, in.Filters, func(l *ec2api.PrefixList) string { return *l.PrefixListId }, noTags[ec2api.PrefixList], ListAttribute, NoPrefixList)
	if err != nil {
		return nil, err
	}
	all, next, err := listing.Page(all, in.MaxResults, in.NextToken)
	return &ec2api.DescribePrefixListsOutput{PrefixLists: all, NextToken: next}, err
}

// DescribeManagedPrefixLists lists the prefix lists, all of which are AWS's own.
func (d Directory) DescribeManagedPrefixLists(ctx context.Context, in *ec2api.DescribeManagedPrefixListsInput) (*ec2api.DescribeManagedPrefixListsOutput, error) {
	var all []ec2api.ManagedPrefixList
	for _, l := range d.prefixLists(ctx) {
		all = append(all, Managed(identity.From(ctx).Region, l))
	}
	all, err := listing.Choose(all, in.PrefixListIds, in.Filters, func(l *ec2api.ManagedPrefixList) string { return *l.PrefixListId }, noTags[ec2api.ManagedPrefixList], ManagedAttribute, NoPrefixList)
	if err != nil {
		return nil, err
	}
	all, next, err := listing.Page(all, in.MaxResults, in.NextToken)
	return &ec2api.DescribeManagedPrefixListsOutput{PrefixLists: all, NextToken: next}, err
}

// GetManagedPrefixListEntries lists the addresses in a prefix list.
func (d Directory) GetManagedPrefixListEntries(ctx context.Context, in *ec2api.GetManagedPrefixListEntriesInput) (*ec2api.GetManagedPrefixListEntriesOutput, error) {
	for _, l := range d.prefixLists(ctx) {
		if *l.PrefixListId != aws.Val(in.PrefixListId) {
			continue
		}
		var all []ec2api.PrefixListEntry
		for _, cidr := range l.Cidrs {
			all = append(all, ec2api.PrefixListEntry{Cidr: &cidr})
		}
		all, next, err := listing.Page(all, in.MaxResults, in.NextToken)
		return &ec2api.GetManagedPrefixListEntriesOutput{Entries: all, NextToken: next}, err
	}
	return nil, NoPrefixList(aws.Val(in.PrefixListId))
}
