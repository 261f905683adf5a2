package policy

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"

	"minato/aws"
)

// malformed makes IAM's error for a bad document.
func malformed(format string, args ...any) *aws.Error {
	return aws.Errorf("MalformedPolicyDocument", format, args...)
}

func errSyntax() *aws.Error { return malformed("Syntax errors in policy.") }

// rawStatement is the JSON of a statement.
type rawStatement struct {
	Sid                     *string
	Effect                  *string
	Action, NotAction       json.RawMessage
	Resource, NotResource   json.RawMessage
	Principal, NotPrincipal json.RawMessage
	Condition               map[string]map[string]json.RawMessage
}

var (
	sidPattern    = regexp.MustCompile(`^[0-9A-Za-z]*$`)
	looseSid      = regexp.MustCompile(`^[0-9A-Za-z ._-]*$`)
	vendorPattern = regexp.MustCompile(`^[a-zA-Z0-9\-.]+$`)
)

// ParseManaged is Parse for a managed policy, which must be of the current
// version: only documents within a role, user or group may leave Version out.
func ParseManaged(text string) (*Policy, error) {
	p, err := Parse(text, Identity)
	if err == nil && !p.current {
		return nil, malformed("Policy document must be version 2012-10-17 or greater.")
	}
	return p, err
}

// Parse validates a document as its kind's grammar wants it and compiles it.
// Errors are *aws.Error with the code MalformedPolicyDocument and IAM's text.
func Parse(text string, kind Kind) (*Policy, error) {
	var doc document
	if err := strictJSON([]byte(text), &doc); err != nil {
		if kind == Trust && !json.Valid([]byte(text)) {
			return nil, malformed("This policy contains invalid Json").Because(err)
		}
		return nil, errSyntax().Because(err)
	}
	version := "2008-10-17"
	if doc.Version != nil {
		version = *doc.Version
	}
	if version != "2008-10-17" && version != "2012-10-17" {
		return nil, errSyntax()
	}
	raws, err := statements(doc.Statement)
	if err != nil {
		return nil, err
	}
	p := &Policy{current: version == "2012-10-17"}
	sids := map[string]bool{}
	for i := range raws {
		s, err := compileStatement(&raws[i], kind, p.current)
		if err != nil {
			return nil, err
		}
		if s.sid != "" {
			if sids[s.sid] {
				return nil, malformed("Statement IDs (SID) in a single policy must be unique.")
			}
			sids[s.sid] = true
		}
		p.statements = append(p.statements, s)
	}
	return p, nil
}

// strictJSON decodes exactly one JSON value, whose object keys must be known
// and written as they are.
func strictJSON(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if d.More() {
		return errSyntax()
	}
	return nil
}

// statements decodes Statement, which may be one or a list.
func statements(raw json.RawMessage) ([]rawStatement, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return nil, errSyntax()
	}
	var out []rawStatement
	if raw[0] == '[' {
		if err := strictJSON(raw, &out); err != nil {
			return nil, errSyntax().Because(err)
		}
	} else {
		out = make([]rawStatement, 1)
		if err := strictJSON(raw, &out[0]); err != nil {
			return nil, errSyntax().Because(err)
		}
	}
	if len(out) == 0 {
		return nil, errSyntax()
	}
	return out, nil
}

func compileStatement(r *rawStatement, kind Kind, variables bool) (statement, error) {
	var s statement
	if r.Effect == nil || (*r.Effect != "Allow" && *r.Effect != "Deny") {
		return s, errSyntax()
	}
	s.deny = *r.Effect == "Deny"
	if r.Sid != nil {
		s.sid = *r.Sid
	}
	if allowed := sidPattern; kind == Identity && !allowed.MatchString(s.sid) || !looseSid.MatchString(s.sid) {
		return s, malformed("Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*")
	}
	if err := s.compileActions(r, kind); err != nil {
		return s, err
	}
	if err := s.compileResources(r, kind, variables); err != nil {
		return s, err
	}
	if err := s.compilePrincipals(r, kind); err != nil {
		return s, err
	}
	var err error
	s.conditions, err = compileConditions(r.Condition, variables)
	return s, err
}

func (s *statement) compileActions(r *rawStatement, kind Kind) error {
	raw := r.Action
	if r.NotAction != nil {
		if r.Action != nil {
			return errSyntax()
		}
		raw, s.notActions = r.NotAction, true
	}
	if raw == nil {
		return malformed("Policy statement must contain actions.")
	}
	names, ok := stringList(raw)
	if !ok {
		return errSyntax()
	}
	if len(names) == 0 {
		return malformed("Policy statement must contain actions.")
	}
	for _, name := range names {
		if err := checkAction(name, kind); err != nil {
			return err
		}
		s.actions = append(s.actions, compileGlob(name, globOptions{wildcards: true, fold: true}))
	}
	return nil
}

func checkAction(name string, kind Kind) error {
	vendor, rest, found := strings.Cut(name, ":")
	switch {
	case kind == Trust && !strings.HasPrefix(strings.ToLower(name), "sts:"):
		return malformed("AssumeRole policy may only specify STS AssumeRole actions.")
	case name == "*":
		return nil
	case !found:
		return malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
	case strings.Contains(rest, ":"):
		return malformed("Actions/Condition can contain only one colon.")
	case !vendorPattern.MatchString(vendor):
		return malformed("Vendor %s is not valid", vendor)
	}
	return nil
}

func (s *statement) compileResources(r *rawStatement, kind Kind, variables bool) error {
	raw := r.Resource
	if r.NotResource != nil {
		if r.Resource != nil {
			return errSyntax()
		}
		raw, s.notResources = r.NotResource, true
	}
	if kind == Trust && raw != nil {
		return malformed("Has prohibited field Resource")
	}
	if raw == nil {
		if kind == Identity {
			return malformed("Policy statement must contain resources.")
		}
		return nil
	}
	names, ok := stringList(raw)
	if !ok {
		return errSyntax()
	}
	if len(names) == 0 {
		return malformed("Policy statement must contain resources.")
	}
	for _, name := range names {
		if err := checkResource(name); err != nil {
			return err
		}
		s.resources = append(s.resources, compileGlob(name, globOptions{wildcards: true, variables: variables}))
	}
	return nil
}

func checkResource(name string) error {
	if strings.Trim(name, "*") == "" && name != "" {
		return nil
	}
	part := strings.SplitN(name, ":", 6)
	switch {
	case len(part) < 2:
		return malformed("Resource %s must be in ARN format or \"*\".", name)
	case part[0] != "arn" && part[0] != "*":
		return malformed("Resource %s must be in ARN format or \"*\".", name)
	case len(part) < 6 && !strings.Contains(part[len(part)-1], "*"):
		return malformed("The policy failed legacy parsing")
	case part[1] != "aws" && !strings.ContainsAny(part[1], "*?"):
		rest := append(part[2:], "*", "*", "*", "*")
		return malformed("Partition \"%s\" is not valid for resource \"arn:%s:%s:%s:%s:%s\".", part[1], part[1], rest[0], rest[1], rest[2], rest[3])
	case len(part) > 2 && part[2] == "":
		return malformed("Resource vendor must be fully qualified and cannot contain regexes.")
	}
	return nil
}

func (s *statement) compilePrincipals(r *rawStatement, kind Kind) error {
	raw, not := r.Principal, false
	if r.NotPrincipal != nil {
		if r.Principal != nil {
			return errSyntax()
		}
		raw, not = r.NotPrincipal, true
	}
	switch {
	case kind == Identity && raw != nil:
		return malformed("Policy document should not specify a principal.")
	case kind == Identity:
		return nil
	case raw == nil:
		return malformed("Missing required field Principal")
	case kind == Trust && not && !s.deny:
		return malformed("Allow with NotPrincipal is not allowed.")
	}
	var err error
	s.principals, err = parsePrincipals(raw, not)
	return err
}

// stringList decodes a string or a list of strings.
func stringList(raw json.RawMessage) ([]string, bool) {
	var one string
	if json.Unmarshal(raw, &one) == nil && !bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		return []string{one}, true
	}
	var list []*string
	if json.Unmarshal(raw, &list) != nil || list == nil {
		return nil, false
	}
	out := make([]string, len(list))
	for i, s := range list {
		if s == nil {
			return nil, false
		}
		out[i] = *s
	}
	return out, true
}
