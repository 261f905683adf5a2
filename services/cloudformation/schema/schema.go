// Package schema knows the properties of the CloudFormation resource types that
// minato serves: which there are, which are required, of what type, which an
// update replaces the resource for, which are attributes. It is data: the
// registry schemas under types, embedded.
package schema

import (
	"embed"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
)

//go:embed types/*.json
var files embed.FS

// Schema describes one resource type.
type Schema struct {
	TypeName                        string               `json:"typeName"`
	Properties                      map[string]*Property `json:"properties"`
	Definitions                     map[string]*Property `json:"definitions"`
	Required                        []string             `json:"required"`
	CreateOnlyProperties            []string             `json:"createOnlyProperties"`
	ConditionalCreateOnlyProperties []string             `json:"conditionalCreateOnlyProperties"`
	ReadOnlyProperties              []string             `json:"readOnlyProperties"`
	PrimaryIdentifier               []string             `json:"primaryIdentifier"`
	ReplacementStrategy             string               `json:"replacementStrategy"`
}

// Property describes one value.
type Property struct {
	Type                 types                `json:"type"`
	Ref                  string               `json:"$ref"`
	Properties           map[string]*Property `json:"properties"`
	PatternProperties    map[string]*Property `json:"patternProperties"`
	AdditionalProperties json.RawMessage      `json:"additionalProperties"`
	Required             []string             `json:"required"`
	Items                *Property            `json:"items"`
	AnyOf                []*Property          `json:"anyOf"`
	OneOf                []*Property          `json:"oneOf"`
	Enum                 []any                `json:"enum"`
	EnumCaseInsensitive  []any                `json:"enumCaseInsensitive"`
	Pattern              string               `json:"pattern"`
	MinLength            *int                 `json:"minLength"`
	MaxLength            *int                 `json:"maxLength"`
	MinItems             *int                 `json:"minItems"`
	MaxItems             *int                 `json:"maxItems"`
	Minimum              *float64             `json:"minimum"`
	Maximum              *float64             `json:"maximum"`
}

// types is one type or several.
type types []string

// UnmarshalJSON reads "string" as well as ["object", "string"].
func (t *types) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		var one string
		if err := json.Unmarshal(text, &one); err != nil {
			return err
		}
		*t = types{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(t))
}

// loaded holds the schemas that have been asked for.
var loaded sync.Map // type name → *Schema, nil for unknown

// Lookup returns the schema of a resource type, nil for one that is not served.
func Lookup(typeName string) *Schema {
	if s, ok := loaded.Load(typeName); ok {
		return s.(*Schema)
	}
	text, err := files.ReadFile("types/" + strings.ReplaceAll(typeName, "::", "-") + ".json")
	if err != nil {
		return nil // not kept: names come from anybody's templates
	}
	s := new(Schema)
	if err := json.Unmarshal(text, s); err != nil {
		panic(fmt.Sprintf("schema: %s: %v", typeName, err)) // a fault of the build; a test reads all
	}
	loaded.Store(typeName, s)
	return s
}

// Types returns the names of all types.
func Types() []string {
	entries, err := files.ReadDir("types")
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.ReplaceAll(strings.TrimSuffix(e.Name(), ".json"), "-", "::"))
	}
	return names
}

// HasAttribute tells whether Fn::GetAtt can ask for the attribute: any property,
// with dots for the members of objects.
func (s *Schema) HasAttribute(name string) bool {
	properties := s.Properties
	for {
		first, rest, more := strings.Cut(name, ".")
		p := properties[first]
		if p == nil {
			return false
		}
		if !more {
			return true
		}
		p = s.resolve(p)
		properties, name = p.Properties, rest
	}
}

// readOnly tells whether a top-level property can not be given.
func (s *Schema) readOnly(name string) bool {
	return slices.Contains(s.ReadOnlyProperties, "/properties/"+name)
}

// Replaces returns the create-only properties that differ: an update that
// changes them makes the resource anew.
func (s *Schema) Replaces(before, after map[string]any) []string {
	var changed []string
	for _, pointer := range s.CreateOnlyProperties {
		path := strings.Split(strings.TrimPrefix(pointer, "/properties/"), "/")
		if !reflect.DeepEqual(at(before, path), at(after, path)) {
			changed = append(changed, strings.Join(path, "/"))
		}
	}
	return changed
}

// at returns what a path leads to, nil for nothing.
func at(v any, path []string) any {
	for _, name := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[name]
	}
	return v
}

// resolve follows a reference to a definition.
func (s *Schema) resolve(p *Property) *Property {
	for i := 0; p.Ref != "" && i < 10; i++ {
		target := strings.TrimPrefix(p.Ref, "#/definitions/")
		if target == p.Ref {
			if target = strings.TrimPrefix(p.Ref, "#/properties/"); s.Properties[target] == nil {
				return &Property{}
			}
			p = s.Properties[target]
			continue
		}
		if s.Definitions[target] == nil {
			return &Property{}
		}
		p = s.Definitions[target]
	}
	return p
}
