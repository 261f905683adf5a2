package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"

	"github.com/opencontainers/go-digest"
)

// Error is an answer of the registry other than success: a code of the
// distribution specification and a text, which docker shows as "code: text".
type Error struct {
	Status    int    // HTTP status
	Code      string // such as "NAME_UNKNOWN"
	Message   string
	Detail    any    // optional
	Challenge string // of a 401: the WWW-Authenticate header
	Cause     error  // for the log; never sent
}

// Error implements error.
func (e *Error) Error() string {
	text := strings.ToLower(strings.ReplaceAll(e.Code, "_", " ")) + ": " + e.Message
	if e.Cause != nil {
		text += " (" + e.Cause.Error() + ")"
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

func errorf(status int, code, format string, args ...any) *Error {
	return &Error{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

// ErrUnauthorized asks the client for credentials.
func ErrUnauthorized(challenge, message string) *Error {
	return &Error{Status: http.StatusUnauthorized, Code: "UNAUTHORIZED", Message: message, Challenge: challenge}
}

// ErrDenied refuses a client whose credentials are known, or over.
func ErrDenied(message string) *Error {
	return errorf(http.StatusForbidden, "DENIED", "%s", message)
}

// ErrNameUnknown says that there is no such repository.
func ErrNameUnknown(message string) *Error {
	return errorf(http.StatusNotFound, "NAME_UNKNOWN", "%s", message)
}

// ErrTagInvalid refuses to move or make a tag.
func ErrTagInvalid(message string) *Error {
	return errorf(http.StatusBadRequest, "TAG_INVALID", "%s", message)
}

// ErrManifestUnknown says that the repository has no such manifest.
func ErrManifestUnknown(message string) *Error {
	return errorf(http.StatusNotFound, "MANIFEST_UNKNOWN", "%s", message)
}

// ErrManifestReferenced refuses to delete a manifest that another one lists.
func ErrManifestReferenced(message string) *Error {
	return errorf(http.StatusConflict, "DENIED", "%s", message)
}

// ErrBlobUnknown says that the repository has no such blob.
func ErrBlobUnknown(d digest.Digest) *Error {
	return &Error{Status: http.StatusNotFound, Code: "BLOB_UNKNOWN", Message: "blob unknown to registry", Detail: map[string]string{"digest": d.String()}}
}

func errManifestInvalid(format string, args ...any) *Error {
	return errorf(http.StatusBadRequest, "MANIFEST_INVALID", format, args...)
}

func errDigestInvalid(format string, args ...any) *Error {
	return errorf(http.StatusBadRequest, "DIGEST_INVALID", format, args...)
}

func errUnsupported() *Error {
	return errorf(http.StatusMethodNotAllowed, "UNSUPPORTED", "The operation is unsupported.")
}

func errUploadUnknown() *Error {
	return errorf(http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
}

var errFull = &Error{Status: http.StatusInsufficientStorage, Code: "UNKNOWN", Message: "no space left on device: the disk of the registry is full, the upload was given up"}

// diskFull tells whether err says that the disk is full. Over containerd's
// socket the errno arrives as text only.
func diskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) ||
		strings.Contains(err.Error(), syscall.ENOSPC.Error()) || strings.Contains(err.Error(), syscall.EDQUOT.Error())
}

// asError returns err as an *Error; anything unforeseen becomes a 500 whose
// cause only the log sees.
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	if diskFull(err) {
		full := *errFull
		full.Cause = err
		return &full
	}
	return &Error{Status: http.StatusInternalServerError, Code: "UNKNOWN", Message: "unknown error", Cause: err}
}

func (r *Registry) fail(w http.ResponseWriter, req *http.Request, err error) {
	e := asError(err)
	if e.Status >= 500 && req.Context().Err() == nil {
		r.opt.Log.Error("registry request failed", "method", req.Method, "path", req.URL.Path, "error", err)
	}
	if e.Challenge != "" {
		w.Header().Set("WWW-Authenticate", e.Challenge)
	}
	type item struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Detail  any    `json:"detail,omitempty"`
	}
	body, err := json.Marshal(map[string][]item{"errors": {{e.Code, e.Message, e.Detail}}})
	if err != nil {
		body = []byte(`{"errors":[{"code":"UNKNOWN"}]}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(e.Status)
	w.Write(body) // the client has gone if this fails: nobody is left to tell
}
