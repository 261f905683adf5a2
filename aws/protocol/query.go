package protocol

import (
	"encoding/json"
	"reflect"
	"sort"
	"strings"

	"minato/aws"
)

// queryCodec is awsQuery: forms in, XML out.
type queryCodec struct{}

func (queryCodec) contentType() string { return "text/xml" }

func (queryCodec) unknown(c *Call) *aws.Error {
	version := ""
	if c.Service != nil {
		version = c.Service.APIVersion
	}
	return aws.Errorf("InvalidAction", "Could not find operation %s for version %s", c.Name, or(c.form.Get("Version"), version))
}

func (queryCodec) decode(c *Call, in reflect.Value) error {
	root, err := tree(c.form)
	if err != nil {
		return err
	}
	return formDecoder{}.structure(in, c.Operation.InputShape, root)
}

func (queryCodec) response(b []byte, op *aws.Operation, out reflect.Value, requestID string) []byte {
	x := xmlEncoder{b: b, millis: !op.Service.Global}
	response := op.Name + "Response"
	x.openNS(response, op.Service.XMLNamespace)
	if op.OutputShape != nil {
		if op.ResultWrapper != "" {
			x.open(op.ResultWrapper)
		}
		x.members(op.OutputShape, out, true)
		if op.ResultWrapper != "" {
			x.close(op.ResultWrapper)
		}
	}
	x.open("ResponseMetadata")
	x.text("RequestId", requestID)
	x.close("ResponseMetadata")
	x.close(response)
	return append(x.b, '\n')
}

func (queryCodec) failure(b []byte, svc *aws.Service, e *aws.Error, requestID string) []byte {
	x := xmlEncoder{b: b}
	namespace := ""
	if svc != nil {
		namespace = svc.XMLNamespace
	}
	x.openNS("ErrorResponse", namespace)
	x.open("Error")
	fault := "Sender"
	if e.HTTPStatus() >= 500 {
		fault = "Receiver"
	}
	x.text("Type", fault)
	x.text("Code", e.Code)
	x.text("Message", e.Message)
	for _, name := range fieldNames(e) {
		x.field(name, e.Fields[name])
	}
	x.close("Error")
	x.text("RequestId", requestID)
	x.close("ErrorResponse")
	return append(x.b, '\n')
}

// ec2Codec is ec2Query: like awsQuery, but lists are flat in the form, there
// is no result element, and errors have their own shape.
type ec2Codec struct{}

func (ec2Codec) contentType() string { return "text/xml;charset=UTF-8" }

func (ec2Codec) unknown(c *Call) *aws.Error {
	return aws.Errorf("InvalidAction", "The action %s is not valid for this web service.", c.Name)
}

// ec2Common are the parameters that belong to the request, not to the input.
var ec2Common = map[string]bool{
	"Action": true, "Version": true, "AWSAccessKeyId": true, "Signature": true, "SignatureMethod": true,
	"SignatureVersion": true, "Timestamp": true, "SecurityToken": true, "Expires": true,
}

// decode refuses parameters that the operation has not, as EC2 does.
func (ec2Codec) decode(c *Call, in reflect.Value) error {
	root, err := tree(c.form)
	if err != nil {
		return err
	}
	d := formDecoder{ec2: true}
	known := make(map[string]bool, len(c.Operation.InputShape.Members))
	for i := range c.Operation.InputShape.Members {
		known[d.name(&c.Operation.InputShape.Members[i])] = true
	}
	var unknown []string
	for name := range root.children {
		if !known[name] && !ec2Common[name] && !strings.HasPrefix(name, "X-Amz-") {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		sort.Strings(unknown)
		return aws.Errorf("UnknownParameter", "The parameter %s is not recognized", unknown[0])
	}
	return d.structure(in, c.Operation.InputShape, root)
}

func (ec2Codec) response(b []byte, op *aws.Operation, out reflect.Value, requestID string) []byte {
	x := xmlEncoder{b: append(b, xmlHead...), millis: true}
	response := op.Name + "Response"
	x.openNS(response, op.Service.XMLNamespace+"/")
	x.text("requestId", requestID)
	if op.OutputShape != nil {
		x.members(op.OutputShape, out, true)
	} else {
		x.text("return", "true")
	}
	x.close(response)
	return x.b
}

func (ec2Codec) failure(b []byte, _ *aws.Service, e *aws.Error, requestID string) []byte {
	x := xmlEncoder{b: append(b, xmlHead...)}
	for _, name := range []string{"Response", "Errors", "Error"} {
		x.open(name)
	}
	x.text("Code", e.Code)
	x.text("Message", e.Message)
	x.close("Error")
	x.close("Errors")
	x.text("RequestID", requestID)
	x.close("Response")
	return x.b
}

// field writes a further member of an error: text as it is, lists element by element.
func (x *xmlEncoder) field(name string, v any) {
	switch v := v.(type) {
	case string:
		x.text(name, v)
	case []string:
		x.open(name)
		for _, e := range v {
			x.text("member", e)
		}
		x.close(name)
	default:
		if raw, err := json.Marshal(v); err == nil {
			x.text(name, string(raw))
		}
	}
}

// or returns s, or the other when s is empty.
func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
