// Package payload reads the body of a request to S3 and holds it, as it is read,
// to everything that the client said of it: its length, its SHA-256, its MD5,
// its checksum in a header or after the body, the signature of each chunk.
//
// A body is never held whole. What does not hold is an error of Read, before
// io.EOF: who stores what was read must not keep it without having seen io.EOF.
//
// S3's clients send a body in one of five ways, told by the header
// x-amz-content-sha256: with its hash, without one (UNSIGNED-PAYLOAD), in
// chunks that are signed each, in chunks with signed trailers, or in unsigned
// chunks with trailers. The trailers hold a checksum, made while it was sent.
package payload

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"

	"minato/aws"
	"minato/aws/checksum"
	"minato/aws/sigv4"
)

// Body is the content of a request's body, without the framing that it may have
// been sent in. It is read by one goroutine.
type Body struct {
	from    io.Reader // content
	closer  io.Closer
	chunked *chunked // nil when it is not sent in chunks
	size    int64
	read    int64
	err     error // what Read answers from now on

	claimed   string // hash that was signed, or ""
	sha       hash.Hash
	wantMD5   string
	md5       hash.Hash
	algorithm checksum.Algorithm
	want      string // the checksum, as the client has it; from a trailer, known at the end
	sum       hash.Hash
}

// New prepares the body of a request. The chunks may be nil: then their
// signatures are not checked. Content-Encoding loses the framing, which is not
// the content's.
func New(r *http.Request, chunks *sigv4.Chunks) (*Body, error) {
	b := &Body{from: r.Body, closer: r.Body, size: r.ContentLength}
	if r.Body == nil {
		b.from, b.closer = http.NoBody, http.NoBody
	}
	if err := b.digests(r); err != nil {
		return nil, err
	}
	switch claimed := r.Header.Get("X-Amz-Content-Sha256"); claimed {
	case "", sigv4.Unsigned:
	case sigv4.Streaming, sigv4.StreamingTrailer, sigv4.StreamingUnsigned:
		if err := b.frame(r, claimed, chunks); err != nil {
			return nil, err
		}
	default:
		if raw, err := hex.DecodeString(claimed); err != nil || len(raw) != sha256.Size {
			return nil, invalidArgument("x-amz-content-sha256", claimed, "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, or a valid sha256 value.")
		}
		b.claimed, b.sha = strings.ToLower(claimed), sha256.New()
	}
	if b.size < 0 {
		return nil, &aws.Error{Code: "MissingContentLength", Message: "You must provide the Content-Length HTTP header.", Status: http.StatusLengthRequired}
	}
	return b, nil
}

// digests reads what the headers say of the content.
func (b *Body) digests(r *http.Request) error {
	if text := r.Header.Get("Content-Md5"); text != "" {
		if raw, err := base64.StdEncoding.DecodeString(text); err != nil || len(raw) != md5.Size {
			return &aws.Error{Code: "InvalidDigest", Message: "The Content-MD5 you specified was invalid.", Status: http.StatusBadRequest, Fields: map[string]any{"Content-MD5": text}}
		}
		b.wantMD5, b.md5 = text, md5.New()
	}
	for name, values := range r.Header {
		if a, ok := checksum.OfHeader(name); ok {
			if b.algorithm != "" {
				return invalidRequest("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
			}
			if !a.Valid(values[0]) {
				return invalidRequest("Value for " + a.Header() + " header is invalid.")
			}
			b.algorithm, b.want = a, values[0]
		}
	}
	if trailer := r.Header.Get("X-Amz-Trailer"); trailer != "" {
		a, ok := checksum.OfHeader(trailer)
		if !ok {
			return invalidRequest("The value specified in the x-amz-trailer header is not supported")
		}
		if b.algorithm != "" {
			return invalidRequest("Expecting a single x-amz-checksum- header")
		}
		b.algorithm = a
	}
	if b.algorithm != "" {
		b.sum = b.algorithm.New()
	}
	return nil
}

// frame takes the content out of its chunks.
func (b *Body) frame(r *http.Request, kind string, chunks *sigv4.Chunks) error {
	length, err := strconv.ParseInt(r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64)
	if err != nil || length < 0 {
		return &aws.Error{Code: "MissingContentLength", Message: "You must provide the x-amz-decoded-content-length HTTP header.", Status: http.StatusLengthRequired}
	}
	if kind == sigv4.StreamingUnsigned {
		chunks = nil
	}
	b.size = length
	b.chunked = newChunked(b.from, kind != sigv4.StreamingUnsigned, chunks)
	b.from = b.chunked
	var kept []string
	for _, v := range strings.Split(r.Header.Get("Content-Encoding"), ",") {
		if v = strings.TrimSpace(v); v != "" && v != "aws-chunked" {
			kept = append(kept, v)
		}
	}
	r.Header.Del("Content-Encoding")
	if len(kept) > 0 {
		r.Header.Set("Content-Encoding", strings.Join(kept, ","))
	}
	return nil
}

// Size is the length of the content.
func (b *Body) Size() int64 { return b.size }

// Algorithm is the checksum that the client sends of the content; "" for none.
func (b *Body) Algorithm() checksum.Algorithm { return b.algorithm }

// Checksum is the checksum, in base64, of what was read.
func (b *Body) Checksum() string {
	if b.sum == nil {
		return ""
	}
	return base64.StdEncoding.EncodeToString(b.sum.Sum(nil))
}

// Read implements io.Reader.
func (b *Body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.from.Read(p)
	for _, h := range []hash.Hash{b.sha, b.md5, b.sum} {
		if h != nil {
			h.Write(p[:n])
		}
	}
	b.read += int64(n)
	switch {
	case b.read > b.size:
		err = incomplete()
	case err == io.EOF:
		if err = b.check(); err == nil {
			err = io.EOF
		}
	case err != nil:
		if e := aws.AsError(err); e.HTTPStatus() >= 500 {
			err = incomplete().Because(err) // the connection broke
		}
	}
	b.err = err
	return n, err
}

// Close implements io.Closer.
func (b *Body) Close() error { return b.closer.Close() }

// check is done at the end of the content.
func (b *Body) check() error {
	if b.read != b.size {
		return incomplete()
	}
	if b.sha != nil {
		if got := hex.EncodeToString(b.sha.Sum(nil)); got != b.claimed {
			return &aws.Error{
				Code: "XAmzContentSHA256Mismatch", Message: "The provided 'x-amz-content-sha256' header does not match what was computed.", Status: http.StatusBadRequest,
				Fields: map[string]any{"ClientComputedContentSHA256": b.claimed, "S3ComputedContentSHA256": got},
			}
		}
	}
	if b.md5 != nil {
		if got := base64.StdEncoding.EncodeToString(b.md5.Sum(nil)); got != b.wantMD5 {
			return &aws.Error{
				Code: "BadDigest", Message: "The Content-MD5 you specified did not match what we received.", Status: http.StatusBadRequest,
				Fields: map[string]any{"ExpectedDigest": b.wantMD5, "CalculatedDigest": got},
			}
		}
	}
	return b.checkSum()
}

func (b *Body) checkSum() error {
	if b.sum == nil {
		return nil
	}
	if b.want == "" && b.chunked != nil {
		b.want = b.chunked.trailers[b.algorithm.Header()]
	}
	if b.want == "" {
		return &aws.Error{Code: "MalformedTrailerError", Message: "The request contained trailing data that was not well-formed or did not conform to our published schema.", Status: http.StatusBadRequest}
	}
	if !b.algorithm.Valid(b.want) {
		return invalidRequest("Value for " + b.algorithm.Header() + " trailing header is invalid.")
	}
	if b.Checksum() != b.want {
		return &aws.Error{Code: "BadDigest", Message: "The " + string(b.algorithm) + " you specified did not match the calculated checksum.", Status: http.StatusBadRequest}
	}
	return nil
}

func invalidRequest(message string) *aws.Error {
	return &aws.Error{Code: "InvalidRequest", Message: message, Status: http.StatusBadRequest}
}

func invalidArgument(name, value, message string) *aws.Error {
	return &aws.Error{Code: "InvalidArgument", Message: message, Status: http.StatusBadRequest, Fields: map[string]any{"ArgumentName": name, "ArgumentValue": value}}
}

func incomplete() *aws.Error {
	return &aws.Error{Code: "IncompleteBody", Message: "The request body terminated unexpectedly", Status: http.StatusBadRequest}
}
