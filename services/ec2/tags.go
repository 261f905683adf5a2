package ec2

import (
	"context"
	"slices"
	"strings"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/services/ec2/endpoint"
	"minato/services/ec2/listing"
	"minato/services/ec2/record"
	"minato/store"
)

// maxTags is what AWS allows a resource.
const maxTags = 50

// tagsFor takes the tags of a resource type from an operation's TagSpecifications.
func tagsFor(specs []ec2api.TagSpecification, kind string) ([]ec2api.Tag, error) {
	var tags []ec2api.Tag
	for _, s := range specs {
		if aws.Val(s.ResourceType) != kind {
			return nil, aws.Errorf("InvalidParameterValue", "'%s' is not a valid taggable resource type for this operation.", aws.Val(s.ResourceType))
		}
		tags = append(tags, s.Tags...)
	}
	return merge(nil, tags)
}

// merge adds tags to tags; a key that is there gets the new value.
func merge(have, more []ec2api.Tag) ([]ec2api.Tag, error) {
	out := slices.Clone(have)
	for _, t := range more {
		key := aws.Val(t.Key)
		switch {
		case key == "":
			return nil, aws.Errorf("InvalidParameterValue", "Tag key cannot be empty.")
		case strings.HasPrefix(strings.ToLower(key), "aws:") && !strings.HasPrefix(key, "aws:cloudformation:") && !strings.HasPrefix(key, "aws:ecs:") && !strings.HasPrefix(key, "aws:cloud9:"):
			return nil, aws.Errorf("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
		}
		t.Value = aws.Ptr(aws.Val(t.Value))
		if i := slices.IndexFunc(out, func(o ec2api.Tag) bool { return aws.Val(o.Key) == key }); i >= 0 {
			out[i] = t
		} else {
			out = append(out, t)
		}
	}
	if len(out) > maxTags {
		return nil, aws.Errorf("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
	}
	return out, nil
}

// remove takes tags away: those with the key, and with the value if one is given.
func remove(have, gone []ec2api.Tag) []ec2api.Tag {
	if len(gone) == 0 {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(have), func(t ec2api.Tag) bool {
		return slices.ContainsFunc(gone, func(g ec2api.Tag) bool {
			return aws.Val(g.Key) == aws.Val(t.Key) && (g.Value == nil || *g.Value == aws.Val(t.Value))
		})
	})
}

// retag changes the tags of the resource with an id, of whatever kind it is.
func (s *Service) retag(ctx context.Context, id string, f func([]ec2api.Tag) ([]ec2api.Tag, error)) error {
	prefix, _, _ := strings.Cut(id, "-")
	apply := func(tags *[]ec2api.Tag) error {
		t, err := f(*tags)
		*tags = t
		return err
	}
	switch prefix {
	case "vpc":
		return update(ctx, s, s.vpcs, id, noVPC, func(v *record.VPC) error { return apply(&v.Tags) })
	case "subnet":
		return update(ctx, s, s.subnets, id, noSubnet, func(v *record.Subnet) error { return apply(&v.Tags) })
	case "igw":
		return update(ctx, s, s.gateways, id, noGateway, func(v *record.InternetGateway) error { return apply(&v.Tags) })
	case "rtb":
		return update(ctx, s, s.tables, id, noRouteTable, func(v *record.RouteTable) error { return apply(&v.Tags) })
	case "acl":
		return update(ctx, s, s.acls, id, noACL, func(v *record.NetworkACL) error { return apply(&v.Tags) })
	case "sg":
		return update(ctx, s, s.groups, id, noGroup, func(v *record.SecurityGroup) error { return apply(&v.Tags) })
	case "sgr":
		return s.retagRule(ctx, id, apply)
	case "eni":
		return update(ctx, s, s.interfaces, id, noInterface, func(v *record.NetworkInterface) error { return apply(&v.TagSet) })
	case "eipalloc":
		return update(ctx, s, s.addresses, id, noAllocation, func(v *record.Address) error { return apply(&v.Tags) })
	case "i":
		return update(ctx, s, s.instances, id, noInstance, func(v *instanceRecord) error { return apply(&v.Tags) })
	case "vpce":
		return update(ctx, s, s.endpoints, id, endpoint.Missing, func(v *record.VPCEndpoint) error { return apply(&v.Tags) })
	case "nat":
		return update(ctx, s, s.nats, id, noNAT, func(v *record.NATGateway) error { return apply(&v.Tags) })
	}
	return aws.Errorf("InvalidID", "The ID '%s' is not valid", id)
}

// CreateTags adds tags to resources; all ids are looked at before any changes.
func (s *Service) CreateTags(ctx context.Context, in *ec2api.CreateTagsInput) (*ec2api.CreateTagsOutput, error) {
	if len(in.Resources) == 0 || len(in.Tags) == 0 {
		return nil, aws.Errorf("MissingParameter", "The request must contain the parameter resourceIdSet and tagSet")
	}
	same := func(t []ec2api.Tag) ([]ec2api.Tag, error) { return t, nil }
	for _, id := range in.Resources {
		if err := s.retag(ctx, id, same); err != nil {
			return nil, err
		}
	}
	for _, id := range in.Resources {
		if err := s.retag(ctx, id, func(t []ec2api.Tag) ([]ec2api.Tag, error) { return merge(t, in.Tags) }); err != nil {
			return nil, err
		}
	}
	return &ec2api.CreateTagsOutput{}, nil
}

// DeleteTags removes tags; those that are not there are gone already.
func (s *Service) DeleteTags(ctx context.Context, in *ec2api.DeleteTagsInput) (*ec2api.DeleteTagsOutput, error) {
	for _, id := range in.Resources {
		if err := s.retag(ctx, id, func(t []ec2api.Tag) ([]ec2api.Tag, error) { return remove(t, in.Tags), nil }); err != nil {
			return nil, err
		}
	}
	return &ec2api.DeleteTagsOutput{}, nil
}

// DescribeTags lists the tags of all resources.
func (s *Service) DescribeTags(ctx context.Context, in *ec2api.DescribeTagsInput) (*ec2api.DescribeTagsOutput, error) {
	p := at(ctx)
	var all []ec2api.TagDescription
	add := func(kind, id string, tags []ec2api.Tag) {
		for _, t := range tags {
			all = append(all, ec2api.TagDescription{Key: t.Key, Value: t.Value, ResourceId: &id, ResourceType: &kind})
		}
	}
	err := errFirst(
		each(ctx, s.vpcs, p, func(v record.VPC) { add("vpc", *v.VpcId, v.Tags) }),
		each(ctx, s.subnets, p, func(v record.Subnet) { add("subnet", *v.SubnetId, v.Tags) }),
		each(ctx, s.gateways, p, func(v record.InternetGateway) { add("internet-gateway", *v.InternetGatewayId, v.Tags) }),
		each(ctx, s.tables, p, func(v record.RouteTable) { add("route-table", *v.RouteTableId, v.Tags) }),
		each(ctx, s.acls, p, func(v record.NetworkACL) { add("network-acl", *v.NetworkAclId, v.Tags) }),
		each(ctx, s.groups, p, func(v record.SecurityGroup) { add("security-group", *v.GroupId, v.Tags) }),
		each(ctx, s.interfaces, p, func(v record.NetworkInterface) { add("network-interface", *v.NetworkInterfaceId, v.TagSet) }),
		each(ctx, s.addresses, p, func(v record.Address) { add("elastic-ip", *v.AllocationId, v.Tags) }),
		each(ctx, s.nats, p, func(v record.NATGateway) { add("natgateway", *v.NatGatewayId, v.Tags) }),
		each(ctx, s.endpoints, p, func(v record.VPCEndpoint) { add("vpc-endpoint", *v.VpcEndpointId, v.Tags) }),
		each(ctx, s.instances, p, func(v instanceRecord) { add("instance", *v.InstanceId, v.Tags) }),
	)
	if err != nil {
		return nil, err
	}
	out, err := listing.Choose(all, nil, in.Filters, func(*ec2api.TagDescription) string { return "" }, func(*ec2api.TagDescription) []ec2api.Tag { return nil },
		func(t *ec2api.TagDescription, name string) ([]string, bool) {
			switch name {
			case "key":
				return listing.Value(t.Key), true
			case "value":
				return listing.Value(t.Value), true
			case "resource-id":
				return listing.Value(t.ResourceId), true
			case "resource-type":
				return listing.Value(t.ResourceType), true
			}
			return nil, false
		}, nil)
	if err != nil {
		return nil, err
	}
	tags, next, err := listing.Page(out, in.MaxResults, in.NextToken)
	return &ec2api.DescribeTagsOutput{Tags: tags, NextToken: next}, err
}

// each calls f for every record of a kind.
func each[T any](ctx context.Context, t store.Table[T], p place, f func(T)) error {
	all, err := t.List(ctx, p.account, p.region)
	for _, v := range all {
		f(v)
	}
	return err
}

func errFirst(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
