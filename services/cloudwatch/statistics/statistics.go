// Package statistics makes CloudWatch's statistics of samples: one number a
// period, from SampleCount to percentiles and trimmed means. It is pure.
package statistics

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"minato/dataplane/metrics"
)

// Bucket is what is known of one period.
type Bucket struct {
	Start int64 // milliseconds since 1970
	Unit  string
	Count float64
	Sum   float64
	Min   float64
	Max   float64

	values []metrics.Value // sorted; of samples that told them
	opaque bool            // samples told only statistics that hide their values
}

// Aggregate sorts samples into periods that begin at start and every period
// after it, both in milliseconds; periods without samples are left out. Samples
// of a metric kept by the minute count for the minute they are in.
func Aggregate(samples []metrics.Sample, start, end, period int64) []Bucket {
	var out []Bucket
	at := map[int64]int{}
	for _, s := range samples {
		t := s.Time
		if !s.High {
			t -= mod(t, 60_000)
		}
		if t < start || t >= end {
			continue
		}
		begin := t - mod(t-start, period)
		i, ok := at[begin]
		if !ok {
			i = len(out)
			at[begin] = i
			out = append(out, Bucket{Start: begin, Unit: s.Unit, Min: math.Inf(1), Max: math.Inf(-1)})
		}
		out[i].add(s)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Start < out[j].Start })
	for i := range out {
		slices.SortFunc(out[i].values, func(a, b metrics.Value) int {
			switch {
			case a.Value < b.Value:
				return -1
			case a.Value > b.Value:
				return 1
			}
			return 0
		})
	}
	return out
}

func mod(t, period int64) int64 { return ((t % period) + period) % period }

func (b *Bucket) add(s metrics.Sample) {
	b.Count += s.Count
	b.Sum += s.Sum
	b.Min, b.Max = min(b.Min, s.Min), max(b.Max, s.Max)
	switch {
	case s.Values != nil:
		b.values = append(b.values, s.Values...)
	case s.Count > 0 && s.Min == s.Max:
		b.values = append(b.values, metrics.Value{Value: s.Min, Count: s.Count})
	case s.Count == 1:
		b.values = append(b.values, metrics.Value{Value: s.Sum, Count: 1})
	default:
		b.opaque = true
	}
}

// Stat is a statistic that can be asked for.
type Stat struct {
	name     string
	kind     kind
	from, to float64 // what is within them counts: percent, or values
	values   bool    // from and to are values
}

type kind uint8

const (
	count kind = iota
	sum
	average
	minimum
	maximum
	percentile
	trimmedMean
	winsorizedMean
	trimmedCount
	trimmedSum
	percentileRank
)

var basic = map[string]kind{"SampleCount": count, "Sum": sum, "Average": average, "Minimum": minimum, "Maximum": maximum}

// One number, as in p99.9; or a range, as in tm(10%:90%), TC(:0.5).
var (
	short = regexp.MustCompile(`^(p|tm|wm|tc|ts)(\d{1,3}(?:\.\d{1,10})?)$`)
	long  = regexp.MustCompile(`^(TM|WM|TC|TS|PR)\(([^:()]*):([^:()]*)\)$`)
)

// Parse reads the name of a statistic.
func Parse(name string) (Stat, error) {
	if k, ok := basic[name]; ok {
		return Stat{name: name, kind: k}, nil
	}
	if name == "IQM" {
		return Stat{name: name, kind: trimmedMean, from: 25, to: 75}, nil
	}
	kinds := map[string]kind{"p": percentile, "tm": trimmedMean, "wm": winsorizedMean, "tc": trimmedCount, "ts": trimmedSum, "pr": percentileRank}
	if m := short.FindStringSubmatch(name); m != nil {
		f, err := strconv.ParseFloat(m[2], 64)
		if err != nil || f > 100 {
			return Stat{}, fmt.Errorf("%q is not a statistic", name)
		}
		return Stat{name: name, kind: kinds[m[1]], to: f}, nil
	}
	if m := long.FindStringSubmatch(name); m != nil {
		s := Stat{name: name, kind: kinds[strings.ToLower(m[1])]}
		if s.bounds(m[2], m[3]) {
			return s, nil
		}
	}
	return Stat{}, fmt.Errorf("%q is not a statistic", name)
}

// bounds reads both ends of a range, percent or values; one may be missing.
func (s *Stat) bounds(from, to string) bool {
	fromPercent, toPercent := strings.HasSuffix(from, "%"), strings.HasSuffix(to, "%")
	if from == "" && to == "" || from != "" && to != "" && fromPercent != toPercent {
		return false
	}
	s.values = !fromPercent && !toPercent
	s.from, s.to = 0, 100
	if s.values {
		s.from, s.to = math.Inf(-1), math.Inf(1)
	}
	for _, end := range []struct {
		text string
		at   *float64
	}{{strings.TrimSuffix(from, "%"), &s.from}, {strings.TrimSuffix(to, "%"), &s.to}} {
		if end.text == "" {
			continue
		}
		v, err := strconv.ParseFloat(end.text, 64)
		if err != nil || math.IsNaN(v) || !s.values && (v < 0 || v > 100) {
			return false
		}
		*end.at = v
	}
	return s.from < s.to && (s.kind != percentileRank || s.values)
}

// String is the statistic's name.
func (s Stat) String() string { return s.name }

// Extended tells whether it is none of the five simple ones.
func (s Stat) Extended() bool { return s.kind > maximum }

// Of is the statistic of a period; false when it can not be told, because only
// statistics were put in and the values are not known.
func (b Bucket) Of(s Stat) (float64, bool) {
	switch s.kind {
	case count:
		return b.Count, true
	case sum:
		return b.Sum, true
	case minimum:
		return b.Min, true
	case maximum:
		return b.Max, true
	case average:
		return b.Sum / b.Count, b.Count > 0
	}
	if b.opaque || len(b.values) == 0 || b.Count <= 0 {
		return 0, false
	}
	if s.kind == percentile {
		return b.quantile(s.to), true
	}
	low, high := s.from, s.to
	if !s.values {
		low, high = b.quantile(s.from), b.quantile(s.to)
	}
	n, total := 0.0, 0.0
	for _, v := range b.values {
		value := v.Value
		inside := value >= low && value <= high
		if s.values && s.kind != percentileRank {
			inside = value > low && value <= high // AWS: the lower bound is excluded
		}
		if s.kind == winsorizedMean {
			value, inside = min(max(value, low), high), true
		}
		if inside {
			n += v.Count
			total += value * v.Count
		}
	}
	switch s.kind {
	case trimmedCount:
		return n, true
	case trimmedSum:
		return total, true
	case percentileRank:
		return 100 * n / b.Count, true
	}
	return total / n, n > 0
}

// quantile is the value below which a percentage of the values lies,
// interpolated between the two around it.
func (b Bucket) quantile(percent float64) float64 {
	rank := percent / 100 * (b.Count - 1)
	at := func(i float64) float64 {
		seen := 0.0
		for _, v := range b.values {
			if seen += v.Count; i < seen {
				return v.Value
			}
		}
		return b.values[len(b.values)-1].Value
	}
	low := math.Floor(rank)
	a := at(low)
	if low == rank {
		return a
	}
	return a + (rank-low)*(at(low+1)-a)
}

// Percent is which part of the values lies below a percentile, 0 to 1; false for
// any other statistic.
func (s Stat) Percent() (float64, bool) { return s.to / 100, s.kind == percentile }
