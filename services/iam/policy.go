package iam

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"minato/aws"
	iamapi "minato/aws/api/iam"
	"minato/aws/arn"
	"minato/aws/policy"
	"minato/services/iam/managed"
	"minato/store"
)

// managedPolicy is the record of a customer's managed policy with its
// versions, the oldest first. Versions are numbered for ever, so Last counts
// those that were deleted too.
type managedPolicy struct {
	iamapi.Policy
	Versions []iamapi.PolicyVersion
	Last     int
}

const (
	maxVersions   = 5
	maxPolicySize = 6144
)

func noPolicy(arn string) error {
	return iamapi.NoSuchEntityException("Policy %s was not found.", arn)
}

// policyID is the key of a customer's policy: its name, folded.
func policyID(account, s string) (string, bool) {
	a, ok := arn.Parse(s)
	if !ok || a.Service != "iam" || a.Account != account || a.Kind() != "policy" {
		return "", false
	}
	return fold(a.Last()), true
}

// pathOf is the path in a policy's ARN.
func pathOf(s string) string {
	a, _ := arn.Parse(s)
	return strings.TrimSuffix(strings.TrimPrefix(a.Resource, "policy"), a.Last())
}

// policy reads a customer's policy of the caller's account.
func (s *Service) policy(ctx context.Context, arn string) (managedPolicy, error) {
	id, ok := policyID(account(ctx), arn)
	if !ok {
		return managedPolicy{}, noPolicy(arn)
	}
	p, found, err := s.policies.Get(ctx, account(ctx), global, id)
	if err == nil && (!found || aws.Val(p.Arn) != arn) {
		// IAM was asked about this ARN, so one with another path means nothing.
		err = noPolicy(arn)
	}
	return p, err
}

// changePolicy changes a customer's policy's record in a transaction.
func (s *Service) changePolicy(ctx context.Context, arn string, f func(tx *store.Tx, p *managedPolicy) error) error {
	if managed.Is(arn) {
		return aws.Errorf("AccessDenied", "Policy %s is kept by AWS and cannot be changed.", arn)
	}
	id, ok := policyID(account(ctx), arn)
	if !ok {
		return noPolicy(arn)
	}
	return s.change(ctx, func(tx *store.Tx) error {
		p, found, err := s.policies.TxGet(tx, account(ctx), global, id)
		if err != nil {
			return err
		}
		if !found || aws.Val(p.Arn) != arn {
			return noPolicy(arn)
		}
		if err := f(tx, &p); err != nil {
			return err
		}
		return s.policies.TxPut(tx, p, account(ctx), global, id)
	})
}

// checkDocument validates the document of a managed policy.
func checkDocument(document string) error {
	if _, err := policy.ParseManaged(document); err != nil {
		return err
	}
	if size(document) > maxPolicySize {
		return iamapi.LimitExceededException("Cannot exceed quota for PolicySize: %d", maxPolicySize)
	}
	return nil
}

// CreatePolicy makes a customer's managed policy.
func (s *Service) CreatePolicy(ctx context.Context, in *iamapi.CreatePolicyInput) (*iamapi.CreatePolicyOutput, error) {
	if err := checkDocument(*in.PolicyDocument); err != nil {
		return nil, err
	}
	path, now := pathOr(in.Path), s.now()
	p := managedPolicy{
		Policy: iamapi.Policy{
			PolicyName: in.PolicyName, PolicyId: uniqueID("ANPA"), Path: &path, Description: in.Description,
			Arn: aws.Ptr(arnOf(account(ctx), "policy", path, *in.PolicyName)), CreateDate: now, UpdateDate: now, DefaultVersionId: aws.Ptr("v1"),
			AttachmentCount: aws.Ptr[int32](0), PermissionsBoundaryUsageCount: aws.Ptr[int32](0), IsAttachable: aws.Ptr(true),
		},
		Versions: []iamapi.PolicyVersion{{VersionId: aws.Ptr("v1"), Document: in.PolicyDocument, CreateDate: now, IsDefaultVersion: aws.Ptr(true)}},
		Last:     1,
	}
	var err error
	if p.Tags, err = mergeTags(nil, in.Tags); err != nil {
		return nil, err
	}
	err = s.change(ctx, func(tx *store.Tx) error {
		_, found, err := s.policies.TxGet(tx, account(ctx), global, fold(*in.PolicyName))
		if err != nil {
			return err
		}
		if found {
			return iamapi.EntityAlreadyExistsException("A policy called %s already exists. Duplicate names are not allowed.", *in.PolicyName)
		}
		return s.policies.TxPut(tx, p, account(ctx), global, fold(*in.PolicyName))
	})
	if err != nil {
		return nil, err
	}
	shown := p.Policy
	shown.Description = nil // AWS does not answer with it here
	return &iamapi.CreatePolicyOutput{Policy: &shown}, nil
}

// awsPolicy shows a policy of AWS's.
func awsPolicy(p *managed.Policy, attachments, boundaries int32) iamapi.Policy {
	return iamapi.Policy{
		PolicyName: &p.Name, Arn: aws.Ptr(p.ARN()), Path: &p.Path, DefaultVersionId: &p.DefaultVersionID,
		PolicyId: aws.Ptr("ANPA" + stableID(p.Name)), CreateDate: &p.CreateDate, UpdateDate: &p.UpdateDate,
		AttachmentCount: &attachments, PermissionsBoundaryUsageCount: &boundaries, IsAttachable: aws.Ptr(true),
	}
}

// GetPolicy describes a policy, the customer's or AWS's.
func (s *Service) GetPolicy(ctx context.Context, in *iamapi.GetPolicyInput) (*iamapi.GetPolicyOutput, error) {
	if m := managed.Get(*in.PolicyArn); m != nil {
		use, err := s.usage(ctx)
		if err != nil {
			return nil, err
		}
		shown := awsPolicy(m, use.attached[m.ARN()], use.boundaries[m.ARN()])
		return &iamapi.GetPolicyOutput{Policy: &shown}, nil
	}
	p, err := s.policy(ctx, *in.PolicyArn)
	if err != nil {
		return nil, err
	}
	return &iamapi.GetPolicyOutput{Policy: &p.Policy}, nil
}

// ListPolicies lists policies by scope: the customer's, AWS's, or all.
func (s *Service) ListPolicies(ctx context.Context, in *iamapi.ListPoliciesInput) (*iamapi.ListPoliciesOutput, error) {
	use, err := s.usage(ctx)
	if err != nil {
		return nil, err
	}
	var list []iamapi.Policy
	if scope := aws.Val(in.Scope); scope != "AWS" {
		own, err := s.policies.List(ctx, account(ctx), global)
		if err != nil {
			return nil, err
		}
		for _, p := range own {
			p.Policy.Tags, p.Policy.Description = nil, nil
			list = append(list, p.Policy)
		}
	}
	if scope := aws.Val(in.Scope); scope != "Local" {
		for _, m := range managed.All() {
			list = append(list, awsPolicy(m, use.attached[m.ARN()], use.boundaries[m.ARN()]))
		}
	}
	list = slices.DeleteFunc(list, func(p iamapi.Policy) bool {
		unused := *p.AttachmentCount == 0
		if aws.Val(in.PolicyUsageFilter) == "PermissionsBoundary" {
			unused = *p.PermissionsBoundaryUsageCount == 0
		}
		return !underPath(p.Path, in.PathPrefix) || (aws.Val(in.OnlyAttached) || in.PolicyUsageFilter != nil) && unused
	})
	out := &iamapi.ListPoliciesOutput{}
	out.Policies, out.Marker, out.IsTruncated, err = page(list, func(p *iamapi.Policy) string { return *p.PolicyName + " " + *p.Arn }, in.Marker, in.MaxItems)
	return out, err
}

// DeletePolicy removes a policy that nobody uses, with its default version.
func (s *Service) DeletePolicy(ctx context.Context, in *iamapi.DeletePolicyInput) (*iamapi.DeletePolicyOutput, error) {
	id, ok := policyID(account(ctx), *in.PolicyArn)
	if !ok {
		return nil, noPolicy(*in.PolicyArn)
	}
	return &iamapi.DeletePolicyOutput{}, s.change(ctx, func(tx *store.Tx) error {
		p, found, err := s.policies.TxGet(tx, account(ctx), global, id)
		if err != nil {
			return err
		}
		switch {
		case !found || aws.Val(p.Arn) != *in.PolicyArn:
			return noPolicy(*in.PolicyArn)
		case *p.AttachmentCount > 0 || *p.PermissionsBoundaryUsageCount > 0:
			return iamapi.DeleteConflictException("Cannot delete a policy attached to entities.")
		case len(p.Versions) > 1:
			return iamapi.DeleteConflictException("This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.")
		}
		s.policies.TxDelete(tx, account(ctx), global, id)
		return nil
	})
}

// CreatePolicyVersion adds a version to a customer's policy.
func (s *Service) CreatePolicyVersion(ctx context.Context, in *iamapi.CreatePolicyVersionInput) (*iamapi.CreatePolicyVersionOutput, error) {
	if err := checkDocument(*in.PolicyDocument); err != nil {
		return nil, err
	}
	var made iamapi.PolicyVersion
	err := s.changePolicy(ctx, *in.PolicyArn, func(_ *store.Tx, p *managedPolicy) error {
		if len(p.Versions) >= maxVersions {
			return iamapi.LimitExceededException("A managed policy can have up to %d versions. Before you create a new version, you must delete an existing version.", maxVersions)
		}
		p.Last++
		made = iamapi.PolicyVersion{VersionId: aws.Ptr(fmt.Sprintf("v%d", p.Last)), Document: in.PolicyDocument, CreateDate: s.now(), IsDefaultVersion: aws.Ptr(false)}
		p.Versions = append(p.Versions, made)
		if aws.Val(in.SetAsDefault) {
			made.IsDefaultVersion = aws.Ptr(true)
			return p.setDefault(*made.VersionId, s.now())
		}
		return nil
	})
	made.Document = nil
	return &iamapi.CreatePolicyVersionOutput{PolicyVersion: &made}, err
}

// version finds a version.
func (p *managedPolicy) version(id string) (int, error) {
	for i := range p.Versions {
		if *p.Versions[i].VersionId == id {
			return i, nil
		}
	}
	return -1, iamapi.NoSuchEntityException("Policy %s version %s does not exist or is not attachable.", *p.Arn, id)
}

// setDefault makes a version the one that counts.
func (p *managedPolicy) setDefault(id string, now *time.Time) error {
	if _, err := p.version(id); err != nil {
		return err
	}
	for i := range p.Versions {
		p.Versions[i].IsDefaultVersion = aws.Ptr(*p.Versions[i].VersionId == id)
	}
	p.DefaultVersionId, p.UpdateDate = &id, now
	return nil
}

// document is the default version's.
func (p *managedPolicy) document() string {
	for _, v := range p.Versions {
		if *v.VersionId == *p.DefaultVersionId {
			return *v.Document
		}
	}
	return ""
}

// GetPolicyVersion returns a version with its document.
func (s *Service) GetPolicyVersion(ctx context.Context, in *iamapi.GetPolicyVersionInput) (*iamapi.GetPolicyVersionOutput, error) {
	if m := managed.Get(*in.PolicyArn); m != nil {
		if *in.VersionId != m.DefaultVersionID {
			return nil, iamapi.NoSuchEntityException("Policy %s version %s does not exist or is not attachable.", *in.PolicyArn, *in.VersionId)
		}
		v := awsVersion(m)
		v.Document = encode(string(m.Document))
		return &iamapi.GetPolicyVersionOutput{PolicyVersion: &v}, nil
	}
	p, err := s.policy(ctx, *in.PolicyArn)
	if err != nil {
		return nil, err
	}
	i, err := p.version(*in.VersionId)
	if err != nil {
		return nil, err
	}
	v := p.Versions[i]
	v.Document = encode(*v.Document)
	return &iamapi.GetPolicyVersionOutput{PolicyVersion: &v}, nil
}

// awsVersion is the one version that we have of a policy of AWS's.
func awsVersion(m *managed.Policy) iamapi.PolicyVersion {
	return iamapi.PolicyVersion{VersionId: &m.DefaultVersionID, IsDefaultVersion: aws.Ptr(true), CreateDate: &m.UpdateDate}
}

// ListPolicyVersions lists a policy's versions, the newest first.
func (s *Service) ListPolicyVersions(ctx context.Context, in *iamapi.ListPolicyVersionsInput) (*iamapi.ListPolicyVersionsOutput, error) {
	var list []iamapi.PolicyVersion
	if m := managed.Get(*in.PolicyArn); m != nil {
		list = []iamapi.PolicyVersion{awsVersion(m)}
	} else {
		p, err := s.policy(ctx, *in.PolicyArn)
		if err != nil {
			return nil, err
		}
		for _, v := range p.Versions {
			v.Document = nil
			list = append(list, v)
		}
	}
	var err error
	out := &iamapi.ListPolicyVersionsOutput{}
	// The newest first: the number, counted down, is the key.
	out.Versions, out.Marker, out.IsTruncated, err = page(list, func(v *iamapi.PolicyVersion) string {
		var n int
		_, _ = fmt.Sscanf(*v.VersionId, "v%d", &n) // ours: always a number
		return fmt.Sprintf("%09d", 999999999-n)
	}, in.Marker, in.MaxItems)
	return out, err
}

// SetDefaultPolicyVersion makes a version the one that counts.
func (s *Service) SetDefaultPolicyVersion(ctx context.Context, in *iamapi.SetDefaultPolicyVersionInput) (*iamapi.SetDefaultPolicyVersionOutput, error) {
	return &iamapi.SetDefaultPolicyVersionOutput{}, s.changePolicy(ctx, *in.PolicyArn, func(_ *store.Tx, p *managedPolicy) error {
		return p.setDefault(*in.VersionId, s.now())
	})
}

// DeletePolicyVersion removes a version that is not the default.
func (s *Service) DeletePolicyVersion(ctx context.Context, in *iamapi.DeletePolicyVersionInput) (*iamapi.DeletePolicyVersionOutput, error) {
	return &iamapi.DeletePolicyVersionOutput{}, s.changePolicy(ctx, *in.PolicyArn, func(_ *store.Tx, p *managedPolicy) error {
		i, err := p.version(*in.VersionId)
		if err != nil {
			return err
		}
		if *p.Versions[i].IsDefaultVersion {
			return iamapi.DeleteConflictException("Cannot delete the default version of a policy.")
		}
		p.Versions = slices.Delete(p.Versions, i, i+1)
		return nil
	})
}
