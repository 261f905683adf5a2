package statistics

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"minato/dataplane/metrics"
)

func values(vs ...float64) []metrics.Value {
	var out []metrics.Value
	for _, v := range vs {
		out = append(out, metrics.Value{Value: v, Count: 1})
	}
	return out
}

func TestStatistics(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(100 - i)
	}
	b := Aggregate([]metrics.Sample{metrics.Of(61_000, "Count", false, values(hundred...))}, 0, 120_000, 60_000)
	if len(b) != 1 || b[0].Start != 60_000 {
		t.Fatalf("%+v", b)
	}
	for name, want := range map[string]float64{
		"SampleCount": 100, "Sum": 5050, "Average": 50.5, "Minimum": 1, "Maximum": 100, "p0": 1, "p100": 100, "p50": 50.5, "p90": 90.1,
		"tc90": 90, "TM(10%:90%)": 50.5, "IQM": 50.5, "TC(:10)": 10, "TC(10:20)": 10, "TS(0:3)": 6, "PR(:50)": 50, "PR(91:)": 10, "wm100": 50.5,
	} {
		s, err := Parse(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, ok := b[0].Of(s); !ok || math.Abs(got-want) > 1e-9 {
			t.Errorf("%s is %v %v, want %v", name, got, ok, want)
		}
	}
	for _, name := range []string{"", "sum", "p101", "p", "p99%", "TM(:)", "TM(1:50%)", "TM(90%:10%)", "PR(10%:20%)", "XX(1:2)", "tm(1:2)", "TM(1:2:3)"} {
		if s, err := Parse(name); err == nil {
			t.Errorf("%q is taken as %+v", name, s)
		}
	}
}

// TestStatisticSets: percentiles are known only where the values are.
func TestStatisticSets(t *testing.T) {
	p90, _ := Parse("p90")
	set := metrics.Sample{Time: 1, Count: 3, Sum: 6, Min: 1, Max: 3}
	b := Aggregate([]metrics.Sample{set}, 0, 60_000, 60_000)
	if _, ok := b[0].Of(p90); ok {
		t.Error("a percentile of a set of different values")
	}
	set.Min, set.Max, set.Sum = 2, 2, 6
	if v, ok := Aggregate([]metrics.Sample{set}, 0, 60_000, 60_000)[0].Of(p90); !ok || v != 2 {
		t.Errorf("of a set of one value: %v %v", v, ok)
	}
}

// TestAggregateProperties: nothing is lost or counted twice, and percentiles
// rise and lie between the extremes.
func TestAggregateProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		period := rapid.SampledFrom([]int64{1000, 10_000, 60_000, 300_000}).Draw(t, "period")
		var samples []metrics.Sample
		total := 0.0
		for range rapid.IntRange(0, 30).Draw(t, "n") {
			vs := rapid.SliceOfN(rapid.Float64Range(-1000, 1000), 1, 5).Draw(t, "values")
			samples = append(samples, metrics.Of(rapid.Int64Range(0, 3_600_000-1).Draw(t, "time"), "", rapid.Bool().Draw(t, "high"), values(vs...)))
			total += float64(len(vs))
		}
		got := 0.0
		last := int64(-1)
		for _, b := range Aggregate(samples, 0, 3_600_000, period) {
			got += b.Count
			if b.Start <= last || b.Start%period != 0 {
				t.Fatalf("periods begin at %d, then %d", last, b.Start)
			}
			last = b.Start
			before := math.Inf(-1)
			for _, name := range []string{"p0", "p10", "p50", "p99", "p100"} {
				s, _ := Parse(name)
				v, ok := b.Of(s)
				if !ok || v < before-1e-9 || v < b.Min-1e-9 || v > b.Max+1e-9 {
					t.Fatalf("%s is %v after %v, within %v..%v", name, v, before, b.Min, b.Max)
				}
				before = v
			}
		}
		if got != total {
			t.Fatalf("%v values, %v counted", total, got)
		}
	})
}

// TestEmptyRanges: a range from a number to itself holds nothing, and is none.
func TestEmptyRanges(t *testing.T) {
	for _, name := range []string{"TM(50%:50%)", "PR(3:3)", "TS(2:1)", "TM(:)"} {
		if s, err := Parse(name); err == nil {
			t.Errorf("%s is taken: %+v", name, s)
		}
	}
}

// FuzzParse: what is taken for a statistic keeps its name and has a range.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"Average", "p99.9", "tm(10%:90%)", "TC(:0.5)", "PR(1:2)", "IQM", "WM(5%:)"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		s, err := Parse(name)
		if err != nil {
			return
		}
		if s.String() != name || math.IsNaN(s.from) || math.IsNaN(s.to) || s.from > s.to {
			t.Errorf("%q: %+v", name, s)
		}
	})
}
