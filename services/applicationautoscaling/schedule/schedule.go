// Package schedule reads the schedules of scheduled actions and says when they
// are due: at(…) once, rate(…) again and again, cron(…) by the calendar of a time
// zone. It is pure.
//
//	at(2026-12-24T18:00:00)
//	rate(5 minutes)
//	cron(minutes hours day-of-month month day-of-week year)
//
// Cron's fields take *, ?, lists, ranges, steps and names; L (the last day), W
// (the weekday nearest to a day) and # (the second Tuesday is 3#2), as on AWS.
package schedule

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Schedule is a schedule that was read.
type Schedule struct {
	at    time.Time
	every time.Duration
	cron  *cron
	zone  *time.Location
}

var rate = regexp.MustCompile(`^rate\(\s*(\d{1,9})\s+(minute|minutes|hour|hours|day|days)\s*\)$`)

// Parse reads a schedule; zone is a name of the tz database, "" is UTC.
func Parse(text, zone string) (Schedule, error) {
	s := Schedule{zone: time.UTC}
	if zone != "" {
		loc, err := time.LoadLocation(zone)
		if err != nil || zone == "Local" {
			return s, fmt.Errorf("unknown time zone %s", zone)
		}
		s.zone = loc
	}
	if inside, ok := within(text, "at"); ok {
		t, err := time.ParseInLocation("2006-01-02T15:04:05", inside, s.zone)
		if err != nil {
			return s, fmt.Errorf("at(%s) is not at(yyyy-mm-ddThh:mm:ss)", inside)
		}
		s.at = t
		return s, nil
	}
	if m := rate.FindStringSubmatch(text); m != nil {
		n, _ := strconv.Atoi(m[1])
		unit := map[byte]time.Duration{'m': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[m[2][0]]
		if n == 0 || (n == 1) == strings.HasSuffix(m[2], "s") || n > 366*24*60 {
			return s, fmt.Errorf("%s is not a rate", text)
		}
		s.every = time.Duration(n) * unit
		return s, nil
	}
	if inside, ok := within(text, "cron"); ok {
		c, err := parseCron(inside)
		s.cron = c
		return s, err
	}
	return s, fmt.Errorf("%s is neither at(), rate() nor cron()", text)
}

func within(text, name string) (string, bool) {
	inside, ok := strings.CutPrefix(text, name+"(")
	if !ok || !strings.HasSuffix(inside, ")") {
		return "", false
	}
	return strings.TrimSpace(strings.TrimSuffix(inside, ")")), true
}

// Next is when the schedule is due first after a time; false if never again.
// Rates are counted from start.
func (s Schedule) Next(after, start time.Time) (time.Time, bool) {
	switch {
	case s.cron != nil:
		return s.cron.next(after.In(s.zone))
	case s.every > 0:
		if after.Before(start) {
			return start, true
		}
		n := after.Sub(start)/s.every + 1
		return start.Add(n * s.every), true
	}
	return s.at, s.at.After(after)
}

// cron is the six fields: which values are due.
type cron struct {
	minutes, hours, months, years []int
	days, weekdays                []int // nil when the field is ?
	lastDay                       bool
	nearest                       int // weekday nearest to this day; 0 none, -1 to the last day
	nth                           map[int]int
	lastWeekday                   int // 1 to 7: the last such day; 0 none
}

var (
	months = []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}
	days   = []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}
)

const firstYear, lastYear = 1970, 2199

func parseCron(text string) (*cron, error) {
	f := strings.Fields(strings.ToUpper(text))
	if len(f) != 6 {
		return nil, fmt.Errorf("cron(%s) has %d fields, not 6", text, len(f))
	}
	c := &cron{nth: map[int]int{}}
	var err error
	read := func(field string, low, high int, names []string) (out []int) {
		if err == nil {
			out, err = values(field, low, high, names)
		}
		return out
	}
	c.minutes, c.hours, c.months, c.years = read(f[0], 0, 59, nil), read(f[1], 0, 23, nil), read(f[3], 1, 12, months), read(f[5], firstYear, lastYear, nil)
	if (f[2] == "?") == (f[4] == "?") {
		return nil, fmt.Errorf("cron(%s): exactly one of day-of-month and day-of-week must be ?", text)
	}
	switch day := f[2]; {
	case day == "?":
	case day == "L":
		c.lastDay = true
	case day == "LW":
		c.nearest = -1
	case strings.HasSuffix(day, "W"):
		if n := read(strings.TrimSuffix(day, "W"), 1, 31, nil); len(n) == 1 {
			c.nearest = n[0]
		} else if err == nil {
			err = fmt.Errorf("%s is not a day", day)
		}
	default:
		c.days = read(day, 1, 31, nil)
	}
	switch day := f[4]; {
	case day == "?":
	case day == "L":
		c.weekdays = []int{7}
	case strings.HasSuffix(day, "L"):
		if n := read(strings.TrimSuffix(day, "L"), 1, 7, days); len(n) == 1 {
			c.lastWeekday = n[0]
		} else if err == nil {
			err = fmt.Errorf("%s is not a day", day)
		}
	case strings.Contains(day, "#"):
		name, nth, _ := strings.Cut(day, "#")
		n, which := read(name, 1, 7, days), read(nth, 1, 5, nil)
		if len(n) != 1 || len(which) != 1 {
			return nil, fmt.Errorf("%s is not a day", day)
		}
		c.nth[n[0]] = which[0]
	default:
		c.weekdays = read(day, 1, 7, days)
	}
	return c, err
}

// values are the values of a field such as *, 1,5, MON-FRI, 0/15.
func values(field string, low, high int, names []string) ([]int, error) {
	number := func(text string) (int, bool) {
		if i := slices.Index(names, text); i >= 0 {
			return low + i, true
		}
		n, err := strconv.Atoi(text)
		return n, err == nil && n >= low && n <= high
	}
	var out []int
	for _, part := range strings.Split(field, ",") {
		span, stepText, stepped := strings.Cut(part, "/")
		step := 1
		if stepped {
			var err error
			if step, err = strconv.Atoi(stepText); err != nil || step < 1 || step > high {
				return nil, fmt.Errorf("%s is not a step", part)
			}
		}
		from, to := low, high
		if span != "*" {
			a, b, ranged := strings.Cut(span, "-")
			var ok, ok2 bool
			if from, ok = number(a); !ok {
				return nil, fmt.Errorf("%s is not within %d to %d", part, low, high)
			}
			switch {
			case ranged:
				if to, ok2 = number(b); !ok2 || to < from {
					return nil, fmt.Errorf("%s is not within %d to %d", part, low, high)
				}
			case !stepped:
				to = from
			}
		}
		for n := from; n <= to; n += step {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// next is the first minute after a time that fits. Days are walked, hours and
// minutes looked up. An hour that a change to summer time leaves out is passed
// over.
func (c *cron) next(after time.Time) (time.Time, bool) {
	after = after.Truncate(time.Minute)
	day := time.Date(after.Year(), after.Month(), after.Day(), 12, 0, 0, 0, after.Location())
	last := c.years[len(c.years)-1]
	for day.Year() <= last {
		if !slices.Contains(c.years, day.Year()) {
			day = time.Date(day.Year()+1, 1, 1, 12, 0, 0, 0, day.Location())
			continue
		}
		if !slices.Contains(c.months, int(day.Month())) {
			day = time.Date(day.Year(), day.Month()+1, 1, 12, 0, 0, 0, day.Location())
			continue
		}
		if c.fits(day) {
			for _, h := range c.hours {
				for _, m := range c.minutes {
					t := time.Date(day.Year(), day.Month(), day.Day(), h, m, 0, 0, day.Location())
					if t.After(after) && t.Hour() == h {
						return t, true
					}
				}
			}
		}
		day = day.AddDate(0, 0, 1)
	}
	return time.Time{}, false
}

// fits tells whether a day is one of the days.
func (c *cron) fits(day time.Time) bool {
	end := time.Date(day.Year(), day.Month()+1, 0, 12, 0, 0, 0, day.Location()).Day()
	weekday := int(day.Weekday()) + 1
	switch {
	case c.lastDay:
		return day.Day() == end
	case c.nearest != 0:
		want := c.nearest
		if want < 0 {
			want = end
		}
		return want <= end && day.Day() == nearestWeekday(time.Date(day.Year(), day.Month(), want, 12, 0, 0, 0, day.Location()), end)
	case c.days != nil:
		return slices.Contains(c.days, day.Day())
	case c.lastWeekday != 0:
		return weekday == c.lastWeekday && day.Day()+7 > end
	case len(c.nth) > 0:
		return c.nth[weekday] == (day.Day()-1)/7+1
	}
	return slices.Contains(c.weekdays, weekday)
}

// nearestWeekday is the day of Monday to Friday nearest to one, within its month.
func nearestWeekday(day time.Time, end int) int {
	d := day.Day()
	switch day.Weekday() {
	case time.Saturday:
		if d == 1 {
			return d + 2
		}
		return d - 1
	case time.Sunday:
		if d == end {
			return d - 2
		}
		return d + 1
	}
	return d
}
