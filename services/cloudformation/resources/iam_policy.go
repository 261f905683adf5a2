package resources

import (
	"context"
	"slices"

	"minato/aws"
	iam "minato/aws/api/iam"
)

// policyResources makes inline policies of several principals, and managed
// policies.
type policyResources struct{ api iam.API }

func policyTypes(inv aws.Invoker) map[string]Type {
	v := policyResources{iam.NewClient(inv)}
	return map[string]Type{
		"AWS::IAM::Policy":        {Create: v.create, Ready: v.ready, Update: v.update, Delete: v.delete},
		"AWS::IAM::ManagedPolicy": {Create: v.createManaged, Ready: v.readyManaged, Update: v.updateManaged, Delete: v.deleteManaged, Named: "ManagedPolicyName"},
	}
}

// principals are the kinds of things that a policy is put on.
var principals = []string{"Roles", "Users", "Groups"}

// put writes the inline policy on one principal.
func (v policyResources) put(ctx context.Context, kind, principal, policy, document string) error {
	var err error
	switch kind {
	case "Roles":
		_, err = v.api.PutRolePolicy(ctx, &iam.PutRolePolicyInput{RoleName: &principal, PolicyName: &policy, PolicyDocument: &document})
	case "Users":
		_, err = v.api.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: &principal, PolicyName: &policy, PolicyDocument: &document})
	default:
		_, err = v.api.PutGroupPolicy(ctx, &iam.PutGroupPolicyInput{GroupName: &principal, PolicyName: &policy, PolicyDocument: &document})
	}
	return err
}

// take removes the inline policy from one principal.
func (v policyResources) take(ctx context.Context, kind, principal, policy string) error {
	var err error
	switch kind {
	case "Roles":
		_, err = v.api.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: &principal, PolicyName: &policy})
	case "Users":
		_, err = v.api.DeleteUserPolicy(ctx, &iam.DeleteUserPolicyInput{UserName: &principal, PolicyName: &policy})
	default:
		_, err = v.api.DeleteGroupPolicy(ctx, &iam.DeleteGroupPolicyInput{GroupName: &principal, PolicyName: &policy})
	}
	return gone(err, "NoSuchEntity")
}

// each calls f for every principal of the properties.
func each(properties map[string]any, f func(kind, principal string) error) error {
	for _, kind := range principals {
		for _, principal := range list(properties, kind) {
			if err := f(kind, principal); err != nil {
				return err
			}
		}
	}
	return nil
}

func (v policyResources) create(ctx context.Context, r *Request) (string, error) {
	text := document(r.Properties["PolicyDocument"])
	// CloudFormation makes up an id; the policy has none of its own.
	id := r.name("", 128)
	return id, each(r.Properties, func(kind, principal string) error {
		return v.put(ctx, kind, principal, r.str("PolicyName"), text)
	})
}

func (v policyResources) ready(_ context.Context, r *Request) (map[string]any, bool, error) {
	return map[string]any{"Id": r.PhysicalID}, true, nil
}

func (v policyResources) update(ctx context.Context, r *Request) error {
	if err := each(r.Properties, func(kind, principal string) error {
		return v.put(ctx, kind, principal, r.str("PolicyName"), document(r.Properties["PolicyDocument"]))
	}); err != nil {
		return err
	}
	before := text(r.Previous["PolicyName"])
	return each(r.Previous, func(kind, principal string) error {
		if before == r.str("PolicyName") && slices.Contains(list(r.Properties, kind), principal) {
			return nil
		}
		return v.take(ctx, kind, principal, before)
	})
}

func (v policyResources) delete(ctx context.Context, r *Request) error {
	return each(r.Properties, func(kind, principal string) error { return v.take(ctx, kind, principal, r.str("PolicyName")) })
}

func (v policyResources) createManaged(ctx context.Context, r *Request) (string, error) {
	out, err := v.api.CreatePolicy(ctx, &iam.CreatePolicyInput{
		PolicyName: aws.Ptr(r.name("ManagedPolicyName", 128)), Path: r.ptr("Path"), Description: r.ptr("Description"),
		PolicyDocument: aws.Ptr(document(r.Properties["PolicyDocument"])),
	})
	if err != nil {
		return "", err
	}
	r.PhysicalID = aws.Val(out.Policy.Arn)
	return r.PhysicalID, each(r.Properties, func(kind, principal string) error { return v.attach(ctx, kind, principal, r.PhysicalID) })
}

func (v policyResources) attach(ctx context.Context, kind, principal, policy string) error {
	var err error
	switch kind {
	case "Roles":
		_, err = v.api.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: &principal, PolicyArn: &policy})
	case "Users":
		_, err = v.api.AttachUserPolicy(ctx, &iam.AttachUserPolicyInput{UserName: &principal, PolicyArn: &policy})
	default:
		_, err = v.api.AttachGroupPolicy(ctx, &iam.AttachGroupPolicyInput{GroupName: &principal, PolicyArn: &policy})
	}
	return err
}

func (v policyResources) detach(ctx context.Context, kind, principal, policy string) error {
	var err error
	switch kind {
	case "Roles":
		_, err = v.api.DetachRolePolicy(ctx, &iam.DetachRolePolicyInput{RoleName: &principal, PolicyArn: &policy})
	case "Users":
		_, err = v.api.DetachUserPolicy(ctx, &iam.DetachUserPolicyInput{UserName: &principal, PolicyArn: &policy})
	default:
		_, err = v.api.DetachGroupPolicy(ctx, &iam.DetachGroupPolicyInput{GroupName: &principal, PolicyArn: &policy})
	}
	return gone(err, "NoSuchEntity")
}

func (v policyResources) readyManaged(ctx context.Context, r *Request) (map[string]any, bool, error) {
	out, err := v.api.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: &r.PhysicalID})
	if err != nil {
		return nil, false, err
	}
	p := out.Policy
	return map[string]any{"PolicyArn": r.PhysicalID, "PolicyId": aws.Val(p.PolicyId), "DefaultVersionId": aws.Val(p.DefaultVersionId), "IsAttachable": aws.Val(p.IsAttachable)}, true, nil
}

// updateManaged makes a new default version; of five versions that a policy
// may have, the one replaced is deleted.
func (v policyResources) updateManaged(ctx context.Context, r *Request) error {
	if r.changed("PolicyDocument") {
		old := text(r.Attributes["DefaultVersionId"])
		if _, err := v.api.CreatePolicyVersion(ctx, &iam.CreatePolicyVersionInput{PolicyArn: &r.PhysicalID, PolicyDocument: aws.Ptr(document(r.Properties["PolicyDocument"])), SetAsDefault: aws.Ptr(true)}); err != nil {
			return err
		}
		if old != "" {
			if _, err := v.api.DeletePolicyVersion(ctx, &iam.DeletePolicyVersionInput{PolicyArn: &r.PhysicalID, VersionId: &old}); gone(err, "NoSuchEntity") != nil {
				return err
			}
		}
	}
	if err := each(r.Properties, func(kind, principal string) error {
		if slices.Contains(list(r.Previous, kind), principal) {
			return nil
		}
		return v.attach(ctx, kind, principal, r.PhysicalID)
	}); err != nil {
		return err
	}
	return each(r.Previous, func(kind, principal string) error {
		if slices.Contains(list(r.Properties, kind), principal) {
			return nil
		}
		return v.detach(ctx, kind, principal, r.PhysicalID)
	})
}

func (v policyResources) deleteManaged(ctx context.Context, r *Request) error {
	if err := each(r.Properties, func(kind, principal string) error { return v.detach(ctx, kind, principal, r.PhysicalID) }); err != nil {
		return err
	}
	_, err := v.api.DeletePolicy(ctx, &iam.DeletePolicyInput{PolicyArn: &r.PhysicalID})
	return gone(err, "NoSuchEntity")
}
