package resources

import (
	"context"
	"slices"

	"minato/aws"
	iam "minato/aws/api/iam"
)

// userResources makes users and groups.
type userResources struct{ api iam.API }

func userTypes(inv aws.Invoker) map[string]Type {
	v := userResources{iam.NewClient(inv)}
	return map[string]Type{
		"AWS::IAM::User":  {Create: v.createUser, Ready: v.readyUser, Update: v.updateUser, Delete: v.deleteUser, Named: "UserName"},
		"AWS::IAM::Group": {Create: v.createGroup, Ready: v.readyGroup, Update: v.updateGroup, Delete: v.deleteGroup, Named: "GroupName"},
	}
}

// policyCalls change the policies of a role, user or group.
type policyCalls struct {
	attach, detach func(arn string) error
	put            func(name, document string) error
	remove         func(name string) error
}

// changePolicies attaches, detaches, puts and deletes what differs between two
// states of the properties ManagedPolicyArns and Policies.
func changePolicies(before, after map[string]any, to policyCalls) error {
	err := changeList(list(before, "ManagedPolicyArns"), list(after, "ManagedPolicyArns"), to.attach, to.detach)
	if err != nil {
		return err
	}
	old, now := inline(before), inline(after)
	for _, p := range sorted(now) {
		if old[p] != now[p] {
			if err := to.put(p, now[p]); err != nil {
				return err
			}
		}
	}
	for _, p := range sorted(old) {
		if _, stays := now[p]; !stays {
			if err := gone(to.remove(p), "NoSuchEntity"); err != nil {
				return err
			}
		}
	}
	return nil
}

// changeList adds what is new in a list, then removes what is not in it any more.
func changeList(had, want []string, add, remove func(string) error) error {
	for _, x := range want {
		if !slices.Contains(had, x) {
			if err := add(x); err != nil {
				return err
			}
		}
	}
	for _, x := range had {
		if !slices.Contains(want, x) {
			if err := gone(remove(x), "NoSuchEntity"); err != nil {
				return err
			}
		}
	}
	return nil
}

func (v userResources) createUser(ctx context.Context, r *Request) (string, error) {
	name := r.name("UserName", 64)
	if r.Properties["LoginProfile"] != nil {
		return "", aws.Errorf("InvalidRequest", "LoginProfile of AWS::IAM::User is not served by minato: there are no passwords.")
	}
	in := &iam.CreateUserInput{UserName: &name, Path: r.ptr("Path"), PermissionsBoundary: r.ptr("PermissionsBoundary")}
	in.Tags = tags(r, func(k, v string) iam.Tag { return iam.Tag{Key: &k, Value: &v} })
	if _, err := v.api.CreateUser(ctx, in); r.again(err, "UserName") != nil {
		return "", err
	}
	r.PhysicalID = name
	return name, v.userParts(ctx, r, nil, r.Properties)
}

// userParts changes a user's policies and groups.
func (v userResources) userParts(ctx context.Context, r *Request, before, after map[string]any) error {
	name := &r.PhysicalID
	err := changePolicies(before, after, policyCalls{
		attach: func(p string) error {
			_, err := v.api.AttachUserPolicy(ctx, &iam.AttachUserPolicyInput{UserName: name, PolicyArn: &p})
			return err
		},
		detach: func(p string) error {
			_, err := v.api.DetachUserPolicy(ctx, &iam.DetachUserPolicyInput{UserName: name, PolicyArn: &p})
			return err
		},
		put: func(p, document string) error {
			_, err := v.api.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: name, PolicyName: &p, PolicyDocument: &document})
			return err
		},
		remove: func(p string) error {
			_, err := v.api.DeleteUserPolicy(ctx, &iam.DeleteUserPolicyInput{UserName: name, PolicyName: &p})
			return err
		},
	})
	if err != nil {
		return err
	}
	return changeList(list(before, "Groups"), list(after, "Groups"), func(g string) error {
		_, err := v.api.AddUserToGroup(ctx, &iam.AddUserToGroupInput{UserName: name, GroupName: &g})
		return err
	}, func(g string) error {
		_, err := v.api.RemoveUserFromGroup(ctx, &iam.RemoveUserFromGroupInput{UserName: name, GroupName: &g})
		return err
	})
}

func (v userResources) readyUser(ctx context.Context, r *Request) (map[string]any, bool, error) {
	out, err := v.api.GetUser(ctx, &iam.GetUserInput{UserName: &r.PhysicalID})
	if err != nil {
		return nil, false, err
	}
	return map[string]any{"Arn": aws.Val(out.User.Arn)}, true, nil
}

func (v userResources) updateUser(ctx context.Context, r *Request) error {
	if r.changed("LoginProfile") {
		return aws.Errorf("InvalidRequest", "LoginProfile of AWS::IAM::User is not served by minato: there are no passwords.")
	}
	if r.changed("Path") {
		path := r.str("Path")
		if path == "" {
			path = "/"
		}
		if _, err := v.api.UpdateUser(ctx, &iam.UpdateUserInput{UserName: &r.PhysicalID, NewPath: &path}); err != nil {
			return err
		}
	}
	if r.changed("PermissionsBoundary") {
		var err error
		if boundary := r.ptr("PermissionsBoundary"); boundary != nil {
			_, err = v.api.PutUserPermissionsBoundary(ctx, &iam.PutUserPermissionsBoundaryInput{UserName: &r.PhysicalID, PermissionsBoundary: boundary})
		} else {
			_, err = v.api.DeleteUserPermissionsBoundary(ctx, &iam.DeleteUserPermissionsBoundaryInput{UserName: &r.PhysicalID})
		}
		if err != nil {
			return err
		}
	}
	if err := v.userParts(ctx, r, r.Previous, r.Properties); err != nil {
		return err
	}
	set, gone := tagChanges(r)
	if len(gone) > 0 {
		if _, err := v.api.UntagUser(ctx, &iam.UntagUserInput{UserName: &r.PhysicalID, TagKeys: gone}); err != nil {
			return err
		}
	}
	if len(set) == 0 {
		return nil
	}
	in := &iam.TagUserInput{UserName: &r.PhysicalID}
	for _, k := range sorted(set) {
		in.Tags = append(in.Tags, iam.Tag{Key: aws.Ptr(k), Value: aws.Ptr(set[k])})
	}
	_, err := v.api.TagUser(ctx, in)
	return err
}

// deleteUser takes policies and groups away first, as IAM demands; a key that
// somebody made keeps the user, as on AWS.
func (v userResources) deleteUser(ctx context.Context, r *Request) error {
	if err := v.userParts(ctx, r, r.Properties, nil); err != nil {
		return err
	}
	_, err := v.api.DeleteUser(ctx, &iam.DeleteUserInput{UserName: &r.PhysicalID})
	return gone(err, "NoSuchEntity")
}

func (v userResources) createGroup(ctx context.Context, r *Request) (string, error) {
	name := r.name("GroupName", 128)
	if _, err := v.api.CreateGroup(ctx, &iam.CreateGroupInput{GroupName: &name, Path: r.ptr("Path")}); r.again(err, "GroupName") != nil {
		return "", err
	}
	r.PhysicalID = name
	return name, v.groupPolicies(ctx, r, nil, r.Properties)
}

func (v userResources) groupPolicies(ctx context.Context, r *Request, before, after map[string]any) error {
	name := &r.PhysicalID
	return changePolicies(before, after, policyCalls{
		attach: func(p string) error {
			_, err := v.api.AttachGroupPolicy(ctx, &iam.AttachGroupPolicyInput{GroupName: name, PolicyArn: &p})
			return err
		},
		detach: func(p string) error {
			_, err := v.api.DetachGroupPolicy(ctx, &iam.DetachGroupPolicyInput{GroupName: name, PolicyArn: &p})
			return err
		},
		put: func(p, document string) error {
			_, err := v.api.PutGroupPolicy(ctx, &iam.PutGroupPolicyInput{GroupName: name, PolicyName: &p, PolicyDocument: &document})
			return err
		},
		remove: func(p string) error {
			_, err := v.api.DeleteGroupPolicy(ctx, &iam.DeleteGroupPolicyInput{GroupName: name, PolicyName: &p})
			return err
		},
	})
}

func (v userResources) readyGroup(ctx context.Context, r *Request) (map[string]any, bool, error) {
	out, err := v.api.GetGroup(ctx, &iam.GetGroupInput{GroupName: &r.PhysicalID})
	if err != nil {
		return nil, false, err
	}
	return map[string]any{"Arn": aws.Val(out.Group.Arn)}, true, nil
}

func (v userResources) updateGroup(ctx context.Context, r *Request) error {
	if r.changed("Path") {
		return aws.Errorf("InvalidRequest", "The Path of a group is not changed by minato (iam:UpdateGroup is not served).")
	}
	return v.groupPolicies(ctx, r, r.Previous, r.Properties)
}

func (v userResources) deleteGroup(ctx context.Context, r *Request) error {
	if err := v.groupPolicies(ctx, r, r.Properties, nil); err != nil {
		return err
	}
	_, err := v.api.DeleteGroup(ctx, &iam.DeleteGroupInput{GroupName: &r.PhysicalID})
	return gone(err, "NoSuchEntity")
}
