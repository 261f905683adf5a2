package iam

import (
	"context"
	"slices"

	"minato/aws"
	iamapi "minato/aws/api/iam"
	"minato/services/iam/managed"
	"minato/store"
)

// maxAttached is the most managed policies an entity may have.
const maxAttached = 10

// attach adds a policy to an entity's grants and counts it; twice is fine.
func (s *Service) attach(tx *store.Tx, g *grants, arn, quota string) error {
	if g.attached(arn) {
		return nil
	}
	if len(g.Attached) >= maxAttached {
		return iamapi.LimitExceededException("Cannot exceed quota for %s: %d", quota, maxAttached)
	}
	if err := s.count(tx, arn, 1, 0); err != nil {
		return err
	}
	g.Attached = append(g.Attached, arn)
	return nil
}

// detach takes a policy from an entity's grants.
func (s *Service) detach(tx *store.Tx, g *grants, arn string) error {
	i := slices.Index(g.Attached, arn)
	if i < 0 {
		return iamapi.NoSuchEntityException("Policy %s was not found.", arn)
	}
	g.Attached = slices.Delete(g.Attached, i, i+1)
	return s.count(tx, arn, -1, 0)
}

// count keeps the number of attachments and of uses as a boundary in a
// customer's policy. AWS's policies are not records; theirs are counted when
// somebody asks.
func (s *Service) count(tx *store.Tx, arn string, attachments, boundaries int32) error {
	if managed.Is(arn) {
		if managed.Get(arn) == nil && attachments+boundaries > 0 {
			return notAttachable(arn)
		}
		return nil
	}
	acct := account(tx.Context())
	id, ok := policyID(acct, arn)
	if !ok {
		return notAttachable(arn)
	}
	p, found, err := s.policies.TxGet(tx, acct, global, id)
	if err != nil {
		return err
	}
	if !found || aws.Val(p.Arn) != arn {
		return notAttachable(arn)
	}
	*p.AttachmentCount += attachments
	*p.PermissionsBoundaryUsageCount += boundaries
	return s.policies.TxPut(tx, p, acct, global, id)
}

func notAttachable(arn string) error {
	return iamapi.NoSuchEntityException("Policy %s does not exist or is not attachable.", arn)
}

// bind sets a permissions boundary, counting the old one off and the new one
// on; a nil arn leaves none.
func (s *Service) bind(tx *store.Tx, old *iamapi.AttachedPermissionsBoundary, arn *string) (*iamapi.AttachedPermissionsBoundary, error) {
	if err := s.unbind(tx, old); err != nil {
		return nil, err
	}
	if arn == nil {
		return nil, nil
	}
	if err := s.count(tx, *arn, 0, 1); err != nil {
		return nil, err
	}
	return &iamapi.AttachedPermissionsBoundary{PermissionsBoundaryArn: arn, PermissionsBoundaryType: aws.Ptr("Policy")}, nil
}

// unbind counts off a boundary.
func (s *Service) unbind(tx *store.Tx, b *iamapi.AttachedPermissionsBoundary) error {
	if b == nil {
		return nil
	}
	return s.count(tx, *b.PermissionsBoundaryArn, 0, -1)
}

// listAttached shows an entity's attached policies.
func listAttached(g *grants, prefix *string) []iamapi.AttachedPolicy {
	var out []iamapi.AttachedPolicy
	for _, a := range g.Attached {
		if path := pathOf(a); underPath(&path, prefix) {
			out = append(out, iamapi.AttachedPolicy{PolicyArn: aws.Ptr(a), PolicyName: aws.Ptr(lastName(a))})
		}
	}
	return out
}

func attachedName(p *iamapi.AttachedPolicy) string { return *p.PolicyName }

// AttachUserPolicy attaches a managed policy to a user.
func (s *Service) AttachUserPolicy(ctx context.Context, in *iamapi.AttachUserPolicyInput) (*iamapi.AttachUserPolicyOutput, error) {
	return &iamapi.AttachUserPolicyOutput{}, s.changeUser(ctx, *in.UserName, func(tx *store.Tx, u *user) error {
		return s.attach(tx, &u.grants, *in.PolicyArn, "PoliciesPerUser")
	})
}

// DetachUserPolicy detaches a managed policy from a user.
func (s *Service) DetachUserPolicy(ctx context.Context, in *iamapi.DetachUserPolicyInput) (*iamapi.DetachUserPolicyOutput, error) {
	return &iamapi.DetachUserPolicyOutput{}, s.changeUser(ctx, *in.UserName, func(tx *store.Tx, u *user) error {
		return s.detach(tx, &u.grants, *in.PolicyArn)
	})
}

// ListAttachedUserPolicies lists a user's managed policies.
func (s *Service) ListAttachedUserPolicies(ctx context.Context, in *iamapi.ListAttachedUserPoliciesInput) (*iamapi.ListAttachedUserPoliciesOutput, error) {
	u, err := s.user(ctx, *in.UserName)
	if err != nil {
		return nil, err
	}
	out := &iamapi.ListAttachedUserPoliciesOutput{}
	out.AttachedPolicies, out.Marker, out.IsTruncated, err = page(listAttached(&u.grants, in.PathPrefix), attachedName, in.Marker, in.MaxItems)
	return out, err
}

// AttachGroupPolicy attaches a managed policy to a group.
func (s *Service) AttachGroupPolicy(ctx context.Context, in *iamapi.AttachGroupPolicyInput) (*iamapi.AttachGroupPolicyOutput, error) {
	return &iamapi.AttachGroupPolicyOutput{}, s.changeGroup(ctx, *in.GroupName, func(tx *store.Tx, g *group) error {
		return s.attach(tx, &g.grants, *in.PolicyArn, "PoliciesPerGroup")
	})
}

// DetachGroupPolicy detaches a managed policy from a group.
func (s *Service) DetachGroupPolicy(ctx context.Context, in *iamapi.DetachGroupPolicyInput) (*iamapi.DetachGroupPolicyOutput, error) {
	return &iamapi.DetachGroupPolicyOutput{}, s.changeGroup(ctx, *in.GroupName, func(tx *store.Tx, g *group) error {
		return s.detach(tx, &g.grants, *in.PolicyArn)
	})
}

// ListAttachedGroupPolicies lists a group's managed policies.
func (s *Service) ListAttachedGroupPolicies(ctx context.Context, in *iamapi.ListAttachedGroupPoliciesInput) (*iamapi.ListAttachedGroupPoliciesOutput, error) {
	g, err := s.group(ctx, *in.GroupName)
	if err != nil {
		return nil, err
	}
	out := &iamapi.ListAttachedGroupPoliciesOutput{}
	out.AttachedPolicies, out.Marker, out.IsTruncated, err = page(listAttached(&g.grants, in.PathPrefix), attachedName, in.Marker, in.MaxItems)
	return out, err
}

// AttachRolePolicy attaches a managed policy to a role.
func (s *Service) AttachRolePolicy(ctx context.Context, in *iamapi.AttachRolePolicyInput) (*iamapi.AttachRolePolicyOutput, error) {
	return &iamapi.AttachRolePolicyOutput{}, s.changeRole(ctx, *in.RoleName, customersRole, func(tx *store.Tx, r *role) error {
		return s.attach(tx, &r.grants, *in.PolicyArn, "PoliciesPerRole")
	})
}

// DetachRolePolicy detaches a managed policy from a role.
func (s *Service) DetachRolePolicy(ctx context.Context, in *iamapi.DetachRolePolicyInput) (*iamapi.DetachRolePolicyOutput, error) {
	return &iamapi.DetachRolePolicyOutput{}, s.changeRole(ctx, *in.RoleName, customersRole, func(tx *store.Tx, r *role) error {
		return s.detach(tx, &r.grants, *in.PolicyArn)
	})
}

// ListAttachedRolePolicies lists a role's managed policies.
func (s *Service) ListAttachedRolePolicies(ctx context.Context, in *iamapi.ListAttachedRolePoliciesInput) (*iamapi.ListAttachedRolePoliciesOutput, error) {
	r, err := s.role(ctx, *in.RoleName)
	if err != nil {
		return nil, err
	}
	out := &iamapi.ListAttachedRolePoliciesOutput{}
	out.AttachedPolicies, out.Marker, out.IsTruncated, err = page(listAttached(&r.grants, in.PathPrefix), attachedName, in.Marker, in.MaxItems)
	return out, err
}

// PutUserPermissionsBoundary sets a user's boundary.
func (s *Service) PutUserPermissionsBoundary(ctx context.Context, in *iamapi.PutUserPermissionsBoundaryInput) (*iamapi.PutUserPermissionsBoundaryOutput, error) {
	return &iamapi.PutUserPermissionsBoundaryOutput{}, s.changeUser(ctx, *in.UserName, func(tx *store.Tx, u *user) (err error) {
		u.PermissionsBoundary, err = s.bind(tx, u.PermissionsBoundary, in.PermissionsBoundary)
		return err
	})
}

// DeleteUserPermissionsBoundary takes a user's boundary away.
func (s *Service) DeleteUserPermissionsBoundary(ctx context.Context, in *iamapi.DeleteUserPermissionsBoundaryInput) (*iamapi.DeleteUserPermissionsBoundaryOutput, error) {
	return &iamapi.DeleteUserPermissionsBoundaryOutput{}, s.changeUser(ctx, *in.UserName, func(tx *store.Tx, u *user) (err error) {
		u.PermissionsBoundary, err = s.bind(tx, u.PermissionsBoundary, nil)
		return err
	})
}

// PutRolePermissionsBoundary sets a role's boundary.
func (s *Service) PutRolePermissionsBoundary(ctx context.Context, in *iamapi.PutRolePermissionsBoundaryInput) (*iamapi.PutRolePermissionsBoundaryOutput, error) {
	return &iamapi.PutRolePermissionsBoundaryOutput{}, s.changeRole(ctx, *in.RoleName, customersRole, func(tx *store.Tx, r *role) (err error) {
		r.PermissionsBoundary, err = s.bind(tx, r.PermissionsBoundary, in.PermissionsBoundary)
		return err
	})
}

// DeleteRolePermissionsBoundary takes a role's boundary away.
func (s *Service) DeleteRolePermissionsBoundary(ctx context.Context, in *iamapi.DeleteRolePermissionsBoundaryInput) (*iamapi.DeleteRolePermissionsBoundaryOutput, error) {
	return &iamapi.DeleteRolePermissionsBoundaryOutput{}, s.changeRole(ctx, *in.RoleName, customersRole, func(tx *store.Tx, r *role) (err error) {
		r.PermissionsBoundary, err = s.bind(tx, r.PermissionsBoundary, nil)
		return err
	})
}
