// Package validate checks inputs against the constraints of AWS's models:
// required members, lengths, ranges, patterns and enums, however deep, and says
// what is wrong with the code and in the words of the service.
package validate

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"minato/aws"
)

// maxErrors bounds how many findings one message lists.
const maxErrors = 10

// Input checks an operation's input, a pointer to its input struct. It returns
// nil or an *aws.Error.
func Input(op *aws.Operation, in any) error {
	if op.InputShape == nil {
		return nil
	}
	c := checker{style: styleOf(op.Service)}
	c.structure(op.InputShape, reflect.ValueOf(in).Elem(), "", "")
	if len(c.found) == 0 {
		return nil
	}
	return c.style.fail(op, c.found)
}

// finding is one constraint that does not hold.
type finding struct {
	path       string // as the service names members in messages
	parameter  string // as the client wrote it in a form
	value      string // as shown; "null" when it is missing
	constraint constraint
	limit      string // number, pattern or set
}

type constraint uint8

const (
	required constraint = iota
	minLength
	maxLength
	minValue
	maxValue
	pattern
	enum
)

// checker walks an input and its shape.
type checker struct {
	style style
	found []finding
}

// structure checks the members of a structure.
func (c *checker) structure(s *aws.Shape, v reflect.Value, path, parameter string) {
	for i := range s.Members {
		if len(c.found) >= maxErrors {
			return
		}
		m := &s.Members[i]
		f := v.Field(m.Index)
		if f.IsNil() {
			if m.Required {
				c.found = append(c.found, finding{path: path + c.style.member(m), parameter: parameter + m.QueryName, value: "null", constraint: required})
			}
			continue
		}
		c.value(m.Shape, f, path+c.style.member(m), parameter+m.QueryName)
	}
}

// value checks one value and what it contains.
func (c *checker) value(s *aws.Shape, v reflect.Value, path, parameter string) {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	switch s.Kind {
	case aws.Structure:
		c.structure(s, v, path+".", parameter+".")
	case aws.List:
		c.length(s, v.Len(), v, path, parameter)
		for i := 0; i < v.Len() && len(c.found) < maxErrors; i++ {
			n := strconv.Itoa(i + 1)
			c.value(s.Elem, v.Index(i), path+"."+n+".member", parameter+"."+n)
		}
	case aws.Map:
		c.length(s, v.Len(), v, path, parameter)
		for _, k := range v.MapKeys() {
			if len(c.found) >= maxErrors {
				return
			}
			c.value(s.Key, k, path, parameter)
			c.value(s.Elem, v.MapIndex(k), path+"."+k.String()+".member", parameter+"."+k.String())
		}
	case aws.String:
		c.text(s, v, path, parameter)
	case aws.Integer, aws.Long:
		c.number(s, float64(v.Int()), v, path, parameter)
	case aws.Float, aws.Double:
		c.number(s, v.Float(), v, path, parameter)
	case aws.Blob:
		c.length(s, v.Len(), v, path, parameter)
	}
}

func (c *checker) text(s *aws.Shape, v reflect.Value, path, parameter string) {
	text := v.String()
	if len(s.Enum) > 0 {
		for _, allowed := range s.Enum {
			if text == allowed {
				return
			}
		}
		c.add(s, v, path, parameter, enum, "["+strings.Join(s.Enum, ", ")+"]")
		return
	}
	c.length(s, utf8.RuneCountInString(text), v, path, parameter)
	if s.Pattern != "" && !matches(s.Pattern, text) {
		c.add(s, v, path, parameter, pattern, s.Pattern)
	}
}

func (c *checker) length(s *aws.Shape, n int, v reflect.Value, path, parameter string) {
	if s.Min != nil && float64(n) < *s.Min {
		c.add(s, v, path, parameter, minLength, format(*s.Min))
	}
	if s.Max != nil && float64(n) > *s.Max {
		c.add(s, v, path, parameter, maxLength, format(*s.Max))
	}
}

func (c *checker) number(s *aws.Shape, n float64, v reflect.Value, path, parameter string) {
	if s.Min != nil && n < *s.Min {
		c.add(s, v, path, parameter, minValue, format(*s.Min))
	}
	if s.Max != nil && n > *s.Max {
		c.add(s, v, path, parameter, maxValue, format(*s.Max))
	}
}

func (c *checker) add(s *aws.Shape, v reflect.Value, path, parameter string, what constraint, limit string) {
	c.found = append(c.found, finding{path: path, parameter: parameter, value: show(s, v), constraint: what, limit: limit})
}

// show is the value in a message; secrets are not shown.
func show(s *aws.Shape, v reflect.Value) string {
	if s.Sensitive {
		return ""
	}
	text := fmt.Sprint(v.Interface())
	if s.Kind == aws.List && s.Elem.Kind == aws.Structure || s.Kind == aws.Blob {
		return "" // AWS prints the innards of its own objects there, to nobody's use
	}
	if len(text) > 1024 {
		text = strings.ToValidUTF8(text[:1024], "") + "…"
	}
	return "'" + text + "'"
}

func format(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
