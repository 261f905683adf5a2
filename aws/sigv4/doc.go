// Package sigv4 checks and makes AWS Signature Version 4 signatures, in the
// Authorization header and in presigned URLs.
//
// Verify does what AWS does in its order: is there a signature at all, is it
// whole, is the time near enough, is it the one that the secret key gives, and
// does the body have the hash that was signed. The errors have AWS's codes,
// which differ between the JSON services, S3 and the others (ErrorFor).
//
// S3 differs: the path is signed as it is, a body may be signed in chunks while
// it is sent, and URLs may be signed with the older version 2 (Older).
package sigv4

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"
	timeFormat = "20060102T150405Z"

	// Unsigned is the payload hash of a request whose body is not signed.
	Unsigned = "UNSIGNED-PAYLOAD"
)
