package elbv2

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"minato/aws"
	elbapi "minato/aws/api/elbv2"
	"minato/dataplane/proxy"
)

// DescribeTargetHealth shows how the targets are, in AWS's words, from what the
// data plane sees now.
func (s *Service) DescribeTargetHealth(ctx context.Context, in *elbapi.DescribeTargetHealthInput) (*elbapi.DescribeTargetHealthOutput, error) {
	if len(in.Include) > 0 {
		return nil, notServed("Anomaly detection")
	}
	g, err := s.readGroup(ctx, in.TargetGroupArn)
	if err != nil {
		return nil, err
	}
	zones, err := s.enabledZones(ctx, &g)
	if err != nil {
		return nil, err
	}
	seen := map[netip.AddrPort]proxy.TargetHealth{}
	last, err := s.lastHealth(ctx, &g)
	if err != nil {
		return nil, err
	}
	for _, h := range last {
		seen[h.Address] = h
	}
	var out []elbapi.TargetHealthDescription
	show := func(t target) {
		h, ok := seen[t.Address]
		out = append(out, g.describe(t, zones, h, ok))
	}
	if len(in.Targets) == 0 {
		for _, t := range g.Targets {
			show(t)
		}
		return &elbapi.DescribeTargetHealthOutput{TargetHealthDescriptions: out}, nil
	}
	for i := range in.Targets {
		want, err := g.resolve(&in.Targets[i])
		if err != nil {
			return nil, err
		}
		if t := g.target(want); t != nil {
			show(*t)
			continue
		}
		d := g.description(want)
		d.TargetHealth = condition(elbapi.TargetHealthStateEnumUnused, elbapi.TargetHealthReasonEnumTargetNotRegistered, "Target is not registered to the target group")
		out = append(out, d)
	}
	return &elbapi.DescribeTargetHealthOutput{TargetHealthDescriptions: out}, nil
}

// lastHealth is what the data plane sees of a group, or, before it was told of
// the group after a restart, what it saw last.
func (s *Service) lastHealth(ctx context.Context, g *group) ([]proxy.TargetHealth, error) {
	if live, ok := s.Proxy.Health(aws.Val(g.TargetGroupArn)); ok {
		return live, nil
	}
	p := at(ctx)
	h, found, err := s.health.Get(ctx, p.Account, p.Region, aws.Val(g.TargetGroupName))
	if err != nil || !found || h.ARN != aws.Val(g.TargetGroupArn) {
		return nil, err
	}
	return h.Targets, nil
}

// enabledZones are those of the load balancer that uses the group.
func (s *Service) enabledZones(ctx context.Context, g *group) ([]string, error) {
	if len(g.LoadBalancerArns) == 0 {
		return nil, nil
	}
	b, err := s.readBalancer(ctx, &g.LoadBalancerArns[0], balancersGone)
	return b.zoneNames(), err
}

func (b *balancer) zoneNames() []string {
	var all []string
	for _, z := range b.AvailabilityZones {
		all = append(all, aws.Val(z.ZoneName))
	}
	return all
}

// reaches tells whether a load balancer in these zones sends to the target.
func reaches(t target, zones []string) bool {
	return t.Zone == "all" || slices.Contains(zones, t.Zone)
}

func (g *group) description(t target) elbapi.TargetHealthDescription {
	d := elbapi.TargetHealthDescription{
		Target:          &elbapi.TargetDescription{Id: aws.Ptr(t.host()), Port: aws.Ptr(int32(t.Address.Port()))},
		HealthCheckPort: g.HealthCheckPort,
	}
	if aws.Val(g.HealthCheckPort) == trafficPort {
		d.HealthCheckPort = aws.Ptr(strconv.Itoa(int(t.Address.Port())))
	}
	if t.Zone != "" && t.Instance == "" {
		d.Target.AvailabilityZone = aws.Ptr(t.Zone)
	}
	return d
}

// describe puts what the data plane saw of a target into AWS's words. known is
// false for a target it was not told of yet.
func (g *group) describe(t target, zones []string, h proxy.TargetHealth, known bool) elbapi.TargetHealthDescription {
	d := g.description(t)
	switch {
	case len(g.LoadBalancerArns) == 0:
		d.TargetHealth = notInUse()
	case t.Deregister != nil:
		d.TargetHealth = condition(elbapi.TargetHealthStateEnumDraining, elbapi.TargetHealthReasonEnumTargetDeregistrationInProgress, "Target deregistration is in progress")
	case t.State != "":
		d.TargetHealth = condition(elbapi.TargetHealthStateEnumUnused, elbapi.TargetHealthReasonEnumTargetInvalidState, "Target is in the "+t.State+" state")
	case !reaches(t, zones):
		d.TargetHealth = condition(elbapi.TargetHealthStateEnumUnused, elbapi.TargetHealthReasonEnumTargetNotInUse, "Target is in an Availability Zone that is not enabled for the load balancer")
	case !known || h.State == proxy.Unused || h.State == proxy.Draining: // the data plane is a moment behind
		d.TargetHealth = condition(elbapi.TargetHealthStateEnumInitial, elbapi.TargetHealthReasonEnumElbRegistrationInProgress, "Target registration is in progress")
	default:
		d.TargetHealth = g.words(h)
	}
	return d
}

func notInUse() *elbapi.TargetHealth {
	return condition(elbapi.TargetHealthStateEnumUnused, elbapi.TargetHealthReasonEnumTargetNotInUse, "Target group is not configured to receive traffic from the load balancer")
}

// words are AWS's for the state of a target. Network load balancers do not say
// more of a failed check than that it failed.
func (g *group) words(h proxy.TargetHealth) *elbapi.TargetHealth {
	switch h.State {
	case proxy.Healthy:
		return &elbapi.TargetHealth{State: aws.Ptr(elbapi.TargetHealthStateEnumHealthy)}
	case proxy.Initial:
		if h.Reason == proxy.Registering {
			return condition(elbapi.TargetHealthStateEnumInitial, elbapi.TargetHealthReasonEnumElbRegistrationInProgress, "Target registration is in progress")
		}
		return condition(elbapi.TargetHealthStateEnumInitial, elbapi.TargetHealthReasonEnumElbInitialHealthChecking, "Initial health checks in progress")
	}
	const unhealthy = elbapi.TargetHealthStateEnumUnhealthy
	switch {
	case stream(g.Protocol):
	case h.Reason == proxy.Timeout:
		return condition(unhealthy, elbapi.TargetHealthReasonEnumTargetTimeout, "Request timed out")
	case h.Reason == proxy.Mismatch:
		code := 0
		if h.Last != nil {
			code = h.Last.Status
		}
		return condition(unhealthy, elbapi.TargetHealthReasonEnumTargetResponseCodeMismatch, fmt.Sprintf("Health checks failed with these codes: [%d]", code))
	}
	return condition(unhealthy, elbapi.TargetHealthReasonEnumTargetFailedHealthChecks, "Health checks failed")
}

func condition(state, reason, description string) *elbapi.TargetHealth {
	return &elbapi.TargetHealth{State: &state, Reason: &reason, Description: &description}
}
