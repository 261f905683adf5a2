package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

// model is a service's model in botocore's form, as far as it is used here.
type model struct {
	Metadata   metadata              `json:"metadata"`
	Operations map[string]*operation `json:"operations"`
	Shapes     map[string]*shape     `json:"shapes"`
	Known      []string              `json:"known,omitempty"`  // names of all operations of the full model
	Routes     map[string]string     `json:"routes,omitempty"` // "METHOD URI" of those that a REST service has and we do not serve
}

type metadata struct {
	APIVersion     string    `json:"apiVersion"`
	QueryErrors    *struct{} `json:"awsQueryCompatible,omitempty"`
	EndpointPrefix string    `json:"endpointPrefix"`
	GlobalEndpoint string    `json:"globalEndpoint,omitempty"`
	JSONVersion    string    `json:"jsonVersion,omitempty"`
	Protocol       string    `json:"protocol"`
	Protocols      []string  `json:"protocols,omitempty"`
	ServiceID      string    `json:"serviceId"`
	SigningName    string    `json:"signingName,omitempty"`
	TargetPrefix   string    `json:"targetPrefix,omitempty"`
	XMLNamespace   string    `json:"xmlNamespace,omitempty"`
}

type operation struct {
	Name   string    `json:"name"`
	HTTP   httpTrait `json:"http"`
	Input  *ref      `json:"input,omitempty"`
	Output *ref      `json:"output,omitempty"`
	Errors []ref     `json:"errors,omitempty"`
}

type httpTrait struct {
	Method       string `json:"method"`
	RequestURI   string `json:"requestUri"`
	ResponseCode int    `json:"responseCode,omitempty"`
}

// ref is a use of a shape: a member, an element, a key, an input.
type ref struct {
	Shape            string `json:"shape"`
	LocationName     string `json:"locationName,omitempty"`
	QueryName        string `json:"queryName,omitempty"`
	Location         string `json:"location,omitempty"`
	ResultWrapper    string `json:"resultWrapper,omitempty"`
	IdempotencyToken bool   `json:"idempotencyToken,omitempty"`
	Flattened        bool   `json:"flattened,omitempty"`
	Streaming        bool   `json:"streaming,omitempty"`
	XMLAttribute     bool   `json:"xmlAttribute,omitempty"`

	XMLNamespace *namespace `json:"xmlNamespace,omitempty"`
}

// namespace is what an XML element declares.
type namespace struct {
	Prefix string `json:"prefix,omitempty"`
	URI    string `json:"uri"`
}

type shape struct {
	Type            string         `json:"type"`
	Members         map[string]ref `json:"members,omitempty"`
	Required        []string       `json:"required,omitempty"`
	Member          *ref           `json:"member,omitempty"`
	Key             *ref           `json:"key,omitempty"`
	Value           *ref           `json:"value,omitempty"`
	Flattened       bool           `json:"flattened,omitempty"`
	Min             *float64       `json:"min,omitempty"`
	Max             *float64       `json:"max,omitempty"`
	Pattern         string         `json:"pattern,omitempty"`
	Enum            []string       `json:"enum,omitempty"`
	TimestampFormat string         `json:"timestampFormat,omitempty"`
	Sensitive       bool           `json:"sensitive,omitempty"`
	Payload         string         `json:"payload,omitempty"`
	Document        bool           `json:"document,omitempty"`
	EventStream     bool           `json:"eventstream,omitempty"`
	Exception       bool           `json:"exception,omitempty"`
	Fault           bool           `json:"fault,omitempty"`
	Error           *errorTrait    `json:"error,omitempty"`
	XMLNamespace    *namespace     `json:"xmlNamespace,omitempty"`
}

type errorTrait struct {
	Code           string `json:"code,omitempty"`
	HTTPStatusCode int    `json:"httpStatusCode,omitempty"`
}

// errorCode is the code and the HTTP status of the error that a shape is.
func (s *shape) errorCode(name string) (code string, status int) {
	code, status = name, 400
	if s.Fault {
		status = 500
	}
	if s.Error != nil {
		if s.Error.Code != "" {
			code = s.Error.Code
		}
		if s.Error.HTTPStatusCode != 0 {
			status = s.Error.HTTPStatusCode
		}
	}
	return code, status
}

func readModel(file string) (*model, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	m := new(model)
	if err := json.Unmarshal(text, m); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return m, nil
}

// encode writes the model as committed: sorted and indented, so that a change
// of the allow-list is a readable diff.
func (m *model) encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	err := enc.Encode(m)
	return b.Bytes(), err
}

// rest tells whether the operation is in the method and path of a request.
func rest(m *model) bool { return strings.HasPrefix(m.Metadata.Protocol, "rest-") }

// streams tells whether a shape is a body that is not held in memory.
func (m *model) streams(name string) bool {
	for _, s := range m.Shapes {
		for _, r := range s.Members {
			if r.Streaming && r.Shape == name {
				return true
			}
		}
	}
	return false
}

// namespace is the namespace of a service's XML: its own, or what its payloads
// declare.
func (m *model) namespace() string {
	if m.Metadata.XMLNamespace != "" || !rest(m) {
		return m.Metadata.XMLNamespace
	}
	for _, name := range sortedKeys(m.Shapes) {
		for _, member := range sortedKeys(m.Shapes[name].Members) {
			if ns := m.Shapes[name].Members[member].XMLNamespace; ns != nil && ns.Prefix == "" {
				return ns.URI
			}
		}
	}
	return ""
}

func (m *model) operationNames() []string { return sortedKeys(m.Operations) }

// refs calls f for each use of another shape.
func (s *shape) refs(f func(ref)) {
	for _, name := range sortedKeys(s.Members) {
		f(s.Members[name])
	}
	for _, r := range []*ref{s.Member, s.Key, s.Value} {
		if r != nil {
			f(*r)
		}
	}
}

// cut returns the part of m that the allowed operations need.
func cut(m *model, allowed []string) (*model, error) {
	c := &model{Metadata: m.Metadata, Operations: map[string]*operation{}, Shapes: map[string]*shape{}, Known: m.operationNames()}
	if rest(m) {
		c.Routes = map[string]string{}
		for name, op := range m.Operations {
			if !slices.Contains(allowed, name) {
				c.Routes[name] = op.HTTP.Method + " " + op.HTTP.RequestURI
			}
		}
	}
	var reach func(name string) error
	reach = func(name string) error {
		if c.Shapes[name] != nil {
			return nil
		}
		s := m.Shapes[name]
		if s == nil {
			return fmt.Errorf("no shape %s", name)
		}
		c.Shapes[name] = s
		var err error
		s.refs(func(r ref) {
			if e := reach(r.Shape); e != nil && err == nil {
				err = e
			}
		})
		return err
	}
	for _, name := range allowed {
		op := m.Operations[name]
		if op == nil {
			return nil, fmt.Errorf("the model knows no operation %s", name)
		}
		c.Operations[name] = op
		uses := append([]ref{}, op.Errors...)
		for _, r := range []*ref{op.Input, op.Output} {
			if r != nil {
				uses = append(uses, *r)
			}
		}
		for _, r := range uses {
			if err := reach(r.Shape); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return c, nil
}
