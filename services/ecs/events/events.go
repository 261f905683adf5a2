// Package events is what ECS says about a service and why it stops a task, word
// for word. Every event of a service begins with "(service NAME) ", which is not
// in these texts.
package events

import (
	"fmt"
	"strings"
)

// The texts without parts that change.
const (
	Steady          = "has reached a steady state."
	Inconsistent    = "is unable to consistently start tasks successfully."
	Stuck           = "was unable to stop or start tasks during a deployment because of the service deployment configuration. Update the minimumHealthyPercent or maximumPercent value and try again."
	FailedContainer = "Task failed container health checks"
)

// names lists tasks.
func names(tasks []string) string {
	parts := make([]string, len(tasks))
	for i, t := range tasks {
		parts[i] = "(task " + t + ")"
	}
	return strings.Join(parts, " ")
}

// Started tells of new tasks.
func Started(tasks []string) string {
	return fmt.Sprintf("has started %d tasks: %s.", len(tasks), names(tasks))
}

// Stopped tells of tasks that were told to stop.
func Stopped(tasks []string) string {
	return fmt.Sprintf("has stopped %d running tasks: %s.", len(tasks), names(tasks))
}

// Unplaced tells why a task did not come to run.
func Unplaced(reason string) string {
	return "was unable to place a task. Reason: " + strings.TrimSuffix(reason, ".") + "."
}

// Registered tells of new targets in a target group.
func Registered(n int, group string) string {
	return fmt.Sprintf("registered %d targets in (target-group %s).", n, group)
}

// Deregistered tells of targets taken out of a target group.
func Deregistered(n int, group string) string {
	return fmt.Sprintf("deregistered %d targets in (target-group %s).", n, group)
}

// Draining tells that requests in flight are waited for.
func Draining(n int) string {
	return fmt.Sprintf("has begun draining connections on %d tasks.", n)
}

// Unhealthy tells that a target failed its checks.
func Unhealthy(port int32, group, reason string) string {
	return fmt.Sprintf("(port %d) is unhealthy in (target-group %s) due to (reason %s).", port, group, strings.TrimSuffix(reason, "."))
}

// Completed tells that a deployment is done.
func Completed(deployment string) string {
	return "(deployment " + deployment + ") deployment completed."
}

// Failed tells that a deployment was given up.
func Failed(deployment string) string {
	return "(deployment " + deployment + ") deployment failed: tasks failed to start."
}

// RollingBack tells where a service goes back to.
func RollingBack(deployment string) string {
	return "rolling back to deployment " + deployment + "."
}

// FailedTarget is what a task is stopped for whose target failed its checks.
func FailedTarget(group string) string {
	return "Task failed ELB health checks in (target-group " + group + ")"
}

// Scaled is what a task is stopped for that is one too many.
func Scaled(deployment string) string {
	return "Scaling activity initiated by (deployment " + deployment + ")"
}
