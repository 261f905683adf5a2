package schedule

import (
	"strings"
	"testing"
	"time"
)

func TestNext(t *testing.T) {
	start := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC) // a Monday
	for _, c := range []struct{ text, zone, want string }{
		{"at(2026-12-24T18:00:00)", "", "2026-12-24T18:00:00Z"},
		{"at(2026-12-24T18:00:00)", "Europe/Berlin", "2026-12-24T17:00:00Z"},
		{"at(2020-12-24T18:00:00)", "", "never"},
		{"rate(5 minutes)", "", "2026-11-30T12:05:00Z"},
		{"rate(1 hour)", "", "2026-11-30T13:00:00Z"},
		{"cron(15 10 * * ? *)", "", "2026-12-01T10:15:00Z"},
		{"cron(15 10 * * ? *)", "Asia/Tokyo", "2026-12-01T01:15:00Z"},
		{"cron(0/15 * * * ? *)", "", "2026-11-30T12:15:00Z"},
		{"cron(0 18 ? * MON-FRI *)", "", "2026-11-30T18:00:00Z"},
		{"cron(0 8 ? * sun *)", "", "2026-12-06T08:00:00Z"},
		{"cron(0 8 1 * ? *)", "", "2026-12-01T08:00:00Z"},
		{"cron(0 8 L * ? *)", "", "2026-12-31T08:00:00Z"},
		{"cron(0 8 L FEB ? 2028)", "", "2028-02-29T08:00:00Z"},
		{"cron(0 8 ? * 3#2 *)", "", "2026-12-08T08:00:00Z"},
		{"cron(0 8 ? * FRIL *)", "", "2026-12-25T08:00:00Z"},
		{"cron(0 8 ? * L *)", "", "2026-12-05T08:00:00Z"},
		{"cron(0 8 5W * ? *)", "", "2026-12-04T08:00:00Z"},
		{"cron(0 8 LW 1 ? *)", "", "2027-01-29T08:00:00Z"},
		{"cron(0,30 8,9 1-3 JAN,JUL ? *)", "", "2027-01-01T08:00:00Z"},
		{"cron(0 8 31 2 ? *)", "", "never"},
		{"cron(0 8 * * ? 2025)", "", "never"},
		{"cron(30 2 28 3 ? 2027)", "Europe/Berlin", "never"}, // summer time begins: there is no such minute
	} {
		s, err := Parse(c.text, c.zone)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		got := "never"
		if next, ok := s.Next(start, start); ok {
			got = next.UTC().Format(time.RFC3339)
		}
		if got != c.want {
			t.Errorf("%s %s: %s, want %s", c.text, c.zone, got, c.want)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, text := range []string{
		"", "at()", "at(tomorrow)", "rate(0 minutes)", "rate(1 minutes)", "rate(2 minute)", "rate(5 weeks)", "cron()", "cron(* * * * *)", "cron(* * * * * *)",
		"cron(0 8 ? * ? *)", "cron(60 8 * * ? *)", "cron(0 24 * * ? *)", "cron(0 8 32 * ? *)", "cron(0 8 * 13 ? *)", "cron(0 8 ? * 8 *)", "cron(0 8 5-3 * ? *)", "cron(0 8 */0 * ? *)", "cron(0 8 ? * MON#6 *)", "every day",
	} {
		if _, err := Parse(text, ""); err == nil {
			t.Errorf("%s was taken", text)
		}
	}
	if _, err := Parse("rate(5 minutes)", "Moon/Sea"); err == nil || !strings.Contains(err.Error(), "time zone") {
		t.Error(err)
	}
}

// FuzzParse: what is taken is due later than now, or never.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"at(2026-12-24T18:00:00)", "rate(5 minutes)", "cron(0/15 8-18 ? * MON-FRI *)", "cron(0 8 LW 1 ? *)", "cron(0 8 ? * 3#2 2030-2040)"} {
		f.Add(s, "Asia/Tokyo", int64(1_796_000_000))
	}
	f.Fuzz(func(t *testing.T, text, zone string, now int64) {
		s, err := Parse(text, zone)
		if err != nil {
			return
		}
		after := time.Unix(now%4e9, 0)
		if next, ok := s.Next(after, after.Add(-time.Hour)); ok && !next.After(after) {
			t.Errorf("%s after %s is due at %s", text, after, next)
		}
	})
}
