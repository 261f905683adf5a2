package elbv2

import (
	"context"
	"fmt"

	"minato/aws"
	elbapi "minato/aws/api/elbv2"
)

// AWS's quotas for a region.
const (
	maxBalancers = 50
	maxGroups    = 3000
	maxListeners = 50
	maxRules     = 100
	maxTargets   = 1000
	maxUnique    = 100 // target groups of a load balancer
)

// DescribeAccountLimits shows the quotas that hold.
func (s *Service) DescribeAccountLimits(_ context.Context, in *elbapi.DescribeAccountLimitsInput) (*elbapi.DescribeAccountLimitsOutput, error) {
	var all []elbapi.Limit
	for _, l := range []struct {
		name string
		max  int
	}{
		{"application-load-balancers", maxBalancers},
		{"network-load-balancers", maxBalancers},
		{"target-groups", maxGroups},
		{"target-groups-per-application-load-balancer", maxUnique},
		{"target-groups-per-action-on-application-load-balancer", maxForward},
		{"target-groups-per-action-on-network-load-balancer", maxForward},
		{"targets-per-target-group", maxTargets},
		{"listeners-per-application-load-balancer", maxListeners},
		{"listeners-per-network-load-balancer", maxListeners},
		{"rules-per-application-load-balancer", maxRules},
		{"condition-values-per-alb-rule", maxConditionValues},
		{"condition-wildcards-per-alb-rule", maxWildcards},
		{"certificates-per-application-load-balancer", maxCertificates},
		{"certificates-per-network-load-balancer", maxCertificates},
	} {
		all = append(all, elbapi.Limit{Name: aws.Ptr(l.name), Max: aws.Ptr(fmt.Sprint(l.max))})
	}
	items, next, err := page(all, func(l *elbapi.Limit) *string { return l.Name }, in.Marker, in.PageSize)
	return &elbapi.DescribeAccountLimitsOutput{Limits: items, NextMarker: next}, err
}

// DescribeCapacityReservation shows that a load balancer reserves no capacity:
// there is none to reserve on one machine.
func (s *Service) DescribeCapacityReservation(ctx context.Context, in *elbapi.DescribeCapacityReservationInput) (*elbapi.DescribeCapacityReservationOutput, error) {
	_, err := s.readBalancer(ctx, in.LoadBalancerArn, balancersGone)
	return &elbapi.DescribeCapacityReservationOutput{CapacityReservationState: []elbapi.ZonalCapacityReservationState{}}, err
}

// ModifyCapacityReservation takes back a reservation, which there never was.
func (s *Service) ModifyCapacityReservation(ctx context.Context, in *elbapi.ModifyCapacityReservationInput) (*elbapi.ModifyCapacityReservationOutput, error) {
	if in.MinimumLoadBalancerCapacity != nil {
		return nil, notServed("Reserved capacity")
	}
	if !aws.Val(in.ResetCapacityReservation) {
		return nil, invalid("Either 'MinimumLoadBalancerCapacity' or 'ResetCapacityReservation' must be specified")
	}
	_, err := s.readBalancer(ctx, in.LoadBalancerArn, balancersGone)
	return &elbapi.ModifyCapacityReservationOutput{CapacityReservationState: []elbapi.ZonalCapacityReservationState{}}, err
}
