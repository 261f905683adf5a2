package elbv2

import (
	"slices"

	"minato/aws"
	elbapi "minato/aws/api/elbv2"
)

// The kinds of load balancers, as their ARNs name them.
const (
	appKind     = "app"
	networkKind = "net"
)

// kindOf is the kind of a type of load balancers.
func kindOf(t string) string {
	if t == elbapi.LoadBalancerTypeEnumNetwork {
		return networkKind
	}
	return appKind
}

// network tells whether the load balancer passes streams rather than requests.
func (b *balancer) network() bool { return aws.Val(b.Type) == elbapi.LoadBalancerTypeEnumNetwork }

// What listeners and target groups of the kinds speak, as minato serves it.
var (
	requestProtocols = []string{elbapi.ProtocolEnumHttp, elbapi.ProtocolEnumHttps}
	streamProtocols  = []string{elbapi.ProtocolEnumTcp, elbapi.ProtocolEnumTls}
)

// secure tells whether a protocol is one over TLS.
func secure(protocol *string) bool {
	return aws.Val(protocol) == elbapi.ProtocolEnumHttps || aws.Val(protocol) == elbapi.ProtocolEnumTls
}

// stream tells whether a protocol knows nothing of requests.
func stream(protocol *string) bool { return slices.Contains(streamProtocols, aws.Val(protocol)) }
