package elbv2

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path"
	"slices"
	"sync"
	"testing"
	"time"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	elbapi "minato/aws/api/elbv2"
	s3api "minato/aws/api/s3"
	"minato/aws/identity"
	"minato/controller"
	"minato/dataplane/proxy"
	"minato/dataplane/proxy/engine"
	"minato/dataplane/proxy/proxytest"
	"minato/internal/clock"
	"minato/internal/ids"
	"minato/store"
	"minato/store/memstore"
)

// fakeEC2 is a VPC whose private addresses are loopback addresses, so that load
// balancers really listen.
type fakeEC2 struct {
	ec2api.API
	mu         sync.Mutex
	interfaces []ec2api.NetworkInterface
	gateway    bool
	next       int
	fail       error // of CreateNetworkInterface
}

var subnets = []ec2api.Subnet{
	{SubnetId: aws.Ptr("subnet-a"), VpcId: aws.Ptr("vpc-1"), AvailabilityZone: aws.Ptr("us-east-1a"), CidrBlock: aws.Ptr("127.77.0.0/24")},
	{SubnetId: aws.Ptr("subnet-a2"), VpcId: aws.Ptr("vpc-1"), AvailabilityZone: aws.Ptr("us-east-1a"), CidrBlock: aws.Ptr("127.77.1.0/24")},
	{SubnetId: aws.Ptr("subnet-c"), VpcId: aws.Ptr("vpc-1"), AvailabilityZone: aws.Ptr("us-east-1c"), CidrBlock: aws.Ptr("127.77.2.0/24")},
	{SubnetId: aws.Ptr("subnet-d"), VpcId: aws.Ptr("vpc-1"), AvailabilityZone: aws.Ptr("us-east-1d"), CidrBlock: aws.Ptr("127.77.3.0/24")},
	{SubnetId: aws.Ptr("subnet-other"), VpcId: aws.Ptr("vpc-2"), AvailabilityZone: aws.Ptr("us-east-1c"), CidrBlock: aws.Ptr("127.78.0.0/24")},
}

func filter(all []ec2api.Filter, name string) []string {
	for _, f := range all {
		if aws.Val(f.Name) == name {
			return f.Values
		}
	}
	return nil
}

func (f *fakeEC2) DescribeSubnets(_ context.Context, in *ec2api.DescribeSubnetsInput) (*ec2api.DescribeSubnetsOutput, error) {
	out := &ec2api.DescribeSubnetsOutput{}
	for _, n := range subnets {
		if len(in.SubnetIds) > 0 && !slices.Contains(in.SubnetIds, *n.SubnetId) {
			continue
		}
		if vpc := filter(in.Filters, "vpc-id"); vpc != nil && !slices.Contains(vpc, *n.VpcId) {
			continue
		}
		out.Subnets = append(out.Subnets, n)
	}
	if len(out.Subnets) < len(in.SubnetIds) {
		return nil, aws.Errorf("InvalidSubnetID.NotFound", "The subnet ID 'subnet-x' does not exist")
	}
	return out, nil
}

func (f *fakeEC2) DescribeVpcs(_ context.Context, in *ec2api.DescribeVpcsInput) (*ec2api.DescribeVpcsOutput, error) {
	if in.VpcIds[0] != "vpc-1" && in.VpcIds[0] != "vpc-2" {
		return nil, aws.Errorf("InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", in.VpcIds[0])
	}
	return &ec2api.DescribeVpcsOutput{Vpcs: []ec2api.Vpc{{VpcId: &in.VpcIds[0]}}}, nil
}

func (f *fakeEC2) DescribeInternetGateways(context.Context, *ec2api.DescribeInternetGatewaysInput) (*ec2api.DescribeInternetGatewaysOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := &ec2api.DescribeInternetGatewaysOutput{}
	if f.gateway {
		out.InternetGateways = []ec2api.InternetGateway{{}}
	}
	return out, nil
}

func (f *fakeEC2) DescribeSecurityGroups(_ context.Context, in *ec2api.DescribeSecurityGroupsInput) (*ec2api.DescribeSecurityGroupsOutput, error) {
	if len(in.GroupIds) == 0 {
		return &ec2api.DescribeSecurityGroupsOutput{SecurityGroups: []ec2api.SecurityGroup{{GroupId: aws.Ptr("sg-default"), VpcId: aws.Ptr("vpc-1")}}}, nil
	}
	out := &ec2api.DescribeSecurityGroupsOutput{}
	for _, id := range in.GroupIds {
		vpc := "vpc-1"
		if id == "sg-none" {
			return nil, aws.Errorf("InvalidGroup.NotFound", "The security group '%s' does not exist", id)
		} else if id == "sg-other" {
			vpc = "vpc-2"
		}
		out.SecurityGroups = append(out.SecurityGroups, ec2api.SecurityGroup{GroupId: &id, VpcId: &vpc})
	}
	return out, nil
}

func (f *fakeEC2) CreateNetworkInterface(ctx context.Context, in *ec2api.CreateNetworkInterfaceInput) (*ec2api.CreateNetworkInterfaceOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		return nil, f.fail
	}
	if c := identity.From(ctx); c.Kind != identity.Service || c.Service != Principal {
		return nil, aws.Errorf("Test", "called as %+v", c)
	}
	f.next++
	n := ec2api.NetworkInterface{
		NetworkInterfaceId: aws.Ptr(ids.EC2("eni")), Description: in.Description, SubnetId: in.SubnetId, Groups: identifiers(in.Groups), RequesterManaged: aws.Ptr(true),
		PrivateIpAddress: aws.Ptr(fmt.Sprintf("127.77.0.%d", 10+f.next)),
	}
	f.interfaces = append(f.interfaces, n)
	return &ec2api.CreateNetworkInterfaceOutput{NetworkInterface: &n}, nil
}

func identifiers(groups []string) (all []ec2api.GroupIdentifier) {
	for _, g := range groups {
		all = append(all, ec2api.GroupIdentifier{GroupId: aws.Ptr(g)})
	}
	return all
}

func (f *fakeEC2) ModifyNetworkInterfaceAttribute(_ context.Context, in *ec2api.ModifyNetworkInterfaceAttributeInput) (*ec2api.ModifyNetworkInterfaceAttributeOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.interfaces {
		n := &f.interfaces[i]
		if *n.NetworkInterfaceId != *in.NetworkInterfaceId {
			continue
		}
		if in.Groups != nil {
			n.Groups = identifiers(in.Groups)
		}
		if aws.Val(in.AssociatePublicIpAddress) {
			n.Association = &ec2api.NetworkInterfaceAssociation{PublicIp: aws.Ptr("198.19.0." + path.Ext(*n.PrivateIpAddress)[1:])}
		}
	}
	return &ec2api.ModifyNetworkInterfaceAttributeOutput{}, nil
}

func (f *fakeEC2) DeleteNetworkInterface(_ context.Context, in *ec2api.DeleteNetworkInterfaceInput) (*ec2api.DeleteNetworkInterfaceOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.interfaces = slices.DeleteFunc(f.interfaces, func(n ec2api.NetworkInterface) bool { return *n.NetworkInterfaceId == *in.NetworkInterfaceId })
	return &ec2api.DeleteNetworkInterfaceOutput{}, nil
}

func (f *fakeEC2) DescribeNetworkInterfaces(context.Context, *ec2api.DescribeNetworkInterfacesInput) (*ec2api.DescribeNetworkInterfacesOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &ec2api.DescribeNetworkInterfacesOutput{NetworkInterfaces: slices.Clone(f.interfaces)}, nil
}

// world is a service with everything around it; stop and start make it die and
// come back over the same store.
type world struct {
	t     *testing.T
	ctx   context.Context
	ec2   *fakeEC2
	store store.Store

	s     *Service
	proxy proxy.Proxy
	c     *controller.Controller
	bus   *controller.Bus
	mu    sync.Mutex
	names []Name

	bucket fakeBucket
}

// fakeBucket takes access logs into the bucket "logs" and refuses any other.
type fakeBucket struct {
	mu   sync.Mutex
	keys []string
}

func (b *fakeBucket) PutObject(_ context.Context, in *s3api.PutObjectInput) (*s3api.PutObjectOutput, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if *in.Bucket != "logs" {
		return nil, s3api.NoSuchBucket("The specified bucket does not exist")
	}
	b.keys = append(b.keys, *in.Key)
	return &s3api.PutObjectOutput{}, nil
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, ec2: &fakeEC2{gateway: true}, store: memstore.New()}
	w.ctx = identity.With(t.Context(), identity.Caller{Kind: identity.User, Account: "000000000000", Region: "us-east-1"})
	w.start()
	t.Cleanup(func() { w.stop() })
	return w
}

func (w *world) start() {
	clk, log := clock.Real(proxytest.Pace), slog.New(slog.NewTextHandler(io.Discard, nil))
	w.proxy = engine.New(&proxytest.Loopback{}, clk, log)
	w.bus = controller.NewBus()
	w.c = controller.New(clk, log, w.bus)
	w.c.WatchStore(w.store)
	w.s = New(Deps{Store: w.store, Clock: clk, Log: log, EC2: w.ec2, Proxy: w.proxy, Bus: w.bus, Buckets: &w.bucket, Names: func(n []Name) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.names = n
	}})
	w.s.Register(w.c)
	w.c.Start()
}

func (w *world) stop() {
	w.c.Stop()
	w.proxy.Close()
}

func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// must is the answer of a call that has to work.
func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// balancer makes a load balancer in two subnets.
func (w *world) balancer(name string) elbapi.LoadBalancer {
	w.t.Helper()
	return must(w.s.CreateLoadBalancer(w.ctx, &elbapi.CreateLoadBalancerInput{Name: &name, Subnets: []string{"subnet-a", "subnet-c"}, SecurityGroups: []string{"sg-1"}}))(w.t).LoadBalancers[0]
}

// group makes a target group that checks quickly.
func (w *world) group(name string) *string {
	w.t.Helper()
	return must(w.s.CreateTargetGroup(w.ctx, &elbapi.CreateTargetGroupInput{
		Name: &name, Protocol: aws.Ptr("HTTP"), Port: aws.Ptr(int32(80)), TargetType: aws.Ptr("ip"), VpcId: aws.Ptr("vpc-1"),
		HealthCheckIntervalSeconds: aws.Ptr(int32(5)), HealthCheckTimeoutSeconds: aws.Ptr(int32(2)), HealthyThresholdCount: aws.Ptr(int32(2)),
	}))(w.t).TargetGroups[0].TargetGroupArn
}

func forward(group *string) []elbapi.Action {
	return []elbapi.Action{{Type: aws.Ptr("forward"), TargetGroupArn: group}}
}

// listener opens a port that forwards to a group.
func (w *world) listener(lb, group *string, port int32) elbapi.Listener {
	w.t.Helper()
	return must(w.s.CreateListener(w.ctx, &elbapi.CreateListenerInput{LoadBalancerArn: lb, Protocol: aws.Ptr("HTTP"), Port: &port, DefaultActions: forward(group)}))(w.t).Listeners[0]
}
