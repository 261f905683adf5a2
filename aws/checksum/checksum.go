// Package checksum knows the checksums that S3's clients send with what they
// upload: how each is called, made and, for the parts of an upload, put together.
package checksum

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"strings"
)

// Algorithm is the name of a checksum as S3's API has it.
type Algorithm string

// The algorithms that are served.
const (
	CRC32     Algorithm = "CRC32"
	CRC32C    Algorithm = "CRC32C"
	CRC64NVME Algorithm = "CRC64NVME"
	SHA1      Algorithm = "SHA1"
	SHA256    Algorithm = "SHA256"
)

// All lists the algorithms, in the order in which S3 looks for them.
var All = []Algorithm{CRC32, CRC32C, CRC64NVME, SHA1, SHA256}

// headerPrefix begins the names of headers and trailers that hold checksums.
const headerPrefix = "x-amz-checksum-"

// Header is the name of the header that holds the checksum.
func (a Algorithm) Header() string { return headerPrefix + strings.ToLower(string(a)) }

// Parse finds the algorithm of a name, in any case.
func Parse(name string) (Algorithm, bool) {
	for _, a := range All {
		if strings.EqualFold(string(a), name) {
			return a, true
		}
	}
	return "", false
}

// OfHeader finds the algorithm of a header's name.
func OfHeader(name string) (Algorithm, bool) {
	rest, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(name)), headerPrefix)
	if !ok {
		return "", false
	}
	return Parse(rest)
}

// Bit-reversed polynomials.
const (
	polyCRC32     = crc32.IEEE
	polyCRC32C    = crc32.Castagnoli
	polyCRC64NVME = 0x9a6c9329ac4bc9b5
)

var (
	tableCRC32C    = crc32.MakeTable(polyCRC32C)
	tableCRC64NVME = crc64.MakeTable(polyCRC64NVME)
)

// New returns a new hash of the algorithm.
func (a Algorithm) New() hash.Hash {
	switch a {
	case CRC32:
		return crc32.NewIEEE()
	case CRC32C:
		return crc32.New(tableCRC32C)
	case CRC64NVME:
		return crc64.New(tableCRC64NVME)
	case SHA1:
		return sha1.New()
	case SHA256:
		return sha256.New()
	}
	panic("checksum: no algorithm " + string(a))
}

// Size is the number of bytes of a checksum.
func (a Algorithm) Size() int { return a.New().Size() }

// Valid tells whether a text is a checksum of the algorithm in base64.
func (a Algorithm) Valid(text string) bool {
	raw, err := base64.StdEncoding.DecodeString(text)
	return err == nil && len(raw) == a.Size()
}

// Combines tells whether the checksum of a whole can be made of those of its
// parts: the CRCs are linear, the others are not.
func (a Algorithm) Combines() bool { return a == CRC32 || a == CRC32C || a == CRC64NVME }

// Combine returns the CRC of two pieces together, from the CRC of each and the
// length of the second.
func (a Algorithm) Combine(first, second []byte, length int64) []byte {
	poly, width := uint64(polyCRC64NVME), 64
	switch a {
	case CRC32:
		poly, width = polyCRC32, 32
	case CRC32C:
		poly, width = polyCRC32C, 32
	}
	sum := advance(number(first), poly, width, length) ^ number(second)
	if width == 32 {
		return binary.BigEndian.AppendUint32(nil, uint32(sum))
	}
	return binary.BigEndian.AppendUint64(nil, sum)
}

func number(raw []byte) (n uint64) {
	for _, b := range raw {
		n = n<<8 | uint64(b)
	}
	return n
}

// matrix is a linear map over GF(2): column i is what bit i becomes.
type matrix [64]uint64

func (m *matrix) times(v uint64) (sum uint64) {
	for i := 0; v != 0; i, v = i+1, v>>1 {
		if v&1 != 0 {
			sum ^= m[i]
		}
	}
	return sum
}

func (m *matrix) squared() (out matrix) {
	for i := range m {
		out[i] = m.times(m[i])
	}
	return out
}

// advance is the CRC after length zero bytes more: the map of one zero bit,
// raised to the number of bits by squaring.
func advance(crc, poly uint64, width int, length int64) uint64 {
	var m matrix
	m[0] = poly
	for i := 1; i < width; i++ {
		m[i] = 1 << (i - 1)
	}
	for range 3 { // one bit, two, four, eight: a byte
		m = m.squared()
	}
	for ; length > 0; length >>= 1 {
		if length&1 != 0 {
			crc = m.times(crc)
		}
		m = m.squared()
	}
	return crc
}
