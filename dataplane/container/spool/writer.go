package spool

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// Appender writes a spool. It is safe for use by several goroutines.
type Appender struct {
	dir          string
	segmentBytes int64
	maxBytes     int64

	mu     sync.Mutex
	file   *os.File
	first  int64 // offset of the current segment
	size   int64 // of the current segment
	closed bool
}

// Create begins the spool in dir, or goes on with the one that is there, and
// notes the calling process as its writer. Of a log that goes on the end mark is
// cut off, and a record that its last writer left half written.
func Create(dir string) (*Appender, error) {
	return create(dir, SegmentBytes, MaxBytes)
}

func create(dir string, segmentBytes, maxBytes int64) (*Appender, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	a := &Appender{dir: dir, segmentBytes: segmentBytes, maxBytes: maxBytes}
	offsets, err := segments(dir)
	if err != nil {
		return nil, err
	}
	if len(offsets) == 0 {
		err = a.open(0)
	} else {
		err = a.resume(offsets[len(offsets)-1])
	}
	if err != nil {
		return nil, err
	}
	if err := replaceFile(filepath.Join(dir, writerFile), strconv.Itoa(os.Getpid())); err != nil {
		return nil, err
	}
	return a, nil
}

func (a *Appender) open(offset int64) error {
	f, err := os.OpenFile(filepath.Join(a.dir, segmentName(offset)), os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if a.file != nil {
		a.file.Close()
	}
	a.file, a.first, a.size = f, offset, 0
	return nil
}

// resume opens the last segment of a log that goes on.
func (a *Appender) resume(offset int64) error {
	name := filepath.Join(a.dir, segmentName(offset))
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	a.file, a.first, a.size = f, offset, wholeRecords(b)
	return f.Truncate(a.size)
}

// wholeRecords is how many bytes of a segment are whole records before the end
// mark.
func wholeRecords(b []byte) int64 {
	at := 0
	for at+headerBytes <= len(b) {
		r, n, err := parseHeader(b[at : at+headerBytes])
		if err != nil || r.Stream == end || at+headerBytes+n > len(b) {
			break
		}
		at += headerBytes + n
	}
	return int64(at)
}

// append writes encoded records with one system call. When the disk is full the
// records are lost, and what was written of them is cut off again: a reader must
// find the next record where this one should have begun.
func (a *Appender) append(b []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.size >= a.segmentBytes {
		if err := a.open(a.first + a.size); err != nil {
			return err
		}
		a.dropOldest()
	}
	n, err := a.file.Write(b)
	if err != nil {
		if n > 0 {
			if terr := a.file.Truncate(a.size); terr != nil {
				return errors.Join(err, terr)
			}
		}
		return err
	}
	a.size += int64(n)
	return nil
}

func (a *Appender) dropOldest() {
	offsets, err := segments(a.dir)
	if err != nil {
		return
	}
	for _, o := range offsets {
		if a.first-o <= a.maxBytes-a.segmentBytes {
			return
		}
		os.Remove(filepath.Join(a.dir, segmentName(o)))
	}
}

// Copy reads lines from r until its end and appends them. A line longer than
// MaxLine becomes several records. Lines that cannot be written are lost, the
// reading goes on: a full disk must not stop the container.
func (a *Appender) Copy(stream Stream, r io.Reader) error {
	br := bufio.NewReaderSize(r, MaxLine)
	var lost error
	var out []byte
	flush := func() {
		if len(out) == 0 {
			return
		}
		if err := a.append(out); err != nil {
			lost = err
		}
		out = out[:0]
	}
	for {
		line, err := br.ReadSlice('\n')
		now := time.Now()
		switch {
		case err == nil:
			out = appendRecord(out, Record{Time: now, Stream: stream, Line: trimEOL(line)})
		case errors.Is(err, bufio.ErrBufferFull):
			out = appendRecord(out, Record{Time: now, Stream: stream, Line: line, Partial: true})
		case len(line) > 0:
			out = appendRecord(out, Record{Time: now, Stream: stream, Line: line})
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			flush()
			if errors.Is(err, io.EOF) || errors.Is(err, os.ErrClosed) {
				return lost
			}
			return err
		}
		// One system call for all the lines that are there already.
		if len(out) >= MaxLine || !lineBuffered(br) {
			flush()
		}
	}
}

// lineBuffered tells whether a whole line can be read without waiting.
func lineBuffered(br *bufio.Reader) bool {
	b, _ := br.Peek(br.Buffered())
	for _, c := range b {
		if c == '\n' {
			return true
		}
	}
	return false
}

func trimEOL(line []byte) []byte {
	line = line[:len(line)-1]
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line
}

// Close writes the end mark: the log is complete.
func (a *Appender) Close() error {
	err := a.append(appendRecord(nil, Record{Stream: end, Time: time.Unix(0, endTime)}))
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil
	}
	a.closed = true
	return errors.Join(err, a.file.Close())
}

// replaceFile writes a small file as a whole or not at all.
func replaceFile(name, content string) error {
	tmp := fmt.Sprintf("%s.%d", name, os.Getpid())
	if err := os.WriteFile(tmp, []byte(content), 0o600); err != nil {
		return err
	}
	if err := os.Rename(tmp, name); err != nil {
		os.Remove(tmp)
		return err
	}
	return nil
}
