package ecs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/controller"
	"minato/dataplane/container"
	"minato/services/ecs/awsvpc"
	"minato/services/ecs/exec"
	"minato/services/ecs/failure"
	"minato/services/ecs/life"
	"minato/services/ecs/record"
)

// taskLoop reconciles tasks.
type taskLoop struct{ s *Service }

// Keys implements controller.Reconciler.
func (l *taskLoop) Keys(ctx context.Context) ([]string, error) {
	keys, err := l.s.tasks.Keys(ctx)
	if err != nil {
		return nil, err
	}
	// Groups of containers whose task is gone (a crash while it was forgotten)
	// have a key too: Reconcile removes them.
	groups, err := l.s.Runtime.Groups(ctx)
	for _, g := range groups {
		if ids, ok := record.TaskOfGroup(g); ok {
			keys = append(keys, l.s.tasks.Key(ids...))
		}
	}
	return keys, err
}

// maxSteps bounds the steps of one run; a task has about ten in its life and some
// for each container.
const maxSteps = 60

// retryTask is how soon a step that failed by a fault of ours is tried again.
const retryTask = time.Second

// Reconcile implements controller.Reconciler.
func (l *taskLoop) Reconcile(ctx context.Context, key string) (controller.Result, error) {
	for range maxSteps {
		t, found, err := l.s.tasks.GetKey(ctx, key)
		if err != nil {
			return controller.Result{}, err
		}
		if !found {
			return controller.Result{}, l.sweep(ctx, key)
		}
		d, found, err := l.s.definition(ctx, t.Place, *t.TaskDefinitionArn)
		if err != nil {
			return controller.Result{}, err
		}
		if !found {
			// Deleted meanwhile: what runs runs on, and needs it no more than this.
			d.TaskDefinition = ecsapi.TaskDefinition{}
		}
		o, err := l.s.observe(ctx, &t, &d)
		if err != nil {
			return controller.Result{}, err
		}
		if l.s.showContainers(&t, &d.TaskDefinition, o) {
			if err := l.s.change(ctx, &t, func(x *record.Task) { l.s.showContainers(x, &d.TaskDefinition, o) }); err != nil {
				return controller.Result{}, err
			}
			continue
		}
		next := life.Plan(l.s.lifeOf(&t, &d.TaskDefinition, o), l.s.Clock.Now())
		if next.Action == life.Nothing {
			return controller.Result{After: next.After}, nil
		}
		if wait, err := l.s.take(ctx, next, &t, &d); err != nil || wait {
			return controller.Result{}, err
		}
	}
	return controller.Result{After: retryTask}, nil
}

// sweep removes the containers of a task that is gone.
func (l *taskLoop) sweep(ctx context.Context, key string) error {
	ids := l.s.tasks.IDs(key)
	if len(ids) != 3 {
		return nil
	}
	return l.s.Runtime.DeleteGroup(ctx, ids[2]+"-"+ids[0]+"-"+ids[1])
}

// change writes what became of a task.
func (s *Service) change(ctx context.Context, t *record.Task, f func(t *record.Task)) error {
	_, err := s.tasks.Update(ctx, func(x *record.Task) error {
		f(x)
		x.Version = aws.Ptr(aws.Val(x.Version) + 1)
		return nil
	}, t.IDs()...)
	return err
}

// fail writes that a task cannot start, and why; unless it is to end already.
func (s *Service) fail(ctx context.Context, t *record.Task, f *failure.Error) error {
	s.Log.Info("a task fails to start", "task", t.ID, "reason", f.Reason, "cause", f.Cause)
	return s.change(ctx, t, func(x *record.Task) {
		x.End(record.Stop{Code: ecsapi.TaskStopCodeTaskFailedToStart, Reason: f.Reason, At: *s.now()})
	})
}

// take takes a step. wait says that there is nothing more to do until something
// changes.
func (s *Service) take(ctx context.Context, st life.Step, t *record.Task, d *record.TaskDefinition) (wait bool, err error) {
	err = s.act(ctx, st, t, d)
	var f *failure.Error
	if errors.As(err, &f) {
		return false, s.fail(ctx, t, f)
	}
	return st.Action == life.StopContainers, err
}

func (s *Service) act(ctx context.Context, st life.Step, t *record.Task, d *record.TaskDefinition) error {
	select {
	case s.working <- struct{}{}:
		defer func() { <-s.working }()
	case <-ctx.Done():
		return ctx.Err()
	}
	switch st.Action {
	case life.MakeInterface:
		eni, err := awsvpc.Create(own(ctx, t.Place), s.EC2, t)
		if err != nil {
			return awsvpc.Failed(t, err)
		}
		return s.change(ctx, t, func(t *record.Task) { t.Attach(eni) })
	case life.AwaitInterface:
		return s.awaitInterface(ctx, t)
	case life.Prepare:
		return s.prepare(ctx, t, d)
	case life.StartContainers:
		return s.startContainers(ctx, t, d, st.Containers)
	case life.GiveUp:
		return s.neverStarts(ctx, t, st.Containers[0], st.Reason, aws.Ptr[int32](life.DependencyExitCode))
	case life.RestartContainers:
		return s.restartContainers(ctx, t, st.Containers)
	case life.Activate:
		s.held.Drop(t.ID) // every container was made
		return s.setStatus(ctx, t, life.Activating, nil)
	case life.BecomeRunning:
		return s.setStatus(ctx, t, life.Running, func(t *record.Task) { t.StartedAt = s.now() })
	case life.EndOfEssential:
		return s.change(ctx, t, func(t *record.Task) {
			stop := record.Stop{Code: ecsapi.TaskStopCodeEssentialContainerExited, Reason: "Essential container in task exited", At: *s.now()}
			if t.Failed[st.Containers[0]] != "" && t.StartedAt == nil {
				stop.Code, stop.Reason = ecsapi.TaskStopCodeTaskFailedToStart, "Task failed to start"
			}
			t.End(stop)
		})
	case life.BeginStop:
		return s.beginStop(ctx, t)
	case life.StopContainers:
		for _, name := range st.Containers {
			s.stopInBackground(t, d, name)
		}
		return nil
	case life.Deprovision:
		return s.setStatus(ctx, t, life.Deprovisioning, func(t *record.Task) { t.ExecutionStoppedAt = s.now() })
	case life.Release:
		return s.release(ctx, t)
	case life.Forget:
		return s.forget(ctx, t)
	}
	return nil
}

// waiting does a part of a step that waits, for minutes perhaps, for what is outside
// of this machine. It lets other tasks work meanwhile, and ends when the task is to.
func (s *Service) waiting(ctx context.Context, t *record.Task, f func(ctx context.Context) error) error {
	<-s.working
	defer func() { s.working <- struct{}{} }()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go s.watchForStop(ctx, t, cancel)
	err := f(ctx)
	if err != nil && errors.Is(context.Cause(ctx), errStopped) {
		return failure.Of(err, "%v", errStopped) // never shown: the reason of the stop is there already
	}
	return err
}

// stopPoll is how often a task that waits looks whether it is to end meanwhile.
const stopPoll = time.Second

// errStopped ends the waiting of a task that is to end.
var errStopped = errors.New("the task was stopped while it was being started")

func (s *Service) watchForStop(ctx context.Context, t *record.Task, cancel context.CancelCauseFunc) {
	for sleep(ctx, stopPoll) == nil {
		now, found, err := s.tasks.ReadKey(ctx, s.tasks.Key(t.IDs()...))
		if err == nil && (!found || now.Stop != nil) {
			cancel(errStopped)
			return
		}
	}
}

func (s *Service) setStatus(ctx context.Context, t *record.Task, status string, more func(t *record.Task)) error {
	return s.change(ctx, t, func(t *record.Task) {
		t.LastStatus = &status
		if more != nil {
			more(t)
		}
	})
}

// interfaceTimeout is how long a network interface may take to become real.
const interfaceTimeout = 3 * time.Minute

func (s *Service) awaitInterface(ctx context.Context, t *record.Task) error {
	if err := awsvpc.AssignPublicAddress(own(ctx, t.Place), s.EC2, t); err != nil {
		return awsvpc.Failed(t, err)
	}
	ctx, cancel := context.WithTimeout(ctx, interfaceTimeout)
	defer cancel()
	err := s.waiting(ctx, t, func(ctx context.Context) error { return s.Network.Wait(ctx, t.ENI) })
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return failure.Of(err, "Timeout waiting for network interface provisioning to complete.")
		}
		return err
	}
	return s.setStatus(ctx, t, life.Pending, func(t *record.Task) {
		t.Connectivity, t.ConnectivityAt = aws.Ptr(ecsapi.ConnectivityConnected), s.now()
	})
}

// beginStop shows why a task ends; one that runs is DEACTIVATING first.
func (s *Service) beginStop(ctx context.Context, t *record.Task) error {
	status := life.Stopping
	if aws.Val(t.LastStatus) == life.Running {
		status = life.Deactivating
	}
	return s.setStatus(ctx, t, status, func(t *record.Task) {
		t.StopCode, t.StoppedReason = &t.Stop.Code, &t.Stop.Reason
		if t.StoppingAt == nil {
			t.StoppingAt = s.now()
		}
	})
}

// release takes back what a task had.
func (s *Service) release(ctx context.Context, t *record.Task) error {
	s.forgetTask(t)
	if err := s.Runtime.DeleteGroup(ctx, t.RuntimeGroup()); err != nil {
		return err
	}
	if t.ENI != "" {
		if err := awsvpc.Delete(own(ctx, t.Place), s.EC2, t); err != nil {
			return err
		}
	}
	if s.VolumesDir != "" {
		if err := os.RemoveAll(filepath.Join(s.VolumesDir, t.ID)); err != nil {
			return err
		}
	}
	return s.setStatus(ctx, t, life.Stopped, func(t *record.Task) {
		t.StoppedAt = s.now()
		t.Attachments[0].Status = aws.Ptr("DELETED")
		for i := range t.Containers {
			t.Containers[i].LastStatus = aws.Ptr(life.Stopped)
			if t.Containers[i].ExitCode == nil && t.Containers[i].Reason == nil {
				t.Containers[i].HealthStatus = aws.Ptr(ecsapi.HealthStatusUnknown)
			}
		}
	})
}

// forget removes a task's record, and before that lets go of images that no other
// task has used for as long: until then they start without being unpacked again.
func (s *Service) forget(ctx context.Context, t *record.Task) error {
	others, err := s.tasks.ReadAll(ctx)
	if err != nil {
		return err
	}
	used := map[string]bool{"": true}
	for i := range others {
		if x := &others[i]; aws.Val(x.LastStatus) == life.Stopped && s.Clock.Now().Sub(aws.Val(x.StoppedAt)) >= life.Retention {
			continue // forgotten too, perhaps at the same time
		}
		for _, c := range others[i].Containers {
			used[aws.Val(c.ImageDigest)] = true
		}
	}
	for _, c := range t.Containers {
		if digest := aws.Val(c.ImageDigest); !used[digest] {
			if err := s.Runtime.ReleaseImage(ctx, digest); err != nil {
				return err
			}
		}
	}
	return s.tasks.Delete(ctx, t.IDs()...)
}

// observe looks at a task's containers, and keeps their log forwarders going.
func (s *Service) observe(ctx context.Context, t *record.Task, d *record.TaskDefinition) (*observation, error) {
	o := &observation{containers: map[string]container.Status{}}
	switch aws.Val(t.LastStatus) {
	case life.Provisioning, life.Deprovisioning, life.Stopped:
		return o, nil
	}
	for i := range t.Containers {
		c := &t.Containers[i]
		status, err := s.Runtime.Get(ctx, *c.RuntimeId)
		if errors.Is(err, container.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		o.containers[*c.Name] = status
		if status.State == container.Created {
			continue
		}
		s.checkHealth(t, &d.TaskDefinition, *c.Name, status)
		if status.State == container.Running {
			s.watchStorage(t)
		}
		if s.forwardLogs(t, d, *c.Name, status) {
			o.logging = true
		}
	}
	return o, nil
}

// showContainers writes into a task what is seen of its containers; it reports
// whether that is news.
func (s *Service) showContainers(t *record.Task, d *ecsapi.TaskDefinition, o *observation) bool {
	news := false
	alive := s.lifeOf(t, d, o)
	for i := range t.Containers {
		c := &t.Containers[i]
		seen, ok := o.containers[*c.Name]
		if !ok || t.Failed[*c.Name] != "" || t.Stop == nil && alive.Containers[i].WillRestart() {
			continue
		}
		want := life.Pending
		switch seen.State {
		case container.Running:
			want = life.Running
		case container.Ended:
			want = life.Stopped
		}
		if aws.Val(c.LastStatus) == want {
			continue
		}
		news = true
		c.LastStatus = &want
		exec.ShowAgent(c, readOnlyRoot(d, *c.Name), *s.now())
		if want == life.Stopped {
			c.ExitCode = aws.Ptr(int32(seen.ExitCode))
			switch {
			case seen.OOMKilled:
				c.Reason = aws.Ptr("OutOfMemoryError: Container killed due to memory usage")
			case seen.Reason != "":
				c.Reason = aws.Ptr("ContainerRuntimeError: " + seen.Reason)
			}
		}
	}
	if health := taskHealth(t, d); aws.Val(t.HealthStatus) != health {
		t.HealthStatus, news = &health, true
	}
	return news
}
