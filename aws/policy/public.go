package policy

import (
	"encoding/json"
	"slices"
	"strings"
)

// narrowing are the condition keys that keep a statement for everyone from
// being public, as AWS's check for public policies has them.
var narrowing = []string{
	"aws:principalaccount", "aws:principalarn", "aws:principalorgid", "aws:principalorgpaths", "aws:sourcearn", "aws:sourceaccount", "aws:sourceowner",
	"aws:sourcevpc", "aws:sourcevpce", "aws:userid", "aws:sourceip", "aws:vpcsourceip", "kms:calleraccount", "s3:dataaccesspointaccount", "secretsmanager:resource/allowrotationlambdaarn",
}

// Public tells whether a policy lets everyone do something. The text parses.
func Public(text string) bool {
	var doc struct{ Statement json.RawMessage }
	if json.Unmarshal([]byte(text), &doc) != nil {
		return false
	}
	type statement struct {
		Effect    string
		Principal json.RawMessage
		Condition map[string]map[string]any
	}
	var list []statement
	if json.Unmarshal(doc.Statement, &list) != nil {
		var one statement
		if json.Unmarshal(doc.Statement, &one) != nil {
			return false
		}
		list = []statement{one}
	}
	return slices.ContainsFunc(list, func(st statement) bool {
		if st.Effect != "Allow" || !everyone(st.Principal) {
			return false
		}
		for operator, keys := range st.Condition {
			for key := range keys {
				if slices.Contains(narrowing, strings.ToLower(key)) && !strings.Contains(strings.ToLower(operator), "not") {
					return false
				}
			}
		}
		return true
	})
}

// everyone tells whether a Principal element is, or holds, a star.
func everyone(raw json.RawMessage) bool {
	var v any
	if len(raw) == 0 || json.Unmarshal(raw, &v) != nil {
		return len(raw) == 0 // NotPrincipal: everyone but some
	}
	var star func(v any) bool
	star = func(v any) bool {
		switch v := v.(type) {
		case string:
			return v == "*"
		case []any:
			return slices.ContainsFunc(v, star)
		case map[string]any:
			return star(v["AWS"])
		}
		return false
	}
	return star(v)
}
