package secretsmanager

import (
	"context"
	"encoding/json"
	"slices"
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
	if aws.Val(in.BlockPublicPolicy) && public(text) {
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
	if public(text) {
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

// narrowing are the condition keys that keep a statement for everyone from
// being public, as AWS's check for public policies has them.
var narrowing = []string{
	"aws:principalaccount", "aws:principalarn", "aws:principalorgid", "aws:principalorgpaths", "aws:sourcearn", "aws:sourceaccount", "aws:sourceowner",
	"aws:sourcevpc", "aws:sourcevpce", "aws:userid", "aws:sourceip", "aws:vpcsourceip", "kms:calleraccount", "secretsmanager:resource/allowrotationlambdaarn",
}

// public tells whether a policy lets everyone do something. The text parses.
func public(text string) bool {
	var doc struct{ Statement json.RawMessage }
	if json.Unmarshal([]byte(text), &doc) != nil {
		return false
	}
	type statement struct {
		Effect    string
		Principal json.RawMessage
		Condition map[string]map[string]any
	}
	var list []statement
	if json.Unmarshal(doc.Statement, &list) != nil {
		var one statement
		if json.Unmarshal(doc.Statement, &one) != nil {
			return false
		}
		list = []statement{one}
	}
	return slices.ContainsFunc(list, func(st statement) bool {
		if st.Effect != "Allow" || !everyone(st.Principal) {
			return false
		}
		for operator, keys := range st.Condition {
			for key := range keys {
				if slices.Contains(narrowing, strings.ToLower(key)) && !strings.Contains(strings.ToLower(operator), "not") {
					return false
				}
			}
		}
		return true
	})
}

// everyone tells whether a Principal element is, or holds, a star.
func everyone(raw json.RawMessage) bool {
	var v any
	if len(raw) == 0 || json.Unmarshal(raw, &v) != nil {
		return len(raw) == 0 // NotPrincipal: everyone but some
	}
	var star func(v any) bool
	star = func(v any) bool {
		switch v := v.(type) {
		case string:
			return v == "*"
		case []any:
			return slices.ContainsFunc(v, star)
		case map[string]any:
			return star(v["AWS"])
		}
		return false
	}
	return star(v)
}
