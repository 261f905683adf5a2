package protocol

import (
	"encoding/binary"
	"math"
	"reflect"
	"time"
	"unicode/utf8"

	"minato/aws"
)

// The major types of CBOR (RFC 8949), and the simple values that are used.
const (
	cborUint   = 0
	cborNegint = 1
	cborBytes  = 2
	cborText   = 3
	cborArray  = 4
	cborMap    = 5
	cborTag    = 6
	cborSimple = 7

	cborFalse     = 20
	cborTrue      = 21
	cborNull      = 22
	cborUndefined = 23
	cborHalf      = 25
	cborSingle    = 26
	cborDouble    = 27
	cborBreak     = 31 // ends what has no length; as a length: there is none

	tagEpoch = 1
)

// cborNames are what the major types are called in messages.
var cborNames = [...]string{"an integer", "an integer", "a byte string", "a text string", "an array", "a map", "a tag", "a simple value"}

// cborCodec is Smithy's RPC v2 over CBOR: the operation is in the path, the
// input is a map with the members' names.
type cborCodec struct{}

func (cborCodec) contentType() string { return "application/cbor" }

func (cborCodec) unknown(c *Call) *aws.Error {
	return aws.Errorf("UnknownOperationException", "The operation %q is not known.", c.Name)
}

// decode reads the body; a member that the model does not know is ignored.
func (cborCodec) decode(c *Call, in reflect.Value) error {
	if len(c.body) == 0 {
		return nil
	}
	r := &cborReader{b: c.body}
	if err := r.value(in, c.Operation.InputShape, 0); err != nil {
		return err
	}
	if r.at != len(r.b) {
		return serialization("The body is more than one CBOR item")
	}
	return nil
}

// cborReader reads items from b and sets what they are decoded to.
type cborReader struct {
	b  []byte
	at int
}

// cborHead is the first part of an item: its major type, the five bits beside
// it and the number they stand for.
type cborHead struct {
	major, info byte
	n           uint64
}

func (h cborHead) open() bool { return h.info == cborBreak }

func (h cborHead) absent() bool {
	return h.major == cborSimple && (h.info == cborNull || h.info == cborUndefined)
}

func cut() *aws.Error { return serialization("The body ends within a CBOR item") }

func (r *cborReader) head() (cborHead, error) {
	if r.at >= len(r.b) {
		return cborHead{}, cut()
	}
	h := cborHead{major: r.b[r.at] >> 5, info: r.b[r.at] & 31}
	r.at++
	switch {
	case h.info < 24:
		h.n = uint64(h.info)
		return h, nil
	case h.info == cborBreak:
		if h.major == cborUint || h.major == cborNegint || h.major == cborTag {
			return h, serialization("The body is not valid CBOR")
		}
		return h, nil
	case h.info > 27:
		return h, serialization("The body is not valid CBOR")
	}
	size := 1 << (h.info - 24)
	if len(r.b)-r.at < size {
		return h, cut()
	}
	for _, c := range r.b[r.at : r.at+size] {
		h.n = h.n<<8 | uint64(c)
	}
	r.at += size
	return h, nil
}

// ended tells whether a break comes next, and passes over it.
func (r *cborReader) ended() bool {
	if r.at < len(r.b) && r.b[r.at] == cborSimple<<5|cborBreak {
		r.at++
		return true
	}
	return false
}

// value decodes the next item into dst, a member or an element.
func (r *cborReader) value(dst reflect.Value, s *aws.Shape, depth int) error {
	if depth > maxDepth {
		return serialization("The input is nested too deeply")
	}
	h, err := r.head()
	if err != nil {
		return err
	}
	if h.absent() {
		return nil
	}
	return r.item(h, dst, s, depth)
}

// item decodes what follows a head.
func (r *cborReader) item(h cborHead, dst reflect.Value, s *aws.Shape, depth int) error {
	if dst.Kind() == reflect.Pointer && s.Kind != aws.Document {
		p := reflect.New(dst.Type().Elem())
		if err := r.item(h, p.Elem(), s, depth); err != nil {
			return err
		}
		dst.Set(p)
		return nil
	}
	switch s.Kind {
	case aws.Structure:
		if h.major != cborMap {
			return h.mismatch("a Structure")
		}
		return r.pairs(h, func(key string) error {
			for i := range s.Members {
				if m := &s.Members[i]; m.WireName == key {
					return r.value(dst.Field(m.Index), m.Shape, depth+1)
				}
			}
			return r.skip(depth + 1)
		})
	case aws.Map:
		if h.major != cborMap {
			return h.mismatch("a Map")
		}
		out := reflect.MakeMap(dst.Type())
		dst.Set(out)
		return r.pairs(h, func(key string) error {
			elem := reflect.New(dst.Type().Elem()).Elem()
			here, err := r.head()
			if err != nil || here.absent() {
				return err
			}
			if err := r.item(here, elem, s.Elem, depth+1); err != nil {
				return err
			}
			out.SetMapIndex(reflect.ValueOf(key), elem)
			return nil
		})
	case aws.List:
		return r.list(h, dst, s, depth)
	case aws.Document:
		return serialization("A document can not be read from CBOR")
	}
	return r.scalar(h, dst, s)
}

// pairs calls each for every key of a map; each reads the value.
func (r *cborReader) pairs(h cborHead, each func(key string) error) error {
	for i := uint64(0); h.open() || i < h.n; i++ {
		if h.open() && r.ended() {
			return nil
		}
		k, err := r.head()
		if err != nil {
			return err
		}
		if k.major != cborText {
			return k.mismatch("a key")
		}
		key, err := r.text(k)
		if err != nil {
			return err
		}
		if err := each(key); err != nil {
			return err
		}
	}
	return nil
}

func (r *cborReader) list(h cborHead, dst reflect.Value, s *aws.Shape, depth int) error {
	if h.major != cborArray {
		return h.mismatch("a List")
	}
	out := reflect.MakeSlice(dst.Type(), 0, int(min(h.n, uint64(len(r.b)-r.at), 4096)))
	for i := uint64(0); h.open() || i < h.n; i++ {
		if h.open() && r.ended() {
			break
		}
		e, err := r.head()
		if err != nil {
			return err
		}
		if e.absent() {
			continue
		}
		if depth >= maxDepth {
			return serialization("The input is nested too deeply")
		}
		elem := reflect.New(dst.Type().Elem()).Elem()
		if err := r.item(e, elem, s.Elem, depth+1); err != nil {
			return err
		}
		out = reflect.Append(out, elem)
	}
	dst.Set(out)
	return nil
}

// text reads the bytes of a string, of one piece or of many.
func (r *cborReader) text(h cborHead) (string, error) {
	raw, err := r.raw(h)
	if err == nil && !utf8.Valid(raw) {
		err = serialization("A text string is not valid UTF-8")
	}
	return string(raw), err
}

func (r *cborReader) raw(h cborHead) ([]byte, error) {
	if !h.open() {
		if h.n > uint64(len(r.b)-r.at) {
			return nil, cut()
		}
		raw := r.b[r.at : r.at+int(h.n)]
		r.at += int(h.n)
		return raw, nil
	}
	var all []byte
	for !r.ended() {
		piece, err := r.head()
		if err != nil {
			return nil, err
		}
		if piece.major != h.major || piece.open() {
			return nil, serialization("The body is not valid CBOR")
		}
		raw, err := r.raw(piece)
		if err != nil {
			return nil, err
		}
		all = append(all, raw...)
	}
	return all, nil
}

func (h cborHead) mismatch(what string) *aws.Error {
	return serialization("CBOR's %s can not be converted to %s", cborNames[h.major], what)
}

func (r *cborReader) scalar(h cborHead, dst reflect.Value, s *aws.Shape) error {
	switch s.Kind {
	case aws.String:
		if h.major != cborText {
			return h.mismatch("a String")
		}
		text, err := r.text(h)
		dst.SetString(text)
		return err
	case aws.Boolean:
		if h.major != cborSimple || h.info != cborFalse && h.info != cborTrue {
			return h.mismatch("a Boolean")
		}
		dst.SetBool(h.info == cborTrue)
	case aws.Integer, aws.Long:
		i, ok := h.whole()
		if !ok || dst.OverflowInt(i) {
			return h.mismatch(integerName(s))
		}
		dst.SetInt(i)
	case aws.Float, aws.Double:
		f, ok := h.number()
		if !ok {
			return h.mismatch("a Double")
		}
		dst.SetFloat(f)
	case aws.Timestamp:
		if h.major != cborTag || h.n != tagEpoch {
			return h.mismatch("a Timestamp")
		}
		v, err := r.head()
		if err != nil {
			return err
		}
		f, ok := v.number()
		if !ok || math.IsNaN(f) || math.Abs(f) > 1e12 {
			return v.mismatch("a Timestamp")
		}
		dst.Set(reflect.ValueOf(time.UnixMilli(int64(math.Round(f * 1000))).UTC()))
	case aws.Blob:
		if h.major != cborBytes {
			return h.mismatch("a Blob")
		}
		raw, err := r.raw(h)
		dst.SetBytes(append([]byte{}, raw...))
		return err
	}
	return nil
}

// whole is the item's value if it is an integer.
func (h cborHead) whole() (int64, bool) {
	switch {
	case h.n > math.MaxInt64:
		return 0, false
	case h.major == cborUint:
		return int64(h.n), true
	case h.major == cborNegint:
		return -1 - int64(h.n), true
	}
	return 0, false
}

// number is the item's value if it is a number.
func (h cborHead) number() (float64, bool) {
	switch {
	case h.major == cborUint:
		return float64(h.n), true
	case h.major == cborNegint:
		return -1 - float64(h.n), true
	case h.major != cborSimple:
	case h.info == cborHalf:
		return half(uint16(h.n)), true
	case h.info == cborSingle:
		return float64(math.Float32frombits(uint32(h.n))), true
	case h.info == cborDouble:
		return math.Float64frombits(h.n), true
	}
	return 0, false
}

// half is the value of a number of 16 bits.
func half(bits uint16) float64 {
	exp, frac := int(bits>>10&31), float64(bits&1023)
	var f float64
	switch exp {
	case 0:
		f = math.Ldexp(frac, -24)
	case 31:
		if f = math.Inf(1); frac != 0 {
			f = math.NaN()
		}
	default:
		f = math.Ldexp(frac+1024, exp-25)
	}
	if bits&0x8000 != 0 {
		return -f
	}
	return f
}

// skip passes over the next item, whatever it is.
func (r *cborReader) skip(depth int) error {
	if depth > maxDepth {
		return serialization("The input is nested too deeply")
	}
	h, err := r.head()
	if err != nil {
		return err
	}
	switch h.major {
	case cborBytes, cborText:
		_, err := r.raw(h)
		return err
	case cborTag:
		return r.skip(depth + 1)
	case cborSimple:
		if h.open() {
			return serialization("The body is not valid CBOR")
		}
	case cborArray, cborMap:
		for i := uint64(0); h.open() || i < h.n; i++ {
			if h.open() && r.ended() {
				return nil
			}
			if err := r.skip(depth + 1); err != nil {
				return err
			}
			if h.major == cborMap {
				if err := r.skip(depth + 1); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// response is the output as a map; an operation without output answers with
// an empty body.
func (cborCodec) response(b []byte, op *aws.Operation, out reflect.Value, _ string) []byte {
	if op.OutputShape == nil {
		return b
	}
	return appendCBOR(b, op.OutputShape, out)
}

// failure is {"__type": the shape's id, "message": text}.
func (cborCodec) failure(b []byte, svc *aws.Service, e *aws.Error, _ string) []byte {
	kind := shapeOf(e)
	if svc != nil {
		kind = "com.amazonaws." + svc.Name + "#" + kind
	}
	var texts []string
	for _, name := range fieldNames(e) {
		if _, ok := e.Fields[name].(string); ok {
			texts = append(texts, name)
		}
	}
	b = appendCBORHead(b, cborMap, uint64(2+len(texts)))
	b = appendCBORText(appendCBORText(b, "__type"), kind)
	b = appendCBORText(appendCBORText(b, "message"), e.Message)
	for _, name := range texts {
		b = appendCBORText(appendCBORText(b, name), e.Fields[name].(string))
	}
	return b
}

// shapeOf is what a service that has codes of an older protocol calls the error
// in the newer ones.
func shapeOf(e *aws.Error) string { return or(e.Shape, e.Code) }

func appendCBORHead(b []byte, major byte, n uint64) []byte {
	major <<= 5
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n <= math.MaxUint8:
		return append(b, major|24, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), n)
}

func appendCBORText(b []byte, text string) []byte {
	if !utf8.ValidString(text) {
		text = string([]rune(text)) // what is not UTF-8 becomes U+FFFD
	}
	return append(appendCBORHead(b, cborText, uint64(len(text))), text...)
}

func appendCBORDouble(b []byte, f float64) []byte {
	return binary.BigEndian.AppendUint64(append(b, cborSimple<<5|cborDouble), math.Float64bits(f))
}

// appendCBOR appends a value. Absent members and nil lists and maps are left
// out; an empty list is written.
func appendCBOR(b []byte, s *aws.Shape, v reflect.Value) []byte {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	switch s.Kind {
	case aws.Structure:
		there := uint64(0)
		for i := range s.Members {
			if !v.Field(s.Members[i].Index).IsNil() {
				there++
			}
		}
		b = appendCBORHead(b, cborMap, there)
		for i := range s.Members {
			m := &s.Members[i]
			if f := v.Field(m.Index); !f.IsNil() {
				b = appendCBOR(appendCBORText(b, m.WireName), m.Shape, f)
			}
		}
	case aws.List:
		b = appendCBORHead(b, cborArray, uint64(v.Len()))
		for i, n := 0, v.Len(); i < n; i++ {
			b = appendCBOR(b, s.Elem, v.Index(i))
		}
	case aws.Map:
		b = appendCBORHead(b, cborMap, uint64(v.Len()))
		for _, k := range sortedMapKeys(v) {
			b = appendCBOR(appendCBORText(b, k.String()), s.Elem, v.MapIndex(k))
		}
	case aws.Boolean:
		if v.Bool() {
			return append(b, cborSimple<<5|cborTrue)
		}
		return append(b, cborSimple<<5|cborFalse)
	case aws.Integer, aws.Long:
		if i := v.Int(); i < 0 {
			return appendCBORHead(b, cborNegint, uint64(-1-i))
		}
		return appendCBORHead(b, cborUint, uint64(v.Int()))
	case aws.Float, aws.Double:
		return appendCBORDouble(b, v.Float())
	case aws.Timestamp:
		ms := v.Interface().(time.Time).UnixMilli()
		return appendCBORDouble(appendCBORHead(b, cborTag, tagEpoch), float64(ms)/1000)
	case aws.Blob:
		return append(appendCBORHead(b, cborBytes, uint64(v.Len())), v.Bytes()...)
	case aws.Document:
		return append(b, cborSimple<<5|cborNull)
	default:
		b = appendCBORText(b, v.String())
	}
	return b
}
