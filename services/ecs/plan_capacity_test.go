package ecs

import (
	"strings"
	"testing"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
)

func TestNextProvider(t *testing.T) {
	item := func(name string, base, weight int32) ecsapi.CapacityProviderStrategyItem {
		return ecsapi.CapacityProviderStrategyItem{CapacityProvider: &name, Base: aws.Ptr(base), Weight: aws.Ptr(weight)}
	}
	for _, c := range []struct {
		strategy []ecsapi.CapacityProviderStrategyItem
		want     string
	}{
		{nil, "------"},
		{[]ecsapi.CapacityProviderStrategyItem{{CapacityProvider: aws.Ptr("F")}}, "FFFFFF"},
		{[]ecsapi.CapacityProviderStrategyItem{item("F", 2, 0), item("S", 0, 1)}, "FFSSSS"},
		{[]ecsapi.CapacityProviderStrategyItem{item("F", 0, 1), item("S", 0, 2)}, "SFSSFS"},
		{[]ecsapi.CapacityProviderStrategyItem{item("F", 1, 1), item("S", 0, 3)}, "FSSFSS"},
	} {
		var got strings.Builder
		placed := map[string]int{}
		for range 6 {
			p := nextProvider(c.strategy, placed)
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
