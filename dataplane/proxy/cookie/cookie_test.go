package cookie

import (
	"strings"
	"testing"
	"time"

	"minato/dataplane/proxy/http1"
)

func TestCookies(t *testing.T) {
	fields := []http1.Field{
		{Name: []byte("X-Cookie"), Value: []byte("AWSALB=no")},
		{Name: []byte("cookie"), Value: []byte("a=b; AWSALBTG=other;AWSALB=the=one; AWSALB=second")},
		{Name: []byte("Set-Cookie"), Value: []byte(" session =1; Path=/")},
	}
	for name, want := range map[string]string{"AWSALB": "the=one", "a": "b", Group: "other", "AWS": "", "": "", "session": ""} {
		if got := Find(fields, name); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
	if !Sets(fields, "session") || Sets(fields, "AWSALB") || Sets(fields, "sess") {
		t.Error("what the answer sets was not seen")
	}
	if again := Token("a", "b"); again != Token("a", "b") || again == Token("ab") {
		t.Error("tokens are not their names'")
	}
	all := Append(nil, Target, "v", time.Hour, true)
	if len(all) != 2 || !strings.HasPrefix(all[0], "AWSALB=v; Expires=") || !strings.HasSuffix(all[0], " GMT; Path=/") ||
		!strings.HasPrefix(all[1], "AWSALBCORS=v; ") || !strings.HasSuffix(all[1], "; Path=/; SameSite=None; Secure") {
		t.Errorf("%q", all)
	}
	if all := Append(nil, App, "v", time.Hour, true); len(all) != 1 {
		t.Errorf("%q", all)
	}
}
