package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// iamPrefixes are the prefixes of IAM actions where they are not the name that
// requests are signed for.
var iamPrefixes = map[string]string{"cloudwatch": "cloudwatch"}

// kinds are the names of the kinds in package aws, by the model's type.
var kinds = map[string]string{
	"structure": "Structure", "list": "List", "map": "Map", "string": "String", "character": "String",
	"integer": "Integer", "long": "Long", "float": "Float", "double": "Double", "boolean": "Boolean", "timestamp": "Timestamp", "blob": "Blob",
}

// roots are the elements around the answers of S3's operations that have no
// payload of their own. They are in Smithy's model of S3 (xmlName) and in S3's
// documentation, not in botocore's, whose parser does not look at them.
var roots = map[string]string{
	"ListBuckets": "ListAllMyBucketsResult", "ListObjects": "ListBucketResult", "ListObjectsV2": "ListBucketResult", "ListObjectVersions": "ListVersionsResult",
	"ListMultipartUploads": "ListMultipartUploadsResult", "ListParts": "ListPartsResult", "CreateMultipartUpload": "InitiateMultipartUploadResult",
	"CompleteMultipartUpload": "CompleteMultipartUploadResult", "DeleteObjects": "DeleteResult", "GetBucketLocation": "LocationConstraint", "GetBucketTagging": "Tagging",
	"GetObjectTagging": "Tagging", "GetBucketAcl": "AccessControlPolicy", "GetObjectAcl": "AccessControlPolicy", "GetBucketVersioning": "VersioningConfiguration",
	"GetBucketLogging": "BucketLoggingStatus", "GetBucketCors": "CORSConfiguration", "GetBucketWebsite": "WebsiteConfiguration", "GetBucketRequestPayment": "RequestPaymentConfiguration",
	"GetBucketAccelerateConfiguration": "AccelerateConfiguration", "GetBucketLifecycleConfiguration": "LifecycleConfiguration",
	"GetBucketNotificationConfiguration": "NotificationConfiguration", "GetObjectAttributes": "GetObjectAttributesResponse",
}

// protocols are the names of the protocols in package aws.
func (p *pkg) protocols() ([]string, error) {
	list := p.m.Metadata.Protocols
	if len(list) == 0 {
		list = []string{p.m.Metadata.Protocol}
	}
	var names []string
	for _, name := range list {
		if name == "json" {
			name += p.m.Metadata.JSONVersion
		}
		n, ok := map[string]string{
			"json1.0": "aws.JSON10", "json1.1": "aws.JSON11", "query": "aws.Query", "ec2": "aws.EC2",
			"rest-json": "aws.RestJSON", "rest-xml": "aws.RestXML", "smithy-rpc-v2-cbor": "aws.CBOR",
		}[name]
		if !ok {
			return nil, fmt.Errorf("protocol %s is not known", name)
		}
		names = append(names, n)
	}
	return names, nil
}

// fault is the code of a fault of the service's own: the error of that kind that
// most of its operations have. Services that model none answer AWS's common one,
// EC2 its own.
func (p *pkg) fault() string {
	uses, best := map[string]int{}, ""
	for _, op := range p.ops() {
		for _, r := range op.Errors {
			s := p.m.Shapes[r.Shape]
			code, status := s.errorCode(r.Shape)
			if status < 500 {
				continue
			}
			if uses[code]++; uses[code] > uses[best] || uses[code] == uses[best] && code < best {
				best = code
			}
		}
	}
	switch {
	case 2*uses[best] > len(p.ops()):
		return best
	case p.m.Metadata.Protocol == "ec2", p.m.Metadata.Protocol == "rest-xml":
		return "InternalError"
	}
	return "InternalFailure"
}

// writeOperations writes the description of the service and its operations.
// The structs are static data; only what needs reflection is left to init.
func (p *pkg) writeOperations(b *bytes.Buffer) error {
	md := p.m.Metadata
	signing := md.SigningName
	if signing == "" {
		signing = md.EndpointPrefix
	}
	iam := signing
	if v, ok := iamPrefixes[p.name]; ok {
		iam = v
	}
	protocols, err := p.protocols()
	if err != nil {
		return err
	}
	fmt.Fprintf(b, "package %s\n\nimport \"minato/aws\"\n\n", p.name)
	fmt.Fprintf(b, "// Model describes the service on the wire.\nvar Model = &aws.Service{\n\tName: %q,\n\tServiceID: %q,\n\tSigningName: %q,\n\tIAMPrefix: %q,\n\tAPIVersion: %q,\n",
		p.name, md.ServiceID, signing, iam, md.APIVersion)
	fmt.Fprintf(b, "\tTargetPrefix: %q,\n\tXMLNamespace: %q,\n\tProtocols: []aws.Protocol{%s},\n\tFault: %q,\n\tGlobal: %v,\n",
		md.TargetPrefix, p.m.namespace(), strings.Join(protocols, ", "), p.fault(), md.GlobalEndpoint != "" && !rest(p.m))
	if md.QueryErrors != nil {
		b.WriteString("\tQueryErrors: true,\n")
	}
	if len(p.m.Routes) > 0 {
		b.WriteString("\tUnserved: []aws.Route{\n")
		for _, name := range sortedKeys(p.m.Routes) {
			method, uri, _ := strings.Cut(p.m.Routes[name], " ")
			fmt.Fprintf(b, "\t\t{Name: %q, Method: %q, URI: %q},\n", name, method, uri)
		}
		b.WriteString("\t},\n")
	}
	b.WriteString("}\n\n")
	b.WriteString("// The operations that minato serves.\nvar (\n")
	for _, op := range p.ops() {
		fmt.Fprintf(b, "\top%s = aws.Operation{Name: %q, Method: %q, URI: %q", op.Name, op.Name, op.HTTP.Method, op.HTTP.RequestURI)
		if op.HTTP.ResponseCode != 0 {
			fmt.Fprintf(b, ", Status: %d", op.HTTP.ResponseCode)
		}
		switch {
		case rest(p.m) && roots[op.Name] != "":
			fmt.Fprintf(b, ", ResultWrapper: %q", roots[op.Name])
		case op.Output != nil && op.Output.ResultWrapper != "":
			fmt.Fprintf(b, ", ResultWrapper: %q", op.Output.ResultWrapper)
		}
		if op.Input != nil {
			fmt.Fprintf(b, ", InputShape: &%s", p.varOf(op.Input.Shape))
		}
		if op.Output != nil {
			fmt.Fprintf(b, ", OutputShape: &%s", p.varOf(op.Output.Shape))
		}
		b.WriteString("}\n")
	}
	b.WriteString(")\n\nfunc init() {\n")
	for _, op := range p.ops() {
		fmt.Fprintf(b, "\taws.Register[%sInput, %sOutput](Model, &op%s)\n", op.Name, op.Name, op.Name)
	}
	b.WriteString("\tModel.Know(known)\n}\n\n// known are all operations of the service, served or not, between spaces.\nconst known = \"\" +\n")
	for i := 0; i < len(p.m.Known); i += 8 {
		line := strings.Join(p.m.Known[i:min(i+8, len(p.m.Known))], " ")
		if i+8 < len(p.m.Known) {
			fmt.Fprintf(b, "\t%q +\n", line+" ")
		} else {
			fmt.Fprintf(b, "\t%q\n", line)
		}
	}
	return nil
}

// varOf returns the name of the variable that holds a shape's table.
func (p *pkg) varOf(name string) string {
	if v := p.vars[name]; v != "" {
		return v
	}
	v := p.varNames.free("shape"+exported(name), name)
	p.vars[name] = v
	return v
}

// writeShapes writes the tables of all shapes as static data: nothing runs at
// start but the closing of cycles, which Go forbids between initializers.
func (p *pkg) writeShapes(b *bytes.Buffer) error {
	reached := p.reached()
	for _, name := range reached {
		p.varOf(name)
	}
	back := p.backReferences(reached)
	limits := map[string]string{}
	var body bytes.Buffer
	for _, name := range reached {
		p.writeShape(&body, name, back, limits)
	}
	fmt.Fprintf(b, "package %s\n\n", p.name)
	if len(reached) == 0 {
		return nil
	}
	b.WriteString("import \"minato/aws\"\n\n")
	if len(limits) > 0 {
		b.WriteString("// The limits of lengths and ranges.\nvar (\n")
		for _, v := range sortedKeys(limits) {
			fmt.Fprintf(b, "\t%s float64 = %s\n", v, limits[v])
		}
		b.WriteString(")\n\n")
	}
	b.WriteString("// The tables of the shapes.\nvar (\n")
	b.Write(body.Bytes())
	b.WriteString(")\n")
	if len(back) > 0 {
		b.WriteString("\n// init closes the cycles of shapes that contain themselves.\nfunc init() {\n")
		for _, place := range sortedKeys(back) {
			fmt.Fprintf(b, "\t%s = &%s\n", place, p.varOf(back[place]))
		}
		b.WriteString("}\n")
	}
	return nil
}

// backReferences finds the uses that close a cycle: the place to set at start,
// and the shape to set it to.
func (p *pkg) backReferences(reached []string) map[string]string {
	back := map[string]string{}
	state := map[string]int{} // 1 on the path, 2 done
	var walk func(name string)
	walk = func(name string) {
		state[name] = 1
		s := p.m.Shapes[name]
		step := func(place string, to string) {
			switch state[to] {
			case 0:
				walk(to)
			case 1:
				back[place] = to
			}
		}
		for i, member := range sortedKeys(s.Members) {
			step(fmt.Sprintf("%s.Members[%d].Shape", p.varOf(name), i), s.Members[member].Shape)
		}
		if s.Member != nil {
			step(p.varOf(name)+".Elem", s.Member.Shape)
		}
		if s.Value != nil {
			step(p.varOf(name)+".Elem", s.Value.Shape)
		}
		state[name] = 2
	}
	for _, name := range reached {
		if state[name] == 0 {
			walk(name)
		}
	}
	return back
}

// writeShape writes one shape's table.
func (p *pkg) writeShape(b *bytes.Buffer, name string, back, limits map[string]string) {
	s, v := p.m.Shapes[name], p.varOf(name)
	kind := kinds[s.Type]
	switch {
	case s.Document:
		kind = "Document"
	case p.m.streams(name):
		kind = "Stream"
	}
	use := func(field, to string) string {
		if back[v+"."+field] != "" {
			return ""
		}
		return ", " + field[strings.LastIndex(field, ".")+1:] + ": &" + p.varOf(to)
	}
	fmt.Fprintf(b, "\t%s = aws.Shape{Name: %q, Kind: aws.%s", v, name, kind)
	switch {
	case s.Member != nil:
		elem := s.Member.LocationName
		if elem == "" {
			elem = "member"
		}
		fmt.Fprintf(b, "%s, ElemName: %q", use("Elem", s.Member.Shape), elem)
	case s.Value != nil:
		fmt.Fprintf(b, ", Key: &%s%s, KeyName: %q, ValueName: %q", p.varOf(s.Key.Shape), use("Elem", s.Value.Shape),
			or(s.Key.LocationName, "key"), or(s.Value.LocationName, "value"))
	}
	for _, limit := range []struct {
		field string
		value *float64
	}{{"Min", s.Min}, {"Max", s.Max}} {
		if limit.value != nil {
			number := strconv.FormatFloat(*limit.value, 'f', -1, 64)
			lv := "limit" + strings.NewReplacer("-", "Minus", ".", "Point").Replace(number)
			limits[lv] = number
			fmt.Fprintf(b, ", %s: &%s", limit.field, lv)
		}
	}
	if s.Pattern != "" {
		fmt.Fprintf(b, ", Pattern: %q", s.Pattern)
	}
	if enumerated(s) {
		fmt.Fprintf(b, ", Enum: []string{\"%s\"}", strings.Join(s.Enum, `", "`))
	}
	if s.TimestampFormat != "" {
		fmt.Fprintf(b, ", Format: %q", s.TimestampFormat)
	}
	if s.Payload != "" {
		fmt.Fprintf(b, ", Payload: %q", s.Payload)
	}
	if s.Flattened {
		b.WriteString(", Flattened: true")
	}
	if s.XMLNamespace != nil && s.XMLNamespace.Prefix != "" {
		fmt.Fprintf(b, ", Namespace: %q", "xmlns:"+s.XMLNamespace.Prefix+"=\""+s.XMLNamespace.URI+"\"")
	}
	if s.Sensitive {
		b.WriteString(", Sensitive: true")
	}
	if len(s.Members) > 0 && !s.Document {
		b.WriteString(", Members: []aws.Member{\n")
		p.writeMembers(b, s, use)
		b.WriteString("\t}")
	}
	b.WriteString("}\n")
}

// writeMembers writes the members of a structure's table.
func (p *pkg) writeMembers(b *bytes.Buffer, s *shape, use func(field, to string) string) {
	required := map[string]bool{}
	for _, name := range s.Required {
		required[name] = true
	}
	for i, name := range sortedKeys(s.Members) {
		r := s.Members[name]
		wire := or(r.LocationName, name)
		query := r.QueryName
		if query == "" {
			query = strings.ToUpper(wire[:1]) + wire[1:]
		}
		fmt.Fprintf(b, "\t\t{Name: %q, Index: %d%s, WireName: %q, QueryName: %q", name, i, use(fmt.Sprintf("Members[%d].Shape", i), r.Shape), wire, query)
		if r.Location != "" {
			fmt.Fprintf(b, ", Location: %q", r.Location)
		}
		if required[name] {
			b.WriteString(", Required: true")
		}
		if r.Flattened {
			b.WriteString(", Flattened: true")
		}
		if r.XMLAttribute {
			b.WriteString(", Attribute: true")
		}
		if r.IdempotencyToken {
			b.WriteString(", Idempotent: true")
		}
		b.WriteString("},\n")
	}
}

// or returns s, or the other when s is empty.
func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
