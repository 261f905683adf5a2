package ssm

import (
	"context"
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"minato/aws"
	api "minato/aws/api/ssm"
)

// GetParameter returns a parameter: its newest version, or the one that a
// selector names.
func (s *Service) GetParameter(ctx context.Context, in *api.GetParameterInput) (*api.GetParameterOutput, error) {
	p, err := s.get(ctx, *in.Name, aws.Val(in.WithDecryption))
	if err != nil {
		return nil, err
	}
	return &api.GetParameterOutput{Parameter: p}, nil
}

// GetParameters returns several parameters and says which were not there.
func (s *Service) GetParameters(ctx context.Context, in *api.GetParametersInput) (*api.GetParametersOutput, error) {
	out := &api.GetParametersOutput{Parameters: []api.Parameter{}, InvalidParameters: []string{}}
	names := slices.Clone(in.Names)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		p, err := s.get(ctx, name, aws.Val(in.WithDecryption))
		switch {
		case err == nil:
			out.Parameters = append(out.Parameters, *p)
		case aws.IsCode(err, "ParameterNotFound"), aws.IsCode(err, "ParameterVersionNotFound"):
			out.InvalidParameters = append(out.InvalidParameters, name)
		default:
			return nil, err
		}
	}
	return out, nil
}

// get finds what a name, with or without selector, names.
func (s *Service) get(ctx context.Context, text string, decrypt bool) (*api.Parameter, error) {
	name, selector := split(text)
	if secret, ok := strings.CutPrefix(name, referencePrefix); ok {
		return s.reference(ctx, secret, selector, decrypt)
	}
	if strings.HasPrefix(name, publicPrefix) {
		return s.public(ctx, name, selector)
	}
	r, found, err := s.find(ctx, name)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, notFound(name)
	}
	v := r.Newest
	if selector != "" {
		if v, err = s.pick(ctx, &r, selector); err != nil {
			return nil, err
		}
	}
	out, err := s.shown(ctx, &r, &v, decrypt)
	if err == nil && selector != "" {
		out.Selector = aws.Ptr(":" + selector)
	}
	return out, err
}

// pick finds the version that a number or label names.
func (s *Service) pick(ctx context.Context, r *parameter, selector string) (version, error) {
	n, err := strconv.ParseInt(selector, 10, 64)
	if err != nil {
		var ok bool
		if n, ok = r.Labels[selector]; !ok {
			return version{}, api.ParameterVersionNotFound("Systems Manager could not find label %s of %s. Verify the label and try again.", selector, r.Name)
		}
	}
	v, found, err := s.version(ctx, r, n)
	if err == nil && !found {
		err = noVersion(n, r.Name)
	}
	return v, err
}

func noVersion(n int64, name string) error {
	return api.ParameterVersionNotFound("Systems Manager could not find version %d of %s. Verify the version and try again.", n, name)
}

func (s *Service) version(ctx context.Context, r *parameter, n int64) (version, bool, error) {
	p := place(ctx)
	if n <= 0 || n > r.Newest.Number {
		return version{}, false, nil
	}
	v, found, err := s.versions.Get(ctx, p.Account, p.Region, r.ID, number(n))
	if err != nil {
		err = aws.Internal(err)
	}
	return v, found, err
}

// value is a version's value; of a SecureString that is not to be decrypted,
// the encrypted one.
func (s *Service) value(r *parameter, v *version, decrypt bool) (*string, error) {
	switch {
	case v.Type != api.ParameterTypeSecureString:
		return &v.Value, nil
	case !decrypt:
		return aws.Ptr(base64.StdEncoding.EncodeToString(v.Sealed)), nil
	}
	b, err := s.Seal.Open(v.Sealed, sealName(r, v.Number))
	if err != nil {
		return nil, api.InvalidKeyId("The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.").Because(err)
	}
	return aws.Ptr(string(b)), nil
}

// shown is a version as the operations that return values show it.
func (s *Service) shown(ctx context.Context, r *parameter, v *version, decrypt bool) (*api.Parameter, error) {
	value, err := s.value(r, v, decrypt)
	if err != nil {
		return nil, err
	}
	return &api.Parameter{
		ARN: aws.Ptr(place(ctx).Parameter(r.Name)), Name: &r.Name, Type: &v.Type, Value: value, Version: &v.Number, DataType: &v.DataType, LastModifiedDate: &v.At,
	}, nil
}
