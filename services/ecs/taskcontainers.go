package ecs

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"minato/aws"
	"minato/dataplane/container"
	"minato/services/ecs/definition"
	"minato/services/ecs/record"
	"minato/services/ecs/spec"
)

const defaultStopTimeout = 30 * time.Second

// specOf is what the task's containers need to know of it.
func (s *Service) specOf(t *record.Task, d *record.TaskDefinition) *spec.Task {
	x := &spec.Task{
		Group: t.RuntimeGroup(), Netns: s.Network.NetnsPath(t.ENI), Hostname: t.HostName(), Address: t.Address, Labels: map[string]string{"task": *t.TaskArn},
		CPU: aws.Val(t.Cpu), Memory: aws.Val(t.Memory), Region: t.Place.Region, Endpoint: s.Endpoint, Endpoints: s.Ways.Variables(t.Subnet.VPC), CredentialsID: t.CredentialsID, Overrides: t.Overrides,
	}
	if s.VolumesDir != "" {
		x.Volumes = filepath.Join(s.VolumesDir, t.ID)
	}
	x.FileSystems, x.ImageVolumes, x.Definition = s.FileSystemsDir, t.ImageVolumes, &d.TaskDefinition
	return x
}

// containerOf translates a container of the task definition for the runtime,
// with the directories of the task's volumes made.
func (s *Service) containerOf(ctx context.Context, t *record.Task, d *record.TaskDefinition, name string) (container.Container, error) {
	c := s.specOf(t, d).Container(definition.Container(&d.TaskDefinition, name), t.Container(name))
	env, err := s.environmentOf(ctx, t, d, nil)
	if err != nil {
		return c, err
	}
	c.Env = append(c.Env, env[name]...)
	for _, m := range c.Mounts {
		if !m.Seed {
			continue // a tmpfs, or a directory of a file system
		}
		if err := os.MkdirAll(m.Source, 0o755); err != nil {
			return c, err
		}
	}
	return c, nil
}

// stopInBackground stops a container: its stop signal, and after its time-out
// SIGKILL. It outlasts a reconcile; after a restart it is begun again.
func (s *Service) stopInBackground(t *record.Task, d *record.TaskDefinition, name string) {
	timeout := defaultStopTimeout
	if c := definition.Container(&d.TaskDefinition, name); c != nil && c.StopTimeout != nil {
		timeout = time.Duration(*c.StopTimeout) * time.Second
	}
	id := *t.Container(name).RuntimeId
	s.once("stop "+id, func(ctx context.Context) {
		if err := s.Runtime.Stop(ctx, id, 0, timeout); err != nil && ctx.Err() == nil {
			s.Log.Warn("a container does not stop", "container", id, "error", err)
		}
	})
}

// once runs f in the background unless it runs already, and then what follows;
// it wakes nobody by itself.
func (s *Service) once(what string, f func(ctx context.Context), then ...func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy[what] || s.bgCtx.Err() != nil {
		return
	}
	s.busy[what] = true
	s.bg.Go(func() {
		f(s.bgCtx)
		s.mu.Lock()
		delete(s.busy, what)
		s.mu.Unlock()
		for _, g := range then {
			g()
		}
	})
}
