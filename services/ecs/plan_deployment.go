package ecs

import (
	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	elbapi "minato/aws/api/elbv2"
	"minato/services/ecs/deploy"
	"minato/services/ecs/rollout"
)

// targetStateOf is what ELB says of a target.
func targetStateOf(h *elbapi.TargetHealth) deploy.TargetState {
	return deploy.StateOf(aws.Val(h.State), aws.Val(h.Reason), aws.Val(h.Description))
}

// stopping tells whether a task was told to stop, or stops, or has stopped.
func stopping(t *taskRecord) bool {
	switch aws.Val(t.LastStatus) {
	case taskDeactivating, taskStopping, taskDeprovisioning, taskStopped:
		return true
	}
	return t.Stop != nil || aws.Val(t.DesiredStatus) == taskStopped
}

// seen is a task of a service as its rollouts see it.
func (t *taskRecord) seen() *rollout.Task {
	out := &rollout.Task{
		ID: t.ID, Deployment: aws.Val(t.StartedBy), Zone: t.Subnet.Zone, Address: t.Address,
		Running: aws.Val(t.LastStatus) == taskRunning, Stopping: stopping(t),
		Created: aws.Val(t.CreatedAt), Started: aws.Val(t.StartedAt), Ended: aws.Val(t.StoppingAt), Health: aws.Val(t.HealthStatus),
		Protected: t.ProtectedUntil,
	}
	out.ByUser = t.Stop != nil && t.Stop.Code == ecsapi.TaskStopCodeUserInitiated
	if t.StartedAt == nil && aws.Val(t.LastStatus) == taskStopped && aws.Val(t.StopCode) == ecsapi.TaskStopCodeTaskFailedToStart {
		out.Unstarted = aws.Val(t.StoppedReason)
	}
	if out.Ended.IsZero() {
		out.Ended = aws.Val(t.StoppedAt)
	}
	return out
}
