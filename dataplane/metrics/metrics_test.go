package metrics

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"minato/dataplane/segments"
	"minato/internal/clock"
)

var start = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func open(t testing.TB, dir string, c clock.Clock) *Set {
	t.Helper()
	s, err := segments.Open(dir, segments.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return Open(s, c)
}

func point(name string, at time.Time, v float64) Point {
	return Point{Metric{Namespace: "N", Name: name, Dimensions: []Dimension{{"b", "2"}, {"a", "1"}}}, Of(at.UnixMilli(), "Count", true, []Value{{v, 1}})}
}

func read(t *testing.T, s *Set, name string, from, to time.Time) string {
	t.Helper()
	got, err := s.Read(t.Context(), "here", point(name, from, 0).Metric, from.UnixMilli(), to.UnixMilli())
	if err != nil {
		t.Fatal(err)
	}
	var out []float64
	for _, g := range got {
		out = append(out, g.Sum)
	}
	return fmt.Sprint(out)
}

// TestRestart: what was acknowledged is there again, from memory and from disk.
func TestRestart(t *testing.T) {
	dir, c := t.TempDir(), clock.NewFake(start)
	s := open(t, dir, c)
	if err := s.Put(t.Context(), "here", []Point{
		point("x", start.Add(-time.Minute), 3), point("x", start.Add(-5*time.Hour), 1), point("y", start, 7), point("x", start.Add(-2*time.Minute), 2),
	}); err != nil {
		t.Fatal(err)
	}
	check := func(s *Set) {
		t.Helper()
		if got := read(t, s, "x", start.Add(-time.Hour), start); got != "[2 3]" {
			t.Errorf("recent: %s", got)
		}
		if got := read(t, s, "x", start.Add(-24*time.Hour), start); got != "[1 2 3]" {
			t.Errorf("all: %s", got)
		}
		if got := read(t, s, "z", start.Add(-24*time.Hour), start); got != "[]" {
			t.Errorf("unknown: %s", got)
		}
		list, err := s.List(t.Context(), "here", start.Add(-time.Hour).UnixMilli())
		if err != nil || len(list) != 2 || list[0].Metric.Name != "x" || list[0].Metric.Dimensions[0].Name != "a" {
			t.Errorf("%v %v", list, err)
		}
	}
	check(s)
	s.segments.Close()
	check(open(t, dir, c))
}

// TestSweep: what is older than the retention goes, from disk and from the list.
func TestSweep(t *testing.T) {
	c := clock.NewFake(start)
	s := open(t, t.TempDir(), c)
	if err := s.Put(t.Context(), "here", []Point{point("x", start, 1)}); err != nil {
		t.Fatal(err)
	}
	c.Advance(Retention + time.Hour)
	if err := s.Put(t.Context(), "here", []Point{point("y", c.Now(), 1)}); err != nil {
		t.Fatal(err)
	}
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := s.List(t.Context(), "here", 0)
	if err != nil || len(list) != 1 || list[0].Metric.Name != "y" {
		t.Errorf("%v %v", list, err)
	}
	if got := read(t, s, "y", c.Now(), c.Now().Add(time.Second)); got != "[1]" {
		t.Errorf("y: %s", got)
	}
}

// TestReadProperty: memory and disk tell the same, in order of time.
func TestReadProperty(t *testing.T) {
	c := clock.NewFake(start)
	s := open(t, t.TempDir(), c)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		name := fmt.Sprintf("m%d", n)
		var points []Point
		var want []float64
		for range rapid.IntRange(0, 20).Draw(rt, "n") {
			ago := time.Duration(rapid.IntRange(1, 2*3600).Draw(rt, "ago")) * time.Second
			points = append(points, point(name, start.Add(-ago), -ago.Seconds()))
			want = append(want, -ago.Seconds())
		}
		slices.Sort(want)
		for chunk := range slices.Chunk(points, 7) {
			if err := s.Put(t.Context(), "here", chunk); err != nil {
				rt.Fatal(err)
			}
		}
		recent, all := read(t, s, name, start.Add(-Recent), start), read(t, s, name, start.Add(-Recent-time.Hour), start)
		if recent != all || recent != fmt.Sprint(want) {
			rt.Fatalf("memory %s, disk %s, want %v", recent, all, want)
		}
	})
}

func TestSampleRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Sample{Time: 5, Unit: rapid.SampledFrom([]string{"", "Count", "Bytes/Second"}).Draw(t, "unit"), High: rapid.Bool().Draw(t, "high")}
		if rapid.Bool().Draw(t, "values") {
			var values []Value
			once := rapid.Bool().Draw(t, "once")
			for range rapid.IntRange(1, 10).Draw(t, "n") {
				v := Value{rapid.Float64Range(-1e9, 1e9).Draw(t, "v"), 1}
				if !once {
					v.Count = float64(rapid.IntRange(1, 99).Draw(t, "count"))
				}
				values = append(values, v)
			}
			s = Of(5, s.Unit, s.High, values)
		} else {
			s.Count, s.Sum, s.Min, s.Max = 3, rapid.Float64().Draw(t, "sum"), 1, 2
		}
		got, err := decode(5, s.encode())
		if err != nil || fmt.Sprint(got) != fmt.Sprint(s) {
			t.Fatalf("%v %v, want %v", got, err, s)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(Of(1, "Count", true, []Value{{1, 1}, {2, 3}}).encode())
	f.Add(Sample{Count: 1, Sum: 2, Min: 2, Max: 2}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := decode(1, b); err == nil && s.Values != nil && len(s.Values) > 0 && math.IsInf(s.Min, 1) && !math.IsInf(s.Values[0].Value, 0) && !math.IsNaN(s.Values[0].Value) {
			t.Errorf("%v", s)
		}
	})
}
