package rds

import (
	"context"
	"slices"
	"strings"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	rdsapi "minato/aws/api/rds"
	"minato/aws/arn"
	"minato/store"
)

// subnetGroup is a record of "rds/subnet-group".
type subnetGroup struct {
	rdsapi.DBSubnetGroup
	// LastUser is the instance that last chose the group. Writing it makes a
	// transaction that removes the group at the same moment fail, and look again.
	LastUser string       `json:"lastUser,omitempty"`
	Tags     []rdsapi.Tag `json:"tags,omitempty"`
}

// CreateDBSubnetGroup implements rdsapi.API.
func (s *Service) CreateDBSubnetGroup(ctx context.Context, in *rdsapi.CreateDBSubnetGroupInput) (*rdsapi.CreateDBSubnetGroupOutput, error) {
	name, err := subnetGroupName(aws.Val(in.DBSubnetGroupName))
	if err != nil {
		return nil, err
	}
	p := here(ctx)
	rec, err := s.newSubnetGroup(ctx, p, name, aws.Val(in.DBSubnetGroupDescription), in.SubnetIds)
	if err != nil {
		return nil, err
	}
	if rec.Tags, err = mergeTags(nil, in.Tags); err != nil {
		return nil, err
	}
	err = store.Update(ctx, s.Store, func(tx *store.Tx) error {
		if _, found, err := s.subnetGroups.TxGet(tx, p.Account, p.Region, name); err != nil || found {
			if found {
				err = rdsapi.DBSubnetGroupAlreadyExistsFault("The DB subnet group '%s' already exists.", name)
			}
			return err
		}
		return s.subnetGroups.TxPut(tx, rec, p.Account, p.Region, name)
	})
	if err != nil {
		return nil, err
	}
	return &rdsapi.CreateDBSubnetGroupOutput{DBSubnetGroup: &rec.DBSubnetGroup}, nil
}

func subnetGroupName(name string) (string, error) {
	lower := strings.ToLower(name)
	valid := !strings.ContainsFunc(lower, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("._- ", r)
	})
	if lower == "" || len(lower) > 255 || lower == "default" || !valid {
		return "", invalidValue("The parameter DBSubnetGroupName must be provided, must not be 'default', and must contain only alphanumeric characters, spaces, periods, underscores and hyphens")
	}
	return lower, nil
}

// newSubnetGroup makes the record of a group of subnets that are there, in one
// VPC, and in enough zones.
func (s *Service) newSubnetGroup(ctx context.Context, p arn.Place, name, description string, ids []string) (subnetGroup, error) {
	subnets, err := s.subnets(ctx, p, ids)
	if err != nil {
		return subnetGroup{}, err
	}
	var zones []string
	shown := []rdsapi.Subnet{}
	vpc := aws.Val(subnets[0].VpcId)
	for _, subnet := range subnets {
		if aws.Val(subnet.VpcId) != vpc {
			return subnetGroup{}, rdsapi.InvalidSubnet("The new Subnets are not in the same Vpc as the existing subnet group")
		}
		if zone := aws.Val(subnet.AvailabilityZone); !slices.Contains(zones, zone) {
			zones = append(zones, zone)
		}
		shown = append(shown, rdsapi.Subnet{
			SubnetIdentifier: subnet.SubnetId, SubnetStatus: aws.Ptr("Active"),
			SubnetAvailabilityZone: &rdsapi.AvailabilityZone{Name: subnet.AvailabilityZone}, SubnetOutpost: &rdsapi.Outpost{},
		})
	}
	slices.Sort(zones)
	if len(zones) < 2 {
		return subnetGroup{}, rdsapi.DBSubnetGroupDoesNotCoverEnoughAZs("The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement. Current AZ coverage: %s. Add subnets to cover at least 2 AZs.", strings.Join(zones, ", "))
	}
	return subnetGroup{DBSubnetGroup: rdsapi.DBSubnetGroup{
		DBSubnetGroupName: aws.Ptr(name), DBSubnetGroupDescription: aws.Ptr(description), DBSubnetGroupArn: aws.Ptr(p.DBSubnetGroup(name)),
		SubnetGroupStatus: aws.Ptr("Complete"), VpcId: aws.Ptr(vpc), Subnets: shown, SupportedNetworkTypes: []string{"IPV4"},
	}}, nil
}

// subnets returns subnets by their ids.
func (s *Service) subnets(ctx context.Context, p arn.Place, ids []string) ([]ec2api.Subnet, error) {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	if len(ids) == 0 {
		return nil, invalidValue("Some input subnets in :[] are invalid.")
	}
	out, err := s.EC2.DescribeSubnets(as(ctx, p), &ec2api.DescribeSubnetsInput{SubnetIds: ids})
	if aws.IsCode(err, "InvalidSubnetID.NotFound") || aws.IsCode(err, "InvalidSubnetID.Malformed") {
		return nil, invalidValue("Some input subnets in :[%s] are invalid.", strings.Join(ids, ", "))
	}
	if err != nil {
		return nil, err
	}
	return out.Subnets, nil
}

// DescribeDBSubnetGroups implements rdsapi.API.
func (s *Service) DescribeDBSubnetGroups(ctx context.Context, in *rdsapi.DescribeDBSubnetGroupsInput) (*rdsapi.DescribeDBSubnetGroupsOutput, error) {
	p := here(ctx)
	if name := strings.ToLower(aws.Val(in.DBSubnetGroupName)); name != "" {
		rec, found, err := s.subnetGroups.Get(ctx, p.Account, p.Region, name)
		if err == nil && !found {
			err = noSubnetGroup(name)
		}
		if err != nil {
			return nil, err
		}
		return &rdsapi.DescribeDBSubnetGroupsOutput{DBSubnetGroups: []rdsapi.DBSubnetGroup{rec.DBSubnetGroup}}, nil
	}
	all, err := s.subnetGroups.List(ctx, p.Account, p.Region)
	if err != nil {
		return nil, err
	}
	if all, err = filter(all, in.Filters, nil); err != nil {
		return nil, err
	}
	all, marker, err := page(all, func(g subnetGroup) string { return aws.Val(g.DBSubnetGroupName) }, in.Marker, in.MaxRecords)
	if err != nil {
		return nil, err
	}
	out := &rdsapi.DescribeDBSubnetGroupsOutput{DBSubnetGroups: []rdsapi.DBSubnetGroup{}, Marker: marker}
	for _, g := range all {
		out.DBSubnetGroups = append(out.DBSubnetGroups, g.DBSubnetGroup)
	}
	return out, nil
}

// ModifyDBSubnetGroup implements rdsapi.API.
func (s *Service) ModifyDBSubnetGroup(ctx context.Context, in *rdsapi.ModifyDBSubnetGroupInput) (*rdsapi.ModifyDBSubnetGroupOutput, error) {
	p := here(ctx)
	name := strings.ToLower(aws.Val(in.DBSubnetGroupName))
	changed, err := s.newSubnetGroup(ctx, p, name, "", in.SubnetIds)
	if err != nil {
		return nil, err
	}
	users, err := s.subnetGroupUsers(ctx, p, name)
	if err != nil {
		return nil, err
	}
	var out subnetGroup
	found, err := s.subnetGroups.Update(ctx, func(rec *subnetGroup) error {
		if aws.Val(rec.VpcId) != aws.Val(changed.VpcId) {
			return rdsapi.InvalidSubnet("The new Subnets are not in the same Vpc as the existing subnet group")
		}
		for _, user := range users {
			if !slices.ContainsFunc(changed.Subnets, func(n rdsapi.Subnet) bool { return aws.Val(n.SubnetIdentifier) == user.Subnet }) {
				return rdsapi.SubnetAlreadyInUse("The subnet %s is in use by the DB instance %s.", user.Subnet, aws.Val(user.DBInstanceIdentifier))
			}
		}
		rec.Subnets = changed.Subnets
		if in.DBSubnetGroupDescription != nil {
			rec.DBSubnetGroupDescription = in.DBSubnetGroupDescription
		}
		out = *rec
		return nil
	}, p.Account, p.Region, name)
	if err == nil && !found {
		err = noSubnetGroup(name)
	}
	if err != nil {
		return nil, err
	}
	return &rdsapi.ModifyDBSubnetGroupOutput{DBSubnetGroup: &out.DBSubnetGroup}, nil
}

// subnetGroupUsers returns the instances in a subnet group.
func (s *Service) subnetGroupUsers(ctx context.Context, p arn.Place, name string) ([]instance, error) {
	all, err := s.instances.List(ctx, p.Account, p.Region)
	return slices.DeleteFunc(all, func(i instance) bool { return i.SubnetGroup != name }), err
}

// DeleteDBSubnetGroup implements rdsapi.API.
func (s *Service) DeleteDBSubnetGroup(ctx context.Context, in *rdsapi.DeleteDBSubnetGroupInput) (*rdsapi.DeleteDBSubnetGroupOutput, error) {
	p := here(ctx)
	name := strings.ToLower(aws.Val(in.DBSubnetGroupName))
	err := store.Update(ctx, s.Store, func(tx *store.Tx) error {
		if _, found, err := s.subnetGroups.TxGet(tx, p.Account, p.Region, name); err != nil || !found {
			if !found && err == nil {
				err = noSubnetGroup(name)
			}
			return err
		}
		users, err := s.instances.TxList(tx, p.Account, p.Region)
		if err != nil {
			return err
		}
		for _, i := range users {
			if i.SubnetGroup == name {
				return rdsapi.InvalidDBSubnetGroupStateFault("Cannot delete the subnet group '%s' because at least one database instance: %s is still using it.", name, aws.Val(i.DBInstanceIdentifier))
			}
		}
		s.subnetGroups.TxDelete(tx, p.Account, p.Region, name)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &rdsapi.DeleteDBSubnetGroupOutput{}, nil
}

// defaultSubnetGroup makes the group "default" of the default VPC's subnets, as
// RDS does when an instance names none.
func (s *Service) defaultSubnetGroup(ctx context.Context, p arn.Place) (subnetGroup, error) {
	out, err := s.EC2.DescribeSubnets(as(ctx, p), &ec2api.DescribeSubnetsInput{Filters: []ec2api.Filter{{Name: aws.Ptr("default-for-az"), Values: []string{"true"}}}})
	if err != nil {
		return subnetGroup{}, err
	}
	if len(out.Subnets) == 0 {
		return subnetGroup{}, rdsapi.InvalidSubnet("No default subnet detected in VPC. Please contact AWS Support to recreate the default Subnets.")
	}
	var ids []string
	for _, subnet := range out.Subnets {
		ids = append(ids, aws.Val(subnet.SubnetId))
	}
	return s.newSubnetGroup(ctx, p, "default", "default", ids)
}
