package engine

import (
	"io"

	"minato/dataplane/proxy/http1"
)

// body reads one message body off a stream, piece by piece as it comes.
type body struct {
	s       *stream
	framing http1.Framing
	left    int64 // of framing Length
	dec     http1.Decoder
}

func (b *body) start(s *stream, f http1.Framing, length int64) {
	b.s, b.framing, b.left = s, f, length
	b.dec.Reset()
}

// done reports whether the body was read to its end. One that lasts until the
// connection closes becomes NoBody then.
func (b *body) done() bool {
	switch b.framing {
	case http1.NoBody:
		return true
	case http1.Length:
		return b.left == 0
	case http1.Chunked:
		return b.dec.Done()
	}
	return false
}

// here reports whether next would not wait.
func (b *body) here() bool { return !b.done() && b.s.r < b.s.w }

// next returns the next piece; it is valid until the stream is read again. An
// empty piece is no end: see done. scratch is used to read into.
func (b *body) next(scratch []byte) ([]byte, error) {
	s := b.s
	if s.r == s.w {
		if b.framing != http1.Chunked {
			return b.read(scratch)
		}
		if err := s.fill(); err != nil {
			return nil, b.ended(err)
		}
	}
	p := s.unread()
	switch b.framing {
	case http1.Length:
		p = p[:min(int64(len(p)), b.left)]
		b.left -= int64(len(p))
		s.r += len(p)
	case http1.Chunked:
		content, rest, err := b.dec.Decode(p)
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
func (b *body) read(p []byte) ([]byte, error) {
	if b.framing == http1.Length {
		p = p[:min(int64(len(p)), b.left)]
	}
	n, err := b.s.read(p)
	if err != nil {
		return nil, b.ended(err)
	}
	if b.framing == http1.Length {
		b.left -= int64(n)
	}
	return p[:n], nil
}

// ended turns the end of the connection into the end of the body, where that
// is how the body ends.
func (b *body) ended(err error) error {
	if err != io.EOF {
		return err
	}
	if b.framing == http1.UntilClose {
		b.framing = http1.NoBody
		return nil
	}
	return io.ErrUnexpectedEOF
}
