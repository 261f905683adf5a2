package ec2

import (
	"context"
	"errors"
	"time"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	iamapi "minato/aws/api/iam"
	stsapi "minato/aws/api/sts"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/gateway"
	"minato/gateway/metadata"
	"minato/internal/ids"
	"minato/services/ec2/listing"
)

// principal is the service that instance roles trust.
const principal = "ec2.amazonaws.com"

// self is ctx for calls that EC2 makes for itself.
func self(ctx context.Context, account, region string) context.Context {
	return identity.With(ctx, identity.ServiceCaller(principal, account, region))
}

// readProfile asks IAM for an instance profile, as EC2.
func (s *Service) readProfile(ctx context.Context, spec *ec2api.IamInstanceProfileSpecification) (*iamapi.InstanceProfile, error) {
	if s.IAM == nil {
		return nil, errors.New("ec2: built without IAM")
	}
	p := at(ctx)
	name := aws.Val(spec.Name)
	if spec.Arn != nil {
		a, ok := arn.Parse(*spec.Arn)
		if !ok || a.Service != "iam" || a.Kind() != "instance-profile" || a.Account != p.account {
			return nil, aws.Errorf("InvalidParameterValue", "Value (%s) for parameter iamInstanceProfile.arn is invalid. Invalid IAM Instance Profile ARN", *spec.Arn)
		}
		name = a.Last()
	}
	out, err := s.IAM.GetInstanceProfile(self(ctx, p.account, p.region), &iamapi.GetInstanceProfileInput{InstanceProfileName: &name})
	if aws.IsCode(err, "NoSuchEntity") || err == nil && spec.Arn != nil && aws.Val(out.InstanceProfile.Arn) != *spec.Arn {
		return nil, aws.Errorf("InvalidParameterValue", "Value (%s) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name", name)
	}
	if err != nil {
		return nil, err
	}
	return out.InstanceProfile, nil
}

// findProfile is the profile of a launch or an association.
func (s *Service) findProfile(ctx context.Context, spec *ec2api.IamInstanceProfileSpecification) (*ec2api.IamInstanceProfile, error) {
	if spec == nil || spec.Name == nil && spec.Arn == nil {
		return nil, aws.Errorf("MissingParameter", "The request must contain the parameter iamInstanceProfile")
	}
	p, err := s.readProfile(ctx, spec)
	if err != nil {
		return nil, err
	}
	return &ec2api.IamInstanceProfile{Arn: p.Arn, Id: p.InstanceProfileId}, nil
}

// passRole asks IAM whether the caller may pass the role in a profile to EC2. A
// profile that is not there is the handler's to refuse.
func (s *Service) passRole(ctx context.Context, spec *ec2api.IamInstanceProfileSpecification) []gateway.Check {
	if spec == nil || spec.Name == nil && spec.Arn == nil {
		return nil
	}
	p, err := s.readProfile(ctx, spec)
	if err != nil || len(p.Roles) == 0 {
		return nil
	}
	return []gateway.Check{{Action: "iam:PassRole", Resource: aws.Val(p.Roles[0].Arn), Context: map[string][]string{"iam:PassedToService": {principal}}}}
}

func (r *instanceRecord) setProfile(p *ec2api.IamInstanceProfile, now *time.Time) {
	r.IamInstanceProfile, r.AssociationID, r.Associated = p, ids.EC2("iip-assoc"), now
}

func (r *instanceRecord) association(state string) ec2api.IamInstanceProfileAssociation {
	return ec2api.IamInstanceProfileAssociation{
		AssociationId: aws.Ptr(r.AssociationID), IamInstanceProfile: r.IamInstanceProfile, InstanceId: r.InstanceId, State: &state, Timestamp: r.Associated,
	}
}

// AssociateIamInstanceProfile gives an instance without a profile one.
func (s *Service) AssociateIamInstanceProfile(ctx context.Context, in *ec2api.AssociateIamInstanceProfileInput) (*ec2api.AssociateIamInstanceProfileOutput, error) {
	profile, err := s.findProfile(ctx, in.IamInstanceProfile)
	if err != nil {
		return nil, err
	}
	out := &ec2api.AssociateIamInstanceProfileOutput{}
	return out, update(ctx, s, s.instances, aws.Val(in.InstanceId), noInstance, func(r *instanceRecord) error {
		switch {
		case r.Wanted == stateTerminated:
			return aws.Errorf("IncorrectInstanceState", "The instance '%s' is not in a state from which a profile can be associated.", *r.InstanceId)
		case r.IamInstanceProfile != nil:
			return aws.Errorf("IncorrectState", "There is an existing association for instance %s", *r.InstanceId)
		}
		r.setProfile(profile, s.now())
		out.IamInstanceProfileAssociation = aws.Ptr(r.association("associating"))
		return nil
	})
}

// byAssociation finds the instance that an association is of.
func (s *Service) byAssociation(ctx context.Context, id string) (string, error) {
	all, err := list(ctx, s.instances)
	if err != nil {
		return "", err
	}
	for _, r := range all {
		if r.AssociationID == id && r.IamInstanceProfile != nil {
			return *r.InstanceId, nil
		}
	}
	return "", noProfileAssociation(id)
}

func noProfileAssociation(id string) error {
	return aws.Errorf("NoSuchAssociation", "The association ID '%s' does not exist", id)
}

// ReplaceIamInstanceProfileAssociation gives an instance another profile.
func (s *Service) ReplaceIamInstanceProfileAssociation(ctx context.Context, in *ec2api.ReplaceIamInstanceProfileAssociationInput) (*ec2api.ReplaceIamInstanceProfileAssociationOutput, error) {
	profile, err := s.findProfile(ctx, in.IamInstanceProfile)
	if err != nil {
		return nil, err
	}
	id, err := s.byAssociation(ctx, aws.Val(in.AssociationId))
	if err != nil {
		return nil, err
	}
	out := &ec2api.ReplaceIamInstanceProfileAssociationOutput{}
	return out, update(ctx, s, s.instances, id, noInstance, func(r *instanceRecord) error {
		if r.AssociationID != aws.Val(in.AssociationId) {
			return noProfileAssociation(aws.Val(in.AssociationId))
		}
		r.setProfile(profile, s.now())
		out.IamInstanceProfileAssociation = aws.Ptr(r.association("associating"))
		return nil
	})
}

// DisassociateIamInstanceProfile takes an instance's profile away. Keys that
// were handed out are good until they end, as on AWS.
func (s *Service) DisassociateIamInstanceProfile(ctx context.Context, in *ec2api.DisassociateIamInstanceProfileInput) (*ec2api.DisassociateIamInstanceProfileOutput, error) {
	id, err := s.byAssociation(ctx, aws.Val(in.AssociationId))
	if err != nil {
		return nil, err
	}
	out := &ec2api.DisassociateIamInstanceProfileOutput{}
	return out, update(ctx, s, s.instances, id, noInstance, func(r *instanceRecord) error {
		if r.AssociationID != aws.Val(in.AssociationId) {
			return noProfileAssociation(aws.Val(in.AssociationId))
		}
		out.IamInstanceProfileAssociation = aws.Ptr(r.association("disassociating"))
		r.IamInstanceProfile, r.AssociationID, r.Associated = nil, "", nil
		return nil
	})
}

// DescribeIamInstanceProfileAssociations lists which instance has which profile.
func (s *Service) DescribeIamInstanceProfileAssociations(ctx context.Context, in *ec2api.DescribeIamInstanceProfileAssociationsInput) (*ec2api.DescribeIamInstanceProfileAssociationsOutput, error) {
	instances, err := list(ctx, s.instances)
	if err != nil {
		return nil, err
	}
	var all []ec2api.IamInstanceProfileAssociation
	for _, r := range instances {
		if r.IamInstanceProfile != nil && r.Wanted != stateTerminated {
			all = append(all, r.association("associated"))
		}
	}
	attrs := func(a *ec2api.IamInstanceProfileAssociation, name string) ([]string, bool) {
		switch name {
		case "instance-id":
			return listing.Value(a.InstanceId), true
		case "state":
			return listing.Value(a.State), true
		}
		return nil, false
	}
	all, err = listing.Choose(all, in.AssociationIds, in.Filters, func(a *ec2api.IamInstanceProfileAssociation) string { return aws.Val(a.AssociationId) },
		func(*ec2api.IamInstanceProfileAssociation) []ec2api.Tag { return nil }, attrs, noProfileAssociation)
	if err != nil {
		return nil, err
	}
	all, next, err := listing.Page(all, in.MaxResults, in.NextToken)
	return &ec2api.DescribeIamInstanceProfileAssociationsOutput{IamInstanceProfileAssociations: all, NextToken: next}, err
}

// assume fetches keys of a role for an instance: the role must trust EC2.
func (s *Service) assume(ctx context.Context, roleARN, session string) (*metadata.Credentials, error) {
	if s.STS == nil {
		return nil, errors.New("ec2: built without STS")
	}
	out, err := s.STS.AssumeRole(ctx, &stsapi.AssumeRoleInput{RoleArn: &roleARN, RoleSessionName: &session})
	if err != nil {
		return nil, err
	}
	c := out.Credentials
	return &metadata.Credentials{AccessKeyID: aws.Val(c.AccessKeyId), SecretAccessKey: aws.Val(c.SecretAccessKey), Token: aws.Val(c.SessionToken), Expiration: aws.Val(c.Expiration)}, nil
}
