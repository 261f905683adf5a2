package rds

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"minato/aws"
)

const (
	shortestWindow = 30 // minutes

	minutesOfDay  = 24 * 60
	minutesOfWeek = 7 * minutesOfDay
)

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// span is a window in minutes, of the day or of the week; it may go over the end.
type span struct{ from, length int }

// newWindows are the windows of a new instance: those it is given, or ones that
// do not meet them.
func newWindows(backup, maintenance *string) (*string, *string, error) {
	for hour := 3; ; hour += 6 {
		b, m := backup, maintenance
		if b == nil {
			b = aws.Ptr(fmt.Sprintf("%02d:00-%02d:30", hour, hour))
		}
		if m == nil {
			m = aws.Ptr(fmt.Sprintf("sun:%02d:00-sun:%02d:30", hour+1, hour+1))
		}
		shown, err := checkWindows(b, m, "", "")
		if err == nil || hour > 3 {
			return b, shown, err
		}
	}
}

// checkWindows checks the windows that an operation gives, which then must not
// meet each other nor the one that stays, and returns the maintenance window as
// RDS shows it. An empty one is not given.
func checkWindows(backup, maintenance *string, nowBackup, nowMaintenance string) (*string, error) {
	if backup != nil {
		nowBackup = *backup
		if b, ok := parseWindow(nowBackup, minuteOfDay, minutesOfDay); !ok || b.length < shortestWindow || b.length >= minutesOfDay {
			return nil, invalidValue("Invalid backup window format: %s. Should be specified as a range hh24:mi-hh24:mi (24H Clock UTC) of at least %d minutes. Example: 23:00-01:30", nowBackup, shortestWindow)
		}
	}
	if maintenance != nil {
		nowMaintenance = strings.ToLower(*maintenance)
		maintenance = &nowMaintenance
		if m, ok := parseWindow(nowMaintenance, minuteOfWeek, minutesOfWeek); !ok || m.length < shortestWindow || m.length >= minutesOfDay {
			return nil, invalidValue("Invalid maintenance window format: %s. Should be specified as a range ddd:hh24:mi-ddd:hh24:mi (24H Clock UTC) of at least %d minutes and less than 24 hours. Example: Sun:23:45-Mon:00:15", nowMaintenance, shortestWindow)
		}
	}
	if (backup != nil || maintenance != nil) && windowsMeet(nowBackup, nowMaintenance) {
		return nil, invalidValue("The backup window and maintenance window must not overlap.")
	}
	return maintenance, nil
}

// windowsMeet tells whether a daily and a weekly window have a minute in common.
func windowsMeet(backup, maintenance string) bool {
	b, ok1 := parseWindow(backup, minuteOfDay, minutesOfDay)
	m, ok2 := parseWindow(maintenance, minuteOfWeek, minutesOfWeek)
	if !ok1 || !ok2 {
		return false
	}
	apart := (b.from - m.from%minutesOfDay + minutesOfDay) % minutesOfDay // from the one's begin to the other's next
	return apart < m.length || (minutesOfDay-apart)%minutesOfDay < b.length
}

// inWindow says whether a time is within a window such as "sun:04:00-sun:04:30" (UTC).
func inWindow(now time.Time, window string) bool {
	w, ok := parseWindow(strings.ToLower(window), minuteOfWeek, minutesOfWeek)
	if !ok {
		return false
	}
	now = now.UTC()
	minute := int(now.Weekday())*minutesOfDay + now.Hour()*60 + now.Minute()
	return (minute-w.from+minutesOfWeek)%minutesOfWeek < w.length
}

func parseWindow(s string, minute func(string) (int, bool), period int) (span, bool) {
	from, to, ok := strings.Cut(s, "-")
	begin, ok1 := minute(from)
	end, ok2 := minute(to)
	return span{begin, (end - begin + period) % period}, ok && ok1 && ok2
}

func minuteOfWeek(s string) (int, bool) {
	name, clock, _ := strings.Cut(s, ":")
	minute, ok := minuteOfDay(clock)
	for day, n := range weekdays {
		if n == name {
			return day*minutesOfDay + minute, ok
		}
	}
	return 0, false
}

func minuteOfDay(s string) (int, bool) {
	h, m, ok := strings.Cut(s, ":")
	if !ok || len(h) != 2 || len(m) != 2 {
		return 0, false
	}
	hour, err1 := strconv.ParseUint(h, 10, 8)
	minute, err2 := strconv.ParseUint(m, 10, 8)
	return int(hour*60 + minute), err1 == nil && err2 == nil && hour < 24 && minute < 60
}
