package resources

import (
	"context"
	"encoding/json"

	"minato/aws"
	elb "minato/aws/api/elbv2"
	"minato/aws/arn"
)

// balancerResources makes load balancers.
type balancerResources struct{ api elb.API }

func loadBalancerTypes(inv aws.Invoker) map[string]Type {
	v := balancerResources{elb.NewClient(inv)}
	return map[string]Type{
		// An internet-facing load balancer needs the gateway attached, and
		// templates do not say so.
		"AWS::ElasticLoadBalancingV2::LoadBalancer": {Create: v.create, Ready: v.ready, Update: v.update, Delete: v.delete, Gone: v.gone, Named: "Name", Retry: []string{"InvalidSubnet"}},
	}
}

func elbTags(r *Request) []elb.Tag {
	return tags(r, func(k, v string) elb.Tag { return elb.Tag{Key: &k, Value: &v} })
}

// updateELBTags brings the tags of any load-balancing resource up to date.
func updateELBTags(ctx context.Context, api elb.API, r *Request) error {
	set, gone := tagChanges(r)
	if len(gone) > 0 {
		if _, err := api.RemoveTags(ctx, &elb.RemoveTagsInput{ResourceArns: []string{r.PhysicalID}, TagKeys: gone}); err != nil {
			return err
		}
	}
	if len(set) == 0 {
		return nil
	}
	in := &elb.AddTagsInput{ResourceArns: []string{r.PhysicalID}}
	for _, k := range sorted(set) {
		in.Tags = append(in.Tags, elb.Tag{Key: aws.Ptr(k), Value: aws.Ptr(set[k])})
	}
	_, err := api.AddTags(ctx, in)
	return err
}

// attributesOf reads a list of Key and Value.
func attributesOf[T any](properties map[string]any, name string) []T {
	var out []T
	raw, err := json.Marshal(properties[name])
	if err != nil || json.Unmarshal(raw, &out) != nil {
		return nil
	}
	return out
}

func (v balancerResources) create(ctx context.Context, r *Request) (string, error) {
	in, err := into(without(r.Properties, "Tags", "LoadBalancerAttributes"), new(elb.CreateLoadBalancerInput))
	if err != nil {
		return "", err
	}
	in.Name, in.Tags = aws.Ptr(r.name("Name", 32)), elbTags(r)
	out, err := v.api.CreateLoadBalancer(ctx, in)
	if err != nil {
		return "", err
	}
	if len(out.LoadBalancers) == 0 {
		return "", NotStabilized("no load balancer was made")
	}
	r.PhysicalID = aws.Val(out.LoadBalancers[0].LoadBalancerArn)
	return r.PhysicalID, v.setAttributes(ctx, r)
}

func (v balancerResources) setAttributes(ctx context.Context, r *Request) error {
	attributes := attributesOf[elb.LoadBalancerAttribute](r.Properties, "LoadBalancerAttributes")
	if len(attributes) == 0 {
		return nil
	}
	_, err := v.api.ModifyLoadBalancerAttributes(ctx, &elb.ModifyLoadBalancerAttributesInput{LoadBalancerArn: &r.PhysicalID, Attributes: attributes})
	return err
}

func (v balancerResources) describe(ctx context.Context, id string) (*elb.LoadBalancer, error) {
	out, err := v.api.DescribeLoadBalancers(ctx, &elb.DescribeLoadBalancersInput{LoadBalancerArns: []string{id}})
	if err != nil || len(out.LoadBalancers) == 0 {
		return nil, gone(err, "LoadBalancerNotFound")
	}
	return &out.LoadBalancers[0], nil
}

func (v balancerResources) ready(ctx context.Context, r *Request) (map[string]any, bool, error) {
	lb, err := v.describe(ctx, r.PhysicalID)
	if err != nil || lb == nil {
		return nil, false, err
	}
	state := elb.LoadBalancerStateEnumActive
	if lb.State != nil {
		state = aws.Val(lb.State.Code)
	}
	if state == elb.LoadBalancerStateEnumFailed {
		return nil, false, NotStabilized("LoadBalancer %s is in state failed: %s", r.PhysicalID, aws.Val(lb.State.Reason))
	}
	groups := []any{}
	for _, g := range lb.SecurityGroups {
		groups = append(groups, g)
	}
	a, _ := arn.Parse(r.PhysicalID)
	return map[string]any{
		"DNSName": aws.Val(lb.DNSName), "CanonicalHostedZoneID": aws.Val(lb.CanonicalHostedZoneId), "LoadBalancerName": aws.Val(lb.LoadBalancerName),
		"LoadBalancerFullName": a.ID(), "LoadBalancerArn": r.PhysicalID, "SecurityGroups": groups,
	}, state != elb.LoadBalancerStateEnumProvisioning, nil
}

func (v balancerResources) update(ctx context.Context, r *Request) error {
	if r.changed("SecurityGroups") {
		if _, err := v.api.SetSecurityGroups(ctx, &elb.SetSecurityGroupsInput{LoadBalancerArn: &r.PhysicalID, SecurityGroups: list(r.Properties, "SecurityGroups")}); err != nil {
			return err
		}
	}
	if r.changed("Subnets", "SubnetMappings") {
		in, err := into(map[string]any{"Subnets": r.Properties["Subnets"], "SubnetMappings": r.Properties["SubnetMappings"]}, new(elb.SetSubnetsInput))
		if err != nil {
			return err
		}
		in.LoadBalancerArn = &r.PhysicalID
		if _, err := v.api.SetSubnets(ctx, in); err != nil {
			return err
		}
	}
	if r.changed("LoadBalancerAttributes") {
		if err := v.setAttributes(ctx, r); err != nil {
			return err
		}
	}
	return updateELBTags(ctx, v.api, r)
}

func (v balancerResources) delete(ctx context.Context, r *Request) error {
	_, err := v.api.DeleteLoadBalancer(ctx, &elb.DeleteLoadBalancerInput{LoadBalancerArn: &r.PhysicalID})
	return gone(err, "LoadBalancerNotFound")
}

func (v balancerResources) gone(ctx context.Context, r *Request) (bool, error) {
	lb, err := v.describe(ctx, r.PhysicalID)
	return err == nil && lb == nil, err
}
