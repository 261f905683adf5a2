// Package failure is why a task does not start: the reason that ECS shows of it,
// and the cause for the log.
package failure

import "fmt"

// Error is why a task does not start. Any other error is a fault of ours: what
// failed is tried again.
type Error struct {
	Reason string // in ECS's words
	Cause  error  // nil for none
}

// Error implements error.
func (e *Error) Error() string { return e.Reason }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Of makes the error of a reason and its cause.
func Of(cause error, format string, args ...any) error {
	return &Error{Reason: fmt.Sprintf(format, args...), Cause: cause}
}
