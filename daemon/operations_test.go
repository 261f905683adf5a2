package daemon

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"minato/aws"
	cwapi "minato/aws/api/cloudwatch"
	ec2api "minato/aws/api/ec2"
	ecrapi "minato/aws/api/ecr"
	ecsapi "minato/aws/api/ecs"
	elbv2api "minato/aws/api/elbv2"
	iamapi "minato/aws/api/iam"
	logsapi "minato/aws/api/logs"
	s3api "minato/aws/api/s3"
	secretsapi "minato/aws/api/secretsmanager"
	ssmapi "minato/aws/api/ssm"
	stsapi "minato/aws/api/sts"
	"minato/aws/validate"
	"minato/controller"
	"minato/dataplane/blobs"
	"minato/dataplane/container/containertest"
	"minato/dataplane/database"
	"minato/dataplane/host"
	"minato/dataplane/metrics"
	"minato/dataplane/network/networktest"
	"minato/dataplane/registry"
	"minato/dataplane/registry/registrytest"
	"minato/dataplane/segments"
	"minato/gateway"
	"minato/internal/clock"
	"minato/internal/seal"
	"minato/services/acm"
	"minato/services/applicationautoscaling"
	"minato/services/cloud9"
	"minato/services/cloudformation"
	"minato/services/cloudwatch"
	"minato/services/ec2"
	"minato/services/ecr"
	"minato/services/ecs"
	"minato/services/ecs/reach"
	"minato/services/elbv2"
	"minato/services/iam"
	"minato/services/logs"
	"minato/services/rds"
	"minato/services/s3"
	"minato/services/secretsmanager"
	"minato/services/ssm"
	"minato/services/sts"
	"minato/store/memstore"
)

// openControlPlane is every service behind one gateway, over a store in memory
// and a data plane that is not there: no reconciler runs.
func openControlPlane(t *testing.T) (context.Context, *gateway.Gateway) {
	t.Helper()
	cfg := Defaults()
	st, real, log := memstore.New(), clock.Real(1), slog.New(slog.DiscardHandler)
	open := func() *segments.Set {
		s, err := segments.Open(t.TempDir(), segments.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	events := open()
	sealer, err := seal.New(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	files, err := blobs.Open(t.TempDir(), make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	runtime, net := containertest.NewFake(t), networktest.NewFake()
	databases, err := database.New(database.Options{Root: t.TempDir(), Runtime: runtime, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	var balancers *elbv2.Service
	users := func(ctx context.Context, certificate string) ([]string, error) {
		return balancers.CertificateUsers(ctx, certificate)
	}
	rights := iam.New(iam.Deps{Store: st, Clock: real, Log: log, CertificateUsers: users, Seal: sealer})
	issuer, err := host.OpenIssuer(t.TempDir(), "aaaaaa")
	if err != nil {
		t.Fatal(err)
	}
	certificates := acm.New(acm.Deps{Store: st, Clock: real, Log: log, Issuer: issuer, Users: users, Seal: sealer})
	g := gateway.New(gateway.Options{Account: cfg.Account, Region: cfg.Region, Clock: real, Log: log, Authorizer: rights, Validate: validate.Input})
	call := struct {
		ec2  *ec2api.Client
		iam  *iamapi.Client
		logs *logsapi.Client
		sts  *stsapi.Client
		ecr  *ecrapi.Client
		elb  *elbv2api.Client
	}{ec2api.NewClient(g), iamapi.NewClient(g), logsapi.NewClient(g), stsapi.NewClient(g), ecrapi.NewClient(g), elbv2api.NewClient(g)}
	machines := ec2.New(ec2.Deps{Store: st, Clock: real, Log: log, Pool: DefaultPublicCIDR, FirstAssignable: DefaultPublicCIDR.Addr().Next(), IAM: call.iam, STS: call.sts})
	tasks := ecs.New(ecs.Deps{
		Store: st, Clock: real, Log: log, EC2: call.ec2, ECR: call.ecr, ELB: call.elb, Logs: call.logs, STS: call.sts, Secrets: secretsapi.NewClient(g), Parameters: ssmapi.NewClient(g), Buckets: s3api.NewClient(g),
		Runtime: runtime, Network: net,
		Ways: reach.Only(netip.MustParseAddrPort("198.18.0.1:443")), VolumesDir: t.TempDir(),
	})
	t.Cleanup(tasks.Close)
	balancers = elbv2.New(elbv2.Deps{
		Store: st, Clock: real, Log: log, EC2: call.ec2, Bus: controller.NewBus(), Names: func([]elbv2.Name) {}, Certificates: certificates.KeyPair, Buckets: s3api.NewClient(g),
	})
	for _, s := range []interface{ Registration() gateway.Registration }{
		rights, machines, tasks,
		sts.New(sts.Deps{Store: st, Clock: real, Log: log, IAM: call.iam}),
		applicationautoscaling.New(applicationautoscaling.Deps{Store: st, Clock: real, Log: log, ECS: ecsapi.NewClient(g), CloudWatch: cwapi.NewClient(g)}),
		cloudwatch.New(cloudwatch.Deps{Store: st, Metrics: metrics.Open(open(), real), History: open(), Clock: real, Log: log}),
		logs.New(logs.Deps{Store: st, Events: events, Clock: real, Log: log}),
		ecr.New(ecr.Deps{
			Store: st, Clock: real, Log: log, Account: cfg.Account, Region: cfg.Region, Authorizer: rights,
			OpenRegistry: func(a registry.Authorizer, r registry.Repositories) *registry.Registry {
				return registrytest.Open(t, t.TempDir(), a, r)
			},
		}),
		rds.New(rds.Deps{Store: st, Clock: real, Log: log, EC2: call.ec2, Databases: databases, Network: net}),
		secretsmanager.New(secretsmanager.Deps{Store: st, Clock: real, Log: log, Seal: sealer, Self: secretsapi.NewClient(g)}),
		ssm.New(ssm.Deps{Store: st, Clock: real, Log: log, Seal: sealer, Secrets: secretsapi.NewClient(g), EC2: call.ec2}),
		balancers, certificates,
		s3.New(s3.Deps{Store: st, Blobs: files, Clock: real, Log: log, Authorizer: rights, Region: cfg.Region}),
		cloud9.New(cloud9.Deps{Store: st, Clock: real, Log: log, EC2: call.ec2}),
		cloudformation.New(cloudformation.Deps{Store: st, Clock: real, Log: log, Invoker: g}),
	} {
		g.Register(s.Registration())
	}
	ctx := gateway.AsRoot(t.Context(), cfg.Account, cfg.Region)
	if err := machines.EnsureDefaultVPC(ctx, cfg.Account, cfg.Region); err != nil {
		t.Fatal(err)
	}
	return ctx, g
}

// operations are all that is served, in an order that is the same every time.
func operations() []*aws.Operation {
	var all []*aws.Operation
	for _, s := range Services() {
		for _, op := range s.Operations {
			all = append(all, op)
		}
	}
	slices.SortFunc(all, func(a, b *aws.Operation) int { return strings.Compare(a.Action(), b.Action()) })
	return all
}

// invoke makes a call and returns its output; whatever it was asked, it may
// answer only as AWS does.
func invoke(ctx context.Context, t *testing.T, g *gateway.Gateway, op *aws.Operation, in any) any {
	t.Helper()
	asked := shown(in) // a handler may write to it
	out, err := g.Invoke(ctx, op, in)
	if err == nil {
		return out
	}
	if e := aws.AsError(err); e.OurFault() || e.Code == "" || e.Message == "" {
		t.Errorf("%s answered %q, status %d: %v\nto %s", op.Action(), e.Code, e.HTTPStatus(), err, asked)
	}
	return nil
}

// TestNothingIsAsked: an operation without any parameter answers, or says what
// is missing.
func TestNothingIsAsked(t *testing.T) {
	ctx, g := openControlPlane(t)
	for _, op := range operations() {
		invoke(ctx, t, g, op, op.NewInput())
	}
}

// TestNonsenseIsAsked: every operation, with inputs that have the model's shape
// and no sense: things that are there among things that are not, members left
// out, nil or empty. No handler may fail of itself.
func TestNonsenseIsAsked(t *testing.T) {
	ctx, g := openControlPlane(t)
	rounds, ops := 60, operations()
	if testing.Short() {
		rounds = 5
	}
	n := newNonsense(1)
	for range rounds {
		n.rand.Shuffle(len(ops), func(i, j int) { ops[i], ops[j] = ops[j], ops[i] })
		for _, op := range ops {
			in := op.NewInput()
			if op.InputShape != nil {
				n.fill(op.InputShape, reflect.ValueOf(in).Elem(), 0)
			}
			if out := invoke(ctx, t, g, op, in); out != nil {
				n.learn(reflect.ValueOf(out))
			}
		}
	}
	t.Logf("%d words learnt", len(n.words))
}

// nonsense makes values of shapes.
type nonsense struct {
	rand  *rand.Rand
	words []string // what strings are picked from
	known map[string]bool
}

func newNonsense(seed uint64) *nonsense {
	n := &nonsense{rand: rand.New(rand.NewPCG(seed, seed)), known: map[string]bool{}}
	for _, w := range []string{
		"a", "web", "default", "FARGATE", "0", "-1", "443", "256", "512", "arn:aws:ecs:us-east-1:000000000000:cluster/web", "arn:aws:iam::000000000000:role/web",
		"10.0.0.0/16", "10.0.1.0/24", "0.0.0.0/0", "10.0.0.300/8", "::/0", "vpc-0123456789abcdef0", "subnet-0123456789abcdef0", "us-east-1a", "us-east-1", "tcp",
		"mysql", "8.0", "db.t3.micro", "{}", "[]", "{", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`, `{"Resources":{"A":{"Type":"AWS::ECS::Cluster"}}}`,
		`{"Resources":{}}`, "a: &a [*a]", "*", "**", "/", "/web", "%", "é", " ", "http://127.0.0.1:1/", "sha256:" + strings.Repeat("0", 64), "eyJ9", "!!!", "arn:", "arn:aws:::::",
		"HTTP", "ip", "awsvpc", "path-pattern", "forward", "fixed-response", "200", "forty", "list", "password1", strings.Repeat("x", 300), strings.Repeat("0", 64),
	} {
		n.know(w)
	}
	return n
}

func (n *nonsense) know(word string) {
	if len(n.words) < 4000 && len(word) <= 400 && !n.known[word] {
		n.known[word] = true
		n.words = append(n.words, word)
	}
}

// learn keeps the strings of an output: ids and names of what is there now.
func (n *nonsense) learn(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		n.know(v.String())
	case reflect.Pointer:
		if !v.IsNil() {
			n.learn(v.Elem())
		}
	case reflect.Slice:
		for i := range min(v.Len(), 5) {
			n.learn(v.Index(i))
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				n.learn(v.Field(i))
			}
		}
	}
}

// deepest is how far structures within structures are filled.
const deepest = 4

func (n *nonsense) fill(s *aws.Shape, v reflect.Value, depth int) {
	for _, m := range s.Members {
		chance := 0.35
		if m.Required {
			chance = 0.97
		}
		if n.rand.Float64() < chance {
			n.set(m.Shape, v.Field(m.Index), depth)
		}
	}
}

// set gives v a value of the shape; v is a member, an element or a map's value.
func (n *nonsense) set(s *aws.Shape, v reflect.Value, depth int) {
	if depth > deepest {
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	switch s.Kind {
	case aws.Structure:
		n.fill(s, v, depth+1)
	case aws.List:
		count := n.rand.IntN(3)
		v.Set(reflect.MakeSlice(v.Type(), count, count))
		for i := range count {
			n.set(s.Elem, v.Index(i), depth+1)
		}
	case aws.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range n.rand.IntN(3) {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			n.set(s.Key, key, depth+1)
			n.set(s.Elem, value, depth+1)
			v.SetMapIndex(key, value)
		}
	case aws.String:
		v.SetString(n.word(s))
	case aws.Integer, aws.Long:
		v.SetInt([]int64{-1, 0, 1, 2, 80, 100, 200, 256, 65535, 1 << 30}[n.rand.IntN(10)])
	case aws.Float, aws.Double:
		v.SetFloat([]float64{-1, 0, 0.5, 100}[n.rand.IntN(4)])
	case aws.Boolean:
		v.SetBool(n.rand.IntN(2) == 0)
	case aws.Timestamp:
		v.Set(reflect.ValueOf(time.Unix(n.rand.Int64N(4e9), 0).UTC()))
	case aws.Blob:
		v.SetBytes([]byte(n.word(s)))
	case aws.Stream:
		v.Set(reflect.ValueOf(io.NopCloser(strings.NewReader(n.word(s)))))
	}
}

func (n *nonsense) word(s *aws.Shape) string {
	if len(s.Enum) > 0 {
		return s.Enum[n.rand.IntN(len(s.Enum))]
	}
	return n.words[n.rand.IntN(len(n.words))]
}

// shown is an input, readable: members by name, without those that are not set.
func shown(in any) string {
	return describe(reflect.ValueOf(in))
}

func describe(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return "nil"
		}
		return describe(v.Elem())
	case reflect.Struct:
		if at, ok := v.Interface().(time.Time); ok {
			return at.String()
		}
		var parts []string
		for i := range v.NumField() {
			if !v.Field(i).IsZero() {
				parts = append(parts, v.Type().Field(i).Name+": "+describe(v.Field(i)))
			}
		}
		return v.Type().Name() + "{" + strings.Join(parts, ", ") + "}"
	case reflect.Slice:
		var parts []string
		for i := range v.Len() {
			parts = append(parts, describe(v.Index(i)))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return fmt.Sprintf("%#v", v.Interface())
}
