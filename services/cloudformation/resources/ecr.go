package resources

import (
	"context"
	"encoding/json"
	"strings"

	"minato/aws"
	ecr "minato/aws/api/ecr"
)

// ecrResources makes repositories.
type ecrResources struct{ api ecr.API }

func ecrTypes(inv aws.Invoker) map[string]Type {
	v := ecrResources{ecr.NewClient(inv)}
	return map[string]Type{
		"AWS::ECR::Repository": {Create: v.create, Ready: v.ready, Update: v.update, Delete: v.delete, Named: "RepositoryName"},
	}
}

// document returns a policy that is written as text or as an object.
func document(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	if v == nil {
		return ""
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(raw)
}

func (v ecrResources) create(ctx context.Context, r *Request) (string, error) {
	in, err := into(without(r.Properties, "Tags", "LifecyclePolicy", "RepositoryPolicyText", "EmptyOnDelete", "ImageTagMutabilityExclusionFilters"), new(ecr.CreateRepositoryInput))
	if err != nil {
		return "", err
	}
	name := r.str("RepositoryName")
	if name == "" {
		name = strings.ToLower(r.name("", 256))
	}
	in.RepositoryName = &name
	in.Tags = tags(r, func(k, v string) ecr.Tag { return ecr.Tag{Key: &k, Value: &v} })
	if _, err := v.api.CreateRepository(ctx, in); r.again(err, "RepositoryName") != nil {
		return "", err
	}
	r.PhysicalID = name
	return name, v.policies(ctx, r, nil)
}

// policies sets the two policies where they change.
func (v ecrResources) policies(ctx context.Context, r *Request, before map[string]any) error {
	had, want := document(before["RepositoryPolicyText"]), document(r.Properties["RepositoryPolicyText"])
	if had != want {
		if want == "" {
			if _, err := v.api.DeleteRepositoryPolicy(ctx, &ecr.DeleteRepositoryPolicyInput{RepositoryName: &r.PhysicalID}); gone(err, "RepositoryPolicyNotFoundException") != nil {
				return err
			}
		} else if _, err := v.api.SetRepositoryPolicy(ctx, &ecr.SetRepositoryPolicyInput{RepositoryName: &r.PhysicalID, PolicyText: &want}); err != nil {
			return err
		}
	}
	lifecycle := func(properties map[string]any) string {
		m, _ := properties["LifecyclePolicy"].(map[string]any)
		return text(m["LifecyclePolicyText"])
	}
	had, want = lifecycle(before), lifecycle(r.Properties)
	if had == want {
		return nil
	}
	if want == "" {
		_, err := v.api.DeleteLifecyclePolicy(ctx, &ecr.DeleteLifecyclePolicyInput{RepositoryName: &r.PhysicalID})
		return gone(err, "LifecyclePolicyNotFoundException")
	}
	_, err := v.api.PutLifecyclePolicy(ctx, &ecr.PutLifecyclePolicyInput{RepositoryName: &r.PhysicalID, LifecyclePolicyText: &want})
	return err
}

func (v ecrResources) ready(ctx context.Context, r *Request) (map[string]any, bool, error) {
	out, err := v.api.DescribeRepositories(ctx, &ecr.DescribeRepositoriesInput{RepositoryNames: []string{r.PhysicalID}})
	if err != nil || len(out.Repositories) == 0 {
		return nil, false, err
	}
	return map[string]any{"Arn": aws.Val(out.Repositories[0].RepositoryArn), "RepositoryUri": aws.Val(out.Repositories[0].RepositoryUri)}, true, nil
}

func (v ecrResources) update(ctx context.Context, r *Request) error {
	if r.changed("ImageTagMutability") {
		want := r.str("ImageTagMutability")
		if want == "" {
			want = ecr.ImageTagMutabilityMutable
		}
		if _, err := v.api.PutImageTagMutability(ctx, &ecr.PutImageTagMutabilityInput{RepositoryName: &r.PhysicalID, ImageTagMutability: &want}); err != nil {
			return err
		}
	}
	if r.changed("ImageScanningConfiguration") {
		in, err := into(map[string]any{"ImageScanningConfiguration": r.Properties["ImageScanningConfiguration"]}, new(ecr.PutImageScanningConfigurationInput))
		if err != nil {
			return err
		}
		if in.ImageScanningConfiguration == nil {
			in.ImageScanningConfiguration = &ecr.ImageScanningConfiguration{ScanOnPush: aws.Ptr(false)}
		}
		in.RepositoryName = &r.PhysicalID
		if _, err := v.api.PutImageScanningConfiguration(ctx, in); err != nil {
			return err
		}
	}
	if err := v.policies(ctx, r, r.Previous); err != nil {
		return err
	}
	set, gone := tagChanges(r)
	arn := aws.Ptr(text(r.Attributes["Arn"]))
	if len(gone) > 0 {
		if _, err := v.api.UntagResource(ctx, &ecr.UntagResourceInput{ResourceArn: arn, TagKeys: gone}); err != nil {
			return err
		}
	}
	if len(set) == 0 {
		return nil
	}
	in := &ecr.TagResourceInput{ResourceArn: arn}
	for _, k := range sorted(set) {
		in.Tags = append(in.Tags, ecr.Tag{Key: aws.Ptr(k), Value: aws.Ptr(set[k])})
	}
	_, err := v.api.TagResource(ctx, in)
	return err
}

func (v ecrResources) delete(ctx context.Context, r *Request) error {
	force, _ := boolean(r.Properties, "EmptyOnDelete")
	_, err := v.api.DeleteRepository(ctx, &ecr.DeleteRepositoryInput{RepositoryName: &r.PhysicalID, Force: &force})
	return gone(err, "RepositoryNotFoundException")
}
