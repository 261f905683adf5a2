package cloud9

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"minato/aws"
	cloud9api "minato/aws/api/cloud9"
	ec2api "minato/aws/api/ec2"
	"minato/aws/identity"
	"minato/aws/validate"
	"minato/controller"
	"minato/gateway"
	"minato/internal/clock"
	"minato/store/memstore"
)

// cloud is an EC2 with one subnet, whose instances become what they are told
// at the next look.
type cloud struct {
	ec2api.API
	t         *testing.T
	instances []ec2api.Instance
	groups    []ec2api.SecurityGroup
	refuse    error
	launches  []*ec2api.RunInstancesInput
	keepGroup error
}

func (c *cloud) caller(ctx context.Context) {
	c.t.Helper()
	if got := identity.From(ctx).Service; got != "cloud9.amazonaws.com" {
		c.t.Errorf("EC2 is called by %q", got)
	}
}

func (c *cloud) DescribeSubnets(ctx context.Context, in *ec2api.DescribeSubnetsInput) (*ec2api.DescribeSubnetsOutput, error) {
	c.caller(ctx)
	if len(in.SubnetIds) > 0 && in.SubnetIds[0] != "subnet-00000000000000001" {
		return nil, aws.Errorf("InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", in.SubnetIds[0])
	}
	return &ec2api.DescribeSubnetsOutput{Subnets: []ec2api.Subnet{{SubnetId: aws.Ptr("subnet-00000000000000001"), VpcId: aws.Ptr("vpc-1")}}}, nil
}

func (c *cloud) DescribeSecurityGroups(_ context.Context, in *ec2api.DescribeSecurityGroupsInput) (*ec2api.DescribeSecurityGroupsOutput, error) {
	return &ec2api.DescribeSecurityGroupsOutput{SecurityGroups: c.groups}, nil
}

func (c *cloud) CreateSecurityGroup(_ context.Context, in *ec2api.CreateSecurityGroupInput) (*ec2api.CreateSecurityGroupOutput, error) {
	c.groups = append(c.groups, ec2api.SecurityGroup{GroupId: aws.Ptr("sg-1"), GroupName: in.GroupName})
	return &ec2api.CreateSecurityGroupOutput{GroupId: aws.Ptr("sg-1")}, nil
}

func (c *cloud) DeleteSecurityGroup(context.Context, *ec2api.DeleteSecurityGroupInput) (*ec2api.DeleteSecurityGroupOutput, error) {
	if c.keepGroup != nil {
		return nil, c.keepGroup
	}
	c.groups = nil
	return &ec2api.DeleteSecurityGroupOutput{}, nil
}

func (c *cloud) RunInstances(ctx context.Context, in *ec2api.RunInstancesInput) (*ec2api.RunInstancesOutput, error) {
	c.caller(ctx)
	if c.refuse != nil {
		return nil, c.refuse
	}
	c.launches = append(c.launches, in)
	c.instances = append(c.instances, ec2api.Instance{InstanceId: aws.Ptr("i-1"), State: &ec2api.InstanceState{Name: aws.Ptr("pending")}})
	return &ec2api.RunInstancesOutput{Instances: c.instances[len(c.instances)-1:]}, nil
}

func (c *cloud) DescribeInstances(context.Context, *ec2api.DescribeInstancesInput) (*ec2api.DescribeInstancesOutput, error) {
	if len(c.instances) == 0 {
		return &ec2api.DescribeInstancesOutput{}, nil
	}
	seen := slices.Clone(c.instances)
	for i := range seen {
		now := *seen[i].State.Name
		seen[i].State = &ec2api.InstanceState{Name: &now}
	}
	for i := range c.instances {
		next := map[string]string{"pending": "running", "stopping": "stopped", "shutting-down": "terminated"}[*c.instances[i].State.Name]
		if next != "" {
			c.instances[i].State = &ec2api.InstanceState{Name: &next}
		}
	}
	return &ec2api.DescribeInstancesOutput{Reservations: []ec2api.Reservation{{Instances: seen}}}, nil
}

func (c *cloud) become(state string) {
	c.instances[0].State = &ec2api.InstanceState{Name: &state}
}

func (c *cloud) StopInstances(context.Context, *ec2api.StopInstancesInput) (*ec2api.StopInstancesOutput, error) {
	c.become("stopping")
	return &ec2api.StopInstancesOutput{}, nil
}

func (c *cloud) StartInstances(context.Context, *ec2api.StartInstancesInput) (*ec2api.StartInstancesOutput, error) {
	c.become("pending")
	return &ec2api.StartInstancesOutput{}, nil
}

func (c *cloud) TerminateInstances(context.Context, *ec2api.TerminateInstancesInput) (*ec2api.TerminateInstancesOutput, error) {
	c.become("shutting-down")
	return &ec2api.TerminateInstancesOutput{}, nil
}

type allow struct{}

func (allow) Authorize(context.Context, identity.Caller, gateway.Check) error { return nil }

type fixture struct {
	*cloud9api.Client
	t     *testing.T
	s     *Service
	cloud *cloud
	clock *clock.Fake
	ctx   context.Context
}

func setup(t *testing.T) *fixture {
	f := &fixture{t: t, cloud: &cloud{t: t}, clock: clock.NewFake(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC))}
	f.s = New(Deps{Store: memstore.New(), Clock: f.clock, EC2: f.cloud})
	g := gateway.New(gateway.Options{Account: "000000000000", Region: "us-east-1", Clock: f.clock, Authorizer: allow{}, Validate: validate.Input})
	g.Register(f.s.Registration())
	f.Client = cloud9api.NewClient(g)
	f.ctx = identity.With(t.Context(), identity.Caller{Kind: identity.User, Account: "000000000000", Region: "us-east-1", Partition: "aws", ARN: "arn:aws:iam::000000000000:user/admin", UserID: "AIDA1"})
	return f
}

func (f *fixture) create(name string) (string, error) {
	out, err := f.CreateEnvironmentEC2(f.ctx, &cloud9api.CreateEnvironmentEC2Input{
		Name: &name, InstanceType: aws.Ptr("t3.micro"), ImageId: aws.Ptr("amazonlinux-2023-x86_64"), SubnetId: aws.Ptr("subnet-00000000000000001"),
		AutomaticStopTimeMinutes: aws.Ptr[int32](30), ClientRequestToken: aws.Ptr("token-of-" + name),
	})
	if err != nil {
		return "", err
	}
	return *out.EnvironmentId, nil
}

// reconcile looks at every environment n times.
func (f *fixture) reconcile(n int) (last controller.Result, err error) {
	r := &reconciler{f.s}
	for range n {
		keys, kerr := r.Keys(f.ctx)
		if kerr != nil {
			f.t.Fatal(kerr)
		}
		for _, key := range keys {
			last, err = r.Reconcile(f.ctx, key)
		}
	}
	return last, err
}

func (f *fixture) expect(id, lifecycle, status string) *cloud9api.Environment {
	f.t.Helper()
	out, err := f.DescribeEnvironments(f.ctx, &cloud9api.DescribeEnvironmentsInput{EnvironmentIds: []string{id}})
	if err != nil {
		f.t.Fatal(err)
	}
	st, err := f.DescribeEnvironmentStatus(f.ctx, &cloud9api.DescribeEnvironmentStatusInput{EnvironmentId: &id})
	if err != nil {
		f.t.Fatal(err)
	}
	e := out.Environments[0]
	if *e.Lifecycle.Status != lifecycle || *st.Status != status {
		f.t.Errorf("%s %s, want %s %s", *e.Lifecycle.Status, *st.Status, lifecycle, status)
	}
	return &e
}

func TestAnEnvironmentLives(t *testing.T) {
	f := setup(t)
	id, err := f.create("chat")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := f.create("chat"); err != nil || again != id {
		t.Errorf("the same token: %s %v", again, err)
	}
	f.expect(id, "CREATING", "creating")
	if _, err := f.reconcile(1); err != nil {
		t.Fatal(err)
	}
	f.expect(id, "CREATING", "creating")
	if _, err := f.reconcile(2); err != nil {
		t.Fatal(err)
	}
	e := f.expect(id, "CREATED", "ready")
	if *e.OwnerArn != "arn:aws:iam::000000000000:user/admin" || *e.Arn != "arn:aws:cloud9:us-east-1:000000000000:environment:"+id || *e.ConnectionType != "CONNECT_SSH" {
		t.Errorf("%+v", e)
	}
	if len(f.cloud.launches) != 1 || len(f.cloud.groups) != 1 {
		t.Fatalf("%d launches, %d groups", len(f.cloud.launches), len(f.cloud.groups))
	}
	l := f.cloud.launches[0]
	if *l.ClientToken != id || l.NetworkInterfaces[0].Groups[0] != "sg-1" || !*l.NetworkInterfaces[0].AssociatePublicIpAddress || !strings.HasPrefix(*f.cloud.groups[0].GroupName, "aws-cloud9-chat-"+id) {
		t.Errorf("launch %+v", l)
	}

	// Nobody has a terminal open for half an hour: it stops, and Enter starts it.
	in, leave, err := f.s.Enter(f.ctx, "chat")
	if err != nil || in != "i-1" {
		t.Fatalf("enter: %s %v", in, err)
	}
	f.clock.Advance(time.Hour)
	if _, err := f.reconcile(1); err != nil {
		t.Fatal(err)
	}
	f.expect(id, "CREATED", "ready")
	leave()
	res, err := f.reconcile(1)
	if err != nil || res.After != 30*time.Minute {
		t.Errorf("looked at again after %v, %v", res.After, err)
	}
	f.clock.Advance(30 * time.Minute)
	if _, err := f.reconcile(3); err != nil {
		t.Fatal(err)
	}
	f.expect(id, "CREATED", "stopped")
	done := make(chan error, 1)
	go func() {
		_, leave, err := f.s.Enter(f.ctx, id)
		if err == nil {
			leave()
		}
		done <- err
	}()
	for entered := false; !entered; {
		f.clock.Advance(poll)
		select {
		case err := <-done:
			entered = true
			if err != nil {
				t.Errorf("enter a stopped workspace: %v", err)
			}
		case <-time.After(time.Millisecond):
		}
	}

	if _, err := f.DeleteEnvironment(f.ctx, &cloud9api.DeleteEnvironmentInput{EnvironmentId: &id}); err != nil {
		t.Fatal(err)
	}
	f.expect(id, "DELETING", "deleting")
	if _, err := f.reconcile(4); err != nil {
		t.Fatal(err)
	}
	_, err = f.DescribeEnvironmentStatus(f.ctx, &cloud9api.DescribeEnvironmentStatusInput{EnvironmentId: &id})
	if !aws.IsCode(err, "NotFoundException") || f.cloud.groups != nil {
		t.Errorf("after the deletion: %v, groups %v", err, f.cloud.groups)
	}
	if _, _, err := f.s.Enter(f.ctx, "chat"); err == nil {
		t.Error("entered a deleted workspace")
	}
}

func TestEC2Refuses(t *testing.T) {
	f := setup(t)
	f.cloud.refuse = aws.Errorf("InsufficientFreeAddressesInSubnet", "The specified subnet does not have enough free addresses to satisfy the request.")
	id, err := f.create("chat")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.reconcile(3); err != nil {
		t.Fatal(err)
	}
	e := f.expect(id, "CREATE_FAILED", "error")
	if *e.Lifecycle.Reason != "The specified subnet does not have enough free addresses to satisfy the request." {
		t.Errorf("reason %q", *e.Lifecycle.Reason)
	}
	if _, _, err := f.s.Enter(f.ctx, "chat"); err == nil || !strings.Contains(err.Error(), "free addresses") {
		t.Errorf("enter: %v", err)
	}
	// A fault that may pass is tried again instead.
	f.cloud.refuse = aws.Internal(context.DeadlineExceeded)
	second, err := f.create("second")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.reconcile(1)
	f.expect(second, "CREATING", "creating")
	f.cloud.refuse, f.cloud.keepGroup = nil, aws.Errorf("DependencyViolation", "resource sg-1 has a dependent object")
	if _, err := f.DeleteEnvironment(f.ctx, &cloud9api.DeleteEnvironmentInput{EnvironmentId: &id}); err != nil {
		t.Fatal(err)
	}
	_, _ = f.reconcile(5) // it fails each time
	if e := f.expect(id, "DELETE_FAILED", "deleting"); !strings.Contains(*e.Lifecycle.Reason, "dependent object") {
		t.Errorf("reason %q", *e.Lifecycle.Reason)
	}
}

func TestRefusals(t *testing.T) {
	f := setup(t)
	id, err := f.create("chat")
	if err != nil {
		t.Fatal(err)
	}
	in := func(change func(*cloud9api.CreateEnvironmentEC2Input)) error {
		i := &cloud9api.CreateEnvironmentEC2Input{Name: aws.Ptr("x"), InstanceType: aws.Ptr("t3.micro"), ImageId: aws.Ptr("ubuntu-22.04-x86_64")}
		change(i)
		_, err := f.CreateEnvironmentEC2(f.ctx, i)
		return err
	}
	_, managed := f.UpdateEnvironment(f.ctx, &cloud9api.UpdateEnvironmentInput{EnvironmentId: &id, ManagedCredentialsAction: aws.Ptr("ENABLE")})
	_, missing := f.DescribeEnvironments(f.ctx, &cloud9api.DescribeEnvironmentsInput{EnvironmentIds: []string{id, "00000000000000000000000000000000"}})
	for what, c := range map[string]struct {
		err  error
		code string
	}{
		"image":  {in(func(i *cloud9api.CreateEnvironmentEC2Input) { i.ImageId = aws.Ptr("windows") }), "BadRequestException"},
		"subnet": {in(func(i *cloud9api.CreateEnvironmentEC2Input) { i.SubnetId = aws.Ptr("subnet-00000000000000009") }), "BadRequestException"},
		"name":   {in(func(i *cloud9api.CreateEnvironmentEC2Input) { i.Name = aws.Ptr("chat") }), "ConflictException"},
		"tag": {in(func(i *cloud9api.CreateEnvironmentEC2Input) {
			i.Tags = []cloud9api.Tag{{Key: aws.Ptr("aws:x"), Value: aws.Ptr("")}}
		}), "BadRequestException"},
		"managed credentials": {managed, "BadRequestException"},
		"no such":             {missing, "NotFoundException"},
	} {
		if !aws.IsCode(c.err, c.code) {
			t.Errorf("%s: %v, want %s", what, c.err, c.code)
		}
	}
}

func TestTagsMembersAndPages(t *testing.T) {
	f := setup(t)
	var made []string
	for _, name := range []string{"a", "b", "c"} {
		id, err := f.create(name)
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, id)
	}
	var listed []string
	in := &cloud9api.ListEnvironmentsInput{MaxResults: aws.Ptr[int32](2)}
	for {
		out, err := f.ListEnvironments(f.ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		listed = append(listed, out.EnvironmentIds...)
		if in.NextToken = out.NextToken; in.NextToken == nil {
			break
		}
	}
	slices.Sort(made)
	if !slices.Equal(listed, made) {
		t.Errorf("listed %v, want %v", listed, made)
	}
	resource := aws.Ptr("arn:aws:cloud9:us-east-1:000000000000:environment:" + made[0])
	if _, err := f.TagResource(f.ctx, &cloud9api.TagResourceInput{ResourceARN: resource, Tags: []cloud9api.Tag{{Key: aws.Ptr("k"), Value: aws.Ptr("1")}, {Key: aws.Ptr("l"), Value: aws.Ptr("2")}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.UntagResource(f.ctx, &cloud9api.UntagResourceInput{ResourceARN: resource, TagKeys: []string{"k"}}); err != nil {
		t.Fatal(err)
	}
	tags, err := f.ListTagsForResource(f.ctx, &cloud9api.ListTagsForResourceInput{ResourceARN: resource})
	if err != nil || len(tags.Tags) != 1 || *tags.Tags[0].Key != "l" {
		t.Errorf("tags %+v %v", tags, err)
	}
	if _, err := f.UpdateEnvironment(f.ctx, &cloud9api.UpdateEnvironmentInput{EnvironmentId: &made[0], Name: aws.Ptr("renamed")}); err != nil {
		t.Fatal(err)
	}
	if ws, err := f.s.Workspaces(f.ctx); err != nil || len(ws) != 3 || ws[0].Name != "renamed" {
		t.Errorf("workspaces %+v %v", ws, err)
	}
	m, err := f.DescribeEnvironmentMemberships(f.ctx, &cloud9api.DescribeEnvironmentMembershipsInput{EnvironmentId: &made[0]})
	if err != nil || len(m.Memberships) != 1 || *m.Memberships[0].Permissions != "owner" {
		t.Errorf("members %+v %v", m, err)
	}
}
