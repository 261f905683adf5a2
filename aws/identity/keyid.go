package identity

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strconv"
)

// NewKeyID makes an access key id with a prefix (AKIA for a user's key, ASIA
// for a temporary one). As on AWS the id holds the account: 40 bits after the
// first, so that it can be read without a look-up.
func NewKeyID(prefix, account string) string {
	n, err := strconv.ParseUint(account, 10, 40)
	if err != nil {
		n = 0
	}
	var b [10]byte
	rand.Read(b[:]) // never fails: crypto/rand aborts the program instead
	var head [8]byte
	binary.BigEndian.PutUint64(head[:], 1<<47|n<<7|uint64(b[0]&0x7f))
	copy(b[:6], head[2:])
	return prefix + base32.StdEncoding.EncodeToString(b[:])
}

// AccountOfKeyID reads the account out of an access key id; ok is false when s
// has not the form of one.
func AccountOfKeyID(s string) (account string, ok bool) {
	if len(s) != 20 {
		return "", false
	}
	b, err := base32.StdEncoding.DecodeString(s[4:])
	if err != nil {
		return "", false
	}
	var head [8]byte
	copy(head[2:], b[:6])
	return fmt.Sprintf("%012d", binary.BigEndian.Uint64(head[:])<<17>>24), true
}
