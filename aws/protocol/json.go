package protocol

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"math"
	"reflect"
	"strconv"
	"time"

	"minato/aws"
)

// jsonCodec is awsJson 1.0 and 1.1; they differ in the media type only.
type jsonCodec struct{ version string }

func (j jsonCodec) contentType() string { return "application/x-amz-json-" + j.version }

func (j jsonCodec) unknown(c *Call) *aws.Error {
	return aws.Errorf("UnknownOperationException", "The operation %q is not known.", c.Name)
}

// decode reads the body. A member that the model does not know is ignored, as
// AWS does; a value of the wrong type is an error.
func (j jsonCodec) decode(c *Call, in reflect.Value) error {
	if len(bytes.TrimSpace(c.body)) == 0 {
		return nil
	}
	if deeper(c.body, maxDepth) {
		return serialization("The input is nested too deeply")
	}
	d := json.NewDecoder(bytes.NewReader(c.body))
	d.UseNumber()
	var body any
	if err := d.Decode(&body); err != nil {
		return serialization("The body is not valid JSON").Because(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return serialization("The body is not valid JSON")
	}
	object, ok := body.(map[string]any)
	if !ok {
		return serialization("The body is not a JSON object")
	}
	return setStruct(in, c.Operation.InputShape, object)
}

// deeper tells whether brackets are nested deeper than limit, before anything
// recursive looks at the text.
func deeper(text []byte, limit int) bool {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch ch := text[i]; {
		case quoted && ch == '\\':
			i++
		case ch == '"':
			quoted = !quoted
		case quoted:
		case ch == '{' || ch == '[':
			if depth++; depth > limit {
				return true
			}
		case ch == '}' || ch == ']':
			depth--
		}
	}
	return false
}

func serialization(format string, args ...any) *aws.Error {
	return aws.Errorf("SerializationException", format, args...)
}

// jsonNames are what AWS's parser calls the JSON types.
func jsonName(v any) string {
	switch v.(type) {
	case string:
		return "STRING_VALUE"
	case json.Number:
		return "NUMBER_VALUE"
	case bool:
		return "BOOLEAN_VALUE"
	case []any:
		return "LIST_VALUE"
	}
	return "STRUCTURE_VALUE"
}

func mismatch(v any, what string) *aws.Error {
	return serialization("%s can not be converted to %s", jsonName(v), what)
}

func setStruct(dst reflect.Value, s *aws.Shape, object map[string]any) error {
	for i := range s.Members {
		m := &s.Members[i]
		v, ok := object[m.WireName]
		if !ok || v == nil {
			continue
		}
		if err := setJSON(dst.Field(m.Index), m.Shape, v); err != nil {
			return err
		}
	}
	return nil
}

// setJSON sets dst, a member or an element, to the value.
func setJSON(dst reflect.Value, s *aws.Shape, v any) error {
	if s.Kind != aws.Document && dst.Kind() == reflect.Pointer {
		p := reflect.New(dst.Type().Elem())
		if err := setJSON(p.Elem(), s, v); err != nil {
			return err
		}
		dst.Set(p)
		return nil
	}
	switch s.Kind {
	case aws.Structure:
		object, ok := v.(map[string]any)
		if !ok {
			return mismatch(v, "a Structure")
		}
		return setStruct(dst, s, object)
	case aws.List:
		return setJSONList(dst, s, v)
	case aws.Map:
		return setJSONMap(dst, s, v)
	case aws.Document:
		dst.Set(reflect.ValueOf(v))
		return nil
	}
	return setJSONScalar(dst, s, v)
}

func setJSONList(dst reflect.Value, s *aws.Shape, v any) error {
	list, ok := v.([]any)
	if !ok {
		return mismatch(v, "a List")
	}
	out := reflect.MakeSlice(dst.Type(), 0, len(list))
	for _, e := range list {
		if e == nil {
			continue
		}
		elem := reflect.New(dst.Type().Elem()).Elem()
		if err := setJSON(elem, s.Elem, e); err != nil {
			return err
		}
		out = reflect.Append(out, elem)
	}
	dst.Set(out)
	return nil
}

func setJSONMap(dst reflect.Value, s *aws.Shape, v any) error {
	object, ok := v.(map[string]any)
	if !ok {
		return mismatch(v, "a Map")
	}
	out := reflect.MakeMapWithSize(dst.Type(), len(object))
	for k, e := range object {
		if e == nil {
			continue
		}
		elem := reflect.New(dst.Type().Elem()).Elem()
		if err := setJSON(elem, s.Elem, e); err != nil {
			return err
		}
		out.SetMapIndex(reflect.ValueOf(k), elem)
	}
	dst.Set(out)
	return nil
}

func setJSONScalar(dst reflect.Value, s *aws.Shape, v any) error {
	switch s.Kind {
	case aws.String:
		if text, ok := v.(string); ok {
			dst.SetString(text)
			return nil
		}
		return mismatch(v, "a String")
	case aws.Boolean:
		if b, ok := v.(bool); ok {
			dst.SetBool(b)
			return nil
		}
		return mismatch(v, "a Boolean")
	case aws.Integer, aws.Long:
		n, ok := v.(json.Number)
		if !ok {
			return mismatch(v, integerName(s))
		}
		i, err := wholeNumber(string(n))
		if err != nil || dst.OverflowInt(i) {
			return serialization("%s can not be converted to %s", n, integerName(s))
		}
		dst.SetInt(i)
		return nil
	case aws.Float, aws.Double:
		return setJSONFloat(dst, v)
	case aws.Timestamp:
		t, err := jsonTime(v)
		if err != nil {
			return mismatch(v, "a Timestamp")
		}
		dst.Set(reflect.ValueOf(t))
		return nil
	case aws.Blob:
		text, ok := v.(string)
		if !ok {
			return mismatch(v, "a Blob")
		}
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return serialization("A Blob is not valid base64")
		}
		dst.SetBytes(raw)
		return nil
	}
	return serialization("The value can not be read")
}

func integerName(s *aws.Shape) string {
	if s.Kind == aws.Long {
		return "a Long"
	}
	return "an Integer"
}

// wholeNumber reads an integer, also one written like 80.0 or 1e3.
func wholeNumber(text string) (int64, error) {
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		return i, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) >= 1<<53 {
		return 0, strconv.ErrSyntax
	}
	return int64(f), nil
}

func setJSONFloat(dst reflect.Value, v any) error {
	text := ""
	switch v := v.(type) {
	case json.Number:
		text = string(v)
	case string: // AWS writes the values that JSON lacks as strings
		if v != "NaN" && v != "Infinity" && v != "-Infinity" {
			return mismatch(v, "a Double")
		}
		text = v
	default:
		return mismatch(v, "a Double")
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return serialization("%s can not be converted to a Double", text)
	}
	dst.SetFloat(f)
	return nil
}

// jsonTime reads epoch seconds, or the ISO 8601 that some clients send.
func jsonTime(v any) (time.Time, error) {
	switch v := v.(type) {
	case json.Number:
		f, err := strconv.ParseFloat(string(v), 64)
		if err != nil || math.Abs(f) > 1e12 {
			return time.Time{}, strconv.ErrRange
		}
		return time.UnixMilli(int64(math.Round(f * 1000))).UTC(), nil
	case string:
		return parseTime(v)
	}
	return time.Time{}, strconv.ErrSyntax
}
