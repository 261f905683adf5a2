// Package events is what ECS says about a service and why it stops a task, word
// for word. Every event of a service begins with its name, which is not in these
// texts.
package events

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The texts without parts that change.
const (
	Steady          = "has reached a steady state."
	Inconsistent    = "is unable to consistently start tasks successfully."
	Stuck           = "was unable to stop or start tasks during a deployment because of the service deployment configuration. Update the minimumHealthyPercent or maximumPercent value and try again."
	FailedContainer = "Task failed container health checks"
	NoInstances     = "was unable to place a task because no container instance met all of its requirements. Reason: No Container Instances were found in your cluster. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."
)

// Event is what is said of a service or, where there is a task set, of one of its
// deployments.
type Event struct{ TaskSet, Text string }

// Message is the event as a service of a name shows it.
func (e Event) Message(service string) string {
	if e.TaskSet != "" {
		service += ", taskSet " + e.TaskSet
	}
	return "(service " + service + ") " + e.Text
}

// names lists tasks.
func names(tasks []string) string {
	parts := make([]string, len(tasks))
	for i, t := range tasks {
		parts[i] = "(task " + t + ")"
	}
	return strings.Join(parts, " ")
}

// Started tells of new tasks; zone is that of one that evens out the zones.
func Started(tasks []string, zone string) string {
	return fmt.Sprintf("has started %d tasks%s: %s.", len(tasks), evening(zone), names(tasks))
}

// Stopped tells of tasks that were told to stop; zone is that of one that evens
// out the zones.
func Stopped(tasks []string, zone string) string {
	return fmt.Sprintf("has stopped %d running tasks%s: %s.", len(tasks), evening(zone), names(tasks))
}

func evening(zone string) string {
	if zone == "" {
		return ""
	}
	return " in " + zone + " to AZ Rebalance"
}

// Zones tells how many tasks each zone has, and whether that is even.
func Zones(tasks map[string]int, even bool) string {
	var parts []string
	for _, zone := range slices.Sorted(maps.Keys(tasks)) {
		parts = append(parts, fmt.Sprintf("%d tasks in %s", tasks[zone], zone))
	}
	if even {
		return "is AZ balanced with " + strings.Join(parts, ", ") + "."
	}
	return "is not AZ balanced with " + strings.Join(parts, ", ") + ". AZ Rebalancing in progress."
}

// Unplaced tells why a task did not come to run.
func Unplaced(reason string) string {
	return "was unable to place a task. Reason: " + strings.TrimSuffix(reason, ".") + "."
}

// Registered tells of new targets in a target group; the text has no full stop.
func Registered(n int, group string) string {
	return fmt.Sprintf("registered %d targets in (target-group %s)", n, group)
}

// NotRegistered tells what the load balancer said of targets that it does not take.
func NotRegistered(group, why string) string {
	return fmt.Sprintf("failed to register targets in (target-group %s) with (error %s)", group, why)
}

// Deregistered tells of targets taken out of one.
func Deregistered(n int, group string) string {
	return fmt.Sprintf("deregistered %d targets in (target-group %s)", n, group)
}

// Draining tells of a deployment that requests in flight are waited for.
func Draining(n int) string {
	return fmt.Sprintf("has begun draining connections on %d tasks.", n)
}

// Protected tells of a deployment that tasks which are too many are protected; the
// text has no full stop.
func Protected(n int) string {
	return fmt.Sprintf("was unable to scale in due to (reason %d tasks under protection)", n)
}

// Unhealthy tells that a target failed its checks.
func Unhealthy(port int32, group, reason string) string {
	return fmt.Sprintf("(port %d) is unhealthy in (target-group %s) due to (reason %s).", port, group, strings.TrimSuffix(reason, "."))
}

// Completed tells that a deployment is done.
func Completed(deployment string) string {
	return "(deployment " + deployment + ") deployment completed."
}

// GivenUp is how it is told that a deployment was given up: of the deployment,
// of where the service goes back to, and by the event.
type GivenUp struct{ reason, back, event string }

// The ways in which a deployment is given up.
var (
	Tripped    = GivenUp{"ECS deployment circuit breaker: tasks failed to start.", "ECS deployment circuit breaker: rolling back to deploymentId ", "tasks failed to start"}
	Alarmed    = GivenUp{"ECS deployment failed: alarm detected.", "ECS deployment alarm detected: rolling back to deploymentId ", "alarm detected"}
	Networking = GivenUp{"ECS deployment failed: invalid networking configuration.", "ECS deployment failed: rolling back to deploymentId ", "invalid networking configuration"}
	Asked      = GivenUp{"ECS deployment stopped: StopServiceDeployment was called.", "ECS deployment stopped: rolling back to deploymentId ", "stopped by StopServiceDeployment"}
)

// Reason is the rolloutStateReason of the deployment.
func (g GivenUp) Reason() string { return g.reason }

// RollingBack is the rolloutStateReason of the deployment that comes back.
func (g GivenUp) RollingBack(deployment string) string { return g.back + deployment + "." }

// Failed is the event.
func (g GivenUp) Failed(deployment string) string {
	return "(deployment " + deployment + ") deployment failed: " + g.event + "."
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
