package endpoint

import (
	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/aws/policy"
)

// Check holds a request for an endpoint to what its type takes and returns the
// service it is for.
func Check(region string, in *ec2api.CreateVpcEndpointInput) (Service, error) {
	switch {
	case in.VpcId == nil:
		return Service{}, missing("VpcId")
	case in.ServiceName == nil:
		return Service{}, missing("ServiceName")
	}
	kind := aws.Val(in.VpcEndpointType)
	if kind == "" {
		kind = ec2api.VpcEndpointTypeGateway
	}
	s, ok := Find(region, *in.ServiceName)
	switch {
	case !ok:
		return s, NoService(*in.ServiceName)
	case s.Gateway && kind == ec2api.VpcEndpointTypeInterface:
		return s, unserved("an interface endpoint for " + s.Name)
	case kind != s.Type():
		return s, invalid("Endpoint type (%s) does not match available service types ([%s]).", kind, s.Type())
	}
	if err := options(s, in.DnsOptions, in.IpAddressType); err != nil {
		return s, err
	}
	if s.Gateway && aws.Val(in.PrivateDnsEnabled) {
		return s, noNames()
	}
	return s, parts(s, in.RouteTableIds, in.SubnetIds, in.SecurityGroupIds)
}

// CheckChange holds a change to what the endpoint's type takes.
func CheckChange(s Service, in *ec2api.ModifyVpcEndpointInput) error {
	if err := options(s, in.DnsOptions, in.IpAddressType); err != nil {
		return err
	}
	if s.Gateway && aws.Val(in.PrivateDnsEnabled) {
		return noNames()
	}
	if in.PolicyDocument != nil && aws.Val(in.ResetPolicy) {
		return aws.Errorf("InvalidParameterCombination", "The parameters PolicyDocument and ResetPolicy cannot be used together.")
	}
	return parts(s, append(in.AddRouteTableIds, in.RemoveRouteTableIds...), append(in.AddSubnetIds, in.RemoveSubnetIds...), append(in.AddSecurityGroupIds, in.RemoveSecurityGroupIds...))
}

func parts(s Service, tables, subnets, groups []string) error {
	switch {
	case s.Gateway && len(subnets) > 0:
		return invalid("Subnet IDs are only supported for Interface type VPC Endpoints.")
	case s.Gateway && len(groups) > 0:
		return invalid("Security group IDs are only supported for Interface type VPC Endpoints.")
	case !s.Gateway && len(tables) > 0:
		return invalid("Route table IDs are only supported for Gateway type VPC Endpoints.")
	}
	return nil
}

func noNames() error {
	return invalid("Private DNS can only be enabled for Interface type VPC Endpoints.")
}

// options are about kinds of addresses: there are those of IPv4 only.
func options(s Service, dns *ec2api.DnsOptionsSpecification, addresses *string) error {
	if a := aws.Val(addresses); a != "" && a != ec2api.IpAddressTypeIpv4 {
		return invalid("The IP address type %s is not supported by the VPC endpoint service: its addresses are of the type ipv4.", a)
	}
	if dns == nil {
		return nil
	}
	if name, asked := aws.Asked(dns, "PrivateDnsOnlyForInboundResolverEndpoint", "PrivateDnsPreference", "PrivateDnsSpecifiedDomains"); asked {
		return unserved(name + " of DnsOptions")
	}
	if t := aws.Val(dns.DnsRecordIpType); t != "" && t != ec2api.DnsRecordIpTypeIpv4 && (t != ec2api.DnsRecordIpTypeServiceDefined || !s.Gateway) {
		return invalid("The DNS record IP type %s does not match the IP address type ipv4 of the VPC endpoint.", t)
	}
	return nil
}

func missing(name string) error {
	return aws.Errorf("MissingParameter", "The request must contain the parameter %s", name)
}

func unserved(what string) error {
	return aws.Errorf("UnsupportedOperation", "The functionality you requested is not available in this region: %s is not served by minato.", what)
}

// The policies of endpoints that were given none, as AWS writes them.
const (
	openInterface = "{\n  \"Statement\": [\n    {\n      \"Action\": \"*\", \n      \"Effect\": \"Allow\", \n      \"Principal\": \"*\", \n      \"Resource\": \"*\"\n    }\n  ]\n}"
	openGateway   = `{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`
)

// Open is the policy of the service's endpoints that lets everything through.
func (s Service) Open() string {
	if s.Gateway {
		return openGateway
	}
	return openInterface
}

// Policy is what a document says, or the open one for none.
func (s Service) Policy(document *string) (string, error) {
	if aws.Val(document) == "" {
		return s.Open(), nil
	}
	if _, err := policy.Parse(*document, policy.Resource); err != nil {
		return "", aws.Errorf("InvalidPolicyDocument", "The specified policy document is not valid: %s", aws.AsError(err).Message).Because(err)
	}
	return *document, nil
}
