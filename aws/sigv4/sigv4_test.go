package sigv4

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"minato/aws"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// request makes what a server gets of a request to the URL.
func request(t *testing.T, method, target, body string) *http.Request {
	t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	return r
}

var keys = sdk.Credentials{AccessKeyID: "AKIAEXAMPLE", SecretAccessKey: "wJalr/secret+key", SessionToken: "token//=="}

// verify checks the request as the gateway does.
func verify(r *http.Request, body string, at time.Time) error {
	s, err := Parse(r)
	if err != nil {
		return err
	}
	return s.Verify(r, []byte(body), keys.SecretAccessKey, keys.SessionToken, at)
}

// TestSDK takes what the AWS SDK's own signer makes, for paths and queries that
// are hard to canonicalise.
func TestSDK(t *testing.T) {
	for _, target := range []string{
		"http://127.0.0.1:4566/",
		"http://ec2.us-east-1.amazonaws.com/?b=2&a=1&a=0&empty=&space=a%20b",
		"http://h/some%20path/%E3%81%82/x?q=%E3%81%82&z=~-_.*",
		"http://h/2015-03-31/functions/arn%3Aaws%3Alambda/x/",
	} {
		for _, service := range []string{"iam", "s3"} {
			body := "Action=ListUsers&Version=2010-05-08"
			r := request(t, "POST", target, body)
			opt := func(o *v4.SignerOptions) { o.DisableURIPathEscaping = service == "s3" }
			if err := v4.NewSigner().SignHTTP(context.Background(), keys, r, hashOf([]byte(body)), service, "us-east-1", now, opt); err != nil {
				t.Fatal(err)
			}
			if err := verify(r, body, now.Add(4*time.Minute)); err != nil {
				t.Errorf("%s for %s: %v", target, service, err)
			}
			if err := verify(r, body+"&UserName=x", now); !aws.IsCode(err, "SignatureDoesNotMatch") {
				t.Errorf("%s for %s: another body gives %v", target, service, err)
			}
			r.URL.RawQuery += "&more=1"
			if err := verify(r, body, now); !aws.IsCode(err, "SignatureDoesNotMatch") {
				t.Errorf("%s for %s: another query gives %v", target, service, err)
			}
		}
	}
}

func TestSDKPresigned(t *testing.T) {
	r := request(t, "GET", "http://sts.us-east-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Expires=60", "")
	r.Header = http.Header{}
	signed, _, err := v4.NewSigner().PresignHTTP(context.Background(), keys, r, hashOf(nil), "sts", "us-east-1", now)
	if err != nil {
		t.Fatal(err)
	}
	got := httptest.NewRequest("GET", signed, nil)
	if err := verify(got, "", now.Add(59*time.Second)); err != nil {
		t.Error(err)
	}
	if err := verify(got, "", now.Add(61*time.Second)); !aws.IsCode(err, "RequestExpired") {
		t.Errorf("after its time: %v", err)
	}
	if err := verify(got, "", now.Add(-16*time.Minute)); !aws.IsCode(err, "SignatureDoesNotMatch") {
		t.Errorf("from the future: %v", err)
	}
	scope, ok := ScopeOf(got)
	if !ok || scope.Service != "sts" || scope.Region != "us-east-1" || scope.AccessKeyID != "AKIAEXAMPLE" {
		t.Errorf("scope %+v", scope)
	}
}

// TestOwnSigner checks that what we sign is what the SDK signs, and verifies.
func TestOwnSigner(t *testing.T) {
	signer := Signer{AccessKeyID: keys.AccessKeyID, Secret: keys.SecretAccessKey, SessionToken: keys.SessionToken, Region: "us-east-1", Service: "ecs"}
	body := `{"cluster":"x"}`
	r := request(t, "POST", "http://127.0.0.1:4566/", body)
	r.Header.Set("X-Amz-Target", "AmazonEC2ContainerServiceV20141113.DescribeClusters")
	signer.Sign(r, []byte(body), now)
	if err := verify(r, body, now); err != nil {
		t.Error(err)
	}
	p := httptest.NewRequest("GET", "http://127.0.0.1:4566/?Action=GetCallerIdentity&x=a+b", nil)
	signer.Presign(p, time.Minute, now)
	if err := verify(p, "", now); err != nil {
		t.Error(err)
	}
}

// TestRefused has one case for each way to be refused.
func TestRefused(t *testing.T) {
	signer := Signer{AccessKeyID: keys.AccessKeyID, Secret: keys.SecretAccessKey, SessionToken: keys.SessionToken, Region: "us-east-1", Service: "ecs"}
	for name, c := range map[string]struct {
		change           func(*http.Request)
		at               time.Time
		query, json, ec2 string
	}{
		"no signature": {
			func(r *http.Request) { r.Header.Del("Authorization") }, now,
			"MissingAuthenticationToken", "MissingAuthenticationTokenException", "AuthFailure",
		},
		"another scheme": {
			func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, now,
			"IncompleteSignature", "IncompleteSignatureException", "IncompleteSignature",
		},
		"no date": {
			func(r *http.Request) { r.Header.Del("X-Amz-Date") }, now,
			"IncompleteSignature", "IncompleteSignatureException", "IncompleteSignature",
		},
		"another target": {
			func(r *http.Request) { r.Header.Set("X-Amz-Target", "A.DeleteEverything") }, now,
			"SignatureDoesNotMatch", "InvalidSignatureException", "AuthFailure",
		},
		"another token": {
			func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "other") }, now,
			"InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure",
		},
		"too old": {
			func(*http.Request) {}, now.Add(5*time.Minute + time.Second),
			"SignatureDoesNotMatch", "InvalidSignatureException", "RequestExpired",
		},
		"too new": {
			func(*http.Request) {}, now.Add(-5*time.Minute - time.Second),
			"SignatureDoesNotMatch", "InvalidSignatureException", "AuthFailure",
		},
		"another day in the scope": {func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "20261123/", "20261122/", 1))
		}, now, "SignatureDoesNotMatch", "InvalidSignatureException", "AuthFailure"},
		"host not signed": {func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), "host;", "", 1))
		}, now, "SignatureDoesNotMatch", "InvalidSignatureException", "AuthFailure"},
		"a hash that is not the body's": {
			func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", hashOf([]byte("x"))) }, now,
			"SignatureDoesNotMatch", "InvalidSignatureException", "AuthFailure",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(t, "POST", "http://127.0.0.1:4566/", "{}")
			r.Header.Set("X-Amz-Target", "A.B")
			signer.Sign(r, []byte("{}"), now)
			c.change(r)
			err := verify(r, "{}", c.at)
			for p, want := range map[aws.Protocol]string{aws.Query: c.query, aws.JSON11: c.json, aws.EC2: c.ec2} {
				if got := ErrorFor(p, err); err == nil || got.Code != want {
					t.Errorf("%s: %v, want %s", p, got, want)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	signer := Signer{AccessKeyID: keys.AccessKeyID, Secret: keys.SecretAccessKey, Region: "us-east-1", Service: "ecs"}
	r := httptest.NewRequest("POST", "http://127.0.0.1:4566/", nil)
	r.Header.Set("X-Amz-Target", "AmazonEC2ContainerServiceV20141113.DescribeServices")
	body := []byte(`{"cluster":"chat","services":["chat"]}`)
	signer.Sign(r, body, now)
	for b.Loop() {
		s, err := Parse(r)
		if err == nil {
			err = s.Verify(r, body, keys.SecretAccessKey, "", now)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// FuzzParse feeds any header and query: an error or a signature that does not
// verify, never a panic.
func FuzzParse(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=AK/20261123/us-east-1/iam/aws4_request, SignedHeaders=host;x-amz-date, Signature=00", "20261123T120000Z", "a=b")
	f.Add("", "", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AK%2F20261123%2Fr%2Fs%2Faws4_request&X-Amz-Date=20261123T120000Z&X-Amz-SignedHeaders=host&X-Amz-Signature=0&X-Amz-Expires=9")
	f.Fuzz(func(t *testing.T, authorization, date, query string) {
		r := httptest.NewRequest("POST", "http://127.0.0.1/", nil)
		r.Header.Set("Authorization", authorization)
		r.Header.Set("X-Amz-Date", date)
		r.URL.RawQuery = query
		ScopeOf(r)
		s, err := Parse(r)
		if err != nil {
			return
		}
		if err := s.Verify(r, nil, "secret", s.SessionToken, now); err == nil {
			t.Errorf("verified: %q %q %q", authorization, date, query)
		}
	})
}

// FuzzParseOlder feeds any query of S3's older version: no signature is right by
// chance.
func FuzzParseOlder(f *testing.F) {
	f.Add("AWSAccessKeyId=AK&Signature=AAAA&Expires=9999999999", "/b/k")
	f.Add("AWSAccessKeyId=AK&Signature=%00&Expires=-1&x-amz-security-token=t&versionId=1&acl", "/")
	f.Fuzz(func(t *testing.T, query, path string) {
		r := httptest.NewRequest("GET", "http://127.0.0.1/", nil)
		r.URL.RawQuery, r.URL.Path = query, path
		o, ok := ParseOlder(r)
		if !ok {
			return
		}
		for _, bucket := range []string{"", "b"} {
			if err := o.Verify(r, bucket, "secret", o.SessionToken, now); err == nil {
				t.Errorf("verified: %q %q", query, path)
			}
		}
	})
}
