package endpoint

import (
	"minato/aws"
	ec2api "minato/aws/api/ec2"
)

// Missing says that there is no such endpoint.
func Missing(id string) error {
	return aws.Errorf("InvalidVpcEndpointId.NotFound", "The Vpc Endpoint Id '%s' does not exist", id)
}

// NotDeleted is an endpoint that DeleteVpcEndpoints could not delete.
func NotDeleted(id string) ec2api.UnsuccessfulItem {
	return ec2api.UnsuccessfulItem{ResourceId: &id, Error: &ec2api.UnsuccessfulItemError{
		Code: ptr("InvalidVpcEndpoint.NotFound"), Message: ptr("The Vpc Endpoint Id '" + id + "' does not exist"),
	}}
}

// NoService says that no service has a name.
func NoService(name string) error {
	return aws.Errorf("InvalidServiceName", "The Vpc Endpoint Service '%s' does not exist", name)
}

// RouteExists says that a route table has an endpoint of the service already.
func RouteExists(table, list string) error {
	return aws.Errorf("RouteAlreadyExists", "route table %s already has a route with destination-prefix-list-id %s", table, list)
}

// SameZone says that an endpoint has a subnet in the zone of another already.
func SameZone(subnet string) error {
	return aws.Errorf("DuplicateSubnetsInSameZone", "Found another VPC endpoint subnet in the availability zone of %s. VPC endpoint subnets should be in different availability zones supported by the VPC endpoint service.", subnet)
}

// NeedsDNS says that a VPC cannot have private names.
func NeedsDNS(vpc string) error {
	return invalid("Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to true for %s", vpc)
}

// NameTaken says that another endpoint of the VPC answers for the service's name.
func NameTaken(name, vpc string) error {
	return invalid("private-dns-enabled cannot be set because there is already a conflicting DNS domain for %s in the VPC %s", name, vpc)
}

// TooMany says that there are as many endpoints of a type as there may be.
func TooMany() error {
	return aws.Errorf("VpcEndpointLimitExceeded", "The maximum number of VPC endpoints has been reached.")
}

// The most endpoints that there may be: gateways in a region, interfaces in a VPC.
const (
	MostGateways   = 20
	MostInterfaces = 50
)

func invalid(format string, args ...any) error {
	return aws.Errorf("InvalidParameter", format, args...)
}
