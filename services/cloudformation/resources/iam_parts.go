package resources

import (
	"context"

	"minato/aws"
	iam "minato/aws/api/iam"
)

// partResources makes what belongs to a role, a user or a group that stands
// elsewhere, the roles of services, and server certificates.
type partResources struct{ api iam.API }

func partTypes(inv aws.Invoker) map[string]Type {
	v := partResources{iam.NewClient(inv)}
	return map[string]Type{
		"AWS::IAM::RolePolicy":          {Create: v.create("Roles", "RoleName"), Update: v.update("Roles", "RoleName"), Delete: v.delete("Roles", "RoleName")},
		"AWS::IAM::UserPolicy":          {Create: v.create("Users", "UserName"), Update: v.update("Users", "UserName"), Delete: v.delete("Users", "UserName")},
		"AWS::IAM::UserToGroupAddition": {Create: v.add, Update: v.updateMembers, Delete: v.removeAll},
		"AWS::IAM::ServiceLinkedRole":   {Create: v.createLinked, Ready: v.readyLinked, Update: v.updateLinked, Delete: v.deleteLinked},
		"AWS::IAM::ServerCertificate":   {Create: v.upload, Ready: v.readyCertificate, Update: v.updateCertificate, Delete: v.deleteCertificate, Named: "ServerCertificateName"},
	}
}

// An inline policy's physical id is its name and its holder's, since either
// alone is not one of a kind.

func (v partResources) create(kind, holder string) func(context.Context, *Request) (string, error) {
	return func(ctx context.Context, r *Request) (string, error) {
		id := r.str("PolicyName") + "|" + r.str(holder)
		return id, v.update(kind, holder)(ctx, r)
	}
}

func (v partResources) update(kind, holder string) func(context.Context, *Request) error {
	return func(ctx context.Context, r *Request) error {
		return policyResources(v).put(ctx, kind, r.str(holder), r.str("PolicyName"), document(r.Properties["PolicyDocument"]))
	}
}

func (v partResources) delete(kind, holder string) func(context.Context, *Request) error {
	return func(ctx context.Context, r *Request) error {
		return policyResources(v).take(ctx, kind, r.str(holder), r.str("PolicyName"))
	}
}

func (v partResources) add(ctx context.Context, r *Request) (string, error) {
	return r.name("", 128), v.members(ctx, r, nil, list(r.Properties, "Users"))
}

// members brings the group from one list of users to another.
func (v partResources) members(ctx context.Context, r *Request, had, want []string) error {
	return changeList(had, want, func(user string) error {
		_, err := v.api.AddUserToGroup(ctx, &iam.AddUserToGroupInput{GroupName: r.ptr("GroupName"), UserName: &user})
		return err
	}, func(user string) error {
		_, err := v.api.RemoveUserFromGroup(ctx, &iam.RemoveUserFromGroupInput{GroupName: r.ptr("GroupName"), UserName: &user})
		return err
	})
}

func (v partResources) updateMembers(ctx context.Context, r *Request) error {
	if !r.changed("GroupName") {
		return v.members(ctx, r, list(r.Previous, "Users"), list(r.Properties, "Users"))
	}
	if err := v.members(ctx, r, nil, list(r.Properties, "Users")); err != nil {
		return err
	}
	return v.removeAll(ctx, &Request{Properties: r.Previous})
}

func (v partResources) removeAll(ctx context.Context, r *Request) error {
	return v.members(ctx, r, list(r.Properties, "Users"), nil)
}

func (v partResources) createLinked(ctx context.Context, r *Request) (string, error) {
	out, err := v.api.CreateServiceLinkedRole(ctx, &iam.CreateServiceLinkedRoleInput{AWSServiceName: r.ptr("AWSServiceName"), CustomSuffix: r.ptr("CustomSuffix"), Description: r.ptr("Description")})
	if err != nil {
		return "", err
	}
	return aws.Val(out.Role.RoleName), nil
}

func (v partResources) readyLinked(_ context.Context, r *Request) (map[string]any, bool, error) {
	return map[string]any{"RoleName": r.PhysicalID}, true, nil
}

func (v partResources) updateLinked(ctx context.Context, r *Request) error {
	_, err := v.api.UpdateRoleDescription(ctx, &iam.UpdateRoleDescriptionInput{RoleName: &r.PhysicalID, Description: aws.Ptr(r.str("Description"))})
	return err
}

func (v partResources) deleteLinked(ctx context.Context, r *Request) error {
	_, err := v.api.DeleteServiceLinkedRole(ctx, &iam.DeleteServiceLinkedRoleInput{RoleName: &r.PhysicalID})
	return gone(err, "NoSuchEntity")
}

func (v partResources) upload(ctx context.Context, r *Request) (string, error) {
	name := r.name("ServerCertificateName", 128)
	in := &iam.UploadServerCertificateInput{
		ServerCertificateName: &name, CertificateBody: r.ptr("CertificateBody"), CertificateChain: r.ptr("CertificateChain"), PrivateKey: r.ptr("PrivateKey"), Path: r.ptr("Path"),
	}
	in.Tags = tags(r, func(k, v string) iam.Tag { return iam.Tag{Key: &k, Value: &v} })
	_, err := v.api.UploadServerCertificate(ctx, in)
	return name, r.again(err, "ServerCertificateName")
}

func (v partResources) readyCertificate(ctx context.Context, r *Request) (map[string]any, bool, error) {
	out, err := v.api.GetServerCertificate(ctx, &iam.GetServerCertificateInput{ServerCertificateName: &r.PhysicalID})
	if err != nil {
		return nil, false, err
	}
	return map[string]any{"Arn": aws.Val(out.ServerCertificate.ServerCertificateMetadata.Arn)}, true, nil
}

func (v partResources) updateCertificate(ctx context.Context, r *Request) error {
	if r.changed("Path") {
		path := r.str("Path")
		if path == "" {
			path = "/"
		}
		if _, err := v.api.UpdateServerCertificate(ctx, &iam.UpdateServerCertificateInput{ServerCertificateName: &r.PhysicalID, NewPath: &path}); err != nil {
			return err
		}
	}
	set, gone := tagChanges(r)
	if len(gone) > 0 {
		if _, err := v.api.UntagServerCertificate(ctx, &iam.UntagServerCertificateInput{ServerCertificateName: &r.PhysicalID, TagKeys: gone}); err != nil {
			return err
		}
	}
	if len(set) == 0 {
		return nil
	}
	in := &iam.TagServerCertificateInput{ServerCertificateName: &r.PhysicalID}
	for _, k := range sorted(set) {
		in.Tags = append(in.Tags, iam.Tag{Key: aws.Ptr(k), Value: aws.Ptr(set[k])})
	}
	_, err := v.api.TagServerCertificate(ctx, in)
	return err
}

func (v partResources) deleteCertificate(ctx context.Context, r *Request) error {
	_, err := v.api.DeleteServerCertificate(ctx, &iam.DeleteServerCertificateInput{ServerCertificateName: &r.PhysicalID})
	return gone(err, "NoSuchEntity")
}
