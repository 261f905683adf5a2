package explain

import (
	"slices"
	"strings"
	"time"

	"minato/aws"
	"minato/aws/api/rds"
	"minato/explain/cause"
	"minato/gateway"
)

// Which refused calls are told of.
const (
	latelyShown = 3                // of one name, or of none
	latelyAge   = 15 * time.Minute // about a thing that is there
)

// lately explains the calls that were refused last.
func (q *inquiry) lately() ([]Explanation, error) {
	e := Explanation{Kind: "refused calls", State: Healthy, Healthy: true, Summary: "nothing is wrong: no call was refused in the last hour"}
	all := q.Refusals()
	if err := q.tell(&e, all[:min(latelyShown, len(all))]); err != nil {
		return nil, err
	}
	return []Explanation{e}, nil
}

// refusedFor explains the refused calls about a name, or by whom the name means,
// when nothing else has it.
func (q *inquiry) refusedFor(name string) (Explanation, bool) {
	cluster, bare, ok := strings.Cut(name, "/")
	if !ok || strings.HasPrefix(name, "arn:") {
		cluster, bare = "", name
	}
	var found []gateway.Refusal
	for _, r := range q.Refusals() {
		if mentions(r, name) || mentions(r, bare) && (cluster == "" || mentions(r, cluster)) || r.Caller == name || strings.Contains(r.Caller+"/", "/"+name+"/") {
			found = append(found, r)
		}
	}
	e := Explanation{Subject: name, Name: name, Kind: "refused calls"}
	if len(found) == 0 || q.tell(&e, found[:min(latelyShown, len(found))]) != nil {
		return e, false
	}
	return e, true
}

// mentions tells whether a call named something, by its name or by an ARN that
// ends with it.
func mentions(r gateway.Refusal, name string) bool {
	return slices.ContainsFunc(r.Names, func(n string) bool {
		return n == name || strings.HasPrefix(n, "arn:") && (strings.HasSuffix(n, "/"+name) || strings.Contains(n, "/"+name+"/") || strings.HasSuffix(n, ":"+name))
	})
}

// tell makes an explanation of refused calls.
func (q *inquiry) tell(e *Explanation, list []gateway.Refusal) error {
	causes, err := q.refusals(list)
	if err != nil || len(causes) == 0 {
		return err
	}
	e.State, e.Healthy, e.Causes = Refused, false, causes
	e.Summary = causes[0].What
	return nil
}

// refusals are the causes of refused calls.
func (q *inquiry) refusals(list []gateway.Refusal) ([]cause.Cause, error) {
	var out []cause.Cause
	for _, r := range list {
		facts, err := q.facts(r.Message)
		if err != nil {
			return nil, err
		}
		out = append(out, cause.OfRefusal(cause.Refusal(r), facts))
	}
	return cause.Distinct(out), nil
}

// changed are the refused calls of the last minutes that would have changed a
// thing which is there: made says since when.
func (q *inquiry) changed(made time.Time, match func(gateway.Refusal) bool) ([]cause.Cause, error) {
	var list []gateway.Refusal
	for _, r := range q.Refusals() {
		_, operation, _ := strings.Cut(r.Action, ":")
		reads := strings.HasPrefix(operation, "Describe") || strings.HasPrefix(operation, "List") || strings.HasPrefix(operation, "Get")
		if reads || q.now.Sub(r.At) > latelyAge || r.At.Before(made) || !match(r) {
			continue
		}
		list = append(list, r)
	}
	return q.refusals(list[:min(2, len(list))])
}

// denied are the refusals of one action in the last minutes.
func (q *inquiry) denied(action string) ([]cause.Cause, error) {
	var list []gateway.Refusal
	for _, r := range q.Refusals() {
		if r.Action == action && q.now.Sub(r.At) <= latelyAge {
			list = append(list, r)
		}
	}
	return q.refusals(list[:min(2, len(list))])
}

// facts looks up what can be had instead of what a text says is not there.
func (q *inquiry) facts(text string) (cause.Facts, error) {
	engine, ok := cause.VersionWanted(text)
	if !ok {
		return cause.Facts{}, nil
	}
	out, err := q.RDS.DescribeDBEngineVersions(q.ctx, &rds.DescribeDBEngineVersionsInput{Engine: &engine})
	if err != nil {
		return cause.Facts{}, nil // an engine that is not known here
	}
	var all []string
	for _, v := range out.DBEngineVersions {
		all = append(all, aws.Val(v.EngineVersion))
	}
	const few = 4
	return cause.Facts{Versions: map[string][]string{engine: all[max(0, len(all)-few):]}}, nil
}
