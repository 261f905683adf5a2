package ecs

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
	"minato/store"
)

// serviceRecord is a service. Operations write what is wanted and add rollouts,
// and count every such change in Generation; the reconciler writes what it saw:
// counts, notes, events, and how rollouts fare.
type serviceRecord struct {
	ecsapi.Service // Deployments is empty: it is made of Rollouts

	Place      arn.Place
	Cluster    string // name
	Generation int
	// Rollouts are the deployments, the primary one first. An older one stays as
	// long as it has tasks.
	Rollouts []rollout
	// Stable is the last rollout that was completed: what the circuit breaker
	// goes back to.
	Stable *rollout `json:",omitempty"`
	// Notes are about tasks, by id, for as long as the task's record exists.
	Notes map[string]note `json:",omitempty"`
	// Request is a digest of CreateService's input, which makes it idempotent.
	Request string
	// Calm says that the steady state was announced since the last change.
	Calm bool
	// Stuck says that the percentages were found to leave no way, and announced.
	Stuck bool `json:",omitempty"`
	// Ended is when the service became INACTIVE.
	Ended *time.Time `json:",omitempty"`
}

// rollout is a deployment with what its tasks are made of.
type rollout struct {
	ecsapi.Deployment
	Subnets []taskSubnet
	// Images are the images with the digests that their tags had when the
	// deployment began, by container name; a tag that moves later changes
	// nothing.
	Images     map[string]string `json:",omitempty"`
	Failures   int               // tasks that failed in a row
	LastFailed time.Time
	GivenUp    bool // by the circuit breaker
	Checked    bool // containers have health checks
}

// note is what the reconciler remembers of a task.
type note struct {
	Retired bool          `json:",omitempty"`
	Reason  deploy.Reason `json:",omitempty"`
	Healthy bool          `json:",omitempty"` // it was, once
	Useful  bool          `json:",omitempty"` // it counted as a start that went well
	Ailing  bool          `json:",omitempty"` // its bad health was announced
	Counted bool          `json:",omitempty"` // its end was looked at
	Told    bool          `json:",omitempty"` // why it did not start was announced
}

// serviceDraining is the status of a service whose tasks are being stopped.
const serviceDraining = "DRAINING"

// serviceKept is how long an INACTIVE service can still be described: waiters
// and Terraform look for it.
const serviceKept = time.Hour

// services is the table of services; below the region the keys are the
// cluster's and the service's name.
func (s *Service) services() store.Table[serviceRecord] {
	return store.NewTable[serviceRecord](s.Store, "ecs/service")
}

func (r *serviceRecord) ids() []string {
	return []string{r.Place.Account, r.Place.Region, r.Cluster, aws.Val(r.ServiceName)}
}

// group is the group of the service's tasks.
func (r *serviceRecord) group() string { return groupOfService(aws.Val(r.ServiceName)) }

func groupOfService(name string) string { return "service:" + name }

// primary is the rollout that counts; nil once the service is gone.
func (r *serviceRecord) primary() *rollout {
	if len(r.Rollouts) == 0 {
		return nil
	}
	return &r.Rollouts[0]
}

// rollout finds a rollout by its id, which tasks carry in startedBy.
func (r *serviceRecord) rollout(id string) *rollout {
	i := slices.IndexFunc(r.Rollouts, func(x rollout) bool { return aws.Val(x.Id) == id })
	if i < 0 {
		return nil
	}
	return &r.Rollouts[i]
}

// grace is the health-check grace period as configured.
func (r *serviceRecord) grace() time.Duration {
	return time.Duration(aws.Val(r.HealthCheckGracePeriodSeconds)) * time.Second
}

// balanced tells whether the service is behind a load balancer.
func (r *serviceRecord) balanced() bool { return len(r.LoadBalancers) > 0 }

// deploymentID makes an id such as "ecs-svc/1234567890123456789": 19 digits,
// which fit an int64.
func deploymentID() string { return fmt.Sprintf("ecs-svc/%d", int64(1e18)+rand.Int64N(8e18)) }

// begin puts a new rollout in front; the others are ACTIVE from now on.
func (r *serviceRecord) begin(n rollout, now *time.Time) {
	for i := range r.Rollouts {
		r.Rollouts[i].Status = aws.Ptr(statusActive)
		r.Rollouts[i].UpdatedAt = now
	}
	n.Id, n.Status = aws.Ptr(deploymentID()), aws.Ptr("PRIMARY")
	n.CreatedAt, n.UpdatedAt = now, now
	n.RolloutState = aws.Ptr(ecsapi.DeploymentRolloutStateInProgress)
	n.RolloutStateReason = aws.Ptr("ECS deployment " + *n.Id + " in progress.")
	n.DesiredCount, n.PendingCount, n.RunningCount, n.FailedTasks = r.DesiredCount, aws.Ptr[int32](0), aws.Ptr[int32](0), aws.Ptr[int32](0)
	n.Failures, n.LastFailed, n.GivenUp = 0, time.Time{}, false
	r.Rollouts = append([]rollout{n}, r.Rollouts...)
	r.Calm, r.Stuck = false, false
}

// shown is the service as the API answers with it.
func (r *serviceRecord) shown(tags bool) ecsapi.Service {
	out := r.Service
	out.Deployments = []ecsapi.Deployment{}
	for i := range r.Rollouts {
		out.Deployments = append(out.Deployments, r.Rollouts[i].Deployment)
	}
	out.Events = slices.Clone(r.Events)
	if out.Events == nil {
		out.Events = []ecsapi.ServiceEvent{}
	}
	if !tags {
		out.Tags = nil
	}
	return out
}

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
