package clusterconfig

import (
	"strings"
	"testing"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
)

func TestName(t *testing.T) {
	for text, ok := range map[string]bool{
		"a": true, "My_cluster-1": true, strings.Repeat("x", 255): true, "": false, "a b": false, "a/b": false, "ä": false, "a\n": false, strings.Repeat("x", 256): false,
	} {
		if err := Name(text); (err == nil) != ok || err != nil && !aws.IsCode(err, "InvalidParameterException") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestCapacity(t *testing.T) {
	item := func(name string) ecsapi.CapacityProviderStrategyItem {
		return ecsapi.CapacityProviderStrategyItem{CapacityProvider: &name}
	}
	for name, c := range map[string]struct {
		providers []string
		strategy  []ecsapi.CapacityProviderStrategyItem
		ok        bool
	}{
		"nothing":        {nil, nil, true},
		"Fargate's":      {[]string{"FARGATE", "FARGATE_SPOT"}, []ecsapi.CapacityProviderStrategyItem{item("FARGATE")}, true},
		"a provider":     {[]string{"mine"}, nil, false},
		"of a strategy":  {nil, []ecsapi.CapacityProviderStrategyItem{item("FARGATE"), item("mine")}, false},
		"without a name": {nil, []ecsapi.CapacityProviderStrategyItem{{}}, false},
	} {
		if err := Capacity(c.providers, c.strategy); (err == nil) != c.ok || err != nil && !aws.IsCode(err, "InvalidParameterException") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSettings(t *testing.T) {
	set := func(value string) []ecsapi.ClusterSetting {
		return []ecsapi.ClusterSetting{{Name: aws.Ptr("containerInsights"), Value: &value}}
	}
	for name, c := range map[string]struct {
		have, change []ecsapi.ClusterSetting
		want         string
	}{
		"unless set": {nil, nil, "disabled"}, "as it was": {set("enhanced"), nil, "enhanced"}, "changed": {set("enhanced"), set("enabled"), "enabled"},
	} {
		if got := Settings(c.have, c.change); len(got) != 1 || *got[0].Value != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestCheckSettings(t *testing.T) {
	for value, ok := range map[string]bool{"enabled": true, "disabled": true, "enhanced": true, "on": false, "": false} {
		err := CheckSettings([]ecsapi.ClusterSetting{{Name: aws.Ptr("containerInsights"), Value: &value}})
		if (err == nil) != ok {
			t.Errorf("%q: %v", value, err)
		}
	}
}

// TestStrategy: what a strategy names must be the cluster's.
func TestStrategy(t *testing.T) {
	c := &ecsapi.Cluster{CapacityProviders: []string{"FARGATE"}}
	for name, ok := range map[string]bool{"FARGATE": true, "FARGATE_SPOT": false, "mine": false} {
		if err := Strategy(c, []ecsapi.CapacityProviderStrategyItem{{CapacityProvider: &name}}); (err == nil) != ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
