// Package trace makes the ids that ALB gives requests.
package trace

import (
	"math/rand/v2"
	"time"
)

// AppendID appends a new id.
func AppendID(out []byte) []byte {
	out = append(out, "1-"...)
	out = AppendHex(out, uint64(time.Now().Unix()), 8)
	out = append(out, '-')
	out = AppendHex(out, rand.Uint64(), 16)
	return AppendHex(out, rand.Uint64(), 8)
}

// AppendHex appends the last n hexadecimal digits of v.
func AppendHex(out []byte, v uint64, n int) []byte {
	for n--; n >= 0; n-- {
		out = append(out, "0123456789abcdef"[v>>(4*n)&15])
	}
	return out
}

// HasRoot reports whether a trace id that came has its root already.
func HasRoot(v []byte) bool {
	for i := 0; i+5 <= len(v); i++ {
		if string(v[i:i+5]) == "Root=" && (i == 0 || v[i-1] == ';' || v[i-1] == ' ') {
			return true
		}
	}
	return false
}
