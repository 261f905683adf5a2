package segments

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
)

// Entry is a record to append.
type Entry struct {
	Time int64 // milliseconds since 1970
	Data []byte
}

// Record is a record as it was stored.
type Record struct {
	Series   string
	Number   uint64 // of the record in its log, counted from 1 in the order of arrival
	Time     int64  // milliseconds since 1970
	Ingested int64  // when it arrived
	Data     []byte
}

// Position is the record's place in the order of reading.
func (r Record) Position() Position { return Position{r.Time, r.Number} }

const (
	headerBytes  = 4 + 4 + 8 + 8 + 8 + 8 + 4 + 2
	maxFrame     = 4 << 20 // bytes after the CRC; an Append is refused beyond it
	maxSeries    = 1024
	minRecordLen = 2 // a time and a length, one byte each
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is the fixed part of a frame, with the series.
type header struct {
	length   int // bytes after the CRC
	crc      uint32
	first    uint64 // number of the first record
	from, to int64  // times
	ingested int64
	count    int
	series   string
}

func (h header) size() int64  { return int64(h.length) + 8 }
func (h header) body() int    { return h.length - (headerBytes - 8) - len(h.series) }
func (h header) last() uint64 { return h.first + uint64(h.count) - 1 }

// encodeFrame makes the frame of a batch.
func encodeFrame(series string, first uint64, ingested int64, entries []Entry) ([]byte, header, error) {
	h := header{first: first, from: math.MaxInt64, to: math.MinInt64, ingested: ingested, count: len(entries), series: series}
	size := headerBytes + len(series)
	for _, e := range entries {
		h.from, h.to = min(h.from, e.Time), max(h.to, e.Time)
		size += len(e.Data) + 2*binary.MaxVarintLen64
	}
	if len(series) > maxSeries || size > maxFrame {
		return nil, h, fmt.Errorf("%w: %d bytes", ErrTooLarge, size)
	}
	b := make([]byte, 8, size)
	b = binary.LittleEndian.AppendUint64(b, first)
	b = binary.LittleEndian.AppendUint64(b, uint64(h.from))
	b = binary.LittleEndian.AppendUint64(b, uint64(h.to))
	b = binary.LittleEndian.AppendUint64(b, uint64(ingested))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(entries)))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(series)))
	b = append(b, series...)
	for _, e := range entries {
		b = binary.AppendUvarint(b, uint64(e.Time-h.from))
		b = binary.AppendUvarint(b, uint64(len(e.Data)))
		b = append(b, e.Data...)
	}
	h.length = len(b) - 8
	h.crc = crc32.Checksum(b[8:], castagnoli)
	binary.LittleEndian.PutUint32(b, uint32(h.length))
	binary.LittleEndian.PutUint32(b[4:], h.crc)
	return b, h, nil
}

// frames reads the frames of a segment one after another.
type frames struct {
	r      *bufio.Reader
	offset int64 // after the last frame read or skipped
	raw    []byte
	h      header
}

func newFrames(r io.Reader) *frames { return &frames{r: bufio.NewReaderSize(r, 64<<10)} }

// next reads the header of the next frame; io.EOF at the end. An error wraps
// ErrCorrupt if what is there is no frame (or half of one).
func (f *frames) next() (header, error) {
	fixed := f.grow(headerBytes)
	if n, err := io.ReadFull(f.r, fixed); err != nil {
		if n == 0 && errors.Is(err, io.EOF) {
			return header{}, io.EOF
		}
		return header{}, f.broken("half a header", err)
	}
	h := header{
		length:   int(binary.LittleEndian.Uint32(fixed)),
		crc:      binary.LittleEndian.Uint32(fixed[4:]),
		first:    binary.LittleEndian.Uint64(fixed[8:]),
		from:     int64(binary.LittleEndian.Uint64(fixed[16:])),
		to:       int64(binary.LittleEndian.Uint64(fixed[24:])),
		ingested: int64(binary.LittleEndian.Uint64(fixed[32:])),
		count:    int(binary.LittleEndian.Uint32(fixed[40:])),
	}
	series := int(binary.LittleEndian.Uint16(fixed[44:]))
	switch {
	case h.length < headerBytes-8+series || h.length > maxFrame || series > maxSeries,
		h.count < 1 || h.count > h.length/minRecordLen,
		h.from > h.to, h.first == 0 || h.first > math.MaxUint64-uint64(h.count):
		return header{}, f.broken("no header", nil)
	}
	fixed = f.grow(headerBytes + series)
	if _, err := io.ReadFull(f.r, fixed[headerBytes:]); err != nil {
		return header{}, f.broken("half a header", err)
	}
	h.series = string(fixed[headerBytes:])
	f.h = h
	return h, nil
}

// skip passes over the records of the frame whose header was just read.
func (f *frames) skip() error {
	if _, err := f.r.Discard(f.h.body()); err != nil {
		return f.broken("half a frame", err)
	}
	f.offset += f.h.size()
	return nil
}

// records reads the records of the frame whose header was just read and calls
// each for them, after checking the whole frame. The data is valid during the
// call only.
func (f *frames) records(each func(Record)) error {
	head := headerBytes + len(f.h.series)
	raw := f.grow(head + f.h.body())
	if _, err := io.ReadFull(f.r, raw[head:]); err != nil {
		return f.broken("half a frame", err)
	}
	if crc32.Checksum(raw[8:], castagnoli) != f.h.crc {
		return f.broken("wrong checksum", nil)
	}
	b := raw[head:]
	for i := range f.h.count {
		delta, n := binary.Uvarint(b)
		if n <= 0 {
			return f.broken("half a record", nil)
		}
		b = b[n:]
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return f.broken("half a record", nil)
		}
		b = b[n:]
		each(Record{Series: f.h.series, Number: f.h.first + uint64(i), Time: f.h.from + int64(delta), Ingested: f.h.ingested, Data: b[:size]})
		b = b[size:]
	}
	f.offset += f.h.size()
	return nil
}

// grow returns the buffer of the present frame with n bytes; what it holds stays.
func (f *frames) grow(n int) []byte {
	if cap(f.raw) < n {
		raw := make([]byte, n, max(n, 4096))
		copy(raw, f.raw)
		f.raw = raw
	}
	f.raw = f.raw[:n]
	return f.raw
}

func (f *frames) broken(what string, err error) error {
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("segments: at byte %d: %w", f.offset, err) // the disk's fault, not the content's
	}
	return fmt.Errorf("%w: %s at byte %d", ErrCorrupt, what, f.offset)
}
