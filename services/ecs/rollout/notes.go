package rollout

import (
	"time"

	"minato/aws"
	"minato/services/ecs/deploy"
	"minato/services/ecs/events"
)

// inconsistent is how many failures in a row make a service say that it cannot
// start tasks.
const inconsistent = 3

// Notice takes down what is seen of the tasks: who has become healthy, who is not
// any more, who ended without having been of use. It returns what ECS says of it.
func (r *Service) Notice(tasks []*Task, h deploy.Health, grace time.Duration, now time.Time) (said []string) {
	notes := map[string]Note{}
	for _, t := range tasks {
		n := r.Notes[t.ID]
		said = append(said, r.noticeHealth(t, &n, h, grace, now)...)
		said = append(said, r.noticeEnd(t, &n, now)...)
		if n != (Note{}) {
			notes[t.ID] = n
		}
	}
	r.Notes = notes
	return said
}

// noticeHealth looks at a task that lives.
func (r *Service) noticeHealth(t *Task, n *Note, h deploy.Health, grace time.Duration, now time.Time) (said []string) {
	if t.Stopping || n.Retired {
		return nil
	}
	x := r.Observed(t, h)
	if r.Serves(x) {
		n.Ailing = false
		n.Healthy = true
		// Where nobody checks, only lasting tells that a task has started well.
		// It counts once: others may go on failing beside it.
		d := r.Find(t.Deployment)
		if d != nil && !n.Useful && (r.Balanced() || d.Checked || now.Sub(x.Started) >= ShortLife) {
			n.Useful = true
			d.Failures = 0
		}
		return nil
	}
	if x.Target != deploy.TargetUnhealthy || n.Ailing || now.Before(t.Started.Add(grace)) {
		return nil
	}
	n.Ailing = true
	for _, target := range r.TargetsOf(t) {
		if s := h[target]; s.State == deploy.TargetUnhealthy {
			said = append(said, events.Unhealthy(target.Port, target.Group, s.Reason))
		}
	}
	return said
}

// noticeEnd looks at a task that ends, once.
func (r *Service) noticeEnd(t *Task, n *Note, now time.Time) (said []string) {
	if !t.Stopping {
		return nil
	}
	d := r.Find(t.Deployment)
	if !n.Counted && (n.Retired || t.Started.IsZero() || !t.Ended.IsZero()) {
		n.Counted = true
		if d != nil && !t.ByUser && n.Failed(t, r.Balanced() || d.Checked) {
			d.Failures++
			d.LastFailed = now
			if d.Failures == inconsistent {
				said = append(said, events.Inconsistent)
			}
		}
	}
	if !n.Told && t.Unstarted != "" {
		n.Told = true
		said = append(said, events.Unplaced(t.Unstarted))
	}
	return said
}

// Serves tells whether a task does what it is there for.
func (r *Service) Serves(x deploy.Task) bool {
	return x.Running && (x.Container == deploy.None || x.Container == deploy.Healthy) && (!r.Balanced() || x.Bare || x.Target == deploy.TargetHealthy)
}

// Healthy is how many healthy tasks a rollout has.
func (r *Service) Healthy(deployment string, tasks []*Task, h deploy.Health) (n int) {
	for _, t := range tasks {
		if x := r.Observed(t, h); x.Deployment == deployment && !x.Stopping && !x.Retired && r.Serves(x) {
			n++
		}
	}
	return n
}

// Tally counts the tasks of the service and of each rollout, with those that were
// started just now. A task behind a load balancer runs, for ECS, once its targets
// are registered.
func (r *Service) Tally(tasks []*Task, h deploy.Health, started map[string]int32) {
	running, pending := map[string]int32{}, map[string]int32{}
	var allRunning, allPending int32
	for _, t := range tasks {
		x := r.Observed(t, h)
		switch {
		case t.Stopping:
		case x.Running && (!r.Balanced() || x.Bare || x.Target != deploy.Absent || x.Retired):
			running[t.Deployment]++
			allRunning++
		default:
			pending[t.Deployment]++
			allPending++
		}
	}
	for id, n := range started {
		pending[id] += n
		allPending += n
	}
	for i := range r.Rollouts {
		d := &r.Rollouts[i]
		id := aws.Val(d.Id)
		d.RunningCount, d.PendingCount, d.FailedTasks = aws.Ptr(running[id]), aws.Ptr(pending[id]), aws.Ptr(int32(d.Failures))
	}
	r.RunningCount, r.PendingCount = &allRunning, &allPending
}
