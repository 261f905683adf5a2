// Package segments keeps what is only ever appended: log events, samples of
// metrics, histories, with the time they happened, with retention, on disk.
//
// A Set is a directory of Logs (one a log group). A Log holds records of many
// series (one a log stream) in segment files of some MiB:
//
//	<set>/<log>/seg-<first>-<last>-<from>-<to>.log   sealed: numbers and times of its records
//	<set>/<log>/active-<first>.log                   being written
//
//	segment = frame*
//	frame   = length u32 · CRC-32C u32 · first number u64 · from i64 · to i64 · ingested i64 · count u32 · len u16 · series · record*
//	record  = time (varint, from the frame's from) · length (varint) · bytes
//
// Numbers are little endian. A frame is what one Append wrote, so it is there
// whole or not at all: what a crash left half written at the end of the active
// segment is cut off when the log is opened.
//
// Durability: when Append returns nil, the records are on disk (written and
// fsynced; Appends that come together share one fsync). Readers see a record
// only then. If the disk fails in between, nothing of the batch remains.
//
// Order: by time, then by number (the order of arrival). Records may arrive
// out of order; readers look at every segment whose times overlap what is
// asked for and keep no more than the page in memory.
//
// Retention drops whole sealed segments that lie before a time; there is no
// deletion of one series: readers ask for the series they know of.
package segments

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"sync"
)

// Errors of this package. Use errors.Is.
var (
	ErrTooLarge = errors.New("segments: batch too large")
	ErrCorrupt  = errors.New("segments: a segment is damaged")
	ErrRemoved  = errors.New("segments: the log was removed or closed")
	ErrName     = errors.New("segments: not a name for a log")
)

// Options bound the files.
type Options struct {
	SegmentBytes int64 // a segment is sealed when it is larger; 0 means 8 MiB
	SegmentSpan  int64 // … or when its records span more milliseconds; 0 means a day
}

// Set is a directory of logs.
type Set struct {
	dir string
	opt Options

	mu     sync.Mutex
	logs   map[string]*Log
	closed bool
}

// Open opens a set in a directory, made if need be. Logs are opened on first use.
func Open(dir string, opt Options) (*Set, error) {
	if opt.SegmentBytes <= 0 {
		opt.SegmentBytes = 8 << 20
	}
	if opt.SegmentSpan <= 0 {
		opt.SegmentSpan = 24 * 60 * 60 * 1000
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("segments: %w", err)
	}
	return &Set{dir: dir, opt: opt, logs: map[string]*Log{}}, nil
}

// namePattern keeps names within the directory; callers use ids.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

// Log returns the log of a name, made if need be.
func (s *Set) Log(name string) (*Log, error) {
	if !namePattern.MatchString(name) {
		return nil, fmt.Errorf("%w: %q", ErrName, name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrRemoved
	}
	if l := s.logs[name]; l != nil {
		return l, nil
	}
	l, err := openLog(filepath.Join(s.dir, name), s.opt)
	if err != nil {
		return nil, err
	}
	s.logs[name] = l
	return l, nil
}

// Names lists the logs there are.
func (s *Set) Names() ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("segments: %w", err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && namePattern.MatchString(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// Remove deletes a log and its files; one that does not exist is fine.
func (s *Set) Remove(name string) error {
	if !namePattern.MatchString(name) {
		return fmt.Errorf("%w: %q", ErrName, name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.logs[name]; l != nil {
		delete(s.logs, name)
		if err := l.close(); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(filepath.Join(s.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("segments: %w", err)
	}
	return nil
}

// Close closes all logs. What was acknowledged is on disk already.
func (s *Set) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	var errs []error
	for name, l := range s.logs {
		errs = append(errs, l.close())
		delete(s.logs, name)
	}
	return errors.Join(errs...)
}
