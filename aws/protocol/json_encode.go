package protocol

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"reflect"
	"sort"
	"strconv"
	"time"
	"unicode/utf8"

	"minato/aws"
)

// response is the output as an object; an operation without output answers
// with an empty body.
func (j jsonCodec) response(b []byte, op *aws.Operation, out reflect.Value, _ string) []byte {
	if op.OutputShape == nil {
		return b
	}
	return appendJSON(b, op.OutputShape, out)
}

// failure is {"__type": code, "message": text} and the error's other members.
func (j jsonCodec) failure(b []byte, _ *aws.Service, e *aws.Error, _ string) []byte {
	b = appendJSONString(append(b, `{"__type":`...), shapeOf(e))
	b = appendJSONString(append(b, `,"message":`...), e.Message)
	for _, name := range fieldNames(e) {
		value, err := json.Marshal(e.Fields[name])
		if err != nil {
			continue
		}
		b = append(appendJSONString(append(b, ','), name), ':')
		b = append(b, value...)
	}
	return append(b, '}')
}

// fieldNames returns the further members of an error in order.
func fieldNames(e *aws.Error) []string {
	names := make([]string, 0, len(e.Fields))
	for name := range e.Fields {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// appendJSON appends a value. Absent members and nil lists and maps are left
// out; an empty list is written.
func appendJSON(b []byte, s *aws.Shape, v reflect.Value) []byte {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	switch s.Kind {
	case aws.Structure:
		b = append(b, '{')
		first := true
		for i := range s.Members {
			m := &s.Members[i]
			f := v.Field(m.Index)
			if f.IsNil() {
				continue
			}
			if !first {
				b = append(b, ',')
			}
			first = false
			b = append(b, '"')
			b = append(b, m.WireName...)
			b = append(b, '"', ':')
			b = appendJSON(b, m.Shape, f)
		}
		return append(b, '}')
	case aws.List:
		b = append(b, '[')
		for i, n := 0, v.Len(); i < n; i++ {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSON(b, s.Elem, v.Index(i))
		}
		return append(b, ']')
	case aws.Map:
		b = append(b, '{')
		for i, k := range sortedMapKeys(v) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendJSONString(b, k.String()), ':')
			b = appendJSON(b, s.Elem, v.MapIndex(k))
		}
		return append(b, '}')
	case aws.Document:
		raw, err := json.Marshal(v.Interface())
		if err != nil {
			return append(b, "null"...)
		}
		return append(b, raw...)
	}
	return appendJSONScalar(b, s, v)
}

func appendJSONScalar(b []byte, s *aws.Shape, v reflect.Value) []byte {
	switch s.Kind {
	case aws.Boolean:
		return strconv.AppendBool(b, v.Bool())
	case aws.Integer, aws.Long:
		return strconv.AppendInt(b, v.Int(), 10)
	case aws.Float, aws.Double:
		f := v.Float()
		switch {
		case math.IsNaN(f):
			return append(b, `"NaN"`...)
		case math.IsInf(f, 1):
			return append(b, `"Infinity"`...)
		case math.IsInf(f, -1):
			return append(b, `"-Infinity"`...)
		}
		return appendFloat(b, f)
	case aws.Timestamp:
		t := v.Interface().(time.Time)
		if s.Format == "iso8601" {
			return append(appendTime(append(b, '"'), t, true), '"')
		}
		return appendEpoch(b, t)
	case aws.Blob:
		b = append(b, '"')
		b = base64.StdEncoding.AppendEncode(b, v.Bytes())
		return append(b, '"')
	}
	return appendJSONString(b, v.String())
}

// appendFloat writes a number as AWS does: 100.0, not 100.
func appendFloat(b []byte, f float64) []byte {
	if f == math.Trunc(f) && math.Abs(f) < 1e15 {
		return strconv.AppendFloat(b, f, 'f', 1, 64)
	}
	return strconv.AppendFloat(b, f, 'g', -1, 64)
}

// appendEpoch writes epoch seconds with milliseconds.
func appendEpoch(b []byte, t time.Time) []byte {
	ms := t.UnixMilli()
	return strconv.AppendFloat(b, float64(ms)/1000, 'f', -1, 64)
}

func sortedMapKeys(v reflect.Value) []reflect.Value {
	keys := v.MapKeys()
	sort.Slice(keys, func(i, j int) bool { return keys[i].String() < keys[j].String() })
	return keys
}

const hex = "0123456789abcdef"

// appendJSONString appends a quoted string; what is not UTF-8 becomes U+FFFD.
func appendJSONString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		ch := s[i]
		if ch >= ' ' && ch != '"' && ch != '\\' && ch < utf8.RuneSelf {
			i++
			continue
		}
		if ch >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				b = append(append(b, s[start:i]...), "\ufffd"...)
				i++
				start = i
				continue
			}
			i += size
			continue
		}
		b = append(b, s[start:i]...)
		switch ch {
		case '"', '\\':
			b = append(b, '\\', ch)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hex[ch>>4], hex[ch&15])
		}
		i++
		start = i
	}
	return append(append(b, s[start:]...), '"')
}
