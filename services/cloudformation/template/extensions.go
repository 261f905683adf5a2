package template

import (
	"encoding/json"
	"slices"
	"strings"
)

// LanguageExtensions is the transform that gives templates Fn::ForEach,
// Fn::Length and Fn::ToJsonString, and policies that functions give.
const LanguageExtensions = "AWS::LanguageExtensions"

// extensions are the functions that are known where the transform is declared.
var extensions = map[string]bool{"Fn::Length": true, "Fn::ToJsonString": true}

// loop begins the key of an Fn::ForEach, before its name.
const loop = "Fn::ForEach::"

// extended tells whether the template declares the language extensions.
func (t *Template) extended() bool { return slices.Contains(t.Transforms, LanguageExtensions) }

// extend does what the language extensions do to a text before it is read: loops
// are written out and policies become words. Values are those of parameters; one
// without a value makes a loop over it empty, so that a template can be looked at
// before its parameters are known.
func (t *Template) extend(root *Node, values map[string]string) error {
	if !t.extended() {
		return nil
	}
	x := &extender{env: &Env{Parameters: map[string]any{}, Mappings: t.Mappings}}
	for name, p := range t.Parameters {
		if v, ok := values[name]; ok {
			x.env.Parameters[name] = p.Value(v)
		} else if p.Default != nil {
			x.env.Parameters[name] = p.Value(*p.Default)
		}
	}
	for _, name := range []string{"Conditions", "Resources", "Outputs"} {
		n := root.Field(name)
		if n == nil {
			continue
		}
		out, err := x.node(n, nil, 0)
		if err != nil {
			return err
		}
		root.Fields[name] = out
	}
	for _, r := range root.Field("Resources").fields() {
		for _, name := range []string{"DeletionPolicy", "UpdateReplacePolicy"} {
			if p := r.Field(name); p != nil && p.Kind == Map {
				v, err := x.env.Eval(p)
				if err != nil {
					return err
				}
				text, _ := Text(v)
				r.Fields[name] = &Node{Kind: String, Text: text, Line: p.Line, Column: p.Column}
			}
		}
	}
	return nil
}

// Processed is the template with its transforms done: as it was given when it has
// none, else as JSON.
func (t *Template) Processed() string {
	if len(t.Transforms) == 0 {
		return t.Body
	}
	whole, _ := t.root.Value().(map[string]any)
	delete(whole, "Transform")
	text, err := asJSON(whole)
	if err != nil {
		return t.Body // what was read from a text can be written as one
	}
	return text
}

// asJSON is a value as text, without the escapes that HTML asks for.
func asJSON(v any) (string, error) {
	var b strings.Builder
	w := json.NewEncoder(&b)
	w.SetEscapeHTML(false)
	err := w.Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}

// extender writes loops out.
type extender struct {
	env   *Env
	nodes int
}

// variables are the loops' identifiers with their values.
type variables []struct{ name, value string }

// word is a text with the identifiers replaced: ${Name}, and &{Name} for the
// letters and digits of it.
func (v variables) word(text string) string {
	for _, x := range v {
		text = strings.ReplaceAll(text, "${"+x.name+"}", x.value)
		text = strings.ReplaceAll(text, "&{"+x.name+"}", alphanumeric(x.value))
	}
	return text
}

func alphanumeric(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, text)
}

// node is a copy of a node without loops.
func (x *extender) node(n *Node, in variables, depth int) (*Node, error) {
	if x.nodes++; x.nodes > maxNodes || depth > maxDepth {
		return nil, errorf("Template format error: the template is too large or nested too deeply.")
	}
	out := &Node{Kind: n.Kind, Text: n.Text, Line: n.Line, Column: n.Column}
	switch n.Kind {
	case String:
		out.Text = in.word(n.Text)
	case List:
		for _, item := range n.Items {
			c, err := x.node(item, in, depth+1)
			if err != nil {
				return nil, err
			}
			out.Items = append(out.Items, c)
		}
	case Map:
		if name, arg := n.function(); name == "Ref" {
			for _, v := range in {
				if v.name == arg.Text {
					return &Node{Kind: String, Text: v.value, Line: n.Line, Column: n.Column}, nil
				}
			}
		}
		out.Fields = map[string]*Node{}
		for _, k := range n.Keys {
			if strings.HasPrefix(k, loop) {
				if err := x.loop(out, k, n.Fields[k], in, depth); err != nil {
					return nil, err
				}
				continue
			}
			c, err := x.node(n.Fields[k], in, depth+1)
			if err != nil {
				return nil, err
			}
			if err := out.add(in.word(k), c, n.Line, n.Column); err != nil {
				return nil, err
			}
		}
		// A text that lost its last variable is no function any more: Fn::GetAtt
		// takes it for a name.
		if name, arg := out.function(); name == "Fn::Sub" && len(in) > 0 && arg.Kind == String && !strings.Contains(arg.Text, "${") {
			return arg, nil
		}
	}
	return out, nil
}

// loop writes one loop into the map that it stands in.
func (x *extender) loop(out *Node, key string, arg *Node, in variables, depth int) error {
	if name := key[len(loop):]; !logicalID.MatchString(name) || arg.Kind != List || len(arg.Items) != 3 || arg.Items[0].Kind != String || arg.Items[2].Kind != Map {
		return errorf("Fn::ForEach layout is incorrect: %s requires a list of an identifier, a collection and a map (line %d, column %d)", key, arg.Line, arg.Column)
	}
	collection, err := x.node(arg.Items[1], in, depth+1)
	if err != nil {
		return err
	}
	if name, ref := collection.function(); name == "Ref" && x.env.Parameters[ref.Text] == nil {
		return nil
	}
	fault := errorf("Fn::ForEach could not resolve list: the collection of %s must be a list of strings (line %d, column %d)", key, arg.Line, arg.Column)
	values, err := x.env.texts(fault, collection)
	if err != nil {
		return err
	}
	for _, v := range values {
		scope := append(slices.Clone(in), struct{ name, value string }{arg.Items[0].Text, v})
		c, err := x.node(arg.Items[2], scope, depth+1)
		if err != nil {
			return err
		}
		for _, k := range c.Keys {
			if err := out.add(k, c.Fields[k], arg.Line, arg.Column); err != nil {
				return err
			}
		}
	}
	return nil
}

// fields are the values of a map.
func (n *Node) fields() []*Node {
	if n == nil {
		return nil
	}
	out := make([]*Node, 0, len(n.Keys))
	for _, k := range n.Keys {
		out = append(out, n.Fields[k])
	}
	return out
}

// length is how many elements a list has.
func (e *Env) length(arg *Node) (any, error) {
	v, err := e.eval(arg)
	if err != nil {
		return nil, err
	}
	list, ok := v.([]any)
	if !ok {
		return nil, errorf("Template error: Fn::Length requires a list, or a function that returns one (line %d, column %d)", arg.Line, arg.Column)
	}
	return len(list), nil
}

// jsonString is a list or map as text.
func (e *Env) jsonString(arg *Node) (any, error) {
	if arg.Kind != List && arg.Kind != Map {
		return nil, errorf("Template error: Fn::ToJsonString requires an array or an object (line %d, column %d)", arg.Line, arg.Column)
	}
	v, err := e.Eval(arg)
	if err != nil {
		return nil, err
	}
	return asJSON(v)
}
