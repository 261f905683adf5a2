package ec2

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	iamapi "minato/aws/api/iam"
	stsapi "minato/aws/api/sts"
	"minato/aws/identity"
	"minato/dataplane/container"
	"minato/services/ec2/guest"
)

// machine is a runtime that knows states only.
type machine struct {
	container.Runtime
	groups     map[string]container.Group
	containers map[string]*container.Status
	made       map[string]container.Container
	failStart  error
}

func newMachine() *machine {
	return &machine{groups: map[string]container.Group{}, containers: map[string]*container.Status{}, made: map[string]container.Container{}}
}

func (m *machine) EnsureGroup(_ context.Context, g container.Group) error {
	m.groups[g.ID] = g
	return nil
}

func (m *machine) Groups(context.Context) ([]string, error) {
	var out []string
	for id := range m.groups {
		out = append(out, id)
	}
	return out, nil
}

func (m *machine) DeleteGroup(_ context.Context, id string) error {
	delete(m.groups, id)
	delete(m.containers, id)
	return nil
}

func (m *machine) Ensure(_ context.Context, c container.Container) error {
	if m.containers[c.ID] == nil {
		m.containers[c.ID], m.made[c.ID] = &container.Status{ID: c.ID}, c
	}
	return nil
}

func (m *machine) Start(_ context.Context, id string) error {
	if m.failStart != nil {
		return m.failStart
	}
	m.containers[id].State = container.Running
	return nil
}

func (m *machine) Stop(_ context.Context, id string, _ syscall.Signal, _ time.Duration) error {
	m.containers[id].State = container.Ended
	return nil
}

func (m *machine) Get(_ context.Context, id string) (container.Status, error) {
	if c := m.containers[id]; c != nil {
		return *c, nil
	}
	return container.Status{}, fmt.Errorf("container %s: %w", id, container.ErrNotFound)
}

// authority is an IAM with the profile "workspace" of the role "builder", and an
// STS that says whom it was asked by.
type authority struct {
	profiles
	asked []string
}

type profiles struct{ iamapi.API }

func (profiles) GetInstanceProfile(_ context.Context, in *iamapi.GetInstanceProfileInput) (*iamapi.GetInstanceProfileOutput, error) {
	name := *in.InstanceProfileName
	if name != "workspace" && name != "other" {
		return nil, iamapi.NoSuchEntityException("Instance Profile %s cannot be found.", name)
	}
	p := &iamapi.InstanceProfile{Arn: aws.Ptr("arn:aws:iam::000000000000:instance-profile/" + name), InstanceProfileId: aws.Ptr("AIPA" + name)}
	p.Roles = []iamapi.Role{{Arn: aws.Ptr("arn:aws:iam::000000000000:role/builder")}}
	return &iamapi.GetInstanceProfileOutput{InstanceProfile: p}, nil
}

// sessions is the authority as STS.
type sessions struct {
	stsapi.API
	a *authority
}

func (s sessions) AssumeRole(ctx context.Context, in *stsapi.AssumeRoleInput) (*stsapi.AssumeRoleOutput, error) {
	s.a.asked = append(s.a.asked, identity.From(ctx).Service+" "+*in.RoleArn+" "+*in.RoleSessionName)
	return &stsapi.AssumeRoleOutput{Credentials: &stsapi.Credentials{AccessKeyId: aws.Ptr("ASIA1"), Expiration: aws.Ptr(time.Date(2026, 1, 1, 1, 0, 0, 0, time.UTC))}}, nil
}

// fleet is a lab that runs instances.
type fleet struct {
	*lab
	h       handsOn
	machine *machine
	a       *authority
	ir      *InstanceReconciler
	dir     string
}

func newFleet(t *testing.T) *fleet {
	if os.Geteuid() != 0 {
		t.Skip("homes are given to users of their own, which root may do")
	}
	f := &fleet{lab: newLab(t), machine: newMachine(), a: &authority{}, dir: filepath.Join(t.TempDir(), "workspaces")}
	f.s.IAM, f.s.STS = f.a, sessions{a: f.a}
	f.h = f.handsOn()
	f.ir = NewInstanceReconciler(f.s, f.machine, f.net, guest.Config{Dir: f.dir, CA: []byte("OUR CA"), Endpoint: "http://api"})
	return f
}

func (f *fleet) run(in *ec2api.RunInstancesInput) ec2api.Instance {
	f.Helper()
	if in.ImageId == nil {
		in.ImageId = aws.Ptr(guestImage)
	}
	if in.SubnetId == nil && len(in.NetworkInterfaces) == 0 {
		in.SubnetId = &f.h.public
	}
	in.MinCount, in.MaxCount = aws.Ptr[int32](1), aws.Ptr[int32](1)
	return must(f.s.RunInstances(f.ctx, in)).Instances[0]
}

// settle reconciles the network and every instance until nothing changes.
func (f *fleet) settle() error {
	f.Helper()
	var last error
	for range 5 {
		if _, err := f.r.Reconcile(f.ctx, NetworkKey); err != nil {
			f.Fatal(err)
		}
		keys := must(f.ir.Keys(f.ctx))
		last = nil
		for _, key := range keys {
			if _, err := f.ir.Reconcile(f.ctx, key); err != nil {
				last = err
			}
		}
	}
	return last
}

func (f *fleet) instance(id string) ec2api.Instance {
	f.Helper()
	return must(f.s.DescribeInstances(f.ctx, &ec2api.DescribeInstancesInput{InstanceIds: []string{id}})).Reservations[0].Instances[0]
}

func (f *fleet) expect(id, state string) ec2api.Instance {
	f.Helper()
	in := f.instance(id)
	if *in.State.Name != state || *in.State.Code != stateCodes[state] {
		f.Errorf("%s is %s (%d), want %s", id, *in.State.Name, *in.State.Code, state)
	}
	return in
}

func (f *fleet) interfaces() int {
	return len(must(f.s.DescribeNetworkInterfaces(f.ctx, &ec2api.DescribeNetworkInterfacesInput{Filters: []ec2api.Filter{{Name: aws.Ptr("interface-type"), Values: []string{"interface"}}}})).NetworkInterfaces)
}

func TestAnInstanceLives(t *testing.T) {
	f := newFleet(t)
	token := aws.Ptr("once")
	launch := func() ec2api.Instance {
		return f.run(&ec2api.RunInstancesInput{ClientToken: token, InstanceType: aws.Ptr("t3.small"), NetworkInterfaces: []ec2api.InstanceNetworkInterfaceSpecification{{
			DeviceIndex: aws.Ptr[int32](0), SubnetId: &f.h.public, Groups: []string{f.h.web}, AssociatePublicIpAddress: aws.Ptr(true),
		}}, TagSpecifications: []ec2api.TagSpecification{{ResourceType: aws.Ptr("instance"), Tags: []ec2api.Tag{{Key: aws.Ptr("Name"), Value: aws.Ptr("w")}}}}})
	}
	made := launch()
	id := *made.InstanceId
	if again := launch(); *again.InstanceId != id {
		t.Error("the same token made another instance")
	}
	if *made.State.Name != "pending" {
		t.Errorf("made %s", *made.State.Name)
	}
	if err := f.settle(); err != nil {
		t.Fatal(err)
	}
	in := f.expect(id, "running")
	if in.PublicIpAddress == nil || *in.SecurityGroups[0].GroupId != f.h.web || len(in.NetworkInterfaces) != 1 || *in.NetworkInterfaces[0].Attachment.DeviceIndex != 0 {
		t.Errorf("%+v", in)
	}
	c := f.machine.made[id+"-1"]
	g := f.machine.groups[id+"-1"]
	if g.Netns != f.net.NetnsPath(*in.NetworkInterfaces[0].NetworkInterfaceId) || g.DNS.Servers[0] != "10.0.0.2" || g.Limits.Memory != 2<<30 {
		t.Errorf("group %+v", g)
	}
	if !c.ReadOnlyRoot || !c.NoNewPrivs || len(c.DropCaps) != 1 || c.DropCaps[0] != "ALL" || strings.HasPrefix(c.User, "0") || !strings.HasSuffix(string(c.Root.Files["/etc/ssl/certs/ca-certificates.crt"].Content), "OUR CA") {
		t.Errorf("container %+v", c)
	}
	home := filepath.Join(f.dir, id)
	if err := os.WriteFile(filepath.Join(home, "kept"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	shell := must(f.ir.Shell(f.ctx, id))
	if shell.Container != id+"-1" {
		t.Errorf("shell %+v", shell)
	}
	// Its container dies: another one takes its place, with the same home.
	f.machine.containers[id+"-1"].State = container.Ended
	if err := f.settle(); err != nil {
		t.Fatal(err)
	}
	f.expect(id, "running")
	if f.machine.containers[id+"-1"] != nil || f.machine.containers[id+"-2"] == nil {
		t.Errorf("containers %v", f.machine.containers)
	}

	change := must(f.s.StopInstances(f.ctx, &ec2api.StopInstancesInput{InstanceIds: []string{id}})).StoppingInstances[0]
	if *change.PreviousState.Name != "running" || *change.CurrentState.Name != "stopping" {
		t.Errorf("%+v", change)
	}
	if err := f.settle(); err != nil {
		t.Fatal(err)
	}
	if in := f.expect(id, "stopped"); in.PublicIpAddress != nil || in.PrivateIpAddress == nil {
		t.Errorf("a stopped instance keeps %v, %v", in.PublicIpAddress, in.PrivateIpAddress)
	}
	if _, err := f.ir.Shell(f.ctx, id); err == nil {
		t.Error("a shell in a stopped instance")
	}
	must(f.s.StartInstances(f.ctx, &ec2api.StartInstancesInput{InstanceIds: []string{id}}))
	if err := f.settle(); err != nil {
		t.Fatal(err)
	}
	if in := f.expect(id, "running"); in.PublicIpAddress == nil {
		t.Error("no public address after the start")
	}
	if _, err := os.Stat(filepath.Join(home, "kept")); err != nil {
		t.Errorf("the home was not kept: %v", err)
	}

	must(f.s.TerminateInstances(f.ctx, &ec2api.TerminateInstancesInput{InstanceIds: []string{id}}))
	f.expect(id, "shutting-down")
	if err := f.settle(); err != nil {
		t.Fatal(err)
	}
	f.expect(id, "terminated")
	if _, err := os.Stat(home); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the home of a terminated instance: %v", err)
	}
	if n := f.interfaces(); n != 0 || len(f.machine.containers)+len(f.machine.groups) != 0 {
		t.Errorf("left: %d interfaces, %v", n, f.machine.containers)
	}
	f.clock.Advance(terminatedFor)
	if err := f.settle(); err != nil {
		t.Fatal(err)
	}
	_, err := f.s.DescribeInstances(f.ctx, &ec2api.DescribeInstancesInput{InstanceIds: []string{id}})
	f.fails(err, "InvalidInstanceID.NotFound", "The instance ID '"+id+"' does not exist")
}

// TestAContainerThatCannotStart: why is shown, and the next try is a new one.
func TestAContainerThatCannotStart(t *testing.T) {
	f := newFleet(t)
	id := *f.run(&ec2api.RunInstancesInput{}).InstanceId
	f.machine.failStart = fmt.Errorf("%w: no sleep", container.ErrStart)
	if err := f.settle(); err == nil {
		t.Error("no error")
	}
	if in := f.expect(id, "pending"); in.StateReason == nil || !strings.Contains(*in.StateReason.Message, "no sleep") {
		t.Errorf("reason %+v", in.StateReason)
	}
	f.machine.failStart = nil
	if err := f.settle(); err != nil {
		t.Fatal(err)
	}
	if in := f.expect(id, "running"); in.StateReason != nil || len(f.machine.groups) != 1 {
		t.Errorf("reason %+v, groups %v", in.StateReason, f.machine.groups)
	}
}

func TestInstanceProfiles(t *testing.T) {
	f := newFleet(t)
	in := f.run(&ec2api.RunInstancesInput{})
	id, eni := *in.InstanceId, *in.NetworkInterfaces[0].NetworkInterfaceId
	if m := must(f.s.Instance(f.ctx, eni)); m.Profile != nil || m.ID != id || m.Interfaces[0].SubnetCIDR != "10.0.0.0/24" {
		t.Errorf("metadata %+v", m)
	}
	if c := must(f.s.InstanceCredentials(f.ctx, id)); c != nil {
		t.Error("keys without a profile")
	}
	spec := &ec2api.IamInstanceProfileSpecification{Name: aws.Ptr("workspace")}
	_, err := f.s.AssociateIamInstanceProfile(f.ctx, &ec2api.AssociateIamInstanceProfileInput{InstanceId: &id, IamInstanceProfile: &ec2api.IamInstanceProfileSpecification{Name: aws.Ptr("none")}})
	f.fails(err, "InvalidParameterValue", "Value (none) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name")
	assoc := must(f.s.AssociateIamInstanceProfile(f.ctx, &ec2api.AssociateIamInstanceProfileInput{InstanceId: &id, IamInstanceProfile: spec})).IamInstanceProfileAssociation
	_, err = f.s.AssociateIamInstanceProfile(f.ctx, &ec2api.AssociateIamInstanceProfileInput{InstanceId: &id, IamInstanceProfile: spec})
	f.fails(err, "IncorrectState", "There is an existing association for instance "+id)
	m := must(f.s.Instance(f.ctx, eni))
	if m.Profile == nil || m.Profile.RoleName != "builder" || m.Profile.ARN != "arn:aws:iam::000000000000:instance-profile/workspace" {
		t.Errorf("profile %+v", m.Profile)
	}
	for range 2 {
		if c := must(f.s.InstanceCredentials(f.ctx, id)); c.AccessKeyID != "ASIA1" {
			t.Errorf("keys %+v", c)
		}
	}
	if len(f.a.asked) != 1 || f.a.asked[0] != "ec2.amazonaws.com arn:aws:iam::000000000000:role/builder "+id {
		t.Errorf("STS was asked %v", f.a.asked)
	}
	replaced := must(f.s.ReplaceIamInstanceProfileAssociation(f.ctx, &ec2api.ReplaceIamInstanceProfileAssociationInput{
		AssociationId: assoc.AssociationId, IamInstanceProfile: &ec2api.IamInstanceProfileSpecification{Arn: aws.Ptr("arn:aws:iam::000000000000:instance-profile/other")},
	})).IamInstanceProfileAssociation
	all := must(f.s.DescribeIamInstanceProfileAssociations(f.ctx, &ec2api.DescribeIamInstanceProfileAssociationsInput{})).IamInstanceProfileAssociations
	if len(all) != 1 || *all[0].State != "associated" || *all[0].IamInstanceProfile.Id != "AIPAother" {
		t.Errorf("associations %+v", all)
	}
	_, err = f.s.DisassociateIamInstanceProfile(f.ctx, &ec2api.DisassociateIamInstanceProfileInput{AssociationId: assoc.AssociationId})
	f.fails(err, "NoSuchAssociation", *assoc.AssociationId)
	must(f.s.DisassociateIamInstanceProfile(f.ctx, &ec2api.DisassociateIamInstanceProfileInput{AssociationId: replaced.AssociationId}))
	if m := must(f.s.Instance(f.ctx, eni)); m.Profile != nil {
		t.Error("the profile is still there")
	}
	if m := must(f.s.Instance(f.ctx, "eni-other")); m != nil {
		t.Error("an interface of nobody is an instance")
	}
}

func TestPassRoleIsAsked(t *testing.T) {
	f := newFleet(t)
	spec := &ec2api.IamInstanceProfileSpecification{Name: aws.Ptr("workspace")}
	for name, in := range map[string]any{
		"RunInstances":                &ec2api.RunInstancesInput{IamInstanceProfile: spec},
		"AssociateIamInstanceProfile": &ec2api.AssociateIamInstanceProfileInput{IamInstanceProfile: spec, InstanceId: aws.Ptr("i-1")},
	} {
		checks := f.s.checks(f.ctx, ec2api.Model.Operations[name], in)
		if len(checks) != 2 || checks[1].Action != "iam:PassRole" || checks[1].Resource != "arn:aws:iam::000000000000:role/builder" || checks[1].Context["iam:PassedToService"][0] != "ec2.amazonaws.com" {
			t.Errorf("%s asks %+v", name, checks)
		}
	}
}

func TestInstancesFailInEC2sWords(t *testing.T) {
	f := newFleet(t)
	one := aws.Ptr[int32](1)
	run := func(in ec2api.RunInstancesInput) error {
		if in.MinCount == nil {
			in.MinCount, in.MaxCount = one, one
		}
		_, err := f.s.RunInstances(f.ctx, &in)
		return err
	}
	image, subnet := aws.Ptr(guestImage), &f.h.public
	gone := f.run(&ec2api.RunInstancesInput{})
	must(f.s.TerminateInstances(f.ctx, &ec2api.TerminateInstancesInput{InstanceIds: []string{*gone.InstanceId}}))
	for what, c := range map[string]struct {
		err        error
		code, text string
	}{
		"no image":         {run(ec2api.RunInstancesInput{SubnetId: subnet}), "MissingParameter", "ImageId"},
		"another image":    {run(ec2api.RunInstancesInput{ImageId: aws.Ptr("ami-0123456789abcdef0")}), "InvalidAMIID.NotFound", "The image id '[ami-0123456789abcdef0]' does not exist"},
		"odd image":        {run(ec2api.RunInstancesInput{ImageId: aws.Ptr("x")}), "InvalidAMIID.Malformed", ""},
		"type":             {run(ec2api.RunInstancesInput{ImageId: image, SubnetId: subnet, InstanceType: aws.Ptr("t3.huge")}), "InvalidParameterValue", "t3.huge"},
		"key pair":         {run(ec2api.RunInstancesInput{ImageId: image, SubnetId: subnet, KeyName: aws.Ptr("k")}), "UnsupportedOperation", "KeyName"},
		"user data":        {run(ec2api.RunInstancesInput{ImageId: image, SubnetId: subnet, UserData: aws.Ptr("k")}), "UnsupportedOperation", "UserData"},
		"count":            {run(ec2api.RunInstancesInput{ImageId: image, SubnetId: subnet, MinCount: aws.Ptr[int32](2), MaxCount: one}), "InvalidParameterValue", "minCount"},
		"too many":         {run(ec2api.RunInstancesInput{ImageId: image, SubnetId: subnet, MinCount: one, MaxCount: aws.Ptr[int32](21)}), "InstanceLimitExceeded", ""},
		"subnet":           {run(ec2api.RunInstancesInput{ImageId: image, SubnetId: aws.Ptr("subnet-0")}), "InvalidSubnetID.NotFound", "subnet-0"},
		"no default":       {run(ec2api.RunInstancesInput{ImageId: image}), "MissingInput", "subnet"},
		"group":            {run(ec2api.RunInstancesInput{ImageId: image, SubnetId: subnet, SecurityGroupIds: []string{"sg-0"}}), "InvalidGroup.NotFound", "sg-0"},
		"malformed id":     {second(f.s.StopInstances(f.ctx, &ec2api.StopInstancesInput{InstanceIds: []string{"x"}})), "InvalidInstanceID.Malformed", `Invalid id: "x"`},
		"start terminated": {second(f.s.StartInstances(f.ctx, &ec2api.StartInstancesInput{InstanceIds: []string{*gone.InstanceId}})), "IncorrectInstanceState", "is not in a state from which it can be started."},
		"stop terminated":  {second(f.s.StopInstances(f.ctx, &ec2api.StopInstancesInput{InstanceIds: []string{*gone.InstanceId}})), "IncorrectInstanceState", "is not in a state from which it can be stopped."},
		"in use":           {second(f.s.DeleteNetworkInterface(f.ctx, &ec2api.DeleteNetworkInterfaceInput{NetworkInterfaceId: gone.NetworkInterfaces[0].NetworkInterfaceId})), "InvalidNetworkInterface.InUse", "currently in use"},
	} {
		if !aws.IsCode(c.err, c.code) || !strings.Contains(c.err.Error(), c.text) {
			t.Errorf("%s: %v, want %s: %s", what, c.err, c.code, c.text)
		}
	}
	if n := f.interfaces(); n != 1 {
		t.Errorf("refused launches left interfaces: %d", n)
	}
}

func second[T any](_ T, err error) error { return err }

func TestSizes(t *testing.T) {
	for name, want := range map[string]size{
		"t2.micro": {1, 1 << 30}, "t3.micro": {2, 1 << 30}, "t3.2xlarge": {8, 32 << 30}, "m5.large": {2, 8 << 30}, "c5.4xlarge": {16, 32 << 30}, "r5.xlarge": {4, 32 << 30},
	} {
		if got, ok := sizeOf(name); !ok || got != want {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for _, name := range []string{"", "t3", "t3.tiny", "x9.large", "m5.3xlarge", "m5.nano"} {
		if _, ok := sizeOf(name); ok {
			t.Errorf("%q is a type", name)
		}
	}
}
