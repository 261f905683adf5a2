package protocol

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"minato/aws"
)

// restCodec is restXml: members in the path, the query, headers and an XML body.
type restCodec struct{}

func (restCodec) contentType() string { return "application/xml" }

func (restCodec) unknown(c *Call) *aws.Error {
	e := &aws.Error{Code: "MethodNotAllowed", Message: "The specified method is not allowed against this resource.", Status: http.StatusMethodNotAllowed}
	if c.rest != nil {
		e.Fields = map[string]any{"Method": c.rest.http.Method}
	}
	return e
}

// decode reads the members from where the model says that they are.
func (restCodec) decode(c *Call, in reflect.Value) error {
	s, r := c.Operation.InputShape, c.rest
	for i := range s.Members {
		m := &s.Members[i]
		text, there := "", false
		switch m.Location {
		case "uri":
			text = map[string]string{"Bucket": r.bucket, "Key": r.key}[m.WireName]
			there = text != ""
		case "querystring":
			text, there = r.query.Get(m.WireName), r.query.Has(m.WireName)
		case "header":
			values := r.http.Header.Values(m.WireName)
			text, there = strings.Join(values, ","), len(values) > 0
			if m.WireName == "Content-Length" {
				text, there = strconv.FormatInt(r.stream.Size(), 10), true
			}
		case "headers":
			in.Field(m.Index).Set(prefixed(r.http.Header, m.WireName))
		default:
			if m.Name == s.Payload {
				if err := r.payload(in.Field(m.Index), m); err != nil {
					return err
				}
			}
		}
		if !there {
			continue
		}
		if err := setText(in.Field(m.Index), m, text); err != nil {
			return err
		}
	}
	return nil
}

// prefixed collects the headers whose names begin with a prefix; what follows
// it is small, as S3 keeps it.
func prefixed(h http.Header, prefix string) reflect.Value {
	var out map[string]string
	for name, values := range h {
		if rest, ok := strings.CutPrefix(strings.ToLower(name), prefix); ok && rest != "" {
			if out == nil {
				out = map[string]string{}
			}
			out[rest] = strings.Join(values, ",")
		}
	}
	return reflect.ValueOf(out)
}

// setText sets a member that is text in a header or in the query.
func setText(dst reflect.Value, m *aws.Member, text string) error {
	if m.Shape.Kind == aws.List {
		var elem reflect.Value
		for _, part := range strings.Split(text, ",") {
			elem = reflect.New(dst.Type().Elem()).Elem()
			elem.SetString(strings.TrimSpace(part))
			dst.Set(reflect.Append(dst, elem))
		}
		return nil
	}
	p := reflect.New(dst.Type().Elem())
	err := formDecoder{}.scalar(p.Elem(), m.Shape, &node{name: m.WireName, value: text, set: true})
	if err != nil {
		if m.Location == "header" && m.Shape.Kind == aws.Timestamp {
			return nil // a condition on a time that is none is ignored, as HTTP has it
		}
		return &aws.Error{
			Code: "InvalidArgument", Message: fmt.Sprintf("Provided %s not an integer or within integer range", m.WireName), Status: http.StatusBadRequest,
			Fields: map[string]any{"ArgumentName": m.WireName, "ArgumentValue": text},
		}
	}
	dst.Set(p)
	return nil
}

// payload sets the member that is the whole body.
func (r *restRequest) payload(dst reflect.Value, m *aws.Member) error {
	if m.Shape.Kind == aws.Stream {
		if r.stream != nil {
			dst.Set(reflect.ValueOf(io.ReadCloser(r.stream)))
		}
		return nil
	}
	if r.stream == nil {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(r.stream, MaxBody+1))
	switch {
	case err != nil:
		return err
	case len(body) > MaxBody:
		return &aws.Error{Code: "MaxMessageLengthExceeded", Message: "Your request was too large.", Status: http.StatusBadRequest}
	case len(body) == 0:
		return nil
	}
	if m.Shape.Kind == aws.String {
		text := string(body)
		dst.Set(reflect.ValueOf(&text))
		return nil
	}
	return decodeXML(body, dst, m.WireName, m.Shape)
}

// response is the body: the payload, or the members that are nowhere else.
func (restCodec) response(b []byte, op *aws.Operation, out reflect.Value, _ string) []byte {
	s := op.OutputShape
	if s == nil {
		return b
	}
	x := xmlEncoder{b: b, millis: true}
	if s.Payload != "" {
		for i := range s.Members {
			m := &s.Members[i]
			f := out.Field(m.Index)
			switch {
			case m.Name != s.Payload || f.IsNil():
			case m.Shape.Kind == aws.String:
				return append(x.b, f.Elem().String()...)
			case m.Shape.Kind == aws.Structure:
				x.b = append(x.b, xmlHead...)
				x.openNS(m.WireName, op.Service.XMLNamespace)
				x.members(m.Shape, f.Elem(), false)
				x.close(m.WireName)
			}
		}
		return x.b
	}
	if op.ResultWrapper == "" {
		return x.b
	}
	x.b = append(x.b, xmlHead...)
	x.openNS(op.ResultWrapper, op.Service.XMLNamespace)
	if i := unwrapped(op); i >= 0 {
		if f := out.Field(s.Members[i].Index); !f.IsNil() {
			x.scalar(s.Members[i].Shape, f.Elem())
		}
	} else {
		x.members(s, out, true)
	}
	x.close(op.ResultWrapper)
	return x.b
}

// unwrapped is the member that the root element itself holds, or -1:
// GetBucketLocation answers <LocationConstraint>eu-west-1</LocationConstraint>.
func unwrapped(op *aws.Operation) int {
	for i := range op.OutputShape.Members {
		if m := &op.OutputShape.Members[i]; m.WireName == op.ResultWrapper && m.Shape.Kind == aws.String {
			return i
		}
	}
	return -1
}

func (restCodec) failure(b []byte, _ *aws.Service, e *aws.Error, requestID string) []byte {
	if e.HTTPStatus() == http.StatusNotModified {
		return b
	}
	x := xmlEncoder{b: append(b, xmlHead...)}
	x.open("Error")
	x.text("Code", e.Code)
	x.text("Message", e.Message)
	for _, name := range fieldNames(e) {
		x.field(name, e.Fields[name])
	}
	x.text("RequestId", requestID)
	x.text("HostId", hostID(requestID))
	x.close("Error")
	return x.b
}

// hostID is the second id of S3's answers; it says no more than the first.
func hostID(requestID string) string { return base64.StdEncoding.EncodeToString([]byte(requestID)) }

// writeREST sends an output: members in headers, the body, or a stream.
func (c *Call) writeREST(w http.ResponseWriter, out reflect.Value, requestID string) error {
	op, h := c.Operation, w.Header()
	status, stream := max(op.Status, http.StatusOK), io.ReadCloser(nil)
	sized := false
	if s := op.OutputShape; s != nil {
		for i := range s.Members {
			m := &s.Members[i]
			f := out.Field(m.Index)
			if f.IsNil() {
				continue
			}
			switch {
			case m.Shape.Kind == aws.Stream:
				stream = f.Interface().(io.ReadCloser)
			case m.Location == "headers":
				for _, k := range sortedMapKeys(f) {
					h[m.WireName+k.String()] = []string{oneLine(f.MapIndex(k).String())}
				}
			case m.Location == "header":
				h[headerName(m.WireName)] = []string{oneLine(headerText(m.Shape, f.Elem()))}
				sized = sized || m.WireName == "Content-Length"
				if m.WireName == "Content-Range" {
					status = http.StatusPartialContent
				}
			}
		}
	}
	if stream != nil {
		defer stream.Close()
	}
	h["x-amz-request-id"], h["x-amz-id-2"] = []string{requestID}, []string{hostID(requestID)}
	if sized {
		w.WriteHeader(status)
		if stream == nil {
			return nil // HEAD: the length is of what GET would send
		}
		if _, err := io.Copy(w, stream); err != nil {
			// Whoever waits for the rest must not take what came for the whole.
			panic(http.ErrAbortHandler)
		}
		return nil
	}
	buf := getBuffer()
	defer putBuffer(buf)
	*buf = codecs[c.Protocol].response((*buf)[:0], op, out, requestID)
	return sendREST(w, status, *buf, requestID)
}

// headerName is a header as it goes into the map of net/http, which knows those
// of HTTP by their usual spelling; AWS's own are written small, and ETag so.
func headerName(wire string) string {
	if wire == "ETag" || strings.HasPrefix(wire, "x-amz-") {
		return wire
	}
	return http.CanonicalHeaderKey(wire)
}

// oneLine keeps a value that came from elsewhere from ending its header.
func oneLine(text string) string { return strings.NewReplacer("\r", " ", "\n", " ").Replace(text) }

// headerText is a scalar as headers have it.
func headerText(s *aws.Shape, v reflect.Value) string {
	if s.Kind == aws.Timestamp && s.Format != "iso8601" {
		return v.Interface().(time.Time).UTC().Format(http.TimeFormat)
	}
	x := xmlEncoder{millis: true}
	if s.Kind == aws.String {
		return v.String()
	}
	x.scalar(s, v)
	return string(x.b)
}

// sendREST writes head and body of an answer.
func sendREST(w http.ResponseWriter, status int, body []byte, requestID string) error {
	h := w.Header()
	h["x-amz-request-id"], h["x-amz-id-2"] = []string{requestID}, []string{hostID(requestID)}
	if len(body) > 0 {
		contentType := "application/xml"
		if body[0] != '<' {
			contentType = "application/json" // a bucket's policy
		}
		h.Set("Content-Type", contentType)
	}
	if status != http.StatusNoContent && status != http.StatusNotModified {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(status)
	_, err := w.Write(body)
	if status == http.StatusNoContent || status == http.StatusNotModified {
		return nil
	}
	return err
}
