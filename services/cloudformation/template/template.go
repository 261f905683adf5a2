package template

import (
	"regexp"
	"slices"
	"sort"
	"strings"
)

// Template is a template in its sections.
type Template struct {
	Body        string
	Description string
	Metadata    *Node
	Parameters  map[string]*Parameter
	Mappings    *Node
	Conditions  map[string]*Node
	Resources   map[string]*Resource
	Outputs     map[string]*Output
	Rules       map[string]*Rule
	Transforms  []string

	root *Node // without loops
}

// Resource is one resource of a template.
type Resource struct {
	LogicalID           string
	Type                string
	Properties          *Node // nil for none
	DependsOn           []string
	Condition           string
	DeletionPolicy      string // Delete, Retain, RetainExceptOnCreate, Snapshot or ""
	UpdateReplacePolicy string
	Metadata            *Node
}

// Output is one output of a template.
type Output struct {
	Value       *Node
	Description string
	Condition   string
	Export      *Node // the name, nil for none
}

// sections are the members that a template may have.
var sections = map[string]bool{
	"AWSTemplateFormatVersion": true, "Description": true, "Metadata": true, "Parameters": true, "Mappings": true,
	"Conditions": true, "Resources": true, "Outputs": true, "Transform": true, "Rules": true, "Hooks": true,
}

// attributes are the members that a resource may have.
var attributes = map[string]bool{
	"Type": true, "Properties": true, "DependsOn": true, "Condition": true, "DeletionPolicy": true,
	"UpdateReplacePolicy": true, "Metadata": true, "CreationPolicy": true, "UpdatePolicy": true,
}

var logicalID = regexp.MustCompile(`^[A-Za-z0-9]+$`)

// Parse reads a template and checks all that can be known without parameters:
// sections, functions, references.
func Parse(body string) (*Template, error) { return ParseWith(body, nil) }

// ParseWith is Parse with the values of parameters, on which it depends what the
// loops of the language extensions make.
func ParseWith(body string, values map[string]string) (*Template, error) {
	trimmed := strings.TrimSpace(body)
	var root *Node
	var err error
	if strings.HasPrefix(trimmed, "{") {
		root, err = parseJSON(body)
	} else {
		root, err = parseYAML(body)
	}
	if err != nil {
		return nil, err
	}
	if root.Kind != Map {
		return nil, errorf("Template format error: unsupported structure.")
	}
	t := &Template{Body: body, root: root, Parameters: map[string]*Parameter{}, Conditions: map[string]*Node{}, Resources: map[string]*Resource{}, Outputs: map[string]*Output{}, Rules: map[string]*Rule{}}
	extend := func(root *Node) error { return t.extend(root, values) }
	for _, step := range []func(*Node) error{t.readTop, t.readParameters, t.readMappings, extend, t.readConditions, t.readResources, t.readOutputs, t.readRules} {
		if err := step(root); err != nil {
			return nil, err
		}
	}
	return t, t.check()
}

func (t *Template) readTop(root *Node) error {
	var unknown []string
	for _, k := range root.Keys {
		if !sections[k] {
			unknown = append(unknown, k)
		}
	}
	if len(unknown) > 0 {
		return errorf("Invalid template property or properties [%s]", strings.Join(unknown, ", "))
	}
	if v := root.Field("AWSTemplateFormatVersion"); v != nil && v.Text != "2010-09-09" {
		return errorf("Template format error: Unsupported template format version: %s.", v.Text)
	}
	if d := root.Field("Description"); d != nil {
		if d.Kind != String {
			return errorf("Template format error: Description must be a string.")
		}
		if len(d.Text) > 1024 {
			return errorf("Template format error: Description must not be longer than 1024 bytes.")
		}
		t.Description = d.Text
	}
	t.Metadata = root.Field("Metadata")
	switch tr := root.Field("Transform"); {
	case tr == nil:
	case tr.Kind == List:
		for _, item := range tr.Items {
			t.Transforms = append(t.Transforms, item.Text)
		}
	default:
		t.Transforms = []string{tr.Text}
	}
	return nil
}

// section returns a section's map, or an empty one.
func section(root *Node, name string) (*Node, error) {
	n := root.Field(name)
	if n == nil || n.Kind == Null {
		return &Node{Kind: Map}, nil
	}
	if n.Kind != Map {
		return nil, errorf("Template format error: %s must be a map (line %d, column %d).", name, n.Line, n.Column)
	}
	return n, nil
}

func (t *Template) readMappings(root *Node) error {
	m, err := section(root, "Mappings")
	if err != nil {
		return err
	}
	t.Mappings = m
	for _, name := range m.Keys {
		for _, top := range m.Fields[name].Keys {
			if m.Fields[name].Fields[top].Kind != Map {
				return errorf("Template format error: Every Mappings attribute must be a String or a List.")
			}
		}
		if m.Fields[name].Kind != Map {
			return errorf("Template format error: Every Mappings member %s must be a map", name)
		}
	}
	return nil
}

func (t *Template) readConditions(root *Node) error {
	c, err := section(root, "Conditions")
	if err != nil {
		return err
	}
	for _, name := range c.Keys {
		t.Conditions[name] = c.Fields[name]
	}
	return nil
}

func (t *Template) readResources(root *Node) error {
	r, err := section(root, "Resources")
	if err != nil {
		return err
	}
	if len(r.Keys) == 0 && !t.extended() { // loops may make none, as long as nobody said of what
		return errorf("Template format error: At least one Resources member must be defined.")
	}
	if len(r.Keys) > 500 {
		return errorf("Template format error: Number of resources, %d, is greater than maximum allowed, 500", len(r.Keys))
	}
	for _, id := range r.Keys {
		res, err := readResource(id, r.Fields[id])
		if err != nil {
			return err
		}
		t.Resources[id] = res
	}
	return nil
}

func readResource(id string, n *Node) (*Resource, error) {
	if !logicalID.MatchString(id) || len(id) > 255 {
		return nil, errorf("Template format error: Resource name %s is non alphanumeric.", id)
	}
	if n.Kind != Map {
		return nil, errorf("Template format error: [/Resources/%s] resource definition is malformed", id)
	}
	for _, k := range n.Keys {
		if !attributes[k] {
			return nil, errorf("Invalid template resource property '%s'", k)
		}
	}
	typ := n.Field("Type")
	if typ == nil || typ.Kind != String || typ.Text == "" {
		return nil, errorf("Template format error: [/Resources/%s] Every Resources object must contain a Type member.", id)
	}
	r := &Resource{LogicalID: id, Type: typ.Text, Metadata: n.Field("Metadata")}
	if p := n.Field("Properties"); p != nil && p.Kind != Null {
		if p.Kind != Map {
			return nil, errorf("Template format error: [/Resources/%s/Properties] 'null' values are not allowed in templates", id)
		}
		r.Properties = p
	}
	switch d := n.Field("DependsOn"); {
	case d == nil:
	case d.Kind == String:
		r.DependsOn = []string{d.Text}
	case d.Kind == List:
		for _, item := range d.Items {
			if item.Kind != String {
				return nil, errorf("Template format error: Every DependsOn value must be a string.")
			}
			r.DependsOn = append(r.DependsOn, item.Text)
		}
	default:
		return nil, errorf("Template format error: DependsOn must be a string or list of strings.")
	}
	if c := n.Field("Condition"); c != nil {
		if c.Kind != String {
			return nil, errorf("Template format error: Every Condition member must be a string.")
		}
		r.Condition = c.Text
	}
	for _, p := range []struct {
		name    string
		into    *string
		allowed []string
	}{
		{"DeletionPolicy", &r.DeletionPolicy, []string{"Delete", "Retain", "RetainExceptOnCreate", "Snapshot"}},
		{"UpdateReplacePolicy", &r.UpdateReplacePolicy, []string{"Delete", "Retain", "Snapshot"}},
	} {
		v := n.Field(p.name)
		if v == nil {
			continue
		}
		if v.Kind != String || !slices.Contains(p.allowed, v.Text) {
			return nil, errorf("Template format error: Unrecognized %s %s for resource %s", p.name, v.Text, id)
		}
		*p.into = v.Text
	}
	return r, nil
}

func (t *Template) readOutputs(root *Node) error {
	o, err := section(root, "Outputs")
	if err != nil {
		return err
	}
	for _, name := range o.Keys {
		n := o.Fields[name]
		if !logicalID.MatchString(name) {
			return errorf("Template format error: Output name %s is non alphanumeric.", name)
		}
		if n.Kind != Map || n.Field("Value") == nil || n.Field("Value").Kind == Null {
			return errorf("Template format error: Every Outputs member must contain a Value object")
		}
		out := &Output{Value: n.Field("Value")}
		if d := n.Field("Description"); d != nil {
			out.Description = d.Text
		}
		if c := n.Field("Condition"); c != nil {
			out.Condition = c.Text
		}
		if e := n.Field("Export"); e != nil {
			if out.Export = e.Field("Name"); out.Export == nil {
				return errorf("Template format error: Output %s is malformed. Every Export must contain a Name.", name)
			}
		}
		t.Outputs[name] = out
	}
	return nil
}

// ids returns the keys of a map in order.
func ids[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

// LogicalIDs returns the resources' names in order.
func (t *Template) LogicalIDs() []string { return ids(t.Resources) }
