package cloudformation

import "sort"

// step is one piece of work of an operation with one resource.
type step struct {
	id    string   // the resource's logical id
	after []string // steps that must be done before; ids of no step count as done
}

// walk is the order in which steps may run: each after those it waits for, all
// others at the same time. It is pure; run asks it what to start and tells it
// what came of it.
type walk struct {
	waiting map[string]map[string]bool // step → the steps it still waits for
	waits   map[string][]string        // step → the steps that wait for it
	running map[string]bool
	failed  map[string]bool
	// stop is set for operations that end at the first failure; else only what
	// waits for the failed step is left undone.
	stop bool
}

// newWalk plans the steps.
func newWalk(steps []step, stopAtFailure bool) *walk {
	w := &walk{waiting: map[string]map[string]bool{}, waits: map[string][]string{}, running: map[string]bool{}, failed: map[string]bool{}, stop: stopAtFailure}
	for _, s := range steps {
		w.waiting[s.id] = map[string]bool{}
	}
	for _, s := range steps {
		for _, before := range s.after {
			if w.waiting[before] != nil && before != s.id && !w.waiting[s.id][before] {
				w.waiting[s.id][before] = true
				w.waits[before] = append(w.waits[before], s.id)
			}
		}
	}
	return w
}

// start returns the steps that can begin now, in order, and counts them as
// running.
func (w *walk) start() []string {
	if w.stop && len(w.failed) > 0 {
		return nil
	}
	var now []string
	for id, before := range w.waiting {
		if len(before) == 0 {
			now = append(now, id)
		}
	}
	sort.Strings(now)
	for _, id := range now {
		delete(w.waiting, id)
		w.running[id] = true
	}
	return now
}

// finish notes the end of a running step.
func (w *walk) finish(id string, ok bool) {
	delete(w.running, id)
	if !ok {
		w.failed[id] = true
		return
	}
	for _, next := range w.waits[id] {
		delete(w.waiting[next], id)
	}
}

// over tells whether nothing runs any more; what is still waiting never will.
func (w *walk) over() bool { return len(w.running) == 0 }
