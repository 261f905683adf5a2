package applicationautoscaling

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"minato/aws"
	autoapi "minato/aws/api/applicationautoscaling"
	"minato/aws/arn"
	"minato/internal/ids"
	"minato/store"
)

// policy is the record of a scaling policy.
type policy struct {
	autoapi.ScalingPolicy
	Place arn.Place
	// Last is what it did last: the reconciler's.
	Last scaling
}

// defaultCooldown is ECS's, of either direction.
const defaultCooldown = 300 * time.Second

// Quotas of AWS's.
const maxSteps = 20

// PutScalingPolicy makes a policy or changes one. Those of target tracking get
// their alarms.
func (s *Service) PutScalingPolicy(ctx context.Context, in *autoapi.PutScalingPolicyInput) (*autoapi.PutScalingPolicyOutput, error) {
	p, resource, name := place(ctx), aws.Val(in.ResourceId), aws.Val(in.PolicyName)
	if err := served(*in.ServiceNamespace, *in.ScalableDimension, resource); err != nil {
		return nil, err
	}
	var out, before policy
	isNew := false
	err := store.Update(ctx, s.Store, func(tx *store.Tx) error {
		if err := s.registered(tx, p, resource); err != nil {
			return err
		}
		o, exists, err := s.policies.TxGet(tx, p.Account, p.Region, resource, name)
		if err != nil {
			return err
		}
		before, isNew = o, !exists
		if !exists {
			o = policy{Place: p, ScalingPolicy: autoapi.ScalingPolicy{
				CreationTime: aws.Ptr(s.now()), PolicyName: &name, ResourceId: &resource, ScalableDimension: in.ScalableDimension, ServiceNamespace: in.ServiceNamespace,
				PolicyType: aws.Ptr(autoapi.PolicyTypeStepScaling), Alarms: []autoapi.Alarm{},
				PolicyARN: aws.Ptr(p.Of("autoscaling", "scalingPolicy:"+ids.UUID()+":resource/ecs/"+resource+":policyName/"+name)),
			}}
		}
		if in.PolicyType != nil {
			if exists && *in.PolicyType != *o.PolicyType {
				return invalid("Policy type can not be changed for an existing policy.")
			}
			o.PolicyType = in.PolicyType
		}
		if err := o.configure(in); err != nil {
			return err
		}
		out = o
		return s.policies.TxPut(tx, o, p.Account, p.Region, resource, name)
	})
	if err != nil {
		return nil, err
	}
	if err := s.ensureAlarms(ctx, out); err != nil {
		if isNew {
			err = errors.Join(err, s.policies.Delete(ctx, p.Account, p.Region, resource, name), s.dropAlarms(ctx, p, out))
		}
		return nil, autoapi.FailedResourceAccessException("The alarms of the policy could not be made: %s", aws.AsError(err).Message)
	}
	return &autoapi.PutScalingPolicyOutput{PolicyARN: out.PolicyARN, Alarms: out.Alarms}, s.dropAlarms(ctx, p, leftover(before, out)...)
}

// leftover is the policy as it was, with the alarms that it no longer has.
func leftover(before, after policy) []policy {
	before.Alarms = slices.DeleteFunc(slices.Clone(before.Alarms), func(a autoapi.Alarm) bool {
		return slices.ContainsFunc(after.Alarms, func(b autoapi.Alarm) bool { return aws.Val(a.AlarmName) == aws.Val(b.AlarmName) })
	})
	if len(before.Alarms) == 0 || !before.tracks() {
		return nil
	}
	return []policy{before}
}

// tracks tells whether it is a policy of target tracking.
func (o *policy) tracks() bool { return o.TargetTrackingScalingPolicyConfiguration != nil }

// configure takes the configuration that belongs to the type.
func (o *policy) configure(in *autoapi.PutScalingPolicyInput) error {
	switch *o.PolicyType {
	case autoapi.PolicyTypeStepScaling:
		c := in.StepScalingPolicyConfiguration
		if c == nil || in.TargetTrackingScalingPolicyConfiguration != nil {
			return invalid("StepScalingPolicyConfiguration is required for the policy type StepScaling, and no other configuration.")
		}
		if err := checkSteps(c); err != nil {
			return err
		}
		o.StepScalingPolicyConfiguration = c
	case autoapi.PolicyTypeTargetTrackingScaling:
		c := in.TargetTrackingScalingPolicyConfiguration
		if c == nil || in.StepScalingPolicyConfiguration != nil {
			return invalid("TargetTrackingScalingPolicyConfiguration is required for the policy type TargetTrackingScaling, and no other configuration.")
		}
		if err := checkTracking(c); err != nil {
			return err
		}
		o.TargetTrackingScalingPolicyConfiguration = c
		o.nameAlarms()
	default:
		return invalid("The policy type %s is not supported by minato.", *o.PolicyType)
	}
	return nil
}

// nameAlarms gives a policy of target tracking the names of its alarms; those
// that it has stay.
func (o *policy) nameAlarms() {
	have := o.Alarms
	o.Alarms = nil
	kinds := []string{"AlarmHigh", "AlarmLow"}
	if aws.Val(o.TargetTrackingScalingPolicyConfiguration.DisableScaleIn) {
		kinds = kinds[:1]
	}
	for _, kind := range kinds {
		prefix := "TargetTracking-" + *o.ResourceId + "-" + kind + "-"
		i := slices.IndexFunc(have, func(a autoapi.Alarm) bool { return strings.HasPrefix(aws.Val(a.AlarmName), prefix) })
		if i >= 0 {
			o.Alarms = append(o.Alarms, have[i])
			continue
		}
		name := prefix + ids.UUID()
		o.Alarms = append(o.Alarms, autoapi.Alarm{AlarmName: &name, AlarmARN: aws.Ptr(o.Place.Of("cloudwatch", "alarm:"+name))})
	}
}

// alarm is the name of its alarm of a kind, "" for none.
func (o *policy) alarm(kind string) string {
	for _, a := range o.Alarms {
		if strings.Contains(aws.Val(a.AlarmName), "-"+kind+"-") {
			return *a.AlarmName
		}
	}
	return ""
}

func checkSteps(c *autoapi.StepScalingPolicyConfiguration) error {
	switch {
	case c.AdjustmentType == nil:
		return invalid("AdjustmentType is required for step scaling policies.")
	case len(c.StepAdjustments) == 0:
		return invalid("At least one step adjustment must be specified for step scaling policies.")
	case len(c.StepAdjustments) > maxSteps:
		return invalid("A step scaling policy can not have more than %d step adjustments.", maxSteps)
	case aws.Val(c.Cooldown) < 0:
		return invalid("Cooldown must be greater than or equal to 0")
	case c.MinAdjustmentMagnitude != nil && *c.AdjustmentType != autoapi.AdjustmentTypePercentChangeInCapacity:
		return invalid("MinAdjustmentMagnitude is only valid for the adjustment type PercentChangeInCapacity.")
	case aws.Val(c.MinAdjustmentMagnitude) < 0:
		return invalid("MinAdjustmentMagnitude must be greater than 0")
	}
	for i, a := range c.StepAdjustments {
		switch {
		case a.MetricIntervalLowerBound == nil && a.MetricIntervalUpperBound == nil && len(c.StepAdjustments) > 1:
			return invalid("At least one of the bounds of a step adjustment must be specified.")
		case a.MetricIntervalLowerBound != nil && a.MetricIntervalUpperBound != nil && *a.MetricIntervalLowerBound >= *a.MetricIntervalUpperBound:
			return invalid("The lower bound of a step adjustment must be less than its upper bound.")
		case *c.AdjustmentType == autoapi.AdjustmentTypeExactCapacity && *a.ScalingAdjustment < 0:
			return invalid("ScalingAdjustment must be greater than or equal to 0 for the adjustment type ExactCapacity.")
		}
		for _, b := range c.StepAdjustments[:i] {
			if overlap(a, b) {
				return invalid("There is more than one step adjustment for the same interval: the intervals overlap.")
			}
		}
	}
	return nil
}

func overlap(a, b autoapi.StepAdjustment) bool {
	before := func(x, y autoapi.StepAdjustment) bool {
		return x.MetricIntervalUpperBound != nil && y.MetricIntervalLowerBound != nil && *x.MetricIntervalUpperBound <= *y.MetricIntervalLowerBound
	}
	return !before(a, b) && !before(b, a)
}

func checkTracking(c *autoapi.TargetTrackingScalingPolicyConfiguration) error {
	pre, custom := c.PredefinedMetricSpecification, c.CustomizedMetricSpecification
	switch {
	case (pre == nil) == (custom == nil):
		return invalid("Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification must be specified.")
	case !(*c.TargetValue > 0):
		return invalid("TargetValue must be greater than 0.")
	case aws.Val(c.ScaleInCooldown) < 0 || aws.Val(c.ScaleOutCooldown) < 0:
		return invalid("Cooldown must be greater than or equal to 0")
	case custom != nil && len(custom.Metrics) > 0:
		return invalid("CustomizedMetricSpecification.Metrics is not supported by minato.")
	case custom != nil && (custom.MetricName == nil || custom.Namespace == nil || custom.Statistic == nil):
		return invalid("MetricName, Namespace and Statistic are required in CustomizedMetricSpecification.")
	case pre == nil:
		return nil
	}
	switch *pre.PredefinedMetricType {
	case autoapi.MetricTypeECSServiceAverageCPUUtilization, autoapi.MetricTypeECSServiceAverageMemoryUtilization:
		if pre.ResourceLabel != nil {
			return invalid("ResourceLabel must not be specified for the metric type %s.", *pre.PredefinedMetricType)
		}
	case autoapi.MetricTypeALBRequestCountPerTarget:
		if _, _, ok := balancerOf(aws.Val(pre.ResourceLabel)); !ok {
			return invalid("Invalid resource label: %s. It is app/load-balancer-name/id/targetgroup/target-group-name/id.", aws.Val(pre.ResourceLabel))
		}
	default:
		return invalid("The metric type %s is not valid for the service namespace ecs.", *pre.PredefinedMetricType)
	}
	return nil
}

// balancerOf takes a resource label apart into CloudWatch's dimensions.
func balancerOf(label string) (balancer, group string, ok bool) {
	i := strings.Index(label, "/targetgroup/")
	if i < 0 || strings.Count(label, "/") != 5 || !strings.HasPrefix(label, "app/") {
		return "", "", false
	}
	return label[:i], label[i+1:], true
}

// DeleteScalingPolicy deletes a policy and the alarms that it has made.
func (s *Service) DeleteScalingPolicy(ctx context.Context, in *autoapi.DeleteScalingPolicyInput) (*autoapi.DeleteScalingPolicyOutput, error) {
	p, resource, name := place(ctx), aws.Val(in.ResourceId), aws.Val(in.PolicyName)
	var gone policy
	err := store.Update(ctx, s.Store, func(tx *store.Tx) error {
		o, found, err := s.policies.TxGet(tx, p.Account, p.Region, resource, name)
		switch {
		case err != nil:
			return err
		case !found || *in.ServiceNamespace != *o.ServiceNamespace || *in.ScalableDimension != *o.ScalableDimension:
			return autoapi.ObjectNotFoundException("No scaling policy found for service namespace: %s, resource ID: %s, scalable dimension: %s: %s", *in.ServiceNamespace, resource, *in.ScalableDimension, name)
		}
		gone = o
		s.policies.TxDelete(tx, p.Account, p.Region, resource, name)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &autoapi.DeleteScalingPolicyOutput{}, s.dropAlarms(ctx, p, gone)
}

// DescribeScalingPolicies lists policies.
func (s *Service) DescribeScalingPolicies(ctx context.Context, in *autoapi.DescribeScalingPoliciesInput) (*autoapi.DescribeScalingPoliciesOutput, error) {
	p := place(ctx)
	out := &autoapi.DescribeScalingPoliciesOutput{ScalingPolicies: []autoapi.ScalingPolicy{}}
	all, err := s.policies.List(ctx, p.Account, p.Region)
	if err != nil {
		return nil, aws.Internal(err)
	}
	all = slices.DeleteFunc(all, func(o policy) bool {
		return *in.ServiceNamespace != *o.ServiceNamespace || in.ScalableDimension != nil && *in.ScalableDimension != *o.ScalableDimension ||
			in.ResourceId != nil && *in.ResourceId != *o.ResourceId || len(in.PolicyNames) > 0 && !slices.Contains(in.PolicyNames, *o.PolicyName)
	})
	key := func(o policy) string { return *o.ResourceId + "\x00" + *o.PolicyName }
	slices.SortFunc(all, func(a, b policy) int { return strings.Compare(key(a), key(b)) })
	all, out.NextToken, err = page(all, key, in.NextToken, in.MaxResults)
	if err != nil {
		return nil, err
	}
	for _, o := range all {
		if !o.tracks() {
			if o.Alarms, err = s.callers(own(ctx, p), o); err != nil {
				return nil, err
			}
		}
		out.ScalingPolicies = append(out.ScalingPolicies, o.ScalingPolicy)
	}
	return out, nil
}
