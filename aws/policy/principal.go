package policy

import (
	"encoding/json"
	"slices"
	"strings"
)

// Caller is the maker of a request as resource and trust policies name it.
type Caller struct {
	Account string // 12 digits
	ARN     string // of the user, or of the role's session
	RoleARN string // of a session: its role
	Service string // of a service principal: "ecs-tasks.amazonaws.com"
	// ServiceAccount is the account of AWS's that the service is also known by,
	// in policies that are older than its name.
	ServiceAccount string
}

// principals is a compiled Principal or NotPrincipal element.
type principals struct {
	not      bool
	everyone bool
	accounts []string // account ids
	arns     []string // users, roles, sessions
	services []string
}

// grade tells how a Principal element names a caller; the higher, the more
// directly.
type grade uint8

const (
	unnamed     grade = iota
	byAccount         // the account: its identity policies decide
	byRole            // the caller's role
	byPrincipal       // the user, the session, the service or everyone
)

// grade reports how p names c. NotPrincipal is graded as everyone else.
func (p *principals) grade(c *Caller) grade {
	g := p.direct(c)
	if !p.not {
		return g
	}
	if g == unnamed {
		return byPrincipal
	}
	return unnamed
}

func (p *principals) direct(c *Caller) grade {
	if p.everyone {
		return byPrincipal
	}
	if c.Service != "" {
		for _, s := range p.services {
			if s == c.Service {
				return byPrincipal
			}
		}
		if c.ServiceAccount != "" && slices.Contains(p.accounts, c.ServiceAccount) {
			return byPrincipal
		}
		return unnamed
	}
	best := unnamed
	for _, a := range p.arns {
		switch a {
		case c.ARN:
			return byPrincipal
		case c.RoleARN:
			best = byRole
		}
	}
	if best == unnamed {
		for _, a := range p.accounts {
			if a == c.Account {
				return byAccount
			}
		}
	}
	return best
}

// parsePrincipals compiles a Principal element: "*", or a map of kind to one
// name or a list.
func parsePrincipals(raw json.RawMessage, not bool) (*principals, error) {
	p := &principals{not: not}
	var all string
	if json.Unmarshal(raw, &all) == nil {
		if all != "*" {
			return nil, malformed("Invalid principal in policy: %s", all)
		}
		p.everyone = true
		return p, nil
	}
	var kinds map[string]json.RawMessage
	if err := json.Unmarshal(raw, &kinds); err != nil {
		return nil, errSyntax()
	}
	if len(kinds) == 0 {
		return nil, malformed("Missing required field Principal")
	}
	for kind, value := range kinds {
		names, ok := stringList(value)
		if !ok {
			return nil, errSyntax()
		}
		for _, name := range names {
			if err := p.add(kind, name); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

func (p *principals) add(kind, name string) error {
	switch kind {
	case "AWS":
		switch {
		case name == "*":
			p.everyone = true
		case isAccount(name):
			p.accounts = append(p.accounts, name)
		case strings.HasPrefix(name, "arn:"):
			part := strings.SplitN(name, ":", 6)
			if len(part) != 6 || (part[2] != "iam" && part[2] != "sts") || !isAccount(part[4]) || strings.ContainsAny(name, "*?") {
				return malformed("Invalid principal in policy: %q:%q", kind, name)
			}
			if part[5] == "root" {
				p.accounts = append(p.accounts, part[4])
			} else {
				p.arns = append(p.arns, name)
			}
		default:
			return malformed("Invalid principal in policy: %q:%q", kind, name)
		}
	case "Service":
		if !strings.Contains(name, ".") {
			return malformed("Invalid principal in policy: %q:%q", "SERVICE", name)
		}
		p.services = append(p.services, name)
	case "Federated", "CanonicalUser":
		// Nobody here has such an identity: they name nobody.
	default:
		return errSyntax()
	}
	return nil
}

// NamedPrincipals lists the user and role ARNs that a document's statements
// name, so that IAM can refuse those that do not exist.
func (p *Policy) NamedPrincipals() []string {
	var out []string
	for i := range p.statements {
		if s := p.statements[i].principals; s != nil {
			out = append(out, s.arns...)
		}
	}
	return out
}

func isAccount(s string) bool {
	if len(s) != 12 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
