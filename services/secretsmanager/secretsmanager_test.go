package secretsmanager_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"minato/aws"
	api "minato/aws/api/secretsmanager"
	"minato/aws/identity"
	"minato/aws/policy"
	"minato/aws/validate"
	"minato/gateway"
	"minato/internal/clock"
	"minato/internal/seal"
	"minato/services/secretsmanager"
	"minato/store"
	"minato/store/memstore"
)

// iam decides by one identity policy, and the resource's.
type iam struct{ identity string }

func (i *iam) Authorize(_ context.Context, c identity.Caller, check gateway.Check) error {
	set := &policy.Set{}
	if i.identity != "" {
		p, err := policy.Parse(i.identity, policy.Identity)
		if err != nil {
			return err
		}
		set.Identity = []policy.Named{{Name: "mine", Policy: p}}
	}
	if check.ResourcePolicy != "" {
		p, err := policy.Parse(check.ResourcePolicy, policy.Resource)
		if err != nil {
			return err
		}
		set.Resource = &policy.Named{Name: check.Resource, Policy: p}
	}
	r := &policy.Request{Action: check.Action, Resource: check.Resource, Caller: policy.Caller{Account: c.Account, ARN: c.ARN}}
	r.Lookup = func(key string) ([]string, bool) {
		for k, v := range check.Context {
			if strings.EqualFold(k, key) {
				return v, true
			}
		}
		return nil, false
	}
	if d := policy.Evaluate(set, r); !d.Allowed {
		if check.Shown != "" {
			r.Resource = check.Shown
		}
		return aws.Errorf("AccessDeniedException", "%s", d.Denial(r))
	}
	return nil
}

const all = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

type fixture struct {
	*api.Client
	t       testing.TB
	ctx     context.Context
	clock   *clock.Fake
	store   store.Store
	iam     *iam
	service *secretsmanager.Service
}

func setup(t testing.TB) *fixture {
	t.Helper()
	key, err := seal.New(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, clock: clock.NewFake(start), store: memstore.New(), iam: &iam{all}}
	g := gateway.New(gateway.Options{Account: "000000000000", Region: "us-east-1", Clock: clock.Real(1), Authorizer: f.iam, Validate: validate.Input})
	f.Client = api.NewClient(g)
	f.service = secretsmanager.New(secretsmanager.Deps{Store: f.store, Clock: f.clock, Seal: key, Self: f.Client})
	g.Register(f.service.Registration())
	f.ctx = identity.With(t.Context(), identity.Caller{Kind: identity.User, Account: "000000000000", Region: "us-east-1", Partition: "aws", ARN: "arn:aws:iam::000000000000:user/me"})
	return f
}

// token is a request token, the id of a version.
func token(n int) *string { return aws.Ptr(fmt.Sprintf("00000000-0000-0000-0000-%012d", n)) }

func (f *fixture) create(name, value string) *api.CreateSecretOutput {
	f.t.Helper()
	out, err := f.CreateSecret(f.ctx, &api.CreateSecretInput{Name: &name, SecretString: &value, ClientRequestToken: token(1)})
	if err != nil {
		f.t.Fatal(err)
	}
	return out
}

func (f *fixture) put(id, value string, n int, stages ...string) *api.PutSecretValueOutput {
	f.t.Helper()
	out, err := f.PutSecretValue(f.ctx, &api.PutSecretValueInput{SecretId: &id, SecretString: &value, ClientRequestToken: token(n), VersionStages: stages})
	if err != nil {
		f.t.Fatal(err)
	}
	return out
}

func (f *fixture) value(id string, change ...func(*api.GetSecretValueInput)) string {
	in := &api.GetSecretValueInput{SecretId: &id}
	for _, c := range change {
		c(in)
	}
	out, err := f.GetSecretValue(f.ctx, in)
	if err != nil {
		return err.Error()
	}
	return aws.Val(out.SecretString)
}

func stage(s string) func(*api.GetSecretValueInput) {
	return func(in *api.GetSecretValueInput) { in.VersionStage = &s }
}

func id(n int) func(*api.GetSecretValueInput) {
	return func(in *api.GetSecretValueInput) { in.VersionId = token(n) }
}

func want(t testing.TB, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func wantError(t testing.TB, err error, want string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want %s", want)
	} else if !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

const notFound = "ResourceNotFoundException: Secrets Manager can't find the specified secret."

func TestVersionsAndLabels(t *testing.T) {
	f := setup(t)
	arn := *f.create("prod/db", "one").ARN
	if !strings.HasPrefix(arn, "arn:aws:secretsmanager:us-east-1:000000000000:secret:prod/db-") || len(arn) != len("arn:aws:secretsmanager:us-east-1:000000000000:secret:prod/db-AbCdEf") {
		t.Errorf("the ARN is %s", arn)
	}
	f.put("prod/db", "two", 2)
	f.put("prod/db", "pending", 3, "AWSPENDING")
	want(t, f.value("prod/db"), "two")
	want(t, f.value(arn), "two")
	want(t, f.value(arn[:len(arn)-7]), "two") // without the six characters
	want(t, f.value("prod/db", stage("AWSPREVIOUS")), "one")
	want(t, f.value("prod/db", stage("AWSPENDING")), "pending")
	want(t, f.value("prod/db", id(1)), "one")
	want(t, f.value("prod/db", id(1), stage("AWSPREVIOUS")), "one")
	want(t, f.value("prod/db", id(1), stage("AWSCURRENT")), "InvalidRequestException: You provided a VersionStage that is not associated to the provided VersionId.")
	want(t, f.value("prod/db", id(9)), "ResourceNotFoundException: Secrets Manager can't find the specified secret value for VersionId: "+*token(9))
	want(t, f.value("prod/db", stage("blue")), "ResourceNotFoundException: Secrets Manager can't find the specified secret value for staging label: blue")
	want(t, f.value("other"), notFound)
	want(t, f.value(arn[:len(arn)-6]+"XXXXXX"), notFound)
	want(t, f.value(strings.Replace(arn, "us-east-1", "eu-west-1", 1)), notFound)

	// The end of a rotation: AWSPENDING's version becomes current.
	move := &api.UpdateSecretVersionStageInput{SecretId: &arn, VersionStage: aws.Ptr("AWSCURRENT"), MoveToVersionId: token(3)}
	_, err := f.UpdateSecretVersionStage(f.ctx, move)
	wantError(t, err, "InvalidParameterException: The parameter RemoveFromVersionId can't be empty. Staging label AWSCURRENT is currently attached to version "+*token(2)+", so you must explicitly reference that version in RemoveFromVersionId.")
	move.RemoveFromVersionId = token(2)
	if _, err := f.UpdateSecretVersionStage(f.ctx, move); err != nil {
		t.Fatal(err)
	}
	want(t, f.value("prod/db"), "pending")
	want(t, f.value("prod/db", stage("AWSPREVIOUS")), "two")
	_, err = f.UpdateSecretVersionStage(f.ctx, &api.UpdateSecretVersionStageInput{SecretId: &arn, VersionStage: aws.Ptr("AWSCURRENT"), RemoveFromVersionId: token(3)})
	wantError(t, err, "InvalidParameterException: You can only move staging label AWSCURRENT to a different secret version.")
	_, err = f.UpdateSecretVersionStage(f.ctx, &api.UpdateSecretVersionStageInput{SecretId: &arn, VersionStage: aws.Ptr("blue"), MoveToVersionId: token(9)})
	wantError(t, err, "ResourceNotFoundException: ")

	for deprecated, n := range map[bool]int{false: 2, true: 3} {
		out, err := f.ListSecretVersionIds(f.ctx, &api.ListSecretVersionIdsInput{SecretId: &arn, IncludeDeprecated: &deprecated})
		if err != nil || len(out.Versions) != n {
			t.Errorf("deprecated %v: %d versions, %v", deprecated, len(out.Versions), err)
		}
	}
	d, err := f.DescribeSecret(f.ctx, &api.DescribeSecretInput{SecretId: &arn})
	if err != nil || fmt.Sprint(d.VersionIdsToStages[*token(3)]) != "[AWSPENDING AWSCURRENT]" || len(d.VersionIdsToStages) != 2 {
		t.Errorf("described %v %v", d, err)
	}
	if at := aws.Val(d.LastAccessedDate); !at.Equal(start.Truncate(24 * time.Hour)) {
		t.Errorf("last accessed %v", at)
	}
}

// TestTokens: a request made again is answered again; a token is of one value.
func TestTokens(t *testing.T) {
	f := setup(t)
	first := f.create("db", "one")
	again := f.create("db", "one")
	want(t, *again.ARN, *first.ARN)
	_, err := f.CreateSecret(f.ctx, &api.CreateSecretInput{Name: aws.Ptr("db"), SecretString: aws.Ptr("one"), ClientRequestToken: token(2)})
	wantError(t, err, "ResourceExistsException: The operation failed because the secret db already exists.")
	_, err = f.CreateSecret(f.ctx, &api.CreateSecretInput{Name: aws.Ptr("db"), SecretString: aws.Ptr("two"), ClientRequestToken: token(1)})
	wantError(t, err, "ResourceExistsException: The operation failed because the secret db already exists.")
	f.put("db", "two", 2)
	f.put("db", "one", 1) // already there: nothing moves back
	want(t, f.value("db"), "two")
	_, err = f.PutSecretValue(f.ctx, &api.PutSecretValueInput{SecretId: aws.Ptr("db"), SecretString: aws.Ptr("three"), ClientRequestToken: token(2)})
	wantError(t, err, "ResourceExistsException: You can't use ClientRequestToken "+*token(2)+" because that value is already in use for a version of secret "+*first.ARN+".")
	_, err = f.PutSecretValue(f.ctx, &api.PutSecretValueInput{SecretId: aws.Ptr("db"), SecretString: aws.Ptr("three")})
	wantError(t, err, "InvalidRequestException: You must provide a ClientRequestToken value. We recommend a UUID-type value.")
	_, err = f.PutSecretValue(f.ctx, &api.PutSecretValueInput{SecretId: aws.Ptr("db"), ClientRequestToken: token(3)})
	wantError(t, err, "InvalidRequestException: You must provide either SecretString or SecretBinary.")
	_, err = f.PutSecretValue(f.ctx, &api.PutSecretValueInput{SecretId: aws.Ptr("db"), SecretString: aws.Ptr("x"), SecretBinary: []byte("x"), ClientRequestToken: token(3)})
	wantError(t, err, "InvalidParameterException: You can't specify both")
}

// TestParallelPuts: many callers with few tokens make as many versions as there
// are tokens, and a label is on one of them.
func TestParallelPuts(t *testing.T) {
	f := setup(t)
	f.create("db", "value 1")
	var wg sync.WaitGroup
	for i := range 48 {
		wg.Go(func() {
			n := 2 + i%6
			value := fmt.Sprintf("value %d", n)
			if _, err := f.PutSecretValue(f.ctx, &api.PutSecretValueInput{SecretId: aws.Ptr("db"), SecretString: &value, ClientRequestToken: token(n)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	out, err := f.ListSecretVersionIds(f.ctx, &api.ListSecretVersionIdsInput{SecretId: aws.Ptr("db"), IncludeDeprecated: aws.Ptr(true)})
	if err != nil || len(out.Versions) != 7 {
		t.Fatalf("%d versions, %v", len(out.Versions), err)
	}
	labels := map[string]int{}
	for _, v := range out.Versions {
		for _, l := range v.VersionStages {
			labels[l]++
		}
	}
	if fmt.Sprint(labels) != "map[AWSCURRENT:1 AWSPREVIOUS:1]" {
		t.Errorf("labels %v", labels)
	}
}

// TestParallelCreates: of many with one token one secret is made; with tokens of
// their own, one wins.
func TestParallelCreates(t *testing.T) {
	for _, one := range []bool{true, false} {
		f := setup(t)
		var mu sync.Mutex
		arns, failed := map[string]int{}, 0
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				n := i
				if one {
					n = 0
				}
				out, err := f.CreateSecret(f.ctx, &api.CreateSecretInput{Name: aws.Ptr("db"), SecretString: aws.Ptr("x"), ClientRequestToken: token(n)})
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					failed++
					wantError(t, err, "ResourceExistsException")
					return
				}
				arns[*out.ARN]++
			})
		}
		wg.Wait()
		if len(arns) != 1 || one && failed != 0 || !one && failed != 15 {
			t.Errorf("one token %v: %v, %d failed", one, arns, failed)
		}
	}
}

func TestDeletion(t *testing.T) {
	f := setup(t)
	arn := *f.create("db", "one").ARN
	del := func(change func(*api.DeleteSecretInput)) (*api.DeleteSecretOutput, error) {
		in := &api.DeleteSecretInput{SecretId: aws.Ptr("db")}
		change(in)
		return f.DeleteSecret(f.ctx, in)
	}
	days := func(n int64) func(*api.DeleteSecretInput) {
		return func(in *api.DeleteSecretInput) { in.RecoveryWindowInDays = &n }
	}
	force := func(in *api.DeleteSecretInput) { in.ForceDeleteWithoutRecovery = aws.Ptr(true) }
	for _, n := range []int64{-1, 0, 6, 31} {
		_, err := del(days(n))
		wantError(t, err, "InvalidParameterException: The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
	}
	_, err := del(func(in *api.DeleteSecretInput) { days(7)(in); force(in) })
	wantError(t, err, "InvalidParameterException: You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")

	out, err := del(days(7))
	if err != nil || !out.DeletionDate.Equal(start.Add(7*24*time.Hour)) {
		t.Fatalf("deleted: %v %v", out, err)
	}
	const marked = "InvalidRequestException: You can't perform this operation on the secret because it was marked for deletion."
	want(t, f.value("db"), marked)
	_, err = del(days(7))
	wantError(t, err, marked)
	_, err = f.CreateSecret(f.ctx, &api.CreateSecretInput{Name: aws.Ptr("db")})
	wantError(t, err, "InvalidRequestException: You can't create this secret because a secret with this name is already scheduled for deletion.")
	if d, err := f.DescribeSecret(f.ctx, &api.DescribeSecretInput{SecretId: &arn}); err != nil || d.DeletedDate == nil {
		t.Errorf("described: %v %v", d, err)
	}
	for planned, n := range map[bool]int{false: 0, true: 1} {
		if l, err := f.ListSecrets(f.ctx, &api.ListSecretsInput{IncludePlannedDeletion: &planned}); err != nil || len(l.SecretList) != n {
			t.Errorf("planned %v: %v %v", planned, l, err)
		}
	}
	if _, err := f.RestoreSecret(f.ctx, &api.RestoreSecretInput{SecretId: &arn}); err != nil {
		t.Fatal(err)
	}
	want(t, f.value("db"), "one")

	// The window goes by: the secret is gone, then so are its records.
	if _, err := del(days(7)); err != nil {
		t.Fatal(err)
	}
	f.clock.Advance(7*24*time.Hour + time.Second)
	want(t, f.value("db"), notFound)
	f.reconcile()
	f.wantRecords(0)

	// Made again it is another.
	if again := *f.create("db", "other").ARN; again == arn {
		t.Error("a new secret has the ARN of the former one")
	}
	want(t, f.value(arn), notFound)
	for range 2 { // one that is not there is fine
		if _, err := del(force); err != nil {
			t.Fatal(err)
		}
	}
	f.wantRecords(0)
	_, err = f.RestoreSecret(f.ctx, &api.RestoreSecretInput{SecretId: aws.Ptr("db")})
	wantError(t, err, notFound)
}

// reconcile runs what the service does in the background once, for every key.
func (f *fixture) reconcile() {
	f.t.Helper()
	r := f.service.Deletion()
	keys, err := r.Keys(f.ctx)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, k := range keys {
		if _, err := r.Reconcile(f.ctx, k); err != nil {
			f.t.Fatal(err)
		}
	}
}

func (f *fixture) wantRecords(n int) {
	f.t.Helper()
	recs, _, err := f.store.List(f.ctx, "secretsmanager/", store.Page{})
	if err != nil || len(recs) != n {
		f.t.Errorf("%d records, want %d: %v %v", len(recs), n, recs, err)
	}
}

// dying is a store that dies after some commits: the daemon's SIGKILL.
type dying struct {
	store.Store
	left int
}

func (d *dying) Commit(ctx context.Context, txn store.Txn) (store.Revision, error) {
	if d.left--; d.left < 0 {
		return 0, store.ErrClosed
	}
	return d.Store.Commit(ctx, txn)
}

// TestCrash: the daemon dies after any commit of a deletion; what comes next
// finds a secret that is whole, or none, and the sweeper leaves nothing.
func TestCrash(t *testing.T) {
	for left := range 4 {
		f := setup(t)
		for i := range 300 { // more versions than one transaction deletes
			if i == 0 {
				f.create("db", "0")
			} else {
				f.put("db", fmt.Sprint(i), i+1)
			}
		}
		key, _ := seal.New(bytes.Repeat([]byte{7}, 32))
		crashing := secretsmanager.New(secretsmanager.Deps{Store: &dying{f.store, left}, Clock: f.clock, Seal: key, Self: f.Client})
		_, err := crashing.DeleteSecret(f.ctx, &api.DeleteSecretInput{SecretId: aws.Ptr("db"), ForceDeleteWithoutRecovery: aws.Ptr(true)})
		if (err == nil) != (left > 0) {
			t.Fatalf("after %d commits: %v", left, err)
		}
		f.reconcile()
		if left == 0 {
			want(t, f.value("db"), "299")
			continue
		}
		want(t, f.value("db"), notFound)
		f.wantRecords(0)
	}
}

// TestAtRest: no value is in the store in the open.
func TestAtRest(t *testing.T) {
	f := setup(t)
	f.create("db", "correct horse battery staple")
	f.put("db", "another correct horse", 2)
	recs, _, err := f.store.List(f.ctx, "", store.Page{})
	if err != nil || len(recs) < 3 {
		t.Fatal(len(recs), err)
	}
	for _, r := range recs {
		if bytes.Contains(r.Value, []byte("horse")) || bytes.Contains(r.Value, []byte("aG9yc2")) {
			t.Errorf("%s holds the value: %s", r.Key, r.Value)
		}
	}
}

func TestVersionsAreBounded(t *testing.T) {
	f := setup(t)
	f.create("db", "x")
	for i := 2; i <= 130; i++ {
		f.put("db", "x", i)
	}
	count := func() int {
		n := 0
		in := &api.ListSecretVersionIdsInput{SecretId: aws.Ptr("db"), IncludeDeprecated: aws.Ptr(true), MaxResults: aws.Ptr[int32](50)}
		for {
			out, err := f.ListSecretVersionIds(f.ctx, in)
			if err != nil {
				t.Fatal(err)
			}
			n += len(out.Versions)
			if in.NextToken = out.NextToken; in.NextToken == nil {
				return n
			}
		}
	}
	if n := count(); n != 130 {
		t.Errorf("%d versions of one day", n) // none is a day old
	}
	f.clock.Advance(25 * time.Hour)
	f.put("db", "x", 131)
	if n := count(); n != 100 {
		t.Errorf("%d versions a day later", n)
	}
	want(t, f.value("db", stage("AWSPREVIOUS")), "x")
}

func TestInputs(t *testing.T) {
	f := setup(t)
	arn := *f.create("db", "one").ARN
	big := strings.Repeat("é", 32769) // 65538 bytes, half as many characters
	for name, c := range map[string]struct {
		call func() error
		want string
	}{
		"a name with a space": {func() error {
			_, err := f.CreateSecret(f.ctx, &api.CreateSecretInput{Name: aws.Ptr("a b")})
			return err
		}, "ValidationException: Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!"},
		"a value of more than 64 KiB": {func() error {
			_, err := f.CreateSecret(f.ctx, &api.CreateSecretInput{Name: aws.Ptr("big"), SecretString: &big, ClientRequestToken: token(1)})
			return err
		}, "ValidationException: 1 validation error detected: Value at 'secretString' failed to satisfy constraint: Member must have length less than or equal to 65536"},
		"a replica": {func() error {
			_, err := f.CreateSecret(f.ctx, &api.CreateSecretInput{Name: aws.Ptr("r"), AddReplicaRegions: []api.ReplicaRegionType{{Region: aws.Ptr("eu-west-1")}}})
			return err
		}, "InvalidParameterException: Replicas"},
		"a KMS key": {func() error {
			_, err := f.UpdateSecret(f.ctx, &api.UpdateSecretInput{SecretId: &arn, KmsKeyId: aws.Ptr("alias/mine")})
			return err
		}, "InvalidParameterException: KMS keys"},
		"rotation without a function": {func() error {
			_, err := f.RotateSecret(f.ctx, &api.RotateSecretInput{SecretId: &arn, ClientRequestToken: token(2)})
			return err
		}, "InvalidRequestException: No Lambda rotation function ARN is associated with this secret."},
		"rotation": {func() error {
			_, err := f.RotateSecret(f.ctx, &api.RotateSecretInput{SecretId: &arn, ClientRequestToken: token(2), RotationLambdaARN: aws.Ptr("arn:aws:lambda:us-east-1:000000000000:function:f")})
			return err
		}, "AccessDeniedException: Secrets Manager cannot invoke the specified Lambda function."},
		"too many tags": {func() error {
			var tags []api.Tag
			for i := range 51 {
				tags = append(tags, api.Tag{Key: aws.Ptr(fmt.Sprint(i))})
			}
			_, err := f.TagResource(f.ctx, &api.TagResourceInput{SecretId: &arn, Tags: tags})
			return err
		}, "InvalidParameterException: You can't attach more than 50 tags"},
		"a policy that is no JSON": {func() error {
			_, err := f.PutResourcePolicy(f.ctx, &api.PutResourcePolicyInput{SecretId: &arn, ResourcePolicy: aws.Ptr("{")})
			return err
		}, "MalformedPolicyDocumentException: This resource policy contains invalid Json."},
		"a public policy": {func() error {
			_, err := f.PutResourcePolicy(f.ctx, &api.PutResourcePolicyInput{SecretId: &arn, BlockPublicPolicy: aws.Ptr(true), ResourcePolicy: aws.Ptr(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"secretsmanager:*","Resource":"*"}}`)})
			return err
		}, "PublicPolicyException"},
	} {
		t.Run(name, func(t *testing.T) { wantError(t, c.call(), c.want) })
	}
	// What does not change the value makes no version.
	out, err := f.UpdateSecret(f.ctx, &api.UpdateSecretInput{SecretId: &arn, Description: aws.Ptr("the database")})
	if err != nil || out.VersionId != nil {
		t.Errorf("updated: %v %v", out, err)
	}
	if _, err := f.UpdateSecret(f.ctx, &api.UpdateSecretInput{SecretId: &arn, SecretBinary: []byte{0, 255}, ClientRequestToken: token(2)}); err != nil {
		t.Fatal(err)
	}
	v, err := f.GetSecretValue(f.ctx, &api.GetSecretValueInput{SecretId: &arn})
	if err != nil || v.SecretString != nil || !bytes.Equal(v.SecretBinary, []byte{0, 255}) {
		t.Errorf("the binary value: %v %v", v, err)
	}
}
