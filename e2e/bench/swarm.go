package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// swarmAddress is where the swarm's only node says it is: on the loopback of
// dockerd's own network namespace.
const swarmAddress = "127.0.0.1"

// swarm measures the same rollout of six tasks with Docker Swarm, start-first,
// in turns with minato's.
func (b *bench) swarm(ctx context.Context) error {
	const name = "rollout_6_seconds_over_swarm"
	w, err := b.shared(ctx)
	if err != nil {
		return err
	}
	if _, err := w.front(ctx, 6); err != nil {
		return err
	}
	d, err := b.docker(ctx)
	if err != nil {
		b.leave("%s: %v", name, err)
		return w.noFront(ctx)
	}
	defer d.stop()
	s, err := d.swarm(ctx)
	if err != nil {
		b.leave("%s: %v", name, err)
		return w.noFront(ctx)
	}
	defer s.remove()
	var ours, together, byOne []float64
	for range rolloutRounds {
		o, err := w.rollOnce(ctx, 6)
		if err != nil {
			return err
		}
		t, err := s.roll(ctx, 0)
		if err != nil {
			return err
		}
		one, err := s.roll(ctx, 1)
		if err != nil {
			return err
		}
		ours, together, byOne = append(ours, o.Seconds()), append(together, t.Seconds()), append(byOne, one.Seconds())
	}
	b.add("rollout_6_quiet_seconds", median(ours), 2)
	b.add("swarm_6_seconds", median(together), 2)
	b.add("swarm_6_one_by_one_seconds", median(byOne), 2)
	b.add(name, median(ours)/median(together), 2)
	return w.noFront(ctx)
}

// swarm is a service of six tasks in a swarm of one node.
type swarm struct {
	*docker
	id string
}

const swarmTasks = 6

func (d *docker) swarm(ctx context.Context) (*swarm, error) {
	if err := d.post(ctx, "/swarm/init", map[string]any{"ListenAddr": swarmAddress + ":2377", "AdvertiseAddr": swarmAddress}, nil); err != nil {
		return nil, err
	}
	var made struct{ ID string }
	if err := d.post(ctx, "/services/create", d.spec(0, 0), &made); err != nil {
		return nil, err
	}
	s := &swarm{d, made.ID}
	return s, until(ctx, 60*time.Second, "the swarm's tasks run", func() (bool, error) {
		running, _, err := s.tasks(ctx)
		return len(running) == swarmTasks, err
	})
}

// spec is the service. As minato's tasks have one, each container has an address
// of its own; nothing is published.
func (d *docker) spec(parallelism, force int) map[string]any {
	return map[string]any{
		"Name":         "rolled",
		"Mode":         map[string]any{"Replicated": map[string]any{"Replicas": swarmTasks}},
		"TaskTemplate": map[string]any{"ContainerSpec": map[string]any{"Image": "answer:latest"}, "ForceUpdate": force},
		"UpdateConfig": map[string]any{"Parallelism": parallelism, "Order": "start-first"},
	}
}

func (d *docker) post(ctx context.Context, path string, in, out any) error {
	b, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return d.call(ctx, http.MethodPost, path, "application/json", bytes.NewReader(b), out)
}

// tasks are the running ones, and how many others the swarm has not stopped yet.
func (s *swarm) tasks(ctx context.Context) (running []string, others int, err error) {
	var tasks []struct {
		ID     string
		Status struct{ State string }
	}
	filter := url.Values{"filters": {`{"service":["rolled"]}`}}
	if err := s.call(ctx, http.MethodGet, "/tasks?"+filter.Encode(), "", nil, &tasks); err != nil {
		return nil, 0, err
	}
	for _, t := range tasks {
		switch t.Status.State {
		case "running":
			running = append(running, t.ID)
		case "complete", "shutdown", "failed", "rejected", "orphaned", "remove":
		default:
			others++
		}
	}
	return running, others, nil
}

// roll forces an update and waits until six other tasks run and no more: what
// the swarm then still watches for is not counted.
func (s *swarm) roll(ctx context.Context, parallelism int) (time.Duration, error) {
	// An update that is still watched would end the next one's.
	if err := until(ctx, 60*time.Second, "the swarm's last update is complete", func() (bool, error) {
		_, state, err := s.inspect(ctx)
		return state == "" || state == "completed", err
	}); err != nil {
		return 0, err
	}
	old, _, err := s.tasks(ctx)
	if err != nil {
		return 0, err
	}
	version, _, err := s.inspect(ctx)
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	if err := s.post(ctx, fmt.Sprintf("/services/%s/update?version=%d", s.id, version), s.spec(parallelism, version), nil); err != nil {
		return 0, err
	}
	err = until(ctx, 60*time.Second, "the swarm's new tasks run", func() (bool, error) {
		running, others, err := s.tasks(ctx)
		stays := slices.ContainsFunc(running, func(id string) bool { return slices.Contains(old, id) })
		return len(running) == swarmTasks && others == 0 && !stays, err
	})
	return time.Since(begin), err
}

func (s *swarm) inspect(ctx context.Context) (version int, updating string, err error) {
	var out struct {
		Version      struct{ Index int }
		UpdateStatus struct{ State string }
	}
	err = s.call(ctx, http.MethodGet, "/services/"+s.id, "", nil, &out)
	return out.Version.Index, out.UpdateStatus.State, err
}

// remove takes the service's containers away, before dockerd ends.
func (s *swarm) remove() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	// What stays goes with dockerd's data; its processes must not.
	_ = s.call(ctx, http.MethodDelete, "/services/"+s.id, "", nil, nil)
	_ = until(ctx, 20*time.Second, "the swarm's tasks are gone", func() (bool, error) {
		var left []struct{ ID string }
		err := s.call(ctx, http.MethodGet, "/containers/json?all=1", "", nil, &left)
		return len(left) == 0 && err == nil, err
	})
	_ = s.call(ctx, http.MethodPost, "/swarm/leave?force=1", "", nil, nil)
}
