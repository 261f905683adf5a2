package iam

import (
	"context"
	"fmt"

	"minato/aws"
	iamapi "minato/aws/api/iam"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/aws/policy"
	"minato/gateway"
)

// simulation is one action on one resource.
type simulation struct {
	action, resource string
	place            string // where it was asked, which is the order of the answer
}

// SimulatePrincipalPolicy decides actions for a user or role as the gateway
// would, without doing them.
func (s *Service) SimulatePrincipalPolicy(ctx context.Context, in *iamapi.SimulatePrincipalPolicyInput) (*iamapi.SimulatePrincipalPolicyOutput, error) {
	if len(in.PolicyInputList)+len(in.PermissionsBoundaryPolicyInputList) > 0 || in.ResourceHandlingOption != nil {
		return nil, iamapi.InvalidInputException("Additional policies and resource handling options are not supported here.")
	}
	if in.ResourceOwner != nil || in.CallerArn != nil && *in.CallerArn != *in.PolicySourceArn {
		return nil, iamapi.InvalidInputException("Another owner of the resource and another caller than PolicySourceArn are not supported here.")
	}
	if in.ResourcePolicy != nil {
		if _, err := policy.Compile(*in.ResourcePolicy, policy.Resource); err != nil {
			return nil, iamapi.InvalidInputException("ResourcePolicy: %v", err).Because(err)
		}
	}
	caller, err := s.simulated(ctx, *in.PolicySourceArn)
	if err != nil {
		return nil, err
	}
	keys := map[string][]string{}
	for _, e := range in.ContextEntries {
		keys[aws.Val(e.ContextKeyName)] = e.ContextKeyValues
	}
	resources := in.ResourceArns
	if len(resources) == 0 {
		resources = []string{"*"}
	}
	var list []simulation
	for _, a := range in.ActionNames {
		for _, r := range resources {
			list = append(list, simulation{a, r, fmt.Sprintf("%06d", len(list))})
		}
	}
	out := &iamapi.SimulatePrincipalPolicyOutput{EvaluationResults: []iamapi.EvaluationResult{}}
	list, out.Marker, out.IsTruncated, err = page(list, func(x *simulation) string { return x.place }, in.Marker, in.MaxItems)
	if err != nil {
		return nil, err
	}
	for _, x := range list {
		d, err := s.Explain(ctx, caller, gateway.Check{Action: x.action, Resource: x.resource, Context: keys, ResourcePolicy: aws.Val(in.ResourcePolicy)})
		if err != nil {
			return nil, err
		}
		out.EvaluationResults = append(out.EvaluationResults, evaluation(x, d))
	}
	return out, nil
}

// simulated is the caller a simulation is about.
func (s *Service) simulated(ctx context.Context, source string) (identity.Caller, error) {
	c := identity.From(ctx)
	c.PrincipalID, c.ARN, c.SessionPolicy, c.Tags = source, source, "", nil
	a, ok := arn.Parse(source)
	if !ok || a.Account != c.Account {
		return c, iamapi.NoSuchEntityException("%s does not exist.", source)
	}
	switch a.Kind() {
	case "user":
		c.Kind = identity.User
		_, err := s.user(ctx, a.Last())
		return c, err
	case "role":
		c.Kind = identity.AssumedRole
		_, err := s.role(ctx, a.Last())
		return c, err
	}
	return c, iamapi.InvalidInputException("%s is neither a user nor a role.", source)
}

// evaluation shows a decision in the simulator's words.
func evaluation(x simulation, d policy.Decision) iamapi.EvaluationResult {
	r := iamapi.EvaluationResult{
		EvalActionName: &x.action, EvalResourceName: &x.resource, EvalDecision: aws.Ptr("implicitDeny"),
		MatchedStatements: []iamapi.Statement{}, MissingContextValues: []string{},
	}
	switch {
	case d.Allowed:
		r.EvalDecision = aws.Ptr("allowed")
	case d.Explicit:
		r.EvalDecision = aws.Ptr("explicitDeny")
	}
	if d.Policy != "" {
		r.MatchedStatements = append(r.MatchedStatements, iamapi.Statement{SourcePolicyId: aws.Ptr(lastName(d.Policy))})
		if lastName(d.Policy) == "" {
			r.MatchedStatements[0].SourcePolicyId = &d.Policy // an inline policy's name
		}
	}
	if d.Source == policy.FromBoundary {
		r.PermissionsBoundaryDecisionDetail = &iamapi.PermissionsBoundaryDecisionDetail{AllowedByPermissionsBoundary: aws.Ptr(false)}
	}
	return r
}
