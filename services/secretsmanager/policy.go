package secretsmanager

import (
	"context"
	"encoding/json"
	"strings"

	"minato/aws"
	api "minato/aws/api/secretsmanager"
	"minato/aws/arn"
	"minato/aws/policy"
	"minato/store"
)

// PutResourcePolicy gives a secret its policy.
func (s *Service) PutResourcePolicy(ctx context.Context, in *api.PutResourcePolicyInput) (*api.PutResourcePolicyOutput, error) {
	text := aws.Val(in.ResourcePolicy)
	if err := malformed(text); err != nil {
		return nil, err
	}
	if aws.Val(in.BlockPublicPolicy) && policy.Public(text) {
		return nil, api.PublicPolicyException("You can't attach a resource policy that allows broad access to the secret.")
	}
	r, err := s.changeActive(ctx, in.SecretId, func(_ *store.Tx, _ arn.Place, r *secret) error {
		r.Policy = text
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.PutResourcePolicyOutput{ARN: r.ARN, Name: r.Name}, nil
}

// GetResourcePolicy returns a secret's policy, if it has one.
func (s *Service) GetResourcePolicy(ctx context.Context, in *api.GetResourcePolicyInput) (*api.GetResourcePolicyOutput, error) {
	_, r, err := s.findActive(ctx, in.SecretId)
	if err != nil {
		return nil, err
	}
	out := &api.GetResourcePolicyOutput{ARN: r.ARN, Name: r.Name}
	if r.Policy != "" {
		out.ResourcePolicy = &r.Policy
	}
	return out, nil
}

// DeleteResourcePolicy takes a secret's policy.
func (s *Service) DeleteResourcePolicy(ctx context.Context, in *api.DeleteResourcePolicyInput) (*api.DeleteResourcePolicyOutput, error) {
	r, err := s.changeActive(ctx, in.SecretId, func(_ *store.Tx, _ arn.Place, r *secret) error {
		r.Policy = ""
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteResourcePolicyOutput{ARN: r.ARN, Name: r.Name}, nil
}

// ValidateResourcePolicy says what is wrong with a policy.
func (s *Service) ValidateResourcePolicy(ctx context.Context, in *api.ValidateResourcePolicyInput) (*api.ValidateResourcePolicyOutput, error) {
	if in.SecretId != nil {
		if _, _, err := s.findActive(ctx, in.SecretId); err != nil {
			return nil, err
		}
	}
	text := aws.Val(in.ResourcePolicy)
	if err := malformed(text); err != nil {
		return nil, err
	}
	out := &api.ValidateResourcePolicyOutput{PolicyValidationPassed: aws.Ptr(true), ValidationErrors: []api.ValidationErrorsEntry{}}
	if policy.Public(text) {
		out.PolicyValidationPassed = aws.Ptr(false)
		out.ValidationErrors = append(out.ValidationErrors, api.ValidationErrorsEntry{
			CheckName: aws.Ptr("PUBLIC_POLICY_CHECK"), ErrorMessage: aws.Ptr("This resource policy grants broad access to the secret."),
		})
	}
	return out, nil
}

// malformed says why a text is no policy of a secret.
func malformed(text string) error {
	if _, err := policy.Parse(text, policy.Resource); err != nil {
		words := "This resource policy contains a syntax error."
		switch {
		case !json.Valid([]byte(text)):
			words = "This resource policy contains invalid Json."
		case strings.HasPrefix(aws.AsError(err).Message, "Invalid principal"):
			words = "This resource policy contains an unsupported principal."
		}
		return api.MalformedPolicyDocumentException("%s", words).Because(err)
	}
	return nil
}
