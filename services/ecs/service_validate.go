package ecs

import (
	ecsapi "minato/aws/api/ecs"
)

func invalid(format string, args ...any) error {
	return ecsapi.InvalidParameterException(format, args...)
}
