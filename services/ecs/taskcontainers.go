package ecs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	"minato/dataplane/container"
	"minato/services/ecs/spec"
)

const defaultStopTimeout = 30 * time.Second

// specOf is what the task's containers need to know of it.
func (s *Service) specOf(t *taskRecord) *spec.Task {
	x := &spec.Task{
		Group: t.group(), Netns: s.Network.NetnsPath(t.ENI), Hostname: hostName(t), Address: t.Address, Labels: map[string]string{"task": *t.TaskArn},
		CPU: aws.Val(t.Cpu), Memory: aws.Val(t.Memory), Region: t.Place.Region, Endpoint: s.Endpoint, CredentialsID: t.CredentialsID, Overrides: t.Overrides,
	}
	if s.VolumesDir != "" {
		x.Volumes = filepath.Join(s.VolumesDir, t.ID)
	}
	return x
}

// hostName is "ip-10-0-2-15.us-east-1.compute.internal", as the interface's
// private name says.
func hostName(t *taskRecord) string {
	for _, d := range t.Attachments[0].Details {
		if aws.Val(d.Name) == "privateDnsName" {
			return aws.Val(d.Value)
		}
	}
	return t.ID
}

// startContainers makes and starts containers; one that cannot start is noted.
func (s *Service) startContainers(ctx context.Context, t *taskRecord, d *taskDefinitionRecord, names []string) error {
	for _, name := range names {
		spec, err := s.containerOf(t, d, name)
		if err == nil {
			err = s.Runtime.Ensure(ctx, spec)
		}
		if err == nil {
			err = s.Runtime.Start(ctx, spec.ID)
		}
		if errors.Is(err, container.ErrStart) {
			_, text, _ := strings.Cut(err.Error(), container.ErrStart.Error()+": ")
			reason := "CannotStartContainerError: Error response from daemon: " + text
			return s.change(ctx, t, func(t *taskRecord) {
				if t.Failed == nil {
					t.Failed = map[string]string{}
				}
				t.Failed[name] = reason
				c := t.containerOf(name)
				c.LastStatus, c.Reason = aws.Ptr(taskStopped), &reason
			})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// containerOf translates a container of the task definition for the runtime,
// with the directories of the task's volumes made.
func (s *Service) containerOf(t *taskRecord, d *taskDefinitionRecord, name string) (container.Container, error) {
	def := &d.ContainerDefinitions[slices.IndexFunc(d.ContainerDefinitions, func(c ecsapi.ContainerDefinition) bool { return *c.Name == name })]
	c := s.specOf(t).Container(def, t.containerOf(name))
	for _, m := range c.Mounts {
		if m.Source == "" {
			continue
		}
		if err := os.MkdirAll(m.Source, 0o755); err != nil {
			return c, err
		}
	}
	return c, nil
}

// stopInBackground stops a container: its stop signal, and after its time-out
// SIGKILL. It outlasts a reconcile; after a restart it is begun again.
func (s *Service) stopInBackground(t *taskRecord, d *taskDefinitionRecord, name string) {
	timeout := defaultStopTimeout
	for _, c := range d.ContainerDefinitions {
		if *c.Name == name && c.StopTimeout != nil {
			timeout = time.Duration(*c.StopTimeout) * time.Second
		}
	}
	id := *t.containerOf(name).RuntimeId
	s.once("stop "+id, func(ctx context.Context) {
		if err := s.Runtime.Stop(ctx, id, 0, timeout); err != nil && ctx.Err() == nil {
			s.Log.Warn("a container does not stop", "container", id, "error", err)
		}
	})
}

// once runs f in the background unless it runs already, and wakes nobody: what f
// waits for does.
func (s *Service) once(what string, f func(ctx context.Context)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy[what] || s.bgCtx.Err() != nil {
		return
	}
	s.busy[what] = true
	s.bg.Go(func() {
		f(s.bgCtx)
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.busy, what)
	})
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
