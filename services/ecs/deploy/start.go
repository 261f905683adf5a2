package deploy

import "time"

// The waits between attempts to start tasks that fail: none for the first, then
// twice as long each time. An attempt is as many failures as there should be
// tasks.
const (
	freeAttempts = 2
	firstBackoff = 10 * time.Second
	longBackoff  = 15 * time.Minute
)

// Backoff is how long to wait after failed attempts in a row, at full pace.
func Backoff(attempts int) time.Duration {
	if attempts <= freeAttempts {
		return 0
	}
	return min(firstBackoff<<min(attempts-freeAttempts-1, 10), longBackoff)
}

// Share is a capacity provider's part of a strategy.
type Share struct {
	Provider     string
	Base, Weight int
}

// NextProvider is the capacity provider of the next task, given how many tasks
// each has: first the one whose base is not filled, then whoever is furthest
// behind its weight. It is "" without a strategy: then the launch type counts.
func NextProvider(strategy []Share, placed map[string]int) string {
	best, lag := "", 0.0
	for _, s := range strategy {
		if placed[s.Provider] < s.Base || len(strategy) == 1 {
			return s.Provider
		}
		if s.Weight <= 0 {
			continue
		}
		if l := float64(placed[s.Provider]-s.Base+1) / float64(s.Weight); best == "" || l < lag {
			best, lag = s.Provider, l
		}
	}
	return best
}
