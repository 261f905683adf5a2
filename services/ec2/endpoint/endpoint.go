// Package endpoint is what EC2 decides VPC endpoints with: which services they
// lead to, what a request for one may say, the names that lead to it, its policy,
// and the errors. It is pure; the operations of package ec2 read and write the
// records.
//
// An interface endpoint is a network interface in each of some subnets, at which
// a service answers. A gateway endpoint is a route, in each of some route tables,
// to the prefix list of a service's addresses.
package endpoint

import (
	"slices"
	"strings"

	ec2api "minato/aws/api/ec2"
)

// Service is a service that endpoints lead to.
type Service struct {
	// Name is the last part of the name: com.amazonaws.<region>.logs.
	Name string
	// Host is what precedes <region>.amazonaws.com in the names of its hosts; with
	// "*." in front for any first part.
	Host string
	// Signing is the name that requests to it are signed for, "" for what is not
	// signed: the registry, the channels of agents.
	Signing string
	// Actions are its actions in policies, before the colon.
	Actions string
	// SDK is what the SDKs call it in AWS_ENDPOINT_URL_<SDK>, "" for what no SDK
	// calls.
	SDK string
	// Gateway says that the endpoint is a route, not an interface.
	Gateway bool
}

// services are those that minato serves, by name.
var services = []Service{
	{Name: "application-autoscaling", Host: "application-autoscaling", Signing: "application-autoscaling", Actions: "application-autoscaling", SDK: "APPLICATION_AUTO_SCALING"},
	{Name: "cloudformation", Host: "cloudformation", Signing: "cloudformation", Actions: "cloudformation", SDK: "CLOUDFORMATION"},
	{Name: "ec2", Host: "ec2", Signing: "ec2", Actions: "ec2", SDK: "EC2"},
	{Name: "ec2messages", Host: "ec2messages", Signing: "ec2messages", Actions: "ec2messages"},
	{Name: "ecr.api", Host: "api.ecr", Signing: "ecr", Actions: "ecr", SDK: "ECR"},
	{Name: "ecr.dkr", Host: "*.dkr.ecr", Actions: "ecr"},
	{Name: "ecs", Host: "ecs", Signing: "ecs", Actions: "ecs", SDK: "ECS"},
	{Name: "ecs-agent", Host: "ecs-a", Signing: "ecs", Actions: "ecs"},
	{Name: "ecs-telemetry", Host: "ecs-t", Signing: "ecs", Actions: "ecs"},
	{Name: "elasticloadbalancing", Host: "elasticloadbalancing", Signing: "elasticloadbalancing", Actions: "elasticloadbalancing", SDK: "ELASTIC_LOAD_BALANCING_V2"},
	{Name: "logs", Host: "logs", Signing: "logs", Actions: "logs", SDK: "CLOUDWATCH_LOGS"},
	{Name: "monitoring", Host: "monitoring", Signing: "monitoring", Actions: "cloudwatch", SDK: "CLOUDWATCH"},
	{Name: "rds", Host: "rds", Signing: "rds", Actions: "rds", SDK: "RDS"},
	{Name: "s3", Host: "s3", Signing: "s3", Actions: "s3", SDK: "S3", Gateway: true},
	{Name: "secretsmanager", Host: "secretsmanager", Signing: "secretsmanager", Actions: "secretsmanager", SDK: "SECRETS_MANAGER"},
	{Name: "ssm", Host: "ssm", Signing: "ssm", Actions: "ssm", SDK: "SSM"},
	{Name: "ssmmessages", Host: "ssmmessages", Signing: "ssmmessages", Actions: "ssmmessages"},
	{Name: "sts", Host: "sts", Signing: "sts", Actions: "sts", SDK: "STS"},
}

// Services lists the services of a region in the order of their names.
func Services() []Service { return slices.Clone(services) }

// In is the service's name in a region.
func (s Service) In(region string) string { return "com.amazonaws." + region + "." + s.Name }

// Type is the type of the service's endpoints.
func (s Service) Type() string {
	if s.Gateway {
		return ec2api.VpcEndpointTypeGateway
	}
	return ec2api.VpcEndpointTypeInterface
}

// PrivateName is the name of the service's hosts that private DNS answers for.
func (s Service) PrivateName(region string) string { return s.Host + "." + region + ".amazonaws.com" }

// Base is the name below which its endpoints have theirs.
func (s Service) Base(region string) string {
	if s.Gateway {
		return s.Host + "." + region + ".amazonaws.com"
	}
	return strings.TrimPrefix(s.Host, "*.") + "." + region + ".vpce.amazonaws.com"
}

// Find returns the service with a name in a region.
func Find(region, name string) (Service, bool) {
	i := slices.IndexFunc(services, func(s Service) bool { return s.In(region) == name })
	if i < 0 {
		return Service{}, false
	}
	return services[i], true
}

// Detail is a service as DescribeVpcEndpointServices shows it.
func (s Service) Detail(region string, zones []ec2api.AvailabilityZone) ec2api.ServiceDetail {
	name, kind, no, yes, owner := s.In(region), s.Type(), false, true, "amazon"
	d := ec2api.ServiceDetail{
		ServiceName: &name, ServiceId: ptr("vpce-svc-" + digest(name)), ServiceType: []ec2api.ServiceTypeDetail{{ServiceType: &kind}}, ServiceRegion: &region,
		Owner: &owner, AcceptanceRequired: &no, ManagesVpcEndpoints: &no, VpcEndpointPolicySupported: &yes,
		BaseEndpointDnsNames: []string{s.Base(region)}, SupportedIpAddressTypes: []string{ec2api.ServiceConnectivityTypeIpv4},
	}
	for _, z := range zones {
		d.AvailabilityZones = append(d.AvailabilityZones, *z.ZoneName)
		d.AvailabilityZoneIds = append(d.AvailabilityZoneIds, *z.ZoneId)
	}
	if !s.Gateway {
		private := s.PrivateName(region)
		d.PrivateDnsName, d.PrivateDnsNames = &private, []ec2api.PrivateDnsDetails{{PrivateDnsName: &private}}
		d.PrivateDnsNameVerificationState = ptr(ec2api.DnsNameStateVerified)
	}
	return d
}

// ServiceAttribute gives the values of a filter of DescribeVpcEndpointServices.
func ServiceAttribute(d *ec2api.ServiceDetail, name string) ([]string, bool) {
	switch name {
	case "service-name":
		return value(d.ServiceName), true
	case "service-region":
		return value(d.ServiceRegion), true
	case "owner":
		return value(d.Owner), true
	case "supported-ip-address-types":
		return d.SupportedIpAddressTypes, true
	case "service-type":
		var out []string
		for _, t := range d.ServiceType {
			out = append(out, value(t.ServiceType)...)
		}
		return out, true
	}
	return nil, false
}

func ptr[T any](v T) *T { return &v }

func value(p *string) []string {
	if p == nil {
		return nil
	}
	return []string{*p}
}
