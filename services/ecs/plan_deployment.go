package ecs

import (
	"minato/aws"
	elbapi "minato/aws/api/elbv2"
	"minato/services/ecs/deploy"
)

// targetStateOf is what ELB says of a target.
func targetStateOf(h *elbapi.TargetHealth) deploy.TargetState {
	return deploy.StateOf(aws.Val(h.State), aws.Val(h.Reason), aws.Val(h.Description))
}
