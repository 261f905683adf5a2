package ssm

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"minato/aws"
	api "minato/aws/api/ssm"
	"minato/aws/identity"
	"minato/internal/ids"
	"minato/store"
)

const (
	maxStandard = 4096 // bytes of a value
	maxAdvanced = 8192
	maxVersions = 100
	tierHelp    = "For more information, see https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html"

	textType  = "text"
	imageType = "aws:ec2:image"
)

func awsError(code, message string) *aws.Error { return aws.Errorf(code, "%s", message) }

// PutParameter makes a parameter, or a new version of it.
func (s *Service) PutParameter(ctx context.Context, in *api.PutParameterInput) (*api.PutParameterOutput, error) {
	name, overwrite := aws.Val(in.Name), aws.Val(in.Overwrite)
	if err := checkPut(in); err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	p, now, by := place(ctx), s.now(), identity.From(ctx).ARN
	fresh := ids.UUID()
	var out *api.PutParameterOutput
	err := store.Update(ctx, s.Store, func(tx *store.Tx) error {
		r, found, err := s.parameters.TxGet(tx, p.Account, p.Region, name)
		if err != nil {
			return err
		}
		if found && !overwrite {
			return api.ParameterAlreadyExists("The parameter already exists. To overwrite this value, set the overwrite option in the request to true.")
		}
		if !found {
			r = parameter{ID: fresh, Name: name, Oldest: 1, Tags: mergeTags(nil, in.Tags)}
		}
		v, err := s.next(&r, in)
		if err != nil {
			return err
		}
		v.At, v.By = now, by
		if v.Number-r.Oldest >= maxVersions {
			if l := labelsOf(&r, r.Oldest); len(l) > 0 {
				return api.ParameterMaxVersionLimitExceeded("You attempted to create a new version of %s by calling the PutParameter API with the overwrite flag. Version %d, the oldest version, can't be deleted because it has a label associated with it. Move the label to another version of the parameter, and try again.", name, r.Oldest)
			}
			s.versions.TxDelete(tx, p.Account, p.Region, r.ID, number(r.Oldest))
			r.Oldest++
		}
		r.Newest = v
		out = &api.PutParameterOutput{Version: &v.Number, Tier: &v.Tier}
		if err := s.versions.TxPut(tx, v, p.Account, p.Region, r.ID, number(v.Number)); err != nil {
			return err
		}
		return s.parameters.TxPut(tx, r, p.Account, p.Region, name)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// number is a version's part of its key; keys sort as numbers do.
func number(n int64) string { return fmt.Sprintf("%010d", n) }

// checkPut checks what needs no look at what is there.
func checkPut(in *api.PutParameterInput) error {
	if err := checkName(aws.Val(in.Name)); err != nil {
		return err
	}
	switch dataType := aws.Val(in.DataType); {
	case aws.Val(in.Overwrite) && len(in.Tags) > 0:
		return invalid("Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or RemoveTagsFromResource.")
	case aws.Val(in.Value) == "":
		return invalid("1 validation error detected: Value '' at 'value' failed to satisfy constraint: Member must have length greater than or equal to 1.")
	case dataType != "" && dataType != textType && dataType != imageType:
		return invalid("The following data type is not supported: %s (Data type names are all lowercase.)", dataType)
	case dataType == imageType && aws.Val(in.Type) != "" && *in.Type != api.ParameterTypeString:
		return invalid("The data type aws:ec2:image can be used with the type String only.")
	case strings.HasPrefix(aws.Val(in.Value), "{{") && strings.HasSuffix(aws.Val(in.Value), "}}"):
		return invalid("Parameter value can't nest another parameter. Do not use \"{{}}\" in the value.")
	case in.Policies != nil && strings.Trim(*in.Policies, " []{}\n") != "":
		return api.InvalidPolicyTypeException("Parameter policies are not supported by minato (Policies).")
	}
	if key := aws.Val(in.KeyId); key != "" && key != "alias/aws/ssm" && !strings.HasSuffix(key, ":alias/aws/ssm") {
		return api.InvalidKeyId("Invalid keyId %s", key)
	}
	if in.AllowedPattern != nil {
		if _, err := regexp.Compile(*in.AllowedPattern); err != nil {
			return api.InvalidAllowedPatternException("The regular expression of AllowedPattern isn't valid: %s", *in.AllowedPattern).Because(err)
		}
	}
	return nil
}

// next is a parameter's next version as a request wants it; what it does not
// say stays as it was.
func (s *Service) next(r *parameter, in *api.PutParameterInput) (version, error) {
	old := r.Newest
	v := version{Number: old.Number + 1, Type: old.Type, DataType: old.DataType, About: old.About, Pattern: in.AllowedPattern, Tier: old.Tier}
	if in.Type != nil {
		v.Type = *in.Type
	}
	if v.Type == "" {
		return v, invalid("A parameter type is required when you create a parameter.")
	}
	if in.DataType != nil && *in.DataType != "" {
		v.DataType = *in.DataType
	}
	if v.DataType == "" {
		v.DataType = textType
	}
	if in.Description != nil {
		v.About = in.Description
	}
	value := *in.Value
	if err := checkValue(&v, value); err != nil {
		return v, err
	}
	if err := tier(&v, value, aws.Val(in.Tier)); err != nil {
		return v, err
	}
	if v.Type != api.ParameterTypeSecureString {
		v.Value = value
		return v, nil
	}
	v.KeyID = aws.Ptr("alias/aws/ssm")
	v.Sealed = s.Seal.Seal([]byte(value), sealName(r, v.Number))
	return v, nil
}

func sealName(r *parameter, n int64) string { return "ssm " + r.ID + " " + number(n) }

var imageForm = regexp.MustCompile(`^ami-[0-9a-f]{8}(?:[0-9a-f]{9})?$`)

func checkValue(v *version, value string) error {
	if v.DataType == imageType && !imageForm.MatchString(value) {
		return invalid("Parameter value %q doesn't have the format of the data type aws:ec2:image: ami-12345abcdeEXAMPLE.", value)
	}
	if p := aws.Val(v.Pattern); p != "" {
		parts := []string{value}
		if v.Type == api.ParameterTypeStringList {
			parts = strings.Split(value, ",")
		}
		// The pattern has been compiled before. As in Java's find, it need not
		// match the whole value.
		re := regexp.MustCompile(p)
		for _, part := range parts {
			if !re.MatchString(part) {
				return api.ParameterPatternMismatchException("Parameter value, cannot be validated against allowedPattern: %s", p)
			}
		}
	}
	if v.Type == api.ParameterTypeStringList && !utf8.ValidString(value) {
		return invalid("Parameter value isn't valid text.")
	}
	return nil
}

// tier finds a version's tier: what is asked for, or what the value needs. A
// parameter never comes back from Advanced.
func tier(v *version, value, asked string) error {
	was := v.Tier
	switch asked {
	case api.ParameterTierStandard:
		if was == api.ParameterTierAdvanced {
			return invalid("This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the advanced-parameter tier to the standard-parameter tier. If necessary, you can delete the advanced parameter and recreate it as a standard parameter.")
		}
		v.Tier = api.ParameterTierStandard
	case api.ParameterTierAdvanced:
		v.Tier = api.ParameterTierAdvanced
	case api.ParameterTierIntelligentTiering:
		v.Tier = api.ParameterTierStandard
		if was == api.ParameterTierAdvanced || len(value) > maxStandard {
			v.Tier = api.ParameterTierAdvanced
		}
	default:
		if was == "" {
			v.Tier = api.ParameterTierStandard
		}
	}
	switch {
	case v.Tier == api.ParameterTierStandard && len(value) > maxStandard:
		return invalid("Standard tier parameters support a maximum parameter value of %d characters. To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier. %s", maxStandard, tierHelp)
	case len(value) > maxAdvanced:
		return invalid("Advanced tier parameters support a maximum parameter value of %d characters. %s", maxAdvanced, tierHelp)
	}
	return nil
}

// DeleteParameter removes a parameter with all its versions.
func (s *Service) DeleteParameter(ctx context.Context, in *api.DeleteParameterInput) (*api.DeleteParameterOutput, error) {
	found, err := s.remove(ctx, *in.Name)
	if err == nil && !found {
		err = notFound(*in.Name)
	}
	if err != nil {
		return nil, err
	}
	return &api.DeleteParameterOutput{}, nil
}

// DeleteParameters removes several parameters and says which were not there.
func (s *Service) DeleteParameters(ctx context.Context, in *api.DeleteParametersInput) (*api.DeleteParametersOutput, error) {
	out := &api.DeleteParametersOutput{DeletedParameters: []string{}, InvalidParameters: []string{}}
	for _, name := range in.Names {
		found, err := s.remove(ctx, name)
		switch {
		case err != nil:
			return nil, err
		case found:
			out.DeletedParameters = append(out.DeletedParameters, name)
		default:
			out.InvalidParameters = append(out.InvalidParameters, name)
		}
	}
	return out, nil
}

// remove deletes a parameter and its versions in one transaction: there are at
// most as many as one takes.
func (s *Service) remove(ctx context.Context, name string) (found bool, err error) {
	r, ok, err := s.find(ctx, name)
	if err != nil || !ok {
		return false, err
	}
	p := place(ctx)
	err = store.Update(ctx, s.Store, func(tx *store.Tx) error {
		now, ok, err := s.parameters.TxGet(tx, p.Account, p.Region, r.Name)
		if found = ok; err != nil || !ok {
			return err
		}
		s.parameters.TxDelete(tx, p.Account, p.Region, now.Name)
		for n := now.Oldest; n <= now.Newest.Number; n++ {
			s.versions.TxDelete(tx, p.Account, p.Region, now.ID, number(n))
		}
		return nil
	})
	return found, err
}
