package metadata

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// tokens makes and checks the tokens of IMDSv2: the time they end, signed
// together with the instance they are for. The key lives as long as the
// process; after a restart clients are answered 401 and fetch a new token, as
// their SDKs do.
type tokens struct{ key [32]byte }

func newTokens() (t tokens) {
	_, _ = rand.Read(t.key[:]) // never fails: crypto/rand aborts the program instead
	return t
}

func (t tokens) issue(instance string, until time.Time) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(until.Unix()))
	return base64.URLEncoding.EncodeToString(append(b, t.sign(instance, b)...))
}

func (t tokens) valid(token, instance string, now time.Time) bool {
	b, err := base64.URLEncoding.DecodeString(token)
	if err != nil || len(b) != 8+sha256.Size {
		return false
	}
	return hmac.Equal(b[8:], t.sign(instance, b[:8])) && now.Unix() < int64(binary.BigEndian.Uint64(b))
}

func (t tokens) sign(instance string, b []byte) []byte {
	m := hmac.New(sha256.New, t.key[:])
	m.Write(b)
	m.Write([]byte(instance))
	return m.Sum(nil)
}
