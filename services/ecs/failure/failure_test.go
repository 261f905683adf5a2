package failure

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"
)

// TestOf: the reason is what is shown, and the cause is found behind it.
func TestOf(t *testing.T) {
	err := fmt.Errorf("a step: %w", Of(fs.ErrNotExist, "CannotPullContainerError: %s: not found", "nginx:x"))
	var f *Error
	if !errors.As(err, &f) || f.Reason != "CannotPullContainerError: nginx:x: not found" || f.Error() != f.Reason || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v: %+v", err, f)
	}
	if errors.Unwrap(Of(nil, "no reason")) != nil {
		t.Error("a cause comes from nowhere")
	}
}
