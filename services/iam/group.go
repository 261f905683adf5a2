package iam

import (
	"context"
	"slices"

	"minato/aws"
	iamapi "minato/aws/api/iam"
	"minato/store"
)

// group is the record of a group. It counts its members, whose records name
// it, so that it cannot be deleted while one is added.
type group struct {
	iamapi.Group
	grants
	Members int
}

func noGroup(name string) error {
	return iamapi.NoSuchEntityException("The group with name %s cannot be found.", name)
}

// group reads a group of the caller's account.
func (s *Service) group(ctx context.Context, name string) (group, error) {
	g, found, err := s.groups.Get(ctx, account(ctx), global, fold(name))
	if err == nil && !found {
		err = noGroup(name)
	}
	return g, err
}

// changeGroup changes a group's record in a transaction.
func (s *Service) changeGroup(ctx context.Context, name string, f func(tx *store.Tx, g *group) error) error {
	return s.change(ctx, func(tx *store.Tx) error {
		g, found, err := s.groups.TxGet(tx, account(ctx), global, fold(name))
		if err != nil {
			return err
		}
		if !found {
			return noGroup(name)
		}
		if err := f(tx, &g); err != nil {
			return err
		}
		return s.groups.TxPut(tx, g, account(ctx), global, fold(name))
	})
}

// countMember keeps a group's number of members.
func (s *Service) countMember(tx *store.Tx, name string, by int) error {
	acct := account(tx.Context())
	g, _, err := s.groups.TxGet(tx, acct, global, fold(name))
	if err != nil {
		return err
	}
	g.Members += by
	return s.groups.TxPut(tx, g, acct, global, fold(name))
}

// CreateGroup makes a group.
func (s *Service) CreateGroup(ctx context.Context, in *iamapi.CreateGroupInput) (*iamapi.CreateGroupOutput, error) {
	path := pathOr(in.Path)
	g := group{Group: iamapi.Group{
		GroupName: in.GroupName, GroupId: uniqueID("AGPA"), Path: &path, CreateDate: s.now(),
		Arn: aws.Ptr(arnOf(account(ctx), "group", path, *in.GroupName)),
	}}
	err := s.change(ctx, func(tx *store.Tx) error {
		_, found, err := s.groups.TxGet(tx, account(ctx), global, fold(*in.GroupName))
		if err != nil {
			return err
		}
		if found {
			return iamapi.EntityAlreadyExistsException("Group with name %s already exists.", *in.GroupName)
		}
		return s.groups.TxPut(tx, g, account(ctx), global, fold(*in.GroupName))
	})
	if err != nil {
		return nil, err
	}
	return &iamapi.CreateGroupOutput{Group: &g.Group}, nil
}

// GetGroup describes a group and lists its users.
func (s *Service) GetGroup(ctx context.Context, in *iamapi.GetGroupInput) (*iamapi.GetGroupOutput, error) {
	g, err := s.group(ctx, *in.GroupName)
	if err != nil {
		return nil, err
	}
	all, err := s.users.List(ctx, account(ctx), global)
	if err != nil {
		return nil, err
	}
	var members []iamapi.User
	for _, u := range all {
		if slices.Contains(u.Groups, fold(*in.GroupName)) {
			u.User.Tags, u.User.PermissionsBoundary = nil, nil
			members = append(members, u.User)
		}
	}
	out := &iamapi.GetGroupOutput{Group: &g.Group}
	out.Users, out.Marker, out.IsTruncated, err = page(members, func(u *iamapi.User) string { return *u.UserName }, in.Marker, in.MaxItems)
	return out, err
}

// ListGroups lists groups.
func (s *Service) ListGroups(ctx context.Context, in *iamapi.ListGroupsInput) (*iamapi.ListGroupsOutput, error) {
	all, err := s.groups.List(ctx, account(ctx), global)
	if err != nil {
		return nil, err
	}
	var list []iamapi.Group
	for _, g := range all {
		if underPath(g.Path, in.PathPrefix) {
			list = append(list, g.Group)
		}
	}
	out := &iamapi.ListGroupsOutput{}
	out.Groups, out.Marker, out.IsTruncated, err = page(list, groupName, in.Marker, in.MaxItems)
	return out, err
}

// ListGroupsForUser lists the groups a user is in.
func (s *Service) ListGroupsForUser(ctx context.Context, in *iamapi.ListGroupsForUserInput) (*iamapi.ListGroupsForUserOutput, error) {
	u, err := s.user(ctx, *in.UserName)
	if err != nil {
		return nil, err
	}
	var list []iamapi.Group
	for _, name := range u.Groups {
		g, found, err := s.groups.Get(ctx, account(ctx), global, name)
		if err != nil {
			return nil, err
		}
		if found {
			list = append(list, g.Group)
		}
	}
	out := &iamapi.ListGroupsForUserOutput{}
	out.Groups, out.Marker, out.IsTruncated, err = page(list, groupName, in.Marker, in.MaxItems)
	return out, err
}

func groupName(g *iamapi.Group) string { return *g.GroupName }

// DeleteGroup removes a group without members and policies.
func (s *Service) DeleteGroup(ctx context.Context, in *iamapi.DeleteGroupInput) (*iamapi.DeleteGroupOutput, error) {
	return &iamapi.DeleteGroupOutput{}, s.change(ctx, func(tx *store.Tx) error {
		g, found, err := s.groups.TxGet(tx, account(ctx), global, fold(*in.GroupName))
		if err != nil {
			return err
		}
		if !found {
			return noGroup(*in.GroupName)
		}
		if g.Members > 0 {
			return iamapi.DeleteConflictException("Cannot delete entity, must remove users from group first.")
		}
		if err := g.mustBeEmpty(); err != nil {
			return err
		}
		s.groups.TxDelete(tx, account(ctx), global, fold(*in.GroupName))
		return nil
	})
}
