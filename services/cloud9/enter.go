package cloud9

import (
	"context"
	"fmt"
	"time"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/internal/clock"
)

// Enter finds an environment of any account by name or id, starts its instance
// if it was stopped, waits until it runs, and returns the instance's id. The
// environment counts as in use until leave is called.
func (s *Service) Enter(ctx context.Context, name string) (instance string, leave func(), err error) {
	e, err := s.named(ctx, name)
	if err != nil {
		return "", nil, err
	}
	s.use(*e.Id, 1)
	defer func() {
		if err != nil {
			s.use(*e.Id, -1)
		}
	}()
	key := s.environments.Key(e.Account, e.Region, *e.Id)
	self := asSelf(ctx, e.Account, e.Region)
	for asked := false; ; {
		e, found, err := s.environments.GetKey(ctx, key)
		switch {
		case err != nil:
			return "", nil, err
		case !found || e.Deleted:
			return "", nil, fmt.Errorf("workspace %s is deleted", name)
		case e.Lifecycle.Reason != nil:
			return "", nil, fmt.Errorf("workspace %s: %s", name, *e.Lifecycle.Reason)
		}
		if e.Instance != "" {
			in, err := s.instance(self, e.Instance)
			if err != nil {
				return "", nil, err
			}
			switch st := stateOf(in); st.name {
			case "running":
				return e.Instance, func() { s.use(*e.Id, -1) }, nil
			case "stopped":
				if !asked {
					if _, err := s.ec2.StartInstances(self, &ec2api.StartInstancesInput{InstanceIds: []string{e.Instance}}); err != nil {
						return "", nil, err
					}
					asked = true
				}
			case "terminated", "shutting-down":
				return "", nil, fmt.Errorf("the instance %s of workspace %s was terminated", e.Instance, name)
			}
		}
		if err := clock.Sleep(ctx, s.clock, poll); err != nil {
			return "", nil, fmt.Errorf("workspace %s does not start: %w", name, err)
		}
	}
}

// named finds an environment by name or id.
func (s *Service) named(ctx context.Context, name string) (*environment, error) {
	all, err := s.environments.List(ctx)
	if err != nil {
		return nil, err
	}
	var found *environment
	for _, e := range all {
		if *e.Id == name {
			return &e, nil
		}
		if aws.Val(e.Name) == name && !e.Deleted {
			if found != nil {
				return nil, fmt.Errorf("there are several workspaces named %s; use an id: %s, %s", name, *found.Id, *e.Id)
			}
			found = &e
		}
	}
	if found == nil {
		return nil, fmt.Errorf("there is no workspace %s", name)
	}
	return found, nil
}

// use counts the open terminals of an environment.
func (s *Service) use(id string, by int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inUse[id] += by
	s.lastUsed[id] = s.clock.Now()
}

// usage tells how an environment is used. After a restart of the daemon the
// time without a terminal begins anew.
func (s *Service) usage(id string) usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.lastUsed[id]
	if last.IsZero() {
		last = s.started
	}
	return usage{open: s.inUse[id], last: last}
}

func (s *Service) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.inUse, id)
	delete(s.lastUsed, id)
}

// Workspace is what `minato status` shows of an environment.
type Workspace struct{ Name, ID, Status, Instance string }

// Workspaces lists the environments of all accounts.
func (s *Service) Workspaces(ctx context.Context) ([]Workspace, error) {
	all, err := s.environments.List(ctx)
	var out []Workspace
	for _, e := range all {
		out = append(out, Workspace{Name: aws.Val(e.Name), ID: *e.Id, Status: e.Status, Instance: e.Instance})
	}
	return out, err
}

// EnterTimeout is how long a terminal waits for a workspace to start.
const EnterTimeout = 60 * time.Second
