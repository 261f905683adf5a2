package cloudwatch

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	cwapi "minato/aws/api/cloudwatch"
)

// rules are what an alarm holds datapoints against.
type rules struct {
	periods   int // the last so many are looked at
	points    int // so many of them must breach
	operator  string
	threshold float64
	treat     string // what a missing datapoint counts as
}

// moreSlots is how many periods before those that are looked at are read too:
// their datapoints stand in when later ones are missing, since samples come late.
const moreSlots = 2

// slot is one period of an alarm's metric.
type slot struct {
	start time.Time
	there bool
	value float64
	count float64 // samples
}

// verdict is what an alarm should be; keep says that it stays as it is.
type verdict struct {
	keep   bool
	state  string
	used   []slot // datapoints that decided, oldest first
	filled int    // missing ones that were treated as something
}

// breaches tells whether a value is on the wrong side of the threshold.
func (r rules) breaches(v float64) bool {
	switch r.operator {
	case cwapi.ComparisonOperatorGreaterThanThreshold:
		return v > r.threshold
	case cwapi.ComparisonOperatorGreaterThanOrEqualToThreshold:
		return v >= r.threshold
	case cwapi.ComparisonOperatorLessThanThreshold:
		return v < r.threshold
	}
	return v <= r.threshold
}

// judge says what an alarm's state should be. slots are its periods, oldest
// first: periods+moreSlots of them, the last of which has just ended.
//
// As on AWS: if there are enough datapoints in all of these, the newest decide
// and how missing ones are treated does not matter. If there are fewer, those
// that are missing are filled up: with breaching ones, with ones that do not
// breach, or with none ("missing", "ignore"), and then as few as there are may
// be enough.
func (r rules) judge(slots []slot) verdict {
	var real []slot
	oldestBreach := 0 // how many periods ago the oldest datapoint of those was, if all breach
	breaching := 0
	for i := len(slots) - 1; i >= 0 && len(real) < r.periods; i-- {
		if !slots[i].there {
			continue
		}
		real = append([]slot{slots[i]}, real...)
		if r.breaches(slots[i].value) {
			breaching++
			oldestBreach = len(slots) - i
		}
	}
	v := verdict{state: cwapi.StateValueOk, used: real}
	if len(real) == r.periods {
		if breaching >= r.points {
			v.state = cwapi.StateValueAlarm
		}
		return v
	}
	missing := r.periods - len(real)
	all := breaching == len(real)
	switch r.treat {
	case treatBreaching:
		v.filled = missing
		if breaching+missing >= r.points {
			v.state = cwapi.StateValueAlarm
		}
	case treatNotBreaching:
		v.filled = missing
		if breaching >= r.points {
			v.state = cwapi.StateValueAlarm
		}
	case treatIgnore:
		switch {
		case breaching >= r.points:
			v.state = cwapi.StateValueAlarm
		case all: // or nothing is there at all
			v.keep = true
		}
	default:
		switch {
		case len(real) == 0:
			v.state = cwapi.StateValueInsufficientData
		case breaching >= r.points, all && oldestBreach >= r.points:
			v.state = cwapi.StateValueAlarm
		case all:
			v.keep = true // too early to tell: breaching, but not for long
		}
	}
	return v
}

// operatorWords are the comparisons as reasons put them.
var operatorWords = map[string]string{
	cwapi.ComparisonOperatorGreaterThanThreshold: "greater than", cwapi.ComparisonOperatorGreaterThanOrEqualToThreshold: "greater than or equal to",
	cwapi.ComparisonOperatorLessThanThreshold: "less than", cwapi.ComparisonOperatorLessThanOrEqualToThreshold: "less than or equal to",
}

// treatWords are what a missing datapoint was treated as.
var treatWords = map[string]string{treatBreaching: "Breaching", treatNotBreaching: "NonBreaching"}

// reason is CloudWatch's sentence for a verdict.
func (r rules) reason(v verdict) string {
	switch {
	case v.state == cwapi.StateValueInsufficientData:
		if r.periods == 1 {
			return "Insufficient Data: 1 datapoint was unknown."
		}
		return fmt.Sprintf("Insufficient Data: %d datapoints were unknown.", r.periods)
	case len(v.used) == 0:
		return fmt.Sprintf("Threshold Crossed: no datapoints were received for %s and %d missing %s treated as [%s].",
			plural(r.periods, "period"), v.filled, was(v.filled, "datapoint"), treatWords[r.treat])
	}
	var list []string
	met := 0
	alarm := v.state == cwapi.StateValueAlarm
	for i := len(v.used) - 1; i >= 0; i-- {
		s := v.used[i]
		if r.breaches(s.value) == alarm {
			met++
			list = append(list, fmt.Sprintf("%s (%s)", double(s.value), s.start.UTC().Format("02/01/06 15:04:05")))
		}
	}
	not, change, needed := "", "OK -> ALARM", r.points
	if !alarm {
		not, change, needed = "not ", "ALARM -> OK", r.periods-r.points+1
	}
	filled := ""
	if v.filled > 0 && alarm == (r.treat == treatBreaching) {
		filled = fmt.Sprintf(" and %d missing %s treated as [%s]", v.filled, was(v.filled, "datapoint"), treatWords[r.treat])
	}
	verb := "were"
	if met == 1 {
		verb = "was"
	}
	return fmt.Sprintf("Threshold Crossed: %d out of the last %s [%s] %s %s%s the threshold (%s)%s (minimum %s for %s transition).",
		met, plural(max(r.periods, len(v.used)), "datapoint"), strings.Join(list, ", "), verb, not, operatorWords[r.operator], double(r.threshold), filled, plural(needed, "datapoint"), change)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

func was(n int, noun string) string {
	if n == 1 {
		return noun + " was"
	}
	return noun + "s were"
}

// double writes a number as AWS's Java does: 80.0.
func double(f float64) string {
	text := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

// stamp is a time in a reason's data.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000-0700") }

// reasonData is what the reason rests on, as JSON.
func (r rules) reasonData(v verdict, now time.Time, statistic string, unit *string, period int32) string {
	type evaluated struct {
		Timestamp   string   `json:"timestamp"`
		SampleCount float64  `json:"sampleCount,omitempty"`
		Value       *float64 `json:"value,omitempty"`
	}
	data := struct {
		Version   string      `json:"version"`
		QueryDate string      `json:"queryDate"`
		StartDate string      `json:"startDate,omitempty"`
		Unit      *string     `json:"unit,omitempty"`
		Statistic string      `json:"statistic,omitempty"`
		Period    int32       `json:"period"`
		Recent    []float64   `json:"recentDatapoints"`
		Threshold float64     `json:"threshold"`
		Evaluated []evaluated `json:"evaluatedDatapoints,omitempty"`
	}{Version: "1.0", QueryDate: stamp(now), Unit: unit, Statistic: statistic, Period: period, Recent: []float64{}, Threshold: r.threshold}
	for i, s := range v.used {
		if i == 0 {
			data.StartDate = stamp(s.start)
		}
		data.Recent = append(data.Recent, s.value)
		data.Evaluated = append([]evaluated{{stamp(s.start), s.count, &s.value}}, data.Evaluated...)
	}
	b, err := json.Marshal(data)
	for err == nil && len(b) > 4000 && len(data.Evaluated) > 0 {
		data.Evaluated = data.Evaluated[:len(data.Evaluated)/2]
		if len(data.Evaluated) == 0 {
			data.Recent = data.Recent[max(0, len(data.Recent)-100):]
		}
		b, err = json.Marshal(data)
	}
	if err != nil {
		return "{}"
	}
	return string(b)
}
