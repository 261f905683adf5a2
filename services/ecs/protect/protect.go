// Package protect is task scale-in protection in ECS's words: how long a task of
// a service is kept from being scaled in or replaced, which tasks can be, and
// what is answered. It is pure; the scheduler honours it in package deploy.
package protect

import (
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
)

// Limits of ECS.
const (
	maxUpdate      = 10
	maxGet         = 100
	defaultMinutes = 120
	maxMinutes     = 2880
)

// Why a task cannot be protected: a Failure's reason, and its detail for people.
const (
	missing = "MISSING"
	invalid = "TASK_NOT_VALID"
	blocked = "DEPLOYMENT_BLOCKED"

	notOfService = "The specified task is not part of an Amazon ECS service. Only tasks that are part of a service can be protected."
	notRunning   = "The specified task is stopping or has stopped."
	byProtected  = "Task protection can't be set because one or more previously protected tasks prevent the deployment of the service from reaching a steady state."
)

// CheckGet checks how many tasks GetTaskProtection is asked about.
func CheckGet(tasks []string) error { return checkTasks(tasks, maxGet) }

// Until checks an UpdateTaskProtection and returns until when its tasks are
// protected from now on; the zero time for not at all.
func Until(in *ecsapi.UpdateTaskProtectionInput, now time.Time) (time.Time, error) {
	if err := checkTasks(in.Tasks, maxUpdate); err != nil {
		return time.Time{}, err
	}
	minutes := int32(defaultMinutes)
	if in.ExpiresInMinutes != nil {
		minutes = *in.ExpiresInMinutes
	}
	if minutes < 1 || minutes > maxMinutes {
		return time.Time{}, ecsapi.InvalidParameterException("expiresInMinutes must be between 1 and %d.", maxMinutes)
	}
	if !aws.Val(in.ProtectionEnabled) {
		return time.Time{}, nil
	}
	// Whole seconds, as it is shown.
	return now.Add(time.Duration(minutes) * time.Minute).Truncate(time.Second), nil
}

func checkTasks(tasks []string, most int) error {
	switch {
	case len(tasks) == 0:
		return ecsapi.InvalidParameterException("Tasks cannot be empty.")
	case len(tasks) > most:
		return ecsapi.InvalidParameterException("Tasks can not have more than %d elements.", most)
	}
	return nil
}

// Task is what decides whether a task can be protected.
type Task struct {
	Found     bool
	OfService bool
	Stopping  bool
	Blocked   bool // see Blocked
}

// Failure is why the protection of a task cannot be read, nil if it can.
func (t Task) Failure(arn string) *ecsapi.Failure {
	switch {
	case !t.Found:
		return &ecsapi.Failure{Arn: &arn, Reason: aws.Ptr(missing)}
	case !t.OfService:
		return &ecsapi.Failure{Arn: &arn, Reason: aws.Ptr(invalid), Detail: aws.Ptr(notOfService)}
	case t.Stopping:
		return &ecsapi.Failure{Arn: &arn, Reason: aws.Ptr(invalid), Detail: aws.Ptr(notRunning)}
	}
	return nil
}

// Denied is why a task cannot be given or kept from protection, nil if it can.
func (t Task) Denied(arn string, enable bool) *ecsapi.Failure {
	if f := t.Failure(arn); f != nil || !enable || !t.Blocked {
		return f
	}
	return &ecsapi.Failure{Arn: &arn, Reason: aws.Ptr(blocked), Detail: aws.Ptr(byProtected)}
}

// Shown is a task's protection as it is answered.
func Shown(arn string, until, now time.Time) ecsapi.ProtectedTask {
	out := ecsapi.ProtectedTask{TaskArn: &arn, ProtectionEnabled: aws.Ptr(false)}
	if now.Before(until) {
		out.ProtectionEnabled, out.ExpirationDate = aws.Ptr(true), &until
	}
	return out
}

// Member is a task of a service, as far as Blocked asks.
type Member struct {
	Primary bool // of the newest deployment
	Running bool
	Until   time.Time // protected until then
}

// Blocked tells whether a service's deployment waits for nothing but protected
// tasks of older deployments: its own tasks run, as many as wanted.
func Blocked(members []Member, desired int, now time.Time) bool {
	running, waits := 0, false
	for _, m := range members {
		switch {
		case m.Primary && m.Running:
			running++
		case !m.Primary && now.Before(m.Until):
			waits = true
		case !m.Primary:
			return false // others are still to go
		}
	}
	return waits && running >= desired
}
