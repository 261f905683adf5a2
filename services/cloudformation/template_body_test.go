package cloudformation

import (
	"testing"

	"minato/aws"
)

func TestParseURL(t *testing.T) {
	for text, want := range map[string]string{
		"https://s3.us-east-1.amazonaws.com/cdk-assets/a/b.json": "cdk-assets a/b.json ",
		"https://s3.amazonaws.com/b/k":                           "b k ",
		"https://s3-eu-west-1.amazonaws.com/b/k":                 "b k ",
		"https://my.bucket.s3.amazonaws.com/k":                   "my.bucket k ",
		"https://b.s3.eu-central-1.amazonaws.com/a%20k":          "b a k ",
		"https://b.s3.dualstack.us-gov-west-1.amazonaws.com/k":   "b k ",
		"https://b.s3.us-east-1.amazonaws.com/k?versionId=3":     "b k 3",
		"http://127.0.0.1:4566/b/k":                              "b k ",
		"http://[::1]:4566/b/k":                                  "b k ",
		"http://b.localhost:4566/k":                              "b k ",
		"http://b.s3.localhost:4566/k":                           "b k ",
		"https://example.com/b/k":                                "",
		"https://s3.amazonaws.com.example.com/b/k":               "",
		"https://10.0.0.1/b/k":                                   "",
		"s3://b/k":                                               "",
		"https://s3.amazonaws.com/b":                             "",
		"https://s3.amazonaws.com/b/":                            "",
		"file:///etc/passwd":                                     "",
		"":                                                       "",
	} {
		bucket, key, version, ok := parseURL(text)
		if got := bucket + " " + key + " " + aws.Val(version); ok != (want != "") || ok && got != want {
			t.Errorf("%s: %q %v, not %q", text, got, ok, want)
		}
	}
}
