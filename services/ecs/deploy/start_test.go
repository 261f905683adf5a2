package deploy

import (
	"strings"
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	for n, want := range map[int]time.Duration{0: 0, 2: 0, 3: 10 * time.Second, 4: 20 * time.Second, 9: 640 * time.Second, 10: 15 * time.Minute, 500: 15 * time.Minute} {
		if got := Backoff(n); got != want {
			t.Errorf("%d attempts: %v", n, got)
		}
	}
}

func TestNextProvider(t *testing.T) {
	for _, c := range []struct {
		strategy []Share
		want     string
	}{
		{nil, "------"},
		{[]Share{{Provider: "F"}}, "FFFFFF"},
		{[]Share{{"F", 2, 0}, {"S", 0, 1}}, "FFSSSS"},
		{[]Share{{"F", 0, 1}, {"S", 0, 2}}, "SFSSFS"},
		{[]Share{{"F", 1, 1}, {"S", 0, 3}}, "FSSFSS"},
	} {
		var got strings.Builder
		placed := map[string]int{}
		for range 6 {
			p := NextProvider(c.strategy, placed)
			placed[p]++
			if p == "" {
				p = "-"
			}
			got.WriteString(p)
		}
		if got.String() != c.want {
			t.Errorf("%s, want %s", got.String(), c.want)
		}
	}
}
