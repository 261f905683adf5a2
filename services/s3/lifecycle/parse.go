package lifecycle

import (
	"fmt"
	"net/http"
	"time"

	"minato/aws"
	api "minato/aws/api/s3"
)

// Limits of rules.
const (
	maxRules  = 1000
	maxID     = 255
	maxPrefix = 1024
	maxKeep   = 100
)

func fault(code, format string, args ...any) *aws.Error {
	return &aws.Error{Code: code, Message: fmt.Sprintf(format, args...), Status: http.StatusBadRequest}
}

func malformed() *aws.Error {
	return fault("MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
}

func notServed(what string) *aws.Error {
	return &aws.Error{
		Code: "NotImplemented", Status: http.StatusNotImplemented,
		Message: "A header or parameter you provided implies functionality that is not implemented: " + what + " is not served by minato.",
	}
}

// Parse reads a configuration, holding it to S3's rules. Rules have their ids.
func Parse(c []api.LifecycleRule) ([]Rule, error) {
	if len(c) == 0 || len(c) > maxRules {
		return nil, malformed()
	}
	seen := map[string]bool{}
	var out []Rule
	for i := range c {
		r, err := parse(&c[i])
		if err != nil {
			return nil, err
		}
		if r.ID != "" && seen[r.ID] {
			return nil, fault("InvalidArgument", "Rule ID must be unique. Found same ID for more than one rule")
		}
		seen[r.ID] = true
		out = append(out, r)
	}
	return out, nil
}

func parse(c *api.LifecycleRule) (Rule, error) {
	r := Rule{ID: aws.Val(c.ID), Enabled: aws.Val(c.Status) == api.ExpirationStatusEnabled}
	switch {
	case len(r.ID) > maxID:
		return r, fault("InvalidArgument", "ID length should not exceed allowed limit of 255")
	case !r.Enabled && aws.Val(c.Status) != api.ExpirationStatusDisabled:
		return r, malformed()
	case len(c.Transitions) > 0:
		return r, notServed("a lifecycle Transition to " + aws.Val(c.Transitions[0].StorageClass))
	case len(c.NoncurrentVersionTransitions) > 0:
		return r, notServed("a lifecycle NoncurrentVersionTransition to " + aws.Val(c.NoncurrentVersionTransitions[0].StorageClass))
	case c.Expiration == nil && c.NoncurrentVersionExpiration == nil && c.AbortIncompleteMultipartUpload == nil:
		return r, fault("InvalidRequest", "At least one action needs to be specified in a rule")
	}
	if err := r.filter(c); err != nil {
		return r, err
	}
	if err := r.expiration(c.Expiration); err != nil {
		return r, err
	}
	if n := c.NoncurrentVersionExpiration; n != nil {
		r.Noncurrent, r.Keep = int(aws.Val(n.NoncurrentDays)), int(aws.Val(n.NewerNoncurrentVersions))
		switch {
		case r.Noncurrent <= 0:
			return r, fault("InvalidArgument", "'NoncurrentDays' for NoncurrentVersionExpiration action must be a positive integer")
		case n.NewerNoncurrentVersions != nil && (r.Keep <= 0 || r.Keep > maxKeep):
			return r, fault("InvalidArgument", "'NewerNoncurrentVersions' for NoncurrentVersionExpiration action must be a positive integer between 1 and 100")
		}
	}
	if a := c.AbortIncompleteMultipartUpload; a != nil {
		r.AbortUploads = int(aws.Val(a.DaysAfterInitiation))
		switch {
		case r.AbortUploads <= 0:
			return r, fault("InvalidArgument", "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action must be a positive integer")
		case len(r.Tags) > 0:
			return r, fault("InvalidRequest", "AbortIncompleteMultipartUpload cannot be specified with Tags.")
		case r.Larger != nil || r.Smaller != nil:
			return r, fault("InvalidRequest", "AbortIncompleteMultipartUpload cannot be specified with Object Size.")
		}
	}
	return r, nil
}

// expiration reads what becomes of the current version.
func (r *Rule) expiration(e *api.LifecycleExpiration) error {
	if e == nil {
		return nil
	}
	said := 0
	for _, s := range []bool{e.Days != nil, e.Date != nil, e.ExpiredObjectDeleteMarker != nil} {
		if s {
			said++
		}
	}
	r.Days, r.Date, r.LoneMarkers = int(aws.Val(e.Days)), aws.Val(e.Date).UTC(), aws.Val(e.ExpiredObjectDeleteMarker)
	switch {
	case said != 1:
		return malformed()
	case e.Days != nil && r.Days <= 0:
		return fault("InvalidArgument", "'Days' for Expiration action must be a positive integer")
	case e.Date != nil && !r.Date.Equal(r.Date.Truncate(24*time.Hour)):
		return fault("InvalidArgument", "'Date' must be at midnight GMT")
	case r.LoneMarkers && len(r.Tags) > 0:
		return fault("InvalidRequest", "ExpiredObjectDeleteMarker cannot be specified with Tags.")
	case r.LoneMarkers && (r.Larger != nil || r.Smaller != nil):
		return fault("InvalidRequest", "ExpiredObjectDeleteMarker cannot be specified with Object Size.")
	}
	return nil
}

// filter reads what a rule is for: a filter, or a prefix as before there were any.
func (r *Rule) filter(c *api.LifecycleRule) error {
	f := c.Filter
	if (f == nil) == (c.Prefix == nil) {
		return malformed()
	}
	if f == nil {
		f = &api.LifecycleRuleFilter{Prefix: c.Prefix}
	}
	all := api.LifecycleRuleAndOperator{Prefix: f.Prefix, ObjectSizeGreaterThan: f.ObjectSizeGreaterThan, ObjectSizeLessThan: f.ObjectSizeLessThan}
	if f.Tag != nil {
		all.Tags = []api.Tag{*f.Tag}
	}
	said := predicates(all)
	if f.And != nil {
		if said > 0 || predicates(*f.And) < 2 {
			return malformed()
		}
		all = *f.And
	} else if said > 1 {
		return malformed()
	}
	r.Prefix, r.Larger, r.Smaller = aws.Val(all.Prefix), all.ObjectSizeGreaterThan, all.ObjectSizeLessThan
	for _, t := range all.Tags {
		if t.Key == nil || t.Value == nil {
			return malformed()
		}
		if _, twice := r.Tags[*t.Key]; twice {
			return fault("InvalidRequest", "Duplicate Tag Keys are not allowed.")
		}
		if r.Tags == nil {
			r.Tags = map[string]string{}
		}
		r.Tags[*t.Key] = *t.Value
	}
	switch {
	case len(r.Prefix) > maxPrefix:
		return fault("InvalidRequest", "The maximum size of a prefix is 1024.")
	case r.Larger != nil && *r.Larger < 0 || r.Smaller != nil && *r.Smaller < 1:
		return fault("InvalidRequest", "'ObjectSizeGreaterThan' should not be negative and 'ObjectSizeLessThan' should be a positive integer.")
	case r.Larger != nil && r.Smaller != nil && *r.Larger >= *r.Smaller:
		return fault("InvalidRequest", "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.")
	}
	return nil
}

func predicates(a api.LifecycleRuleAndOperator) int {
	n := len(a.Tags)
	for _, said := range []bool{a.Prefix != nil, a.ObjectSizeGreaterThan != nil, a.ObjectSizeLessThan != nil} {
		if said {
			n++
		}
	}
	return n
}
