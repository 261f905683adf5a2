package ecs

import (
	ecsapi "minato/aws/api/ecs"
)

// invalid is the error of a call that cannot be meant.
func invalid(format string, args ...any) error {
	return ecsapi.InvalidParameterException(format, args...)
}

func clusterNotFound() error { return ecsapi.ClusterNotFoundException("Cluster not found.") }

// notServed is the answer to what ECS can do and minato cannot.
func notServed(what string) error {
	return ecsapi.UnsupportedFeatureException("%s: not served by minato", what)
}

func serviceNotFound() error { return ecsapi.ServiceNotFoundException("Service not found.") }
