package gateway

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"minato/aws"
	"minato/aws/identity"
	"minato/internal/clock"
)

// What is remembered of refused calls, and how long.
const (
	refusalsKept = 200
	refusalAge   = time.Hour // as long as ECS shows a stopped task
	namesKept    = 16        // of one call
)

// Refusal is a call that was answered with an error which is the caller's to
// mend. AWS tells it to the caller only; `minato why` tells it to whoever asks
// later.
type Refusal struct {
	At      time.Time // of the last time
	Times   int
	Action  string // "ecs:CreateService"
	Caller  string // ARN, or what else is known of who called
	Code    string
	Message string
	Detail  string   // what IAM knows and does not tell: the statement that denies
	Names   []string // names and ARNs in the call's input
}

// Refusals remembers refused calls, in memory and for an hour.
type Refusals struct {
	clock clock.Clock
	mu    sync.Mutex
	list  []Refusal // oldest first
}

// NewRefusals returns a memory of nothing.
func NewRefusals(c clock.Clock) *Refusals { return &Refusals{clock: c} }

// Add remembers a refusal; one that is known counts once more.
func (r *Refusals) Add(x Refusal) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	x.At, x.Times = r.clock.Now(), 1
	i := slices.IndexFunc(r.list, func(y Refusal) bool {
		return y.Action == x.Action && y.Caller == x.Caller && y.Code == x.Code && y.Message == x.Message && slices.Equal(y.Names, x.Names)
	})
	if i >= 0 {
		x.Times += r.list[i].Times
		r.list = slices.Delete(r.list, i, i+1)
	}
	r.list = append(r.list, x)
	r.list = slices.Delete(r.list, 0, max(0, len(r.list)-refusalsKept))
}

// Forget lets go of the refusals that match.
func (r *Refusals) Forget(match func(Refusal) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = slices.DeleteFunc(r.list, match)
}

// List returns what is remembered, the newest first.
func (r *Refusals) List() []Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	since := r.clock.Now().Add(-refusalAge)
	r.list = slices.DeleteFunc(r.list, func(x Refusal) bool { return x.At.Before(since) })
	out := slices.Clone(r.list)
	slices.Reverse(out)
	return out
}

// refused remembers an operation's error, unless it is a fault of ours or says
// only that the caller should wait. Of the calls that our own services make, only
// denials are of interest: they ask for much that may not be there.
func (g *Gateway) refused(ctx context.Context, op *aws.Operation, in any, err error, denied bool) {
	e, caller := aws.AsError(err), identity.From(ctx)
	inside := caller.SourceIP == "" || caller.Via != ""
	if g.opt.Refusals == nil || inside && !denied || e.OurFault() || strings.Contains(e.Code, "Throttl") {
		return
	}
	x := Refusal{Action: op.Action(), Caller: caller.ARN, Code: e.Code, Message: e.Message, Names: namesIn(in)}
	if caller.Kind == identity.Service {
		x.Caller = caller.Service
	}
	if strings.Contains(e.Message, "explicit deny") && e.Cause != nil {
		x.Detail = e.Cause.Error()
	}
	g.opt.Refusals.Add(x)
}

// nameFields are the endings of the members that name what a call is about.
// Nothing else of an input is kept: it may be secret.
var nameFields = []string{"Name", "Names", "Identifier", "Arn", "Arns", "Id", "Ids", "Cluster", "Clusters", "Service", "Services", "Family", "TaskDefinition", "Repository", "Bucket"}

// namesIn returns the names in an input, those of the lists in it too.
func namesIn(in any) []string {
	var out []string
	var walk func(v reflect.Value, depth int)
	walk = func(v reflect.Value, depth int) {
		v = reflect.Indirect(v)
		if v.Kind() != reflect.Struct {
			return
		}
		for i := range v.NumField() {
			f, name := reflect.Indirect(v.Field(i)), v.Type().Field(i).Name
			named := slices.ContainsFunc(nameFields, func(end string) bool { return strings.HasSuffix(name, end) })
			switch {
			case !f.IsValid() || len(out) >= namesKept:
			case f.Kind() == reflect.String && named && f.Len() > 0 && f.Len() <= 512:
				out = append(out, f.String())
			case f.Kind() == reflect.Struct && depth > 0:
				walk(f, depth-1)
			case f.Kind() == reflect.Slice && (named || depth > 0):
				for j := range min(f.Len(), namesKept) {
					switch x := reflect.Indirect(f.Index(j)); {
					case x.Kind() == reflect.String && named:
						out = append(out, x.String())
					case x.Kind() == reflect.Struct && depth > 0:
						walk(x, depth-1)
					}
				}
			}
		}
	}
	walk(reflect.ValueOf(in), 1)
	return out
}
