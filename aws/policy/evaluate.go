package policy

// Request is what is asked: may this caller do this action on this resource?
type Request struct {
	Action   string // "ecs:RunTask"
	Resource string // an ARN, or "*" for actions that know no resource
	Caller   Caller
	// Lookup finds the values of a condition key, given in lower case; nil
	// when there are none.
	Lookup func(key string) ([]string, bool)
	// OtherAccount says that the resource belongs to another account than the
	// caller: then its policy and the caller's must both allow.
	OtherAccount bool
}

// Named is a policy with the name it is explained by.
type Named struct {
	Name   string // an ARN of a managed policy, or the name of an inline one
	Policy *Policy
}

// Set is every policy that applies to a request.
type Set struct {
	Identity []Named
	Boundary *Named  // a permissions boundary, if there is one
	Session  []Named // session policies: each must allow
	Resource *Named  // the resource's own policy, if it has one
	// Trust marks Resource as a role's trust policy: it must allow, whatever
	// the identity policies say.
	Trust bool
}

// Source is the type of policy a decision came from, in AWS's words.
type Source string

// The types of policies.
const (
	FromIdentity Source = "identity-based policy"
	FromBoundary Source = "permissions boundary"
	FromSession  Source = "session policy"
	FromResource Source = "resource-based policy"
	FromTrust    Source = "role trust policy"
	FromEndpoint Source = "VPC endpoint policy"
)

// Decision is the answer, with what led to it.
type Decision struct {
	Allowed  bool
	Explicit bool   // a Deny statement matched
	Source   Source // which type of policy allowed, denied, or failed to allow
	Policy   string // name of the policy that allowed or denied; "" when none did
	Sid      string // its statement's Sid, if it has one
	Index    int    // the statement's place in the policy, from 0
}

// Evaluate decides a request.
func Evaluate(set *Set, r *Request) Decision {
	q := &query{Request: r, action: foldText(r.Action), keys: r.Lookup}
	if q.keys == nil {
		q.keys = func(string) ([]string, bool) { return nil, false }
	}
	resourceSource := FromResource
	if set.Trust {
		resourceSource = FromTrust
	}
	if d, denied := q.denied(set, resourceSource); denied {
		return d
	}

	granted, byResource := unnamed, Decision{}
	if set.Resource != nil {
		granted, byResource = q.allowedBy(set.Resource, resourceSource)
	}
	switch {
	case set.Trust && granted == unnamed:
		return Decision{Source: FromTrust}
	case r.Caller.Service != "" && granted != unnamed:
		return byResource // a service principal has no policies of its own
	case granted == byPrincipal && !r.OtherAccount:
		return byResource
	}
	// What a resource policy gives to the role itself is still bounded by the
	// boundary and the session; what it gives to the account needs the
	// identity's own policies too.
	by := byResource
	if granted != byRole || r.OtherAccount {
		var ok bool
		if by, ok = q.allowedByOne(set.Identity, FromIdentity); !ok {
			return Decision{Source: FromIdentity}
		}
	}
	if set.Boundary != nil {
		if g, _ := q.allowedBy(set.Boundary, FromBoundary); g == unnamed {
			return Decision{Source: FromBoundary}
		}
	}
	// Several session policies are one to AWS: any of them may allow.
	if len(set.Session) > 0 {
		if _, ok := q.allowedByOne(set.Session, FromSession); !ok {
			return Decision{Source: FromSession}
		}
	}
	if r.OtherAccount && granted == unnamed {
		return Decision{Source: FromResource}
	}
	return by
}

// Through decides whether a request passes a VPC endpoint, by the endpoint's
// policy alone.
func Through(endpoint *Named, r *Request) Decision {
	q := &query{Request: r, action: foldText(r.Action), keys: r.Lookup}
	if d, denied := q.denied(&Set{Resource: endpoint}, FromEndpoint); denied {
		return d
	}
	if g, d := q.allowedBy(endpoint, FromEndpoint); g != unnamed {
		return d
	}
	return Decision{Source: FromEndpoint}
}

// query is a request made ready for matching.
type query struct {
	*Request
	action string
	keys   lookup
}

// denied looks for a Deny in every policy.
func (q *query) denied(set *Set, resource Source) (Decision, bool) {
	one := func(n *Named, source Source) (Decision, bool) {
		for i := range n.Policy.statements {
			s := &n.Policy.statements[i]
			if s.deny && q.matches(s) != unnamed {
				return Decision{Explicit: true, Source: source, Policy: n.Name, Sid: s.sid, Index: i}, true
			}
		}
		return Decision{}, false
	}
	for i := range set.Identity {
		if d, ok := one(&set.Identity[i], FromIdentity); ok {
			return d, true
		}
	}
	if set.Boundary != nil {
		if d, ok := one(set.Boundary, FromBoundary); ok {
			return d, true
		}
	}
	for i := range set.Session {
		if d, ok := one(&set.Session[i], FromSession); ok {
			return d, true
		}
	}
	if set.Resource != nil {
		return one(set.Resource, resource)
	}
	return Decision{}, false
}

func (q *query) allowedByOne(policies []Named, source Source) (Decision, bool) {
	for i := range policies {
		if g, d := q.allowedBy(&policies[i], source); g != unnamed {
			return d, true
		}
	}
	return Decision{}, false
}

// allowedBy finds the Allow that names the caller most directly.
func (q *query) allowedBy(n *Named, source Source) (grade, Decision) {
	best, decision := unnamed, Decision{}
	for i := range n.Policy.statements {
		s := &n.Policy.statements[i]
		if s.deny {
			continue
		}
		if g := q.matches(s); g > best {
			best, decision = g, Decision{Allowed: true, Source: source, Policy: n.Name, Sid: s.sid, Index: i}
			if best == byPrincipal {
				break
			}
		}
	}
	return best, decision
}

// matches reports whether a statement is about the request, and how directly it
// names the caller. A statement without principals is about its owner.
func (q *query) matches(s *statement) grade {
	if matchAny(s.actions, q.action, q.keys) == s.notActions {
		return unnamed
	}
	if s.resources != nil && matchAny(s.resources, q.Resource, q.keys) == s.notResources {
		return unnamed
	}
	g := byPrincipal
	if s.principals != nil {
		if g = s.principals.grade(&q.Caller); g == unnamed {
			return unnamed
		}
	}
	for i := range s.conditions {
		if !s.conditions[i].holds(q.keys) {
			return unnamed
		}
	}
	return g
}

// Denial is AWS's sentence for a decision that does not allow, about the
// caller, action and resource of the request.
func (d Decision) Denial(r *Request) string {
	who := r.Caller.ARN
	if who == "" {
		who = r.Caller.Service
	}
	text := "User: " + who + " is not authorized to perform: " + r.Action + " on resource: " + r.Resource
	if d.Explicit {
		article := " with an explicit deny in a "
		switch d.Source {
		case FromIdentity:
			article = " with an explicit deny in an "
		case FromTrust:
			article = " with an explicit deny in the "
		}
		return text + article + string(d.Source)
	}
	return text + " because no " + string(d.Source) + " allows the " + r.Action + " action"
}
