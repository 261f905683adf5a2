package iam

import (
	"context"
	"strings"

	"minato/aws"
	iamapi "minato/aws/api/iam"
	"minato/aws/arn"
	"minato/aws/policy"
	"minato/store"
)

// role is the record of a role; its trust policy is kept as it was given.
type role struct {
	iamapi.Role
	grants
	Profiles int // instance profiles that hold it
}

const (
	linkedPath    = "/aws-service-role/"
	maxTrust      = 2048
	defaultLength = 3600 // seconds of a session
)

// linked reports whether a role is a service's own.
func (r *role) linked() bool { return strings.HasPrefix(aws.Val(r.Path), linkedPath) }

// shown is the role as the API answers with it.
func (r *role) shown() *iamapi.Role {
	out := r.Role
	out.AssumeRolePolicyDocument = encode(aws.Val(r.AssumeRolePolicyDocument))
	return &out
}

// listed is the role as lists show it: without tags and boundary.
func (r *role) listed() iamapi.Role {
	out := *r.shown()
	out.Tags, out.PermissionsBoundary, out.RoleLastUsed = nil, nil, nil
	return out
}

func noRole(name string) error {
	return iamapi.NoSuchEntityException("The role with name %s cannot be found.", name)
}

// role reads a role of the caller's account.
func (s *Service) role(ctx context.Context, name string) (role, error) {
	r, found, err := s.roles.Get(ctx, account(ctx), global, fold(name))
	if err == nil && !found {
		err = noRole(name)
	}
	return r, err
}

// anyRole and customersRole say which roles an operation may change.
const (
	anyRole = iota
	customersRole
)

// changeRole changes a role's record in a transaction.
func (s *Service) changeRole(ctx context.Context, name string, which int, f func(tx *store.Tx, r *role) error) error {
	return s.change(ctx, func(tx *store.Tx) error {
		r, found, err := s.roles.TxGet(tx, account(ctx), global, fold(name))
		if err != nil {
			return err
		}
		if !found {
			return noRole(name)
		}
		if which == customersRole && r.linked() {
			return protected(name)
		}
		if err := f(tx, &r); err != nil {
			return err
		}
		return s.roles.TxPut(tx, r, account(ctx), global, fold(name))
	})
}

func protected(name string) error {
	return iamapi.UnmodifiableEntityException("Cannot perform the operation on the protected role '%s' - this role is only modifiable by AWS", name)
}

// checkTrust validates a trust policy; the users and roles that it names must
// exist, as on AWS.
func (s *Service) checkTrust(tx *store.Tx, document string) error {
	p, err := policy.Parse(document, policy.Trust)
	if err != nil {
		return err
	}
	if size(document) > maxTrust {
		return iamapi.LimitExceededException("Cannot exceed quota for ACLSizePerRole: %d", maxTrust)
	}
	acct := account(tx.Context())
	for _, name := range p.NamedPrincipals() {
		a, _ := arn.Parse(name)
		if a.Service != "iam" || a.Account != acct {
			continue
		}
		found := false
		switch a.Kind() {
		case "user":
			_, found, err = s.users.TxGet(tx, acct, global, fold(a.Last()))
		case "role":
			_, found, err = s.roles.TxGet(tx, acct, global, fold(a.Last()))
		}
		if err != nil {
			return err
		}
		if !found {
			return iamapi.MalformedPolicyDocumentException("Invalid principal in policy: \"AWS\":%q", name)
		}
	}
	return nil
}

// CreateRole makes a role.
func (s *Service) CreateRole(ctx context.Context, in *iamapi.CreateRoleInput) (*iamapi.CreateRoleOutput, error) {
	path := pathOr(in.Path)
	if strings.HasPrefix(path, linkedPath) {
		return nil, iamapi.InvalidInputException("Paths beginning with %s are reserved for service-linked roles.", linkedPath)
	}
	r := role{Role: iamapi.Role{
		RoleName: in.RoleName, RoleId: uniqueID("AROA"), Path: &path, CreateDate: s.now(), Description: in.Description,
		Arn:                      aws.Ptr(arnOf(account(ctx), "role", path, *in.RoleName)),
		AssumeRolePolicyDocument: in.AssumeRolePolicyDocument, MaxSessionDuration: in.MaxSessionDuration,
	}}
	if r.MaxSessionDuration == nil {
		r.MaxSessionDuration = aws.Ptr[int32](defaultLength)
	}
	var err error
	if r.Tags, err = mergeTags(nil, in.Tags); err != nil {
		return nil, err
	}
	err = s.change(ctx, func(tx *store.Tx) error {
		if err := s.checkTrust(tx, *in.AssumeRolePolicyDocument); err != nil {
			return err
		}
		_, found, err := s.roles.TxGet(tx, account(ctx), global, fold(*in.RoleName))
		if err != nil {
			return err
		}
		if found {
			return iamapi.EntityAlreadyExistsException("Role with name %s already exists.", *in.RoleName)
		}
		if r.PermissionsBoundary, err = s.bind(tx, nil, in.PermissionsBoundary); err != nil {
			return err
		}
		return s.roles.TxPut(tx, r, account(ctx), global, fold(*in.RoleName))
	})
	if err != nil {
		return nil, err
	}
	return &iamapi.CreateRoleOutput{Role: r.shown()}, nil
}

// GetRole describes a role.
func (s *Service) GetRole(ctx context.Context, in *iamapi.GetRoleInput) (*iamapi.GetRoleOutput, error) {
	r, err := s.role(ctx, *in.RoleName)
	if err != nil {
		return nil, err
	}
	return &iamapi.GetRoleOutput{Role: r.shown()}, nil
}

// ListRoles lists roles.
func (s *Service) ListRoles(ctx context.Context, in *iamapi.ListRolesInput) (*iamapi.ListRolesOutput, error) {
	all, err := s.roles.List(ctx, account(ctx), global)
	if err != nil {
		return nil, err
	}
	var list []iamapi.Role
	for i := range all {
		if underPath(all[i].Path, in.PathPrefix) {
			list = append(list, all[i].listed())
		}
	}
	out := &iamapi.ListRolesOutput{}
	out.Roles, out.Marker, out.IsTruncated, err = page(list, func(r *iamapi.Role) string { return *r.RoleName }, in.Marker, in.MaxItems)
	return out, err
}

// UpdateRole changes a role's description and the longest session.
func (s *Service) UpdateRole(ctx context.Context, in *iamapi.UpdateRoleInput) (*iamapi.UpdateRoleOutput, error) {
	return &iamapi.UpdateRoleOutput{}, s.changeRole(ctx, *in.RoleName, customersRole, func(_ *store.Tx, r *role) error {
		if in.Description != nil {
			r.Description = in.Description
		}
		if in.MaxSessionDuration != nil {
			r.MaxSessionDuration = in.MaxSessionDuration
		}
		return nil
	})
}

// UpdateRoleDescription changes a role's description, a service-linked one's
// too.
func (s *Service) UpdateRoleDescription(ctx context.Context, in *iamapi.UpdateRoleDescriptionInput) (*iamapi.UpdateRoleDescriptionOutput, error) {
	out := &iamapi.UpdateRoleDescriptionOutput{}
	err := s.changeRole(ctx, *in.RoleName, anyRole, func(_ *store.Tx, r *role) error {
		r.Description = in.Description
		out.Role = r.shown()
		return nil
	})
	return out, err
}

// UpdateAssumeRolePolicy replaces a role's trust policy.
func (s *Service) UpdateAssumeRolePolicy(ctx context.Context, in *iamapi.UpdateAssumeRolePolicyInput) (*iamapi.UpdateAssumeRolePolicyOutput, error) {
	return &iamapi.UpdateAssumeRolePolicyOutput{}, s.changeRole(ctx, *in.RoleName, customersRole, func(tx *store.Tx, r *role) error {
		if err := s.checkTrust(tx, *in.PolicyDocument); err != nil {
			return err
		}
		r.AssumeRolePolicyDocument = in.PolicyDocument
		return nil
	})
}

// DeleteRole removes a role that has nothing left.
func (s *Service) DeleteRole(ctx context.Context, in *iamapi.DeleteRoleInput) (*iamapi.DeleteRoleOutput, error) {
	return &iamapi.DeleteRoleOutput{}, s.change(ctx, func(tx *store.Tx) error {
		r, found, err := s.roles.TxGet(tx, account(ctx), global, fold(*in.RoleName))
		if err != nil {
			return err
		}
		switch {
		case !found:
			return noRole(*in.RoleName)
		case r.linked():
			return protected(*in.RoleName)
		case r.Profiles > 0:
			return iamapi.DeleteConflictException("Cannot delete entity, must remove roles from instance profile first.")
		}
		if err := r.mustBeEmpty(); err != nil {
			return err
		}
		if err := s.unbind(tx, r.PermissionsBoundary); err != nil {
			return err
		}
		s.roles.TxDelete(tx, account(ctx), global, fold(*in.RoleName))
		return nil
	})
}
