package cloudformation

import (
	"context"
	"io"
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"minato/aws"
	s3api "minato/aws/api/s3"
)

// How long a template may be: what a request carries, and what is read from S3.
const (
	maxBody = 51200
	maxURL  = 1 << 20
)

// body returns the template of a request, with the caller's rights if it is in S3.
func (s *Service) body(ctx context.Context, text, url *string) (string, error) {
	switch {
	case aws.Val(url) != "":
		return s.fetch(ctx, *url)
	case aws.Val(text) == "":
		return "", validation("Either Template URL or Template Body must be specified.")
	case len(*text) > maxBody:
		return "", validation("1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to %d", maxBody)
	}
	return *text, nil
}

// fetch reads a template from S3.
func (s *Service) fetch(ctx context.Context, from string) (string, error) {
	bucket, key, version, ok := parseURL(from)
	if !ok {
		return "", validation("TemplateURL must be a supported URL.")
	}
	out, err := s.s3.GetObject(ctx, &s3api.GetObjectInput{Bucket: &bucket, Key: &key, VersionId: version})
	if err != nil {
		return "", validation("S3 error: %s\nFor more information check http://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html", aws.AsError(err).Message).Because(err)
	}
	defer out.Body.Close()
	text, err := io.ReadAll(io.LimitReader(out.Body, maxURL+1))
	switch {
	case err != nil:
		return "", aws.Internal(err)
	case len(text) > maxURL:
		return "", validation("Template may not exceed %d bytes in size.", maxURL)
	case len(text) == 0:
		return "", validation("Template body is empty.")
	}
	return string(text), nil
}

// s3Host is a host name of S3, with the bucket in it or not.
var s3Host = regexp.MustCompile(`^(?:(.+)\.)?s3(?:[.-](?:dualstack\.)?[a-z]{2}(?:-[a-z]+)+-\d)?\.(?:amazonaws\.com(?:\.cn)?|localhost)$`)

// parseURL reads where a template is: a URL of S3's, or of this instance's
// endpoint, which is on a loopback address.
func parseURL(text string) (bucket, key string, version *string, ok bool) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return "", "", nil, false
	}
	host, path := strings.ToLower(u.Hostname()), strings.TrimPrefix(u.Path, "/")
	address, err := netip.ParseAddr(host)
	m := s3Host.FindStringSubmatch(host)
	switch {
	case m != nil:
		bucket = m[1]
	case host == "localhost", err == nil && address.IsLoopback():
	case strings.HasSuffix(host, ".localhost"):
		bucket = strings.TrimSuffix(host, ".localhost")
	default:
		return "", "", nil, false
	}
	if key = path; bucket == "" {
		bucket, key, _ = strings.Cut(path, "/")
	}
	if id := u.Query().Get("versionId"); id != "" {
		version = &id
	}
	return bucket, key, version, bucket != "" && key != ""
}
