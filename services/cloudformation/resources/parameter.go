package resources

import (
	"context"

	"minato/aws"
	ssm "minato/aws/api/ssm"
)

// parameterResources makes parameters of the Parameter Store.
type parameterResources struct{ api ssm.API }

func parameterTypes(inv aws.Invoker) map[string]Type {
	v := parameterResources{ssm.NewClient(inv)}
	return map[string]Type{
		"AWS::SSM::Parameter": {Create: v.create, Ready: v.ready, Update: v.update, Delete: v.delete, Named: "Name"},
	}
}

// parameterName is the name of a parameter that the template does not name.
func parameterName(r *Request) string {
	if s := r.str("Name"); s != "" {
		return s
	}
	return "CFN-" + r.LogicalID + "-" + r.Suffix
}

func parameterInput(r *Request, name string) *ssm.PutParameterInput {
	return &ssm.PutParameterInput{
		Name: &name, Type: r.ptr("Type"), Value: aws.Ptr(r.str("Value")), Description: r.ptr("Description"), AllowedPattern: r.ptr("AllowedPattern"),
		DataType: r.ptr("DataType"), Tier: r.ptr("Tier"), Policies: r.ptr("Policies"),
	}
}

func parameterTag(key, value string) ssm.Tag { return ssm.Tag{Key: &key, Value: &value} }

func (v parameterResources) create(ctx context.Context, r *Request) (string, error) {
	name := parameterName(r)
	in := parameterInput(r, name)
	in.Tags = tags(r, parameterTag)
	if _, err := v.api.PutParameter(ctx, in); r.again(err, "Name") != nil {
		return "", err
	}
	return name, nil
}

func (v parameterResources) ready(_ context.Context, r *Request) (map[string]any, bool, error) {
	return map[string]any{"Type": r.str("Type"), "Value": r.str("Value")}, true, nil
}

func (v parameterResources) update(ctx context.Context, r *Request) error {
	if r.changed("Type", "Value", "Description", "AllowedPattern", "DataType", "Tier", "Policies") {
		in := parameterInput(r, r.PhysicalID)
		in.Overwrite = aws.Ptr(true)
		if in.Description == nil {
			in.Description = aws.Ptr("")
		}
		if _, err := v.api.PutParameter(ctx, in); err != nil {
			return err
		}
	}
	set, gone := tagChanges(r)
	kind := aws.Ptr(ssm.ResourceTypeForTaggingParameter)
	if len(gone) > 0 {
		if _, err := v.api.RemoveTagsFromResource(ctx, &ssm.RemoveTagsFromResourceInput{ResourceType: kind, ResourceId: &r.PhysicalID, TagKeys: gone}); err != nil {
			return err
		}
	}
	if len(set) == 0 {
		return nil
	}
	var list []ssm.Tag
	for _, k := range sorted(set) {
		list = append(list, parameterTag(k, set[k]))
	}
	_, err := v.api.AddTagsToResource(ctx, &ssm.AddTagsToResourceInput{ResourceType: kind, ResourceId: &r.PhysicalID, Tags: list})
	return err
}

func (v parameterResources) delete(ctx context.Context, r *Request) error {
	_, err := v.api.DeleteParameter(ctx, &ssm.DeleteParameterInput{Name: &r.PhysicalID})
	return gone(err, "ParameterNotFound")
}
