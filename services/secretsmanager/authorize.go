package secretsmanager

import (
	"context"
	"strconv"

	"minato/aws"
	api "minato/aws/api/secretsmanager"
	"minato/aws/arn"
	"minato/gateway"
)

const denyAll = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"secretsmanager:*"}]}`

// unknownSuffix stands for the six characters of a secret that is not there: a
// policy on secret:NAME-?????? or secret:NAME-* is about it.
const unknownSuffix = "-??????"

// checks is what IAM is asked for a call: the operation's own action on the
// secret, with the tags and the policy that it has.
func (s *Service) checks(ctx context.Context, op *aws.Operation, in any) []gateway.Check {
	c := gateway.Check{Action: op.Action(), Resource: "*", Context: keys(in)}
	switch in := in.(type) {
	case *api.CreateSecretInput:
		name := aws.Val(in.Name)
		c.Resource, c.Shown = place(ctx).Secret(name+unknownSuffix), name
		out := []gateway.Check{c}
		if len(in.Tags) > 0 {
			c.Action = "secretsmanager:TagResource"
			out = append(out, c)
		}
		return out
	case *api.BatchGetSecretValueInput:
		out := []gateway.Check{c}
		if len(in.Filters) > 0 {
			out = append(out, gateway.Check{Action: "secretsmanager:ListSecrets", Resource: "*"})
		}
		return out
	}
	id := aws.Text(in, "SecretId")
	if id == "" {
		return []gateway.Check{c}
	}
	c.Context["secretsmanager:SecretId"] = []string{id}
	p, r, found, err := s.target(ctx, id)
	switch {
	case err != nil:
		// A policy that cannot be read may have denied this very call.
		s.Log.Error("a call is denied: the secret's policy cannot be read", "secret", id, "error", err)
		c.Resource, c.ResourcePolicy = id, denyAll
	case found:
		c.Resource, c.ResourcePolicy = *r.ARN, r.Policy
		c.Context["secretsmanager:SecretPrimaryRegion"] = []string{p.Region}
		for _, t := range r.Tags {
			c.Context["aws:ResourceTag/"+aws.Val(t.Key)] = []string{aws.Val(t.Value)}
			c.Context["secretsmanager:ResourceTag/"+aws.Val(t.Key)] = []string{aws.Val(t.Value)}
		}
	case arn.Is(id):
		c.Resource = id
	default:
		c.Resource, c.Shown = p.Secret(id+unknownSuffix), id
	}
	return []gateway.Check{c}
}

// keys are the condition keys that a request itself gives.
func keys(in any) map[string][]string {
	out := map[string][]string{}
	for member, key := range map[string]string{
		"Name": "secretsmanager:Name", "Description": "secretsmanager:Description", "KmsKeyId": "secretsmanager:KmsKeyId", "VersionId": "secretsmanager:VersionId",
		"VersionStage": "secretsmanager:VersionStage", "RotationLambdaARN": "secretsmanager:RotationLambdaARN",
	} {
		if v := aws.Text(in, member); v != "" {
			out[key] = []string{v}
		}
	}
	var tags []api.Tag
	switch in := in.(type) {
	case *api.CreateSecretInput:
		tags = in.Tags
	case *api.TagResourceInput:
		tags = in.Tags
	case *api.UntagResourceInput:
		out["aws:TagKeys"] = in.TagKeys
	case *api.DeleteSecretInput:
		out["secretsmanager:ForceDeleteWithoutRecovery"] = []string{strconv.FormatBool(aws.Val(in.ForceDeleteWithoutRecovery))}
		if in.RecoveryWindowInDays != nil {
			out["secretsmanager:RecoveryWindowInDays"] = []string{strconv.FormatInt(*in.RecoveryWindowInDays, 10)}
		}
	case *api.PutResourcePolicyInput:
		out["secretsmanager:BlockPublicPolicy"] = []string{strconv.FormatBool(aws.Val(in.BlockPublicPolicy))}
	}
	for _, t := range tags {
		out["aws:RequestTag/"+aws.Val(t.Key)] = []string{aws.Val(t.Value)}
		out["aws:TagKeys"] = append(out["aws:TagKeys"], aws.Val(t.Key))
	}
	return out
}
