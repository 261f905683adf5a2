package ecs

import (
	"fmt"
	"strings"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/internal/ids"
)

// keptEvents is how many events a service shows.
const keptEvents = 100

// say adds an event in front; ECS begins each with the service's name.
func (r *serviceRecord) say(now time.Time, format string, args ...any) {
	e := ecsapi.ServiceEvent{
		Id: aws.Ptr(ids.UUID()), CreatedAt: &now,
		Message: aws.Ptr("(service " + aws.Val(r.ServiceName) + ") " + fmt.Sprintf(format, args...)),
	}
	r.Events = append([]ecsapi.ServiceEvent{e}, r.Events...)
	r.Events = r.Events[:min(len(r.Events), keptEvents)]
}

// taskNames lists tasks as events do.
func taskNames(tasks []string) string {
	parts := make([]string, len(tasks))
	for i, t := range tasks {
		parts[i] = "(task " + t + ")"
	}
	return strings.Join(parts, " ")
}

func startedText(tasks []string) string {
	return fmt.Sprintf("has started %d tasks: %s.", len(tasks), taskNames(tasks))
}

func stoppedText(tasks []string) string {
	return fmt.Sprintf("has stopped %d running tasks: %s.", len(tasks), taskNames(tasks))
}

func registeredText(n int, group string) string {
	return fmt.Sprintf("registered %d targets in (target-group %s).", n, group)
}

func deregisteredText(n int, group string) string {
	return fmt.Sprintf("deregistered %d targets in (target-group %s).", n, group)
}

func drainingText(n int) string {
	return fmt.Sprintf("has begun draining connections on %d tasks.", n)
}

func unhealthyText(port int32, group, reason string) string {
	return fmt.Sprintf("(port %d) is unhealthy in (target-group %s) due to (reason %s).", port, group, strings.TrimSuffix(reason, "."))
}

func failedTargetText(group string) string {
	return fmt.Sprintf("Task failed ELB health checks in (target-group %s)", group)
}

// scaledText is what a task is stopped for that is one too many.
func scaledText(deployment string) string {
	return "Scaling activity initiated by (deployment " + deployment + ")"
}

// The texts without parts that change.
const (
	steadyText          = "has reached a steady state."
	inconsistentText    = "is unable to consistently start tasks successfully."
	stuckText           = "was unable to stop or start tasks during a deployment because of the service deployment configuration. Update the minimumHealthyPercent or maximumPercent value and try again."
	failedContainerText = "Task failed container health checks"
)
