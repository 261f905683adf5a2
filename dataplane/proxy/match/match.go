// Package match says which requests the conditions of a rule hold for.
package match

import (
	"bytes"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"minato/dataplane/proxy"
	"minato/dataplane/proxy/http1"
)

// Characters of a pattern that stand for themselves. No request holds these bytes.
const (
	plainStar = 1
	plainMark = 2
)

// Condition is a condition made ready.
type Condition struct {
	proxy.Condition
	regexes []*regexp.Regexp
}

// Compile makes conditions ready for All: it takes the backslashes out of patterns
// of query strings, and compiles regular expressions, which are valid.
func Compile(given []proxy.Condition) []Condition {
	all := make([]Condition, len(given))
	plain := strings.NewReplacer(`\\`, `\`, `\*`, string(rune(plainStar)), `\?`, string(rune(plainMark)))
	for i := range all {
		all[i].Condition = given[i]
		for _, text := range given[i].Regexes {
			if given[i].Field == proxy.Host {
				text = "(?i)" + text
			}
			if re, err := proxy.Regexp(text); err == nil {
				all[i].regexes = append(all[i].regexes, re)
			}
		}
		if all[i].Field != proxy.Query {
			continue
		}
		all[i].Queries = slices.Clone(all[i].Queries)
		for j, q := range all[i].Queries {
			all[i].Queries[j] = proxy.QueryPattern{Key: plain.Replace(q.Key), Value: plain.Replace(q.Value)}
		}
	}
	return all
}

// All reports whether all conditions hold for a request that came from source.
func All(conditions []Condition, r *http1.Request, source netip.Addr) bool {
	for i := range conditions {
		if !holds(&conditions[i], r, source) {
			return false
		}
	}
	return true
}

func holds(c *Condition, r *http1.Request, source netip.Addr) bool {
	switch c.Field {
	case proxy.Path:
		return anyGlob(c.Values, r.Path, false) || c.matches(r.Path)
	case proxy.Host:
		return anyGlob(c.Values, Hostname(r.Host), true) || c.matches(Hostname(r.Host))
	case proxy.Method:
		return slices.ContainsFunc(c.Values, func(v string) bool { return v == string(r.Method) })
	case proxy.Header:
		for i := range r.Fields {
			if f := &r.Fields[i]; len(f.Name) == len(c.Name) && bytes.EqualFold(f.Name, []byte(c.Name)) && (anyGlob(c.Values, f.Value, true) || c.matches(f.Value)) {
				return true
			}
		}
	case proxy.Query:
		for rest := r.Query; len(rest) > 0; {
			var pair []byte
			pair, rest, _ = bytes.Cut(rest, []byte{'&'})
			key, value, _ := bytes.Cut(pair, []byte{'='})
			for _, q := range c.Queries {
				if (q.Key == "" || glob(q.Key, key, true)) && glob(q.Value, value, true) {
					return true
				}
			}
		}
	case proxy.SourceIP:
		return slices.ContainsFunc(c.Sources, func(p netip.Prefix) bool { return p.Contains(source) })
	}
	return false
}

// matches reports whether one of the regular expressions matches a part of s.
func (c *Condition) matches(s []byte) bool {
	return slices.ContainsFunc(c.regexes, func(re *regexp.Regexp) bool { return re.Match(s) })
}

// Hostname is a Host without its port.
func Hostname(host []byte) []byte {
	if i := bytes.LastIndexByte(host, ':'); i >= 0 && bytes.IndexByte(host[i:], ']') < 0 {
		return host[:i]
	}
	return host
}

func anyGlob(patterns []string, s []byte, fold bool) bool {
	for _, p := range patterns {
		if glob(p, s, fold) {
			return true
		}
	}
	return false
}

// glob matches s against a pattern with * and ?. It goes back to the latest
// star only, which is enough, and so takes len(p)*len(s) steps at worst.
func glob(p string, s []byte, fold bool) bool {
	i, star, from := 0, -1, 0
	for j := 0; j < len(s); {
		switch {
		case i < len(p) && p[i] == '*':
			star, from = i, j
			i++
		case i < len(p) && (p[i] == '?' || p[i] == s[j] || fold && lower(p[i]) == lower(s[j]) || p[i] == plainStar && s[j] == '*' || p[i] == plainMark && s[j] == '?'):
			i++
			j++
		case star >= 0:
			from++
			i, j = star+1, from
		default:
			return false
		}
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
