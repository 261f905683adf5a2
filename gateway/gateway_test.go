package gateway_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"minato/aws"
	ecsapi "minato/aws/api/ecs"
	stsapi "minato/aws/api/sts"
	"minato/aws/identity"
	"minato/aws/sigv4"
	"minato/aws/validate"
	"minato/gateway"
	"minato/internal/clock"
)

const (
	keyID  = "AKIAIOSFODNN7EXAMPLE"
	secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

// sts answers GetCallerIdentity, panics in GetSessionToken; its other
// operations are not called.
type sts struct{ stsapi.API }

func (sts) GetCallerIdentity(ctx context.Context, _ *stsapi.GetCallerIdentityInput) (*stsapi.GetCallerIdentityOutput, error) {
	c := identity.From(ctx)
	return &stsapi.GetCallerIdentityOutput{Arn: &c.ARN, Account: &c.Account}, nil
}

func (sts) GetSessionToken(context.Context, *stsapi.GetSessionTokenInput) (*stsapi.GetSessionTokenOutput, error) {
	panic("nobody expected this")
}

// ecs answers ListClusters and fails in DescribeClusters for a reason of its own.
type ecs struct{ ecsapi.API }

func (ecs) ListClusters(context.Context, *ecsapi.ListClustersInput) (*ecsapi.ListClustersOutput, error) {
	return &ecsapi.ListClustersOutput{}, nil
}

func (ecs) DescribeClusters(context.Context, *ecsapi.DescribeClustersInput) (*ecsapi.DescribeClustersOutput, error) {
	return nil, errors.New("the disk said something secret")
}

// world knows one key, and allows what it is told.
type world struct {
	deny   map[string]bool
	asked  []gateway.Check
	record []string

	refusals *gateway.Refusals
}

func (w *world) Credential(_ context.Context, id string) (gateway.Credential, error) {
	if id != keyID {
		return gateway.Credential{}, &aws.Error{Code: "InvalidClientTokenId", Message: "The security token included in the request is invalid.", Status: 403}
	}
	return gateway.Credential{Secret: secret, Caller: identity.Caller{Kind: identity.User, Account: "000000000000", ARN: "arn:aws:iam::000000000000:user/me"}}, nil
}

func (w *world) Authorize(_ context.Context, c identity.Caller, check gateway.Check) error {
	w.asked = append(w.asked, check)
	if c.Kind != identity.Root && w.deny[check.Action] {
		return aws.Errorf("AccessDeniedException", "User: %s is not authorized to perform: %s on resource: %s", c.ARN, check.Action, check.Resource)
	}
	return nil
}

func open(t *testing.T, dev bool) (*world, *gateway.Gateway, http.Handler) {
	t.Helper()
	w := &world{deny: map[string]bool{}, refusals: gateway.NewRefusals(clock.Real(1))}
	g := gateway.New(gateway.Options{
		Account: "000000000000", Region: "us-east-1", Clock: clock.Real(1), Authenticator: w, Authorizer: w, Validate: validate.Input, DevCredentials: dev,
		Refusals: w.refusals, Hosts: []string{"198.18.0.1"}, Record: func(s, o, c string) { w.record = append(w.record, s+" "+o+" "+c) },
	})
	g.Register(gateway.Registration{Service: stsapi.Model, Handlers: stsapi.Handlers(sts{})})
	g.Register(gateway.Registration{Service: ecsapi.Model, Handlers: ecsapi.Handlers(ecs{})})
	return w, g, g.Handler()
}

// request is a signed call of STS, or of ECS when target is set.
func request(t *testing.T, target, body string, change func(*http.Request, *sigv4.Signer)) *http.Request {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:4566/", strings.NewReader(body))
	s := sigv4.Signer{AccessKeyID: keyID, Secret: secret, Region: "us-east-1", Service: "sts"}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	if target != "" {
		s.Service = "ecs"
		r.Header.Set("X-Amz-Target", "AmazonEC2ContainerServiceV20141113."+target)
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	}
	if change != nil {
		change(r, &s)
	}
	s.Sign(r, []byte(body), time.Now())
	return r
}

const whoAmI = "Action=GetCallerIdentity&Version=2011-06-15"

func TestDoor(t *testing.T) {
	for _, c := range []struct {
		name, target, body string
		change             func(*http.Request, *sigv4.Signer)
		deny               string
		status             int
		want               string
	}{
		{name: "a signed call", body: whoAmI, status: 200, want: "<Arn>arn:aws:iam::000000000000:user/me</Arn>"},
		{name: "JSON", target: "ListClusters", body: "{}", status: 200, want: "{"},
		{name: "a wrong secret", body: whoAmI, change: func(_ *http.Request, s *sigv4.Signer) { s.Secret = "x" }, status: 403, want: "<Code>SignatureDoesNotMatch</Code>"},
		{name: "a wrong secret, JSON", target: "ListClusters", body: "{}", change: func(_ *http.Request, s *sigv4.Signer) { s.Secret = "x" }, status: 400, want: "InvalidSignatureException"},
		{name: "an unknown key", target: "ListClusters", body: "{}", change: func(_ *http.Request, s *sigv4.Signer) { s.AccessKeyID = "AKIAUNKNOWN" }, status: 400, want: "UnrecognizedClientException"},
		{name: "another region", target: "ListClusters", body: "{}", change: func(_ *http.Request, s *sigv4.Signer) { s.Region = "eu-west-1" }, status: 400, want: "valid region"},
		{name: "a global service from us-east-1", body: whoAmI, status: 200, want: "GetCallerIdentityResult"},
		{name: "another service's signature", target: "ListClusters", body: "{}", change: func(_ *http.Request, s *sigv4.Signer) { s.Service = "ecr" }, status: 400, want: "correct service: 'ecs'"},
		{name: "denied", target: "ListClusters", body: "{}", deny: "ecs:ListClusters", status: 400, want: "AccessDeniedException"},
		{name: "denied, query", body: whoAmI, deny: "sts:GetCallerIdentity", status: 403, want: "<Code>AccessDenied</Code>"},
		{name: "an input that breaks the model", target: "DescribeClusters", body: `{"include":["NONSENSE"]}`, status: 400, want: "Exception"},
		{name: "a body that is no JSON", target: "ListClusters", body: "{", status: 400, want: "SerializationException"},
		{name: "a panic", body: "Action=GetSessionToken&Version=2011-06-15", status: 500, want: "InternalFailure"},
		{name: "a panic, in ECS's words", target: "ListServices", body: "{}", status: 500, want: "ServerException"},
		{name: "an operation that is not known", body: "Action=Nonsense&Version=2011-06-15", status: 400, want: "InvalidAction"},
		{name: "a name of somebody else", body: whoAmI, change: func(r *http.Request, _ *sigv4.Signer) { r.Host = "evil.example" }, status: 403, want: "neither"},
		{name: "AWS's own name", body: whoAmI, change: func(r *http.Request, _ *sigv4.Signer) { r.Host = "sts.us-east-1.amazonaws.com" }, status: 200, want: "user/me"},
		{name: "the service address", body: whoAmI, change: func(r *http.Request, _ *sigv4.Signer) { r.Host = "198.18.0.1:4566" }, status: 200, want: "user/me"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, _, h := open(t, false)
			w.deny[c.deny] = true
			out := httptest.NewRecorder()
			h.ServeHTTP(out, request(t, c.target, c.body, c.change))
			if out.Code != c.status || !strings.Contains(out.Body.String(), c.want) {
				t.Errorf("answered %d %s, want %d %q", out.Code, out.Body, c.status, c.want)
			}
			if out.Code != 403 && out.Header().Get("X-Amzn-Requestid") == "" {
				t.Error("no request id")
			}
		})
	}
}

// TestCauseStaysInside: the user sees AWS's text, never the reason of a fault.
func TestCauseStaysInside(t *testing.T) {
	_, _, h := open(t, false)
	out := httptest.NewRecorder()
	h.ServeHTTP(out, request(t, "DescribeClusters", "{}", nil))
	if out.Code != 500 || strings.Contains(out.Body.String(), "secret") {
		t.Errorf("answered %d %s", out.Code, out.Body)
	}
}

func TestRecord(t *testing.T) {
	w, _, h := open(t, false)
	h.ServeHTTP(httptest.NewRecorder(), request(t, "ListClusters", "{}", nil))
	w.deny["ecs:ListClusters"] = true
	h.ServeHTTP(httptest.NewRecorder(), request(t, "ListClusters", "{}", nil))
	if got := strings.Join(w.record, ", "); got != "ecs ListClusters 200, ecs ListClusters AccessDeniedException" {
		t.Errorf("recorded %q", got)
	}
}

// TestInvokeIsTheSameDoor: a call from inside is authorized and validated too.
func TestInvokeIsTheSameDoor(t *testing.T) {
	w, g, _ := open(t, false)
	client := ecsapi.NewClient(g)
	ctx := identity.With(t.Context(), identity.ServiceCaller("cloudformation.amazonaws.com", "000000000000", "us-east-1"))
	if _, err := client.ListClusters(ctx, &ecsapi.ListClustersInput{}); err != nil {
		t.Fatal(err)
	}
	if len(w.asked) != 1 || w.asked[0].Action != "ecs:ListClusters" {
		t.Errorf("IAM was asked %v", w.asked)
	}
	w.deny["ecs:ListClusters"] = true
	if _, err := client.ListClusters(ctx, &ecsapi.ListClustersInput{}); !aws.IsCode(err, "AccessDeniedException") {
		t.Errorf("a denied call from inside: %v", err)
	}
	delete(w.deny, "ecs:ListClusters")
	if _, err := client.DescribeClusters(ctx, &ecsapi.DescribeClustersInput{Include: []string{"NONSENSE"}}); err == nil || aws.IsCode(err, "InternalFailure") {
		t.Errorf("an invalid call from inside: %v", err)
	}
}

// TestDevCredentials: any key, also a wrong signature; but no web page.
func TestDevCredentials(t *testing.T) {
	_, _, h := open(t, true)
	out := httptest.NewRecorder()
	h.ServeHTTP(out, request(t, "", whoAmI, func(_ *http.Request, s *sigv4.Signer) { s.AccessKeyID, s.Secret = "111122223333", "test" }))
	if out.Code != 200 || !strings.Contains(out.Body.String(), "<Account>111122223333</Account>") {
		t.Errorf("a key of 12 digits: %d %s", out.Code, out.Body)
	}
	for header, value := range map[string]string{"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"} {
		out := httptest.NewRecorder()
		h.ServeHTTP(out, request(t, "", whoAmI, func(r *http.Request, _ *sigv4.Signer) { r.Header.Set(header, value) }))
		if out.Code == 200 {
			t.Errorf("a request with %s: %s was served", header, value)
		}
	}
}

// TestRefusals: what was refused can be asked for later, without secrets.
func TestRefusals(t *testing.T) {
	w, g, h := open(t, false)
	answer := func(target, body string) {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, request(t, target, body, nil))
	}
	answer("ListClusters", `{}`)
	answer("DescribeClusters", `{"clusters":["a"]}`) // a fault of ours
	if got := w.refusals.List(); len(got) != 0 {
		t.Fatalf("nothing was refused, and %+v is remembered", got)
	}
	w.deny["ecs:DescribeClusters"] = true
	answer("DescribeClusters", `{"clusters":["chat","web"]}`)
	answer("DescribeClusters", `{"clusters":["chat","web"]}`)
	got := w.refusals.List()
	if len(got) != 1 || got[0].Times != 2 || got[0].Action != "ecs:DescribeClusters" || got[0].Code != "AccessDeniedException" || !slices.Equal(got[0].Names, []string{"chat", "web"}) || !strings.HasSuffix(got[0].Caller, "user/me") {
		t.Errorf("remembered: %+v", got)
	}
	// From inside, a denial counts and other errors do not.
	ctx := identity.With(t.Context(), identity.Caller{Kind: identity.User, ARN: "inside"})
	client := ecsapi.NewClient(g)
	for range 2 {
		if _, err := client.DescribeClusters(ctx, &ecsapi.DescribeClustersInput{}); err == nil {
			t.Fatal("answered")
		}
		delete(w.deny, "ecs:DescribeClusters")
	}
	if got := w.refusals.List(); len(got) != 2 || got[0].Caller != "inside" || got[0].Times != 1 {
		t.Errorf("remembered: %+v", got)
	}
	w.refusals.Forget(func(r gateway.Refusal) bool { return r.Caller == "inside" })
	if got := w.refusals.List(); len(got) != 1 {
		t.Errorf("after forgetting: %+v", got)
	}
	for i := range 500 {
		w.refusals.Add(gateway.Refusal{Action: "ecs:X", Message: strings.Repeat("x", i)})
	}
	if got := w.refusals.List(); len(got) != 200 || len(got[0].Message) != 499 {
		t.Errorf("%d are remembered", len(got))
	}
}
