package template

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
)

// Env is what functions ask of the world. Ref and GetAtt are asked for
// resources only; a nil function is never asked for.
type Env struct {
	Parameters map[string]any  // as Ref gives them
	Conditions map[string]bool // evaluated
	Mappings   *Node
	Pseudo     map[string]any // "AWS::Region" and its like
	Ref        func(logicalID string) (any, error)
	GetAtt     func(logicalID, attribute string) (any, error)
	Zones      func(region string) ([]string, error)
	Import     func(name string) (any, error)
}

// noValue is what {"Ref": "AWS::NoValue"} gives: the member that holds it is
// as if it were not there.
type noValue struct{}

// functions are the intrinsic functions that are known.
var functions = map[string]bool{
	"Fn::GetAtt": true, "Fn::Sub": true, "Fn::Join": true, "Fn::Select": true, "Fn::Split": true, "Fn::GetAZs": true,
	"Fn::FindInMap": true, "Fn::Base64": true, "Fn::Cidr": true, "Fn::ImportValue": true, "Fn::If": true,
	"Fn::Equals": true, "Fn::And": true, "Fn::Or": true, "Fn::Not": true,
}

// conditionFunctions are those that give a truth value.
var conditionFunctions = map[string]bool{"Fn::Equals": true, "Fn::And": true, "Fn::Or": true, "Fn::Not": true, "Condition": true}

// Eval returns the value of a node: string, json.Number, bool, []any or
// map[string]any. Members and elements without value are left out; nil means
// that the whole has none.
func (e *Env) Eval(n *Node) (any, error) {
	v, err := e.eval(n)
	if _, none := v.(noValue); none {
		return nil, err
	}
	return v, err
}

func (e *Env) eval(n *Node) (any, error) {
	switch n.Kind {
	case List:
		out := make([]any, 0, len(n.Items))
		for _, item := range n.Items {
			v, err := e.eval(item)
			if err != nil {
				return nil, err
			}
			if _, none := v.(noValue); !none {
				out = append(out, v)
			}
		}
		return out, nil
	case Map:
		// "Condition" alone is also an ordinary key (of an IAM statement): it is
		// a function only where a truth value is asked for.
		if name, arg := n.function(); name != "" && name != "Condition" {
			return e.call(name, arg)
		}
		out := make(map[string]any, len(n.Keys))
		for _, k := range n.Keys {
			v, err := e.eval(n.Fields[k])
			if err != nil {
				return nil, err
			}
			if _, none := v.(noValue); !none {
				out[k] = v
			}
		}
		return out, nil
	}
	return n.Value(), nil
}

// call evaluates a function.
func (e *Env) call(name string, arg *Node) (any, error) {
	switch name {
	case "Ref":
		return e.ref(arg.Text)
	case "Fn::GetAtt":
		resource, attribute, err := e.attribute(arg)
		if err != nil {
			return nil, err
		}
		return e.GetAtt(resource, attribute)
	case "Fn::Sub":
		return e.sub(arg)
	case "Fn::Join":
		return e.join(arg)
	case "Fn::Select":
		return e.selectOne(arg)
	case "Fn::Split":
		return e.split(arg)
	case "Fn::GetAZs":
		region, err := e.text(name, arg)
		if err != nil {
			return nil, err
		}
		if region == "" {
			region, _ = e.Pseudo["AWS::Region"].(string)
		}
		zones, err := e.Zones(region)
		if err != nil {
			return nil, err
		}
		return anys(zones), nil
	case "Fn::FindInMap":
		return e.findInMap(arg)
	case "Fn::Base64":
		text, err := e.text(name, arg)
		return base64.StdEncoding.EncodeToString([]byte(text)), err
	case "Fn::Cidr":
		return e.cidr(arg)
	case "Fn::ImportValue":
		export, err := e.text(name, arg)
		if err != nil {
			return nil, err
		}
		return e.Import(export)
	case "Fn::If":
		chosen, err := e.choose(arg)
		if err != nil {
			return nil, err
		}
		return e.eval(chosen)
	case "Fn::Length":
		return e.length(arg)
	case "Fn::ToJsonString":
		return e.jsonString(arg)
	}
	return nil, errorf("Template error: %s can not be used here", name)
}

func (e *Env) ref(name string) (any, error) {
	if name == "AWS::NoValue" {
		return noValue{}, nil
	}
	if v, ok := e.Pseudo[name]; ok {
		return v, nil
	}
	if v, ok := e.Parameters[name]; ok {
		return v, nil
	}
	if e.Ref == nil {
		return nil, errorf("Template format error: Unresolved dependencies [%s]. Cannot reference resources in the Conditions block of the template", name)
	}
	return e.Ref(name)
}

// attribute reads the argument of Fn::GetAtt.
func (e *Env) attribute(arg *Node) (resource, attribute string, err error) {
	if arg.Kind == String {
		resource, attribute, _ = strings.Cut(arg.Text, ".")
	} else if arg.Kind == List && len(arg.Items) == 2 && arg.Items[0].Kind == String {
		resource = arg.Items[0].Text
		attribute, err = e.text("Fn::GetAtt", arg.Items[1])
	}
	if err == nil && (resource == "" || attribute == "") {
		err = errorf("Template error: every Fn::GetAtt object requires two non-empty parameters, the resource name and the resource attribute")
	}
	return resource, attribute, err
}

// choose returns the branch of an Fn::If that its condition takes.
func (e *Env) choose(arg *Node) (*Node, error) {
	if arg.Kind != List || len(arg.Items) != 3 || arg.Items[0].Kind != String {
		return nil, errorf("Template error: Fn::If requires a list argument with three elements")
	}
	truth, ok := e.Conditions[arg.Items[0].Text]
	if !ok {
		return nil, errorf("Template error: unresolved condition dependency %s in the template", arg.Items[0].Text)
	}
	if truth {
		return arg.Items[1], nil
	}
	return arg.Items[2], nil
}

// text evaluates a node to a string; numbers and booleans are written out.
func (e *Env) text(function string, n *Node) (string, error) {
	v, err := e.eval(n)
	if err != nil {
		return "", err
	}
	if s, ok := Text(v); ok {
		return s, nil
	}
	return "", errorf("Template error: %s: a string was expected (line %d, column %d)", function, n.Line, n.Column)
}

// Text is a scalar as a string.
func Text(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return strconv.FormatBool(v), true
	case int:
		return strconv.Itoa(v), true
	case int32:
		return strconv.Itoa(int(v)), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	}
	return "", false
}

// texts evaluates a node to a list of strings.
func (e *Env) texts(fault *Error, n *Node) ([]string, error) {
	v, err := e.eval(n)
	if err != nil {
		return nil, err
	}
	list, ok := v.([]any)
	if !ok {
		return nil, fault
	}
	out := make([]string, len(list))
	for i, item := range list {
		if out[i], ok = Text(item); !ok {
			return nil, fault
		}
	}
	return out, nil
}

func anys(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

// Partial is the value of a node as far as it can be known before any resource
// exists: unknown says what stands for what a function will give; parameters
// and conditions are known.
func (e *Env) Partial(n *Node, unknown func(*Node) any) any {
	v := e.partial(n, unknown)
	if _, none := v.(noValue); none {
		return nil
	}
	return v
}

// errLater says that something is not known yet.
var errLater = errorf("not known before the resources are there")

// known is the environment without what only resources and other stacks can tell.
func (e *Env) known() *Env {
	k := *e
	k.Ref = func(string) (any, error) { return nil, errLater }
	k.GetAtt = func(string, string) (any, error) { return nil, errLater }
	k.Import = func(string) (any, error) { return nil, errLater }
	if k.Zones == nil {
		k.Zones = func(string) ([]string, error) { return nil, errLater }
	}
	return &k
}

// Reduced is a node in which only that is left of functions which cannot be known
// before the resources are there: two that are equal give the same.
func (e *Env) Reduced(n *Node) any { return e.Partial(n, e.reduced) }

// reduced is a function that cannot be evaluated, with what is known put in.
func (e *Env) reduced(n *Node) any {
	name, arg := n.function()
	if name != "Fn::Sub" {
		if name == "Ref" || name == "Fn::GetAtt" {
			return n.Value()
		}
		return map[string]any{name: e.partial(arg, e.reduced)}
	}
	text, own, err := subParts(arg)
	if err != nil {
		return n.Value()
	}
	var parts []any
	known := e.known()
	err = scanSub(text, func(literal string) { parts = append(parts, literal) }, func(name string) error {
		if v := own.Field(name); v != nil {
			parts = append(parts, e.partial(v, e.reduced))
		} else if v, err := known.ref(name); err == nil && !strings.Contains(name, ".") {
			parts = append(parts, v)
		} else {
			parts = append(parts, map[string]any{"Ref": name})
		}
		return nil
	})
	if err != nil {
		return n.Value()
	}
	return map[string]any{name: parts}
}

func (e *Env) partial(n *Node, unknown func(*Node) any) any {
	if name, arg := n.function(); name == "Fn::If" {
		if chosen, err := e.choose(arg); err == nil {
			return e.partial(chosen, unknown)
		}
		return unknown(n)
	} else if name != "" && name != "Condition" {
		if v, err := e.known().eval(n); err == nil {
			return v
		}
		return unknown(n)
	}
	switch n.Kind {
	case List:
		out := make([]any, 0, len(n.Items))
		for _, item := range n.Items {
			v := e.partial(item, unknown)
			if _, none := v.(noValue); !none {
				out = append(out, v)
			}
		}
		return out
	case Map:
		out := make(map[string]any, len(n.Keys))
		for _, k := range n.Keys {
			v := e.partial(n.Fields[k], unknown)
			if _, none := v.(noValue); !none {
				out[k] = v
			}
		}
		return out
	}
	return n.Value()
}
