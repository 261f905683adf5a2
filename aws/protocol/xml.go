package protocol

import (
	"encoding/base64"
	"math"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"

	"minato/aws"
)

const xmlHead = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"

// xmlEncoder appends XML to b.
type xmlEncoder struct {
	b      []byte
	millis bool // times with milliseconds; IAM and STS have none
}

func (x *xmlEncoder) open(name string) {
	x.b = append(append(append(x.b, '<'), name...), '>')
}

func (x *xmlEncoder) openNS(name, namespace string) {
	x.b = append(append(x.b, '<'), name...)
	if namespace != "" {
		x.b = append(x.escape(append(x.b, ` xmlns="`...), namespace), '"')
	}
	x.b = append(x.b, '>')
}

// openStructure opens a structure's element with the members that are its
// attributes.
func (x *xmlEncoder) openStructure(name string, s *aws.Shape, v reflect.Value) {
	x.b = append(append(x.b, '<'), name...)
	if s.Namespace != "" {
		x.b = append(append(x.b, ' '), s.Namespace...)
	}
	for i := range s.Members {
		m := &s.Members[i]
		if f := v.Field(m.Index); m.Attribute && !f.IsNil() {
			x.b = append(append(append(x.b, ' '), m.WireName...), '=', '"')
			x.scalar(m.Shape, f.Elem())
			x.b = append(x.b, '"')
		}
	}
	x.b = append(x.b, '>')
}

func (x *xmlEncoder) close(name string) {
	x.b = append(append(append(x.b, '<', '/'), name...), '>')
}

// text writes an element that holds text.
func (x *xmlEncoder) text(name, text string) {
	x.open(name)
	x.b = x.escape(x.b, text)
	x.close(name)
}

// members writes the members of a structure. At the top of an answer a nil list
// is written as an empty element, as AWS does: clients read it as an empty
// list, and a missing one as no list at all.
func (x *xmlEncoder) members(s *aws.Shape, v reflect.Value, top bool) {
	for i := range s.Members {
		m := &s.Members[i]
		f := v.Field(m.Index)
		if m.Attribute || m.Location != "" {
			continue
		}
		if f.IsNil() {
			if top && m.Shape.Kind == aws.List && !m.Flattened && !m.Shape.Flattened {
				x.b = append(append(append(x.b, '<'), m.WireName...), '/', '>')
			}
			continue
		}
		x.value(m.WireName, m.Shape, f, m.Flattened)
	}
}

// value writes one element, or as many as a flattened list has.
func (x *xmlEncoder) value(name string, s *aws.Shape, v reflect.Value, flat bool) {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	flat = flat || s.Flattened
	switch s.Kind {
	case aws.List:
		elem := s.ElemName
		if flat {
			elem = name
		} else if v.Len() == 0 {
			x.b = append(append(append(x.b, '<'), name...), '/', '>')
			return
		} else {
			x.open(name)
		}
		for i, n := 0, v.Len(); i < n; i++ {
			x.value(elem, s.Elem, v.Index(i), false)
		}
		if !flat {
			x.close(name)
		}
	case aws.Map:
		entry := "entry"
		if flat {
			entry = name
		} else {
			x.open(name)
		}
		for _, k := range sortedMapKeys(v) {
			x.open(entry)
			x.text(s.KeyName, k.String())
			x.value(s.ValueName, s.Elem, v.MapIndex(k), false)
			x.close(entry)
		}
		if !flat {
			x.close(name)
		}
	case aws.Structure:
		x.openStructure(name, s, v)
		x.members(s, v, false)
		x.close(name)
	default:
		x.open(name)
		x.scalar(s, v)
		x.close(name)
	}
}

func (x *xmlEncoder) scalar(s *aws.Shape, v reflect.Value) {
	switch s.Kind {
	case aws.String:
		x.b = x.escape(x.b, v.String())
	case aws.Boolean:
		x.b = strconv.AppendBool(x.b, v.Bool())
	case aws.Integer, aws.Long:
		x.b = strconv.AppendInt(x.b, v.Int(), 10)
	case aws.Float, aws.Double:
		f := v.Float()
		switch {
		case math.IsNaN(f):
			x.b = append(x.b, "NaN"...)
		case math.IsInf(f, 0):
			x.b = append(x.b, "-Infinity"[btoi(f > 0):]...)
		default:
			x.b = appendFloat(x.b, f)
		}
	case aws.Timestamp:
		t := v.Interface().(time.Time)
		if s.Format == "unixTimestamp" {
			x.b = appendEpoch(x.b, t)
			return
		}
		x.b = appendTime(x.b, t, x.millis)
	case aws.Blob:
		x.b = base64.StdEncoding.AppendEncode(x.b, v.Bytes())
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// escape appends text as XML allows it; characters that XML has not become U+FFFD.
func (x *xmlEncoder) escape(b []byte, text string) []byte {
	start := 0
	for i := 0; i < len(text); {
		r, size := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(text[i:])
		}
		with := ""
		switch {
		case r == '&':
			with = "&amp;"
		case r == '<':
			with = "&lt;"
		case r == '>':
			with = "&gt;"
		case r == '"':
			with = "&quot;"
		case r == '\r':
			with = "&#xD;"
		case r == '\t' || r == '\n':
		case r < ' ' || r == 0xfffe || r == 0xffff || (r == utf8.RuneError && size == 1):
			with = "\ufffd"
		}
		if with != "" {
			b = append(append(b, text[start:i]...), with...)
			start = i + size
		}
		i += size
	}
	return append(b, text[start:]...)
}
