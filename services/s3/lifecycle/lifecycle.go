// Package lifecycle decides what the lifecycle rules of a bucket do to what is in
// it. It is pure: rules, versions and a time go in, actions come out.
//
// S3 counts in days: what is due is due at the midnight, UTC, that follows its age.
package lifecycle

import (
	"strings"
	"time"
)

// Rule is a rule as it is carried out.
type Rule struct {
	ID      string
	Enabled bool

	Prefix          string
	Tags            map[string]string
	Larger, Smaller *int64 // than so many bytes

	Days         int       // after which the current version expires
	Date         time.Time // from which on it does
	LoneMarkers  bool      // delete markers go that no version is behind
	Noncurrent   int       // days after which other versions go
	Keep         int       // so many of the newest of them stay
	AbortUploads int       // days after which uploads are given up
}

// Version is a version of a key, or a delete marker.
type Version struct {
	ID       string
	Modified time.Time
	Since    time.Time // that it is not the current one
	Size     int64
	Tags     map[string]string
	Marker   bool
}

// Kind is what an action does.
type Kind int

// What actions do.
const (
	Expire Kind = iota // the key is deleted: with a marker, where versions are kept
	Remove             // the version is removed for good
)

// Action is something to do to a version.
type Action struct {
	Kind    Kind
	Version Version
	Rule    string
}

// midnight is the one that follows.
func midnight(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour).Add(24 * time.Hour) }

// due is when something of an age of days is due.
func due(since time.Time, days int) time.Time { return midnight(since.UTC().AddDate(0, 0, days)) }

// Midnight is the next time at which anything can become due.
func Midnight(now time.Time) time.Time { return midnight(now) }

func (r *Rule) matches(key string, v Version) bool {
	if !r.Enabled || !strings.HasPrefix(key, r.Prefix) {
		return false
	}
	if v.Marker { // it has neither tags nor a size
		return len(r.Tags) == 0 && r.Larger == nil && r.Smaller == nil
	}
	for k, want := range r.Tags {
		if got, ok := v.Tags[k]; !ok || got != want {
			return false
		}
	}
	return (r.Larger == nil || v.Size > *r.Larger) && (r.Smaller == nil || v.Size < *r.Smaller)
}

// expires is when a rule lets the current version expire; never is the zero time.
func (r *Rule) expires(v Version) time.Time {
	if r.Days > 0 {
		return due(v.Modified, r.Days)
	}
	return r.Date
}

// Expiry tells when the current version of a key expires, and by which rule.
func Expiry(rules []Rule, key string, current Version) (at time.Time, rule string) {
	for i := range rules {
		r := &rules[i]
		if t := r.expires(current); !t.IsZero() && r.matches(key, current) && (at.IsZero() || t.Before(at)) {
			at, rule = t, r.ID
		}
	}
	return at, rule
}

// Plan tells what is to be done to a key, whose versions are given, the newest,
// which is the current one, first.
func Plan(rules []Rule, key string, versions []Version, now time.Time) []Action {
	var out []Action
	for i, v := range versions {
		for j := range rules {
			if a := rules[j].act(v, i, len(versions), now); a != nil && rules[j].matches(key, v) {
				out = append(out, *a)
				break
			}
		}
	}
	return out
}

// act is what a rule does to the version at a place, if it is one for it.
func (r *Rule) act(v Version, place, count int, now time.Time) *Action {
	isDue := func(t time.Time) bool { return !t.IsZero() && !now.Before(t) }
	switch {
	case place > 0:
		if r.Noncurrent > 0 && place > r.Keep && isDue(due(v.Since, r.Noncurrent)) {
			return &Action{Remove, v, r.ID}
		}
	case !v.Marker:
		if isDue(r.expires(v)) {
			return &Action{Expire, v, r.ID}
		}
	case count == 1:
		if r.LoneMarkers || r.Days > 0 && isDue(due(v.Modified, r.Days)) {
			return &Action{Remove, v, r.ID}
		}
	}
	return nil
}

// Abort tells whether an upload that began at a time is to be given up.
func Abort(rules []Rule, key string, began, now time.Time) bool {
	for i := range rules {
		r := &rules[i]
		if r.Enabled && r.AbortUploads > 0 && strings.HasPrefix(key, r.Prefix) && !now.Before(due(began, r.AbortUploads)) {
			return true
		}
	}
	return false
}
