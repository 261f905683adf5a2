package rds

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	rdsapi "minato/aws/api/rds"
	"minato/aws/identity"
	"minato/controller"
	"minato/dataplane/database"
	"minato/internal/clock"
	"minato/store/memstore"
)

// fakeEC2 is two VPCs: vpc-1 with subnets in two zones, vpc-2 with one.
type fakeEC2 struct {
	ec2api.API
	mu         sync.Mutex
	interfaces map[string]*ec2api.NetworkInterface
	made       int
	dnsNames   bool
}

var fakeSubnets = map[string][2]string{"subnet-a": {"vpc-1", "us-east-1a"}, "subnet-b": {"vpc-1", "us-east-1b"}, "subnet-x": {"vpc-2", "us-east-1b"}}

func (f *fakeEC2) DescribeSubnets(_ context.Context, in *ec2api.DescribeSubnetsInput) (*ec2api.DescribeSubnetsOutput, error) {
	ids := in.SubnetIds
	if len(ids) == 0 {
		ids = []string{"subnet-a", "subnet-b"} // the default ones
	}
	out := &ec2api.DescribeSubnetsOutput{}
	for _, id := range ids {
		s, ok := fakeSubnets[id]
		if !ok {
			return nil, aws.Errorf("InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", id)
		}
		out.Subnets = append(out.Subnets, ec2api.Subnet{SubnetId: aws.Ptr(id), VpcId: aws.Ptr(s[0]), AvailabilityZone: aws.Ptr(s[1])})
	}
	return out, nil
}

func (f *fakeEC2) DescribeSecurityGroups(_ context.Context, in *ec2api.DescribeSecurityGroupsInput) (*ec2api.DescribeSecurityGroupsOutput, error) {
	groups := map[string]string{"sg-default": "vpc-1", "sg-db": "vpc-1", "sg-other": "vpc-2"}
	ids := in.GroupIds
	if len(ids) == 0 {
		ids = []string{"sg-default"}
	}
	out := &ec2api.DescribeSecurityGroupsOutput{}
	for _, id := range ids {
		vpc, ok := groups[id]
		if !ok {
			return nil, aws.Errorf("InvalidGroup.NotFound", "The security group '%s' does not exist", id)
		}
		out.SecurityGroups = append(out.SecurityGroups, ec2api.SecurityGroup{GroupId: aws.Ptr(id), VpcId: aws.Ptr(vpc)})
	}
	return out, nil
}

func (f *fakeEC2) DescribeVpcAttribute(_ context.Context, in *ec2api.DescribeVpcAttributeInput) (*ec2api.DescribeVpcAttributeOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &ec2api.DescribeVpcAttributeOutput{EnableDnsSupport: &ec2api.AttributeBooleanValue{Value: aws.Ptr(true)}, EnableDnsHostnames: &ec2api.AttributeBooleanValue{Value: aws.Ptr(f.dnsNames)}}, nil
}

func (f *fakeEC2) DescribeAvailabilityZones(context.Context, *ec2api.DescribeAvailabilityZonesInput) (*ec2api.DescribeAvailabilityZonesOutput, error) {
	return &ec2api.DescribeAvailabilityZonesOutput{AvailabilityZones: []ec2api.AvailabilityZone{{ZoneName: aws.Ptr("us-east-1a")}}}, nil
}

func (f *fakeEC2) CreateNetworkInterface(ctx context.Context, in *ec2api.CreateNetworkInterfaceInput) (*ec2api.CreateNetworkInterfaceOutput, error) {
	if c := identity.From(ctx); c.Service != "rds.amazonaws.com" {
		return nil, fmt.Errorf("made by %+v", c)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.made++
	eni := &ec2api.NetworkInterface{
		NetworkInterfaceId: aws.Ptr(fmt.Sprint("eni-", f.made)), PrivateIpAddress: aws.Ptr(fmt.Sprint("10.0.2.", 10+f.made)), SubnetId: in.SubnetId,
		Description: in.Description, TagSet: in.TagSpecifications[0].Tags,
	}
	f.setGroups(eni, in.Groups)
	f.interfaces[*eni.NetworkInterfaceId] = eni
	return &ec2api.CreateNetworkInterfaceOutput{NetworkInterface: eni}, nil
}

func (f *fakeEC2) setGroups(eni *ec2api.NetworkInterface, groups []string) {
	eni.Groups = nil
	for _, g := range groups {
		eni.Groups = append(eni.Groups, ec2api.GroupIdentifier{GroupId: aws.Ptr(g)})
	}
}

func (f *fakeEC2) DescribeNetworkInterfaces(_ context.Context, in *ec2api.DescribeNetworkInterfacesInput) (*ec2api.DescribeNetworkInterfacesOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := &ec2api.DescribeNetworkInterfacesOutput{}
	for id, eni := range f.interfaces {
		if slices.Contains(in.NetworkInterfaceIds, id) || len(in.Filters) == 1 && in.Filters[0].Values[0] == *eni.TagSet[0].Value {
			out.NetworkInterfaces = append(out.NetworkInterfaces, *eni)
		}
	}
	return out, nil
}

func (f *fakeEC2) ModifyNetworkInterfaceAttribute(_ context.Context, in *ec2api.ModifyNetworkInterfaceAttributeInput) (*ec2api.ModifyNetworkInterfaceAttributeOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	eni := f.interfaces[*in.NetworkInterfaceId]
	f.setGroups(eni, in.Groups)
	eni.Association = nil
	if aws.Val(in.AssociatePublicIpAddress) {
		eni.Association = &ec2api.NetworkInterfaceAssociation{PublicIp: aws.Ptr("198.18.0.77")}
	}
	return &ec2api.ModifyNetworkInterfaceAttributeOutput{}, nil
}

func (f *fakeEC2) DeleteNetworkInterface(_ context.Context, in *ec2api.DeleteNetworkInterfaceInput) (*ec2api.DeleteNetworkInterfaceOutput, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.interfaces[*in.NetworkInterfaceId] == nil {
		return nil, aws.Errorf("InvalidNetworkInterfaceID.NotFound", "none")
	}
	delete(f.interfaces, *in.NetworkInterfaceId)
	return &ec2api.DeleteNetworkInterfaceOutput{}, nil
}

// fakeDatabases remembers what it was asked for.
type fakeDatabases struct {
	database.Servers
	mu        sync.Mutex
	servers   map[string]*fakeServer
	snapshots map[string]string
	refuse    func(database.Server) error // nil lets every start succeed
	changes   chan string
	none      bool // no server program
}

type fakeServer struct {
	spec    database.Server
	running bool
	starts  int
	values  map[string]string
	master  string
}

func (f *fakeDatabases) Product(engine string) (database.Product, error) {
	return database.Product{Engine: engine, Name: "MariaDB", Version: "10.11.6"}, nil
}

func (f *fakeDatabases) Verifier(_, password string) (string, error) {
	return "verifier of " + password, nil
}

func (f *fakeDatabases) Ensure(_ context.Context, s database.Server) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.none {
		return database.ErrNoEngine
	}
	if f.refuse != nil {
		if err := f.refuse(s); err != nil {
			return err
		}
	}
	srv := f.servers[s.ID]
	if srv == nil {
		if s.Snapshot != "" && f.snapshots[s.Snapshot] == "" {
			return fmt.Errorf("no snapshot %s", s.Snapshot)
		}
		srv = &fakeServer{master: s.Master.Verifier}
		f.servers[s.ID] = srv
	}
	if !srv.running {
		srv.spec, srv.running, srv.values = s, true, maps.Clone(s.Parameters)
		srv.starts++
	}
	return nil
}

func (f *fakeDatabases) Running(_ context.Context, id string) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.servers[id] != nil && f.servers[id].running, nil
}

func (f *fakeDatabases) Stop(_ context.Context, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.servers[id].running = false
	return nil
}

func (f *fakeDatabases) Delete(_ context.Context, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.servers, id)
	return nil
}

func (f *fakeDatabases) List(context.Context) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Keys(f.servers)), nil
}

func (f *fakeDatabases) SetMaster(_ context.Context, id string, m database.Master) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.servers[id].master = m.Verifier
	return nil
}

func (f *fakeDatabases) Apply(_ context.Context, id string, settings []database.Setting) ([]database.Outcome, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []database.Outcome
	for _, s := range settings {
		o := database.Outcome{Name: s.Name, Effect: database.Applied}
		switch {
		case s.Name == "innodb_dedicated_server":
			o.Effect, o.Reason = database.NotApplied, "MariaDB has no such variable"
		case f.servers[id].values[s.Name] == s.Value:
		case s.Now:
			f.servers[id].values[s.Name] = s.Value
		default:
			o.Effect = database.PendingReboot
		}
		out = append(out, o)
	}
	return out, nil
}

func (f *fakeDatabases) Snapshot(_ context.Context, id, snapshot string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.servers[id] == nil {
		return database.ErrNotFound
	}
	f.snapshots[snapshot] = id
	return nil
}

func (f *fakeDatabases) DeleteSnapshot(_ context.Context, snapshot string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.snapshots, snapshot)
	return nil
}

func (f *fakeDatabases) Snapshots(context.Context) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Keys(f.snapshots)), nil
}

func (f *fakeDatabases) Changes(context.Context) <-chan string { return f.changes }

// only returns the one server there is.
func (f *fakeDatabases) only(t *testing.T) *fakeServer {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.servers) != 1 {
		t.Fatalf("%d servers", len(f.servers))
	}
	for _, s := range f.servers {
		c := *s
		c.values = maps.Clone(s.values)
		return &c
	}
	return nil
}

type fakeNetwork struct{}

func (fakeNetwork) Wait(context.Context, string) error { return nil }
func (fakeNetwork) NetnsPath(eni string) string        { return "/run/netns/" + eni }

// world is a service with its reconciler running.
type world struct {
	*testing.T
	*Service
	ctx       context.Context
	ec2       *fakeEC2
	databases *fakeDatabases
}

func newWorld(t *testing.T) *world {
	w := &world{
		T: t, ec2: &fakeEC2{interfaces: map[string]*ec2api.NetworkInterface{}},
		databases: &fakeDatabases{servers: map[string]*fakeServer{}, snapshots: map[string]string{}, changes: make(chan string)},
		ctx:       identity.With(t.Context(), identity.Caller{Kind: identity.User, Account: "000000000000", Region: "us-east-1"}),
	}
	records := memstore.New()
	w.Service = New(Deps{Store: records, Clock: clock.Real(20), EC2: w.ec2, Databases: w.databases, Network: fakeNetwork{}})
	c := controller.New(clock.Real(20), w.Service.Log, controller.NewBus())
	c.WatchStore(records)
	w.Reconcile(c)
	c.Start()
	go w.Follow(w.ctx)
	t.Cleanup(func() { c.Stop(); close(w.databases.changes) })
	_, err := w.CreateDBSubnetGroup(w.ctx, &rdsapi.CreateDBSubnetGroupInput{DBSubnetGroupName: aws.Ptr("Chat-DB"), DBSubnetGroupDescription: aws.Ptr("d"), SubnetIds: []string{"subnet-a", "subnet-b"}})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// order is the workshop's instance, mended.
func (w *world) order() *rdsapi.CreateDBInstanceInput {
	return &rdsapi.CreateDBInstanceInput{
		DBInstanceIdentifier: aws.Ptr("chat-db"), Engine: aws.Ptr("MySQL"), EngineVersion: aws.Ptr("8.0.43"), DBInstanceClass: aws.Ptr("db.t3.micro"), AllocatedStorage: aws.Ptr(int32(20)),
		MasterUsername: aws.Ptr("root"), MasterUserPassword: aws.Ptr("chat-password"), DBSubnetGroupName: aws.Ptr("chat-db"), VpcSecurityGroupIds: []string{"sg-db"},
	}
}

func (w *world) create(in *rdsapi.CreateDBInstanceInput) rdsapi.DBInstance {
	w.Helper()
	out, err := w.CreateDBInstance(w.ctx, in)
	if err != nil {
		w.Fatal(err)
	}
	if s := *out.DBInstance.DBInstanceStatus; s != "creating" || out.DBInstance.Endpoint != nil {
		w.Fatal(s, out.DBInstance.Endpoint)
	}
	return w.reach(*in.DBInstanceIdentifier, "available")
}

// reach waits for a status.
func (w *world) reach(id, status string) rdsapi.DBInstance {
	w.Helper()
	return w.until(id, status, func(i rdsapi.DBInstance) bool { return *i.DBInstanceStatus == status })
}

func (w *world) until(id, what string, f func(rdsapi.DBInstance) bool) rdsapi.DBInstance {
	w.Helper()
	var last rdsapi.DBInstance
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		out, err := w.DescribeDBInstances(w.ctx, &rdsapi.DescribeDBInstancesInput{DBInstanceIdentifier: aws.Ptr(id)})
		if err != nil {
			w.Fatal(err)
		}
		if last = out.DBInstances[0]; f(last) {
			return last
		}
	}
	w.Fatalf("%s never became %s: %s", id, what, *last.DBInstanceStatus)
	return last
}

func (w *world) gone(id string) {
	w.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if _, err := w.DescribeDBInstances(w.ctx, &rdsapi.DescribeDBInstancesInput{DBInstanceIdentifier: aws.Ptr(id)}); aws.IsCode(err, "DBInstanceNotFound") {
			return
		}
	}
	w.Fatal(id, "is still there")
}

// said returns the messages of all events about an instance.
func (w *world) said(id string) string {
	w.Helper()
	out, err := w.DescribeEvents(w.ctx, &rdsapi.DescribeEventsInput{SourceType: aws.Ptr("db-instance"), SourceIdentifier: aws.Ptr(id)})
	if err != nil {
		w.Fatal(err)
	}
	var b strings.Builder
	for _, e := range out.Events {
		fmt.Fprintln(&b, *e.Message)
	}
	return b.String()
}

// hears waits until the events of an instance hold the texts: an event is
// written just after the status it tells of.
func (w *world) hears(id string, texts ...string) {
	w.Helper()
	var said string
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		said = w.said(id)
		missing := false
		for _, text := range texts {
			missing = missing || !strings.Contains(said, text)
		}
		if !missing {
			return
		}
	}
	w.Errorf("the events do not say %q:\n%s", texts, said)
}

// refused checks an error's code and text.
func refused(t *testing.T, err error, code, text string) {
	t.Helper()
	if e := aws.AsError(err); err == nil || e.Code != code || !strings.Contains(e.Message, text) {
		t.Errorf("got %v, want %s: %s", err, code, text)
	}
}
