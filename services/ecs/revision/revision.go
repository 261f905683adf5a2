// Package revision keeps the history of a service: its revisions, which are what
// its tasks were to be made of, and its service deployments, each of which leads
// from some revisions to one. It is pure: records in, records out.
//
//	PENDING ──> IN_PROGRESS ──> SUCCESSFUL
//	                 │
//	                 ├── failed, or StopServiceDeployment; a revision to go back to:
//	                 │   (ROLLBACK_REQUESTED ──>) ROLLBACK_IN_PROGRESS ──> ROLLBACK_SUCCESSFUL
//	                 │                                     └── failed ──> ROLLBACK_FAILED
//	                 ├── failed, or ABORT: (STOP_REQUESTED ──>) STOPPED
//	                 └── a newer deployment began, or the service was deleted: STOPPED
package revision

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/aws/arn"
)

// Kept is how long a finished service deployment can be looked up.
const Kept = 90 * 24 * time.Hour

// Record is a service revision as it is stored.
type Record struct{ ecsapi.ServiceRevision }

// Deployment is a service deployment as it is stored.
type Deployment struct {
	ecsapi.ServiceDeployment
	// Asked is what StopServiceDeployment was called for and the scheduler has
	// not done yet: a StopServiceDeploymentStopType.
	Asked string `json:",omitempty"`
}

// Of is the id of the revision of a rollout: the number of "ecs-svc/123".
func Of(rollout string) string { return strings.TrimPrefix(rollout, "ecs-svc/") }

// NewID makes the id of a service deployment: 21 letters, as AWS's.
func NewID() string {
	b := make([]byte, 16)
	rand.Read(b) // never fails
	return base64.RawURLEncoding.EncodeToString(b)[:21]
}

// IDs takes the ARN of a revision or service deployment apart, which is of kind
// "service-revision" or "service-deployment": cluster, service and id.
func IDs(kind, text string) (a arn.ARN, ids [3]string, ok bool) {
	a, ok = arn.Parse(text)
	if !ok || a.Service != "ecs" || a.Kind() != kind {
		return a, ids, false
	}
	parts := strings.Split(a.Resource, "/")
	if len(parts) != 4 || slices.Contains(parts, "") {
		return a, ids, false
	}
	return a, [3]string(parts[1:]), true
}

// Ongoing tells whether a service deployment is under way.
func (d *Deployment) Ongoing() bool {
	switch aws.Val(d.Status) {
	case ecsapi.ServiceDeploymentStatusSuccessful, ecsapi.ServiceDeploymentStatusStopped,
		ecsapi.ServiceDeploymentStatusRollbackSuccessful, ecsapi.ServiceDeploymentStatusRollbackFailed, "":
		return false
	}
	return true
}

// RollingBack tells whether it is on its way back.
func (d *Deployment) RollingBack() bool {
	return aws.Val(d.Status) == ecsapi.ServiceDeploymentStatusRollbackInProgress
}

// Start says that the scheduler has taken it up.
func (d *Deployment) Start(now time.Time) {
	if aws.Val(d.Status) == ecsapi.ServiceDeploymentStatusPending {
		d.set(ecsapi.ServiceDeploymentStatusInProgress, now)
		d.StartedAt = &now
	}
}

func (d *Deployment) set(status string, now time.Time) {
	d.Status, d.UpdatedAt = &status, &now
}

// Ask notes what StopServiceDeployment is called for. One that is on its way
// back already goes on.
func (d *Deployment) Ask(kind string, now time.Time) {
	switch status := aws.Val(d.Status); {
	case status == ecsapi.ServiceDeploymentStatusRollbackInProgress, d.Asked != "":
		return
	case kind == ecsapi.StopServiceDeploymentStopTypeAbort:
		d.set(ecsapi.ServiceDeploymentStatusStopRequested, now)
	default:
		d.set(ecsapi.ServiceDeploymentStatusRollbackRequested, now)
	}
	d.Asked = kind
}

// Monitoring tells whether alarms can end it.
func (d *Deployment) Monitoring() bool {
	return d.Alarms != nil && aws.Val(d.Alarms.Status) == ecsapi.ServiceDeploymentRollbackMonitorsStatusMonitoring && aws.Val(d.Status) == ecsapi.ServiceDeploymentStatusInProgress
}

// Ignore leaves its alarms alone: they were raised when it began, and it may be
// what makes them end.
func (d *Deployment) Ignore() {
	a := *d.Alarms
	a.Status, d.Alarms = aws.Ptr(ecsapi.ServiceDeploymentRollbackMonitorsStatusDisabled), &a
}

// Cause is why a service deployment does not go on.
type Cause struct {
	Breaker bool     // the circuit breaker tripped
	Alarms  []string // these alarms are raised
	Text    string   // the cause in ECS's words, without its beginning
}

// The causes that name nothing.
var (
	Tripped = Cause{Breaker: true, Text: "the circuit breaker threshold was exceeded."}
	Stopped = Cause{Text: "of a StopServiceDeployment request."}
	Newer   = Cause{Text: "a newer service deployment was started."}
	Deleted = Cause{Text: "the service was deleted."}
)

// Networking is the cause of listener rules that cannot be what they have to be.
func Networking(text string) Cause {
	return Cause{Text: "of invalid networking configuration. " + text}
}

// Alarmed is the cause of raised alarms.
func Alarmed(names []string) Cause {
	return Cause{Alarms: names, Text: "the alarm(s) " + strings.Join(names, ", ") + " went into ALARM state."}
}

func (d *Deployment) blame(c Cause) {
	if b := d.DeploymentCircuitBreaker; b != nil && c.Breaker {
		x := *b
		x.Status = aws.Ptr(ecsapi.ServiceDeploymentRollbackMonitorsStatusTriggered)
		d.DeploymentCircuitBreaker = &x
	}
	if a := d.Alarms; a != nil && len(c.Alarms) > 0 {
		x := *a
		x.Status, x.TriggeredAlarmNames = aws.Ptr(ecsapi.ServiceDeploymentRollbackMonitorsStatusTriggered), c.Alarms
		d.Alarms = &x
	}
}

// RollBack sends it back to a revision.
func (d *Deployment) RollBack(to string, c Cause, now time.Time) {
	d.Asked = ""
	d.blame(c)
	d.set(ecsapi.ServiceDeploymentStatusRollbackInProgress, now)
	reason := "Service deployment rolled back because " + c.Text
	d.StatusReason = &reason
	d.Rollback = &ecsapi.Rollback{Reason: &reason, StartedAt: &now, ServiceRevisionArn: &to}
}

// Fail ends it where it is: without a way back, or on it.
func (d *Deployment) Fail(c Cause, now time.Time) {
	if !d.Ongoing() {
		return
	}
	d.Asked = ""
	d.blame(c)
	if d.RollingBack() {
		d.set(ecsapi.ServiceDeploymentStatusRollbackFailed, now)
		d.StatusReason = aws.Ptr("Service deployment rollback failed because " + c.Text)
	} else {
		d.set(ecsapi.ServiceDeploymentStatusStopped, now)
		d.StatusReason = aws.Ptr("Service deployment stopped because " + c.Text)
		d.StoppedAt = &now
	}
	d.end(now)
}

// Finish says that what it leads to is all there is.
func (d *Deployment) Finish(now time.Time) {
	switch {
	case !d.Ongoing():
		return
	case d.RollingBack():
		d.set(ecsapi.ServiceDeploymentStatusRollbackSuccessful, now)
	default:
		d.set(ecsapi.ServiceDeploymentStatusSuccessful, now)
	}
	d.end(now)
}

func (d *Deployment) end(now time.Time) {
	d.FinishedAt, d.LifecycleStage = &now, nil
	complete := aws.Ptr(ecsapi.ServiceDeploymentRollbackMonitorsStatusMonitoringComplete)
	if b := d.DeploymentCircuitBreaker; b != nil && aws.Val(b.Status) == ecsapi.ServiceDeploymentRollbackMonitorsStatusMonitoring {
		x := *b
		x.Status, d.DeploymentCircuitBreaker = complete, &x
	}
	if a := d.Alarms; a != nil && aws.Val(a.Status) == ecsapi.ServiceDeploymentRollbackMonitorsStatusMonitoring {
		x := *a
		x.Status, d.Alarms = complete, &x
	}
}

// Count is how many tasks of a revision there are, and how much of the traffic
// it is to have where traffic is shifted, in percent.
type Count struct {
	Requested, Running, Pending int32
	Production, Test            *float64
}

// Show writes down how many tasks the revisions have, by their ARNs, and how
// often a task has failed in a row.
func (d *Deployment) Show(counts map[string]Count, failures, threshold int) {
	d.SourceServiceRevisions = slices.Clone(d.SourceServiceRevisions)
	for i, s := range d.SourceServiceRevisions {
		d.SourceServiceRevisions[i] = show(s, counts)
	}
	if t := d.TargetServiceRevision; t != nil {
		d.TargetServiceRevision = aws.Ptr(show(*t, counts))
	}
	if b := d.DeploymentCircuitBreaker; b != nil && aws.Val(b.Status) == ecsapi.ServiceDeploymentRollbackMonitorsStatusMonitoring {
		x := *b
		x.FailureCount, x.Threshold = aws.Ptr(int32(failures)), aws.Ptr(int32(threshold))
		d.DeploymentCircuitBreaker = &x
	}
}

func show(s ecsapi.ServiceRevisionSummary, counts map[string]Count) ecsapi.ServiceRevisionSummary {
	c := counts[aws.Val(s.Arn)]
	s.RequestedProductionTrafficWeight, s.RequestedTestTrafficWeight = c.Production, c.Test
	s.RequestedTaskCount, s.RunningTaskCount, s.PendingTaskCount = &c.Requested, &c.Running, &c.Pending
	return s
}

// New is the service deployment that leads from revisions to one, by their ARNs.
func New(s *ecsapi.Service, p arn.Place, cluster string, sources []string, target string, threshold int, now time.Time) Deployment {
	d := Deployment{ServiceDeployment: ecsapi.ServiceDeployment{
		ServiceDeploymentArn: aws.Ptr(p.Of("ecs", "service-deployment/"+cluster+"/"+aws.Val(s.ServiceName)+"/"+NewID())),
		ServiceArn:           s.ServiceArn, ClusterArn: s.ClusterArn, CreatedAt: &now, UpdatedAt: &now,
		Status:                aws.Ptr(ecsapi.ServiceDeploymentStatusPending),
		TargetServiceRevision: &ecsapi.ServiceRevisionSummary{Arn: &target}, SourceServiceRevisions: []ecsapi.ServiceRevisionSummary{},
		DeploymentConfiguration:  s.DeploymentConfiguration,
		DeploymentCircuitBreaker: &ecsapi.ServiceDeploymentCircuitBreaker{Status: aws.Ptr(ecsapi.ServiceDeploymentRollbackMonitorsStatusDisabled)},
		Alarms:                   &ecsapi.ServiceDeploymentAlarms{Status: aws.Ptr(ecsapi.ServiceDeploymentRollbackMonitorsStatusDisabled)},
	}}
	for _, source := range sources {
		d.SourceServiceRevisions = append(d.SourceServiceRevisions, ecsapi.ServiceRevisionSummary{Arn: &source})
	}
	c := s.DeploymentConfiguration
	if b := c.DeploymentCircuitBreaker; b != nil && aws.Val(b.Enable) {
		d.DeploymentCircuitBreaker.Status = aws.Ptr(ecsapi.ServiceDeploymentRollbackMonitorsStatusMonitoring)
		d.DeploymentCircuitBreaker.Threshold = aws.Ptr(int32(threshold))
		d.DeploymentCircuitBreaker.FailureCount = aws.Ptr[int32](0)
	}
	if a := c.Alarms; a != nil && aws.Val(a.Enable) {
		d.Alarms.Status, d.Alarms.AlarmNames = aws.Ptr(ecsapi.ServiceDeploymentRollbackMonitorsStatusMonitoring), a.AlarmNames
	}
	return d
}

// ID is the last part of its ARN.
func (d *Deployment) ID() string {
	_, ids, _ := IDs("service-deployment", aws.Val(d.ServiceDeploymentArn))
	return ids[2]
}

// Brief is how ListServiceDeployments shows it.
func (d *Deployment) Brief() ecsapi.ServiceDeploymentBrief {
	out := ecsapi.ServiceDeploymentBrief{
		ServiceDeploymentArn: d.ServiceDeploymentArn, ServiceArn: d.ServiceArn, ClusterArn: d.ClusterArn,
		CreatedAt: d.CreatedAt, StartedAt: d.StartedAt, FinishedAt: d.FinishedAt, Status: d.Status, StatusReason: d.StatusReason,
	}
	if d.TargetServiceRevision != nil {
		out.TargetServiceRevisionArn = d.TargetServiceRevision.Arn
	}
	return out
}

// Filter keeps the deployments that a list is asked for, the newest first.
func Filter(all []Deployment, in *ecsapi.ListServiceDeploymentsInput) []Deployment {
	out := slices.DeleteFunc(slices.Clone(all), func(d Deployment) bool {
		at := aws.Val(d.CreatedAt)
		return len(in.Status) > 0 && !slices.Contains(in.Status, aws.Val(d.Status)) ||
			in.CreatedAt != nil && (in.CreatedAt.After != nil && !at.After(*in.CreatedAt.After) || in.CreatedAt.Before != nil && !at.Before(*in.CreatedAt.Before))
	})
	slices.SortFunc(out, func(a, b Deployment) int {
		return cmp.Or(aws.Val(b.CreatedAt).Compare(aws.Val(a.CreatedAt)), cmp.Compare(aws.Val(a.ServiceDeploymentArn), aws.Val(b.ServiceDeploymentArn)))
	})
	return out
}

// Expired are the ids of the deployments, and of the revisions, that nobody needs
// any more: finished for long enough, and of no rollout that is still there.
func Expired(deployments []Deployment, revisions []Record, needed []string, now time.Time) (oldDeployments, oldRevisions []string) {
	wanted := map[string]bool{}
	for _, id := range needed {
		wanted[id] = true
	}
	for i := range deployments {
		d := &deployments[i]
		if !d.Ongoing() && now.Sub(aws.Val(d.FinishedAt)) >= Kept {
			oldDeployments = append(oldDeployments, d.ID())
			continue
		}
		if d.TargetServiceRevision != nil {
			wanted[idOf(d.TargetServiceRevision.Arn)] = true
		}
		for _, s := range d.SourceServiceRevisions {
			wanted[idOf(s.Arn)] = true
		}
	}
	for i := range revisions {
		if id := idOf(revisions[i].ServiceRevisionArn); !wanted[id] && now.Sub(aws.Val(revisions[i].CreatedAt)) >= Kept {
			oldRevisions = append(oldRevisions, id)
		}
	}
	return oldDeployments, oldRevisions
}

func idOf(text *string) string {
	_, ids, _ := IDs("service-revision", aws.Val(text))
	return ids[2]
}
