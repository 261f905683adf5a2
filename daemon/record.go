package daemon

import (
	"fmt"
	"os"
	"sync"
)

// recorder appends every operation that came over HTTP to a file, a line each,
// once per service, operation and code: docs/coverage.md is made of it. It is
// switched on by the tests only.
type recorder struct {
	mu   sync.Mutex
	file *os.File
	seen map[string]bool
}

func newRecorder(name string) (*recorder, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	return &recorder{file: f, seen: map[string]bool{}}, nil
}

func (r *recorder) record(service, operation, code string) {
	line := fmt.Sprintf("%s %s %s\n", service, operation, code)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen[line] {
		return
	}
	r.seen[line] = true
	_, _ = r.file.WriteString(line) // a line lost here makes coverage smaller, never larger
}
