// Package ids makes random identifiers in the forms AWS uses.
package ids

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
)

// Hex returns n random lower-case hexadecimal digits.
func Hex(n int) string {
	b := make([]byte, (n+1)/2)
	rand.Read(b) // never fails: crypto/rand aborts the program instead
	return hex.EncodeToString(b)[:n]
}

// EC2 returns an EC2 resource id such as "vpc-0123456789abcdef0".
func EC2(prefix string) string { return prefix + "-0" + Hex(16) }

// UUID returns a random UUID in lower case.
func UUID() string {
	h := Hex(32)
	return fmt.Sprintf("%s-%s-4%s-%x%s-%s", h[:8], h[8:12], h[13:16], 8+(hexVal(h[16])&3), h[17:20], h[20:32])
}

func hexVal(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c - 'a' + 10
}

const base32Upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

// Base32 returns n random characters of A-Z and 2-7, as in access key ids and
// unique ids of IAM.
func Base32(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	for i := range b {
		b[i] = base32Upper[b[i]&31]
	}
	return string(b)
}

const lowerAlnum = "abcdefghijklmnopqrstuvwxyz0123456789"

// Alnum returns n random lower-case letters and digits.
func Alnum(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	for i := range b {
		b[i] = lowerAlnum[int(b[i])%len(lowerAlnum)]
	}
	return string(b)
}
