package ecs

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/aws/arn"
	"minato/aws/identity"
)

// setting is an account setting, what it is unless set, and what else it may be.
type setting struct{ name, value, others string }

// accountSettings are the account settings. The long formats of ARNs have been
// the only ones since 2021.
var accountSettings = []setting{
	{"awsvpcTrunking", "disabled", "enabled"},
	{"containerInsights", "disabled", "enabled enhanced"},
	{"containerInstanceLongArnFormat", "enabled", ""},
	{"defaultLogDriverMode", "non-blocking", "blocking"},
	{"fargateFIPSMode", "disabled", "enabled"},
	{"fargateTaskRetirementWaitPeriod", "7", "0 14"},
	{"guardDutyActivate", "off", "on"},
	{"serviceLongArnFormat", "enabled", ""},
	{"tagResourceAuthorization", "off", "on"},
	{"taskLongArnFormat", "enabled", ""},
}

// rootOf is the principal under which the account's default settings stand.
func rootOf(p arn.Place) string { return arn.In("", p.Account).Of("iam", "root") }

// PutAccountSetting sets one for the caller, or for the principal named.
func (s *Service) PutAccountSetting(ctx context.Context, in *ecsapi.PutAccountSettingInput) (*ecsapi.PutAccountSettingOutput, error) {
	principal := aws.Val(in.PrincipalArn)
	if principal == "" {
		principal = identity.From(ctx).PrincipalID
	}
	set, err := s.putSetting(ctx, principal, *in.Name, *in.Value)
	return &ecsapi.PutAccountSettingOutput{Setting: set}, err
}

// PutAccountSettingDefault sets one for everybody in the account.
func (s *Service) PutAccountSettingDefault(ctx context.Context, in *ecsapi.PutAccountSettingDefaultInput) (*ecsapi.PutAccountSettingDefaultOutput, error) {
	set, err := s.putSetting(ctx, rootOf(at(ctx)), *in.Name, *in.Value)
	return &ecsapi.PutAccountSettingDefaultOutput{Setting: set}, err
}

func (s *Service) putSetting(ctx context.Context, principal, name, value string) (*ecsapi.Setting, error) {
	i := slices.IndexFunc(accountSettings, func(a setting) bool { return a.name == name })
	if i < 0 {
		return nil, notServed("the account setting " + name)
	}
	if a := accountSettings[i]; value != a.value && !slices.Contains(strings.Fields(a.others), value) {
		return nil, invalid("Invalid value '%s' for the account setting %s. Valid values are: %s.", value, name, strings.Join(append([]string{a.value}, strings.Fields(a.others)...), ", "))
	}
	p := at(ctx)
	set := ecsapi.Setting{Name: &name, Value: &value, PrincipalArn: &principal, Type: aws.Ptr("user")}
	return &set, s.settings.Put(ctx, set, p.Account, p.Region, principal, name)
}

// DeleteAccountSetting forgets what was set for the caller, or for the principal
// named: the account's default holds again.
func (s *Service) DeleteAccountSetting(ctx context.Context, in *ecsapi.DeleteAccountSettingInput) (*ecsapi.DeleteAccountSettingOutput, error) {
	p, principal := at(ctx), cmp.Or(aws.Val(in.PrincipalArn), identity.From(ctx).PrincipalID)
	set, found, err := s.settings.Get(ctx, p.Account, p.Region, principal, *in.Name)
	if err == nil && found {
		err = s.settings.Delete(ctx, p.Account, p.Region, principal, *in.Name)
	} else {
		set = ecsapi.Setting{Name: in.Name, PrincipalArn: &principal}
	}
	return &ecsapi.DeleteAccountSettingOutput{Setting: &set}, err
}

// ListAccountSettings lists what was set, or with effectiveSettings what holds.
func (s *Service) ListAccountSettings(ctx context.Context, in *ecsapi.ListAccountSettingsInput) (*ecsapi.ListAccountSettingsOutput, error) {
	p := at(ctx)
	principal := aws.Val(in.PrincipalArn)
	if principal == "" {
		principal = identity.From(ctx).PrincipalID
	}
	out := &ecsapi.ListAccountSettingsOutput{Settings: []ecsapi.Setting{}}
	for _, a := range accountSettings {
		if in.Name != nil && *in.Name != a.name {
			continue
		}
		set, found, err := s.settingOf(ctx, p, principal, a.name)
		if err != nil {
			return nil, err
		}
		if !found {
			if !aws.Val(in.EffectiveSettings) {
				continue
			}
			set = ecsapi.Setting{Name: aws.Ptr(a.name), Value: aws.Ptr(a.value), PrincipalArn: &principal, Type: aws.Ptr("user")}
		}
		if in.Value == nil || *in.Value == aws.Val(set.Value) {
			out.Settings = append(out.Settings, set)
		}
	}
	return out, nil
}

// settingOf is what was set for a principal or, without that, for everybody in the
// account.
func (s *Service) settingOf(ctx context.Context, p arn.Place, principal, name string) (set ecsapi.Setting, found bool, err error) {
	for _, of := range []string{principal, rootOf(p)} {
		if set, found, err = s.settings.Get(ctx, p.Account, p.Region, of, name); err != nil || found {
			return set, found, err
		}
	}
	return set, false, nil
}

// accountSetting is what a setting is for a principal; for what ECS does by itself
// it is the account's.
func (s *Service) accountSetting(ctx context.Context, p arn.Place, principal, name string) string {
	if set, found, err := s.settingOf(ctx, p, principal, name); err == nil && found {
		return aws.Val(set.Value)
	}
	for _, a := range accountSettings {
		if a.name == name {
			return a.value
		}
	}
	return ""
}
