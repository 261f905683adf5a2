// Package zone is the region that runs here and its availability zones: always
// the same, so that the operations about them need no record.
package zone

import (
	"context"
	"strconv"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/aws/identity"
	"minato/services/ec2/listing"
)

// zoneLetters are the zones a region has here: always three, as most have.
const zoneLetters = "abc"

// All are the region's availability zones. The ids differ from account to
// account on AWS; here the order is that of the letters.
func All(region string) []ec2api.AvailabilityZone {
	var out []ec2api.AvailabilityZone
	for i := range zoneLetters {
		name := region + zoneLetters[i:i+1]
		out = append(out, ec2api.AvailabilityZone{
			ZoneName: &name, ZoneId: aws.Ptr(shortRegion(region) + "-az" + strconv.Itoa(i+1)), RegionName: &region, State: aws.Ptr("available"),
			ZoneType: aws.Ptr("availability-zone"), OptInStatus: aws.Ptr("opt-in-not-required"), GroupName: aws.Ptr(region + "-zg-1"), NetworkBorderGroup: &region,
		})
	}
	return out
}

// shortRegion is the region's form in zone ids: us-east-1 is use1.
func shortRegion(region string) string {
	short := ""
	for i := 0; i < len(region); i++ {
		switch {
		case i == 0 || i == 1 && region[2] == '-':
			short += region[i : i+1]
		case region[i-1] == '-':
			short += region[i : i+1]
		}
	}
	return short
}

// Pick finds the zone a subnet is to be in; without a wish the choice is
// AWS's, here the first.
func Pick(region string, name, id *string) (ec2api.AvailabilityZone, error) {
	all := All(region)
	if name == nil && id == nil {
		return all[0], nil
	}
	for _, z := range all {
		if name != nil && *z.ZoneName == *name || name == nil && *z.ZoneId == *id {
			return z, nil
		}
	}
	return ec2api.AvailabilityZone{}, aws.Errorf("InvalidParameterValue", "Value (%s) for parameter availabilityZone is invalid. Subnets can currently only be created in the following availability zones: %s, %s, %s.",
		aws.Val(name)+aws.Val(id), *all[0].ZoneName, *all[1].ZoneName, *all[2].ZoneName)
}

// Operations are EC2's about regions and zones.
type Operations struct{}

// DescribeAvailabilityZones lists the region's three zones.
func (Operations) DescribeAvailabilityZones(ctx context.Context, in *ec2api.DescribeAvailabilityZonesInput) (*ec2api.DescribeAvailabilityZonesOutput, error) {
	ids, byName := in.ZoneIds, false
	if len(in.ZoneNames) > 0 {
		ids, byName = in.ZoneNames, true
	}
	all, err := listing.Choose(All(identity.From(ctx).Region), ids, in.Filters, func(z *ec2api.AvailabilityZone) string {
		if byName {
			return aws.Val(z.ZoneName)
		}
		return aws.Val(z.ZoneId)
	}, func(*ec2api.AvailabilityZone) []ec2api.Tag { return nil }, attribute, func(id string) error {
		return aws.Errorf("InvalidParameterValue", "Invalid availability zone: [%s]", id)
	})
	return &ec2api.DescribeAvailabilityZonesOutput{AvailabilityZones: all}, err
}

func attribute(z *ec2api.AvailabilityZone, name string) ([]string, bool) {
	switch name {
	case "zone-name":
		return listing.Value(z.ZoneName), true
	case "zone-id":
		return listing.Value(z.ZoneId), true
	case "region-name":
		return listing.Value(z.RegionName), true
	case "state":
		return listing.Value(z.State), true
	case "zone-type":
		return listing.Value(z.ZoneType), true
	case "opt-in-status":
		return listing.Value(z.OptInStatus), true
	case "group-name":
		return listing.Value(z.GroupName), true
	}
	return nil, false
}

// DescribeRegions lists the one region that runs here.
func (Operations) DescribeRegions(ctx context.Context, in *ec2api.DescribeRegionsInput) (*ec2api.DescribeRegionsOutput, error) {
	region := identity.From(ctx).Region
	one := []ec2api.Region{{RegionName: &region, Endpoint: aws.Ptr("ec2." + region + ".amazonaws.com"), OptInStatus: aws.Ptr("opt-in-not-required")}}
	all, err := listing.Choose(one, in.RegionNames, in.Filters, func(r *ec2api.Region) string { return aws.Val(r.RegionName) }, func(*ec2api.Region) []ec2api.Tag { return nil }, func(r *ec2api.Region, name string) ([]string, bool) {
		switch name {
		case "region-name":
			return listing.Value(r.RegionName), true
		case "endpoint":
			return listing.Value(r.Endpoint), true
		case "opt-in-status":
			return listing.Value(r.OptInStatus), true
		}
		return nil, false
	}, func(id string) error {
		return aws.Errorf("InvalidParameterValue", "Invalid region provided: [%s]", id)
	})
	return &ec2api.DescribeRegionsOutput{Regions: all}, err
}
