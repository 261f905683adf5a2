package protocol

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"minato/aws"
	"minato/aws/sigv4"
)

// MaxBody is the size in bytes over which a request's body is refused.
const MaxBody = 6 << 20

// maxDepth bounds the nesting of inputs; AWS's deepest are far below it.
const maxDepth = 64

// codec is one wire protocol.
type codec interface {
	// decode fills the struct that in is from the request.
	decode(c *Call, in reflect.Value) error
	// response appends the body of a successful answer.
	response(b []byte, op *aws.Operation, out reflect.Value, requestID string) []byte
	// failure appends the body of an error.
	failure(b []byte, svc *aws.Service, e *aws.Error, requestID string) []byte
	// contentType is the media type of both.
	contentType() string
	// unknown is the error for an operation of that name that does not exist.
	unknown(c *Call) *aws.Error
}

// codecs are the protocols that are spoken.
var codecs = map[aws.Protocol]codec{
	aws.JSON10: jsonCodec{"1.0"},
	aws.JSON11: jsonCodec{"1.1"},
	aws.Query:  queryCodec{},
	aws.EC2:    ec2Codec{},
	aws.CBOR:   cborCodec{},

	aws.RestXML: restCodec{},
}

// Call is one request, as far as it is understood.
type Call struct {
	Service   *aws.Service   // nil when the request names none that is served
	Operation *aws.Operation // nil when the operation is unknown or not served
	Name      string         // the operation's name as the client gave it
	Protocol  aws.Protocol   // what the answer is encoded in
	form      url.Values     // of the query protocols
	body      []byte
	rest      *restRequest // of the REST protocols
}

// Router finds the service and operation of a request.
type Router struct {
	byTarget  map[string]*aws.Service
	byVersion map[string]*aws.Service
	bySigning map[string]*aws.Service
	paths     *aws.Service // S3, whose requests are told by their paths; nil when it is not served
	routes    []restRoute
}

// NewRouter makes a Router for the services.
func NewRouter(services ...*aws.Service) *Router {
	rt := &Router{byTarget: map[string]*aws.Service{}, byVersion: map[string]*aws.Service{}, bySigning: map[string]*aws.Service{}}
	for _, s := range services {
		if s.TargetPrefix != "" {
			rt.byTarget[s.TargetPrefix] = s
		}
		if speaksForms(s) {
			rt.byVersion[s.APIVersion] = s
		}
		if s.Protocols[0] == aws.RestXML {
			rt.paths, rt.routes = s, restRoutes(s)
		}
		rt.bySigning[s.SigningName] = s
	}
	return rt
}

// ReadBody reads the body of a request, up to MaxBody.
func ReadBody(r *http.Request) ([]byte, error) {
	if r.Body == nil || r.ContentLength == 0 {
		return nil, nil
	}
	if r.ContentLength > MaxBody {
		return nil, tooLarge()
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, MaxBody+1))
	if err != nil {
		return nil, aws.Errorf("IncompleteBody", "The request body terminated unexpectedly").Because(err)
	}
	if len(body) > MaxBody {
		return nil, tooLarge()
	}
	return body, nil
}

func tooLarge() *aws.Error {
	return &aws.Error{Code: "RequestEntityTooLarge", Message: "Request entity too large", Status: http.StatusRequestEntityTooLarge}
}

// Route finds out what a request means. The Call is never nil, so that an
// error can be encoded in the protocol that the client speaks.
func (rt *Router) Route(r *http.Request, body []byte) (*Call, error) {
	c := &Call{Protocol: aws.Query, body: body}
	scope, _ := sigv4.ScopeOf(r)
	c.Service = rt.bySigning[scope.Service]
	unread := c.inflate(r)
	var err error
	if r.Header.Get("Smithy-Protocol") != "" {
		rt.routePath(c, r)
	} else if target := r.Header.Get("X-Amz-Target"); target != "" {
		rt.routeTarget(c, r, target)
	} else {
		err = rt.routeForm(c, r)
	}
	if unread != nil {
		return c, unread // in the protocol that was found out
	}
	if c.Service == nil && c.Name == "" && scope.Service != "" {
		c.guessREST(r, scope.Service)
	} else if err != nil {
		return c, err
	}
	if c.Service == nil {
		return c, rt.notHere(c, scope.Service)
	}
	if c.Operation = c.Service.Operations[c.Name]; c.Operation == nil {
		if c.Service.Known[c.Name] {
			return c, notServed(c)
		}
		return c, codecs[c.Protocol].unknown(c)
	}
	return c, nil
}

// notHere is the error for a request to a service that minato has not, named as
// its clients sign: an error in their own protocol, which no SDK retries.
func (rt *Router) notHere(c *Call, signingName string) *aws.Error {
	e := codecs[c.Protocol].unknown(c)
	if signingName != "" && rt.bySigning[signingName] == nil {
		e.Message = signingName + " is a service that minato does not serve (" + c.Name + ")."
	}
	return e
}

// xmlServices are the services of AWS, as they sign, whose REST protocol is of XML.
var xmlServices = []string{"s3", "route53", "cloudfront"}

// guessREST is for a request to a service that is not here and speaks a REST
// protocol: the method and path stand for the operation's name.
func (c *Call) guessREST(r *http.Request, signingName string) {
	c.Name = r.Method + " " + r.URL.Path
	if !slices.Contains(xmlServices, signingName) {
		c.Protocol = aws.JSON11 // an error looks the same in REST's JSON
	}
}

// inflate undoes the compression that SDKs apply to large bodies of some
// operations (PutMetricData); the signature is of what was sent.
func (c *Call) inflate(r *http.Request) error {
	if !strings.EqualFold(r.Header.Get("Content-Encoding"), "gzip") || len(c.body) == 0 {
		return nil // aws-chunked and the like are of services that are not here
	}
	z, err := gzip.NewReader(bytes.NewReader(c.body))
	if err != nil {
		return serialization("The body is not valid gzip").Because(err)
	}
	body, err := io.ReadAll(io.LimitReader(z, MaxBody+1))
	switch {
	case err != nil:
		return serialization("The body is not valid gzip").Because(err)
	case len(body) > MaxBody:
		return tooLarge()
	}
	c.body = body
	return nil
}

// routePath reads the path of RPC v2, /service/<name>/operation/<operation>.
// The name is the one that JSON's targets have before the dot.
func (rt *Router) routePath(c *Call, r *http.Request) {
	c.Protocol = aws.CBOR
	rest, _ := strings.CutPrefix(r.URL.Path, "/service/")
	name, op, _ := strings.Cut(rest, "/operation/")
	c.Service, c.Name = rt.byTarget[name], op
	if c.Service != nil && (!slices.Contains(c.Service.Protocols, aws.CBOR) || r.Header.Get("Smithy-Protocol") != "rpc-v2-cbor") {
		c.Service = nil
	}
}

// routeTarget reads the header of the JSON protocols.
func (rt *Router) routeTarget(c *Call, r *http.Request, target string) {
	c.Protocol = aws.JSON11
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-amz-json-1.0") {
		c.Protocol = aws.JSON10
	}
	i := strings.LastIndexByte(target, '.')
	c.Service, c.Name = rt.byTarget[target[:max(i, 0)]], target[i+1:]
}

// routeForm reads Action and Version of the query protocols.
func (rt *Router) routeForm(c *Call, r *http.Request) error {
	if c.Service != nil && len(c.Service.Protocols) > 0 && codecs[c.Service.Protocols[0]] != nil {
		c.Protocol = c.Service.Protocols[0]
	}
	form, err := url.ParseQuery(string(c.body))
	if err != nil {
		return aws.Errorf("MalformedQueryString", "The query string contains a syntax error.").Because(err)
	}
	if inURL, err := url.ParseQuery(r.URL.RawQuery); err != nil {
		return aws.Errorf("MalformedQueryString", "The query string contains a syntax error.").Because(err)
	} else if len(inURL) > 0 {
		for k, v := range inURL {
			form[k] = append(form[k], v...)
		}
	}
	c.form, c.Name = form, form.Get("Action")
	version := form.Get("Version")
	if s := rt.byVersion[version]; s != nil {
		c.Service = s
	} else if version != "" && c.Service != nil && formProtocol(c.Service) == aws.Query {
		c.Service = nil // another API under the same name: Classic Load Balancers are
	}
	if c.Service != nil && speaksForms(c.Service) {
		c.Protocol = formProtocol(c.Service)
	}
	if c.Name == "" {
		return aws.Errorf("MissingAction", "The request is missing an action or a required parameter.")
	}
	return nil
}

func speaksForms(s *aws.Service) bool { return formProtocol(s) != "" }

// formProtocol returns the form protocol of the service, "" for none.
func formProtocol(s *aws.Service) aws.Protocol {
	for _, p := range s.Protocols {
		if p == aws.Query || p == aws.EC2 {
			return p
		}
	}
	return ""
}

// notServed is the error for an operation that AWS has and minato has not. The
// code is that of an unknown operation, which no SDK retries.
func notServed(c *Call) *aws.Error {
	e := codecs[c.Protocol].unknown(c)
	e.Message = c.Service.IAMPrefix + ":" + c.Name + " is an operation of AWS that minato does not serve."
	return e
}

// Decode returns the input of the call, a pointer to the operation's input struct.
func (c *Call) Decode() (any, error) {
	in := reflect.New(c.Operation.Input)
	if c.Operation.InputShape == nil {
		return in.Interface(), nil
	}
	if err := codecs[c.Protocol].decode(c, in.Elem()); err != nil {
		return nil, err
	}
	return in.Interface(), nil
}

// WriteResponse sends the output of the call, a pointer to the operation's
// output struct.
func (c *Call) WriteResponse(w http.ResponseWriter, out any, requestID string) error {
	cd := codecs[c.Protocol]
	v := reflect.ValueOf(out)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Type() != c.Operation.Output {
		return aws.Internal(errBadOutput(c.Operation, out))
	}
	if c.rest != nil {
		return c.writeREST(w, v.Elem(), requestID)
	}
	buf := getBuffer()
	defer putBuffer(buf)
	*buf = cd.response((*buf)[:0], c.Operation, v.Elem(), requestID)
	return send(w, cd, http.StatusOK, *buf, requestID)
}

// WriteError sends an error in the call's protocol.
func (c *Call) WriteError(w http.ResponseWriter, e *aws.Error, requestID string) error {
	cd := codecs[c.Protocol]
	buf := getBuffer()
	defer putBuffer(buf)
	*buf = cd.failure((*buf)[:0], c.Service, e, requestID)
	switch c.Protocol {
	case aws.RestXML:
		for name, value := range e.Headers {
			w.Header()[headerName(name)] = []string{oneLine(value)}
		}
		if c.rest != nil && c.rest.http.Header.Get("Expect") != "" {
			// Who asked first and was refused may have a body on its way; and
			// botocore waits for ever on a connection that it was refused on
			// before, unless it was closed, as S3 does.
			w.Header().Set("Connection", "close")
		}
		return sendREST(w, e.HTTPStatus(), *buf, requestID)
	case aws.JSON10, aws.JSON11:
		w.Header().Set("X-Amzn-Errortype", shapeOf(e))
		fallthrough
	case aws.CBOR:
		if c.Service != nil && c.Service.QueryErrors {
			fault := "Sender"
			if e.HTTPStatus() >= 500 {
				fault = "Receiver"
			}
			w.Header().Set("X-Amzn-Query-Error", e.Code+";"+fault)
		}
	}
	return send(w, cd, e.HTTPStatus(), *buf, requestID)
}
