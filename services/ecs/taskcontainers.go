package ecs

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"minato/aws"
	"minato/dataplane/container"
	"minato/services/ecs/spec"
)

const defaultStopTimeout = 30 * time.Second

// specOf is what the task's containers need to know of it.
func (s *Service) specOf(t *taskRecord, d *taskDefinitionRecord) *spec.Task {
	x := &spec.Task{
		Group: t.group(), Netns: s.Network.NetnsPath(t.ENI), Hostname: hostName(t), Address: t.Address, Labels: map[string]string{"task": *t.TaskArn},
		CPU: aws.Val(t.Cpu), Memory: aws.Val(t.Memory), Region: t.Place.Region, Endpoint: s.Endpoint, CredentialsID: t.CredentialsID, Overrides: t.Overrides,
	}
	if s.VolumesDir != "" {
		x.Volumes = filepath.Join(s.VolumesDir, t.ID)
	}
	x.FileSystems, x.ImageVolumes, x.Definition = s.FileSystemsDir, t.ImageVolumes, &d.TaskDefinition
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

// containerOf translates a container of the task definition for the runtime,
// with the directories of the task's volumes made.
func (s *Service) containerOf(ctx context.Context, t *taskRecord, d *taskDefinitionRecord, name string) (container.Container, error) {
	c := s.specOf(t, d).Container(containerNamed(&d.TaskDefinition, name), t.containerOf(name))
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
func (s *Service) stopInBackground(t *taskRecord, d *taskDefinitionRecord, name string) {
	timeout := defaultStopTimeout
	if c := containerNamed(&d.TaskDefinition, name); c != nil && c.StopTimeout != nil {
		timeout = time.Duration(*c.StopTimeout) * time.Second
	}
	id := *t.containerOf(name).RuntimeId
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
