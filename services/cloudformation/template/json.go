package template

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
)

// jsonParser reads JSON with positions, which encoding/json does not keep.
type jsonParser struct {
	d     *json.Decoder
	text  string
	nodes int
	// the position up to which lines have been counted
	offset, line, start int
}

func parseJSON(text string) (*Node, error) {
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.UseNumber()
	p := &jsonParser{d: d, text: text, line: 1}
	n, err := p.value(0)
	if err != nil {
		if e, ok := err.(*Error); ok {
			return nil, e
		}
		return nil, p.malformed()
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, p.malformed()
	}
	return n, nil
}

func (p *jsonParser) malformed() *Error {
	line, column := p.position()
	return errorf("Template format error: JSON not well-formed. (line %d, column %d)", line, column)
}

// position is where the next token begins, after what separates tokens.
func (p *jsonParser) position() (line, column int) {
	end := min(int(p.d.InputOffset()), len(p.text))
	for end < len(p.text) && strings.IndexByte(" \t\r\n:,", p.text[end]) >= 0 {
		end++
	}
	for ; p.offset < end; p.offset++ {
		if p.text[p.offset] == '\n' {
			p.line++
			p.start = p.offset + 1
		}
	}
	return p.line, end - p.start + 1
}

func (p *jsonParser) value(depth int) (*Node, error) {
	if p.nodes++; p.nodes > maxNodes || depth > maxDepth {
		return nil, errorf("Template format error: the template is too large or nested too deeply.")
	}
	n := &Node{}
	n.Line, n.Column = p.position()
	token, err := p.d.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case string:
		n.Kind, n.Text = String, t
	case json.Number:
		n.Kind, n.Text = Number, t.String()
	case bool:
		n.Kind, n.Text = Bool, map[bool]string{true: "true", false: "false"}[t]
	case json.Delim:
		if t == '[' {
			n.Kind = List
			for p.d.More() {
				item, err := p.value(depth + 1)
				if err != nil {
					return nil, err
				}
				n.Items = append(n.Items, item)
			}
		} else {
			n.Kind, n.Fields = Map, map[string]*Node{}
			for p.d.More() {
				line, column := p.position()
				key, err := p.d.Token()
				if err != nil {
					return nil, err
				}
				value, err := p.value(depth + 1)
				if err != nil {
					return nil, err
				}
				if err := n.add(key.(string), value, line, column); err != nil {
					return nil, err
				}
			}
		}
		if _, err := p.d.Token(); err != nil { // the closing bracket
			return nil, err
		}
	}
	return n, nil
}
