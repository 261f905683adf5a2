package ecs

import (
	"minato/aws"
	ecsapi "minato/aws/api/ecs"
)

// nextProvider is the capacity provider of the next task, given how many tasks
// each has: first the one whose base is not filled, then whoever is furthest
// behind its weight. It is "" without a strategy: then the launch type counts.
func nextProvider(strategy []ecsapi.CapacityProviderStrategyItem, placed map[string]int) string {
	best, lag := "", 0.0
	for _, item := range strategy {
		name, base, weight := aws.Val(item.CapacityProvider), int(aws.Val(item.Base)), float64(aws.Val(item.Weight))
		if placed[name] < base {
			return name
		}
		if len(strategy) == 1 {
			return name
		}
		if weight <= 0 {
			continue
		}
		if l := float64(placed[name]-base+1) / weight; best == "" || l < lag {
			best, lag = name, l
		}
	}
	return best
}
