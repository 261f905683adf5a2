package trace

import (
	"regexp"
	"strconv"
	"testing"
	"time"
)

func TestAppendID(t *testing.T) {
	form := regexp.MustCompile(`^1-([0-9a-f]{8})-[0-9a-f]{24}$`)
	before := time.Now().Unix()
	a, b := string(AppendID(nil)), string(AppendID(nil))
	m := form.FindStringSubmatch(a)
	if m == nil || a == b {
		t.Fatalf("%q, %q", a, b)
	}
	if at, err := strconv.ParseInt(m[1], 16, 64); err != nil || at < before || at > time.Now().Unix() {
		t.Errorf("%q says %d, %v", a, at, err)
	}
}

func TestHasRoot(t *testing.T) {
	for text, want := range map[string]bool{
		"Root=1-67891233-abcdef012345678912345678": true, "Self=1-2;Root=1-3": true, "Self=1; Root=1": true,
		"": false, "Root": false, "MyRoot=1": false, "root=1": false, "Self=Root:1": false,
	} {
		if HasRoot([]byte(text)) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}
