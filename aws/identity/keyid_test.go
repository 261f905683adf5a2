package identity

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestKeyIDHoldsItsAccount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := fmt.Sprintf("%012d", rapid.Uint64Range(0, 999999999999).Draw(t, "account"))
		id := NewKeyID("AKIA", want)
		if got, ok := AccountOfKeyID(id); !ok || got != want || !strings.HasPrefix(id, "AKIA") {
			t.Fatalf("%s holds %s, want %s", id, got, want)
		}
	})
}

// The example of AWS's documentation and a well-known decoder's test.
func TestKeyIDOfAWS(t *testing.T) {
	if got, _ := AccountOfKeyID("ASIAY34FZKBOKMUTVV7A"); got != "609629065308" {
		t.Errorf("account %s", got)
	}
	for _, s := range []string{"", "AKIA", "AKIAIOSFODNN7EXAMPL1", "akiaiosfodnn7example"} {
		if _, ok := AccountOfKeyID(s); ok {
			t.Errorf("%q was taken for a key id", s)
		}
	}
}
