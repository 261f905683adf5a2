package protocol

import (
	"fmt"
	"strings"
	"time"
)

// layouts are the forms in which clients write times in forms and URLs.
var layouts = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04Z07:00", "2006-01-02", time.RFC1123}

func parseTime(text string) (time.Time, error) {
	for _, layout := range layouts {
		if t, err := time.Parse(layout, strings.TrimSpace(text)); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time", text)
}

// appendTime appends ISO 8601 in UTC, with milliseconds or without.
func appendTime(b []byte, t time.Time, millis bool) []byte {
	if millis {
		return t.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	}
	return t.UTC().AppendFormat(b, "2006-01-02T15:04:05Z")
}
