// Package resources maps CloudFormation's resource types to calls of the API:
// one entry a type, which says how to make, change and remove a resource, when
// it is ready, and what its attributes are. What properties a type has, which
// of them replace it and what is required is data (package schema).
//
// All calls go through an aws.Invoker with the caller's identity in the
// context, so that a stack can make nothing that the caller could not.
package resources

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"sort"
	"strconv"
	"strings"

	"minato/aws"
	"minato/aws/arn"
)

// Request is one step with one resource.
type Request struct {
	LogicalID  string
	StackName  string
	StackID    string
	Place      arn.Place
	Suffix     string            // random, kept over repetitions: for names nobody gave
	Token      string            // idempotency token of the step
	PhysicalID string            // empty before Create
	Properties map[string]any    // as normalized by the schema
	Previous   map[string]any    // of an update: before it
	Tags       map[string]string // of the stack
	Snapshot   bool              // of a deletion: keep a final snapshot
	Attributes map[string]any    // as Ready gave them last
	// Resumed says that a creation was begun before and its answer lost: the
	// resource may be there already.
	Resumed bool
	Old     string // physical id of the incarnation that is being replaced
	// Back says that the stack goes back to what it was before an update.
	Back         bool
	Capabilities []string // that the stack was given
}

// Type is what can be done with the resources of one type. The physical id is
// also what Ref gives.
type Type struct {
	// Create begins to make the resource. It may be called again, with Resumed
	// set, when an answer was lost. An id beside an error says what was half made.
	Create func(ctx context.Context, r *Request) (physicalID string, err error)
	// Ready tells whether the resource is what it should be, with its
	// attributes. nil stands for: at once, without attributes.
	Ready func(ctx context.Context, r *Request) (attributes map[string]any, ready bool, err error)
	// Update brings the resource from Previous to Properties; nil when every
	// change replaces it or needs nothing done.
	Update func(ctx context.Context, r *Request) error
	// Delete begins to remove the resource; one that is gone is fine.
	Delete func(ctx context.Context, r *Request) error
	// Gone tells whether the removal is done; nil stands for: at once.
	Gone func(ctx context.Context, r *Request) (bool, error)
	// Retry are the error codes after which a creation is tried again for a
	// while, because something that the template does not order may still come.
	Retry []string
	// DeleteFirst says that the old incarnation must go before the new one can be.
	DeleteFirst bool
	// Named is the property that names the resource, "" for none: a
	// replacement with the same name can not be made beside the old one.
	Named string
}

// Table returns all types that calls through the invoker can make.
func Table(invoker aws.Invoker) map[string]Type {
	inv := &named{invoker}
	table := map[string]Type{}
	for _, part := range []map[string]Type{
		vpcTypes(inv), routeTypes(inv), natTypes(inv), endpointTypes(inv), aclTypes(inv), groupTypes(inv), rdsTypes(inv), dbInstanceTypes(inv), loadBalancerTypes(inv), targetTypes(inv), cloud9Types(inv),
		ecsTypes(inv), serviceTypes(inv), ecrTypes(inv), roleTypes(inv), userTypes(inv), partTypes(inv), policyTypes(inv), logsTypes(inv),
		secretTypes(inv), parameterTypes(inv), certificateTypes(inv), alarmTypes(inv), scalingTypes(inv), bucketTypes(inv), nestedTypes(inv),
	} {
		for name, t := range part {
			table[name] = t
		}
	}
	return table
}

// into reads properties into an API input or another struct. The names of
// properties and of API members differ in case only, which encoding/json does
// not mind.
func into[T any](properties map[string]any, v *T) (*T, error) {
	text, err := json.Marshal(properties)
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		return nil, aws.Errorf("InvalidRequest", "The properties can not be read: %v", err)
	}
	return v, nil
}

// str returns a string property, "" for none.
func (r *Request) str(name string) string { return text(r.Properties[name]) }

// ptr returns a string property as an API member, nil for none.
func (r *Request) ptr(name string) *string {
	if s := text(r.Properties[name]); s != "" {
		return &s
	}
	return nil
}

// text is a scalar as a string, "" for anything else.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case float64: // what a number is after it was stored
		return strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

// boolean returns a property that is true or false, and whether it is given.
func boolean(properties map[string]any, name string) (value, given bool) {
	value, given = properties[name].(bool)
	return value, given
}

// list returns a property that is a list of strings.
func list(properties map[string]any, name string) []string {
	items, _ := properties[name].([]any)
	var out []string
	for _, item := range items {
		out = append(out, text(item))
	}
	return out
}

// changed tells whether an update changes one of the properties.
func (r *Request) changed(names ...string) bool {
	for _, name := range names {
		a, _ := json.Marshal(r.Previous[name])
		b, _ := json.Marshal(r.Properties[name])
		if string(a) != string(b) {
			return true
		}
	}
	return false
}

// name returns the property that names the resource, or a generated name as
// CloudFormation makes them: stack, logical id and a random part.
func (r *Request) name(property string, limit int) string {
	if s := r.str(property); s != "" {
		return s
	}
	stack, logical := r.StackName, r.LogicalID
	room := limit - len(r.Suffix) - 2
	if len(stack)+len(logical) > room {
		half := room / 2
		stack = stack[:min(len(stack), max(half, room-len(logical)))]
		logical = logical[:min(len(logical), room-len(stack))]
	}
	return strings.TrimLeft(stack+"-"+logical+"-"+r.Suffix, "-")
}

// token is the idempotency token for making this incarnation of the resource;
// it has a length that every API takes.
func (r *Request) token() *string {
	sum := sha256.Sum256([]byte(r.StackID + "\n" + r.LogicalID + "\n" + r.Suffix + "\n" + r.Token))
	return aws.Ptr(hex.EncodeToString(sum[:16]))
}

// tags returns the resource's tags: the stack's, and its own over them.
func tags[T any](r *Request, make func(key, value string) T) []T {
	return tagList(r, r.Properties, make)
}

func tagList[T any](r *Request, properties map[string]any, make func(key, value string) T) []T {
	merged := tagMap(r, properties)
	keys := sorted(merged)
	var out []T
	for _, k := range keys {
		out = append(out, make(k, merged[k]))
	}
	return out
}

// tagMap is the tags of the stack with those of the properties over them; the
// property is a list of Key and Value, or a map.
func tagMap(r *Request, properties map[string]any) map[string]string {
	merged := map[string]string{}
	for k, v := range r.Tags {
		merged[k] = v
	}
	switch own := properties["Tags"].(type) {
	case []any:
		for _, item := range own {
			if tag, ok := item.(map[string]any); ok {
				merged[text(tag["Key"])] = text(tag["Value"])
			}
		}
	case map[string]any:
		for k, v := range own {
			merged[k] = text(v)
		}
	}
	return merged
}

// tagChanges returns what an update sets and which keys it takes away.
func tagChanges(r *Request) (set map[string]string, gone []string) {
	before, after := tagMap(r, r.Previous), tagMap(r, r.Properties)
	set = map[string]string{}
	for k, v := range after {
		if old, ok := before[k]; !ok || old != v {
			set[k] = v
		}
	}
	for k := range before {
		if _, ok := after[k]; !ok {
			gone = append(gone, k)
		}
	}
	sort.Strings(gone)
	return set, gone
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// without returns the properties but for the named ones.
func without(properties map[string]any, names ...string) map[string]any {
	out := make(map[string]any, len(properties))
	for k, v := range properties {
		out[k] = v
	}
	for _, name := range names {
		delete(out, name)
	}
	return out
}

// again makes of "already exists" success, when the resource is surely the
// stack's own: the creation is repeated, and the name is one that was made up
// for it.
func (r *Request) again(err error, property string) error {
	var e *aws.Error
	if r.Resumed && r.str(property) == "" && errors.As(err, &e) && handlerCode(e) == "AlreadyExists" {
		return nil
	}
	return err
}

// gone makes of "not found" success.
func gone(err error, codes ...string) error {
	for _, code := range codes {
		if aws.IsCode(err, code) {
			return nil
		}
	}
	return err
}
