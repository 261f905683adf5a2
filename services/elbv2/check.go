package elbv2

import (
	"slices"
	"strconv"
	"strings"

	"minato/aws"
	elbapi "minato/aws/api/elbv2"
	"minato/dataplane/proxy"
)

// The protocol versions of target groups.
const (
	http1Version = "HTTP1"
	http2Version = "HTTP2"
	grpcVersion  = "GRPC"
)

// checkDefaults are a group's health check where nothing is given, AWS's.
func (g *group) checkDefaults() {
	plain := elbapi.ProtocolEnumHttp
	timeout, healthy := int32(5), int32(5)
	if stream(g.Protocol) {
		plain, timeout = elbapi.ProtocolEnumTcp, 10
		if aws.Val(g.HealthCheckProtocol) == elbapi.ProtocolEnumHttp {
			timeout = 6
		}
	}
	fill(&g.HealthCheckEnabled, true)
	fill(&g.HealthCheckProtocol, plain)
	fill(&g.HealthCheckPort, trafficPort)
	fill(&g.HealthCheckIntervalSeconds, 30)
	fill(&g.HealthCheckTimeoutSeconds, timeout)
	fill(&g.HealthyThresholdCount, healthy)
	fill(&g.UnhealthyThresholdCount, 2)
	if *g.HealthCheckProtocol == elbapi.ProtocolEnumTcp {
		return // neither path nor matcher
	}
	codes := "200"
	if stream(g.Protocol) {
		codes = "200-399"
	}
	if aws.Val(g.ProtocolVersion) == grpcVersion {
		fill(&g.HealthCheckPath, "/AWS.ALB/healthcheck")
		if g.Matcher == nil || g.Matcher.GrpcCode == nil && g.Matcher.HttpCode == nil {
			g.Matcher = &elbapi.Matcher{GrpcCode: aws.Ptr("12")}
		}
		return
	}
	fill(&g.HealthCheckPath, "/")
	if g.Matcher == nil || g.Matcher.GrpcCode == nil && g.Matcher.HttpCode == nil {
		g.Matcher = &elbapi.Matcher{HttpCode: &codes}
	}
}

func fill[T any](p **T, v T) {
	if *p == nil {
		*p = &v
	}
}

// check finds what is wrong with the group's health check.
func (g *group) check() error {
	served := requestProtocols
	if stream(g.Protocol) {
		served = []string{elbapi.ProtocolEnumTcp, elbapi.ProtocolEnumHttp, elbapi.ProtocolEnumHttps}
	}
	protocol := aws.Val(g.HealthCheckProtocol)
	if !slices.Contains(served, protocol) {
		return invalid("Health check protocol '%s' must be one of '%s'", protocol, strings.Join(served, ", "))
	}
	if aws.Val(g.HealthCheckTimeoutSeconds) >= aws.Val(g.HealthCheckIntervalSeconds) && !stream(g.Protocol) || aws.Val(g.HealthCheckTimeoutSeconds) > aws.Val(g.HealthCheckIntervalSeconds) {
		return invalid("Health check timeout '%d' must be smaller than the interval '%d'", *g.HealthCheckTimeoutSeconds, *g.HealthCheckIntervalSeconds)
	}
	if port := aws.Val(g.HealthCheckPort); port != trafficPort {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return invalid("Health check port '%s' must be either 'traffic-port' or in the range '1-65535'", port)
		}
	}
	if protocol == elbapi.ProtocolEnumTcp {
		if g.Matcher != nil || g.HealthCheckPath != nil {
			return invalid("Health check path and matcher are not supported for health checks with protocol 'TCP'")
		}
		return nil
	}
	path := aws.Val(g.HealthCheckPath)
	if path == "" || path[0] != '/' || strings.ContainsAny(path, " \t\r\n#") {
		return invalid("Health check path '%s' must begin with a '/' character, and can only contain printable ASCII characters, without spaces", path)
	}
	_, err := g.codes()
	return err
}

// codes reads the matcher: "200", "200,202", "200-299"; of gRPC "12", "0-99".
func (g *group) codes() ([]proxy.CodeRange, error) {
	kind, matcher, from, to := "HTTP", "", 200, 499
	if stream(g.Protocol) {
		to = 599
	}
	if g.Matcher != nil {
		switch {
		case aws.Val(g.ProtocolVersion) == grpcVersion:
			if g.Matcher.HttpCode != nil {
				return nil, invalid("The HttpCode matcher is not supported for target groups with protocol version 'GRPC'")
			}
			kind, matcher, from, to = "gRPC", aws.Val(g.Matcher.GrpcCode), 0, 99
		case g.Matcher.GrpcCode != nil:
			return nil, invalid("The GrpcCode matcher is only supported for target groups with protocol version 'GRPC'")
		default:
			matcher = aws.Val(g.Matcher.HttpCode)
		}
	}
	var all []proxy.CodeRange
	for part := range strings.SplitSeq(matcher, ",") {
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		a, err1 := strconv.Atoi(low)
		b, err2 := strconv.Atoi(high)
		if err1 != nil || err2 != nil || a > b {
			return nil, invalid("Health check matcher %s code '%s' must be a comma-separated list of codes or ranges of codes", kind, matcher)
		}
		if a < from || b > to {
			return nil, invalid("Health check matcher %s code '%s' must be within '%d-%d' inclusive", kind, matcher, from, to)
		}
		all = append(all, proxy.CodeRange{From: a, To: b})
	}
	return all, nil
}

// planCheck is the group's health check for the data plane.
func (g *group) planCheck() (proxy.Check, error) {
	c := proxy.Check{
		Path: aws.Val(g.HealthCheckPath), Interval: seconds(g.HealthCheckIntervalSeconds), Timeout: seconds(g.HealthCheckTimeoutSeconds),
		HealthyThreshold: int(aws.Val(g.HealthyThresholdCount)), UnhealthyThreshold: int(aws.Val(g.UnhealthyThresholdCount)),
		TLS: secure(g.HealthCheckProtocol),
	}
	if port, err := strconv.ParseUint(aws.Val(g.HealthCheckPort), 10, 16); err == nil {
		c.Port = uint16(port) // else traffic-port
	}
	switch {
	case aws.Val(g.HealthCheckProtocol) == elbapi.ProtocolEnumTcp:
		c.Kind = proxy.CheckTCP
		return c, nil
	case aws.Val(g.ProtocolVersion) == grpcVersion:
		c.Kind = proxy.CheckGRPC
	case aws.Val(g.ProtocolVersion) == http2Version:
		c.Kind = proxy.CheckHTTP2
	}
	var err error
	c.Codes, err = g.codes()
	return c, err
}
