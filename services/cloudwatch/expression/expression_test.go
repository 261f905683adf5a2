package expression

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// env has m1 = 1 2 3 - 5 and m2 = 10 - 30 40 50, a period of a minute.
func env() Env {
	m1 := Series{Label: "m1", Period: 60_000, Times: []int64{0, 60_000, 120_000, 240_000}, Values: []float64{1, 2, 3, 5}}
	m2 := Series{Label: "m2", Period: 60_000, Times: []int64{0, 120_000, 180_000, 240_000}, Values: []float64{10, 30, 40, 50}}
	return Env{
		Start: 0, End: 300_000, Period: 60_000,
		Lookup: func(id string) (Value, error) {
			switch id {
			case "m1":
				return Of(m1), nil
			case "m2":
				return Of(m2), nil
			}
			return Value{}, fmt.Errorf("no %s", id)
		},
		Metrics: func(contains string) (out []Series, err error) {
			for _, s := range []Series{m1, m2} {
				if strings.Contains(s.Label, contains) {
					out = append(out, s)
				}
			}
			return out, nil
		},
	}
}

// show writes a value in a line, "-" where a minute has no point.
func show(v Value) string {
	if v.Kind == Scalar {
		return fmt.Sprintf("%.4g", v.Number)
	}
	var all []string
	for _, s := range v.Series {
		var parts []string
		for t := int64(0); t < 300_000; t += 60_000 {
			if f, ok := s.at(t); ok {
				parts = append(parts, fmt.Sprintf("%.4g", f))
			} else {
				parts = append(parts, "-")
			}
		}
		all = append(all, strings.Join(parts, " "))
	}
	return strings.Join(all, " | ")
}

func TestEval(t *testing.T) {
	for text, want := range map[string]string{
		"m1":                              "1 2 3 - 5",
		"1 + 2 * 3 ^ 2 - -1":              "20",
		"(1+2)*3":                         "9",
		"m1 + 1":                          "2 3 4 - 6",
		"100 - m1":                        "99 98 97 - 95",
		"m1 + m2":                         "11 - 33 - 55",
		"m2 / m1":                         "10 - 10 - 10",
		"m1 / (m1 - 1)":                   "- 2 1.5 - 1.25",
		"-m1":                             "-1 -2 -3 - -5",
		"[m1, m2] * 2":                    "2 4 6 - 10 | 20 - 60 80 100",
		"SUM([m1,m2])":                    "11 2 33 40 55",
		"SUM(METRICS())":                  "11 2 33 40 55",
		`AVG(METRICS("m1"))`:              "1 2 3 - 5",
		"SUM(m1)":                         "11",
		"AVG(m2)":                         "32.5",
		"MAX([m1,m2,7])":                  "10 7 30 40 50",
		"MIN(m1)":                         "1",
		"STDDEV([m1,m1])":                 "0 0 0 - 0",
		"FILL(m1, 0)":                     "1 2 3 0 5",
		"FILL(m1, REPEAT)":                "1 2 3 3 5",
		"FILL(m1,LINEAR)":                 "1 2 3 4 5",
		"FILL(m1, m2)":                    "1 2 3 40 5",
		"FILL(METRICS(), 0)":              "1 2 3 0 5 | 10 0 30 40 50",
		"RATE(m1)*60":                     "- 1 1 - 1",
		"DIFF(m1)":                        "- 1 1 - 2",
		"DIFF_TIME(m1)":                   "- 60 60 - 120",
		"RUNNING_SUM(m1)":                 "1 3 6 - 11",
		"IF(m1 > 2, m1, 0)":               "0 0 3 - 5",
		"IF(m1 > 2, m2)":                  "- - 30 - 50",
		"m1 >= 2 && m2 < 50":              "0 - 1 - 0",
		"m1 == 1 OR m1 == 5":              "1 0 0 - 1",
		"IF(1 == 1, m1, m2)":              "1 2 3 - 5",
		"ABS(0-m1)":                       "1 2 3 - 5",
		"CEIL(m1/2)":                      "1 1 2 - 3",
		"METRIC_COUNT(METRICS())":         "2",
		"DATAPOINT_COUNT(m1)":             "4",
		"MINUTE(m1)":                      "0 1 2 - 4",
		"PERIOD(m1)":                      "60",
		"TIME_SERIES(7)":                  "7 7 7 7 7",
		"FIRST(SORT(METRICS(),AVG,DESC))": "10 - 30 40 50",
		"SLICE(METRICS(), 1)":             "10 - 30 40 50",
		"sum([m1, m2])":                   "11 2 33 40 55",
	} {
		e, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		v, err := e.Eval(env())
		if got := show(v); err != nil || got != want {
			t.Errorf("%s is %s (%v), want %s", text, got, err, want)
		}
	}
}

func TestRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "ends too early",
		"m1 +":                               "ends too early",
		"(m1":                                "not closed",
		"m1 m2":                              `unexpected "m2"`,
		"SEARCH('{AWS/ECS}', 'Average', 60)": "SEARCH is not supported",
		"ANOMALY_DETECTION_BAND(m1, 2)":      "ANOMALY_DETECTION_BAND is not supported",
		"SELECT AVG(x) FROM y":               "not supported",
		"NONSENSE(m1)":                       "unknown function NONSENSE",
		"FILL(m1)":                           "takes 2 to 2",
		"m1 $ 2":                             "unexpected character",
		`METRICS("a`:                         "without its end",
		strings.Repeat("(", 500):             "too deeply",
		strings.Repeat("-", 500) + "1":       "too deeply",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	for _, text := range []string{"METRICS() + METRICS()", "m3", `"a" + 1`, "SUM(\"a\")", "IF(METRICS(), 1, 2)", "SLICE(METRICS(), 9)"} {
		e, err := Parse(text)
		if err != nil {
			t.Fatal(text, err)
		}
		if v, err := e.Eval(env()); err == nil {
			t.Errorf("%s is %s", text, show(v))
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"m1+m2*2", "FILL(METRICS(),LINEAR)", `IF(m1>2 && m2!=0, SUM([m1,1e3]), -m1^2)`, "SORT(METRICS(),AVG,DESC,1)", "1/0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := Parse(text)
		if err != nil {
			return
		}
		v, err := e.Eval(env())
		if err != nil {
			return
		}
		for _, s := range v.Series {
			for i, x := range s.Values {
				if math.IsNaN(x) || i > 0 && s.Times[i] <= s.Times[i-1] {
					t.Errorf("%q yields %v", text, s)
				}
			}
		}
	})
}
