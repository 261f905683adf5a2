package template

import (
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"
)

// yamlParser turns YAML nodes into ours. Aliases are followed and count each
// time, so that a small text can not become a huge template.
type yamlParser struct{ nodes int }

var lineOf = regexp.MustCompile(`line (\d+)`)

func parseYAML(text string) (*Node, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		line := "1"
		if m := lineOf.FindStringSubmatch(err.Error()); m != nil {
			line = m[1]
		}
		return nil, errorf("Template format error: YAML not well-formed. (line %s, column 1)", line)
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, errorf("Template format error: unsupported structure.")
	}
	p := &yamlParser{}
	return p.node(doc.Content[0], 0)
}

func (p *yamlParser) node(y *yaml.Node, depth int) (*Node, error) {
	if p.nodes++; p.nodes > maxNodes || depth > maxDepth {
		return nil, errorf("Template format error: the template is too large or nested too deeply.")
	}
	if y.Kind == yaml.AliasNode {
		return p.node(y.Alias, depth+1)
	}
	n, err := p.plain(y, depth)
	if err != nil {
		return nil, err
	}
	if tag := y.Tag; strings.HasPrefix(tag, "!") && !strings.HasPrefix(tag, "!!") {
		return p.short(tag[1:], n)
	}
	return n, nil
}

// plain makes the node without regard to a short form of a function.
func (p *yamlParser) plain(y *yaml.Node, depth int) (*Node, error) {
	n := &Node{Line: y.Line, Column: y.Column}
	switch y.Kind {
	case yaml.ScalarNode:
		n.Kind, n.Text = String, y.Value
		tag := y.ShortTag()
		if y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 && tag != "!!binary" {
			return n, nil
		}
		switch tag {
		case "!!int", "!!float":
			if numeric.MatchString(y.Value) {
				n.Kind = Number
			}
		case "!!bool":
			n.Kind, n.Text = Bool, strings.ToLower(y.Value)
		case "!!null":
			n.Kind = Null
		}
	case yaml.SequenceNode:
		n.Kind = List
		for _, c := range y.Content {
			item, err := p.node(c, depth+1)
			if err != nil {
				return nil, err
			}
			n.Items = append(n.Items, item)
		}
	case yaml.MappingNode:
		n.Kind, n.Fields = Map, map[string]*Node{}
		for i := 0; i+1 < len(y.Content); i += 2 {
			k := y.Content[i]
			if k.Kind == yaml.AliasNode {
				k = k.Alias
			}
			if k.Kind != yaml.ScalarNode {
				return nil, errorf("Template format error: a key is not a string (line %d, column %d)", k.Line, k.Column)
			}
			value, err := p.node(y.Content[i+1], depth+1)
			if err != nil {
				return nil, err
			}
			if err := n.add(k.Value, value, k.Line, k.Column); err != nil {
				return nil, err
			}
		}
	}
	return n, nil
}

// numeric are the numbers that JSON has; others, such as octal account ids,
// stay the strings that they look like.
var numeric = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)

// short makes of !Sub x what {"Fn::Sub": x} is.
func (p *yamlParser) short(tag string, arg *Node) (*Node, error) {
	name := tag
	if tag != "Ref" && tag != "Condition" {
		name = "Fn::" + tag
		if !functions[name] && !extensions[name] {
			return nil, errorf("Template format error: YAML not well-formed. (line %d, column %d): unknown tag !%s", arg.Line, arg.Column, tag)
		}
	}
	if arg.Kind != List && arg.Kind != Map {
		arg.Kind = String // !Sub 80 and !Ref true mean text
	}
	if name == "Fn::GetAtt" && arg.Kind == String {
		resource, attribute, _ := strings.Cut(arg.Text, ".")
		arg = &Node{Kind: List, Line: arg.Line, Column: arg.Column, Items: []*Node{
			{Kind: String, Text: resource, Line: arg.Line, Column: arg.Column}, {Kind: String, Text: attribute, Line: arg.Line, Column: arg.Column},
		}}
	}
	return &Node{Kind: Map, Line: arg.Line, Column: arg.Column, Keys: []string{name}, Fields: map[string]*Node{name: arg}}, nil
}
