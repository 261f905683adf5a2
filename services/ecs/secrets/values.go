package secrets

import (
	"context"
	"slices"
	"sync"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
)

// Environment is what a task's containers get besides what their definitions
// say, by the container's name: NAME=value.
type Environment map[string][]string

// Environment gets the values of all containers' secrets. The order of asking
// is that of the task definition, so that of two that are wrong the first is
// always the one that is told.
func (r *Resolver) Environment(ctx context.Context, containers []ecsapi.ContainerDefinition) (Environment, error) {
	out := Environment{}
	for i := range containers {
		c := &containers[i]
		for _, s := range c.Secrets {
			v, err := r.Value(ctx, aws.Val(s.ValueFrom))
			if err != nil {
				return nil, err
			}
			out[aws.Val(c.Name)] = append(out[aws.Val(c.Name)], aws.Val(s.Name)+"="+v)
		}
	}
	return out, nil
}

// Wanted tells whether containers ask for any secrets.
func Wanted(containers []ecsapi.ContainerDefinition) bool {
	return slices.ContainsFunc(containers, func(c ecsapi.ContainerDefinition) bool { return len(c.Secrets) > 0 })
}

// Held are the values of tasks that are about to start, by the task's id. They
// are in no record: after a restart they are asked for anew.
type Held struct {
	mu    sync.Mutex
	tasks map[string]Environment
}

// Get returns a task's values, if they were got.
func (h *Held) Get(task string) (Environment, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e, ok := h.tasks[task]
	return e, ok
}

// Put keeps a task's values until Drop.
func (h *Held) Put(task string, e Environment) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tasks == nil {
		h.tasks = map[string]Environment{}
	}
	h.tasks[task] = e
}

// Drop forgets a task's values: all its containers were made, or none will be.
func (h *Held) Drop(task string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.tasks, task)
}
