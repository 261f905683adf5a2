package sts

import (
	"context"
	"strings"
	"testing"
	"time"

	"minato/aws"
	iamapi "minato/aws/api/iam"
	stsapi "minato/aws/api/sts"
	"minato/aws/identity"
	"minato/gateway"
	"minato/internal/clock"
	"minato/store"
	"minato/store/memstore"
)

const acct = "000000000000"

// authority stands in for IAM: a role's record, and decisions by a function.
// The real decision is tested with IAM; STS must ask it the right question.
type authority struct {
	iamapi.API // whatever is not asked panics
	role       *iamapi.Role
	asked      []gateway.Check
	deny       bool
}

func (a *authority) GetRole(ctx context.Context, in *iamapi.GetRoleInput) (*iamapi.GetRoleOutput, error) {
	if c := identity.From(ctx); c.Kind != identity.Service || c.Service != "sts.amazonaws.com" {
		return nil, aws.Errorf("AccessDenied", "asked as %s", c.ARN)
	}
	if *in.RoleName != *a.role.RoleName {
		return nil, iamapi.NoSuchEntityException("no")
	}
	return &iamapi.GetRoleOutput{Role: a.role}, nil
}

func (a *authority) Authorize(_ context.Context, _ identity.Caller, c gateway.Check) error {
	a.asked = append(a.asked, c)
	if a.deny {
		return aws.Errorf("AccessDeniedException", "no")
	}
	return nil
}

type house struct {
	store store.Store
	clock *clock.Fake
	iam   *authority
	sts   *Service
	api   stsapi.API
}

func newHouse() *house {
	h := &house{
		store: memstore.New(), clock: clock.NewFake(time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)),
		iam: &authority{role: &iamapi.Role{
			RoleName: aws.Ptr("task"), RoleId: aws.Ptr("AROAEXAMPLE"), Arn: aws.Ptr("arn:aws:iam::000000000000:role/task"),
			MaxSessionDuration: aws.Ptr[int32](7200), AssumeRolePolicyDocument: aws.Ptr("%7B%22Version%22%3A%22x%22%7D"),
		}},
	}
	h.start()
	return h
}

func (h *house) start() {
	h.sts = New(Deps{Store: h.store, Clock: h.clock, IAM: h.iam})
	g := gateway.New(gateway.Options{Account: acct, Region: "us-east-1", Clock: h.clock, Authenticator: h.sts, Authorizer: h.iam})
	g.Register(h.sts.Registration())
	h.api = stsapi.NewClient(g)
}

var (
	tasks = identity.With(context.Background(), identity.ServiceCaller("ecs-tasks.amazonaws.com", acct, "us-east-1"))
	user  = identity.With(context.Background(), identity.Caller{Kind: identity.User, Account: acct, ARN: "arn:aws:iam::000000000000:user/a", PrincipalID: "arn:aws:iam::000000000000:user/a", UserID: "AIDA", AccessKeyID: "AKIA"})
)

func assume() *stsapi.AssumeRoleInput {
	return &stsapi.AssumeRoleInput{RoleArn: aws.Ptr("arn:aws:iam::000000000000:role/task"), RoleSessionName: aws.Ptr("s1")}
}

func TestASessionIsGoodUntilItIsOverAndOverRestarts(t *testing.T) {
	h := newHouse()
	out, err := h.api.AssumeRole(tasks, assume())
	if err != nil {
		t.Fatal(err)
	}
	if *out.AssumedRoleUser.Arn != "arn:aws:sts::000000000000:assumed-role/task/s1" || *out.AssumedRoleUser.AssumedRoleId != "AROAEXAMPLE:s1" || !strings.HasPrefix(*out.Credentials.AccessKeyId, "ASIA") {
		t.Errorf("%+v", out.AssumedRoleUser)
	}
	for _, restart := range []bool{false, true} {
		if restart {
			h.start()
		}
		c, err := h.sts.Credential(context.Background(), *out.Credentials.AccessKeyId)
		if err != nil {
			t.Fatal(err)
		}
		if c.Secret != *out.Credentials.SecretAccessKey || c.SessionToken != *out.Credentials.SessionToken ||
			c.Caller.Kind != identity.AssumedRole || c.Caller.PrincipalID != "arn:aws:iam::000000000000:role/task" {
			t.Errorf("%+v", c)
		}
		who, err := h.api.GetCallerIdentity(identity.With(context.Background(), c.Caller), &stsapi.GetCallerIdentityInput{})
		if err != nil || *who.Arn != *out.AssumedRoleUser.Arn || *who.UserId != "AROAEXAMPLE:s1" || *who.Account != acct {
			t.Errorf("%+v %v", who, err)
		}
	}
	h.clock.Advance(time.Hour)
	if _, err := h.sts.Credential(context.Background(), *out.Credentials.AccessKeyId); !aws.IsCode(err, "ExpiredToken") {
		t.Errorf("after an hour: %v", err)
	}
	if _, err := h.api.AssumeRole(tasks, assume()); err != nil {
		t.Fatal(err)
	}
	if keys, err := h.sts.sessions.Keys(context.Background()); err != nil || len(keys) != 2 {
		t.Errorf("a session is swept only once it is over: %v %v", keys, err)
	}
	h.clock.Advance(sweepEvery)
	if _, err := h.api.AssumeRole(tasks, assume()); err != nil {
		t.Fatal(err)
	}
	if keys, err := h.sts.sessions.Keys(context.Background()); err != nil || len(keys) != 2 {
		t.Errorf("the expired session is still there: %v %v", keys, err)
	}
	if _, err := h.sts.Credential(context.Background(), "ASIAAAAAAAAAAAAAAAAA"); !aws.IsCode(err, "InvalidClientTokenId") {
		t.Errorf("an unknown key: %v", err)
	}
}

func TestTheTrustPolicyIsAsked(t *testing.T) {
	h := newHouse()
	in := assume()
	in.ExternalId, in.Tags = aws.Ptr("x"), []stsapi.Tag{{Key: aws.Ptr("team"), Value: aws.Ptr("a")}}
	if _, err := h.api.AssumeRole(tasks, in); err != nil {
		t.Fatal(err)
	}
	if len(h.iam.asked) != 2 {
		t.Fatalf("%+v", h.iam.asked)
	}
	c := h.iam.asked[0]
	if c.Action != "sts:AssumeRole" || !c.Trust || c.ResourcePolicy != `{"Version":"x"}` || c.Resource != *in.RoleArn ||
		c.Context["sts:ExternalId"][0] != "x" || c.Context["aws:RequestTag/team"][0] != "a" || h.iam.asked[1].Action != "sts:TagSession" {
		t.Errorf("%+v", h.iam.asked)
	}
	h.iam.deny = true
	if _, err := h.api.AssumeRole(tasks, assume()); !aws.IsCode(err, "AccessDenied") {
		t.Errorf("denied: %v", err)
	}
	h.iam.asked = nil
	missing := assume()
	missing.RoleArn = aws.Ptr("arn:aws:iam::000000000000:role/nobody")
	if _, err := h.api.AssumeRole(tasks, missing); !aws.IsCode(err, "AccessDenied") || h.iam.asked[0].ResourcePolicy != "" || !h.iam.asked[0].Trust {
		t.Errorf("a role that is not there: %v %+v", err, h.iam.asked)
	}
}

func TestHowLong(t *testing.T) {
	h := newHouse()
	role := identity.With(context.Background(), identity.Caller{Kind: identity.AssumedRole, Account: acct})
	for _, c := range []struct {
		ctx     context.Context
		seconds int32
		want    string
	}{
		{user, 7200, ""},
		{user, 7201, "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."},
		{role, 3600, ""},
		{role, 3601, "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."},
	} {
		in := assume()
		in.DurationSeconds = &c.seconds
		out, err := h.api.AssumeRole(c.ctx, in)
		if c.want == "" {
			if err != nil || !out.Credentials.Expiration.Equal(h.clock.Now().Add(time.Duration(c.seconds)*time.Second)) {
				t.Errorf("%d s: %v", c.seconds, err)
			}
		} else if err == nil || aws.AsError(err).Message != c.want {
			t.Errorf("%d s: %v", c.seconds, err)
		}
	}
}

func TestSessionPolicies(t *testing.T) {
	got, err := mergePolicies([]string{
		`{"Version":"2012-10-17","Statement":{"Sid":"a","Effect":"Allow","Action":"s3:*","Resource":"*"}}`,
		`{"Version":"2012-10-17","Statement":[{"Sid":"a","Effect":"Deny","Action":"s3:Put*","Resource":"*"}]}`,
	})
	const want = `{"Statement":[{"Action":"s3:*","Effect":"Allow","Resource":"*"},{"Action":"s3:Put*","Effect":"Deny","Resource":"*"}],"Version":"2012-10-17"}`
	if err != nil || got != want {
		t.Errorf("%s %v", got, err)
	}
	h := newHouse()
	in := assume()
	in.Policy = aws.Ptr(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}`)
	out, err := h.api.AssumeRole(user, in)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := h.sts.Credential(context.Background(), *out.Credentials.AccessKeyId); err != nil || !strings.Contains(c.Caller.SessionPolicy, "s3:*") || *out.PackedPolicySize == 0 {
		t.Errorf("%+v %v", c, err)
	}
	in.Policy = aws.Ptr(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3","Resource":"*"}}`)
	if _, err := h.api.AssumeRole(user, in); !aws.IsCode(err, "MalformedPolicyDocument") {
		t.Errorf("a bad session policy: %v", err)
	}
}

func TestGetSessionToken(t *testing.T) {
	h := newHouse()
	out, err := h.api.GetSessionToken(user, &stsapi.GetSessionTokenInput{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := h.sts.Credential(context.Background(), *out.Credentials.AccessKeyId)
	if err != nil || c.Caller.ARN != "arn:aws:iam::000000000000:user/a" {
		t.Fatalf("%+v %v", c, err)
	}
	if _, err := h.api.GetSessionToken(identity.With(context.Background(), c.Caller), &stsapi.GetSessionTokenInput{}); !aws.IsCode(err, "AccessDenied") {
		t.Errorf("a session's session: %v", err)
	}
	info, err := h.api.GetAccessKeyInfo(user, &stsapi.GetAccessKeyInfoInput{AccessKeyId: out.Credentials.AccessKeyId})
	if err != nil || *info.Account != acct {
		t.Errorf("%+v %v", info, err)
	}
}
