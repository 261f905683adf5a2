package ec2

import (
	"context"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
)

// unserved are the members, by operation, that EC2 acts on and minato would
// drop; asking for one is an error that names it. RunInstances has its own list,
// of what it does take (runMembers).
var unserved = map[string][]string{
	"AssociateAddress":                {"PrivateIpAddress", "PublicIp"},
	"AssociateRouteTable":             {"PublicIpv4Pool"},
	"AllocateAddress":                 {"IpamPoolId"},
	"CreateNatGateway":                {"AvailabilityZoneAddresses", "SecondaryPrivateIpAddressCount", "VpcId"},
	"CreateNetworkInterface":          {"ConnectionTrackingSpecification", "EnablePrimaryIpv6", "Ipv4PrefixCount", "Ipv4Prefixes", "Ipv6PrefixCount", "Ipv6Prefixes", "Operator"},
	"CreateRoute":                     {"OdbNetworkArn"},
	"CreateSubnet":                    {"Ipv4IpamPoolId", "Ipv4NetmaskLength", "Ipv6IpamPoolId", "Ipv6NetmaskLength", "OutpostArn"},
	"CreateVpc":                       {"Ipv4IpamPoolId", "Ipv4NetmaskLength", "Ipv6CidrBlockNetworkBorderGroup", "Ipv6IpamPoolId", "Ipv6NetmaskLength", "Ipv6Pool", "VpcEncryptionControl"},
	"DeleteRoute":                     {"DestinationIpv6CidrBlock", "DestinationPrefixListId"},
	"DescribeImages":                  {"ExecutableUsers"},
	"DisassociateAddress":             {"PublicIp"},
	"ModifyNetworkInterfaceAttribute": {"AssociatedSubnetIds", "ConnectionTrackingSpecification", "EnaSrdSpecification", "EnablePrimaryIpv6"},
	"ModifySubnetAttribute":           {"CustomerOwnedIpv4Pool", "DisableLniAtDeviceIndex", "EnableDns64", "EnableLniAtDeviceIndex", "EnableResourceNameDnsAAAARecordOnLaunch", "EnableResourceNameDnsARecordOnLaunch", "MapCustomerOwnedIpOnLaunch"},
	"ModifyVpcAttribute":              {"EnableNetworkAddressUsageMetrics"},
	"ReleaseAddress":                  {"PublicIp"},
	"ReplaceRoute":                    {"CarrierGatewayId", "CoreNetworkArn", "EgressOnlyInternetGatewayId", "LocalGatewayId", "LocalTarget", "OdbNetworkArn"},
}

// refusing puts the refusal of an operation's unserved members before its
// handler.
func refusing(operation string, h aws.Handler) aws.Handler {
	members := unserved[operation]
	if len(members) == 0 {
		return h
	}
	return func(ctx context.Context, in any) (any, error) {
		if name, asked := aws.Asked(in, members...); asked {
			return nil, unsupported(name + " of " + operation)
		}
		return h(ctx, in)
	}
}

// checkInterfaceSpecification refuses what the one interface of a launch may be
// told on EC2 and would not do here.
func checkInterfaceSpecification(n *ec2api.InstanceNetworkInterfaceSpecification) error {
	if name, asked := aws.Asked(n, "AssociateCarrierIpAddress", "ConnectionTrackingSpecification", "EnaQueueCount", "EnaSrdSpecification",
		"Ipv4PrefixCount", "Ipv4Prefixes", "Ipv6AddressCount", "Ipv6Addresses", "Ipv6PrefixCount", "Ipv6Prefixes", "NetworkCardIndex", "PrimaryIpv6",
		"PrivateIpAddresses", "SecondaryPrivateIpAddressCount"); asked {
		return unsupported(name + " of a network interface of RunInstances")
	}
	if n.DeleteOnTermination != nil && !*n.DeleteOnTermination {
		return unsupported("a network interface that outlives its instance")
	}
	return nil
}
