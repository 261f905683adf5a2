package cloudwatch

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	cwapi "minato/aws/api/cloudwatch"
)

// slotsOf makes slots of AWS's own notation: X breaches, 0 does not, - is missing.
func slotsOf(text string) []slot {
	var out []slot
	for i, c := range strings.Fields(text) {
		s := slot{start: time.Date(2026, 11, 30, 12, i, 0, 0, time.UTC), there: c != "-", count: 1}
		if c == "X" {
			s.value = 100
		}
		out = append(out, s)
	}
	return out
}

func over(periods, points int, treat string) rules {
	return rules{periods: periods, points: points, operator: cwapi.ComparisonOperatorGreaterThanThreshold, threshold: 80, treat: treat}
}

// TestMissingData has the tables of "How alarm state is evaluated when data is
// missing" in CloudWatch's user guide.
func TestMissingData(t *testing.T) {
	treats := []string{treatMissing, treatIgnore, treatBreaching, treatNotBreaching}
	for _, table := range []struct {
		periods, points int
		rows            map[string]string
	}{
		{3, 3, map[string]string{
			"0 - X - X": "OK OK OK OK",
			"- - - - 0": "OK OK OK OK",
			"- - - - -": "INSUFFICIENT_DATA keep ALARM OK",
			"0 X X - X": "ALARM ALARM ALARM ALARM",
			"- - X - -": "ALARM keep ALARM OK",
			"- - - - X": "keep keep ALARM OK", // "premature transitions to alarm state"
			"- - - X -": "keep keep ALARM OK",
		}},
		{3, 2, map[string]string{
			"0 - X - X": "ALARM ALARM ALARM ALARM",
			"0 0 X 0 X": "ALARM ALARM ALARM ALARM",
			"0 - X - -": "OK OK ALARM OK",
			"- - - - 0": "OK OK ALARM OK",
			"- - - X -": "ALARM keep ALARM OK",
		}},
		{1, 1, map[string]string{"0 - -": "OK OK OK OK", "0 - X": "ALARM ALARM ALARM ALARM", "- - -": "INSUFFICIENT_DATA keep ALARM OK"}},
	} {
		for row, want := range table.rows {
			var got []string
			for _, treat := range treats {
				v := over(table.periods, table.points, treat).judge(slotsOf(row))
				if v.keep {
					v.state = "keep"
				}
				got = append(got, v.state)
			}
			if g := strings.Join(got, " "); g != want {
				t.Errorf("%d out of %d, %s: %s, want %s", table.points, table.periods, row, g, want)
			}
		}
	}
}

func TestReasons(t *testing.T) {
	for _, c := range []struct {
		r         rules
		row, want string
	}{
		{over(1, 1, treatMissing), "0 0 X", "Threshold Crossed: 1 out of the last 1 datapoint [100.0 (30/11/26 12:02:00)] was greater than the threshold (80.0) (minimum 1 datapoint for OK -> ALARM transition)."},
		{over(3, 2, treatMissing), "0 0 X 0 X", "Threshold Crossed: 2 out of the last 3 datapoints [100.0 (30/11/26 12:04:00), 100.0 (30/11/26 12:02:00)] were greater than the threshold (80.0) (minimum 2 datapoints for OK -> ALARM transition)."},
		{over(3, 3, treatMissing), "0 0 X 0 X", "Threshold Crossed: 1 out of the last 3 datapoints [0.0 (30/11/26 12:03:00)] was not greater than the threshold (80.0) (minimum 1 datapoint for ALARM -> OK transition)."},
		{over(2, 2, treatMissing), "- - - -", "Insufficient Data: 2 datapoints were unknown."},
		{over(1, 1, treatBreaching), "- - -", "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as [Breaching]."},
		{over(3, 3, treatBreaching), "- - X - -", "Threshold Crossed: 1 out of the last 3 datapoints [100.0 (30/11/26 12:02:00)] was greater than the threshold (80.0) and 2 missing datapoints were treated as [Breaching] (minimum 3 datapoints for OK -> ALARM transition)."},
	} {
		if got := c.r.reason(c.r.judge(slotsOf(c.row))); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.row, got, c.want)
		}
	}
}

// TestJudgeProperties: with every datapoint there, treating missing ones does
// not matter and M out of N decides; more breaching datapoints never turn an
// alarm off; the same slots give the same verdict.
func TestJudgeProperties(t *testing.T) {
	treats := []string{treatMissing, treatIgnore, treatBreaching, treatNotBreaching}
	rank := map[string]int{cwapi.StateValueOk: 0, cwapi.StateValueInsufficientData: 0, "keep": 1, cwapi.StateValueAlarm: 2}
	name := func(v verdict) string {
		if v.keep {
			return "keep"
		}
		return v.state
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "periods")
		m := rapid.IntRange(1, n).Draw(t, "points")
		row := rapid.SliceOfN(rapid.SampledFrom([]string{"X", "0", "-"}), n+moreSlots, n+moreSlots).Draw(t, "row")
		treat := rapid.SampledFrom(treats).Draw(t, "treat")
		r := over(n, m, treat)
		v := r.judge(slotsOf(strings.Join(row, " ")))
		if w := r.judge(slotsOf(strings.Join(row, " "))); name(v) != name(w) {
			t.Fatal("two verdicts")
		}
		if r.reason(v) == "" {
			t.Fatal("no reason")
		}
		last := row[len(row)-n:]
		if !strings.Contains(strings.Join(last, ""), "-") {
			want := cwapi.StateValueOk
			if strings.Count(strings.Join(last, ""), "X") >= m {
				want = cwapi.StateValueAlarm
			}
			if v.state != want || v.keep {
				t.Fatalf("%v is %s", row, name(v))
			}
		}
		for i := range row {
			if row[i] != "0" {
				continue
			}
			worse := append([]string{}, row...)
			worse[i] = "X"
			if w := r.judge(slotsOf(strings.Join(worse, " "))); rank[name(w)] < rank[name(v)] {
				t.Fatalf("%d of %d, %s: %v is %s, %v is %s", m, n, treat, row, name(v), worse, name(w))
			}
		}
	})
}
