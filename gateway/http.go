package gateway

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"

	"minato/aws"
	"minato/aws/identity"
	"minato/aws/payload"
	"minato/aws/protocol"
	"minato/aws/sigv4"
	"minato/internal/ids"
)

// Handler returns the gateway as an HTTP handler. Every service is registered
// before.
func (g *Gateway) Handler() http.Handler {
	var services []*aws.Service
	for _, r := range g.services {
		services = append(services, r.Service)
	}
	return &handler{gateway: g, router: protocol.NewRouter(services...)}
}

type handler struct {
	gateway *Gateway
	router  *protocol.Router
}

// ServeHTTP answers one request of a client.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.gateway.hostAllowed(r.Host) {
		http.Error(w, "minato serves AWS's names and loopback; "+r.Host+" is neither", http.StatusForbidden)
		return
	}
	requestID := ids.UUID()
	call, out, err := h.serve(r)
	if err == nil {
		h.record(call, "200")
		err = call.WriteResponse(w, out, requestID)
		if err == nil {
			return
		}
		if !aws.IsCode(err, "InternalFailure") {
			return // the client is gone
		}
	}
	e := aws.AsError(err).ServedBy(call.Service)
	h.record(call, e.Code)
	if e.OurFault() || e.Cause != nil {
		h.gateway.opt.Log.Warn("request failed", "operation", call.Name, "request", requestID, "error", e)
	}
	_ = call.WriteError(w, e, requestID) // fails only when the client is gone
}

// serve does what a request asks. The call is never nil, so that an error can be
// told in the client's protocol.
func (h *handler) serve(r *http.Request) (*protocol.Call, any, error) {
	if call, err := h.router.RouteREST(r); call != nil {
		if err != nil {
			return call, nil, err
		}
		out, err := h.callREST(r, call)
		return call, out, err
	}
	body, err := protocol.ReadBody(r)
	call, routeErr := h.router.Route(r, body)
	if err == nil {
		err = routeErr
	}
	if err != nil {
		return call, nil, err
	}
	out, err := h.call(r, call, body)
	return call, out, err
}

// call authenticates, decodes and invokes.
func (h *handler) call(r *http.Request, call *protocol.Call, body []byte) (any, error) {
	caller, err := h.gateway.authenticate(r, call, body)
	if err != nil {
		return nil, sigv4.ErrorFor(call.Protocol, err)
	}
	in, err := call.Decode()
	if err != nil {
		return nil, err
	}
	return h.gateway.Invoke(identity.With(withEndpoint(r.Context(), r), caller), call.Operation, in)
}

func (h *handler) record(call *protocol.Call, code string) {
	if h.gateway.opt.Record != nil && call.Service != nil && call.Operation != nil {
		h.gateway.opt.Record(call.Service.Name, call.Operation.Name, code)
	}
}

// callREST is call for a protocol whose bodies are not held in memory: the
// signature is checked with what the client says of the body, and the body is
// held to that while the operation reads it.
func (h *handler) callREST(r *http.Request, call *protocol.Call) (any, error) {
	caller, chunks, err := h.gateway.authenticateREST(r, call)
	if err != nil {
		return nil, sigv4.ErrorFor(call.Protocol, err)
	}
	body, err := payload.New(r, chunks)
	if err != nil {
		return nil, err
	}
	call.UseBody(body)
	in, err := call.Decode()
	if err != nil {
		return nil, sigv4.ErrorFor(call.Protocol, err)
	}
	out, err := h.gateway.Invoke(identity.With(withEndpoint(r.Context(), r), caller), call.Operation, in)
	if err != nil {
		return nil, sigv4.ErrorFor(call.Protocol, err) // a chunk's signature, met while it was read
	}
	return out, nil
}

// authenticateREST finds out who signed the request, and how its chunks are
// signed. A request without a signature is nobody's: a bucket's policy may let
// everyone read.
func (g *Gateway) authenticateREST(r *http.Request, call *protocol.Call) (identity.Caller, *sigv4.Chunks, error) {
	sig, err := sigv4.Parse(r)
	if g.opt.DevCredentials {
		c, err := g.devCaller(r, sig)
		return c, nil, err
	}
	if older, ok := sigv4.ParseOlder(r); ok && sig == nil {
		c, err := g.authenticateOlder(r, older)
		return c, nil, err
	}
	if aws.IsCode(err, "MissingAuthenticationToken") {
		return identity.Caller{Kind: identity.Anonymous, Region: g.opt.Region, Partition: "aws", SourceIP: hostOf(r.RemoteAddr), UserAgent: r.UserAgent(), Endpoint: Passed(r.Context())}, nil, nil
	}
	if err != nil {
		return identity.Caller{}, nil, err
	}
	cred, err := g.opt.Authenticator.Credential(r.Context(), sig.AccessKeyID)
	if err != nil {
		return identity.Caller{}, nil, err
	}
	if sig.Region != g.opt.Region {
		return identity.Caller{}, nil, &aws.Error{
			Code: "AuthorizationHeaderMalformed", Message: "The authorization header is malformed; the region '" + sig.Region + "' is wrong; expecting '" + g.opt.Region + "'",
			Fields: map[string]any{"Region": g.opt.Region},
		}
	}
	if err := sig.VerifyClaimed(r, cred.Secret, cred.SessionToken, g.opt.Clock.Now()); err != nil {
		return identity.Caller{}, nil, err
	}
	if err := g.checkScope(r.Context(), sig, call); err != nil {
		return identity.Caller{}, nil, err
	}
	return g.signer(r, sig.AccessKeyID, cred), sig.Chunks(cred.Secret), nil
}

// authenticateOlder finds out who signed a URL with the older version.
func (g *Gateway) authenticateOlder(r *http.Request, sig *sigv4.Older) (identity.Caller, error) {
	cred, err := g.opt.Authenticator.Credential(r.Context(), sig.AccessKeyID)
	if err != nil {
		return identity.Caller{}, err
	}
	bucket, _ := protocol.BucketOfHost(r.Host)
	if err := sig.Verify(r, bucket, cred.Secret, cred.SessionToken, g.opt.Clock.Now()); err != nil {
		return identity.Caller{}, err
	}
	return g.signer(r, sig.AccessKeyID, cred), nil
}

// signer is the caller whose key signed a request.
func (g *Gateway) signer(r *http.Request, key string, cred Credential) identity.Caller {
	c := cred.Caller
	c.Region = g.opt.Region
	c.AccessKeyID = key
	c.SourceIP = hostOf(r.RemoteAddr)
	c.UserAgent = r.UserAgent()
	c.Endpoint = Passed(r.Context())
	return c
}

// authenticate finds out who signed the request.
func (g *Gateway) authenticate(r *http.Request, call *protocol.Call, body []byte) (identity.Caller, error) {
	sig, err := sigv4.Parse(r)
	if g.opt.DevCredentials {
		return g.devCaller(r, sig)
	}
	if err != nil {
		return identity.Caller{}, err
	}
	cred, err := g.opt.Authenticator.Credential(r.Context(), sig.AccessKeyID)
	if err != nil {
		return identity.Caller{}, err
	}
	if err := sig.Verify(r, body, cred.Secret, cred.SessionToken, g.opt.Clock.Now()); err != nil {
		return identity.Caller{}, err
	}
	if err := g.checkScope(r.Context(), sig, call); err != nil {
		return identity.Caller{}, err
	}
	return g.signer(r, sig.AccessKeyID, cred), nil
}

// checkScope holds the signature to the service and region it was made for. A VPC
// endpoint leads to one service.
func (g *Gateway) checkScope(ctx context.Context, sig *sigv4.Signature, call *protocol.Call) error {
	if e := Passed(ctx); e != nil && sig.Service != e.Signing {
		return scopeError("Credential should be scoped to correct service: '" + e.Signing + "'. ")
	}
	if sig.Service != call.Service.SigningName {
		return scopeError("Credential should be scoped to correct service: '" + call.Service.SigningName + "'. ")
	}
	if sig.Region == g.opt.Region || call.Service.Global && sig.Region == "us-east-1" {
		return nil
	}
	return scopeError("Credential should be scoped to a valid region. (This minato runs " + g.opt.Region + "; up --region chooses another.)")
}

func scopeError(message string) error {
	return &aws.Error{Code: "SignatureDoesNotMatch", Message: message, Status: http.StatusForbidden}
}

var accountKey = regexp.MustCompile(`^[0-9]{12}$`)

// devCaller accepts any key, as --dev-credentials says: a key id of 12 digits
// selects the account. A web page of another site may not use it, since its
// requests need no secret.
func (g *Gateway) devCaller(r *http.Request, sig *sigv4.Signature) (identity.Caller, error) {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" || r.Header.Get("Origin") != "" {
		return identity.Caller{}, &aws.Error{Code: "AccessDeniedException", Message: "--dev-credentials serves no requests of web pages.", Status: http.StatusForbidden}
	}
	c := identity.Caller{Kind: identity.Root, Account: g.opt.Account, Region: g.opt.Region, Partition: "aws", SourceIP: hostOf(r.RemoteAddr), UserAgent: r.UserAgent(), Endpoint: Passed(r.Context())}
	if sig != nil {
		c.AccessKeyID = sig.AccessKeyID
		if accountKey.MatchString(sig.AccessKeyID) {
			c.Account = sig.AccessKeyID
		}
		// A key of ours stands for whom it belongs to, so that roles and users
		// can be tried without signatures too.
		if cred, err := g.opt.Authenticator.Credential(r.Context(), sig.AccessKeyID); err == nil {
			known := cred.Caller
			known.Region, known.AccessKeyID, known.SourceIP, known.UserAgent, known.Endpoint = c.Region, c.AccessKeyID, c.SourceIP, c.UserAgent, c.Endpoint
			return known, nil
		}
	}
	c.ARN = "arn:aws:iam::" + c.Account + ":root"
	c.UserID, c.PrincipalID = c.Account, c.ARN
	return c, nil
}

// hostAllowed keeps out requests that a browser was lured into by a name of
// somebody else that points here: loopback, addresses that are ours and AWS's
// own names only.
func (g *Gateway) hostAllowed(host string) bool {
	name := strings.ToLower(hostOf(host))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") || strings.HasSuffix(name, ".amazonaws.com") {
		return true
	}
	if a, err := netip.ParseAddr(name); err == nil && a.IsLoopback() {
		return true
	}
	for _, h := range g.opt.Hosts {
		if name == h {
			return true
		}
	}
	return false
}

// hostOf is an address without its port.
func hostOf(s string) string {
	if h, _, err := net.SplitHostPort(s); err == nil {
		return h
	}
	return strings.Trim(s, "[]")
}

// AsRoot returns the context of a call that a person at this machine's console
// makes as root: the daemon's own commands.
func AsRoot(ctx context.Context, account, region string) context.Context {
	arn := "arn:aws:iam::" + account + ":root"
	return identity.With(ctx, identity.Caller{Kind: identity.Root, Account: account, Region: region, Partition: "aws", ARN: arn, UserID: account, PrincipalID: arn})
}
