package cloudformation

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"minato/aws"
	"minato/aws/api/cloud9"
	"minato/aws/api/ec2"
	"minato/aws/api/ecs"
	"minato/aws/api/elbv2"
	"minato/aws/api/iam"
	"minato/aws/api/logs"
	"minato/aws/api/rds"
	"minato/aws/api/sts"
	"minato/aws/identity"
	"minato/aws/validate"
)

// fakeAPI is the API of other services, as far as stacks need it: every
// creation makes a thing with an id, every deletion removes it, and what is
// used by something can not be removed.
type fakeAPI struct {
	mu      sync.Mutex
	n       int
	things  map[string][]string // id → ids that it uses
	calls   []string            // operations, in the order they came
	inputs  map[string][]any    // by operation
	callers map[string]bool     // ARNs of who called
	fail    map[string]error    // operations that fail
	slow    map[string]int      // operations whose things need so many looks to be ready
	looks   map[string]int
	tagged  string            // what DescribeTags finds, whatever is asked
	vault   map[string]string // secrets and parameters
	block   chan struct{}     // DescribeDBInstances waits for it, when it is set
}

func newFake() *fakeAPI {
	return &fakeAPI{things: map[string][]string{}, inputs: map[string][]any{}, callers: map[string]bool{}, fail: map[string]error{}, slow: map[string]int{}, looks: map[string]int{}}
}

// add makes a thing that uses others.
func (f *fakeAPI) add(prefix string, uses ...*string) *string {
	f.n++
	id := fmt.Sprintf("%s-%017d", prefix, f.n)
	f.name(id, uses...)
	return &id
}

// name makes a thing with a given id.
func (f *fakeAPI) name(id string, uses ...*string) {
	list := []string{}
	for _, u := range uses {
		if u != nil {
			list = append(list, *u)
		}
	}
	f.things[id] = list
}

// drop removes a thing unless something uses it.
func (f *fakeAPI) drop(id *string, missing string) error {
	if _, ok := f.things[*id]; !ok {
		return aws.Errorf(missing, "%s does not exist", *id)
	}
	for other, uses := range f.things {
		for _, u := range uses {
			if u == *id {
				return aws.Errorf("DependencyViolation", "%s is used by %s", *id, other)
			}
		}
	}
	delete(f.things, *id)
	return nil
}

// ready tells whether a thing of a slow kind is ready at this look.
func (f *fakeAPI) ready(op, id string) bool {
	f.looks[id]++
	return f.looks[id] > f.slow[op]
}

// Invoke implements aws.Invoker.
func (f *fakeAPI) Invoke(ctx context.Context, op *aws.Operation, in any) (any, error) {
	if err := validate.Input(op, in); err != nil {
		return nil, err
	}
	if op.Name == "DescribeDBInstances" && f.block != nil {
		select {
		case <-f.block:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	time.Sleep(time.Millisecond)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, op.Name)
	f.inputs[op.Name] = append(f.inputs[op.Name], in)
	f.callers[identity.From(ctx).ARN] = true
	if err := f.fail[op.Name]; err != nil {
		return nil, err
	}
	out, err := f.answer(in)
	if err != nil {
		return nil, err
	}
	if out == nil {
		out = reflect.New(op.Output).Interface()
	}
	if reflect.TypeOf(out) != reflect.PointerTo(op.Output) {
		panic(fmt.Sprintf("%s answers with a %T", op.Name, out))
	}
	return out, nil
}

func (f *fakeAPI) answer(in any) (any, error) {
	switch in := in.(type) {
	case *ec2.DescribeAvailabilityZonesInput:
		return &ec2.DescribeAvailabilityZonesOutput{AvailabilityZones: []ec2.AvailabilityZone{{ZoneName: aws.Ptr("us-east-1b")}, {ZoneName: aws.Ptr("us-east-1a")}, {ZoneName: aws.Ptr("us-east-1c")}}}, nil
	case *ec2.DescribeTagsInput:
		return &ec2.DescribeTagsOutput{Tags: []ec2.TagDescription{{ResourceId: &f.tagged}}}, nil
	case *ec2.CreateVpcInput:
		return &ec2.CreateVpcOutput{Vpc: &ec2.Vpc{VpcId: f.add("vpc")}}, nil
	case *ec2.DescribeVpcsInput:
		return &ec2.DescribeVpcsOutput{Vpcs: []ec2.Vpc{{VpcId: &in.VpcIds[0], State: aws.Ptr("available"), CidrBlock: aws.Ptr("10.0.0.0/16")}}}, nil
	case *ec2.DescribeSecurityGroupsInput:
		if len(in.GroupIds) == 0 {
			return &ec2.DescribeSecurityGroupsOutput{}, nil
		}
		return &ec2.DescribeSecurityGroupsOutput{SecurityGroups: []ec2.SecurityGroup{{GroupId: &in.GroupIds[0]}}}, nil
	case *ec2.CreateSubnetInput:
		return &ec2.CreateSubnetOutput{Subnet: &ec2.Subnet{SubnetId: f.add("subnet", in.VpcId)}}, nil
	case *ec2.DescribeSubnetsInput:
		return &ec2.DescribeSubnetsOutput{Subnets: []ec2.Subnet{{SubnetId: &in.SubnetIds[0], State: aws.Ptr("available"), AvailabilityZone: aws.Ptr("us-east-1a")}}}, nil
	case *ec2.CreateInternetGatewayInput:
		return &ec2.CreateInternetGatewayOutput{InternetGateway: &ec2.InternetGateway{InternetGatewayId: f.add("igw")}}, nil
	case *ec2.AttachInternetGatewayInput:
		f.name("attachment", in.VpcId, in.InternetGatewayId)
	case *ec2.DetachInternetGatewayInput:
		return nil, f.drop(aws.Ptr("attachment"), "Gateway.NotAttached")
	case *ec2.AllocateAddressInput:
		id := f.add("eipalloc")
		return &ec2.AllocateAddressOutput{AllocationId: id, PublicIp: aws.Ptr("198.18.0." + strings.TrimLeft((*id)[9:], "0"))}, nil
	case *ec2.DescribeAddressesInput:
		id := fmt.Sprintf("eipalloc-%017s", strings.TrimPrefix(in.PublicIps[0], "198.18.0."))
		if _, ok := f.things[id]; !ok {
			return nil, aws.Errorf("InvalidAddress.NotFound", "no address")
		}
		return &ec2.DescribeAddressesOutput{Addresses: []ec2.Address{{AllocationId: &id}}}, nil
	case *ec2.ReleaseAddressInput:
		return nil, f.drop(in.AllocationId, "InvalidAllocationID.NotFound")
	case *ec2.CreateNatGatewayInput:
		if _, attached := f.things["attachment"]; !attached {
			return nil, aws.Errorf("Gateway.NotAttached", "Network vpc has no Internet gateway attached")
		}
		return &ec2.CreateNatGatewayOutput{NatGateway: &ec2.NatGateway{NatGatewayId: f.add("nat", in.SubnetId, in.AllocationId)}}, nil
	case *ec2.DescribeNatGatewaysInput:
		if _, ok := f.things[in.NatGatewayIds[0]]; !ok {
			return &ec2.DescribeNatGatewaysOutput{}, nil
		}
		state := "pending"
		if f.ready("CreateNatGateway", in.NatGatewayIds[0]) {
			state = "available"
		}
		return &ec2.DescribeNatGatewaysOutput{NatGateways: []ec2.NatGateway{{NatGatewayId: &in.NatGatewayIds[0], State: &state}}}, nil
	case *ec2.DeleteNatGatewayInput:
		return nil, f.drop(in.NatGatewayId, "NatGatewayNotFound")
	case *ec2.CreateRouteTableInput:
		return &ec2.CreateRouteTableOutput{RouteTable: &ec2.RouteTable{RouteTableId: f.add("rtb", in.VpcId)}}, nil
	case *ec2.AssociateRouteTableInput:
		return &ec2.AssociateRouteTableOutput{AssociationId: f.add("rtbassoc", in.SubnetId, in.RouteTableId)}, nil
	case *ec2.CreateRouteInput:
		f.name("route-"+*in.RouteTableId, in.RouteTableId)
	case *ec2.DeleteRouteInput:
		return nil, f.drop(aws.Ptr("route-"+*in.RouteTableId), "InvalidRoute.NotFound")
	case *ec2.CreateSecurityGroupInput:
		return &ec2.CreateSecurityGroupOutput{GroupId: f.add("sg", in.VpcId)}, nil
	case *ec2.AuthorizeSecurityGroupIngressInput:
		return &ec2.AuthorizeSecurityGroupIngressOutput{SecurityGroupRules: []ec2.SecurityGroupRule{{SecurityGroupRuleId: aws.Ptr("sgr-1")}}}, nil
	case *ec2.DeleteVpcInput:
		return nil, f.drop(in.VpcId, "InvalidVpcID.NotFound")
	case *ec2.DeleteSubnetInput:
		return nil, f.drop(in.SubnetId, "InvalidSubnetID.NotFound")
	case *ec2.DeleteInternetGatewayInput:
		return nil, f.drop(in.InternetGatewayId, "InvalidInternetGatewayID.NotFound")
	case *ec2.DeleteRouteTableInput:
		return nil, f.drop(in.RouteTableId, "InvalidRouteTableID.NotFound")
	case *ec2.DisassociateRouteTableInput:
		return nil, f.drop(in.AssociationId, "InvalidAssociationID.NotFound")
	case *ec2.DeleteSecurityGroupInput:
		return nil, f.drop(in.GroupId, "InvalidGroup.NotFound")
	default:
		return f.answerOthers(in)
	}
	return nil, nil
}

// answerOthers answers what is not EC2.
func (f *fakeAPI) answerOthers(in any) (any, error) {
	switch in := in.(type) {
	case *rds.CreateDBSubnetGroupInput:
		f.name("subgrp:"+*in.DBSubnetGroupName, &in.SubnetIds[0], &in.SubnetIds[1])
	case *rds.DeleteDBSubnetGroupInput:
		return nil, f.drop(aws.Ptr("subgrp:"+*in.DBSubnetGroupName), "DBSubnetGroupNotFoundFault")
	case *rds.CreateDBParameterGroupInput:
		f.name(*in.DBParameterGroupName)
	case *rds.DeleteDBParameterGroupInput:
		return nil, f.drop(in.DBParameterGroupName, "DBParameterGroupNotFound")
	case *rds.CreateDBInstanceInput:
		f.name(*in.DBInstanceIdentifier, aws.Ptr("subgrp:"+*in.DBSubnetGroupName), in.DBParameterGroupName, &in.VpcSecurityGroupIds[0])
	case *rds.DescribeDBInstancesInput:
		id := *in.DBInstanceIdentifier
		if _, ok := f.things[id]; !ok {
			return nil, rds.DBInstanceNotFoundFault("DBInstance %s not found.", id)
		}
		status := "creating"
		if f.ready("CreateDBInstance", id) {
			status = "available"
		}
		return &rds.DescribeDBInstancesOutput{DBInstances: []rds.DBInstance{{DBInstanceStatus: &status, Endpoint: &rds.Endpoint{Address: aws.Ptr(id + ".rds"), Port: aws.Ptr(int32(3306))}}}}, nil
	case *rds.DeleteDBInstanceInput:
		return nil, f.drop(in.DBInstanceIdentifier, "DBInstanceNotFound")
	case *elbv2.CreateLoadBalancerInput:
		arn := "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/" + *in.Name + "/1"
		f.name(arn, &in.Subnets[0], &in.SecurityGroups[0])
		return &elbv2.CreateLoadBalancerOutput{LoadBalancers: []elbv2.LoadBalancer{{LoadBalancerArn: &arn}}}, nil
	case *elbv2.DescribeLoadBalancersInput:
		if _, ok := f.things[in.LoadBalancerArns[0]]; !ok {
			return nil, elbv2.LoadBalancerNotFoundException("no load balancer")
		}
		return &elbv2.DescribeLoadBalancersOutput{LoadBalancers: []elbv2.LoadBalancer{{LoadBalancerArn: &in.LoadBalancerArns[0], DNSName: aws.Ptr("chat.elb")}}}, nil
	case *elbv2.DeleteLoadBalancerInput:
		return nil, f.drop(in.LoadBalancerArn, "LoadBalancerNotFound")
	case *sts.AssumeRoleInput:
		if !strings.HasSuffix(*in.RoleArn, "/deploy") {
			return nil, aws.Errorf("AccessDenied", "the role does not trust you")
		}
		return &sts.AssumeRoleOutput{AssumedRoleUser: &sts.AssumedRoleUser{Arn: aws.Ptr("arn:aws:sts::000000000000:assumed-role/deploy/" + *in.RoleSessionName)}}, nil
	case *cloud9.CreateEnvironmentEC2Input:
		f.name("0123456789abcdef", in.SubnetId)
		return &cloud9.CreateEnvironmentEC2Output{EnvironmentId: aws.Ptr("0123456789abcdef")}, nil
	case *cloud9.DescribeEnvironmentsInput:
		if _, ok := f.things[in.EnvironmentIds[0]]; !ok {
			return &cloud9.DescribeEnvironmentsOutput{}, nil
		}
		return &cloud9.DescribeEnvironmentsOutput{Environments: []cloud9.Environment{{Id: &in.EnvironmentIds[0]}}}, nil
	case *cloud9.DeleteEnvironmentInput:
		return nil, f.drop(in.EnvironmentId, "NotFoundException")
	case *logs.CreateLogGroupInput:
		if _, ok := f.things[*in.LogGroupName]; ok {
			return nil, logs.ResourceAlreadyExistsException("The specified log group already exists")
		}
		f.name(*in.LogGroupName)
	case *logs.DeleteLogGroupInput:
		return nil, f.drop(in.LogGroupName, "ResourceNotFoundException")
	case *iam.CreateRoleInput:
		f.name(*in.RoleName)
	case *iam.GetRoleInput:
		return &iam.GetRoleOutput{Role: &iam.Role{Arn: aws.Ptr("arn:aws:iam::000000000000:role/" + *in.RoleName), RoleId: aws.Ptr("AROA")}}, nil
	case *iam.DeleteRoleInput:
		return nil, f.drop(in.RoleName, "NoSuchEntity")
	case *ecs.CreateClusterInput:
		f.name(*in.ClusterName)
	case *ecs.DescribeClustersInput:
		if _, ok := f.things[in.Clusters[0]]; !ok {
			return &ecs.DescribeClustersOutput{}, nil
		}
		return &ecs.DescribeClustersOutput{Clusters: []ecs.Cluster{{ClusterName: &in.Clusters[0], Status: aws.Ptr("ACTIVE"), ClusterArn: aws.Ptr("arn:aws:ecs:us-east-1:000000000000:cluster/" + in.Clusters[0])}}}, nil
	case *ecs.DeleteClusterInput:
		return nil, f.drop(in.Cluster, "ClusterNotFoundException")
	default:
		return f.answerSecrets(in)
	}
	return nil, nil
}

// count tells how often an operation was called.
func (f *fakeAPI) count(op string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.inputs[op])
}
