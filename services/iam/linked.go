package iam

import (
	"context"
	"encoding/json"
	"slices"

	"minato/aws"
	iamapi "minato/aws/api/iam"
	"minato/aws/identity"
	"minato/aws/policy"
	"minato/internal/ids"
	"minato/services/iam/managed"
	"minato/store"
)

// linkedRole is what is known of a service's own role.
type linkedRole struct {
	name        string
	policy      string // its policy of AWS's, below aws-service-role/
	description string
}

// linkedRoles are the service-linked roles by principal.
var linkedRoles = map[string]linkedRole{
	"ecs.amazonaws.com":                         {name: "AWSServiceRoleForECS", policy: "AmazonECSServiceRolePolicy", description: "Role to enable Amazon ECS to manage your cluster."},
	"elasticloadbalancing.amazonaws.com":        {name: "AWSServiceRoleForElasticLoadBalancing", policy: "AWSElasticLoadBalancingServiceRolePolicy", description: "Allows ELB to call AWS services on your behalf."},
	"rds.amazonaws.com":                         {name: "AWSServiceRoleForRDS", policy: "AmazonRDSServiceRolePolicy", description: "Allows Amazon RDS to manage AWS resources on your behalf"},
	"cloud9.amazonaws.com":                      {name: "AWSServiceRoleForAWSCloud9", policy: "AWSCloud9ServiceRolePolicy", description: "Service linked role for AWS Cloud9"},
	"ecs.application-autoscaling.amazonaws.com": {name: "AWSServiceRoleForApplicationAutoScaling_ECSService", policy: "AWSApplicationAutoscalingECSServicePolicy"},
}

// houseRights are what our services need beyond their linked role, because a
// step that AWS does out of sight goes through the public API here; and what
// services without a linked role need.
var houseRights = map[string][]string{
	"cloud9.amazonaws.com":               {"ec2:DescribeImages", "ec2:DescribeInstances", "ec2:CreateTags", "ec2:StartInstances", "ec2:StopInstances", "ec2:TerminateInstances", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:DescribeNetworkInterfaces", "iam:GetInstanceProfile"},
	"ec2.amazonaws.com":                  {"iam:GetInstanceProfile"},
	"ecs.amazonaws.com":                  {"ec2:ModifyNetworkInterfaceAttribute", "ecr:DescribeImages", "ecr:DescribeRepositories", "iam:GetRole", "cloudwatch:PutMetricData"},
	"elasticloadbalancing.amazonaws.com": {"ec2:CreateTags", "ec2:DescribeInstances", "ec2:DescribeRouteTables", "cloudwatch:PutMetricData"},
	"logs.amazonaws.com":                 {"cloudwatch:PutMetricData"},
	"rds.amazonaws.com":                  {"ec2:CreateTags", "ec2:DescribeNetworkInterfaces"},
	"ssm.amazonaws.com":                  {"ec2:DescribeImages"},
	"sts.amazonaws.com":                  {"iam:GetRole", "iam:GetPolicy", "iam:GetPolicyVersion"},
}

// houseGrants are the compiled houseRights.
var houseGrants = func() map[string]policy.Named {
	out := map[string]policy.Named{}
	for principal, actions := range houseRights {
		list, err := json.Marshal(actions)
		if err != nil {
			panic(err)
		}
		p, err := policy.Parse(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":`+string(list)+`,"Resource":"*"}}`, policy.Identity)
		if err != nil {
			panic(err)
		}
		out[principal] = policy.Named{Name: "minato:" + principal, Policy: p}
	}
	return out
}()

// CreateServiceLinkedRole makes a service's own role.
func (s *Service) CreateServiceLinkedRole(ctx context.Context, in *iamapi.CreateServiceLinkedRoleInput) (*iamapi.CreateServiceLinkedRoleOutput, error) {
	def, ok := linkedRoles[*in.AWSServiceName]
	if !ok {
		return nil, iamapi.InvalidInputException("Service role is not available for %s here.", *in.AWSServiceName)
	}
	if in.CustomSuffix != nil {
		return nil, iamapi.InvalidInputException("Custom suffix is not allowed for %s", *in.AWSServiceName)
	}
	r := s.newLinked(account(ctx), *in.AWSServiceName, def)
	if in.Description != nil {
		r.Description = in.Description
	}
	err := s.change(ctx, func(tx *store.Tx) error {
		_, found, err := s.roles.TxGet(tx, account(ctx), global, fold(def.name))
		if err != nil {
			return err
		}
		if found {
			return iamapi.InvalidInputException("Service role name %s has been taken in this account, please try a different suffix.", def.name)
		}
		return s.roles.TxPut(tx, r, account(ctx), global, fold(def.name))
	})
	if err != nil {
		return nil, err
	}
	return &iamapi.CreateServiceLinkedRoleOutput{Role: r.shown()}, nil
}

func (s *Service) newLinked(acct, principal string, def linkedRole) role {
	path := linkedPath + principal + "/"
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"` + principal + `"},"Action":"sts:AssumeRole"}]}`
	r := role{
		Role: iamapi.Role{
			RoleName: &def.name, RoleId: uniqueID("AROA"), Path: &path, CreateDate: s.now(), MaxSessionDuration: aws.Ptr[int32](defaultLength),
			Arn: aws.Ptr(arnOf(acct, "role", path, def.name)), AssumeRolePolicyDocument: &trust,
		},
		grants: grants{Attached: []string{managed.ARN(linkedPath, def.policy)}},
	}
	if def.description != "" {
		r.Description = &def.description
	}
	return r
}

// EnsureLinkedRole makes a service's own role in the account unless it is
// there; services without one are fine. IAM calls it when a service first acts
// for itself.
func (s *Service) EnsureLinkedRole(ctx context.Context, acct, principal string) error {
	def, ok := linkedRoles[principal]
	if !ok {
		return nil
	}
	_, found, err := s.roles.Get(ctx, acct, global, fold(def.name))
	if err != nil || found {
		return err
	}
	r := s.newLinked(acct, principal, def)
	return s.change(identity.With(ctx, identity.Caller{Account: acct}), func(tx *store.Tx) error {
		if _, found, err := s.roles.TxGet(tx, acct, global, fold(def.name)); err != nil || found {
			return err
		}
		return s.roles.TxPut(tx, r, acct, global, fold(def.name))
	})
}

// deletion is what is remembered of a service-linked role's deletion.
type deletion struct{ ID, Role string }

// maxDeletions is how many deletions of service-linked roles are remembered.
const maxDeletions = 20

// DeleteServiceLinkedRole removes a service's own role. It is made again when
// the service next needs it.
func (s *Service) DeleteServiceLinkedRole(ctx context.Context, in *iamapi.DeleteServiceLinkedRoleInput) (*iamapi.DeleteServiceLinkedRoleOutput, error) {
	var id string
	err := s.change(ctx, func(tx *store.Tx) error {
		r, found, err := s.roles.TxGet(tx, account(ctx), global, fold(*in.RoleName))
		if err != nil {
			return err
		}
		if !found || !r.linked() {
			return noRole(*in.RoleName)
		}
		id = "task" + *r.Path + *r.RoleName + "/" + ids.UUID()
		a, _, err := s.accounts.TxGet(tx, account(ctx), global)
		if err != nil {
			return err
		}
		a.Deletions = append(a.Deletions, deletion{ID: id, Role: *r.RoleName})
		a.Deletions = a.Deletions[max(0, len(a.Deletions)-maxDeletions):]
		s.roles.TxDelete(tx, account(ctx), global, fold(*in.RoleName))
		return s.accounts.TxPut(tx, a, account(ctx), global)
	})
	return &iamapi.DeleteServiceLinkedRoleOutput{DeletionTaskId: &id}, err
}

// GetServiceLinkedRoleDeletionStatus says how a deletion ended.
func (s *Service) GetServiceLinkedRoleDeletionStatus(ctx context.Context, in *iamapi.GetServiceLinkedRoleDeletionStatusInput) (*iamapi.GetServiceLinkedRoleDeletionStatusOutput, error) {
	a, _, err := s.accounts.Get(ctx, account(ctx), global)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(a.Deletions, func(d deletion) bool { return d.ID == *in.DeletionTaskId }) {
		return nil, iamapi.NoSuchEntityException("Deletion Task Id %s is not valid.", *in.DeletionTaskId)
	}
	return &iamapi.GetServiceLinkedRoleDeletionStatusOutput{Status: aws.Ptr("SUCCEEDED")}, nil
}
