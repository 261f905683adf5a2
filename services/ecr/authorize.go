package ecr

import (
	"context"

	"minato/aws"
	ecrapi "minato/aws/api/ecr"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/gateway"
)

const denyAll = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"ecr:*"}]}`

// checks is what IAM is asked for a call: the operation's own action on the
// repository, with the tags and the policy the repository has.
func (s *Service) checks(ctx context.Context, op *aws.Operation, in any) []gateway.Check {
	place, names := target(ctx, in)
	if names == nil {
		return []gateway.Check{{Action: op.Action(), Resource: "*"}}
	}
	var out []gateway.Check
	for _, name := range names {
		check := gateway.Check{Action: op.Action(), Resource: place.ECRRepository(name)}
		if keys, policy, err := s.conditions(ctx, place, name); err == nil {
			check.Context, check.ResourcePolicy = keys, policy
		} else {
			// A policy that cannot be read may have denied this very call.
			s.log.Error("a call is denied: the repository's policy cannot be read", "repository", name, "error", err)
			check.ResourcePolicy = denyAll
		}
		for _, t := range requestTags(in) {
			if check.Context == nil {
				check.Context = map[string][]string{}
			}
			check.Context["aws:RequestTag/"+aws.Val(t.Key)] = []string{aws.Val(t.Value)}
			check.Context["aws:TagKeys"] = append(check.Context["aws:TagKeys"], aws.Val(t.Key))
		}
		out = append(out, check)
		if create, ok := in.(*ecrapi.CreateRepositoryInput); ok && len(create.Tags) > 0 {
			tag := check
			tag.Action = "ecr:TagResource"
			out = append(out, tag)
		}
	}
	return out
}

// conditions returns a repository's tags as condition keys, and its policy; of
// one that does not exist, nothing.
func (s *Service) conditions(ctx context.Context, place arn.Place, name string) (map[string][]string, string, error) {
	r, found, err := s.repositories.Get(ctx, place.Account, place.Region, name)
	if err != nil || !found {
		return nil, "", err
	}
	keys := map[string][]string{}
	for _, t := range r.Tags {
		keys["aws:ResourceTag/"+aws.Val(t.Key)] = []string{aws.Val(t.Value)}
		keys["ecr:ResourceTag/"+aws.Val(t.Key)] = []string{aws.Val(t.Value)}
	}
	return keys, r.Policy, nil
}

// target is the registry and the repositories a call is about; nil for a call
// that is about none.
func target(ctx context.Context, in any) (arn.Place, []string) {
	one := func(registry, name *string) (arn.Place, []string) {
		return registryOf(ctx, registry), []string{aws.Val(name)}
	}
	resource := func(text *string) (arn.Place, []string) {
		place, name, err := tagged(text)
		if err != nil { // the operation will say so; meanwhile it is about nothing of anybody else's
			caller := identity.From(ctx)
			return arn.In(caller.Region, caller.Account), []string{"*"}
		}
		return place, []string{*name}
	}
	switch in := in.(type) {
	case *ecrapi.BatchCheckLayerAvailabilityInput:
		return one(in.RegistryId, in.RepositoryName)
	case *ecrapi.BatchDeleteImageInput:
		return one(in.RegistryId, in.RepositoryName)
	case *ecrapi.BatchGetImageInput:
		return one(in.RegistryId, in.RepositoryName)
	case *ecrapi.CompleteLayerUploadInput:
		return one(in.RegistryId, in.RepositoryName)
	case *ecrapi.CreateRepositoryInput:
		return one(in.RegistryId, in.RepositoryName)
	case *ecrapi.DeleteLifecyclePolicyInput:
		return one(in.RegistryId, in.RepositoryName)
	case *ecrapi.DeleteRepositoryInput:
		return one(in.RegistryId, in.RepositoryName)
	case *ecrapi.DeleteRepositoryPolicyInput:
		return one(in.RegistryId, in.RepositoryName)
	case *ecrapi.StartLifecyclePolicyPreviewInput:
		return one(in.RegistryId, in.RepositoryName)
	case *ecrapi.GetLifecyclePolicyPreviewInput:
		return one(in.RegistryId, in.RepositoryName)
	case *ecrapi.DescribeImagesInput:
		return one(in.RegistryId, in.RepositoryName)
	case *ecrapi.DescribeRepositoriesInput:
		if len(in.RepositoryNames) == 0 {
			return registryOf(ctx, in.RegistryId), []string{"*"}
		}
		return registryOf(ctx, in.RegistryId), in.RepositoryNames
	case *ecrapi.GetDownloadUrlForLayerInput:
		return one(in.RegistryId, in.RepositoryName)
	case *ecrapi.GetLifecyclePolicyInput:
		return one(in.RegistryId, in.RepositoryName)
	case *ecrapi.GetRepositoryPolicyInput:
		return one(in.RegistryId, in.RepositoryName)
	case *ecrapi.InitiateLayerUploadInput:
		return one(in.RegistryId, in.RepositoryName)
	case *ecrapi.ListImagesInput:
		return one(in.RegistryId, in.RepositoryName)
	case *ecrapi.ListTagsForResourceInput:
		return resource(in.ResourceArn)
	case *ecrapi.PutImageInput:
		return one(in.RegistryId, in.RepositoryName)
	case *ecrapi.PutImageScanningConfigurationInput:
		return one(in.RegistryId, in.RepositoryName)
	case *ecrapi.PutImageTagMutabilityInput:
		return one(in.RegistryId, in.RepositoryName)
	case *ecrapi.PutLifecyclePolicyInput:
		return one(in.RegistryId, in.RepositoryName)
	case *ecrapi.SetRepositoryPolicyInput:
		return one(in.RegistryId, in.RepositoryName)
	case *ecrapi.TagResourceInput:
		return resource(in.ResourceArn)
	case *ecrapi.UploadLayerPartInput:
		return one(in.RegistryId, in.RepositoryName)
	case *ecrapi.UntagResourceInput:
		return resource(in.ResourceArn)
	}
	return arn.Place{}, nil
}

func requestTags(in any) []ecrapi.Tag {
	switch in := in.(type) {
	case *ecrapi.CreateRepositoryInput:
		return in.Tags
	case *ecrapi.TagResourceInput:
		return in.Tags
	}
	return nil
}
