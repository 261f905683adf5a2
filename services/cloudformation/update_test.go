package cloudformation

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"minato/aws"
	api "minato/aws/api/cloudformation"
	"minato/aws/api/ec2"
	"minato/aws/api/logs"
	"minato/aws/api/rds"
	"minato/aws/identity"
)

const logGroup = `
Parameters:
  Days: {Type: Number, Default: 7}
  Name: {Type: String, Default: /chat}
Resources:
  Group:
    Type: AWS::Logs::LogGroup
    Properties: {LogGroupName: !Ref Name, RetentionInDays: !Ref Days}
  Other:
    Type: AWS::Logs::LogGroup
    Properties: {LogGroupName: !Sub "${Group}/other"}
Outputs:
  Arn: {Value: !GetAtt Group.Arn}
`

// TestUpdate changes one property in place and touches nothing else.
func TestUpdate(t *testing.T) {
	f := newFixture(t)
	f.is(f.create("s", logGroup), api.StackStatusCreateComplete)
	before := f.fake.count("CreateLogGroup")
	st := f.update("s", logGroup, "Days", "14")
	f.is(st, api.StackStatusUpdateComplete)
	in := f.fake.inputs["PutRetentionPolicy"]
	if n := len(in); n != 2 || aws.Val(in[n-1].(*logs.PutRetentionPolicyInput).RetentionInDays) != 14 {
		t.Errorf("%d calls", n)
	}
	if f.fake.count("CreateLogGroup") != before {
		t.Error("a group was made anew")
	}
	events := f.history("s")
	f.has(events, `^Group UPDATE_COMPLETE$`)
	for _, e := range events {
		if strings.HasPrefix(e, "Other UPDATE") {
			t.Errorf("what did not change was updated: %s", e)
		}
	}
	_, err := f.UpdateStack(f.ctx, &api.UpdateStackInput{StackName: aws.Ptr("s"), UsePreviousTemplate: aws.Ptr(true), Parameters: pairs([]string{"Days", "14"})})
	if err == nil || !strings.Contains(err.Error(), "No updates are to be performed.") {
		t.Error(err)
	}
}

// TestReplace makes a resource anew, and what refers to it, and removes the old.
func TestReplace(t *testing.T) {
	f := newFixture(t)
	f.is(f.create("s", logGroup), api.StackStatusCreateComplete)
	st := f.update("s", logGroup, "Name", "/new")
	f.is(st, api.StackStatusUpdateComplete)
	want := []string{"/new", "/new/other"}
	if got := sortedKeys(f.fake.things); !slices.Equal(got, want) {
		t.Errorf("there are %v, want %v", got, want)
	}
	if got := aws.Val(st.Outputs[0].OutputValue); !strings.HasSuffix(got, ":log-group:/new:*") {
		t.Errorf("output %s", got)
	}
	f.has(f.history("s"), `^Group UPDATE_IN_PROGRESS Requested update requires the creation of a new physical resource; hence creating one\.$`)
	f.has(f.history("s"), `^s UPDATE_COMPLETE_CLEANUP_IN_PROGRESS`)
	f.is(f.delete("s"), api.StackStatusDeleteComplete)
	f.nothing()
}

// TestUpdateRollback has an update fail after a replacement; all is as before.
func TestUpdateRollback(t *testing.T) {
	f := newFixture(t)
	f.is(f.create("s", logGroup), api.StackStatusCreateComplete)
	before := sortedKeys(f.fake.things)
	broken := logGroup + `
  Bad: {Value: x}
`
	broken = strings.Replace(broken, "Outputs:", `
  Role:
    Type: AWS::IAM::Role
    DependsOn: Other
    Properties: {AssumeRolePolicyDocument: {Statement: []}}
Outputs:`, 1)
	f.fake.fail["CreateRole"] = aws.Errorf("MalformedPolicyDocument", "no statement")
	st := f.update("s", broken, "Name", "/new", "Days", "30")
	f.is(st, api.StackStatusUpdateRollbackComplete)
	if got := sortedKeys(f.fake.things); !slices.Equal(got, before) {
		t.Errorf("there are %v, before %v", got, before)
	}
	events := f.history("s")
	f.has(events, `^Role CREATE_FAILED Resource handler returned message: "no statement \(Service: Iam`)
	f.has(events, `^s UPDATE_ROLLBACK_IN_PROGRESS The following resource\(s\) failed to update: \[Role\]\.$`)
	f.has(events, `^s UPDATE_ROLLBACK_COMPLETE$`)
	if len(st.Outputs) != 1 || len(st.Parameters) != 2 || aws.Val(st.Parameters[0].ParameterValue) != "7" {
		t.Errorf("outputs %v parameters %v", st.Outputs, st.Parameters)
	}
	delete(f.fake.fail, "CreateRole")
	f.is(f.update("s", broken, "Name", "/new", "Days", "30"), api.StackStatusUpdateComplete)
	f.is(f.delete("s"), api.StackStatusDeleteComplete)
	f.nothing()
}

// TestRemoved takes a resource out of the template.
func TestRemoved(t *testing.T) {
	f := newFixture(t)
	f.is(f.create("s", logGroup), api.StackStatusCreateComplete)
	less := logGroup[:strings.Index(logGroup, "  Other:")]
	f.is(f.update("s", less), api.StackStatusUpdateComplete)
	if got := sortedKeys(f.fake.things); !slices.Equal(got, []string{"/chat"}) {
		t.Errorf("there are %v", got)
	}
}

// TestCustomName can not replace what has a name of its own.
func TestCustomName(t *testing.T) {
	f := newFixture(t)
	group := func(vpc string) string {
		return `
Resources:
  A: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16}}
  B: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.1.0.0/16}}
  Group: {Type: AWS::EC2::SecurityGroup, Properties: {GroupName: web, GroupDescription: web, VpcId: !Ref ` + vpc + `}}
`
	}
	f.is(f.create("s", group("A")), api.StackStatusCreateComplete)
	f.is(f.update("s", group("B")), api.StackStatusUpdateRollbackComplete)
	f.has(f.history("s"), `^Group UPDATE_FAILED CloudFormation cannot update a stack when a custom-named resource requires replacing\. Rename web and update the stack again\.$`)
}

// TestRetain leaves what its policy protects.
func TestRetain(t *testing.T) {
	f := newFixture(t)
	f.is(f.create("s", strings.Replace(logGroup, "  Group:\n", "  Group:\n    DeletionPolicy: Retain\n", 1)), api.StackStatusCreateComplete)
	st := f.delete("s")
	f.is(st, api.StackStatusDeleteComplete)
	f.has(f.history(aws.Val(st.StackId)), `^Group DELETE_SKIPPED$`)
	if got := sortedKeys(f.fake.things); !slices.Equal(got, []string{"/chat"}) {
		t.Errorf("there are %v", got)
	}
}

// TestExports has one stack use what another exports.
func TestExports(t *testing.T) {
	f := newFixture(t)
	exporting := strings.Replace(logGroup, "  Arn: {Value: !GetAtt Group.Arn}", "  Name: {Value: !Ref Group, Export: {Name: !Sub \"${AWS::StackName}-name\"}}", 1)
	f.is(f.create("base", exporting), api.StackStatusCreateComplete)
	importing := `
Resources:
  G: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: !Join ["", [!ImportValue base-name, -more]]}}
`
	f.is(f.create("user", importing), api.StackStatusCreateComplete)
	if _, ok := f.fake.things["/chat-more"]; !ok {
		t.Errorf("there are %v", f.fake.things)
	}
	imports, err := f.ListImports(f.ctx, &api.ListImportsInput{ExportName: aws.Ptr("base-name")})
	if err != nil || !slices.Equal(imports.Imports, []string{"user"}) {
		t.Errorf("%v %v", imports, err)
	}
	st := f.delete("base")
	f.is(st, api.StackStatusDeleteFailed)
	if got := aws.Val(st.StackStatusReason); got != "Export base-name cannot be deleted as it is in use by user" {
		t.Error(got)
	}
	f.is(f.create("twin", strings.ReplaceAll(strings.ReplaceAll(exporting, "${AWS::StackName}", "base"), "Default: /chat", "Default: /twin")), api.StackStatusRollbackComplete)
	f.has(f.history("twin"), `Export with name base-name is already exported by stack base`)
	f.is(f.delete("user"), api.StackStatusDeleteComplete)
	f.is(f.delete("base"), api.StackStatusDeleteComplete)
	out, err := f.ListExports(f.ctx, &api.ListExportsInput{})
	if err != nil || len(out.Exports) != 0 {
		t.Errorf("%v %v", out, err)
	}
}

// TestRestart stops the reconciler in the middle of a creation; the next one
// goes on and makes nothing twice.
func TestRestart(t *testing.T) {
	f := newFixture(t)
	f.fake.block = make(chan struct{})
	if _, err := f.CreateStack(f.ctx, &api.CreateStackInput{StackName: aws.Ptr("chat"), TemplateBody: aws.Ptr(workshop(t))}); err != nil {
		t.Fatal(err)
	}
	st, err := f.find(f.ctx, "chat")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := f.Reconcile(ctx, f.stacks.Key(st.Account, st.Region, st.ID)); err != nil {
			t.Error(err)
		}
	}()
	for f.fake.count("CreateDBInstance") == 0 {
		time.Sleep(time.Millisecond)
	}
	stop()
	<-done
	cur, _ := f.find(f.ctx, "chat")
	if cur.status() != api.StackStatusCreateInProgress {
		t.Fatalf("stopped, and the stack is %s", cur.status())
	}
	close(f.fake.block)
	f.fake.block = nil
	f.is(f.run("chat"), api.StackStatusCreateComplete)
	for _, op := range []string{"CreateDBInstance", "CreateVpc", "CreateNatGateway", "CreateEnvironmentEC2"} {
		if n := f.fake.count(op); n != 1 && op != "CreateNatGateway" {
			t.Errorf("%s was called %d times", op, n)
		}
	}
}

// TestDeleteWhileCreating cancels a creation.
func TestDeleteWhileCreating(t *testing.T) {
	f := newFixture(t)
	f.fake.block = make(chan struct{})
	if _, err := f.CreateStack(f.ctx, &api.CreateStackInput{StackName: aws.Ptr("chat"), TemplateBody: aws.Ptr(workshop(t))}); err != nil {
		t.Fatal(err)
	}
	st, _ := f.find(f.ctx, "chat")
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := f.Reconcile(context.Background(), f.stacks.Key(st.Account, st.Region, st.ID)); err != nil {
			t.Error(err)
		}
	}()
	for f.fake.count("CreateDBInstance") == 0 {
		time.Sleep(time.Millisecond)
	}
	if _, err := f.DeleteStack(f.ctx, &api.DeleteStackInput{StackName: aws.Ptr("chat")}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Millisecond)
	close(f.fake.block)
	<-done
	f.nothing()
	if _, err := f.find(f.ctx, "chat"); err == nil {
		t.Error("the stack is still there")
	}
}

// TestCaller sees whose rights are used.
func TestCaller(t *testing.T) {
	f := newFixture(t)
	f.create("s", logGroup)
	if !f.fake.callers["arn:aws:iam::000000000000:user/admin"] || len(f.fake.callers) != 1 {
		t.Errorf("callers %v", f.fake.callers)
	}
	g := newFixture(t)
	role := "arn:aws:iam::000000000000:role/deploy"
	if _, err := g.CreateStack(g.ctx, &api.CreateStackInput{StackName: aws.Ptr("s"), TemplateBody: aws.Ptr(logGroup), RoleARN: &role}); err != nil {
		t.Fatal(err)
	}
	g.is(g.run("s"), api.StackStatusCreateComplete)
	delete(g.fake.callers, identity.ServiceCaller("cloudformation.amazonaws.com", "000000000000", "us-east-1").ARN)
	if !g.fake.callers["arn:aws:sts::000000000000:assumed-role/deploy/AWSCloudFormation"] || len(g.fake.callers) != 1 {
		t.Errorf("callers %v", g.fake.callers)
	}
	stranger := "arn:aws:iam::000000000000:role/stranger"
	if _, err := g.CreateStack(g.ctx, &api.CreateStackInput{StackName: aws.Ptr("t"), TemplateBody: aws.Ptr(logGroup), RoleARN: &stranger}); err == nil ||
		!strings.Contains(err.Error(), "Role arn:aws:iam::000000000000:role/stranger is invalid or cannot be assumed") {
		t.Error(err)
	}
	checks := g.checks(identity.With(context.Background(), identity.Caller{Account: "000000000000", Region: "us-east-1"}), api.Model.Operations["CreateStack"], &api.CreateStackInput{StackName: aws.Ptr("s"), RoleARN: &role})
	if len(checks) != 2 || checks[0].Resource != "arn:aws:cloudformation:us-east-1:000000000000:stack/s/*" || checks[1].Action != "iam:PassRole" || checks[1].Resource != role {
		t.Errorf("checks %+v", checks)
	}
}

// TestSecurityGroupRules reads both directions.
func TestSecurityGroupRules(t *testing.T) {
	f := newFixture(t)
	st := f.create("s", `
Resources:
  Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16}}
  Group:
    Type: AWS::EC2::SecurityGroup
    Properties:
      GroupDescription: web
      VpcId: !Ref Vpc
      SecurityGroupIngress: [{IpProtocol: tcp, FromPort: "80", ToPort: 80, CidrIp: 0.0.0.0/0}]
      SecurityGroupEgress: [{IpProtocol: "-1", CidrIp: 10.0.0.0/8}]
`)
	f.is(st, api.StackStatusCreateComplete)
	in := f.fake.inputs["AuthorizeSecurityGroupIngress"][0].(*ec2.AuthorizeSecurityGroupIngressInput)
	if p := in.IpPermissions[0]; aws.Val(p.FromPort) != 80 || aws.Val(p.IpRanges[0].CidrIp) != "0.0.0.0/0" {
		t.Errorf("%+v", p)
	}
	if f.fake.count("RevokeSecurityGroupEgress") != 1 || f.fake.count("AuthorizeSecurityGroupEgress") != 1 {
		t.Error("the default rule for outgoing traffic is still there")
	}
}

// TestLostAnswer has the daemon die after calls whose answers were not
// recorded: what was made is found again, not made twice.
func TestLostAnswer(t *testing.T) {
	f := newFixture(t)
	text := `
Resources:
  Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16}}
  Group: {Type: AWS::Logs::LogGroup}
`
	if _, err := f.CreateStack(f.ctx, &api.CreateStackInput{StackName: aws.Ptr("s"), TemplateBody: &text}); err != nil {
		t.Fatal(err)
	}
	st, _ := f.find(f.ctx, "s")
	for id, typ := range map[string]string{"Vpc": "AWS::EC2::VPC", "Group": "AWS::Logs::LogGroup"} {
		rec := resourceRecord{LogicalID: id, Type: typ, Status: api.ResourceStatusCreateInProgress, Suffix: "SUFFIX"}
		if err := f.resources.Put(f.ctx, rec, st.Account, st.Region, st.ID, id); err != nil {
			t.Fatal(err)
		}
	}
	f.fake.name("vpc-left")
	f.fake.name("s-Group-SUFFIX")
	f.fake.tagged = "vpc-left"
	f.is(f.run("s"), api.StackStatusCreateComplete)
	if got := sortedKeys(f.fake.things); !slices.Equal(got, []string{"s-Group-SUFFIX", "vpc-left"}) {
		t.Errorf("there are %v", got)
	}
	f.is(f.delete("s"), api.StackStatusDeleteComplete)
	f.nothing()
}

// TestTimeout gives a stack a minute that is over already.
func TestTimeout(t *testing.T) {
	f := newFixture(t)
	f.fake.slow["CreateDBInstance"] = 1 << 20
	if _, err := f.CreateStack(f.ctx, &api.CreateStackInput{StackName: aws.Ptr("s"), TemplateBody: aws.Ptr(workshop(t)), TimeoutInMinutes: aws.Ptr(int32(1))}); err != nil {
		t.Fatal(err)
	}
	st, _ := f.find(f.ctx, "s")
	if _, err := f.stacks.Update(f.ctx, func(cur *stackRecord) error {
		cur.CreationTime = aws.Ptr(time.Now().Add(300*time.Millisecond - time.Minute))
		return nil
	}, st.Account, st.Region, st.ID); err != nil {
		t.Fatal(err)
	}
	f.is(f.run("s"), api.StackStatusRollbackComplete)
	f.has(f.history("s"), `^Database CREATE_FAILED Resource creation cancelled$`)
	f.has(f.history("s"), `^s ROLLBACK_IN_PROGRESS Stack creation time exceeded the specified timeout\. Rollback requested by user\.$`)
	f.nothing()
}

// TestSnapshot keeps a database's data unless the template says Delete, and not
// of a database that a failed creation made.
func TestSnapshot(t *testing.T) {
	free := strings.Replace(workshop(t), `"DeletionPolicy": "Delete"`, `"Metadata": {}`, 1)
	last := func(f *fixture) *rds.DeleteDBInstanceInput {
		in := f.fake.inputs["DeleteDBInstance"]
		return in[len(in)-1].(*rds.DeleteDBInstanceInput)
	}
	for text, want := range map[string]bool{workshop(t): true, free: false} {
		f := newFixture(t)
		f.is(f.create("chat", text), api.StackStatusCreateComplete)
		f.is(f.delete("chat"), api.StackStatusDeleteComplete)
		if in := last(f); aws.Val(in.SkipFinalSnapshot) != want || (in.FinalDBSnapshotIdentifier == nil) != want {
			t.Errorf("skip %v, snapshot %s", aws.Val(in.SkipFinalSnapshot), aws.Val(in.FinalDBSnapshotIdentifier))
		}
	}
	f := newFixture(t)
	f.fake.slow["CreateDBInstance"], f.fake.slow["CreateNatGateway"] = 1<<20, 1<<20
	f.fake.fail["CreateEnvironmentEC2"] = aws.Errorf("X", "no")
	f.is(f.create("chat", free), api.StackStatusRollbackComplete)
	if f.fake.count("DeleteDBInstance") > 0 && !aws.Val(last(f).SkipFinalSnapshot) {
		t.Error("a rolled back database left a snapshot")
	}
}

// TestDeleteFailed says which resource can not be deleted, deletes the others,
// and leaves it when told to.
func TestDeleteFailed(t *testing.T) {
	f := newFixture(t)
	f.is(f.create("s", logGroup), api.StackStatusCreateComplete)
	if _, err := f.DeleteStack(f.ctx, &api.DeleteStackInput{StackName: aws.Ptr("s"), RetainResources: []string{"Group"}}); err == nil || !strings.Contains(err.Error(), "only valid for stacks in the DELETE_FAILED state") {
		t.Error(err)
	}
	f.fake.fail["DeleteLogGroup"] = aws.Errorf("OperationAbortedException", "try again later")
	st := f.delete("s")
	f.is(st, api.StackStatusDeleteFailed)
	if got := aws.Val(st.StackStatusReason); got != "The following resource(s) failed to delete: [Other]. " {
		t.Errorf("%q", got)
	}
	f.has(f.history("s"), `^Other DELETE_FAILED Resource handler returned message: "try again later`)
	if _, err := f.DeleteStack(f.ctx, &api.DeleteStackInput{StackName: aws.Ptr("s"), RetainResources: []string{"Other"}}); err != nil {
		t.Fatal(err)
	}
	delete(f.fake.fail, "DeleteLogGroup")
	f.is(f.run(aws.Val(st.StackId)), api.StackStatusDeleteComplete)
	if got := sortedKeys(f.fake.things); !slices.Equal(got, []string{"/chat/other"}) {
		t.Errorf("there are %v", got)
	}
}

// TestGoneBehindItsBack deletes a stack whose resources somebody else deleted.
func TestGoneBehindItsBack(t *testing.T) {
	f := newFixture(t)
	f.is(f.create("chat", workshop(t)), api.StackStatusCreateComplete)
	f.fake.things = map[string][]string{}
	f.is(f.delete("chat"), api.StackStatusDeleteComplete)
}

// TestManyExports has more exports than a transaction of the store holds, one
// of them taken: none is left.
func TestManyExports(t *testing.T) {
	f := newFixture(t)
	many := func(n int) string {
		text := "Resources:\n  Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16}}\nOutputs:\n"
		for i := range n {
			text += fmt.Sprintf("  O%d: {Value: x, Export: {Name: name-%03d}}\n", i, i)
		}
		return text
	}
	f.is(f.create("many", many(150)), api.StackStatusCreateComplete)
	f.is(f.update("many", many(100)), api.StackStatusUpdateComplete)
	count := func() int {
		list, err := f.exports.List(f.ctx, "000000000000", "us-east-1")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	if count() != 100 {
		t.Errorf("%d exports", count())
	}
	f.is(f.create("twin", strings.ReplaceAll(many(101), "name-0", "other-0")), api.StackStatusCreateComplete)
	f.is(f.create("third", strings.ReplaceAll(many(101), "name-0", "third-0")), api.StackStatusRollbackComplete)
	if count() != 201 {
		t.Errorf("%d exports", count())
	}
	f.is(f.delete("many"), api.StackStatusDeleteComplete)
	f.is(f.delete("twin"), api.StackStatusDeleteComplete)
	if count() != 0 {
		t.Errorf("%d exports", count())
	}
}
