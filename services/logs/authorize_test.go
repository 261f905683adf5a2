package logs

import (
	"testing"

	"minato/aws"
	"minato/aws/arn"
)

// TestTaggedARN: IAM is asked about the group that would be changed, wherever
// the ARN says that it is.
func TestTaggedARN(t *testing.T) {
	p := arn.In("us-east-1", "000000000000")
	for given, want := range map[string]string{
		"arn:aws:logs:us-east-1:000000000000:log-group:chat":   p.LogGroup("chat"),
		"arn:aws:logs:eu-west-1:111122223333:log-group:chat:*": p.LogGroup("chat"),
		"nonsense": "nonsense",
	} {
		if got := taggedARN(p, aws.Ptr(given)); got != want {
			t.Errorf("%s: %s, want %s", given, got, want)
		}
	}
}
