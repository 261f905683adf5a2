package iam

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"minato/aws"
	iamapi "minato/aws/api/iam"
	"minato/aws/policy"
	"minato/store"
)

// grants is what a user, group or role may do: policies of its own and the
// ARNs of those attached to it.
type grants struct {
	Inline   map[string]string `json:",omitempty"` // document by name
	Attached []string          `json:",omitempty"`
}

// The most bytes, white space not counted, that the inline policies of an
// entity may have together.
const (
	maxUserInline  = 2048
	maxGroupInline = 5120
	maxRoleInline  = 10240
)

// size counts a document as IAM does: without white space.
func size(document string) int {
	n := 0
	for _, r := range document {
		if !unicode.IsSpace(r) {
			n++
		}
	}
	return n
}

// put keeps an inline policy after checking it.
func (g *grants) put(kind, holder, name, document string, limit int) error {
	if _, err := policy.Parse(document, policy.Identity); err != nil {
		return err
	}
	total := size(document)
	for n, d := range g.Inline {
		if n != name {
			total += size(d)
		}
	}
	if total > limit {
		return iamapi.LimitExceededException("Maximum policy size of %d bytes exceeded for %s %s", limit, kind, holder)
	}
	if g.Inline == nil {
		g.Inline = map[string]string{}
	}
	g.Inline[name] = document
	return nil
}

// get returns an inline policy.
func (g *grants) get(kind, name string) (string, error) {
	document, ok := g.Inline[name]
	if !ok {
		return "", iamapi.NoSuchEntityException("The %s policy with name %s cannot be found.", kind, name)
	}
	return document, nil
}

// drop removes an inline policy.
func (g *grants) drop(kind, name string) error {
	if _, err := g.get(kind, name); err != nil {
		return err
	}
	delete(g.Inline, name)
	return nil
}

// names lists the inline policies.
func (g *grants) names() []string {
	var out []string
	for n := range g.Inline {
		out = append(out, n)
	}
	return out
}

// mustBeEmpty refuses the deletion of an entity that still has policies.
func (g *grants) mustBeEmpty() error {
	switch {
	case len(g.Attached) > 0:
		return iamapi.DeleteConflictException("Cannot delete entity, must detach all policies first.")
	case len(g.Inline) > 0:
		return iamapi.DeleteConflictException("Cannot delete entity, must delete policies first.")
	}
	return nil
}

// attached reports whether a policy is attached.
func (g *grants) attached(arn string) bool { return slices.Contains(g.Attached, arn) }

// encode writes a document as IAM answers with it: percent-encoded by RFC 3986.
func encode(document string) *string {
	return aws.Ptr(strings.ReplaceAll(url.QueryEscape(document), "+", "%20"))
}

// PutUserPolicy adds or replaces a user's inline policy.
func (s *Service) PutUserPolicy(ctx context.Context, in *iamapi.PutUserPolicyInput) (*iamapi.PutUserPolicyOutput, error) {
	return &iamapi.PutUserPolicyOutput{}, s.changeUser(ctx, *in.UserName, func(_ *store.Tx, u *user) error {
		return u.put("user", *in.UserName, *in.PolicyName, *in.PolicyDocument, maxUserInline)
	})
}

// GetUserPolicy returns a user's inline policy.
func (s *Service) GetUserPolicy(ctx context.Context, in *iamapi.GetUserPolicyInput) (*iamapi.GetUserPolicyOutput, error) {
	u, err := s.user(ctx, *in.UserName)
	if err != nil {
		return nil, err
	}
	document, err := u.get("user", *in.PolicyName)
	return &iamapi.GetUserPolicyOutput{UserName: u.UserName, PolicyName: in.PolicyName, PolicyDocument: encode(document)}, err
}

// DeleteUserPolicy removes a user's inline policy.
func (s *Service) DeleteUserPolicy(ctx context.Context, in *iamapi.DeleteUserPolicyInput) (*iamapi.DeleteUserPolicyOutput, error) {
	return &iamapi.DeleteUserPolicyOutput{}, s.changeUser(ctx, *in.UserName, func(_ *store.Tx, u *user) error {
		return u.drop("user", *in.PolicyName)
	})
}

// ListUserPolicies lists the names of a user's inline policies.
func (s *Service) ListUserPolicies(ctx context.Context, in *iamapi.ListUserPoliciesInput) (*iamapi.ListUserPoliciesOutput, error) {
	u, err := s.user(ctx, *in.UserName)
	if err != nil {
		return nil, err
	}
	out := &iamapi.ListUserPoliciesOutput{}
	out.PolicyNames, out.Marker, out.IsTruncated, err = page(u.names(), self, in.Marker, in.MaxItems)
	return out, err
}

// PutGroupPolicy adds or replaces a group's inline policy.
func (s *Service) PutGroupPolicy(ctx context.Context, in *iamapi.PutGroupPolicyInput) (*iamapi.PutGroupPolicyOutput, error) {
	return &iamapi.PutGroupPolicyOutput{}, s.changeGroup(ctx, *in.GroupName, func(_ *store.Tx, g *group) error {
		return g.put("group", *in.GroupName, *in.PolicyName, *in.PolicyDocument, maxGroupInline)
	})
}

// GetGroupPolicy returns a group's inline policy.
func (s *Service) GetGroupPolicy(ctx context.Context, in *iamapi.GetGroupPolicyInput) (*iamapi.GetGroupPolicyOutput, error) {
	g, err := s.group(ctx, *in.GroupName)
	if err != nil {
		return nil, err
	}
	document, err := g.get("group", *in.PolicyName)
	return &iamapi.GetGroupPolicyOutput{GroupName: g.GroupName, PolicyName: in.PolicyName, PolicyDocument: encode(document)}, err
}

// DeleteGroupPolicy removes a group's inline policy.
func (s *Service) DeleteGroupPolicy(ctx context.Context, in *iamapi.DeleteGroupPolicyInput) (*iamapi.DeleteGroupPolicyOutput, error) {
	return &iamapi.DeleteGroupPolicyOutput{}, s.changeGroup(ctx, *in.GroupName, func(_ *store.Tx, g *group) error {
		return g.drop("group", *in.PolicyName)
	})
}

// ListGroupPolicies lists the names of a group's inline policies.
func (s *Service) ListGroupPolicies(ctx context.Context, in *iamapi.ListGroupPoliciesInput) (*iamapi.ListGroupPoliciesOutput, error) {
	g, err := s.group(ctx, *in.GroupName)
	if err != nil {
		return nil, err
	}
	out := &iamapi.ListGroupPoliciesOutput{}
	out.PolicyNames, out.Marker, out.IsTruncated, err = page(g.names(), self, in.Marker, in.MaxItems)
	return out, err
}

// PutRolePolicy adds or replaces a role's inline policy.
func (s *Service) PutRolePolicy(ctx context.Context, in *iamapi.PutRolePolicyInput) (*iamapi.PutRolePolicyOutput, error) {
	return &iamapi.PutRolePolicyOutput{}, s.changeRole(ctx, *in.RoleName, customersRole, func(_ *store.Tx, r *role) error {
		return r.put("role", *in.RoleName, *in.PolicyName, *in.PolicyDocument, maxRoleInline)
	})
}

// GetRolePolicy returns a role's inline policy.
func (s *Service) GetRolePolicy(ctx context.Context, in *iamapi.GetRolePolicyInput) (*iamapi.GetRolePolicyOutput, error) {
	r, err := s.role(ctx, *in.RoleName)
	if err != nil {
		return nil, err
	}
	document, err := r.get("role", *in.PolicyName)
	return &iamapi.GetRolePolicyOutput{RoleName: r.RoleName, PolicyName: in.PolicyName, PolicyDocument: encode(document)}, err
}

// DeleteRolePolicy removes a role's inline policy.
func (s *Service) DeleteRolePolicy(ctx context.Context, in *iamapi.DeleteRolePolicyInput) (*iamapi.DeleteRolePolicyOutput, error) {
	return &iamapi.DeleteRolePolicyOutput{}, s.changeRole(ctx, *in.RoleName, customersRole, func(_ *store.Tx, r *role) error {
		return r.drop("role", *in.PolicyName)
	})
}

// ListRolePolicies lists the names of a role's inline policies.
func (s *Service) ListRolePolicies(ctx context.Context, in *iamapi.ListRolePoliciesInput) (*iamapi.ListRolePoliciesOutput, error) {
	r, err := s.role(ctx, *in.RoleName)
	if err != nil {
		return nil, err
	}
	out := &iamapi.ListRolePoliciesOutput{}
	out.PolicyNames, out.Marker, out.IsTruncated, err = page(r.names(), self, in.Marker, in.MaxItems)
	return out, err
}
