package iam

import (
	"context"

	"minato/aws"
	iamapi "minato/aws/api/iam"
	"minato/store"
)

// profile is the record of an instance profile; Role is the folded name of the
// role that it holds, "" for none.
type profile struct {
	iamapi.InstanceProfile
	Role string
}

func noProfile(name string) error {
	return iamapi.NoSuchEntityException("Instance Profile %s cannot be found.", name)
}

// profile reads an instance profile of the caller's account.
func (s *Service) profile(ctx context.Context, name string) (profile, error) {
	p, found, err := s.profiles.Get(ctx, account(ctx), global, fold(name))
	if err == nil && !found {
		err = noProfile(name)
	}
	return p, err
}

// changeProfile changes an instance profile's record in a transaction.
func (s *Service) changeProfile(ctx context.Context, name string, f func(tx *store.Tx, p *profile) error) error {
	return s.change(ctx, func(tx *store.Tx) error {
		p, found, err := s.profiles.TxGet(tx, account(ctx), global, fold(name))
		if err != nil {
			return err
		}
		if !found {
			return noProfile(name)
		}
		if err := f(tx, &p); err != nil {
			return err
		}
		return s.profiles.TxPut(tx, p, account(ctx), global, fold(name))
	})
}

// shownProfile is the instance profile with its role.
func (s *Service) shownProfile(ctx context.Context, p *profile) (*iamapi.InstanceProfile, error) {
	out := p.InstanceProfile
	out.Roles = []iamapi.Role{}
	if p.Role != "" {
		r, found, err := s.roles.Get(ctx, account(ctx), global, p.Role)
		if err != nil {
			return nil, err
		}
		if found {
			out.Roles = append(out.Roles, r.listed())
		}
	}
	return &out, nil
}

// CreateInstanceProfile makes an instance profile.
func (s *Service) CreateInstanceProfile(ctx context.Context, in *iamapi.CreateInstanceProfileInput) (*iamapi.CreateInstanceProfileOutput, error) {
	path := pathOr(in.Path)
	p := profile{InstanceProfile: iamapi.InstanceProfile{
		InstanceProfileName: in.InstanceProfileName, InstanceProfileId: uniqueID("AIPA"), Path: &path, CreateDate: s.now(),
		Arn: aws.Ptr(arnOf(account(ctx), "instance-profile", path, *in.InstanceProfileName)),
	}}
	var err error
	if p.Tags, err = mergeTags(nil, in.Tags); err != nil {
		return nil, err
	}
	err = s.change(ctx, func(tx *store.Tx) error {
		_, found, err := s.profiles.TxGet(tx, account(ctx), global, fold(*in.InstanceProfileName))
		if err != nil {
			return err
		}
		if found {
			return iamapi.EntityAlreadyExistsException("Instance Profile %s already exists.", *in.InstanceProfileName)
		}
		return s.profiles.TxPut(tx, p, account(ctx), global, fold(*in.InstanceProfileName))
	})
	if err != nil {
		return nil, err
	}
	shown, err := s.shownProfile(ctx, &p)
	return &iamapi.CreateInstanceProfileOutput{InstanceProfile: shown}, err
}

// GetInstanceProfile describes an instance profile.
func (s *Service) GetInstanceProfile(ctx context.Context, in *iamapi.GetInstanceProfileInput) (*iamapi.GetInstanceProfileOutput, error) {
	p, err := s.profile(ctx, *in.InstanceProfileName)
	if err != nil {
		return nil, err
	}
	shown, err := s.shownProfile(ctx, &p)
	return &iamapi.GetInstanceProfileOutput{InstanceProfile: shown}, err
}

// listProfiles shows the instance profiles that a filter keeps.
func (s *Service) listProfiles(ctx context.Context, keep func(*profile) bool) ([]iamapi.InstanceProfile, error) {
	all, err := s.profiles.List(ctx, account(ctx), global)
	if err != nil {
		return nil, err
	}
	var list []iamapi.InstanceProfile
	for i := range all {
		if !keep(&all[i]) {
			continue
		}
		shown, err := s.shownProfile(ctx, &all[i])
		if err != nil {
			return nil, err
		}
		shown.Tags = nil
		list = append(list, *shown)
	}
	return list, nil
}

func profileName(p *iamapi.InstanceProfile) string { return *p.InstanceProfileName }

// ListInstanceProfiles lists instance profiles.
func (s *Service) ListInstanceProfiles(ctx context.Context, in *iamapi.ListInstanceProfilesInput) (*iamapi.ListInstanceProfilesOutput, error) {
	list, err := s.listProfiles(ctx, func(p *profile) bool { return underPath(p.Path, in.PathPrefix) })
	if err != nil {
		return nil, err
	}
	out := &iamapi.ListInstanceProfilesOutput{}
	out.InstanceProfiles, out.Marker, out.IsTruncated, err = page(list, profileName, in.Marker, in.MaxItems)
	return out, err
}

// ListInstanceProfilesForRole lists the instance profiles that hold a role.
func (s *Service) ListInstanceProfilesForRole(ctx context.Context, in *iamapi.ListInstanceProfilesForRoleInput) (*iamapi.ListInstanceProfilesForRoleOutput, error) {
	if _, err := s.role(ctx, *in.RoleName); err != nil {
		return nil, err
	}
	list, err := s.listProfiles(ctx, func(p *profile) bool { return p.Role == fold(*in.RoleName) })
	if err != nil {
		return nil, err
	}
	out := &iamapi.ListInstanceProfilesForRoleOutput{}
	out.InstanceProfiles, out.Marker, out.IsTruncated, err = page(list, profileName, in.Marker, in.MaxItems)
	return out, err
}

// AddRoleToInstanceProfile puts a role into an instance profile, which holds
// one at most.
func (s *Service) AddRoleToInstanceProfile(ctx context.Context, in *iamapi.AddRoleToInstanceProfileInput) (*iamapi.AddRoleToInstanceProfileOutput, error) {
	return &iamapi.AddRoleToInstanceProfileOutput{}, s.changeProfile(ctx, *in.InstanceProfileName, func(tx *store.Tx, p *profile) error {
		if p.Role != "" {
			return iamapi.LimitExceededException("Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1")
		}
		p.Role = fold(*in.RoleName)
		return s.countProfile(tx, *in.RoleName, 1)
	})
}

// RemoveRoleFromInstanceProfile takes a role out of an instance profile.
func (s *Service) RemoveRoleFromInstanceProfile(ctx context.Context, in *iamapi.RemoveRoleFromInstanceProfileInput) (*iamapi.RemoveRoleFromInstanceProfileOutput, error) {
	return &iamapi.RemoveRoleFromInstanceProfileOutput{}, s.changeProfile(ctx, *in.InstanceProfileName, func(tx *store.Tx, p *profile) error {
		if p.Role != fold(*in.RoleName) {
			return noRole(*in.RoleName)
		}
		p.Role = ""
		return s.countProfile(tx, *in.RoleName, -1)
	})
}

// countProfile keeps a role's number of instance profiles.
func (s *Service) countProfile(tx *store.Tx, name string, by int) error {
	acct := account(tx.Context())
	r, found, err := s.roles.TxGet(tx, acct, global, fold(name))
	if err != nil {
		return err
	}
	if !found {
		return noRole(name)
	}
	if r.linked() {
		return protected(name)
	}
	r.Profiles += by
	return s.roles.TxPut(tx, r, acct, global, fold(name))
}

// DeleteInstanceProfile removes an instance profile without a role.
func (s *Service) DeleteInstanceProfile(ctx context.Context, in *iamapi.DeleteInstanceProfileInput) (*iamapi.DeleteInstanceProfileOutput, error) {
	return &iamapi.DeleteInstanceProfileOutput{}, s.change(ctx, func(tx *store.Tx) error {
		p, found, err := s.profiles.TxGet(tx, account(ctx), global, fold(*in.InstanceProfileName))
		if err != nil {
			return err
		}
		if !found {
			return noProfile(*in.InstanceProfileName)
		}
		if p.Role != "" {
			return iamapi.DeleteConflictException("Cannot delete entity, must remove roles from instance profile first.")
		}
		s.profiles.TxDelete(tx, account(ctx), global, fold(*in.InstanceProfileName))
		return nil
	})
}
