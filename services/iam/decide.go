package iam

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"minato/aws"
	iamapi "minato/aws/api/iam"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/aws/policy"
	"minato/gateway"
	"minato/services/iam/managed"
)

// free are the actions that need no permission, on AWS too.
var free = map[string]bool{
	"sts:GetCallerIdentity": true,
	"sts:GetSessionToken":   true,
}

// Authorize implements gateway.Authorizer.
func (s *Service) Authorize(ctx context.Context, caller identity.Caller, check gateway.Check) error {
	if free[check.Action] && caller.Kind != identity.Anonymous {
		return nil
	}
	if caller.Kind == identity.Root && check.Trust {
		return &aws.Error{Code: "AccessDeniedException", Message: "Roles may not be assumed by root accounts."}
	}
	d, r, err := s.decide(ctx, caller, check)
	if err != nil || d.Allowed {
		return err
	}
	cause := fmt.Errorf("%s by %s", check.Action, caller.ARN)
	if d.Explicit {
		cause = fmt.Errorf("denied by statement %d (Sid %q) of %s", d.Index, d.Sid, d.Policy)
	}
	if check.Shown != "" {
		r.Resource = check.Shown
	}
	return &aws.Error{Code: "AccessDeniedException", Message: d.Denial(r), Cause: cause}
}

// Explain decides a check as Authorize does and says how it came about; `why`
// and the policy simulator show it.
func (s *Service) Explain(ctx context.Context, caller identity.Caller, check gateway.Check) (policy.Decision, error) {
	d, _, err := s.decide(ctx, caller, check)
	return d, err
}

// decide puts together who asks and which policies count.
func (s *Service) decide(ctx context.Context, caller identity.Caller, check gateway.Check) (policy.Decision, *policy.Request, error) {
	r := &policy.Request{Action: check.Action, Resource: check.Resource, Caller: policy.Caller{Account: caller.Account, ARN: caller.ARN}}
	if r.Resource == "" {
		r.Resource = "*"
	}
	if a, ok := arn.Parse(r.Resource); ok {
		owner := a.Account
		if owner == "" {
			owner = check.Owner
		}
		r.OtherAccount = owner != "" && owner != caller.Account && isAccount(owner)
	}
	if caller.Kind == identity.Anonymous {
		r.OtherAccount = false // who has no account has no policies that could count: the resource's decides
	}
	set := policy.Set{Trust: check.Trust}
	if check.ResourcePolicy != "" {
		kind := policy.Resource
		if check.Trust {
			kind = policy.Trust
		}
		p, err := policy.Compile(check.ResourcePolicy, kind)
		if err != nil {
			return policy.Decision{}, r, aws.Internal(fmt.Errorf("the policy of %s: %w", check.Resource, err))
		}
		set.Resource = &policy.Named{Name: check.Resource, Policy: p}
	}
	var p *principal
	var err error
	switch caller.Kind {
	case identity.Root:
		p = &principal{}
	case identity.User:
		p, err = s.principal(ctx, caller.PrincipalID)
	case identity.AssumedRole:
		r.Caller.RoleARN = caller.PrincipalID
		p, err = s.principal(ctx, caller.PrincipalID)
	case identity.Service:
		r.Caller.Service, r.Caller.ServiceAccount = caller.Service, serviceAccounts[caller.Service][caller.Region]
		p, err = s.servicePrincipal(ctx, caller)
	default:
		p = &principal{}
	}
	if err != nil {
		return policy.Decision{}, r, err
	}
	set.Identity, set.Boundary = p.identity, p.boundary
	if caller.SessionPolicy != "" {
		sp, err := policy.Compile(caller.SessionPolicy, policy.Identity)
		if err != nil {
			return policy.Decision{}, r, aws.Internal(fmt.Errorf("the session policy of %s: %w", caller.ARN, err))
		}
		set.Session = []policy.Named{{Name: caller.ARN, Policy: sp}}
	}
	now := s.clock.Now()
	r.Lookup = func(key string) ([]string, bool) { return conditionKey(&caller, p, &check, now, key) }
	d := policy.Decision{Allowed: true, Source: policy.FromIdentity}
	if caller.Kind != identity.Root {
		d = policy.Evaluate(&set, r)
	}
	if d.Allowed {
		return throughEndpoint(&caller, d, r)
	}
	return d, r, nil
}

// throughEndpoint asks the policy of the VPC endpoint, if a request came through
// one: it counts for the endpoint's own service.
func throughEndpoint(caller *identity.Caller, d policy.Decision, r *policy.Request) (policy.Decision, *policy.Request, error) {
	e := caller.Endpoint
	if e == nil || caller.Via != "" || !strings.HasPrefix(r.Action, e.Actions+":") {
		return d, r, nil
	}
	p, err := policy.Compile(e.Policy, policy.Resource)
	if err != nil {
		return policy.Decision{}, r, aws.Internal(fmt.Errorf("the policy of %s: %w", e.ID, err))
	}
	if through := policy.Through(&policy.Named{Name: e.ID, Policy: p}, r); !through.Allowed {
		return through, r, nil
	}
	return d, r, nil
}

func isAccount(s string) bool { return len(s) == 12 && strings.Trim(s, "0123456789") == "" }

// principal finds a user or role with its compiled policies. One that does not
// exist any more may do nothing.
func (s *Service) principal(ctx context.Context, id string) (*principal, error) {
	if p := s.cache.principal(id); p != nil {
		return p, nil
	}
	generation := s.cache.now()
	a, ok := arn.Parse(id)
	p := &principal{}
	if ok {
		var err error
		switch a.Kind() {
		case "user":
			err = s.loadUser(ctx, p, a)
		case "role":
			err = s.loadRole(ctx, p, a)
		}
		if err != nil {
			return nil, err
		}
	}
	s.cache.putPrincipal(generation, id, p)
	return p, nil
}

// servicePrincipal is a service of ours: its linked role's policies and what
// the house gives it.
func (s *Service) servicePrincipal(ctx context.Context, caller identity.Caller) (*principal, error) {
	id := caller.Service + " " + caller.Account
	if p := s.cache.principal(id); p != nil {
		return p, nil
	}
	if err := s.EnsureLinkedRole(ctx, caller.Account, caller.Service); err != nil {
		return nil, err
	}
	generation := s.cache.now()
	p := &principal{}
	if def, ok := linkedRoles[caller.Service]; ok {
		if err := s.loadRole(ctx, p, arn.ARN{Account: caller.Account, Resource: "role/" + def.name}); err != nil {
			return nil, err
		}
	}
	if h, ok := houseGrants[caller.Service]; ok {
		p.identity = append(p.identity, h)
	}
	s.cache.putPrincipal(generation, id, p)
	return p, nil
}

func (s *Service) loadUser(ctx context.Context, p *principal, a arn.ARN) error {
	u, found, err := s.users.Get(ctx, a.Account, global, fold(a.Last()))
	if err != nil || !found {
		return err
	}
	p.name, p.tags = *u.UserName, tagMap(u.Tags)
	if err := s.compile(ctx, p, &u.grants, a.Account); err != nil {
		return err
	}
	for _, name := range u.Groups {
		g, found, err := s.groups.Get(ctx, a.Account, global, name)
		if err != nil {
			return err
		}
		if found {
			if err := s.compile(ctx, p, &g.grants, a.Account); err != nil {
				return err
			}
		}
	}
	return s.loadBoundary(ctx, p, u.PermissionsBoundary, a.Account)
}

func (s *Service) loadRole(ctx context.Context, p *principal, a arn.ARN) error {
	r, found, err := s.roles.Get(ctx, a.Account, global, fold(a.Last()))
	if err != nil || !found {
		return err
	}
	p.tags = tagMap(r.Tags)
	if err := s.compile(ctx, p, &r.grants, a.Account); err != nil {
		return err
	}
	return s.loadBoundary(ctx, p, r.PermissionsBoundary, a.Account)
}

// compile adds an entity's policies to a principal.
func (s *Service) compile(ctx context.Context, p *principal, g *grants, acct string) error {
	for name, document := range g.Inline {
		c, err := policy.Compile(document, policy.Identity)
		if err != nil {
			return aws.Internal(fmt.Errorf("the stored policy %s: %w", name, err))
		}
		p.identity = append(p.identity, policy.Named{Name: name, Policy: c})
	}
	for _, a := range g.Attached {
		n, err := s.namedPolicy(ctx, a, acct)
		if err != nil {
			return err
		}
		if n != nil {
			p.identity = append(p.identity, *n)
		}
	}
	return nil
}

func (s *Service) loadBoundary(ctx context.Context, p *principal, b *iamapi.AttachedPermissionsBoundary, acct string) error {
	if b == nil {
		return nil
	}
	n, err := s.namedPolicy(ctx, *b.PermissionsBoundaryArn, acct)
	p.boundary = n
	return err
}

// namedPolicy finds a managed policy, AWS's or the customer's.
func (s *Service) namedPolicy(ctx context.Context, a, acct string) (*policy.Named, error) {
	if m := managed.Get(a); m != nil {
		return &policy.Named{Name: a, Policy: m.Compiled}, nil
	}
	id, ok := policyID(acct, a)
	if !ok {
		return nil, nil
	}
	rec, found, err := s.policies.Get(ctx, acct, global, id)
	if err != nil || !found {
		return nil, err
	}
	c, err := policy.Compile(rec.document(), policy.Identity)
	if err != nil {
		return nil, aws.Internal(fmt.Errorf("the stored policy %s: %w", a, err))
	}
	return &policy.Named{Name: a, Policy: c}, nil
}

func tagMap(tags []iamapi.Tag) map[string]string {
	out := make(map[string]string, len(tags))
	for _, t := range tags {
		out[fold(*t.Key)] = aws.Val(t.Value)
	}
	return out
}

// conditionKey finds a condition key of a request, given in lower case. It
// works one out when a condition asks for it: most requests ask for none.
func conditionKey(c *identity.Caller, p *principal, check *gateway.Check, now time.Time, key string) ([]string, bool) {
	one := func(v string) ([]string, bool) { return []string{v}, v != "" }
	for k, v := range check.Context {
		if strings.EqualFold(k, key) {
			return v, true
		}
	}
	if tag, ok := strings.CutPrefix(key, "aws:principaltag/"); ok {
		for k, v := range c.Tags {
			if strings.EqualFold(k, tag) {
				return []string{v}, true
			}
		}
		v, ok := p.tags[tag]
		return []string{v}, ok
	}
	isService := c.Kind == identity.Service
	switch key {
	case "aws:username":
		return one(p.name)
	case "aws:userid":
		return one(c.UserID)
	case "aws:principalarn":
		if isService {
			return nil, false
		}
		return one(c.PrincipalID)
	case "aws:principalaccount":
		return one(c.Account)
	case "aws:principaltype":
		return one(map[identity.Kind]string{identity.Anonymous: "Anonymous", identity.Root: "Account", identity.User: "User", identity.AssumedRole: "AssumedRole"}[c.Kind])
	case "aws:principalisawsservice":
		return one(strconv.FormatBool(isService))
	case "aws:principalservicename":
		return one(c.Service)
	case "aws:sourceip":
		if c.Endpoint != nil {
			return nil, false // a private address is no source address
		}
		return one(c.SourceIP)
	case "aws:sourcevpce", "aws:sourcevpc", "aws:vpcsourceip":
		if c.Endpoint == nil || c.Via != "" {
			return nil, false
		}
		return one(map[string]string{"aws:sourcevpce": c.Endpoint.ID, "aws:sourcevpc": c.Endpoint.VPC, "aws:vpcsourceip": c.Endpoint.Source}[key])
	case "aws:useragent":
		return one(c.UserAgent)
	case "aws:currenttime":
		return one(now.UTC().Format(time.RFC3339))
	case "aws:epochtime":
		return one(strconv.FormatInt(now.Unix(), 10))
	case "aws:requestedregion":
		return one(c.Region)
	case "aws:resourceaccount":
		if a, ok := arn.Parse(check.Resource); ok && isAccount(a.Account) {
			return one(a.Account)
		}
		if check.Owner != "" {
			return one(check.Owner)
		}
		return one(c.Account)
	case "aws:sourceaccount":
		if !isService {
			return nil, false
		}
		return one(c.Account)
	case "aws:sourcearn":
		if !isService {
			return nil, false
		}
		if c.Source != "" {
			return one(c.Source)
		}
		// A service acts for whatever of its own needs it; trust policies
		// compare this with arn:aws:ecs:<region>:<account>:*.
		name, _, _ := strings.Cut(c.Service, ".")
		return one(arn.In(c.Region, c.Account).Of(strings.TrimSuffix(name, "-tasks"), "*"))
	case "aws:calledvia", "aws:calledviafirst", "aws:calledvialast":
		return one(c.Via)
	case "aws:viaawsservice":
		return one(strconv.FormatBool(c.Via != ""))
	}
	return nil, false
}
