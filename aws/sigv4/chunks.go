package sigv4

import (
	"crypto/subtle"
	"encoding/hex"
)

// What a client says instead of the hash of a body that it sends in chunks.
const (
	Streaming         = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	StreamingTrailer  = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	StreamingUnsigned = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
)

// Chunks checks the signatures of a body's chunks: each signs the one before,
// the first signs the request's own.
type Chunks struct {
	key         []byte
	date, scope string
	previous    string
}

// Chunks returns the checker of the chunks that follow a verified request.
func (s *Signature) Chunks(secret string) *Chunks {
	return &Chunks{key: signingKey(secret, s.Scope), date: s.date, scope: s.Scope.String(), previous: s.Value}
}

// emptyHash is the hash of nothing.
var emptyHash = hashOf(nil)

// Chunk checks the signature of the next chunk, whose content has this hash.
func (c *Chunks) Chunk(hash, signature string) error {
	return c.check(algorithm+"-PAYLOAD\n"+c.date+"\n"+c.scope+"\n"+c.previous+"\n"+emptyHash+"\n"+hash, signature)
}

// Trailer checks the signature of the trailers, given as they are signed: a line
// each.
func (c *Chunks) Trailer(lines, signature string) error {
	return c.check(algorithm+"-TRAILER\n"+c.date+"\n"+c.scope+"\n"+c.previous+"\n"+hashOf([]byte(lines)), signature)
}

func (c *Chunks) check(toSign, signature string) error {
	want := hex.EncodeToString(mac(c.key, toSign))
	if subtle.ConstantTimeCompare([]byte(want), []byte(signature)) != 1 {
		return mismatch(notOurs)
	}
	c.previous = want
	return nil
}
