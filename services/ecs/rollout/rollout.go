// Package rollout is the record of a service and what follows from it alone: its
// rollouts, which the API calls deployments, the primary one first; what the
// planner (services/ecs/deploy) is told of them and of their tasks; and how the
// service is shown. It is pure.
package rollout

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/aws/arn"
	"minato/internal/ids"
	"minato/services/ecs/deploy"
	"minato/services/ecs/events"
	"minato/services/ecs/shift"
	"minato/services/ecs/view"
)

// Subnet is where a task's interface is.
type Subnet struct{ ID, Zone, VPC, CIDR string }

// In picks a zone's subnets by turns.
func In(subnets []Subnet, zone string, turn int) Subnet {
	var in []Subnet
	for _, s := range subnets {
		if s.Zone == zone {
			in = append(in, s)
		}
	}
	return in[turn%len(in)]
}

// Service is a service. Operations write what is wanted and add rollouts,
// and count every such change in Generation; the reconciler writes what it saw:
// counts, notes, events, and how rollouts fare.
type Service struct {
	ecsapi.Service // Deployments is empty: it is made of Rollouts
	// At is where a moment that is written here lies on the clock as it is now, see
	// clock.Clock; nil leaves it where it is.
	At func(time.Time) time.Time `json:"-"`

	Place      arn.Place
	Cluster    string // name
	Generation int
	// Rollouts are the deployments, the primary one first. An older one stays as
	// long as it has tasks.
	Rollouts []Rollout
	// Stable is the last rollout that was completed: what the circuit breaker
	// goes back to.
	Stable *Rollout `json:",omitempty"`
	// Notes are about tasks, by id, for as long as the task's record exists.
	Notes map[string]Note `json:",omitempty"`
	// Deployment is the id of the last service deployment, which leads to the
	// primary rollout, or back from it.
	Deployment string `json:",omitempty"`
	// Request is a digest of CreateService's input, which makes it idempotent.
	Request string
	// Calm says that the steady state was announced since the last change.
	Calm bool
	// What was announced and lasts: the percentages leave no way, tasks cannot be
	// placed anywhere, zones are being evened out, targets are not taken,
	// tasks that are too many are protected.
	Stuck       bool           `json:",omitempty"`
	Unplaceable bool           `json:",omitempty"`
	Rebalancing bool           `json:",omitempty"`
	Refused     string         `json:",omitempty"` // what was said of it
	Protected   map[string]int `json:",omitempty"` // by rollout
	// ShiftedAt is when the weights of listener rules were changed last.
	ShiftedAt time.Time `json:",omitzero"`
	// Ended is when the service became INACTIVE.
	Ended *time.Time `json:",omitempty"`
}

// Rollout is a deployment with what its tasks are made of.
type Rollout struct {
	ecsapi.Deployment
	Subnets []Subnet
	// LoadBalancers are where its tasks are registered; a later deployment may
	// have others.
	LoadBalancers []ecsapi.LoadBalancer
	// Configured is what the service had for LoadBalancers, where those are the
	// other one of two target groups.
	Configured []ecsapi.LoadBalancer `json:",omitempty"`
	// Images are the images with the digests that their tags had when the
	// deployment began, by container name; a tag that moves later changes
	// nothing.
	Images     map[string]string `json:",omitempty"`
	Failures   int               // tasks that failed in a row
	LastFailed time.Time
	GivenUp    bool // it starts no more tasks
	Checked    bool // containers have health checks
	// SteadyAt is since when it has all its tasks, while alarms are still watched.
	SteadyAt time.Time `json:",omitzero"`
	// Shift is how far it has taken over from the rollout Blue, where traffic is
	// shifted and not rolled.
	Shift *shift.State `json:",omitempty"`
	Blue  string       `json:",omitempty"`
}

// Note is what the reconciler remembers of a task.
type Note struct {
	Retired bool          `json:",omitempty"`
	Reason  deploy.Reason `json:",omitempty"`
	Healthy bool          `json:",omitempty"` // it was, once
	Useful  bool          `json:",omitempty"` // it counted as a start that went well
	Ailing  bool          `json:",omitempty"` // its bad health was announced
	Counted bool          `json:",omitempty"` // its end was looked at
	Group   string        `json:",omitempty"` // the target group whose checks it failed
	Told    bool          `json:",omitempty"` // why it did not start was announced
	Out     bool          `json:",omitempty"` // it has ended and its targets are gone: others may get its address
}

// IDs are the parts of the service's key.
func (r *Service) IDs() []string {
	return []string{r.Place.Account, r.Place.Region, r.Cluster, aws.Val(r.ServiceName)}
}

// Group is the group of the service's tasks.
func (r *Service) Group() string { return GroupPrefix + aws.Val(r.ServiceName) }

// GroupPrefix is what the group of a service's tasks begins with.
const GroupPrefix = "service:"

// Primary is the status of the deployment that counts.
const Primary = "PRIMARY"

// Primary is the rollout that counts; nil once the service is gone.
func (r *Service) Primary() *Rollout {
	if len(r.Rollouts) == 0 {
		return nil
	}
	return &r.Rollouts[0]
}

// Find finds a rollout by its id, which tasks carry in startedBy.
func (r *Service) Find(id string) *Rollout {
	i := slices.IndexFunc(r.Rollouts, func(x Rollout) bool { return aws.Val(x.Id) == id })
	if i < 0 {
		return nil
	}
	return &r.Rollouts[i]
}

// at is At of what has happened.
func (r *Service) at(t time.Time) time.Time {
	if r.At == nil || t.IsZero() {
		return t
	}
	return r.At(t)
}

// Grace is the health-check grace period as configured.
func (r *Service) Grace() time.Duration {
	return time.Duration(aws.Val(r.HealthCheckGracePeriodSeconds)) * time.Second
}

// Balanced tells whether the service is behind a load balancer.
func (r *Service) Balanced() bool { return len(r.LoadBalancers) > 0 }

// deploymentID makes an id such as "ecs-svc/1234567890123456789": 19 digits,
// which fit an int64.
func deploymentID() string { return fmt.Sprintf("ecs-svc/%d", int64(1e18)+rand.Int64N(8e18)) }

// Begin puts a new rollout in front, under its own id if it has one because it
// is an earlier one that comes back; the others are ACTIVE from now on.
func (r *Service) Begin(n Rollout, now *time.Time) {
	n.Shift, n.Blue = nil, ""
	if n.Id == nil {
		r.turn(&n, *now)
	}
	for i := range r.Rollouts {
		r.Rollouts[i].Status = aws.Ptr("ACTIVE")
		r.Rollouts[i].UpdatedAt = now
	}
	if n.Id == nil {
		n.Id, n.CreatedAt = aws.Ptr(deploymentID()), now
	}
	n.Status, n.UpdatedAt = aws.Ptr(Primary), now
	n.RolloutState = aws.Ptr(ecsapi.DeploymentRolloutStateInProgress)
	n.RolloutStateReason = aws.Ptr("ECS deployment " + *n.Id + " in progress.")
	n.DesiredCount, n.PendingCount, n.RunningCount, n.FailedTasks = r.DesiredCount, aws.Ptr[int32](0), aws.Ptr[int32](0), aws.Ptr[int32](0)
	n.Failures, n.LastFailed, n.GivenUp, n.SteadyAt = 0, time.Time{}, false, time.Time{}
	r.Rollouts = append([]Rollout{n}, r.Rollouts...)
	r.Calm, r.Stuck = false, false
}

// Shown is the service as the API answers with it.
func (r *Service) Shown(tags bool) ecsapi.Service {
	out := r.Service
	out.Deployments = []ecsapi.Deployment{}
	for i := range r.Rollouts {
		out.Deployments = append(out.Deployments, r.Rollouts[i].Deployment)
	}
	r.showHistory(&out)
	out.Events = slices.Clone(r.Events)
	view.Service(&out)
	if !tags {
		out.Tags = nil
	}
	return out
}

// keptEvents is how many events a service shows.
const keptEvents = 100

// Say adds an event in front.
func (r *Service) Say(now time.Time, e events.Event) {
	r.Events = append([]ecsapi.ServiceEvent{{Id: aws.Ptr(ids.UUID()), CreatedAt: &now, Message: aws.Ptr(e.Message(aws.Val(r.ServiceName)))}}, r.Events...)
	r.Events = r.Events[:min(len(r.Events), keptEvents)]
}
