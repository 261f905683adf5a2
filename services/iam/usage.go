package iam

import (
	"context"
	"crypto/sha256"
	"encoding/base32"

	"minato/aws"
	iamapi "minato/aws/api/iam"
	"minato/services/iam/managed"
)

// usage says how often each policy is attached and used as a boundary.
type usage struct {
	attached, boundaries map[string]int32
	users                []user
	groups               []group
	roles                []role
}

// usage reads every entity of the caller's account.
func (s *Service) usage(ctx context.Context) (usage, error) {
	u := usage{attached: map[string]int32{}, boundaries: map[string]int32{}}
	var err error
	if u.users, err = s.users.List(ctx, account(ctx), global); err != nil {
		return u, err
	}
	if u.groups, err = s.groups.List(ctx, account(ctx), global); err != nil {
		return u, err
	}
	if u.roles, err = s.roles.List(ctx, account(ctx), global); err != nil {
		return u, err
	}
	count := func(g *grants, b *iamapi.AttachedPermissionsBoundary) {
		for _, a := range g.Attached {
			u.attached[a]++
		}
		if b != nil {
			u.boundaries[*b.PermissionsBoundaryArn]++
		}
	}
	for i := range u.users {
		count(&u.users[i].grants, u.users[i].PermissionsBoundary)
	}
	for i := range u.groups {
		count(&u.groups[i].grants, nil)
	}
	for i := range u.roles {
		count(&u.roles[i].grants, u.roles[i].PermissionsBoundary)
	}
	return u, nil
}

// stableID makes the unique id of a policy that is no record: always the same.
func stableID(name string) string {
	sum := sha256.Sum256([]byte(name))
	return base32.StdEncoding.EncodeToString(sum[:])[:17]
}

// entity is an item of ListEntitiesForPolicy; one of the three is set.
type entity struct {
	name string
	g    *iamapi.PolicyGroup
	r    *iamapi.PolicyRole
	u    *iamapi.PolicyUser
}

// ListEntitiesForPolicy lists who has a policy attached, or as a boundary.
func (s *Service) ListEntitiesForPolicy(ctx context.Context, in *iamapi.ListEntitiesForPolicyInput) (*iamapi.ListEntitiesForPolicyOutput, error) {
	if managed.Get(*in.PolicyArn) == nil {
		if _, err := s.policy(ctx, *in.PolicyArn); err != nil {
			return nil, err
		}
	}
	use, err := s.usage(ctx)
	if err != nil {
		return nil, err
	}
	boundary := aws.Val(in.PolicyUsageFilter) == "PermissionsBoundary"
	has := func(kind string, g *grants, b *iamapi.AttachedPermissionsBoundary, path *string) bool {
		if f := aws.Val(in.EntityFilter); f != "" && f != kind || !underPath(path, in.PathPrefix) {
			return false
		}
		if boundary {
			return b != nil && *b.PermissionsBoundaryArn == *in.PolicyArn
		}
		return g.attached(*in.PolicyArn)
	}
	var list []entity
	for _, g := range use.groups {
		if has("Group", &g.grants, nil, g.Path) {
			list = append(list, entity{name: "group " + *g.GroupName, g: &iamapi.PolicyGroup{GroupId: g.GroupId, GroupName: g.GroupName}})
		}
	}
	for _, r := range use.roles {
		if has("Role", &r.grants, r.PermissionsBoundary, r.Path) {
			list = append(list, entity{name: "role " + *r.RoleName, r: &iamapi.PolicyRole{RoleId: r.RoleId, RoleName: r.RoleName}})
		}
	}
	for _, u := range use.users {
		if has("User", &u.grants, u.PermissionsBoundary, u.Path) {
			list = append(list, entity{name: "user " + *u.UserName, u: &iamapi.PolicyUser{UserId: u.UserId, UserName: u.UserName}})
		}
	}
	out := &iamapi.ListEntitiesForPolicyOutput{PolicyGroups: []iamapi.PolicyGroup{}, PolicyRoles: []iamapi.PolicyRole{}, PolicyUsers: []iamapi.PolicyUser{}}
	list, out.Marker, out.IsTruncated, err = page(list, func(e *entity) string { return e.name }, in.Marker, in.MaxItems)
	for _, e := range list {
		switch {
		case e.g != nil:
			out.PolicyGroups = append(out.PolicyGroups, *e.g)
		case e.r != nil:
			out.PolicyRoles = append(out.PolicyRoles, *e.r)
		default:
			out.PolicyUsers = append(out.PolicyUsers, *e.u)
		}
	}
	return out, err
}

// GetAccountSummary counts what there is and says the quotas.
func (s *Service) GetAccountSummary(ctx context.Context, _ *iamapi.GetAccountSummaryInput) (*iamapi.GetAccountSummaryOutput, error) {
	use, err := s.usage(ctx)
	if err != nil {
		return nil, err
	}
	policies, err := s.policies.List(ctx, account(ctx), global)
	if err != nil {
		return nil, err
	}
	profiles, err := s.profiles.Keys(ctx, account(ctx), global)
	if err != nil {
		return nil, err
	}
	versions := 0
	for _, p := range policies {
		versions += len(p.Versions)
	}
	return &iamapi.GetAccountSummaryOutput{SummaryMap: map[string]int32{
		"Users": int32(len(use.users)), "Groups": int32(len(use.groups)), "Roles": int32(len(use.roles)),
		"Policies": int32(len(policies)), "PolicyVersionsInUse": int32(versions), "InstanceProfiles": int32(len(profiles)),
		"AccessKeysPerUserQuota": maxKeys, "GroupsPerUserQuota": maxGroups, "VersionsPerPolicyQuota": maxVersions,
		"AttachedPoliciesPerUserQuota": maxAttached, "AttachedPoliciesPerGroupQuota": maxAttached, "AttachedPoliciesPerRoleQuota": maxAttached,
		"UserPolicySizeQuota": maxUserInline, "GroupPolicySizeQuota": maxGroupInline, "RolePolicySizeQuota": maxRoleInline,
		"PolicySizeQuota": maxPolicySize, "AssumeRolePolicySizeQuota": maxTrust, "AccountMFAEnabled": 0, "AccountAccessKeysPresent": 0,
	}}, nil
}
