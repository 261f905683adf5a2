// Package clusterconfig is what ECS asks of a cluster's name, settings and
// capacity providers.
package clusterconfig

import (
	"cmp"
	"regexp"
	"slices"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/services/ecs/serviceconfig"
)

var name = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,255}$`)

// Name refuses what cannot be the name of a cluster.
func Name(text string) error {
	if !name.MatchString(text) {
		return ecsapi.InvalidParameterException("Invalid identifier: Name must only contain letters, numbers, hyphens, and underscores.")
	}
	return nil
}

// Capacity refuses capacity providers other than Fargate's own.
func Capacity(providers []string, strategy []ecsapi.CapacityProviderStrategyItem) error {
	for _, item := range strategy {
		if !slices.Contains(providers, aws.Val(item.CapacityProvider)) {
			providers = append(slices.Clone(providers), aws.Val(item.CapacityProvider))
		}
	}
	for _, p := range providers {
		if p != "FARGATE" && p != "FARGATE_SPOT" {
			return ecsapi.InvalidParameterException("The specified capacity provider '%s' was not found. Specify a valid name or ARN and try again.", p)
		}
	}
	return nil
}

// Strategy refuses a strategy that tasks of a cluster cannot have.
func Strategy(cluster *ecsapi.Cluster, strategy []ecsapi.CapacityProviderStrategyItem) error {
	return cmp.Or(Capacity(nil, strategy), serviceconfig.Strategy(cluster.CapacityProviders, strategy))
}

// Placement decides where tasks run: the strategy that says it, or none for the
// launch type FARGATE.
func Placement(cluster *ecsapi.Cluster, d *ecsapi.TaskDefinition, launchType *string, strategy []ecsapi.CapacityProviderStrategyItem) ([]ecsapi.CapacityProviderStrategyItem, error) {
	if launchType != nil && len(strategy) > 0 {
		return nil, ecsapi.InvalidParameterException("Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.")
	}
	if err := Strategy(cluster, strategy); err != nil {
		return nil, err
	}
	if launchType == nil && len(strategy) == 0 {
		strategy = cluster.DefaultCapacityProviderStrategy
	}
	if len(strategy) == 0 && aws.Val(launchType) != ecsapi.LaunchTypeFargate {
		// EC2 is the default; EXTERNAL finds no instances either.
		return nil, ecsapi.InvalidParameterException("No Container Instances were found in your cluster.")
	}
	if !slices.Contains(d.Compatibilities, ecsapi.CompatibilityFargate) {
		return nil, ecsapi.InvalidParameterException("Task definition does not support launch_type FARGATE.")
	}
	return strategy, nil
}

// CheckSettings refuses what Container Insights cannot be.
func CheckSettings(settings []ecsapi.ClusterSetting) error {
	for _, c := range settings {
		if v := aws.Val(c.Value); !slices.Contains([]string{"enabled", "disabled", "enhanced"}, v) {
			return ecsapi.InvalidParameterException("Invalid setting value '%s' for %s. Valid values are: enabled, disabled, enhanced.", v, aws.Val(c.Name))
		}
	}
	return nil
}

// Settings are the settings with those that change.
func Settings(settings, change []ecsapi.ClusterSetting) []ecsapi.ClusterSetting {
	out := []ecsapi.ClusterSetting{{Name: aws.Ptr(ecsapi.ClusterSettingNameContainerInsights), Value: aws.Ptr("disabled")}}
	for _, list := range [][]ecsapi.ClusterSetting{settings, change} {
		for _, c := range list {
			if aws.Val(c.Name) == *out[0].Name && c.Value != nil {
				out[0].Value = c.Value
			}
		}
	}
	return out
}
