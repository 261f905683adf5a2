package checksum

import (
	"bytes"
	"encoding/hex"
	"testing"

	"pgregory.net/rapid"
)

// TestKnown holds the algorithms to their published check values.
func TestKnown(t *testing.T) {
	for a, want := range map[Algorithm]string{
		CRC32: "cbf43926", CRC32C: "e3069283", CRC64NVME: "ae8b14860a799888",
		SHA1: "f7c3bc1d808e04732adf679965ccc34ca7ae3441", SHA256: "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
	} {
		h := a.New()
		h.Write([]byte("123456789"))
		if got := hex.EncodeToString(h.Sum(nil)); got != want {
			t.Errorf("%s of 123456789 is %s, not %s", a, got, want)
		}
	}
}

func TestCombine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first, second := rapid.SliceOf(rapid.Byte()).Draw(t, "first"), rapid.SliceOf(rapid.Byte()).Draw(t, "second")
		for _, a := range All {
			if !a.Combines() {
				continue
			}
			sum := func(text []byte) []byte {
				h := a.New()
				h.Write(text)
				return h.Sum(nil)
			}
			if got, want := a.Combine(sum(first), sum(second), int64(len(second))), sum(append(bytes.Clone(first), second...)); !bytes.Equal(got, want) {
				t.Fatalf("%s: %x, not %x", a, got, want)
			}
		}
	})
}

func TestNames(t *testing.T) {
	for _, a := range All {
		if got, ok := OfHeader("X-Amz-" + a.Header()[len("x-amz-"):]); !ok || got != a {
			t.Errorf("%s has the header %s, which is of %q", a, a.Header(), got)
		}
	}
	if _, ok := OfHeader("x-amz-checksum-type"); ok {
		t.Error("x-amz-checksum-type is taken for a checksum")
	}
	if CRC32.Valid("AAAAAA==") != true || CRC32.Valid("AAAA") || CRC32.Valid("!") {
		t.Error("what is a CRC32 in base64")
	}
}
