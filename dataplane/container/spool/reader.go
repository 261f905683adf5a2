package spool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The reader looks for more at intervals between these two, the longer the
// quieter the log is: a stat of one file, cheaper than a watch per container.
const (
	pollMin = 5 * time.Millisecond
	pollMax = 200 * time.Millisecond
)

// Consumed is the offset that was last Consume-d, 0 when there was none.
func Consumed(dir string) int64 {
	b, err := os.ReadFile(filepath.Join(dir, consumedFile))
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// Consume remembers that everything before an offset was read, and removes the
// segments that hold nothing else.
func Consume(dir string, upTo int64) error {
	if err := replaceFile(filepath.Join(dir, consumedFile), strconv.FormatInt(upTo, 10)); err != nil {
		return err
	}
	offsets, err := segments(dir)
	if err != nil {
		return err
	}
	for i, o := range offsets {
		if i+1 < len(offsets) && offsets[i+1] <= upTo {
			if err := os.Remove(filepath.Join(dir, segmentName(o))); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// Tail calls fn with the records from an offset on and the offset after each,
// and waits for more. It returns nil after the end mark, or, once ended says
// that nobody writes any more, after the last whole record. Records that were
// dropped meanwhile are passed over.
func Tail(ctx context.Context, dir string, from int64, ended func() bool, fn func(Record, int64) error) error {
	t := tail{dir: dir, at: from, buf: make([]byte, headerBytes)}
	defer t.close()
	wait := pollMin
	for {
		// Asked before the read: what was written before it became true is read.
		over := ended()
		n, err := t.drain(ctx, fn)
		switch {
		case errors.Is(err, errEnd):
			return nil
		case err != nil:
			return err
		case n > 0:
			wait = pollMin
		case over:
			return nil
		default:
			wait = min(2*wait, pollMax)
		}
		if over {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// errEnd says that the end mark was read.
var errEnd = errors.New("end of log")

type tail struct {
	dir   string
	at    int64 // offset of the next record
	file  *os.File
	first int64 // offset of the open segment
	buf   []byte
}

func (t *tail) close() {
	if t.file != nil {
		t.file.Close()
		t.file = nil
	}
}

// open opens the segment that holds the offset t.at, or the oldest one when
// that was dropped. It reports whether there is one.
func (t *tail) open() (bool, error) {
	offsets, err := segments(t.dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(offsets) == 0 {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	first := offsets[0]
	for _, o := range offsets {
		if o <= t.at {
			first = o
		}
	}
	if t.file != nil && first == t.first {
		return false, nil
	}
	f, err := os.Open(filepath.Join(t.dir, segmentName(first)))
	if errors.Is(err, fs.ErrNotExist) {
		return t.open() // dropped this moment
	}
	if err != nil {
		return false, err
	}
	t.close()
	t.file, t.first = f, first
	t.at = max(t.at, first)
	return true, nil
}

// follow opens what comes after the end of the segment that is open. That is the
// one that begins there, if it does: most times nothing has been written, and
// looking through the directory is left for when the log has run away from us.
func (t *tail) follow() (bool, error) {
	f, err := os.Open(filepath.Join(t.dir, segmentName(t.at)))
	if errors.Is(err, fs.ErrNotExist) {
		var st syscall.Stat_t
		if err := syscall.Fstat(int(t.file.Fd()), &st); err != nil || st.Nlink > 0 {
			return false, err
		}
		return t.open()
	}
	if err != nil || t.first == t.at { // the one that is open, and empty
		if err == nil {
			err = f.Close()
		}
		return false, err
	}
	t.close()
	t.file, t.first = f, t.at
	return true, nil
}

// drain hands out all whole records there are and returns how many.
func (t *tail) drain(ctx context.Context, fn func(Record, int64) error) (int, error) {
	count := 0
	if t.file == nil {
		if ok, err := t.open(); !ok {
			return 0, err
		}
	}
	for {
		if err := ctx.Err(); err != nil {
			return count, err
		}
		r, next, err := t.next()
		if errors.Is(err, io.EOF) {
			if ok, err := t.follow(); !ok {
				return count, err
			}
			continue
		}
		if err != nil {
			return count, err
		}
		t.at = next
		if r.Stream == end {
			return count, errEnd
		}
		count++
		if err := fn(r, next); err != nil {
			return count, err
		}
	}
}

// next reads the record at t.at; io.EOF when it is not there as a whole.
func (t *tail) next() (Record, int64, error) {
	pos := t.at - t.first
	h := t.buf[:headerBytes]
	if _, err := t.file.ReadAt(h, pos); err != nil {
		return Record{}, 0, err
	}
	r, n, err := parseHeader(h)
	if err != nil {
		return Record{}, 0, fmt.Errorf("spool %s at %d: %w", t.dir, t.at, err)
	}
	if cap(t.buf) < headerBytes+n {
		t.buf = make([]byte, headerBytes+n, headerBytes+2*n)
	}
	line := t.buf[headerBytes : headerBytes+n]
	if _, err := t.file.ReadAt(line, pos+headerBytes); err != nil {
		return Record{}, 0, err
	}
	r.Line = line
	return r, t.at + headerBytes + int64(n), nil
}
