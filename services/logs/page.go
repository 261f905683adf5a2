package logs

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	logsapi "minato/aws/api/logs"
	"minato/dataplane/segments"
)

// page cuts a sorted list after the item that a token names. key must rise
// strictly along the list (or fall, consistently with less).
func page[T any](items []T, key func(T) string, less func(a, b string) bool, token *string, limit int) ([]T, *string, error) {
	if token != nil {
		b, err := base64.RawURLEncoding.DecodeString(*token)
		if err != nil {
			return nil, nil, badToken()
		}
		after := string(b)
		for len(items) > 0 && !less(after, key(items[0])) {
			items = items[1:]
		}
	}
	if len(items) <= limit {
		return items, nil, nil
	}
	items = items[:limit]
	next := base64.RawURLEncoding.EncodeToString([]byte(key(items[limit-1])))
	return items, &next, nil
}

func badToken() error {
	return logsapi.InvalidParameterException("The specified nextToken is invalid.")
}

// eventID is an event's place in its group as AWS shows it: 56 digits that rise
// with the time.
func eventID(p segments.Position) string { return fmt.Sprintf("%036d%020d", p.Time, p.Number) }

func parseEventID(s string) (segments.Position, bool) {
	if len(s) != 56 {
		return segments.Position{}, false
	}
	t, err1 := strconv.ParseInt(s[:36], 10, 64)
	n, err2 := strconv.ParseUint(s[36:], 10, 64)
	return segments.Position{Time: t, Number: n}, err1 == nil && err2 == nil && t >= 0
}

// The tokens of GetLogEvents: f/<event>/s goes on after an event, b/<event>/s
// before it.
func eventToken(direction string, p segments.Position) *string {
	s := direction + "/" + eventID(p) + "/s"
	return &s
}

func parseEventToken(s string) (direction string, p segments.Position, err error) {
	parts := strings.Split(s, "/")
	if len(parts) != 3 || parts[0] != "f" && parts[0] != "b" || parts[2] != "s" {
		return "", p, badToken()
	}
	p, ok := parseEventID(parts[1])
	if !ok {
		return "", p, badToken()
	}
	return parts[0], p, nil
}
