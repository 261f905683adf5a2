package segments

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"

	"minato/internal/durable"
)

// Log is an append-only log. All methods may be called from any goroutine.
type Log struct {
	dir string
	opt Options

	syncMu sync.Mutex // one fsync at a time; taken before mu

	mu       sync.RWMutex
	sealed   []segment // by number
	active   segment   // what readers may see of it: the fsynced part
	file     *os.File
	written  int64         // bytes in file, fsynced or not
	pending  segment       // active with what is written and not yet fsynced
	kept     []uint64      // for each failure that threw written data away: the number after what was kept
	changed  chan struct{} // closed and replaced when readers may see more
	removed  bool
	unusable error // why nothing could be appended last; repair may mend it

	fsync func(*os.File) error // (*os.File).Sync; tests make it fail
}

// segment is what is known of a segment file.
type segment struct {
	path     string
	size     int64
	first    uint64 // number of the first record
	next     uint64 // number after the last
	from, to int64  // times; from > to when empty
}

func (s segment) empty() bool { return s.next == s.first }

// with is the segment after a frame more.
func (s segment) with(h header) segment {
	s.size += h.size()
	s.next = h.last() + 1
	s.from, s.to = min(s.from, h.from), max(s.to, h.to)
	return s
}

func emptySegment(path string, first uint64) segment {
	return segment{path: path, first: first, next: first, from: math.MaxInt64, to: math.MinInt64}
}

// openLog reads the directory, cuts a torn tail and begins a new active segment.
func openLog(dir string, opt Options) (*Log, error) {
	l := &Log{dir: dir, opt: opt, changed: make(chan struct{}), fsync: (*os.File).Sync}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("segments: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("segments: %w", err)
	}
	var actives []segment
	for _, e := range entries {
		s, active, ok := parseName(filepath.Join(dir, e.Name()))
		switch {
		case !ok: // not ours
		case active:
			actives = append(actives, s)
		default:
			if fi, err := e.Info(); err == nil {
				s.size = fi.Size()
			}
			l.sealed = append(l.sealed, s)
		}
	}
	sort.Slice(l.sealed, func(i, j int) bool { return l.sealed[i].first < l.sealed[j].first })
	sort.Slice(actives, func(i, j int) bool { return actives[i].first < actives[j].first })
	for _, s := range actives { // more than one after a crash at the wrong moment
		if err := l.adopt(s); err != nil {
			return nil, err
		}
	}
	if l.file == nil {
		next := uint64(1)
		if n := len(l.sealed); n > 0 {
			next = l.sealed[n-1].next
		}
		if err := l.begin(next); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// adopt makes a file that was being written the active segment, up to its last
// whole frame; one that was active before it is sealed.
func (l *Log) adopt(s segment) error {
	if l.file != nil {
		if err := l.seal(); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(s.path, os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("segments: %w", err)
	}
	fr := newFrames(f)
	for {
		h, err := fr.next()
		if err == nil {
			err = fr.records(func(Record) {})
		}
		if err == nil {
			s = s.with(h)
			continue
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if !errors.Is(err, ErrCorrupt) {
			f.Close()
			return err
		}
		if err := f.Truncate(fr.offset); err != nil { // the torn tail: never acknowledged
			f.Close()
			return fmt.Errorf("segments: %w", err)
		}
		break
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return fmt.Errorf("segments: %w", err)
	}
	l.file, l.active, l.pending, l.written = f, s, s, s.size
	return nil
}

// begin makes a new, empty active segment.
func (l *Log) begin(next uint64) error {
	s := emptySegment(filepath.Join(l.dir, "active-"+strconv.FormatUint(next, 10)+".log"), next)
	f, err := os.OpenFile(s.path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("segments: %w", err)
	}
	if err := durable.SyncDir(l.dir); err != nil {
		f.Close()
		return fmt.Errorf("segments: %w", err)
	}
	l.file, l.active, l.pending, l.written = f, s, s, 0
	return nil
}

// seal closes the active segment and gives it its final name; an empty one is
// removed. Everything in it is fsynced.
func (l *Log) seal() error {
	s := l.active
	if s.empty() {
		if err := os.Remove(s.path); err != nil {
			return fmt.Errorf("segments: %w", err)
		}
	} else {
		path := filepath.Join(l.dir, fmt.Sprintf("seg-%d-%d-%d-%d.log", s.first, s.next-1, s.from, s.to))
		if err := os.Rename(s.path, path); err != nil {
			return fmt.Errorf("segments: %w", err)
		}
		s.path = path
		l.sealed = append(l.sealed, s)
	}
	f := l.file
	l.file, l.active = nil, emptySegment("", l.active.next)
	l.pending = l.active
	if err := f.Close(); err != nil {
		return fmt.Errorf("segments: %w", err)
	}
	if err := durable.SyncDir(l.dir); err != nil {
		return fmt.Errorf("segments: %w", err)
	}
	return nil
}

// Batch is what Append is given of one series.
type Batch struct {
	Series  string
	Entries []Entry
}

// Append stores a batch of one series; see the package's comment on when it
// returns. An empty batch does nothing.
func (l *Log) Append(series string, ingested int64, entries []Entry) error {
	return l.AppendAll(ingested, []Batch{{series, entries}})
}

// AppendAll stores batches of several series and returns when all are durable,
// after one fsync. Each is there whole or not at all; after a crash or an error
// it may be that only the first of them are there.
func (l *Log) AppendAll(ingested int64, batches []Batch) error {
	end, epoch := uint64(0), 0
	for _, b := range batches {
		if len(b.Entries) == 0 {
			continue
		}
		was := epoch
		var err error
		if end, epoch, err = l.write(b.Series, ingested, b.Entries, end, was); err != nil {
			return err
		}
	}
	if end == 0 {
		return nil
	}
	return l.sync(end, epoch)
}

// write puts a frame at the end of the active segment, not yet durable. It
// returns the number after the frame's last record. before and epoch are what it
// returned for the batch's earlier frames, 0 for the first: if the disk has lost
// them meanwhile, so has this one.
func (l *Log) write(series string, ingested int64, entries []Entry, before uint64, epoch int) (end uint64, now int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.removed {
		return 0, 0, ErrRemoved
	}
	if before > 0 && epoch < len(l.kept) && l.kept[epoch] < before {
		return 0, 0, fmt.Errorf("segments: not written: the disk failed")
	}
	if l.unusable != nil {
		if err := l.repair(); err != nil {
			return 0, 0, err
		}
	}
	frame, h, err := encodeFrame(series, l.pending.next, ingested, entries)
	if err != nil {
		return 0, 0, err
	}
	if _, err := l.file.WriteAt(frame, l.written); err != nil {
		// What was written of it lies beyond l.written: the next frame
		// overwrites it, and a crash's recovery cuts it.
		_ = l.file.Truncate(l.written)
		return 0, 0, fmt.Errorf("segments: not written: %w", err)
	}
	l.pending = l.pending.with(h)
	l.written = l.pending.size
	return l.pending.next, len(l.kept), nil
}

// sync makes everything written durable and visible, unless somebody else's
// fsync has done so meanwhile.
func (l *Log) sync(end uint64, epoch int) error {
	l.syncMu.Lock()
	defer l.syncMu.Unlock()
	l.mu.RLock()
	upto, file, done, lost, removed := l.pending, l.file, l.active.next >= end, false, l.removed
	if epoch < len(l.kept) {
		done, lost = l.kept[epoch] >= end, l.kept[epoch] < end
	}
	l.mu.RUnlock()
	switch {
	case done:
		return nil
	case lost:
		return fmt.Errorf("segments: not written: the disk failed")
	case removed:
		return ErrRemoved
	}
	err := l.fsync(file)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.removed {
		return ErrRemoved
	}
	if err != nil {
		return fmt.Errorf("segments: not written: %w", l.dropUnsynced(err))
	}
	l.active = upto
	close(l.changed)
	l.changed = make(chan struct{})
	// By age only when there is something in it: backfilling beside live records
	// must not make a segment of every batch.
	if upto.size >= l.opt.SegmentBytes || upto.to-upto.from >= l.opt.SegmentSpan && upto.size >= l.opt.SegmentBytes/64 {
		if l.pending.next != l.active.next {
			// Others have written meanwhile; without this, a busy log would
			// never find a moment to rotate.
			if err := l.fsync(l.file); err != nil {
				_ = l.dropUnsynced(err) // theirs to be told
				return nil
			}
			l.active = l.pending
		}
		l.rotate()
	}
	return nil
}

// dropUnsynced throws away what an fsync failed for: the kernel may have
// dropped those pages, and a frame written after them would be cut off with
// them at the next start. It goes on in a new segment.
func (l *Log) dropUnsynced(cause error) error {
	l.kept = append(l.kept, l.active.next)
	l.pending, l.written = l.active, l.active.size
	l.unusable = cause
	_ = l.repair() // or the next Append tries again
	return cause
}

// repair makes the log writable again after a failure.
func (l *Log) repair() error {
	if l.file != nil {
		if err := l.file.Truncate(l.active.size); err != nil {
			return fmt.Errorf("segments: the disk failed: %w", errors.Join(l.unusable, err))
		}
	}
	l.unusable = nil
	l.rotate()
	return l.unusable
}

// rotate begins a new segment; all of the active one is durable. If the disk
// refuses to seal it, it goes on being used.
func (l *Log) rotate() {
	next := l.active.next
	if l.file != nil {
		err := l.seal()
		if l.file != nil {
			return
		}
		if err != nil {
			l.unusable = err // its file is sealed, but a power cut might undo the new name
			return
		}
	}
	l.unusable = l.begin(next)
}

// Changed returns a channel that is closed when readers may see more than now.
func (l *Log) Changed() <-chan struct{} {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.changed
}

// Bytes is how much the log takes on disk.
func (l *Log) Bytes() int64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	n := l.active.size
	for _, s := range l.sealed {
		n += s.size
	}
	return n
}

// DropBefore deletes the segments all of whose records are older than a time.
// The active segment is sealed first if it is one of them.
func (l *Log) DropBefore(time int64) error {
	l.syncMu.Lock()
	defer l.syncMu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.removed {
		return ErrRemoved
	}
	if !l.active.empty() && l.active.to < time && l.pending.next == l.active.next && l.unusable == nil {
		l.rotate()
	}
	var keep []segment
	var errs []error
	for i, s := range l.sealed {
		// The last sealed one stays while the numbers hang on it: the name of an
		// active segment holds them too, so only without one.
		if s.to >= time || l.file == nil && i == len(l.sealed)-1 {
			keep = append(keep, s)
			continue
		}
		if err := os.Remove(s.path); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
			keep = append(keep, s)
		}
	}
	l.sealed = keep
	return errors.Join(errs...)
}

// close ends the log; readers and writers get ErrRemoved.
func (l *Log) close() error {
	l.syncMu.Lock()
	defer l.syncMu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.removed {
		return nil
	}
	l.removed = true
	close(l.changed)
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}

// parseName reads what a segment's file name says.
func parseName(path string) (s segment, active, ok bool) {
	name, isLog := strings.CutSuffix(filepath.Base(path), ".log")
	if !isLog {
		return s, false, false
	}
	if n, found := strings.CutPrefix(name, "active-"); found {
		first, err := strconv.ParseUint(n, 10, 64)
		return emptySegment(path, first), true, err == nil && first > 0
	}
	var last uint64
	s.path = path
	_, err := fmt.Sscanf(name, "seg-%d-%d-%d-%d", &s.first, &last, &s.from, &s.to)
	s.next = last + 1
	return s, false, err == nil && s.first > 0 && last >= s.first && s.from <= s.to
}
