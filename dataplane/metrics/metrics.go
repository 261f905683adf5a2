// Package metrics keeps the samples of metrics: append-only, with retention, in
// dataplane/segments.
//
// A Set holds one log of samples a place (an account and region), in which a
// metric is a series under a short id, and one log of names, which says which
// metric an id is. A name is written before the first sample under it, and again
// once a day while samples come, so that both logs can drop what is old.
//
//	<place>         series = id     record = sample
//	<place>.names   series = id     record = the metric's name, JSON
//
// When Put returns nil the samples are on disk. The samples of the last hours
// are in memory too, in order of time: alarms look at them every few seconds,
// and must not read files for it. What is older is read from the segments.
package metrics

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"minato/dataplane/segments"
	"minato/internal/clock"
)

const (
	// Recent is how far back samples are held in memory.
	Recent = 3 * time.Hour
	// Retention is how long samples are kept.
	Retention = 15 * 24 * time.Hour
	// Renewal is how often a name in use is written again.
	renewal = 24 * time.Hour
	namesOf = ".names"
)

// Dimension is a name and a value that tell metrics of one name apart.
type Dimension struct {
	Name  string `json:"n"`
	Value string `json:"v"`
}

// Metric names a series of samples.
type Metric struct {
	Namespace  string      `json:"ns"`
	Name       string      `json:"m"`
	Dimensions []Dimension `json:"d,omitempty"` // sorted by name: see Sorted
}

// Sorted returns the metric with its dimensions in order; their order says nothing.
func (m Metric) Sorted() Metric {
	m.Dimensions = slices.Clone(m.Dimensions)
	sort.Slice(m.Dimensions, func(i, j int) bool { return m.Dimensions[i].Name < m.Dimensions[j].Name })
	return m
}

// ID is the metric's series in the segments. The metric is Sorted.
func (m Metric) ID() string {
	var b strings.Builder
	part := func(s string) { fmt.Fprintf(&b, "%d:%s", len(s), s) }
	part(m.Namespace)
	part(m.Name)
	for _, d := range m.Dimensions {
		part(d.Name)
		part(d.Value)
	}
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:12])
}

// Point is a sample of a metric.
type Point struct {
	Metric Metric
	Sample Sample
}

// Info is what is known of a metric.
type Info struct {
	Metric Metric
	Last   int64 // about when it was last given a sample, milliseconds
}

// Set is the metrics of all places.
type Set struct {
	segments *segments.Set
	clock    clock.Clock

	mu     sync.Mutex
	places map[string]*place
}

// place is what is in memory of an account and region.
type place struct {
	mu      sync.RWMutex
	series  map[string]*series
	samples *segments.Log
	names   *segments.Log
}

// series is one metric.
type series struct {
	metric Metric
	named  int64    // when its name was last written; 0 not yet
	last   int64    // time of the newest sample, or of the name
	recent []Sample // sorted by time
}

// Open returns the set over segments that are its own.
func Open(s *segments.Set, c clock.Clock) *Set {
	return &Set{segments: s, clock: c, places: map[string]*place{}}
}

func (s *Set) nowMillis() int64 { return s.clock.Now().UnixMilli() }

// place returns a place, read from disk at first use.
func (s *Set) place(ctx context.Context, name string) (*place, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.places[name]; p != nil {
		return p, nil
	}
	p := &place{series: map[string]*series{}}
	var err error
	if p.samples, err = s.segments.Log(name); err != nil {
		return nil, err
	}
	if p.names, err = s.segments.Log(name + namesOf); err != nil {
		return nil, err
	}
	now := s.nowMillis()
	err = each(ctx, p.names, segments.Query{From: now - Retention.Milliseconds()}, func(r segments.Record) error {
		var m Metric
		if err := json.Unmarshal(r.Data, &m); err != nil {
			return fmt.Errorf("metrics: the name of series %s: %w", r.Series, err)
		}
		p.series[r.Series] = &series{metric: m, named: r.Time, last: r.Time}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = each(ctx, p.samples, segments.Query{From: now - Recent.Milliseconds()}, func(r segments.Record) error {
		sample, err := decode(r.Time, r.Data)
		if se := p.series[r.Series]; se != nil && err == nil {
			se.recent = append(se.recent, sample) // they come sorted
			se.last = max(se.last, r.Time)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	s.places[name] = p
	return p, nil
}

// page bounds what one read of the segments holds.
const page = 10000

// each calls f for every record of a query, oldest first.
func each(ctx context.Context, l *segments.Log, q segments.Query, f func(segments.Record) error) error {
	q.Limit, q.Bytes = page, 4<<20
	for {
		records, more, err := l.Read(ctx, q)
		if err != nil {
			return err
		}
		for _, r := range records {
			if err := f(r); err != nil {
				return err
			}
		}
		if !more {
			return nil
		}
		after := records[len(records)-1].Position()
		q.After = &after
	}
}

// Put stores samples; when it returns nil they are on disk, and what was read
// with nil error before is unchanged.
func (s *Set) Put(ctx context.Context, placeName string, points []Point) error {
	p, err := s.place(ctx, placeName)
	if err != nil {
		return err
	}
	now := s.nowMillis()
	var names, samples []segments.Batch
	at := map[string]int{} // where in samples an id's batch is
	metrics := map[string]Metric{}
	for _, pt := range points {
		m := pt.Metric.Sorted()
		id := m.ID()
		i, ok := at[id]
		if !ok {
			i = len(samples)
			at[id], metrics[id] = i, m
			samples = append(samples, segments.Batch{Series: id})
		}
		samples[i].Entries = append(samples[i].Entries, segments.Entry{Time: pt.Sample.Time, Data: pt.Sample.encode()})
	}
	p.mu.RLock()
	for id, m := range metrics {
		if se := p.series[id]; se == nil || now-se.named >= renewal.Milliseconds() {
			b, err := json.Marshal(m)
			if err != nil {
				p.mu.RUnlock()
				return fmt.Errorf("metrics: %w", err)
			}
			names = append(names, segments.Batch{Series: id, Entries: []segments.Entry{{Time: now, Data: b}}})
		}
	}
	p.mu.RUnlock()
	if err := p.names.AppendAll(now, names); err != nil {
		return err
	}
	if err := p.samples.AppendAll(now, samples); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range names {
		se := p.series[n.Series]
		if se == nil {
			se = &series{metric: metrics[n.Series]}
			p.series[n.Series] = se
		}
		se.named, se.last = now, max(se.last, now)
	}
	for _, pt := range points {
		p.series[pt.Metric.Sorted().ID()].add(pt.Sample, now)
	}
	return nil
}

// add takes a sample into memory and lets go what is no longer recent.
func (se *series) add(sample Sample, now int64) {
	se.last = max(se.last, sample.Time)
	edge := now - Recent.Milliseconds()
	if sample.Time >= edge {
		i := sort.Search(len(se.recent), func(i int) bool { return se.recent[i].Time > sample.Time })
		se.recent = slices.Insert(se.recent, i, sample)
	}
	se.trim(edge)
}

// trim lets go the samples before an edge, a quarter of an hour at once.
func (se *series) trim(edge int64) {
	if len(se.recent) == 0 || se.recent[0].Time >= edge-15*60*1000 {
		return
	}
	i := sort.Search(len(se.recent), func(i int) bool { return se.recent[i].Time >= edge })
	se.recent = slices.Clone(se.recent[i:])
}

// Read returns a metric's samples from a time (included) to a time (not), in
// order of time.
func (s *Set) Read(ctx context.Context, placeName string, m Metric, from, to int64) ([]Sample, error) {
	p, err := s.place(ctx, placeName)
	if err != nil {
		return nil, err
	}
	id := m.Sorted().ID()
	now := s.nowMillis()
	p.mu.RLock()
	se := p.series[id]
	if se == nil {
		p.mu.RUnlock()
		return nil, nil
	}
	if from >= now-Recent.Milliseconds() {
		i := sort.Search(len(se.recent), func(i int) bool { return se.recent[i].Time >= from })
		j := sort.Search(len(se.recent), func(j int) bool { return se.recent[j].Time >= to })
		out := slices.Clone(se.recent[i:max(i, j)])
		p.mu.RUnlock()
		return out, nil
	}
	p.mu.RUnlock()
	var out []Sample
	q := segments.Query{Series: func(series string) bool { return series == id }, From: max(from, now-Retention.Milliseconds()), To: to}
	err = each(ctx, p.samples, q, func(r segments.Record) error {
		sample, err := decode(r.Time, r.Data)
		out = append(out, sample)
		return err
	})
	return out, err
}

// List returns the metrics of a place that were given samples since a time,
// sorted by namespace, name and dimensions.
func (s *Set) List(ctx context.Context, placeName string, since int64) ([]Info, error) {
	p, err := s.place(ctx, placeName)
	if err != nil {
		return nil, err
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	var out []Info
	for _, se := range p.series {
		if se.last >= since {
			out = append(out, Info{se.metric, se.last})
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Metric.less(out[j].Metric) })
	return out, nil
}

func (m Metric) less(o Metric) bool {
	switch {
	case m.Namespace != o.Namespace:
		return m.Namespace < o.Namespace
	case m.Name != o.Name:
		return m.Name < o.Name
	}
	return m.ID() < o.ID()
}

// Sweep drops what is older than the retention, from disk and from memory.
func (s *Set) Sweep(ctx context.Context) error {
	names, err := s.segments.Names()
	if err != nil {
		return err
	}
	now := s.nowMillis()
	var errs []error
	for _, name := range names {
		l, err := s.segments.Log(name)
		if err == nil {
			err = l.DropBefore(now - Retention.Milliseconds())
		}
		errs = append(errs, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.places {
		p.mu.Lock()
		for id, se := range p.series {
			se.trim(now - Recent.Milliseconds())
			if se.last < now-Retention.Milliseconds() {
				delete(p.series, id)
			}
		}
		p.mu.Unlock()
	}
	return errors.Join(errs...)
}
