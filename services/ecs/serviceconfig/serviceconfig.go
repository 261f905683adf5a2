// Package serviceconfig is what ECS asks of a service before it makes or changes
// it, as far as the call alone tells, in ECS's words; and which changes begin a
// new deployment.
package serviceconfig

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
)

// PlatformVersion is the one version of Fargate's platform that there is.
const PlatformVersion = "1.4.0"

// What a deployment's percentages are unless said otherwise; daemons are
// replaced in place.
const (
	defaultMinimum int32 = 100
	defaultMaximum int32 = 200
	daemonMinimum  int32 = 0
	daemonMaximum  int32 = 100
)

// Limits of ECS on what a service may ask for.
const (
	maxDesired  = 5000
	maxGrace    = 2147483647
	maxBakeTime = 1440
)

var serviceName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,255}$`)

func invalid(format string, args ...any) error {
	return ecsapi.InvalidParameterException(format, args...)
}

func notServed(what string) error {
	return ecsapi.UnsupportedFeatureException("%s: not served by minato", what)
}

// Daemon tells whether a service has a task on each instance.
func Daemon(strategy *string) bool { return aws.Val(strategy) == ecsapi.SchedulingStrategyDaemon }

const latestPlatform = "LATEST"

// Resolved is the version that a service's platform version means, if it has one.
func Resolved(version *string) *string {
	if version == nil {
		return nil
	}
	return aws.Ptr(PlatformVersion)
}

// Platform checks a platform version. A service keeps and shows the one that was
// asked for; its deployments and tasks, what that means (Resolved).
func Platform(version *string) (*string, error) {
	switch v := aws.Val(version); v {
	case "":
		return aws.Ptr(latestPlatform), nil
	case latestPlatform, PlatformVersion:
		return &v, nil
	}
	return nil, ecsapi.PlatformUnknownException("The specified platform does not exist.")
}

// Create checks a CreateService.
func Create(in *ecsapi.CreateServiceInput) error {
	if err := unserved(in.ServiceConnectConfiguration, in.ServiceRegistries, in.VolumeConfigurations, in.VpcLatticeConfigurations); err != nil {
		return err
	}
	if err := controller(in.DeploymentController); err != nil {
		return err
	}
	fargate := in.LaunchType == nil && len(in.CapacityProviderStrategy) > 0 || aws.Val(in.LaunchType) == ecsapi.LaunchTypeFargate
	switch {
	case !serviceName.MatchString(aws.Val(in.ServiceName)):
		return invalid("Invalid identifier: Name must only contain letters, numbers, hyphens, and underscores.")
	case in.TaskDefinition == nil:
		return invalid("TaskDefinition can not be blank.")
	case Daemon(in.SchedulingStrategy) && fargate:
		return invalid("The daemon scheduling strategy is not supported for the FARGATE launch type.")
	case Daemon(in.SchedulingStrategy) && in.DesiredCount != nil:
		return invalid("The daemon scheduling strategy does not support a desired count for services. Remove the desired count value and try again")
	case !Daemon(in.SchedulingStrategy) && in.DesiredCount == nil:
		return invalid("Desired count can not be blank.")
	case Daemon(in.SchedulingStrategy) && aws.Val(in.AvailabilityZoneRebalancing) == ecsapi.AvailabilityZoneRebalancingEnabled:
		return invalid("Availability Zone rebalancing does not support the daemon scheduling strategy.")
	case in.Role != nil:
		return invalid("You cannot specify an IAM role for services that require a service linked role.")
	}
	return counts(in.DesiredCount, in.HealthCheckGracePeriodSeconds, len(in.LoadBalancers) > 0)
}

// Update checks an UpdateService of a service.
func Update(have *ecsapi.Service, in *ecsapi.UpdateServiceInput) error {
	if err := unserved(in.ServiceConnectConfiguration, in.ServiceRegistries, in.VolumeConfigurations, in.VpcLatticeConfigurations); err != nil {
		return err
	}
	if err := controller(in.DeploymentController); err != nil {
		return err
	}
	balanced := len(have.LoadBalancers) > 0
	if in.LoadBalancers != nil {
		balanced = len(in.LoadBalancers) > 0
	}
	switch {
	case len(in.PlacementConstraints) > 0 || len(in.PlacementStrategy) > 0:
		return Placement()
	case Daemon(have.SchedulingStrategy) && in.DesiredCount != nil:
		return invalid("The daemon scheduling strategy does not support a desired count for services. Remove the desired count value and try again")
	case in.CapacityProviderStrategy != nil && !aws.Val(in.ForceNewDeployment) && !same(in.CapacityProviderStrategy, have.CapacityProviderStrategy):
		return invalid("When switching from launch type to capacity provider strategy on an existing service, or making a change to a capacity provider strategy on a service that is already using one, you must force a new deployment.")
	}
	return counts(in.DesiredCount, in.HealthCheckGracePeriodSeconds, balanced)
}

// Placement is the answer to placement constraints and strategies on Fargate.
func Placement() error {
	return invalid("Placement constraints and strategies are not supported for the FARGATE launch type.")
}

func counts(desired, grace *int32, balanced bool) error {
	switch {
	case aws.Val(desired) < 0:
		return invalid("Desired count must be non-negative.")
	case aws.Val(desired) > maxDesired:
		return invalid("Desired count must be less than or equal to %d.", maxDesired)
	case grace == nil:
		return nil
	case !balanced && *grace > 0:
		return invalid("Health check grace period is only valid for services configured to use load balancers")
	case *grace < 0:
		return invalid("Health check grace period must be between 0 and %d seconds.", maxGrace)
	}
	return nil
}

// controller refuses the deployment controllers that are others than ECS.
func controller(c *ecsapi.DeploymentController) error {
	if c == nil || aws.Val(c.Type) == ecsapi.DeploymentControllerTypeEcs {
		return nil
	}
	return notServed("the deployment controller " + aws.Val(c.Type))
}

// unserved names what a service may have on AWS and not here.
func unserved(connect *ecsapi.ServiceConnectConfiguration, registries []ecsapi.ServiceRegistry, volumes []ecsapi.ServiceVolumeConfiguration, lattice []ecsapi.VpcLatticeConfiguration) error {
	switch {
	case connect != nil && aws.Val(connect.Enabled):
		return notServed("Service Connect")
	case len(registries) > 0:
		return notServed("service discovery registries")
	case len(volumes) > 0:
		return notServed("EBS volumes")
	case len(lattice) > 0:
		return notServed("VPC Lattice")
	}
	return nil
}

// Deployment fills in what ECS fills in, over what was there.
func Deployment(have, change *ecsapi.DeploymentConfiguration, daemon bool) (*ecsapi.DeploymentConfiguration, error) {
	out := ecsapi.DeploymentConfiguration{
		MinimumHealthyPercent: aws.Ptr(defaultMinimum), MaximumPercent: aws.Ptr(defaultMaximum), Strategy: aws.Ptr(ecsapi.DeploymentStrategyRolling),
		DeploymentCircuitBreaker: &ecsapi.DeploymentCircuitBreaker{Enable: aws.Ptr(false), Rollback: aws.Ptr(false)},
	}
	if daemon {
		out.MinimumHealthyPercent, out.MaximumPercent = aws.Ptr(daemonMinimum), aws.Ptr(daemonMaximum)
	}
	for _, c := range []*ecsapi.DeploymentConfiguration{have, change} {
		if c == nil {
			continue
		}
		if c.MinimumHealthyPercent != nil {
			out.MinimumHealthyPercent = c.MinimumHealthyPercent
		}
		if c.MaximumPercent != nil {
			out.MaximumPercent = c.MaximumPercent
		}
		if c.DeploymentCircuitBreaker != nil {
			out.DeploymentCircuitBreaker = c.DeploymentCircuitBreaker
		}
		if c.Alarms != nil {
			out.Alarms = c.Alarms
		}
		if len(c.LifecycleHooks) > 0 {
			return nil, notServed("deployment lifecycle hooks")
		}
		set(&out.Strategy, c.Strategy)
		set(&out.BakeTimeInMinutes, c.BakeTimeInMinutes)
		set(&out.LinearConfiguration, c.LinearConfiguration)
		set(&out.CanaryConfiguration, c.CanaryConfiguration)
	}
	if out.Alarms != nil && aws.Val(out.Alarms.Enable) && len(out.Alarms.AlarmNames) == 0 {
		return nil, invalid("alarmNames can not be empty when deployment alarms are enabled.")
	}
	if err := shifting(&out, change, daemon); err != nil {
		return nil, err
	}
	switch low, high := *out.MinimumHealthyPercent, *out.MaximumPercent; {
	case low < 0 || low > 100 && !daemon:
		return nil, invalid("minimumHealthyPercent must be between 0 and 100.")
	case high < 100 || high > 200:
		return nil, invalid("maximumPercent must be between 100 and 200.")
	case low == 100 && high == 100 && *out.Strategy == ecsapi.DeploymentStrategyRolling:
		return nil, invalid("Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block deployments.")
	}
	return &out, nil
}

// Defaults and limits of shifted traffic.
const (
	linearPercent, linearBake = 10.0, 6
	canaryPercent, canaryBake = 5.0, 10
	leastLinear, leastCanary  = 3.0, 0.1
)

// shifting checks and fills in what says how traffic is shifted: each strategy
// has its own, and rolling has none.
func shifting(c, change *ecsapi.DeploymentConfiguration, daemon bool) error {
	strategy := *c.Strategy
	if strategy == ecsapi.DeploymentStrategyRolling {
		if change != nil && (aws.Val(change.BakeTimeInMinutes) != 0 || change.LinearConfiguration != nil || change.CanaryConfiguration != nil) {
			return invalid("bakeTimeInMinutes, linearConfiguration and canaryConfiguration are not supported for the ROLLING deployment strategy.")
		}
		c.BakeTimeInMinutes, c.LinearConfiguration, c.CanaryConfiguration = aws.Ptr[int32](0), nil, nil
		return nil
	}
	if daemon {
		return invalid("The %s deployment strategy is not supported for the daemon scheduling strategy.", strategy)
	}
	if c.BakeTimeInMinutes == nil {
		c.BakeTimeInMinutes = aws.Ptr[int32](0)
	}
	if n := *c.BakeTimeInMinutes; n < 0 || n > maxBakeTime {
		return invalid("bakeTimeInMinutes must be between 0 and %d.", maxBakeTime)
	}
	switch {
	case strategy != ecsapi.DeploymentStrategyLinear && change != nil && change.LinearConfiguration != nil:
		return invalid("linearConfiguration is only supported for the LINEAR deployment strategy.")
	case strategy != ecsapi.DeploymentStrategyCanary && change != nil && change.CanaryConfiguration != nil:
		return invalid("canaryConfiguration is only supported for the CANARY deployment strategy.")
	}
	var err error
	switch strategy {
	case ecsapi.DeploymentStrategyLinear:
		var x ecsapi.LinearConfiguration
		if c.LinearConfiguration != nil {
			x = *c.LinearConfiguration
		}
		x.StepPercent, x.StepBakeTimeInMinutes, err = step("linearConfiguration.step", x.StepPercent, x.StepBakeTimeInMinutes, linearPercent, leastLinear, linearBake)
		c.LinearConfiguration, c.CanaryConfiguration = &x, nil
	case ecsapi.DeploymentStrategyCanary:
		var x ecsapi.CanaryConfiguration
		if c.CanaryConfiguration != nil {
			x = *c.CanaryConfiguration
		}
		x.CanaryPercent, x.CanaryBakeTimeInMinutes, err = step("canaryConfiguration.canary", x.CanaryPercent, x.CanaryBakeTimeInMinutes, canaryPercent, leastCanary, canaryBake)
		c.CanaryConfiguration, c.LinearConfiguration = &x, nil
	default:
		c.LinearConfiguration, c.CanaryConfiguration = nil, nil
	}
	return err
}

// step checks and fills in a step of LINEAR or CANARY.
func step(name string, percent *float64, bake *int32, usual, least float64, usualBake int32) (*float64, *int32, error) {
	if percent == nil {
		percent = &usual
	}
	if bake == nil {
		bake = &usualBake
	}
	tenths := *percent * 10
	switch {
	case *percent < least || *percent > 100 || math.Abs(tenths-math.Round(tenths)) > 1e-6:
		return nil, nil, invalid("%sPercent must be a multiple of 0.1 between %.1f and 100.0.", name, least)
	case *bake < 0 || *bake > maxBakeTime:
		return nil, nil, invalid("%sBakeTimeInMinutes must be between 0 and %d.", name, maxBakeTime)
	}
	return percent, bake, nil
}

// Balancers checks what a service's load balancers need for its strategy.
func Balancers(c *ecsapi.DeploymentConfiguration, balancers []ecsapi.LoadBalancer) error {
	seen := map[string]bool{}
	advanced := 0
	for _, lb := range balancers {
		a := lb.AdvancedConfiguration
		if a == nil {
			continue
		}
		advanced++
		for _, g := range []*string{lb.TargetGroupArn, a.AlternateTargetGroupArn} {
			if seen[aws.Val(g)] {
				return invalid("Duplicate targetGroupArn found: %s", aws.Val(g))
			}
			seen[aws.Val(g)] = true
		}
		switch {
		case lb.LoadBalancerName != nil:
			return invalid("advancedConfiguration field is not allowed with ELBv1 loadBalancers")
		case a.AlternateTargetGroupArn == nil:
			return invalid("alternateTargetGroupArn can not be blank.")
		case a.ProductionListenerRule == nil:
			return invalid("productionListenerRule can not be blank.")
		case a.RoleArn == nil:
			return invalid("roleArn can not be blank.")
		case aws.Val(a.ProductionListenerRule) == aws.Val(a.TestListenerRule):
			return invalid("The following rules cannot be used as both production and test listener rules: %s", *a.ProductionListenerRule)
		}
		for _, rule := range []struct {
			name string
			arn  *string
		}{{"productionListenerRule", a.ProductionListenerRule}, {"testListenerRule", a.TestListenerRule}} {
			if rule.arn != nil && !strings.Contains(*rule.arn, ":listener-rule/app/") {
				return invalid("%s has an invalid ARN format. Must be RuleArn for ALB or ListenerArn for NLB. Got: %s", rule.name, *rule.arn)
			}
		}
	}
	switch {
	case advanced == len(balancers):
		return nil
	case advanced > 0:
		return invalid("Either all or none of the provided loadBalancers must have advancedConfiguration defined")
	case aws.Val(c.Strategy) != ecsapi.DeploymentStrategyRolling:
		return invalid("advancedConfiguration field is required for all loadBalancers when using a non-ROLLING deployment strategy")
	}
	return nil
}

// Apply takes over what an update names, the task definition excepted.
func Apply(s *ecsapi.Service, in *ecsapi.UpdateServiceInput) error {
	configuration, err := Deployment(s.DeploymentConfiguration, in.DeploymentConfiguration, Daemon(s.SchedulingStrategy))
	if err != nil {
		return err
	}
	s.DeploymentConfiguration = configuration
	set(&s.DesiredCount, in.DesiredCount)
	set(&s.NetworkConfiguration, in.NetworkConfiguration)
	set(&s.EnableECSManagedTags, in.EnableECSManagedTags)
	set(&s.EnableExecuteCommand, in.EnableExecuteCommand)
	set(&s.PropagateTags, in.PropagateTags)
	set(&s.AvailabilityZoneRebalancing, in.AvailabilityZoneRebalancing)
	set(&s.HealthCheckGracePeriodSeconds, in.HealthCheckGracePeriodSeconds)
	if in.LoadBalancers != nil {
		s.LoadBalancers = in.LoadBalancers
		switch {
		case len(in.LoadBalancers) == 0:
			s.HealthCheckGracePeriodSeconds = nil
		case s.HealthCheckGracePeriodSeconds == nil:
			s.HealthCheckGracePeriodSeconds = aws.Ptr[int32](0)
		}
	}
	switch {
	case len(in.CapacityProviderStrategy) > 0:
		s.LaunchType, s.CapacityProviderStrategy = nil, in.CapacityProviderStrategy
	case in.CapacityProviderStrategy != nil && len(s.CapacityProviderStrategy) > 0:
		// An empty strategy goes back to the launch type.
		s.LaunchType, s.CapacityProviderStrategy = aws.Ptr(ecsapi.LaunchTypeFargate), nil
	}
	if in.PlatformVersion != nil {
		if s.PlatformVersion, err = Platform(in.PlatformVersion); err != nil {
			return err
		}
	}
	return nil
}

func set[T any](to **T, from *T) {
	if from != nil {
		*to = from
	}
}

// Renews tells whether an update begins a new deployment: it is forced, or what
// tasks are made of has changed. Counts, percentages, the grace period, tags and
// rebalancing only hold for what comes next.
func Renews(have, next *ecsapi.Service, in *ecsapi.UpdateServiceInput) bool {
	return aws.Val(in.ForceNewDeployment) || in.TaskDefinition != nil && !sameDefinition(*in.TaskDefinition, aws.Val(have.TaskDefinition)) ||
		!same(have.NetworkConfiguration, next.NetworkConfiguration) || !same(have.LoadBalancers, next.LoadBalancers) ||
		!same(have.CapacityProviderStrategy, next.CapacityProviderStrategy) || !same(have.PlatformVersion, next.PlatformVersion)
}

// sameDefinition tells whether a reference names the definition that is there. A
// family alone means its last revision and may be another.
func sameDefinition(text, have string) bool {
	name := have[strings.LastIndex(have, "/")+1:]
	if text == have || text == name {
		return true
	}
	family, revision, ok := strings.Cut(name, ":")
	asked, n, _ := strings.Cut(text, ":")
	a, err := strconv.Atoi(n)
	b, _ := strconv.Atoi(revision)
	return ok && err == nil && family == asked && a == b
}

// same tells whether two lists or structures say the same; nothing and an empty
// list do.
func same(a, b any) bool {
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	if x.Kind() == reflect.Slice && x.Len() == 0 && y.Len() == 0 {
		return true
	}
	return reflect.DeepEqual(a, b)
}

// maxProviders is how many capacity providers a strategy may name.
const maxProviders = 20

// Strategy checks a capacity provider strategy of a cluster with some providers.
func Strategy(providers []string, strategy []ecsapi.CapacityProviderStrategyItem) error {
	bases, weights := 0, 0
	for _, item := range strategy {
		if !slices.Contains(providers, aws.Val(item.CapacityProvider)) {
			return invalid("The specified capacity provider strategy cannot contain a capacity provider that is not associated with the cluster. Associate the capacity provider with the cluster and try again.")
		}
		if aws.Val(item.Base) > 0 {
			bases++
		}
		weights += int(aws.Val(item.Weight))
	}
	switch {
	case len(strategy) > maxProviders:
		return invalid("A capacity provider strategy can contain a maximum of %d capacity providers.", maxProviders)
	case bases > 1:
		return invalid("Only one capacity provider in a capacity provider strategy can have a base defined.")
	case len(strategy) > 1 && weights == 0:
		return invalid("At least one capacity provider in a capacity provider strategy must have a weight greater than 0.")
	}
	return nil
}

// Digest tells whether two requests are the same, whatever their tokens.
func Digest(in *ecsapi.CreateServiceInput) string {
	same := *in
	same.ClientToken = nil
	b, err := json.Marshal(same)
	if err != nil {
		return "" // the shapes of the API always encode
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
