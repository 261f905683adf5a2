package secretsmanager

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestStages: over any history of new versions and moved labels, a label is on
// one version, AWSCURRENT never gets lost, and what was current before is
// AWSPREVIOUS.
func TestStages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := stages{}
		var versions []string
		label := rapid.SampledFrom([]string{current, previous, "AWSPENDING", "blue", "green"})
		for step := range rapid.IntRange(1, 30).Draw(t, "steps") {
			before, was := maps.Clone(s), s.holder(current)
			if len(versions) == 0 || rapid.Bool().Draw(t, "add") {
				id := fmt.Sprintf("v%d", step)
				labels := rapid.SliceOfNDistinct(label, 0, 3, rapid.ID[string]).Draw(t, "labels")
				if slices.Contains(labels, current) && slices.Contains(labels, previous) {
					continue
				}
				first := was == ""
				if first && slices.Contains(labels, previous) {
					continue
				}
				if err := s.add(id, labels); err != nil {
					t.Fatal(err)
				}
				versions = append(versions, id)
				if (first || len(labels) == 0) && s.holder(current) != id {
					t.Fatalf("the new version is not current: %v", s)
				}
				for _, l := range labels {
					if s.holder(l) != id {
						t.Fatalf("%s is not on the new version: %v", l, s)
					}
				}
			} else {
				pick := rapid.SampledFrom(append([]string{""}, versions...))
				l, from, to := label.Draw(t, "label"), pick.Draw(t, "from"), pick.Draw(t, "to")
				held := s.holder(l)
				err := s.move(l, from, to)
				switch {
				case err != nil && !maps.EqualFunc(before, s, slices.Equal):
					t.Fatalf("a refused move changed %v to %v", before, s)
				case err == nil && to != "" && s.holder(l) != to:
					t.Fatalf("%s did not go to %s: %v", l, to, s)
				case err == nil && to != "" && held != "" && held != to && from != held:
					t.Fatalf("%s was taken from %s, which was not named", l, held)
				}
			}
			seen := map[string]string{}
			for id, labels := range s {
				if len(labels) == 0 {
					t.Fatalf("%s has an empty list of labels", id)
				}
				for _, l := range labels {
					if seen[l] != "" {
						t.Fatalf("%s is on %s and on %s", l, seen[l], id)
					}
					seen[l] = id
				}
			}
			now := s.holder(current)
			if now == "" {
				t.Fatalf("nothing is current: %v", s)
			}
			if was != "" && now != was && s.holder(previous) != was {
				t.Fatalf("%s was current before %s and is not previous: %v", was, now, s)
			}
		}
	})
}
