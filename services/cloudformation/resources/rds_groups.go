package resources

import (
	"context"
	"strings"

	"minato/aws"
	rds "minato/aws/api/rds"
)

// rdsResources makes subnet groups and parameter groups.
type rdsResources struct{ api rds.API }

func rdsTypes(inv aws.Invoker) map[string]Type {
	v := rdsResources{rds.NewClient(inv)}
	return map[string]Type{
		"AWS::RDS::DBSubnetGroup":    {Create: v.createSubnets, Update: v.updateSubnets, Delete: v.deleteSubnets, Named: "DBSubnetGroupName"},
		"AWS::RDS::DBParameterGroup": {Create: v.createParameters, Ready: v.readyParameters, Update: v.updateParameters, Delete: v.deleteParameters, Named: "DBParameterGroupName"},
	}
}

func rdsTags(r *Request) []rds.Tag {
	return tags(r, func(k, v string) rds.Tag { return rds.Tag{Key: &k, Value: &v} })
}

// updateRDSTags brings the tags of any RDS resource up to date.
func updateRDSTags(ctx context.Context, api rds.API, r *Request, arn string) error {
	set, gone := tagChanges(r)
	if len(gone) > 0 {
		if _, err := api.RemoveTagsFromResource(ctx, &rds.RemoveTagsFromResourceInput{ResourceName: &arn, TagKeys: gone}); err != nil {
			return err
		}
	}
	if len(set) == 0 {
		return nil
	}
	in := &rds.AddTagsToResourceInput{ResourceName: &arn}
	for _, k := range sorted(set) {
		in.Tags = append(in.Tags, rds.Tag{Key: aws.Ptr(k), Value: aws.Ptr(set[k])})
	}
	_, err := api.AddTagsToResource(ctx, in)
	return err
}

func (v rdsResources) createSubnets(ctx context.Context, r *Request) (string, error) {
	name := strings.ToLower(r.name("DBSubnetGroupName", 255))
	_, err := v.api.CreateDBSubnetGroup(ctx, &rds.CreateDBSubnetGroupInput{
		DBSubnetGroupName: &name, DBSubnetGroupDescription: r.ptr("DBSubnetGroupDescription"),
		SubnetIds: list(r.Properties, "SubnetIds"), Tags: rdsTags(r),
	})
	if err = r.again(err, "DBSubnetGroupName"); err != nil {
		return "", err
	}
	return name, nil
}

func (v rdsResources) updateSubnets(ctx context.Context, r *Request) error {
	if r.changed("SubnetIds", "DBSubnetGroupDescription") {
		_, err := v.api.ModifyDBSubnetGroup(ctx, &rds.ModifyDBSubnetGroupInput{DBSubnetGroupName: &r.PhysicalID, DBSubnetGroupDescription: r.ptr("DBSubnetGroupDescription"), SubnetIds: list(r.Properties, "SubnetIds")})
		if err != nil {
			return err
		}
	}
	return updateRDSTags(ctx, v.api, r, r.Place.DBSubnetGroup(r.PhysicalID))
}

func (v rdsResources) deleteSubnets(ctx context.Context, r *Request) error {
	_, err := v.api.DeleteDBSubnetGroup(ctx, &rds.DeleteDBSubnetGroupInput{DBSubnetGroupName: &r.PhysicalID})
	return gone(err, "DBSubnetGroupNotFoundFault")
}

func (v rdsResources) createParameters(ctx context.Context, r *Request) (string, error) {
	name := strings.ToLower(r.name("DBParameterGroupName", 255))
	_, err := v.api.CreateDBParameterGroup(ctx, &rds.CreateDBParameterGroupInput{DBParameterGroupName: &name, DBParameterGroupFamily: r.ptr("Family"), Description: r.ptr("Description"), Tags: rdsTags(r)})
	if err = r.again(err, "DBParameterGroupName"); err != nil {
		return "", err
	}
	// No instance uses the group yet: it makes no difference when the values apply.
	return name, v.setParameters(ctx, name, parameters(r.Properties), nil)
}

// parameters reads the values of a parameter group.
func parameters(properties map[string]any) map[string]string {
	out := map[string]string{}
	m, _ := properties["Parameters"].(map[string]any)
	for k, v := range m {
		out[k] = text(v)
	}
	return out
}

// setParameters sets values, twenty at a time as the API takes them; the
// dynamic ones at once.
func (v rdsResources) setParameters(ctx context.Context, name string, values map[string]string, dynamic map[string]bool) error {
	keys := sorted(values)
	for len(keys) > 0 {
		n := min(20, len(keys))
		in := &rds.ModifyDBParameterGroupInput{DBParameterGroupName: &name}
		for _, k := range keys[:n] {
			method := rds.ApplyMethodPendingReboot
			if dynamic[k] {
				method = rds.ApplyMethodImmediate
			}
			in.Parameters = append(in.Parameters, rds.Parameter{ParameterName: aws.Ptr(k), ParameterValue: aws.Ptr(values[k]), ApplyMethod: &method})
		}
		if _, err := v.api.ModifyDBParameterGroup(ctx, in); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

// dynamic returns the group's parameters that apply without a restart.
func (v rdsResources) dynamic(ctx context.Context, name string) (map[string]bool, error) {
	set := map[string]bool{}
	in := &rds.DescribeDBParametersInput{DBParameterGroupName: &name}
	for {
		out, err := v.api.DescribeDBParameters(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, p := range out.Parameters {
			set[aws.Val(p.ParameterName)] = aws.Val(p.ApplyType) == "dynamic"
		}
		if aws.Val(out.Marker) == "" {
			return set, nil
		}
		in.Marker = out.Marker
	}
}

func (v rdsResources) readyParameters(_ context.Context, r *Request) (map[string]any, bool, error) {
	return map[string]any{"DBParameterGroupName": r.PhysicalID}, true, nil
}

func (v rdsResources) updateParameters(ctx context.Context, r *Request) error {
	before, after := parameters(r.Previous), parameters(r.Properties)
	set, reset := map[string]string{}, []string{}
	for k, value := range after {
		if old, ok := before[k]; !ok || old != value {
			set[k] = value
		}
	}
	for _, k := range sorted(before) {
		if _, ok := after[k]; !ok {
			reset = append(reset, k)
		}
	}
	if len(set)+len(reset) > 0 {
		dynamic, err := v.dynamic(ctx, r.PhysicalID)
		if err != nil {
			return err
		}
		if err := v.setParameters(ctx, r.PhysicalID, set, dynamic); err != nil {
			return err
		}
		if len(reset) > 0 {
			in := &rds.ResetDBParameterGroupInput{DBParameterGroupName: &r.PhysicalID}
			for _, k := range reset {
				method := rds.ApplyMethodPendingReboot
				if dynamic[k] {
					method = rds.ApplyMethodImmediate
				}
				in.Parameters = append(in.Parameters, rds.Parameter{ParameterName: aws.Ptr(k), ApplyMethod: &method})
			}
			if _, err := v.api.ResetDBParameterGroup(ctx, in); err != nil {
				return err
			}
		}
	}
	return updateRDSTags(ctx, v.api, r, r.Place.DBParameterGroup(r.PhysicalID))
}

func (v rdsResources) deleteParameters(ctx context.Context, r *Request) error {
	_, err := v.api.DeleteDBParameterGroup(ctx, &rds.DeleteDBParameterGroupInput{DBParameterGroupName: &r.PhysicalID})
	return gone(err, "DBParameterGroupNotFound")
}
