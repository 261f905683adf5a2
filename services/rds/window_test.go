package rds

import (
	"testing"
	"time"

	"minato/aws"
)

func TestWindow(t *testing.T) {
	sunday := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		window string
		at     time.Duration
		want   bool
	}{
		{"sun:04:00-sun:04:30", 4 * time.Hour, true},
		{"sun:04:00-sun:04:30", 4*time.Hour + 30*time.Minute, false},
		{"Sat:23:45-Sun:00:15", 10 * time.Minute, true}, // over the end of the week
		{"sat:23:45-sun:00:15", 20 * time.Minute, false},
		{"nonsense", 0, false},
		{"sun:25:00-sun:26:00", 0, false},
	} {
		if got := inWindow(sunday.Add(c.at), c.window); got != c.want {
			t.Errorf("%s at %s: %t", c.window, c.at, got)
		}
	}
}

func TestWindowsAreCheckedAndShownAsRDSDoes(t *testing.T) {
	for _, c := range []struct {
		backup, maintenance string
		want                string // "" is an error
	}{
		{"", "Mon:04:00-Mon:05:00", "mon:04:00-mon:05:00"},
		{"23:45-00:30", "Sat:23:00-Sat:23:45", "sat:23:00-sat:23:45"},
		{"23:45-00:30", "Sun:00:15-Sun:01:00", ""}, // they meet
		{"04:10-05:00", "", "sun:10:00-sun:10:30"}, // keeps clear of it
		{"", "mon:03:10-mon:03:50", "mon:03:10-mon:03:50"},
		{"", "mon:04:00-mon:04:10", ""}, // too short
		{"", "mon:04:00-tue:04:00", ""}, // too long
		{"", "04:00-05:00", ""},
		{"", "mon:04:00", ""},
		{"3:00-4:00", "", ""},
		{"24:00-00:30", "", ""},
	} {
		given := func(s string) *string {
			if s == "" {
				return nil
			}
			return &s
		}
		_, got, err := newWindows(given(c.backup), given(c.maintenance))
		if (err != nil) != (c.want == "") || err == nil && aws.Val(got) != c.want {
			t.Errorf("%q %q: %q %v", c.backup, c.maintenance, aws.Val(got), err)
		}
	}
}

func TestAChangeKeepsClearOfTheOtherWindow(t *testing.T) {
	if _, err := checkWindows(nil, aws.Ptr("tue:03:00-tue:04:00"), "03:30-04:30", "sun:04:00-sun:04:30"); err == nil {
		t.Error("a maintenance window within the backup window is taken")
	}
	if got, err := checkWindows(nil, nil, "03:30-04:30", "sun:04:00-sun:04:30"); got != nil || err != nil {
		t.Error("nothing changes:", got, err)
	}
}

// FuzzWindows: a window that is taken lasts as long as RDS asks for, and a time is
// in it just as often in a week.
func FuzzWindows(f *testing.F) {
	f.Add("23:00-01:30", "Sun:23:45-Mon:00:15")
	f.Add("03:00-03:30", "mon:03:00-mon:03:29")
	f.Add("00:00-00:00", "sun:00:00-sun:00:00")
	f.Fuzz(func(t *testing.T, backup, maintenance string) {
		shown, err := checkWindows(&backup, &maintenance, "", "")
		if err != nil {
			return
		}
		within := 0
		start := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC) // a Sunday
		for m := range minutesOfWeek {
			if inWindow(start.Add(time.Duration(m)*time.Minute), *shown) {
				within++
			}
		}
		if within < shortestWindow || within >= minutesOfDay {
			t.Fatalf("%q is %d minutes long", *shown, within)
		}
	})
}
