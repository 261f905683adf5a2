package payload

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"strconv"
	"strings"

	"minato/aws/sigv4"
)

// Limits of what surrounds the content.
const (
	maxLine     = 4 << 10 // of a chunk's head, or of a trailer
	maxTrailers = 16
)

// chunked takes content out of S3's own chunks (Content-Encoding: aws-chunked):
//
//	1000;chunk-signature=6d1a…   CRLF   size in hexadecimal
//	content                      CRLF
//	0;chunk-signature=27a4…      CRLF   the last
//	x-amz-checksum-crc32:uAe…    CRLF   trailers, where the kind has them
//	x-amz-trailer-signature:a0…  CRLF
//	                             CRLF
type chunked struct {
	from   *bufio.Reader
	signed bool          // a chunk has a signature
	check  *sigv4.Chunks // nil: it is not checked

	left      int64 // of this chunk
	begun     bool  // a chunk was read before
	hash      hash.Hash
	signature string
	trailers  map[string]string
	err       error
}

func newChunked(from io.Reader, signed bool, check *sigv4.Chunks) *chunked {
	return &chunked{from: bufio.NewReaderSize(from, maxLine), signed: signed, check: check, hash: sha256.New(), trailers: map[string]string{}}
}

// Read implements io.Reader.
func (c *chunked) Read(p []byte) (int, error) {
	for c.err == nil && c.left == 0 {
		c.err = c.next()
	}
	if c.err != nil {
		return 0, c.err
	}
	if int64(len(p)) > c.left {
		p = p[:c.left]
	}
	n, err := c.from.Read(p)
	if c.check != nil {
		c.hash.Write(p[:n])
	}
	c.left -= int64(n)
	if err == io.EOF {
		err = incomplete()
	}
	c.err = err
	return n, err
}

// next ends the chunk before and reads the head of the one that follows; io.EOF
// after the last.
func (c *chunked) next() error {
	if c.begun {
		if line, err := c.line(); err != nil {
			return err
		} else if line != "" {
			return incomplete()
		}
		if err := c.verify(); err != nil {
			return err
		}
	}
	c.begun = true
	line, err := c.line()
	if err != nil {
		return err
	}
	size, extension, _ := strings.Cut(line, ";")
	c.left, err = strconv.ParseInt(size, 16, 64)
	if err != nil || c.left < 0 || size[0] == '+' {
		return incomplete()
	}
	if c.signed {
		name, value, _ := strings.Cut(extension, "=")
		if name != "chunk-signature" {
			return incomplete()
		}
		c.signature = value
	}
	if c.left > 0 {
		return nil
	}
	if err := c.verify(); err != nil {
		return err
	}
	return c.end()
}

// verify checks the signature of the chunk that was read.
func (c *chunked) verify() error {
	if c.check == nil {
		return nil
	}
	sum := hex.EncodeToString(c.hash.Sum(nil))
	c.hash.Reset()
	return c.check.Chunk(sum, c.signature)
}

// trailerSignature is the trailer that signs those before it.
const trailerSignature = "x-amz-trailer-signature"

// end reads the trailers. Some clients leave out the empty line at the end of a
// body without trailers.
func (c *chunked) end() error {
	var lines strings.Builder
	for {
		line, err := c.line()
		if err == io.ErrUnexpectedEOF && len(c.trailers) == 0 {
			break
		}
		if err != nil {
			return err
		}
		if line == "" {
			break
		}
		name, value, ok := strings.Cut(line, ":")
		if name = strings.ToLower(strings.TrimSpace(name)); !ok || name == "" || len(c.trailers) >= maxTrailers {
			return incomplete()
		}
		value = strings.TrimSpace(value)
		c.trailers[name] = value
		if name != trailerSignature {
			lines.WriteString(name + ":" + value + "\n")
		}
	}
	if c.check != nil && lines.Len() > 0 {
		if err := c.check.Trailer(lines.String(), c.trailers[trailerSignature]); err != nil {
			return err
		}
	}
	return io.EOF
}

// line reads a line without its end; io.ErrUnexpectedEOF when there is none.
func (c *chunked) line() (string, error) {
	raw, err := c.from.ReadSlice('\n')
	switch {
	case err == io.EOF && len(raw) == 0:
		return "", io.ErrUnexpectedEOF
	case err == io.EOF, err == bufio.ErrBufferFull:
		return "", incomplete()
	case err != nil:
		return "", err
	}
	return string(bytes.TrimSuffix(raw[:len(raw)-1], []byte{'\r'})), nil
}
