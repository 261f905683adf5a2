package segments

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// Position is a place in the order of reading.
type Position struct {
	Time   int64
	Number uint64
}

// Compare orders positions: by time, then by number.
func (p Position) Compare(o Position) int {
	return cmp.Or(cmp.Compare(p.Time, o.Time), cmp.Compare(p.Number, o.Number))
}

// Query says which records to read. Zero values do not narrow, but Limit and
// Bytes must be set: they bound the memory that a read takes.
type Query struct {
	Series   func(series string) bool // nil: all
	From, To int64                    // times, From included, To not; To 0 means no end
	After    *Position                // only records after this one
	Before   *Position                // only records before this one
	Backward bool                     // the last ones that fit instead of the first ones
	Limit    int                      // at most so many records
	Bytes    int                      // at most so much data, but always one record
	Overhead int                      // counted for each record besides its data
	Match    func(r Record) bool      // nil: all; the record is valid during the call only
}

// Read returns records in order, oldest first, and whether there are more in
// the direction of reading. Damage in a segment is an error.
func (l *Log) Read(ctx context.Context, q Query) (records []Record, more bool, err error) {
	if q.Limit <= 0 || q.Bytes <= 0 {
		return nil, false, fmt.Errorf("segments: a read without a limit")
	}
	page := &page{q: q}
	for _, open := range l.overlapping(q) {
		if err := ctx.Err(); err != nil {
			return nil, false, err
		}
		if page.beyond(open) {
			continue
		}
		if err := page.scan(ctx, l, open); err != nil {
			return nil, false, err
		}
	}
	slices.SortFunc(page.records, func(a, b Record) int { return a.Position().Compare(b.Position()) })
	return page.records, page.cut != nil, nil
}

// overlapping lists the segments that may hold records of a query, in the
// direction of reading, so that a full page rules out the later ones.
func (l *Log) overlapping(q Query) []segment {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.removed {
		return nil
	}
	var out []segment
	for _, s := range append(slices.Clone(l.sealed), l.active) {
		switch {
		case s.empty(), s.to < q.From, q.To != 0 && s.from >= q.To,
			q.After != nil && s.to < q.After.Time, q.Before != nil && s.from > q.Before.Time:
		default:
			out = append(out, s)
		}
	}
	slices.SortStableFunc(out, func(a, b segment) int {
		if q.Backward {
			return cmp.Compare(b.to, a.to)
		}
		return cmp.Compare(a.from, b.from)
	})
	return out
}

// open opens a segment's file; nil if retention has removed it meanwhile. An
// active one may have been renamed, because it was sealed.
func (l *Log) open(s segment) (*os.File, error) {
	f, err := os.Open(s.path)
	if !errors.Is(err, os.ErrNotExist) {
		return f, err
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, now := range l.sealed {
		if now.first == s.first && !l.removed {
			return os.Open(now.path)
		}
	}
	return nil, nil
}

// page collects the records of a read: a heap with the one to give up first
// on top, never larger than the limits and one record.
type page struct {
	q       Query
	records []Record
	bytes   int
	cut     *Position // the first record that did not fit; nothing from there on belongs to the page
}

// beyond tells that no record of the segment can belong to the page.
func (p *page) beyond(s segment) bool {
	switch {
	case p.cut == nil:
		return false
	case p.q.Backward:
		return s.to < p.cut.Time
	default:
		return s.from > p.cut.Time
	}
}

func (p *page) scan(ctx context.Context, l *Log, s segment) error {
	f, err := l.open(s)
	if err != nil {
		return fmt.Errorf("segments: %w", err)
	}
	if f == nil {
		return nil
	}
	defer f.Close()
	fr := newFrames(io.LimitReader(f, s.size)) // no further than what is durable
	for n := 0; ; n++ {
		if n%256 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		h, err := fr.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.path, err)
		}
		if p.wants(h) {
			err = fr.records(p.offer)
		} else {
			err = fr.skip()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.path, err)
		}
	}
}

// wants tells whether a frame may hold records of the query.
func (p *page) wants(h header) bool {
	q := p.q
	return h.to >= q.From && (q.To == 0 || h.from < q.To) &&
		(q.After == nil || h.to >= q.After.Time) && (q.Before == nil || h.from <= q.Before.Time) &&
		(q.Series == nil || q.Series(h.series))
}

// offer takes a record into the page if it belongs there, and gives up what no
// longer fits.
func (p *page) offer(r Record) {
	q, pos := p.q, r.Position()
	switch {
	case r.Time < q.From, q.To != 0 && r.Time >= q.To,
		q.After != nil && pos.Compare(*q.After) <= 0, q.Before != nil && pos.Compare(*q.Before) >= 0:
		return
	case p.cut != nil && !p.later(*p.cut, pos):
		return
	}
	if q.Match != nil && !q.Match(r) {
		return
	}
	r.Data = bytes.Clone(r.Data)
	heap.Push(p, r)
	for len(p.records) > 1 && (len(p.records) > q.Limit || p.bytes > q.Bytes) {
		out := heap.Pop(p).(Record).Position()
		p.cut = &out
	}
}

// later tells whether a is read after b.
func (p *page) later(a, b Position) bool { return (a.Compare(b) > 0) != p.q.Backward }

// Len, Less, Swap, Push and Pop are heap.Interface's.
func (p *page) Len() int { return len(p.records) }

func (p *page) Less(i, j int) bool {
	return p.later(p.records[i].Position(), p.records[j].Position())
}
func (p *page) Swap(i, j int) { p.records[i], p.records[j] = p.records[j], p.records[i] }
func (p *page) Push(x any) {
	r := x.(Record)
	p.records = append(p.records, r)
	p.bytes += len(r.Data) + p.q.Overhead
}

func (p *page) Pop() any {
	n := len(p.records) - 1
	r := p.records[n]
	p.records = p.records[:n]
	p.bytes -= len(r.Data) + p.q.Overhead
	return r
}
