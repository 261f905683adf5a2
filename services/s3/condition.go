package s3

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"minato/aws"
)

// conditions are what a read may be made to depend on.
type conditions struct {
	match, noneMatch *string
	since, unless    *time.Time // If-Modified-Since, If-Unmodified-Since
}

func precondition(name string) *aws.Error {
	return with(failure(http.StatusPreconditionFailed, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"), "Condition", name)
}

// notModified is an answer without a body.
func notModified(o object) *aws.Error {
	e := failure(http.StatusNotModified, "NotModified", "Not Modified")
	e.Headers = map[string]string{"ETag": *quoted(o.ETag), "Last-Modified": o.Modified.Format(http.TimeFormat)}
	return e
}

// check tells whether the conditions hold, in the order of HTTP: an If-Match that
// holds outweighs If-Unmodified-Since, an If-None-Match If-Modified-Since.
func (c conditions) check(o object) *aws.Error {
	switch {
	case c.match != nil:
		if !anyTag(*c.match, o.ETag) {
			return precondition("If-Match")
		}
	case c.unless != nil && o.Modified.After(*c.unless):
		return precondition("If-Unmodified-Since")
	}
	switch {
	case c.noneMatch != nil:
		if anyTag(*c.noneMatch, o.ETag) {
			return notModified(o)
		}
	case c.since != nil && !o.Modified.After(*c.since):
		return notModified(o)
	}
	return nil
}

// anyTag tells whether a list of entity tags, or a star, has one.
func anyTag(list, etag string) bool {
	for _, t := range strings.Split(list, ",") {
		if strings.TrimSpace(t) == "*" || sameTag(t, etag) {
			return true
		}
	}
	return false
}

// mayWrite tells whether the conditions of a write hold for what is there.
func mayWrite(was object, found bool, match, noneMatch *string) *aws.Error {
	switch {
	case noneMatch != nil && *noneMatch != "*":
		return notServed("If-None-Match with an entity tag, on a write")
	case noneMatch != nil && found:
		return precondition("If-None-Match")
	case match == nil:
		return nil
	case !found:
		return noSuchKey(was.Key)
	case !anyTag(*match, was.ETag):
		return precondition("If-Match")
	}
	return nil
}

// span is a range of an object's bytes.
type span struct{ from, length int64 }

// parseRange reads a Range header for an object of a size. What is no range of
// bytes, or several, is no range: the whole object is the answer.
func parseRange(header string, size int64) (span, bool, *aws.Error) {
	whole := span{0, size}
	spec, ok := strings.CutPrefix(strings.TrimSpace(header), "bytes=")
	first, last, dash := strings.Cut(strings.TrimSpace(spec), "-")
	if !ok || !dash {
		return whole, false, nil
	}
	a, errA := strconv.ParseInt(first, 10, 64)
	b, errB := strconv.ParseInt(last, 10, 64)
	unsatisfiable := with(failure(http.StatusRequestedRangeNotSatisfiable, "InvalidRange", "The requested range is not satisfiable"),
		"RangeRequested", header, "ActualObjectSize", strconv.FormatInt(size, 10))
	switch {
	case first == "" && errB == nil && b >= 0: // the last b bytes
		if b == 0 || size == 0 {
			return whole, false, unsatisfiable
		}
		b = min(b, size)
		return span{size - b, b}, true, nil
	case errA != nil || a < 0 || last != "" && (errB != nil || b < a):
		return whole, false, nil
	case a >= size:
		return whole, false, unsatisfiable
	case last == "":
		b = size - 1
	}
	return span{a, min(b, size-1) - a + 1}, true, nil
}
