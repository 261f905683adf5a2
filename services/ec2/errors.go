package ec2

import "minato/aws"

// The errors of things that are not there, in EC2's words.

func noVPC(id string) error {
	return aws.Errorf("InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", id)
}

func noSubnet(id string) error {
	return aws.Errorf("InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", id)
}

func noGateway(id string) error {
	return aws.Errorf("InvalidInternetGatewayID.NotFound", "The internetGateway ID '%s' does not exist", id)
}

func noRouteTable(id string) error {
	return aws.Errorf("InvalidRouteTableID.NotFound", "The routeTable ID '%s' does not exist", id)
}

func noACL(id string) error {
	return aws.Errorf("InvalidNetworkAclID.NotFound", "The networkAcl ID '%s' does not exist", id)
}

func noGroup(id string) error {
	return aws.Errorf("InvalidGroup.NotFound", "The security group '%s' does not exist", id)
}

func noInterface(id string) error {
	return aws.Errorf("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID '%s' does not exist", id)
}

func noAllocation(id string) error {
	return aws.Errorf("InvalidAllocationID.NotFound", "The allocation ID '%s' does not exist", id)
}

func noAssociation(id string) error {
	return aws.Errorf("InvalidAssociationID.NotFound", "The association ID '%s' does not exist", id)
}

func noNAT(id string) error {
	return aws.Errorf("NatGatewayNotFound", "The Nat Gateway %s was not found", id)
}

func dependency(kind, id string) error {
	return aws.Errorf("DependencyViolation", "The %s '%s' has dependencies and cannot be deleted.", kind, id)
}

func unsupported(what string) error {
	return aws.Errorf("UnsupportedOperation", "The functionality you requested is not available in this region: %s is not served by minato.", what)
}
