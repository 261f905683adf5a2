package protocol

import (
	"encoding/base64"
	"net/url"
	"reflect"
	"sort"
	"strconv"
	"strings"

	"minato/aws"
)

// node is a parameter of a form: Tags.member.1.Key is four nodes deep.
type node struct {
	name     string // as the client wrote it, for messages
	value    string
	set      bool
	children map[string]*node
}

// tree makes nodes of the form's parameters.
func tree(form url.Values) (*node, error) {
	root := &node{}
	for name, values := range form {
		n := root
		depth := 0
		for rest, more := name, true; more; {
			var part string
			part, rest, more = strings.Cut(rest, ".")
			if depth++; depth > 2*maxDepth {
				return nil, malformed("The parameter %s is nested too deeply", name[:64])
			}
			child := n.children[part]
			if child == nil {
				child = &node{name: part}
				if n.name != "" {
					child.name = n.name + "." + part
				}
				if n.children == nil {
					n.children = map[string]*node{}
				}
				n.children[part] = child
			}
			n = child
		}
		if len(values) > 0 {
			n.value, n.set = values[0], true
		}
	}
	return root, nil
}

func malformed(format string, args ...any) *aws.Error {
	return aws.Errorf("MalformedInput", format, args...)
}

// items returns the numbered children in the order of their numbers.
func (n *node) items() []*node {
	type item struct {
		number int
		node   *node
	}
	var items []item
	for name, child := range n.children {
		if number, err := strconv.Atoi(name); err == nil {
			items = append(items, item{number, child})
		}
	}
	sort.Slice(items, func(i, j int) bool { return items[i].number < items[j].number })
	nodes := make([]*node, len(items))
	for i, it := range items {
		nodes[i] = it.node
	}
	return nodes
}

// formDecoder decodes forms; dialect differs between query and EC2.
type formDecoder struct {
	ec2 bool
}

// structure fills the struct from the children of n.
func (d formDecoder) structure(dst reflect.Value, s *aws.Shape, n *node) error {
	for i := range s.Members {
		m := &s.Members[i]
		if child := n.children[d.name(m)]; child != nil {
			if err := d.value(dst.Field(m.Index), m.Shape, child, m.Flattened); err != nil {
				return err
			}
		}
	}
	return nil
}

// name returns the name of a member's parameter.
func (d formDecoder) name(m *aws.Member) string {
	if d.ec2 {
		return m.QueryName
	}
	if m.Shape.Kind == aws.List && (m.Flattened || m.Shape.Flattened) && m.Shape.ElemName != "member" {
		return m.Shape.ElemName
	}
	return m.WireName
}

// value sets dst, a member or an element, from n.
func (d formDecoder) value(dst reflect.Value, s *aws.Shape, n *node, flat bool) error {
	if dst.Kind() == reflect.Pointer {
		p := reflect.New(dst.Type().Elem())
		if err := d.value(p.Elem(), s, n, flat); err != nil {
			return err
		}
		dst.Set(p)
		return nil
	}
	switch s.Kind {
	case aws.Structure:
		return d.structure(dst, s, n)
	case aws.List:
		return d.list(dst, s, n, flat)
	case aws.Map:
		return d.mapping(dst, s, n, flat)
	case aws.Document:
		return malformed("The parameter %s can not be given in a form", n.name)
	}
	if !n.set {
		return malformed("Unexpected complex element termination")
	}
	return d.scalar(dst, s, n)
}

// list reads Name.1 (EC2, flattened lists) or Name.member.1. An empty list is
// sent as the bare name.
func (d formDecoder) list(dst reflect.Value, s *aws.Shape, n *node, flat bool) error {
	nodes := n.items()
	if !d.ec2 && !flat && !s.Flattened {
		// RDS names its elements and takes "member" too.
		for _, name := range []string{s.ElemName, "member"} {
			if child := n.children[name]; child != nil {
				nodes = child.items()
				break
			}
		}
	}
	out := reflect.MakeSlice(dst.Type(), 0, len(nodes))
	for _, child := range nodes {
		elem := reflect.New(dst.Type().Elem()).Elem()
		if err := d.value(elem, s.Elem, child, false); err != nil {
			return err
		}
		out = reflect.Append(out, elem)
	}
	dst.Set(out)
	return nil
}

// mapping reads Name.entry.1.key and .value, without entry when flattened.
func (d formDecoder) mapping(dst reflect.Value, s *aws.Shape, n *node, flat bool) error {
	nodes := n.items()
	if child := n.children["entry"]; child != nil && !flat && !s.Flattened {
		nodes = child.items()
	}
	out := reflect.MakeMapWithSize(dst.Type(), len(nodes))
	for _, child := range nodes {
		key, value := child.children[s.KeyName], child.children[s.ValueName]
		if key == nil || !key.set {
			return malformed("The parameter %s has no %s", child.name, s.KeyName)
		}
		elem := reflect.New(dst.Type().Elem()).Elem()
		if value != nil {
			if err := d.value(elem, s.Elem, value, false); err != nil {
				return err
			}
		}
		out.SetMapIndex(reflect.ValueOf(key.value), elem)
	}
	dst.Set(out)
	return nil
}

func (d formDecoder) scalar(dst reflect.Value, s *aws.Shape, n *node) error {
	switch s.Kind {
	case aws.String:
		dst.SetString(n.value)
	case aws.Boolean:
		b, err := strconv.ParseBool(strings.ToLower(n.value))
		if err != nil {
			return d.invalid(n, "a boolean")
		}
		dst.SetBool(b)
	case aws.Integer, aws.Long:
		i, err := strconv.ParseInt(n.value, 10, 64)
		if err != nil || dst.OverflowInt(i) {
			return d.invalid(n, "an integer")
		}
		dst.SetInt(i)
	case aws.Float, aws.Double:
		f, err := strconv.ParseFloat(n.value, 64)
		if err != nil {
			return d.invalid(n, "a number")
		}
		dst.SetFloat(f)
	case aws.Timestamp:
		t, err := parseTime(n.value)
		if err != nil {
			return d.invalid(n, "a timestamp")
		}
		dst.Set(reflect.ValueOf(t))
	case aws.Blob:
		raw, err := base64.StdEncoding.DecodeString(n.value)
		if err != nil {
			return d.invalid(n, "base64")
		}
		dst.SetBytes(raw)
	}
	return nil
}

// invalid is the error for a value of the wrong type.
func (d formDecoder) invalid(n *node, what string) *aws.Error {
	if d.ec2 {
		return aws.Errorf("InvalidParameterValue", "Value (%s) for parameter %s is invalid. It is not %s.", n.value, n.name, what)
	}
	return malformed("Value '%s' at '%s' is not %s", n.value, n.name, what)
}
