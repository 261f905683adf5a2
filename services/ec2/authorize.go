package ec2

import (
	"context"
	"reflect"
	"strings"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/gateway"
)

// resourceMembers are the members of inputs that name the resource an operation
// is about, with the type in its ARN; the first that an input has counts.
var resourceMembers = []struct{ member, kind string }{
	{"NetworkInterfaceId", "network-interface"},
	{"NatGatewayId", "natgateway"},
	{"GroupId", "security-group"},
	{"RouteTableId", "route-table"},
	{"NetworkAclId", "network-acl"},
	{"AllocationId", "elastic-ip"},
	{"SubnetId", "subnet"},
	{"InternetGatewayId", "internet-gateway"},
	{"VpcEndpointId", "vpc-endpoint"},
	{"PrefixListId", "prefix-list"},
	{"VpcId", "vpc"},
}

// created are the types of resources that an operation makes: IAM is asked
// about any resource of the type.
var created = map[string]string{
	"CreateVpc": "vpc", "CreateSubnet": "subnet", "CreateInternetGateway": "internet-gateway", "CreateRouteTable": "route-table",
	"CreateSecurityGroup": "security-group", "CreateNetworkAcl": "network-acl", "CreateNetworkInterface": "network-interface", "CreateNatGateway": "natgateway", "AllocateAddress": "elastic-ip",
	"CreateVpcEndpoint": "vpc-endpoint",
}

// checks asks IAM about the resource an operation is about. Describe operations
// have none, as on AWS (models/rules/iam-actions.json).
func (s *Service) checks(ctx context.Context, op *aws.Operation, in any) []gateway.Check {
	c := identity.From(ctx)
	place := arn.In(c.Region, c.Account)
	if strings.HasPrefix(op.Name, "Describe") {
		return nil
	}
	switch in := in.(type) {
	case *ec2api.RunInstancesInput:
		return append([]gateway.Check{{Action: op.Action(), Resource: place.EC2("instance", "*")}}, s.passRole(ctx, in.IamInstanceProfile)...)
	case *ec2api.AssociateIamInstanceProfileInput:
		return append([]gateway.Check{{Action: op.Action(), Resource: place.EC2("instance", aws.Val(in.InstanceId))}}, s.passRole(ctx, in.IamInstanceProfile)...)
	case *ec2api.ReplaceIamInstanceProfileAssociationInput:
		return append([]gateway.Check{{Action: op.Action(), Resource: place.EC2("instance", "*")}}, s.passRole(ctx, in.IamInstanceProfile)...)
	case *ec2api.DisassociateIamInstanceProfileInput:
		return []gateway.Check{{Action: op.Action(), Resource: place.EC2("instance", "*")}}
	case *ec2api.StartInstancesInput:
		return eachOf(place, op, "instance", in.InstanceIds)
	case *ec2api.StopInstancesInput:
		return eachOf(place, op, "instance", in.InstanceIds)
	case *ec2api.TerminateInstancesInput:
		return eachOf(place, op, "instance", in.InstanceIds)
	case *ec2api.DeleteVpcEndpointsInput:
		return eachOf(place, op, "vpc-endpoint", in.VpcEndpointIds)
	}
	if kind := created[op.Name]; kind != "" {
		return []gateway.Check{{Action: op.Action(), Resource: place.EC2(kind, "*")}}
	}
	v := reflect.ValueOf(in).Elem()
	if op.Name == "CreateTags" || op.Name == "DeleteTags" {
		return tagChecks(place, op, v.FieldByName("Resources").Interface().([]string))
	}
	for _, m := range resourceMembers {
		f := v.FieldByName(m.member)
		if !f.IsValid() || f.Kind() != reflect.Pointer || f.IsNil() {
			continue
		}
		return []gateway.Check{{Action: op.Action(), Resource: place.EC2(m.kind, f.Elem().String())}}
	}
	return nil
}

// kinds of resources by the prefix of their ids.
var kinds = map[string]string{
	"vpc": "vpc", "subnet": "subnet", "igw": "internet-gateway", "rtb": "route-table", "acl": "network-acl", "sg": "security-group",
	"sgr": "security-group-rule", "eni": "network-interface", "eipalloc": "elastic-ip", "nat": "natgateway", "i": "instance", "vpce": "vpc-endpoint",
}

func tagChecks(place arn.Place, op *aws.Operation, ids []string) []gateway.Check {
	var out []gateway.Check
	for _, id := range ids {
		prefix, _, _ := strings.Cut(id, "-")
		kind := kinds[prefix]
		if kind == "" {
			kind = "*"
		}
		out = append(out, gateway.Check{Action: op.Action(), Resource: place.EC2(kind, id)})
	}
	return out
}

// eachOf asks about each of some resources of a kind.
func eachOf(place arn.Place, op *aws.Operation, kind string, ids []string) []gateway.Check {
	var out []gateway.Check
	for _, id := range ids {
		out = append(out, gateway.Check{Action: op.Action(), Resource: place.EC2(kind, id)})
	}
	return out
}
