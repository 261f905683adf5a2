package iam

import (
	"context"
	"slices"

	"minato/aws"
	iamapi "minato/aws/api/iam"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/store"
)

// user is the record of a user.
type user struct {
	iamapi.User
	grants
	Groups []string `json:",omitempty"` // names, folded
	KeyIDs []string `json:",omitempty"`
}

// maxGroups is the most groups a user may be in.
const maxGroups = 10

func noUser(name string) error {
	return iamapi.NoSuchEntityException("The user with name %s cannot be found.", name)
}

// user reads a user of the caller's account.
func (s *Service) user(ctx context.Context, name string) (user, error) {
	u, found, err := s.users.Get(ctx, account(ctx), global, fold(name))
	if err == nil && !found {
		err = noUser(name)
	}
	return u, err
}

// changeUser changes a user's record in a transaction.
func (s *Service) changeUser(ctx context.Context, name string, f func(tx *store.Tx, u *user) error) error {
	return s.change(ctx, func(tx *store.Tx) error {
		u, found, err := s.users.TxGet(tx, account(ctx), global, fold(name))
		if err != nil {
			return err
		}
		if !found {
			return noUser(name)
		}
		if err := f(tx, &u); err != nil {
			return err
		}
		return s.users.TxPut(tx, u, account(ctx), global, fold(name))
	})
}

// ownName is the name asked for, or the calling user's own.
func ownName(ctx context.Context, name *string) (string, error) {
	if name != nil {
		return *name, nil
	}
	if c := identity.From(ctx); c.Kind == identity.User {
		return lastName(c.PrincipalID), nil
	}
	return "", aws.Errorf("ValidationError", "Must specify userName when calling with non-User credentials")
}

// lastName is the name at the end of an ARN.
func lastName(s string) string {
	a, _ := arn.Parse(s)
	return a.Last()
}

// CreateUser makes a user.
func (s *Service) CreateUser(ctx context.Context, in *iamapi.CreateUserInput) (*iamapi.CreateUserOutput, error) {
	path := pathOr(in.Path)
	u := user{User: iamapi.User{
		UserName: in.UserName, UserId: uniqueID("AIDA"), Path: &path, CreateDate: s.now(),
		Arn: aws.Ptr(arnOf(account(ctx), "user", path, *in.UserName)),
	}}
	var err error
	if u.Tags, err = mergeTags(nil, in.Tags); err != nil {
		return nil, err
	}
	err = s.change(ctx, func(tx *store.Tx) error {
		_, found, err := s.users.TxGet(tx, account(ctx), global, fold(*in.UserName))
		if err != nil {
			return err
		}
		if found {
			return iamapi.EntityAlreadyExistsException("User with name %s already exists.", *in.UserName)
		}
		if u.PermissionsBoundary, err = s.bind(tx, nil, in.PermissionsBoundary); err != nil {
			return err
		}
		return s.users.TxPut(tx, u, account(ctx), global, fold(*in.UserName))
	})
	if err != nil {
		return nil, err
	}
	return &iamapi.CreateUserOutput{User: &u.User}, nil
}

// GetUser describes a user, or the caller.
func (s *Service) GetUser(ctx context.Context, in *iamapi.GetUserInput) (*iamapi.GetUserOutput, error) {
	name, err := ownName(ctx, in.UserName)
	if err != nil {
		return nil, err
	}
	u, err := s.user(ctx, name)
	if err != nil {
		return nil, err
	}
	return &iamapi.GetUserOutput{User: &u.User}, nil
}

// ListUsers lists users, without their tags as AWS does.
func (s *Service) ListUsers(ctx context.Context, in *iamapi.ListUsersInput) (*iamapi.ListUsersOutput, error) {
	all, err := s.users.List(ctx, account(ctx), global)
	if err != nil {
		return nil, err
	}
	var list []iamapi.User
	for _, u := range all {
		if underPath(u.Path, in.PathPrefix) {
			u.User.Tags, u.User.PermissionsBoundary = nil, nil
			list = append(list, u.User)
		}
	}
	out := &iamapi.ListUsersOutput{}
	out.Users, out.Marker, out.IsTruncated, err = page(list, func(u *iamapi.User) string { return *u.UserName }, in.Marker, in.MaxItems)
	return out, err
}

// UpdateUser renames a user or moves it to another path. Its keys and groups
// follow.
func (s *Service) UpdateUser(ctx context.Context, in *iamapi.UpdateUserInput) (*iamapi.UpdateUserOutput, error) {
	old, name := *in.UserName, *in.UserName
	if in.NewUserName != nil {
		name = *in.NewUserName
	}
	return &iamapi.UpdateUserOutput{}, s.change(ctx, func(tx *store.Tx) error {
		u, found, err := s.users.TxGet(tx, account(ctx), global, fold(old))
		if err != nil {
			return err
		}
		if !found {
			return noUser(old)
		}
		if fold(name) != fold(old) {
			_, taken, err := s.users.TxGet(tx, account(ctx), global, fold(name))
			if err != nil {
				return err
			}
			if taken {
				return iamapi.EntityAlreadyExistsException("User with name %s already exists.", name)
			}
			s.users.TxDelete(tx, account(ctx), global, fold(old))
		}
		if in.NewPath != nil {
			u.Path = in.NewPath
		}
		u.UserName, u.Arn = &name, aws.Ptr(arnOf(account(ctx), "user", *u.Path, name))
		for _, id := range u.KeyIDs {
			k, _, err := s.keys.TxGet(tx, account(ctx), global, id)
			if err != nil {
				return err
			}
			k.UserName = &name
			if err := s.keys.TxPut(tx, k, account(ctx), global, id); err != nil {
				return err
			}
		}
		return s.users.TxPut(tx, u, account(ctx), global, fold(name))
	})
}

// DeleteUser removes a user that has nothing left.
func (s *Service) DeleteUser(ctx context.Context, in *iamapi.DeleteUserInput) (*iamapi.DeleteUserOutput, error) {
	return &iamapi.DeleteUserOutput{}, s.change(ctx, func(tx *store.Tx) error {
		u, found, err := s.users.TxGet(tx, account(ctx), global, fold(*in.UserName))
		if err != nil {
			return err
		}
		if !found {
			return noUser(*in.UserName)
		}
		if err := u.mustBeEmpty(); err != nil {
			return err
		}
		switch {
		case len(u.KeyIDs) > 0:
			return iamapi.DeleteConflictException("Cannot delete entity, must delete access keys first.")
		case len(u.Groups) > 0:
			return iamapi.DeleteConflictException("Cannot delete entity, must remove users from group first.")
		}
		if err := s.unbind(tx, u.PermissionsBoundary); err != nil {
			return err
		}
		s.users.TxDelete(tx, account(ctx), global, fold(*in.UserName))
		return nil
	})
}

// AddUserToGroup adds a user to a group; twice is fine.
func (s *Service) AddUserToGroup(ctx context.Context, in *iamapi.AddUserToGroupInput) (*iamapi.AddUserToGroupOutput, error) {
	return &iamapi.AddUserToGroupOutput{}, s.changeUser(ctx, *in.UserName, func(tx *store.Tx, u *user) error {
		if _, found, err := s.groups.TxGet(tx, account(ctx), global, fold(*in.GroupName)); err != nil || !found {
			return either(err, noGroup(*in.GroupName))
		}
		if slices.Contains(u.Groups, fold(*in.GroupName)) {
			return nil
		}
		if len(u.Groups) == maxGroups {
			return iamapi.LimitExceededException("Cannot exceed quota for GroupsPerUser: %d", maxGroups)
		}
		u.Groups = append(u.Groups, fold(*in.GroupName))
		return s.countMember(tx, *in.GroupName, 1)
	})
}

// RemoveUserFromGroup takes a user out of a group.
func (s *Service) RemoveUserFromGroup(ctx context.Context, in *iamapi.RemoveUserFromGroupInput) (*iamapi.RemoveUserFromGroupOutput, error) {
	return &iamapi.RemoveUserFromGroupOutput{}, s.changeUser(ctx, *in.UserName, func(tx *store.Tx, u *user) error {
		if _, found, err := s.groups.TxGet(tx, account(ctx), global, fold(*in.GroupName)); err != nil || !found {
			return either(err, noGroup(*in.GroupName))
		}
		i := slices.Index(u.Groups, fold(*in.GroupName))
		if i < 0 {
			return iamapi.NoSuchEntityException("User %s is not in group %s.", *in.UserName, *in.GroupName)
		}
		u.Groups = slices.Delete(u.Groups, i, i+1)
		return s.countMember(tx, *in.GroupName, -1)
	})
}

// either returns the first error, or the second.
func either(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

// pathOr is a path, or "/".
func pathOr(p *string) string {
	if p == nil || *p == "" {
		return "/"
	}
	return *p
}
