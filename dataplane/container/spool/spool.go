// Package spool keeps the log lines of one container between the program that
// writes them (minato-helper, one process per container, which outlives the
// daemon) and the daemon that reads them.
//
// A spool is a directory of segments. A segment is named by the offset of its
// first byte in the whole log, so an offset names a place for ever:
//
//	0000000000000000.log      records, one after the other
//	0000000000400012.log      …the next segment begins where the last one ends
//	consumed                  the offset up to which the reader is done
//	writer                    the writer's process id
//
// A record is a header (length of the line, time, stream and flags) and the
// line. The writer appends whole records; a record that a power cut or a kill
// left half written is the last thing in the spool, and the reader never hands
// it out. The last record of a log that was written to its end is an end mark.
//
// The spool is bounded: beyond MaxBytes the oldest segment is dropped, read or
// not, because a container must not fill the disk when nobody reads.
package spool

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of a spool.
const (
	SegmentBytes = 4 << 20
	MaxBytes     = 64 << 20
	MaxLine      = 256 << 10
)

// Stream says where a line came from.
type Stream uint8

// The streams; 0 marks the end of the log.
const (
	end    Stream = 0
	Stdout Stream = 1
	Stderr Stream = 2
)

// Record is one line.
type Record struct {
	Time    time.Time
	Stream  Stream
	Partial bool // the line goes on in the next record of its stream
	Line    []byte
}

const (
	headerBytes = 4 + 8 + 1
	partialFlag = 0x80

	segmentSuffix = ".log"
	consumedFile  = "consumed"
	writerFile    = "writer"
)

func appendRecord(b []byte, r Record) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(r.Line)))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Time.UnixNano()))
	flags := byte(r.Stream)
	if r.Partial {
		flags |= partialFlag
	}
	b = append(b, flags)
	return append(b, r.Line...)
}

// parseHeader reads a record's header; n is the length of its line.
func parseHeader(h []byte) (r Record, n int, err error) {
	n = int(binary.BigEndian.Uint32(h))
	if n > MaxLine {
		return r, 0, fmt.Errorf("a line of %d bytes: this is no spool", n)
	}
	r.Time = time.Unix(0, int64(binary.BigEndian.Uint64(h[4:]))).UTC()
	r.Stream = Stream(h[12] &^ partialFlag)
	r.Partial = h[12]&partialFlag != 0
	return r, n, nil
}

func segmentName(offset int64) string { return fmt.Sprintf("%016x%s", offset, segmentSuffix) }

// segments returns the offsets at which the segments of a directory begin.
func segments(dir string) ([]int64, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var offsets []int64
	for _, e := range entries {
		hex, ok := strings.CutSuffix(e.Name(), segmentSuffix)
		if !ok {
			continue
		}
		if n, err := strconv.ParseInt(hex, 16, 64); err == nil {
			offsets = append(offsets, n)
		}
	}
	slices.Sort(offsets)
	return offsets, nil
}

// Writer returns the process id of the spool's writer, 0 when there was none
// yet.
func Writer(dir string) int {
	b, err := os.ReadFile(filepath.Join(dir, writerFile))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0
	}
	return pid
}

// Complete tells whether the log was written to its end.
func Complete(dir string) bool {
	offsets, err := segments(dir)
	if err != nil || len(offsets) == 0 {
		return false
	}
	f, err := os.Open(filepath.Join(dir, segmentName(offsets[len(offsets)-1])))
	if err != nil {
		return false
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil || fi.Size() < headerBytes {
		return false
	}
	h := make([]byte, headerBytes)
	if _, err := f.ReadAt(h, fi.Size()-headerBytes); err != nil {
		return false
	}
	r, n, err := parseHeader(h)
	return err == nil && n == 0 && r.Stream == end && !r.Partial && r.Time.UnixNano() == endTime
}

// endTime is in the end mark, so that the tail of a line cannot look like one.
const endTime = 0x6d696e61746f
