package store

import "strings"

// Key joins the parts of a key with slashes; a slash within a part (log groups
// are named "/ecs/chat") is escaped, so that a part is never taken for two.
func Key(parts ...string) string {
	n := len(parts)
	for _, p := range parts {
		n += len(p)
	}
	var b strings.Builder
	b.Grow(n)
	for i, p := range parts {
		if i > 0 {
			b.WriteByte('/')
		}
		if strings.ContainsAny(p, "/%") {
			p = escaper.Replace(p)
		}
		b.WriteString(p)
	}
	return b.String()
}

// Parts takes a key apart again.
func Parts(key string) []string {
	parts := strings.Split(key, "/")
	for i, p := range parts {
		if strings.Contains(p, "%") {
			parts[i] = unescaper.Replace(p)
		}
	}
	return parts
}

var (
	escaper   = strings.NewReplacer("%", "%25", "/", "%2F")
	unescaper = strings.NewReplacer("%2F", "/", "%25", "%")
)
