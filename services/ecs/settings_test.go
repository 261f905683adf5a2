package ecs

import (
	"testing"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
)

// What is set for the account holds for new clusters, until it is said otherwise.
func TestAccountSettings(t *testing.T) {
	y := newYard(t)
	insights := func(cluster string, settings ...ecsapi.ClusterSetting) string {
		out, err := y.ecs.CreateCluster(y.ctx, &ecsapi.CreateClusterInput{ClusterName: &cluster, Settings: settings})
		y.must(err)
		return *out.Cluster.Settings[0].Value
	}
	name := aws.Ptr("containerInsights")
	if got := insights("before"); got != "disabled" {
		t.Error(got)
	}
	y.must(second(y.ecs.PutAccountSettingDefault(y.ctx, &ecsapi.PutAccountSettingDefaultInput{Name: name, Value: aws.Ptr("enhanced")})))
	if got := insights("after"); got != "enhanced" {
		t.Error(got)
	}
	if got := insights("told", ecsapi.ClusterSetting{Name: name, Value: aws.Ptr("disabled")}); got != "disabled" {
		t.Error(got)
	}
	if got := insights("before"); got != "disabled" {
		t.Error(got)
	}
	fails(t, second(y.ecs.PutAccountSettingDefault(y.ctx, &ecsapi.PutAccountSettingDefaultInput{Name: name, Value: aws.Ptr("maybe")})),
		"InvalidParameterException", "Invalid value 'maybe' for the account setting containerInsights. Valid values are: disabled, enabled, enhanced.")

	y.must(second(y.ecs.PutAccountSetting(y.ctx, &ecsapi.PutAccountSettingInput{Name: name, Value: aws.Ptr("enabled")})))
	list := func() string {
		out, err := y.ecs.ListAccountSettings(y.ctx, &ecsapi.ListAccountSettingsInput{Name: name, EffectiveSettings: aws.Ptr(true)})
		y.must(err)
		return *out.Settings[0].Value
	}
	if got := list(); got != "enabled" {
		t.Error(got)
	}
	if got := insights("mine"); got != "enabled" {
		t.Errorf("a cluster of one who has set it for herself: %s", got)
	}
	y.must(second(y.ecs.DeleteAccountSetting(y.ctx, &ecsapi.DeleteAccountSettingInput{Name: name})))
	if got := list(); got != "enhanced" {
		t.Error(got)
	}
}
