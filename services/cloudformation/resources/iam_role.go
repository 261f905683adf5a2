package resources

import (
	"context"
	"slices"

	"minato/aws"
	iam "minato/aws/api/iam"
)

// roleResources makes roles and instance profiles.
type roleResources struct{ api iam.API }

func roleTypes(inv aws.Invoker) map[string]Type {
	v := roleResources{iam.NewClient(inv)}
	return map[string]Type{
		"AWS::IAM::Role":            {Create: v.create, Ready: v.ready, Update: v.update, Delete: v.delete, Named: "RoleName"},
		"AWS::IAM::InstanceProfile": {Create: v.createProfile, Ready: v.readyProfile, Update: v.updateProfile, Delete: v.deleteProfile, Named: "InstanceProfileName"},
	}
}

// inline reads a list of policies with their names.
func inline(properties map[string]any) map[string]string {
	out := map[string]string{}
	items, _ := properties["Policies"].([]any)
	for _, item := range items {
		if p, ok := item.(map[string]any); ok {
			out[text(p["PolicyName"])] = document(p["PolicyDocument"])
		}
	}
	return out
}

func (v roleResources) create(ctx context.Context, r *Request) (string, error) {
	name := r.name("RoleName", 64)
	in := &iam.CreateRoleInput{
		RoleName: &name, AssumeRolePolicyDocument: aws.Ptr(document(r.Properties["AssumeRolePolicyDocument"])), Path: r.ptr("Path"),
		Description: r.ptr("Description"), PermissionsBoundary: r.ptr("PermissionsBoundary"),
	}
	in.Tags = tags(r, func(k, v string) iam.Tag { return iam.Tag{Key: &k, Value: &v} })
	duration, err := integer(r.Properties, "MaxSessionDuration")
	if err != nil {
		return "", err
	}
	in.MaxSessionDuration = duration
	if _, err := v.api.CreateRole(ctx, in); r.again(err, "RoleName") != nil {
		return "", err
	}
	r.PhysicalID = name
	return name, v.policies(ctx, r, nil)
}

func (v roleResources) policies(ctx context.Context, r *Request, before map[string]any) error {
	name := &r.PhysicalID
	return changePolicies(before, r.Properties, policyCalls{
		attach: func(p string) error {
			_, err := v.api.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: name, PolicyArn: &p})
			return err
		},
		detach: func(p string) error {
			_, err := v.api.DetachRolePolicy(ctx, &iam.DetachRolePolicyInput{RoleName: name, PolicyArn: &p})
			return err
		},
		put: func(p, document string) error {
			_, err := v.api.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: name, PolicyName: &p, PolicyDocument: &document})
			return err
		},
		remove: func(p string) error {
			_, err := v.api.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: name, PolicyName: &p})
			return err
		},
	})
}

func (v roleResources) ready(ctx context.Context, r *Request) (map[string]any, bool, error) {
	out, err := v.api.GetRole(ctx, &iam.GetRoleInput{RoleName: &r.PhysicalID})
	if err != nil {
		return nil, false, err
	}
	return map[string]any{"Arn": aws.Val(out.Role.Arn), "RoleId": aws.Val(out.Role.RoleId)}, true, nil
}

func (v roleResources) update(ctx context.Context, r *Request) error {
	if r.changed("AssumeRolePolicyDocument") {
		if _, err := v.api.UpdateAssumeRolePolicy(ctx, &iam.UpdateAssumeRolePolicyInput{RoleName: &r.PhysicalID, PolicyDocument: aws.Ptr(document(r.Properties["AssumeRolePolicyDocument"]))}); err != nil {
			return err
		}
	}
	if r.changed("Description", "MaxSessionDuration") {
		duration, err := integer(r.Properties, "MaxSessionDuration")
		if err != nil {
			return err
		}
		if _, err := v.api.UpdateRole(ctx, &iam.UpdateRoleInput{RoleName: &r.PhysicalID, Description: aws.Ptr(r.str("Description")), MaxSessionDuration: duration}); err != nil {
			return err
		}
	}
	if r.changed("PermissionsBoundary") {
		var err error
		if boundary := r.ptr("PermissionsBoundary"); boundary != nil {
			_, err = v.api.PutRolePermissionsBoundary(ctx, &iam.PutRolePermissionsBoundaryInput{RoleName: &r.PhysicalID, PermissionsBoundary: boundary})
		} else {
			_, err = v.api.DeleteRolePermissionsBoundary(ctx, &iam.DeleteRolePermissionsBoundaryInput{RoleName: &r.PhysicalID})
		}
		if err != nil {
			return err
		}
	}
	if err := v.policies(ctx, r, r.Previous); err != nil {
		return err
	}
	set, gone := tagChanges(r)
	if len(gone) > 0 {
		if _, err := v.api.UntagRole(ctx, &iam.UntagRoleInput{RoleName: &r.PhysicalID, TagKeys: gone}); err != nil {
			return err
		}
	}
	if len(set) == 0 {
		return nil
	}
	in := &iam.TagRoleInput{RoleName: &r.PhysicalID}
	for _, k := range sorted(set) {
		in.Tags = append(in.Tags, iam.Tag{Key: aws.Ptr(k), Value: aws.Ptr(set[k])})
	}
	_, err := v.api.TagRole(ctx, in)
	return err
}

// delete takes the role's policies away first, as IAM demands.
func (v roleResources) delete(ctx context.Context, r *Request) error {
	before := r.Properties
	r.Properties = map[string]any{}
	err := v.policies(ctx, r, before)
	r.Properties = before
	if err != nil {
		return gone(err, "NoSuchEntity")
	}
	_, err = v.api.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: &r.PhysicalID})
	return gone(err, "NoSuchEntity")
}

func (v roleResources) createProfile(ctx context.Context, r *Request) (string, error) {
	name := r.name("InstanceProfileName", 128)
	if _, err := v.api.CreateInstanceProfile(ctx, &iam.CreateInstanceProfileInput{InstanceProfileName: &name, Path: r.ptr("Path")}); r.again(err, "InstanceProfileName") != nil {
		return "", err
	}
	r.PhysicalID = name
	return name, v.setRoles(ctx, r, nil)
}

// setRoles changes the profile's role; a profile holds one at most.
func (v roleResources) setRoles(ctx context.Context, r *Request, had []string) error {
	want := list(r.Properties, "Roles")
	for _, role := range had {
		if !slices.Contains(want, role) {
			if _, err := v.api.RemoveRoleFromInstanceProfile(ctx, &iam.RemoveRoleFromInstanceProfileInput{InstanceProfileName: &r.PhysicalID, RoleName: aws.Ptr(role)}); gone(err, "NoSuchEntity") != nil {
				return err
			}
		}
	}
	for _, role := range want {
		if !slices.Contains(had, role) {
			if _, err := v.api.AddRoleToInstanceProfile(ctx, &iam.AddRoleToInstanceProfileInput{InstanceProfileName: &r.PhysicalID, RoleName: aws.Ptr(role)}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (v roleResources) readyProfile(ctx context.Context, r *Request) (map[string]any, bool, error) {
	out, err := v.api.GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: &r.PhysicalID})
	if err != nil {
		return nil, false, err
	}
	return map[string]any{"Arn": aws.Val(out.InstanceProfile.Arn)}, true, nil
}

func (v roleResources) updateProfile(ctx context.Context, r *Request) error {
	return v.setRoles(ctx, r, list(r.Previous, "Roles"))
}

func (v roleResources) deleteProfile(ctx context.Context, r *Request) error {
	had := list(r.Properties, "Roles")
	empty := *r
	empty.Properties = map[string]any{}
	if err := v.setRoles(ctx, &empty, had); err != nil {
		return gone(err, "NoSuchEntity")
	}
	_, err := v.api.DeleteInstanceProfile(ctx, &iam.DeleteInstanceProfileInput{InstanceProfileName: &r.PhysicalID})
	return gone(err, "NoSuchEntity")
}
