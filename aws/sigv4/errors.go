package sigv4

import (
	"net/http"

	"minato/aws"
)

// jsonCodes are the codes of the JSON services for what the query services
// call by the name at the left.
var jsonCodes = map[string]string{
	"MissingAuthenticationToken": "MissingAuthenticationTokenException",
	"IncompleteSignature":        "IncompleteSignatureException",
	"SignatureDoesNotMatch":      "InvalidSignatureException",
	"RequestExpired":             "InvalidSignatureException",
	"InvalidClientTokenId":       "UnrecognizedClientException",
	"ExpiredToken":               "ExpiredTokenException",
}

// queryCodes turn the JSON services' codes back, for an Authenticator that
// speaks those.
var queryCodes = map[string]string{"UnrecognizedClientException": "InvalidClientTokenId", "ExpiredTokenException": "ExpiredToken"}

// s3Error is how S3 tells an error of authentication.
func s3Error(e *aws.Error) *aws.Error {
	e.Status = http.StatusForbidden
	switch e.Code {
	case "MissingAuthenticationToken":
		e.Code, e.Message = "AccessDenied", "Access Denied"
	case "InvalidClientTokenId":
		e.Code, e.Message = "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."
	case "IncompleteSignature":
		e.Code, e.Status = "AuthorizationHeaderMalformed", http.StatusBadRequest
	case "ExpiredToken":
		e.Message, e.Status = "The provided token has expired.", http.StatusBadRequest
	case "RequestExpired":
		if e.Message == presignedOver {
			e.Code = "AccessDenied"
		} else {
			e.Code, e.Message = "RequestTimeTooSkewed", "The difference between the request time and the current time is too large."
		}
	}
	return e
}

// ErrorFor gives an error of authentication the code, status and text with
// which a service of that protocol sends it; other errors are returned as they are.
func ErrorFor(p aws.Protocol, err error) *aws.Error {
	e := *aws.AsError(err)
	if c := queryCodes[e.Code]; c != "" {
		e.Code = c
	}
	if jsonCodes[e.Code] == "" {
		return &e
	}
	switch p {
	case aws.RestXML:
		return s3Error(&e)
	case aws.Query, aws.CBOR: // CBOR is CloudWatch's, whose codes are the query protocol's
		if e.Code == "RequestExpired" {
			e.Code = "SignatureDoesNotMatch" // IAM, STS and their like know no other
		}
		if e.Code != "IncompleteSignature" {
			e.Status = http.StatusForbidden
		}
	case aws.EC2:
		switch e.Code {
		case "RequestExpired":
			e.Message, e.Status = "Request has expired.", http.StatusBadRequest
		case "ExpiredToken":
			e.Code, e.Message, e.Status = "RequestExpired", "Request has expired.", http.StatusBadRequest
		case "IncompleteSignature":
		default:
			e.Code, e.Message, e.Status = "AuthFailure", "AWS was not able to validate the provided access credentials", http.StatusUnauthorized
		}
	default:
		e.Code, e.Status = jsonCodes[e.Code], http.StatusBadRequest
	}
	return &e
}
