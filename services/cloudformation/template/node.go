package template

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Kind is the type of a Node.
type Kind uint8

// The kinds of nodes.
const (
	Null Kind = iota
	String
	Number
	Bool
	List
	Map
)

// Node is a value of a template with its position in the text.
type Node struct {
	Kind   Kind
	Text   string // of a scalar, as written
	Keys   []string
	Fields map[string]*Node
	Items  []*Node
	Line   int
	Column int
}

// Limits of templates; the size is CloudFormation's for a body in the request.
const (
	maxDepth = 100
	maxNodes = 200_000
)

// Error is a fault of a template, in CloudFormation's words.
type Error struct{ Message string }

// Error implements error.
func (e *Error) Error() string { return e.Message }

func errorf(format string, args ...any) *Error { return &Error{fmt.Sprintf(format, args...)} }

// Field returns a field of a map, nil for none.
func (n *Node) Field(name string) *Node {
	if n == nil || n.Kind != Map {
		return nil
	}
	return n.Fields[name]
}

// function returns the name and argument of an intrinsic function: a map with
// the one key Ref, Condition or Fn::Something.
func (n *Node) function() (name string, arg *Node) {
	if n.Kind != Map || len(n.Keys) != 1 {
		return "", nil
	}
	k := n.Keys[0]
	if k == "Ref" || k == "Condition" || strings.HasPrefix(k, "Fn::") {
		return k, n.Fields[k]
	}
	return "", nil
}

// Value is the node without positions: map[string]any, []any, string,
// json.Number, bool or nil. Functions are left as they are.
func (n *Node) Value() any {
	switch n.Kind {
	case String:
		return n.Text
	case Number:
		return json.Number(n.Text)
	case Bool:
		return n.Text == "true"
	case List:
		out := make([]any, len(n.Items))
		for i, item := range n.Items {
			out[i] = item.Value()
		}
		return out
	case Map:
		out := make(map[string]any, len(n.Keys))
		for k, v := range n.Fields {
			out[k] = v.Value()
		}
		return out
	}
	return nil
}

// add puts a field into a map; a key that is there already is a fault.
func (n *Node) add(key string, value *Node, line, column int) error {
	if _, double := n.Fields[key]; double {
		return errorf("Template format error: duplicate key %q (line %d, column %d)", key, line, column)
	}
	n.Keys = append(n.Keys, key)
	n.Fields[key] = value
	return nil
}
