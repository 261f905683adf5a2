package cloudformation

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// drawSteps draws a graph without cycles: a step waits for earlier ones only.
func drawSteps(t *rapid.T) []step {
	n := rapid.IntRange(0, 12).Draw(t, "n")
	steps := make([]step, n)
	for i := range steps {
		steps[i].id = fmt.Sprintf("s%02d", i)
		if i > 0 {
			for _, j := range rapid.SliceOfN(rapid.IntRange(0, i-1), 0, 4).Draw(t, "after") {
				steps[i].after = append(steps[i].after, fmt.Sprintf("s%02d", j))
			}
		}
		if rapid.Bool().Draw(t, "elsewhere") {
			steps[i].after = append(steps[i].after, "none")
		}
	}
	return steps
}

// TestWalk runs drawn graphs with steps that end in any order, some badly.
func TestWalk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		steps := drawSteps(t)
		stop := rapid.Bool().Draw(t, "stop")
		w := newWalk(steps, stop)
		after := map[string][]string{}
		for _, s := range steps {
			after[s.id] = s.after
		}
		started, done, failed := map[string]bool{}, map[string]bool{}, map[string]bool{}
		var running []string
		for {
			for _, id := range w.start() {
				if started[id] {
					t.Fatalf("%s starts twice", id)
				}
				if stop && len(failed) > 0 {
					t.Fatalf("%s starts after a failure", id)
				}
				for _, before := range after[id] {
					if _, known := after[before]; known && !done[before] {
						t.Fatalf("%s starts before %s is done", id, before)
					}
				}
				started[id] = true
				running = append(running, id)
			}
			if len(running) == 0 {
				break
			}
			if w.over() {
				t.Fatal("over while steps run")
			}
			i := rapid.IntRange(0, len(running)-1).Draw(t, "ends")
			id := running[i]
			running = append(running[:i], running[i+1:]...)
			ok := rapid.IntRange(0, 9).Draw(t, "ok") > 0
			if ok {
				done[id] = true
			} else {
				failed[id] = true
			}
			w.finish(id, ok)
		}
		if !w.over() {
			t.Fatal("nothing runs, and it is not over")
		}
		if len(failed) == 0 && len(done) != len(steps) {
			t.Fatalf("%d of %d steps are done and none failed", len(done), len(steps))
		}
		if !stop {
			for _, s := range steps {
				free := true
				for _, before := range s.after {
					if _, known := after[before]; known && !done[before] {
						free = false
					}
				}
				if free && !started[s.id] {
					t.Fatalf("%s waits for nothing and did not start", s.id)
				}
			}
		}
	})
}
