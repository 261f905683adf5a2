package stream

import (
	"io"

	"minato/dataplane/proxy/http1"
)

// Body reads one message body off a stream, piece by piece as it comes.
type Body struct {
	s       *Stream
	Framing http1.Framing
	Left    int64 // of framing Length
	Decoder http1.Decoder
}

// Start begins with a body that comes by s.
func (b *Body) Start(s *Stream, f http1.Framing, length int64) {
	b.s, b.Framing, b.Left = s, f, length
	b.Decoder.Reset()
}

// Done reports whether the body was read to its end. One that lasts until the
// connection closes becomes NoBody then.
func (b *Body) Done() bool {
	switch b.Framing {
	case http1.NoBody:
		return true
	case http1.Length:
		return b.Left == 0
	case http1.Chunked:
		return b.Decoder.Done()
	}
	return false
}

// Here reports whether Next would not wait.
func (b *Body) Here() bool { return !b.Done() && b.s.r < b.s.w }

// Next returns the next piece; it is valid until the stream is read again. An
// empty piece is no end: see done. scratch is used to read into.
func (b *Body) Next(scratch []byte) ([]byte, error) {
	s := b.s
	if s.r == s.w {
		if b.Framing != http1.Chunked {
			return b.read(scratch)
		}
		if err := s.Fill(); err != nil {
			return nil, b.ended(err)
		}
	}
	p := s.Unread()
	switch b.Framing {
	case http1.Length:
		p = p[:min(int64(len(p)), b.Left)]
		b.Left -= int64(len(p))
		s.r += len(p)
	case http1.Chunked:
		content, rest, err := b.Decoder.Decode(p)
		if err != nil {
			return nil, err
		}
		s.r = s.w - len(rest)
		return content, nil
	default:
		s.r = s.w
	}
	return p, nil
}

// read reads a piece without the detour over the stream's buffer.
func (b *Body) read(p []byte) ([]byte, error) {
	if b.Framing == http1.Length {
		p = p[:min(int64(len(p)), b.Left)]
	}
	n, err := b.s.Receive(p)
	if err != nil {
		return nil, b.ended(err)
	}
	if b.Framing == http1.Length {
		b.Left -= int64(n)
	}
	return p[:n], nil
}

// ended turns the end of the connection into the end of the body, where that
// is how the body ends.
func (b *Body) ended(err error) error {
	if err != io.EOF {
		return err
	}
	if b.Framing == http1.UntilClose {
		b.Framing = http1.NoBody
		return nil
	}
	return io.ErrUnexpectedEOF
}
