package http1

// Decoder takes the chunked coding off a body that comes in pieces. The zero
// Decoder is ready for a body.
type Decoder struct {
	state   decoderState
	left    uint64 // of the chunk
	digits  int
	line    int    // length of the present chunk-size line
	trailer []byte // the trailer section, once there is one
	done    bool
}

type decoderState uint8

const (
	inSize decoderState = iota
	inExtension
	sizeLF
	inData
	dataCR
	dataLF
	inTrailer
)

const (
	maxSizeLine = 1 << 10
	maxTrailer  = 16 << 10
)

// Reset makes the Decoder ready for another body.
func (d *Decoder) Reset() { *d = Decoder{trailer: d.trailer[:0]} }

// Done reports whether the body has ended.
func (d *Decoder) Done() bool { return d.done }

// Trailers appends the fields of the trailer section that may be passed on.
// Only after Done.
func (d *Decoder) Trailers(fields []Field) ([]Field, error) {
	n := len(fields)
	fields, _, err := ParseFields(d.trailer, fields)
	kept := fields[:n]
	for _, f := range fields[n:] {
		if f.Known == Other { // never framing, routing or connection options
			kept = append(kept, f)
		}
	}
	return kept, err
}

// Decode takes bytes of a chunked body and returns the content in them, moved
// together at the beginning of p, and what follows the body in p.
func (d *Decoder) Decode(p []byte) (content, rest []byte, err error) {
	n := 0
	for i := 0; i < len(p) && !d.done; {
		c := p[i]
		switch d.state {
		case inSize:
			if v := unhex(c); v < 16 {
				if d.digits++; d.digits > 15 {
					return nil, nil, bad("chunk too large")
				}
				d.left = d.left<<4 | uint64(v)
				i++
				continue
			}
			if d.digits == 0 {
				return nil, nil, bad("malformed chunk size")
			}
			if c != '\r' && c != ';' && c != ' ' && c != '\t' {
				return nil, nil, bad("malformed chunk size")
			}
			d.state = inExtension
		case inExtension:
			switch {
			case c == '\r':
				d.state = sizeLF
			case class[c]&isValue == 0:
				return nil, nil, bad("malformed chunk extension")
			}
			if d.line++; d.line > maxSizeLine {
				return nil, nil, bad("chunk extension too long")
			}
			i++
		case sizeLF:
			if c != '\n' {
				return nil, nil, bad("chunk size does not end in CR LF")
			}
			i++
			if d.state = inData; d.left == 0 {
				d.state = inTrailer
			}
			d.digits, d.line = 0, 0
		case inData:
			k := int(min(d.left, uint64(len(p)-i)))
			if n != i {
				copy(p[n:], p[i:i+k])
			}
			n, i = n+k, i+k
			if d.left -= uint64(k); d.left == 0 {
				d.state = dataCR
			}
		case dataCR:
			if c != '\r' {
				return nil, nil, bad("chunk is longer than its size")
			}
			d.state = dataLF
			i++
		case dataLF:
			if c != '\n' {
				return nil, nil, bad("chunk is longer than its size")
			}
			d.state = inSize
			i++
		case inTrailer:
			d.trailer = append(d.trailer, c)
			i++
			if c == '\n' {
				t := d.trailer
				if len(t) < 2 || t[len(t)-2] != '\r' {
					return nil, nil, bad("trailer does not end in CR LF")
				}
				if len(t) == 2 || len(t) >= 4 && t[len(t)-3] == '\n' {
					d.done = true
					rest = p[i:]
				}
			}
			if len(d.trailer) > maxTrailer {
				return nil, nil, bad("trailer too long")
			}
		}
	}
	return p[:n], rest, nil
}

func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

// AppendChunk appends content as one chunk. No content appends nothing, as an
// empty chunk would end the body.
func AppendChunk(dst, content []byte) []byte {
	if len(content) == 0 {
		return dst
	}
	const digits = "0123456789abcdef"
	n := uint64(len(content))
	shift := 60
	for n>>shift == 0 {
		shift -= 4
	}
	for ; shift >= 0; shift -= 4 {
		dst = append(dst, digits[n>>shift&15])
	}
	dst = append(dst, '\r', '\n')
	dst = append(dst, content...)
	return append(dst, '\r', '\n')
}

// AppendEnd appends the last chunk and the trailers.
func AppendEnd(dst []byte, trailers []Field) []byte {
	dst = append(dst, "0\r\n"...)
	for _, f := range trailers {
		dst = AppendField(dst, f.Name, f.Value)
	}
	return append(dst, '\r', '\n')
}

// AppendField appends one header line.
func AppendField(dst, name, value []byte) []byte {
	dst = append(dst, name...)
	dst = append(dst, ':', ' ')
	dst = append(dst, value...)
	return append(dst, '\r', '\n')
}
