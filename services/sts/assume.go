package sts

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"minato/aws"
	iamapi "minato/aws/api/iam"
	stsapi "minato/aws/api/sts"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/aws/policy"
	"minato/gateway"
)

const (
	defaultLength = time.Hour // of a role's session
	chainedLength = time.Hour // the longest when a role assumes a role
	maxPolicy     = 2048      // characters of the session policies together
	principalName = "sts.amazonaws.com"
)

// role reads a role as STS, in the role's own account.
func (s *Service) role(ctx context.Context, roleARN string) (*iamapi.Role, error) {
	a, ok := arn.Parse(roleARN)
	if !ok || a.Service != "iam" || a.Kind() != "role" {
		return nil, aws.Errorf("ValidationError", "%s is invalid", roleARN)
	}
	out, err := s.iam.GetRole(s.asSTS(ctx, a.Account), &iamapi.GetRoleInput{RoleName: aws.Ptr(a.Last())})
	if err != nil {
		return nil, err
	}
	if aws.Val(out.Role.Arn) != roleARN {
		return nil, iamapi.NoSuchEntityException("The role with name %s cannot be found.", a.Last())
	}
	return out.Role, nil
}

// asSTS is ctx for calls that STS makes for itself.
func (s *Service) asSTS(ctx context.Context, account string) context.Context {
	return identity.With(ctx, identity.ServiceCaller(principalName, account, identity.From(ctx).Region))
}

// checks hands the role's trust policy to IAM's decision. A role that does not
// exist trusts nobody: the answer does not tell the two apart, as on AWS.
func (s *Service) checks(ctx context.Context, op *aws.Operation, in any) []gateway.Check {
	c := gateway.Check{Action: op.Action(), Resource: "*"}
	assume, ok := in.(*stsapi.AssumeRoleInput)
	if !ok {
		return []gateway.Check{c}
	}
	c.Resource, c.Trust = aws.Val(assume.RoleArn), true
	if role, err := s.role(ctx, c.Resource); err == nil {
		// IAM encodes documents by RFC 3986; what it stored it encoded.
		c.ResourcePolicy, _ = url.PathUnescape(aws.Val(role.AssumeRolePolicyDocument))
	} else {
		s.log.Debug("a role to assume was not read", "role", c.Resource, "error", err)
	}
	c.Context = map[string][]string{"sts:RoleSessionName": {aws.Val(assume.RoleSessionName)}}
	if assume.ExternalId != nil {
		c.Context["sts:ExternalId"] = []string{*assume.ExternalId}
	}
	if assume.SourceIdentity != nil {
		c.Context["sts:SourceIdentity"] = []string{*assume.SourceIdentity}
	}
	var keys []string
	for _, t := range assume.Tags {
		c.Context["aws:RequestTag/"+aws.Val(t.Key)] = []string{aws.Val(t.Value)}
		keys = append(keys, aws.Val(t.Key))
	}
	if keys == nil {
		return []gateway.Check{c}
	}
	c.Context["aws:TagKeys"] = keys
	tag := c
	tag.Action = "sts:TagSession"
	return []gateway.Check{c, tag}
}

// AssumeRole makes a session of a role. That the caller may have it was decided
// before; see checks.
func (s *Service) AssumeRole(ctx context.Context, in *stsapi.AssumeRoleInput) (*stsapi.AssumeRoleOutput, error) {
	if in.SerialNumber != nil || in.TokenCode != nil {
		return nil, aws.Errorf("AccessDenied", "MultiFactorAuthentication failed with invalid MFA one time pass code.")
	}
	role, err := s.role(ctx, *in.RoleArn)
	if err != nil {
		return nil, err
	}
	caller := identity.From(ctx)
	length, err := sessionLength(caller, role, in.DurationSeconds)
	if err != nil {
		return nil, err
	}
	a, _ := arn.Parse(*role.Arn)
	documents, err := s.sessionPolicies(ctx, a.Account, in)
	if err != nil {
		return nil, err
	}
	total := 0
	for _, d := range documents {
		total += len(d)
	}
	if total > maxPolicy {
		return nil, stsapi.PackedPolicyTooLargeException("Packed policy consumes %d%% of allotted space, please use smaller policy.", total*100/maxPolicy)
	}
	merged, err := mergePolicies(documents)
	if err != nil {
		return nil, err
	}
	tags := map[string]string{}
	for _, t := range in.Tags {
		tags[aws.Val(t.Key)] = aws.Val(t.Value)
	}
	session := identity.Caller{
		Kind: identity.AssumedRole, Account: a.Account, Partition: a.Partition, PrincipalID: *role.Arn,
		ARN:    arn.In("", a.Account).AssumedRole(*role.RoleName, *in.RoleSessionName),
		UserID: *role.RoleId + ":" + *in.RoleSessionName, Tags: tags, SessionPolicy: merged,
	}
	keys, err := s.issue(ctx, session, length)
	if err != nil {
		return nil, err
	}
	out := &stsapi.AssumeRoleOutput{
		AssumedRoleUser: &stsapi.AssumedRoleUser{Arn: &session.ARN, AssumedRoleId: &session.UserID},
		Credentials:     keys, SourceIdentity: in.SourceIdentity,
	}
	if len(documents) > 0 {
		out.PackedPolicySize = aws.Ptr(int32(total * 100 / maxPolicy))
	}
	return out, nil
}

// sessionLength is how long a session may be.
func sessionLength(caller identity.Caller, role *iamapi.Role, asked *int32) (time.Duration, error) {
	if asked == nil {
		return defaultLength, nil
	}
	length := time.Duration(*asked) * time.Second
	if caller.Kind == identity.AssumedRole && length > chainedLength {
		return 0, aws.Errorf("ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
	}
	if length > time.Duration(aws.Val(role.MaxSessionDuration))*time.Second {
		return 0, aws.Errorf("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	return length, nil
}

// sessionPolicies are the documents that bound a session: the one given, and
// those of the managed policies named.
func (s *Service) sessionPolicies(ctx context.Context, account string, in *stsapi.AssumeRoleInput) ([]string, error) {
	var out []string
	if in.Policy != nil {
		if _, err := policy.Parse(*in.Policy, policy.Identity); err != nil {
			return nil, err
		}
		out = append(out, *in.Policy)
	}
	ctx = s.asSTS(ctx, account)
	for _, p := range in.PolicyArns {
		got, err := s.iam.GetPolicy(ctx, &iamapi.GetPolicyInput{PolicyArn: p.Arn})
		if err != nil {
			return nil, err
		}
		v, err := s.iam.GetPolicyVersion(ctx, &iamapi.GetPolicyVersionInput{PolicyArn: p.Arn, VersionId: got.Policy.DefaultVersionId})
		if err != nil {
			return nil, err
		}
		document, err := url.PathUnescape(aws.Val(v.PolicyVersion.Document))
		if err != nil {
			return nil, aws.Internal(fmt.Errorf("the document of %s: %w", aws.Val(p.Arn), err))
		}
		out = append(out, document)
	}
	return out, nil
}

// mergePolicies puts the statements of several documents into one: session
// policies bound together what a session may do. Sids are left out, as they
// need not differ between documents.
func mergePolicies(documents []string) (string, error) {
	if len(documents) == 0 {
		return "", nil
	}
	var all []map[string]json.RawMessage
	for _, d := range documents {
		var doc struct{ Statement json.RawMessage }
		if err := json.Unmarshal([]byte(d), &doc); err != nil {
			return "", aws.Internal(err) // parsed before
		}
		raw := bytes.TrimSpace(doc.Statement)
		if len(raw) > 0 && raw[0] == '{' {
			raw = append(append([]byte{'['}, raw...), ']')
		}
		var list []map[string]json.RawMessage
		if err := json.Unmarshal(raw, &list); err != nil {
			return "", aws.Internal(err)
		}
		for _, st := range list {
			delete(st, "Sid")
			all = append(all, st)
		}
	}
	b, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": all})
	if err != nil {
		return "", aws.Internal(err)
	}
	return string(b), nil
}
