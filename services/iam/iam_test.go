package iam

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"minato/aws"
	iamapi "minato/aws/api/iam"
	"minato/aws/identity"
	"minato/gateway"
	"minato/internal/clock"
	"minato/internal/seal"
	"minato/store"
	"minato/store/memstore"
)

const acct = "000000000000"

// house is IAM behind a gateway, with the first start's admin.
type house struct {
	t     *testing.T
	store store.Store
	iam   *Service
	api   iamapi.API
	admin context.Context
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, store: memstore.New()}
	h.start()
	return h
}

// start makes the service anew on the same store, as a restart does.
func (h *house) start() {
	h.t.Helper()
	sealer, err := seal.New(make([]byte, 32))
	if err != nil {
		h.t.Fatal(err)
	}
	h.iam = New(Deps{Store: h.store, Clock: clock.Real(1), Seal: sealer})
	g := gateway.New(gateway.Options{Account: acct, Region: "us-east-1", Clock: clock.Real(1), Authenticator: h.iam, Authorizer: h.iam})
	g.Register(h.iam.Registration())
	h.api = iamapi.NewClient(g)
	id, _, err := h.iam.EnsureAdmin(context.Background(), acct)
	if err != nil {
		h.t.Fatal(err)
	}
	h.admin = h.as(id)
}

// as is a context that calls with an access key.
func (h *house) as(keyID string) context.Context {
	h.t.Helper()
	c, err := h.iam.Credential(context.Background(), keyID)
	if err != nil {
		h.t.Fatal(err)
	}
	c.Caller.Region = "us-east-1"
	return identity.With(context.Background(), c.Caller)
}

// user makes a user with a key and returns its context.
func (h *house) user(name string) context.Context {
	h.t.Helper()
	ok(h.t, second(h.api.CreateUser(h.admin, &iamapi.CreateUserInput{UserName: &name})))
	out, err := h.api.CreateAccessKey(h.admin, &iamapi.CreateAccessKeyInput{UserName: &name})
	ok(h.t, err)
	return h.as(*out.AccessKey.AccessKeyId)
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func second[T any](_ T, err error) error { return err }

// fails checks an error's code and text.
func fails(t *testing.T, err error, code, text string) {
	t.Helper()
	if !aws.IsCode(err, code) || aws.AsError(err).Message != text {
		t.Errorf("got  %v\nwant %s: %s", err, code, text)
	}
}

const trustTasks = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:AssumeRole"}]}`

func TestAdminIsMadeOnceAndNotAgain(t *testing.T) {
	h := newHouse(t)
	id, secret, err := h.iam.EnsureAdmin(context.Background(), acct)
	ok(t, err)
	h.start()
	id2, secret2, err := h.iam.EnsureAdmin(context.Background(), acct)
	ok(t, err)
	if id == "" || len(secret) != 40 || id2 != id || secret2 != secret {
		t.Fatalf("%s %s, then %s %s", id, secret, id2, secret2)
	}
	_, err = h.api.DeleteUser(h.admin, &iamapi.DeleteUserInput{UserName: aws.Ptr("admin")})
	fails(t, err, "DeleteConflict", "Cannot delete entity, must detach all policies first.")
	ok(t, second(h.api.DeleteAccessKey(h.admin, &iamapi.DeleteAccessKeyInput{AccessKeyId: &id})))
	if id, _, err := h.iam.EnsureAdmin(context.Background(), acct); err != nil || id != "" {
		t.Errorf("a deleted key came back: %s %v", id, err)
	}
	if _, err := h.iam.Credential(context.Background(), id); !aws.IsCode(err, "InvalidClientTokenId") {
		t.Errorf("a deleted key is still known: %v", err)
	}
}

func TestSecondWall(t *testing.T) {
	h := newHouse(t)
	learner := identity.From(h.user("learner"))
	ask := func(action, resource string) error {
		return h.iam.Authorize(context.Background(), learner, gateway.Check{Action: action, Resource: resource})
	}
	attach := func(name string) {
		ok(t, second(h.api.AttachUserPolicy(h.admin, &iamapi.AttachUserPolicyInput{UserName: aws.Ptr("learner"), PolicyArn: aws.Ptr("arn:aws:iam::aws:policy/" + name)})))
	}
	fails(t, ask("ecr:GetAuthorizationToken", "*"), "AccessDeniedException",
		"User: arn:aws:iam::000000000000:user/learner is not authorized to perform: ecr:GetAuthorizationToken on resource: * because no identity-based policy allows the ecr:GetAuthorizationToken action")
	attach("AmazonEC2ContainerRegistryReadOnly")
	ok(t, ask("ecr:GetAuthorizationToken", "*"))
	if ask("ecr:PutImage", "*") == nil {
		t.Error("pushed with read rights")
	}
	attach("AmazonEC2ContainerRegistryPowerUser")
	ok(t, ask("ecr:PutImage", "*"))
	ok(t, second(h.api.PutUserPolicy(h.admin, &iamapi.PutUserPolicyInput{UserName: aws.Ptr("learner"), PolicyName: aws.Ptr("no"), PolicyDocument: aws.Ptr(
		`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"ecr:Put*","Resource":"*","Condition":{"StringEquals":{"aws:username":"learner"}}}}`)})))
	fails(t, ask("ecr:PutImage", "*"), "AccessDeniedException",
		"User: arn:aws:iam::000000000000:user/learner is not authorized to perform: ecr:PutImage on resource: * with an explicit deny in an identity-based policy")
	ok(t, ask("sts:GetCallerIdentity", "*"))
}

func TestGroupsGiveRightsAndBoundariesTakeThem(t *testing.T) {
	h := newHouse(t)
	u := identity.From(h.user("a"))
	may := func() bool {
		return h.iam.Authorize(context.Background(), u, gateway.Check{Action: "ecs:RunTask", Resource: "*"}) == nil
	}
	name, arn := aws.Ptr("devs"), aws.Ptr("arn:aws:iam::aws:policy/PowerUserAccess")
	ok(t, second(h.api.CreateGroup(h.admin, &iamapi.CreateGroupInput{GroupName: name})))
	ok(t, second(h.api.AttachGroupPolicy(h.admin, &iamapi.AttachGroupPolicyInput{GroupName: name, PolicyArn: arn})))
	if may() {
		t.Fatal("rights of a group that one is not in")
	}
	ok(t, second(h.api.AddUserToGroup(h.admin, &iamapi.AddUserToGroupInput{GroupName: name, UserName: aws.Ptr("a")})))
	if !may() {
		t.Fatal("no rights of the group")
	}
	_, err := h.api.DeleteGroup(h.admin, &iamapi.DeleteGroupInput{GroupName: name})
	fails(t, err, "DeleteConflict", "Cannot delete entity, must remove users from group first.")
	boundary, err := h.api.CreatePolicy(h.admin, &iamapi.CreatePolicyInput{PolicyName: aws.Ptr("s3only"), PolicyDocument: aws.Ptr(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}`)})
	ok(t, err)
	ok(t, second(h.api.PutUserPermissionsBoundary(h.admin, &iamapi.PutUserPermissionsBoundaryInput{UserName: aws.Ptr("a"), PermissionsBoundary: boundary.Policy.Arn})))
	if may() {
		t.Fatal("the boundary does not bound")
	}
	_, err = h.api.DeletePolicy(h.admin, &iamapi.DeletePolicyInput{PolicyArn: boundary.Policy.Arn})
	fails(t, err, "DeleteConflict", "Cannot delete a policy attached to entities.")
	ok(t, second(h.api.DeleteUserPermissionsBoundary(h.admin, &iamapi.DeleteUserPermissionsBoundaryInput{UserName: aws.Ptr("a")})))
	if !may() {
		t.Fatal("the boundary stays")
	}
	ok(t, second(h.api.DeletePolicy(h.admin, &iamapi.DeletePolicyInput{PolicyArn: boundary.Policy.Arn})))
}

func TestPolicyVersions(t *testing.T) {
	h := newHouse(t)
	document := func(action string) *string {
		return aws.Ptr(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"` + action + `","Resource":"*"}}`)
	}
	p, err := h.api.CreatePolicy(h.admin, &iamapi.CreatePolicyInput{PolicyName: aws.Ptr("p"), PolicyDocument: document("ecs:RunTask")})
	ok(t, err)
	u := identity.From(h.user("a"))
	ok(t, second(h.api.AttachUserPolicy(h.admin, &iamapi.AttachUserPolicyInput{UserName: aws.Ptr("a"), PolicyArn: p.Policy.Arn})))
	may := func(action string) bool {
		return h.iam.Authorize(context.Background(), u, gateway.Check{Action: action, Resource: "*"}) == nil
	}
	if !may("ecs:RunTask") || may("ecs:StopTask") {
		t.Fatal("version 1")
	}
	for i := 2; i <= 5; i++ {
		v, err := h.api.CreatePolicyVersion(h.admin, &iamapi.CreatePolicyVersionInput{PolicyArn: p.Policy.Arn, PolicyDocument: document("ecs:StopTask"), SetAsDefault: aws.Ptr(i == 5)})
		ok(t, err)
		if *v.PolicyVersion.IsDefaultVersion != (i == 5) {
			t.Errorf("%+v", v.PolicyVersion)
		}
	}
	if may("ecs:RunTask") || !may("ecs:StopTask") {
		t.Fatal("version 5")
	}
	_, err = h.api.CreatePolicyVersion(h.admin, &iamapi.CreatePolicyVersionInput{PolicyArn: p.Policy.Arn, PolicyDocument: document("*")})
	fails(t, err, "LimitExceeded", "A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version.")
	_, err = h.api.DeletePolicyVersion(h.admin, &iamapi.DeletePolicyVersionInput{PolicyArn: p.Policy.Arn, VersionId: aws.Ptr("v5")})
	fails(t, err, "DeleteConflict", "Cannot delete the default version of a policy.")
	list, err := h.api.ListPolicyVersions(h.admin, &iamapi.ListPolicyVersionsInput{PolicyArn: p.Policy.Arn})
	ok(t, err)
	if len(list.Versions) != 5 || *list.Versions[0].VersionId != "v5" || list.Versions[0].Document != nil {
		t.Errorf("%+v", list.Versions)
	}
	v, err := h.api.GetPolicyVersion(h.admin, &iamapi.GetPolicyVersionInput{PolicyArn: p.Policy.Arn, VersionId: aws.Ptr("v1")})
	ok(t, err)
	if plain, err := url.PathUnescape(*v.PolicyVersion.Document); err != nil || plain != *document("ecs:RunTask") || strings.Contains(*v.PolicyVersion.Document, "+") {
		t.Errorf("document %s", *v.PolicyVersion.Document)
	}
}

func TestWordsOfRefusals(t *testing.T) {
	h := newHouse(t)
	h.user("a")
	ok(t, second(h.api.CreateRole(h.admin, &iamapi.CreateRoleInput{RoleName: aws.Ptr("r"), AssumeRolePolicyDocument: aws.Ptr(trustTasks)})))
	ok(t, second(h.api.CreateInstanceProfile(h.admin, &iamapi.CreateInstanceProfileInput{InstanceProfileName: aws.Ptr("i")})))
	ok(t, second(h.api.AddRoleToInstanceProfile(h.admin, &iamapi.AddRoleToInstanceProfileInput{InstanceProfileName: aws.Ptr("i"), RoleName: aws.Ptr("r")})))
	ok(t, second(h.api.CreateAccessKey(h.admin, &iamapi.CreateAccessKeyInput{UserName: aws.Ptr("a")})))
	ok(t, h.iam.EnsureLinkedRole(context.Background(), acct, "ecs.amazonaws.com"))
	for _, c := range []struct {
		do         func() error
		code, text string
	}{
		{
			func() error {
				return second(h.api.CreateUser(h.admin, &iamapi.CreateUserInput{UserName: aws.Ptr("A")}))
			},
			"EntityAlreadyExists", "User with name A already exists.",
		},
		{
			func() error { return second(h.api.GetUser(h.admin, &iamapi.GetUserInput{UserName: aws.Ptr("b")})) },
			"NoSuchEntity", "The user with name b cannot be found.",
		},
		{
			func() error {
				return second(h.api.CreateRole(h.admin, &iamapi.CreateRoleInput{RoleName: aws.Ptr("r"), AssumeRolePolicyDocument: aws.Ptr(trustTasks)}))
			},
			"EntityAlreadyExists", "Role with name r already exists.",
		},
		{
			func() error { return second(h.api.GetRole(h.admin, &iamapi.GetRoleInput{RoleName: aws.Ptr("q")})) },
			"NoSuchEntity", "The role with name q cannot be found.",
		},
		{
			func() error {
				return second(h.api.DeleteRole(h.admin, &iamapi.DeleteRoleInput{RoleName: aws.Ptr("r")}))
			},
			"DeleteConflict", "Cannot delete entity, must remove roles from instance profile first.",
		},
		{
			func() error {
				return second(h.api.CreateAccessKey(h.admin, &iamapi.CreateAccessKeyInput{UserName: aws.Ptr("a")}))
			},
			"LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2",
		},
		{
			func() error {
				return second(h.api.AttachUserPolicy(h.admin, &iamapi.AttachUserPolicyInput{UserName: aws.Ptr("a"), PolicyArn: aws.Ptr("arn:aws:iam::aws:policy/Nope")}))
			},
			"NoSuchEntity", "Policy arn:aws:iam::aws:policy/Nope does not exist or is not attachable.",
		},
		{
			func() error {
				return second(h.api.DetachUserPolicy(h.admin, &iamapi.DetachUserPolicyInput{UserName: aws.Ptr("a"), PolicyArn: aws.Ptr("arn:aws:iam::aws:policy/AdministratorAccess")}))
			},
			"NoSuchEntity", "Policy arn:aws:iam::aws:policy/AdministratorAccess was not found.",
		},
		{
			func() error {
				return second(h.api.DeleteUserPolicy(h.admin, &iamapi.DeleteUserPolicyInput{UserName: aws.Ptr("a"), PolicyName: aws.Ptr("p")}))
			},
			"NoSuchEntity", "The user policy with name p cannot be found.",
		},
		{
			func() error {
				return second(h.api.DeleteUser(h.admin, &iamapi.DeleteUserInput{UserName: aws.Ptr("a")}))
			},
			"DeleteConflict", "Cannot delete entity, must delete access keys first.",
		},
		{
			func() error {
				return second(h.api.AddRoleToInstanceProfile(h.admin, &iamapi.AddRoleToInstanceProfileInput{InstanceProfileName: aws.Ptr("i"), RoleName: aws.Ptr("r")}))
			},
			"LimitExceeded", "Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1",
		},
		{
			func() error {
				return second(h.api.DeleteInstanceProfile(h.admin, &iamapi.DeleteInstanceProfileInput{InstanceProfileName: aws.Ptr("i")}))
			},
			"DeleteConflict", "Cannot delete entity, must remove roles from instance profile first.",
		},
		{
			func() error {
				return second(h.api.DeleteRole(h.admin, &iamapi.DeleteRoleInput{RoleName: aws.Ptr("AWSServiceRoleForECS")}))
			},
			"UnmodifiableEntity", "Cannot perform the operation on the protected role 'AWSServiceRoleForECS' - this role is only modifiable by AWS",
		},
		{
			func() error {
				return second(h.api.CreateServiceLinkedRole(h.admin, &iamapi.CreateServiceLinkedRoleInput{AWSServiceName: aws.Ptr("ecs.amazonaws.com")}))
			},
			"InvalidInput", "Service role name AWSServiceRoleForECS has been taken in this account, please try a different suffix.",
		},
		{
			func() error {
				return second(h.api.CreateRole(h.admin, &iamapi.CreateRoleInput{RoleName: aws.Ptr("q"), AssumeRolePolicyDocument: aws.Ptr(strings.Replace(trustTasks, `"Service":"ecs-tasks.amazonaws.com"`, `"AWS":"arn:aws:iam::000000000000:user/nobody"`, 1))}))
			},
			"MalformedPolicyDocument", `Invalid principal in policy: "AWS":"arn:aws:iam::000000000000:user/nobody"`,
		},
		{
			func() error {
				return second(h.api.TagUser(h.admin, &iamapi.TagUserInput{UserName: aws.Ptr("a"), Tags: []iamapi.Tag{{Key: aws.Ptr("k"), Value: aws.Ptr("1")}, {Key: aws.Ptr("K"), Value: aws.Ptr("2")}}}))
			},
			"InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
		},
	} {
		fails(t, c.do(), c.code, c.text)
	}
}

func TestPagesAndPaths(t *testing.T) {
	h := newHouse(t)
	for _, n := range []string{"c", "a", "b", "e", "d"} {
		ok(t, second(h.api.CreateUser(h.admin, &iamapi.CreateUserInput{UserName: &n, Path: aws.Ptr("/team/")})))
	}
	var got []string
	var marker *string
	for range 10 {
		out, err := h.api.ListUsers(h.admin, &iamapi.ListUsersInput{PathPrefix: aws.Ptr("/team/"), MaxItems: aws.Ptr[int32](2), Marker: marker})
		ok(t, err)
		for _, u := range out.Users {
			got = append(got, *u.UserName)
		}
		if marker = out.Marker; !*out.IsTruncated {
			break
		}
	}
	if strings.Join(got, "") != "abcde" {
		t.Errorf("%v", got)
	}
	u, err := h.api.GetUser(h.admin, &iamapi.GetUserInput{UserName: aws.Ptr("A")})
	ok(t, err)
	if *u.User.Arn != "arn:aws:iam::000000000000:user/team/a" {
		t.Error(*u.User.Arn)
	}
}

// A right on a path counts, because the check names the entity with its path.
func TestRightsOnEntities(t *testing.T) {
	h := newHouse(t)
	ctx := h.user("boss")
	ok(t, second(h.api.CreateUser(h.admin, &iamapi.CreateUserInput{UserName: aws.Ptr("worker"), Path: aws.Ptr("/team/")})))
	ok(t, second(h.api.PutUserPolicy(h.admin, &iamapi.PutUserPolicyInput{UserName: aws.Ptr("boss"), PolicyName: aws.Ptr("p"), PolicyDocument: aws.Ptr(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:*","Resource":"arn:aws:iam::*:user/team/*"},{"Effect":"Allow","Action":"iam:GetUser","Resource":"arn:aws:iam::*:user/${aws:username}"}]}`)})))
	ok(t, second(h.api.GetUser(ctx, &iamapi.GetUserInput{UserName: aws.Ptr("worker")})))
	ok(t, second(h.api.GetUser(ctx, &iamapi.GetUserInput{})))
	_, err := h.api.GetUser(ctx, &iamapi.GetUserInput{UserName: aws.Ptr("admin")})
	fails(t, err, "AccessDenied", "User: arn:aws:iam::000000000000:user/boss is not authorized to perform: iam:GetUser on resource: arn:aws:iam::000000000000:user/admin because no identity-based policy allows the iam:GetUser action")
	_, err = h.api.ListUsers(ctx, &iamapi.ListUsersInput{})
	fails(t, err, "AccessDenied", "User: arn:aws:iam::000000000000:user/boss is not authorized to perform: iam:ListUsers on resource: arn:aws:iam::000000000000:user/ because no identity-based policy allows the iam:ListUsers action")
	ok(t, second(h.api.ListUsers(ctx, &iamapi.ListUsersInput{PathPrefix: aws.Ptr("/team/")})))
}

func TestServicesActUnderTheirLinkedRole(t *testing.T) {
	h := newHouse(t)
	for _, c := range []struct {
		service, action string
		want            bool
	}{
		{"ecs.amazonaws.com", "elasticloadbalancing:RegisterTargets", true},
		{"ecs.amazonaws.com", "rds:DeleteDBInstance", false},
		{"elasticloadbalancing.amazonaws.com", "ec2:CreateNetworkInterface", true},
		{"rds.amazonaws.com", "ec2:CreateNetworkInterface", true},
		{"rds.amazonaws.com", "ecs:RunTask", false},
		{"unknown.amazonaws.com", "ec2:DescribeVpcs", false},
	} {
		err := h.iam.Authorize(context.Background(), identity.ServiceCaller(c.service, acct, "us-east-1"), gateway.Check{Action: c.action, Resource: "*"})
		if (err == nil) != c.want {
			t.Errorf("%s on %s: %v", c.service, c.action, err)
		}
	}
	r, err := h.api.GetRole(h.admin, &iamapi.GetRoleInput{RoleName: aws.Ptr("AWSServiceRoleForECS")})
	ok(t, err)
	if *r.Role.Path != "/aws-service-role/ecs.amazonaws.com/" {
		t.Error(*r.Role.Path)
	}
}

// What our services call for themselves, each under its own name.
func TestServicesMayWhatTheyDo(t *testing.T) {
	h := newHouse(t)
	for service, actions := range map[string]string{
		"ecs.amazonaws.com": "ec2:CreateNetworkInterface ec2:DeleteNetworkInterface ec2:DescribeNetworkInterfaces ec2:DescribeSecurityGroups ec2:DescribeSubnets ec2:ModifyNetworkInterfaceAttribute " +
			"ecr:DescribeImages elasticloadbalancing:DeregisterTargets elasticloadbalancing:DescribeTargetGroups elasticloadbalancing:DescribeTargetHealth elasticloadbalancing:RegisterTargets",
		"elasticloadbalancing.amazonaws.com": "ec2:CreateNetworkInterface ec2:DeleteNetworkInterface ec2:DescribeInternetGateways ec2:DescribeNetworkInterfaces ec2:DescribeSecurityGroups ec2:DescribeSubnets ec2:DescribeVpcs ec2:ModifyNetworkInterfaceAttribute",
		"rds.amazonaws.com":                  "ec2:CreateNetworkInterface ec2:DeleteNetworkInterface ec2:DescribeAvailabilityZones ec2:DescribeNetworkInterfaces ec2:DescribeSecurityGroups ec2:DescribeSubnets ec2:DescribeVpcAttribute ec2:ModifyNetworkInterfaceAttribute",
		"cloud9.amazonaws.com":               "ec2:CreateSecurityGroup ec2:DeleteSecurityGroup ec2:DescribeInstances ec2:DescribeSecurityGroups ec2:DescribeSubnets ec2:RunInstances ec2:StartInstances ec2:StopInstances ec2:TerminateInstances",
		"ec2.amazonaws.com":                  "iam:GetInstanceProfile",
		"sts.amazonaws.com":                  "iam:GetRole iam:GetPolicy iam:GetPolicyVersion",
	} {
		for _, action := range strings.Fields(actions) {
			if err := h.iam.Authorize(context.Background(), identity.ServiceCaller(service, acct, "us-east-1"), gateway.Check{Action: action, Resource: "*"}); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestSimulation(t *testing.T) {
	h := newHouse(t)
	h.user("a")
	ok(t, second(h.api.AttachUserPolicy(h.admin, &iamapi.AttachUserPolicyInput{UserName: aws.Ptr("a"), PolicyArn: aws.Ptr("arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryReadOnly")})))
	out, err := h.api.SimulatePrincipalPolicy(h.admin, &iamapi.SimulatePrincipalPolicyInput{PolicySourceArn: aws.Ptr("arn:aws:iam::000000000000:user/a"), ActionNames: []string{"ecr:PutImage", "ecr:GetAuthorizationToken"}})
	ok(t, err)
	b, _ := json.Marshal(out.EvaluationResults) // in the order they were asked in
	if *out.EvaluationResults[1].EvalDecision != "allowed" || *out.EvaluationResults[1].MatchedStatements[0].SourcePolicyId != "AmazonEC2ContainerRegistryReadOnly" || *out.EvaluationResults[0].EvalDecision != "implicitDeny" {
		t.Errorf("%s", b)
	}
}

func BenchmarkAuthorize(b *testing.B) {
	s := New(Deps{Store: memstore.New(), Clock: clock.Real(1)})
	id, _, err := s.EnsureAdmin(context.Background(), acct)
	if err != nil {
		b.Fatal(err)
	}
	check := gateway.Check{Action: "ecs:DescribeServices", Resource: "arn:aws:ecs:us-east-1:000000000000:service/chat/chat"}
	b.ReportAllocs()
	for b.Loop() {
		c, err := s.Credential(context.Background(), id)
		if err == nil {
			err = s.Authorize(context.Background(), c.Caller, check)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
