package schema

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"minato/services/cloudformation/dynamic"
)

// Unknown stands for a value that is not known yet, such as the id of a
// resource that is still to be made; it has every type.
type Unknown struct{}

// Normalize checks the properties of a resource and returns them with the
// types of the schema: templates may write "80" for 80 and "true" for true.
// The problems are in the words of CloudFormation's validator.
func (s *Schema) Normalize(properties map[string]any) (map[string]any, []string) {
	n := &normalizer{s: s}
	top := &Property{Type: types{"object"}, Properties: s.Properties, Required: s.Required, AdditionalProperties: json.RawMessage("false")}
	out, _ := n.value(top, properties, "#").(map[string]any)
	for name := range out {
		if s.readOnly(name) {
			n.problem("#", "extraneous key [%s] is not permitted", name)
		}
	}
	sort.Strings(n.problems)
	return out, n.problems
}

type normalizer struct {
	s        *Schema
	problems []string
}

func (n *normalizer) problem(path, format string, args ...any) {
	n.problems = append(n.problems, path+": "+fmt.Sprintf(format, args...))
}

// value checks one value and returns it in the schema's type.
func (n *normalizer) value(p *Property, v any, path string) any {
	if _, unknown := v.(Unknown); unknown {
		return v
	}
	p = n.s.resolve(p)
	if alternatives := slices.Concat(p.AnyOf, p.OneOf); len(alternatives) > 0 && len(p.Type) == 0 && p.Properties == nil {
		return n.oneOf(alternatives, v, path)
	}
	switch v := v.(type) {
	case map[string]any:
		if p.allows("object") {
			return n.object(p, v, path)
		}
		return n.wrongType(p, v, "JSONObject", path)
	case []any:
		if p.allows("array") {
			return n.array(p, v, path)
		}
		return n.wrongType(p, v, "JSONArray", path)
	}
	return n.scalar(p, v, path)
}

func (p *Property) allows(typ string) bool {
	return len(p.Type) == 0 || slices.Contains(p.Type, typ)
}

func (n *normalizer) wrongType(p *Property, v any, found, path string) any {
	want := "JSONObject"
	if len(p.Type) > 0 {
		want = map[string]string{"object": "JSONObject", "array": "JSONArray", "string": "String", "integer": "Integer", "number": "Number", "boolean": "Boolean"}[p.Type[0]]
	}
	n.problem(path, "expected type: %s, found: %s", want, found)
	return v
}

// oneOf takes the first alternative without problems, or reports the first's.
func (n *normalizer) oneOf(alternatives []*Property, v any, path string) any {
	var first []string
	for i, a := range alternatives {
		try := &normalizer{s: n.s}
		out := try.value(a, v, path)
		if len(try.problems) == 0 {
			return out
		}
		if i == 0 {
			first = try.problems
		}
	}
	n.problems = append(n.problems, first...)
	return v
}

func (n *normalizer) object(p *Property, v map[string]any, path string) any {
	out := make(map[string]any, len(v))
	for name, member := range v {
		switch {
		case p.Properties[name] != nil:
			out[name] = n.value(p.Properties[name], member, path+"/"+name)
		case p.open(name) != nil:
			out[name] = n.value(p.open(name), member, path+"/"+name)
		case p.Properties == nil || string(p.AdditionalProperties) != "false":
			out[name] = member
		default:
			n.problem(path, "extraneous key [%s] is not permitted", name)
		}
	}
	for _, name := range p.Required {
		if _, ok := v[name]; !ok {
			n.problem(path, "required key [%s] not found", name)
		}
	}
	return out
}

// open returns the schema of a key that is not named, nil for none.
func (p *Property) open(name string) *Property {
	for pattern, sub := range p.PatternProperties {
		if re := compile(pattern); re == nil || re.MatchString(name) {
			return sub
		}
	}
	if len(p.AdditionalProperties) > 0 && p.AdditionalProperties[0] == '{' {
		sub := new(Property)
		if json.Unmarshal(p.AdditionalProperties, sub) == nil {
			return sub
		}
	}
	return nil
}

func (n *normalizer) array(p *Property, v []any, path string) any {
	if p.MinItems != nil && len(v) < *p.MinItems {
		n.problem(path, "expected minimum item count: %d, found: %d", *p.MinItems, len(v))
	}
	if p.MaxItems != nil && len(v) > *p.MaxItems {
		n.problem(path, "expected maximum item count: %d, found: %d", *p.MaxItems, len(v))
	}
	if p.Items == nil {
		return v
	}
	out := make([]any, len(v))
	for i, item := range v {
		out[i] = n.value(p.Items, item, path+"/"+strconv.Itoa(i))
	}
	return out
}

// scalar converts between strings, numbers and booleans as CloudFormation does.
func (n *normalizer) scalar(p *Property, v any, path string) any {
	text, found := "", "String"
	switch v := v.(type) {
	case string:
		if dynamic.In(v) {
			return v // what it stands for is checked when it is known
		}
		text = v
	case json.Number:
		text, found = v.String(), "Number"
	case bool:
		text, found = strconv.FormatBool(v), "Boolean"
	default:
		return n.wrongType(p, v, "Null", path)
	}
	switch {
	case len(p.Type) == 0:
		return v
	case p.allows("boolean") && truths[text] != "":
		return truths[text] == "true"
	case p.allows("integer") && wholeNumber.MatchString(text), p.allows("number") && isNumber(text):
		n.limits(p, text, path)
		return json.Number(text)
	case p.allows("string"):
		n.text(p, text, path)
		return text
	}
	return n.wrongType(p, v, found, path)
}

var wholeNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

func isNumber(text string) bool {
	_, err := strconv.ParseFloat(text, 64)
	return err == nil
}

func (n *normalizer) limits(p *Property, text, path string) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return
	}
	if p.Minimum != nil && f < *p.Minimum {
		n.problem(path, "%s is not greater or equal to %s", text, strconv.FormatFloat(*p.Minimum, 'f', -1, 64))
	}
	if p.Maximum != nil && f > *p.Maximum {
		n.problem(path, "%s is not less or equal to %s", text, strconv.FormatFloat(*p.Maximum, 'f', -1, 64))
	}
	n.enum(p, text, path)
}

func (n *normalizer) text(p *Property, text, path string) {
	length := utf8.RuneCountInString(text)
	if p.MinLength != nil && length < *p.MinLength {
		n.problem(path, "expected minLength: %d, actual: %d", *p.MinLength, length)
	}
	if p.MaxLength != nil && length > *p.MaxLength {
		n.problem(path, "expected maxLength: %d, actual: %d", *p.MaxLength, length)
	}
	if p.Pattern != "" {
		if re := compile(p.Pattern); re != nil && !re.MatchString(text) {
			n.problem(path, "string [%s] does not match pattern %s", text, p.Pattern)
		}
	}
	n.enum(p, text, path)
}

func (n *normalizer) enum(p *Property, text, path string) {
	if len(p.Enum) > 0 && !slices.ContainsFunc(p.Enum, func(v any) bool { return fmt.Sprint(v) == text }) ||
		len(p.EnumCaseInsensitive) > 0 && !slices.ContainsFunc(p.EnumCaseInsensitive, func(v any) bool { return strings.EqualFold(fmt.Sprint(v), text) }) {
		n.problem(path, "%s is not a valid enum value", text)
	}
}

// patterns are the schemas' patterns as Go reads them; nil for those it can not.
var patterns sync.Map

func compile(pattern string) *regexp.Regexp {
	if re, ok := patterns.Load(pattern); ok {
		return re.(*regexp.Regexp)
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		re = nil
	}
	patterns.Store(pattern, re)
	return re
}

// truths are the words that stand for true and false: JSON's, as text too, and
// those that YAML 1.1, of which templates are, has besides.
var truths = map[string]string{
	"true": "true", "True": "true", "yes": "true", "Yes": "true", "YES": "true", "on": "true", "On": "true", "ON": "true",
	"false": "false", "False": "false", "no": "false", "No": "false", "NO": "false", "off": "false", "Off": "false", "OFF": "false",
}
