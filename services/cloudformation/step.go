package cloudformation

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"minato/aws"
	api "minato/aws/api/cloudformation"
	"minato/internal/ids"
	"minato/services/cloudformation/resources"
	"minato/services/cloudformation/schema"
	"minato/services/cloudformation/template"
	"minato/store"
)

// How long things may take. The first two are deadlines on real work, the last
// is how often AWS tries again: neither is paced.
const (
	stabilizeLimit = 3 * time.Hour
	retryLimit     = 90 * time.Second
	parallel       = 24
)

// records are the stack's resources; steps read those of others while they run.
type records struct {
	mu sync.Mutex
	m  map[string]resourceRecord
}

func newRecords(list []resourceRecord) *records {
	r := &records{m: map[string]resourceRecord{}}
	for _, rec := range list {
		r.m[rec.LogicalID] = rec
	}
	return r
}

func (r *records) get(id string) (resourceRecord, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec, ok := r.m[id]
	return rec, ok
}

func (r *records) put(rec resourceRecord) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.m[rec.LogicalID] = rec
}

func (r *records) all() []resourceRecord {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.SortedFunc(maps.Values(r.m), func(a, b resourceRecord) int { return strings.Compare(a.LogicalID, b.LogicalID) })
}

// save writes a resource's record, with an event when event is set.
func (r *run) save(ctx context.Context, rec *resourceRecord, event bool) error {
	rec.Changed = r.s.clock.Now()
	rec.Token = r.st.Work.Token
	properties := ""
	if rec.Properties != nil {
		if raw, err := json.Marshal(rec.Properties); err == nil {
			properties = string(raw)
		}
	}
	err := store.Update(context.WithoutCancel(ctx), r.s.store, func(tx *store.Tx) error {
		if err := r.s.resources.TxPut(tx, *rec, r.st.Account, r.st.Region, r.st.ID, rec.LogicalID); err != nil || !event {
			return err
		}
		return r.s.putEvent(tx, r.st, rec.Changed, resourceEvent(rec, rec.Changed, r.mask(properties)))
	})
	if err == nil {
		r.records.put(*rec)
	}
	return err
}

// secrets are the values of NoEcho parameters, as they stand in JSON.
func (s *Service) secrets(st *stackRecord) []string {
	t, err := s.parse(st.Template, st.Values)
	if err != nil {
		return nil
	}
	var out []string
	for name, p := range t.Parameters {
		if v := st.Values[name]; p.NoEcho && v != "" {
			if raw, err := json.Marshal(v); err == nil {
				out = append(out, string(raw[1:len(raw)-1]))
			}
		}
	}
	return out
}

// mask hides the values of NoEcho parameters in what others may read.
func (r *run) mask(text string) string {
	for _, secret := range r.secrets {
		text = strings.ReplaceAll(text, secret, "****")
	}
	return text
}

// walk runs steps in their order, many at a time; it returns those that
// failed, the cancelled ones among them.
func (r *run) walk(ctx context.Context, steps []step, stopAtFailure bool, do func(ctx context.Context, id string) error) []string {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := newWalk(steps, stopAtFailure)
	type result struct {
		id  string
		err error
	}
	results := make(chan result)
	limit := make(chan struct{}, parallel)
	for {
		if context.Cause(ctx) == nil {
			for _, id := range w.start() {
				r.active.Add(1)
				go func() {
					limit <- struct{}{}
					defer func() { <-limit }()
					results <- result{id, do(ctx, id)}
				}()
			}
		}
		if w.over() {
			break
		}
		got := <-results
		r.active.Add(-1)
		w.finish(got.id, got.err == nil)
		if got.err != nil && stopAtFailure {
			cancel(errCancelled)
		}
	}
	return sortedKeys(w.failed)
}

// forward brings every resource of the definition to what it says.
func (r *run) forward(ctx context.Context, d *definition, tags []api.Tag) []string {
	if failed := r.check(ctx, d); len(failed) > 0 {
		return failed
	}
	var steps []step
	for _, id := range sortedKeys(d.deps) {
		steps = append(steps, step{id: id, after: d.deps[id]})
	}
	return r.walk(ctx, steps, true, func(ctx context.Context, id string) error { return r.bring(ctx, d, id, tagValues(tags)) })
}

// check finds resources whose properties can not be right, before anything is
// made.
func (r *run) check(ctx context.Context, d *definition) []string {
	var failed []string
	for _, id := range sortedKeys(d.deps) {
		res := d.t.Resources[id]
		sch := schema.Lookup(res.Type)
		if sch == nil || res.Properties == nil {
			continue
		}
		partial, _ := d.env.Partial(res.Properties, func(*template.Node) any { return schema.Unknown{} }).(map[string]any)
		if _, problems := sch.Normalize(partial); len(problems) > 0 {
			rec, exists := r.records.get(id)
			if !exists || !rec.exists() {
				rec = r.fresh(d, id)
			}
			if err := r.begin(ctx, &rec, ""); err == nil {
				r.fail(ctx, &rec, problemText(id, problems))
			}
			failed = append(failed, id)
		}
	}
	return failed
}

func problemText(id string, problems []string) string {
	return "Properties validation failed for resource " + id + " with message:\n" + strings.Join(problems, "\n")
}

// fresh is the record of a resource that is to be made.
func (r *run) fresh(d *definition, id string) resourceRecord {
	res := d.t.Resources[id]
	return resourceRecord{begun: true, LogicalID: id, Type: res.Type, Suffix: ids.Base32(12), DependsOn: d.deps[id], DeletionPolicy: res.DeletionPolicy, UpdateReplacePolicy: res.UpdateReplacePolicy}
}

// begin notes that work on a resource begins.
func (r *run) begin(ctx context.Context, rec *resourceRecord, reason string) error {
	rec.Reason = reason
	switch {
	case rec.Status == "" || !rec.exists():
		rec.Status = api.ResourceStatusCreateInProgress
	case rec.Status != api.ResourceStatusCreateInProgress:
		rec.Status = api.ResourceStatusUpdateInProgress
	}
	return r.save(ctx, rec, true)
}

// fail notes that a resource could not be made or changed.
func (r *run) fail(ctx context.Context, rec *resourceRecord, reason string) {
	rec.Reason = r.hidden.mask(reason)
	switch rec.Status {
	case api.ResourceStatusCreateInProgress:
		rec.Status = api.ResourceStatusCreateFailed
	case api.ResourceStatusUpdateInProgress:
		rec.Status = api.ResourceStatusUpdateFailed
	case api.ResourceStatusDeleteInProgress:
		rec.Status = api.ResourceStatusDeleteFailed
	}
	if err := r.save(ctx, rec, true); err != nil {
		r.s.log.Error("a failure could not be recorded", "stack", r.st.name(), "resource", rec.LogicalID, "error", err)
	}
}

// bring brings one resource to what the definition says.
func (r *run) bring(ctx context.Context, d *definition, id string, tags map[string]string) error {
	rec, known := r.records.get(id)
	res := d.t.Resources[id]
	if !known || !rec.exists() || rec.Status == api.ResourceStatusCreateFailed && rec.PhysicalID == "" {
		rec = r.fresh(d, id)
	}
	started := rec.Status == api.ResourceStatusCreateInProgress
	if rec.Status == "" {
		if err := r.begin(ctx, &rec, ""); err != nil {
			return err
		}
		started = true
	}
	if known && r.st.status() == api.StackStatusUpdateRollbackInProgress && slices.Contains(r.st.Work.Skip, id) {
		rec.Status, rec.Reason = api.ResourceStatusUpdateComplete, ""
		return r.save(ctx, &rec, true)
	}
	properties, err := r.properties(ctx, d, id)
	if err == nil {
		switch {
		case started:
			rec.Properties, rec.StackTags = properties, tags
			err = r.create(ctx, &rec)
		default:
			err = r.change(ctx, &rec, res.Type, properties, tags, d)
		}
	} else if rec.Status != api.ResourceStatusCreateInProgress {
		if e := r.begin(ctx, &rec, ""); e != nil {
			return e
		}
	}
	if err == nil {
		return nil
	}
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errCancelled), errors.Is(cause, errTimeout):
		what := "Resource creation cancelled"
		if rec.Status == api.ResourceStatusUpdateInProgress {
			what = "Resource update cancelled"
		}
		r.fail(ctx, &rec, what)
	case cause != nil: // stopped from outside: whoever goes on finds it in progress
	default:
		r.fail(ctx, &rec, r.reason(err))
	}
	return err
}

// reason is a failure in the words of events.
func (r *run) reason(err error) string {
	var e *aws.Error
	if errors.As(err, &e) && e.Code == "ValidationError" && !isCall(err) {
		return e.Message
	}
	var c *resources.CallError
	if errors.As(err, &c) || e != nil {
		return resources.Reason(err, ids.UUID())
	}
	return err.Error()
}

func isCall(err error) bool {
	var c *resources.CallError
	return errors.As(err, &c)
}

// properties evaluates and checks the properties of a resource.
func (r *run) properties(ctx context.Context, d *definition, id string) (map[string]any, error) {
	res := d.t.Resources[id]
	sch := schema.Lookup(res.Type)
	if sch == nil || res.Type == metadataType {
		return map[string]any{}, nil
	}
	values := map[string]any{}
	if res.Properties != nil {
		v, err := r.env(ctx, d).Eval(res.Properties)
		if err != nil {
			return nil, asValidation(err)
		}
		values, _ = v.(map[string]any)
	}
	normal, problems := sch.Normalize(values)
	if len(problems) > 0 {
		return nil, validation("%s", problemText(id, problems))
	}
	return stored(normal)
}

// stored gives values the types that they have when they come out of the store.
func stored(v map[string]any) (map[string]any, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	return out, json.Unmarshal(raw, &out)
}

// change updates or replaces a resource where its properties differ.
func (r *run) change(ctx context.Context, rec *resourceRecord, typ string, properties map[string]any, tags map[string]string, d *definition) error {
	res := d.t.Resources[rec.LogicalID]
	settled := rec.Status == api.ResourceStatusCreateComplete || rec.Status == api.ResourceStatusUpdateComplete
	// The template of a stack within the stack may be another behind the same URL.
	same := typ == rec.Type && typ != resources.NestedType && reflect.DeepEqual(rec.Properties, properties) && (maps.Equal(rec.StackTags, tags) || !taggable(rec.Type))
	if rec.DeletionPolicy != res.DeletionPolicy || rec.UpdateReplacePolicy != res.UpdateReplacePolicy || !slices.Equal(rec.DependsOn, d.deps[rec.LogicalID]) {
		rec.DeletionPolicy, rec.UpdateReplacePolicy, rec.DependsOn = res.DeletionPolicy, res.UpdateReplacePolicy, d.deps[rec.LogicalID]
		if err := r.save(ctx, rec, false); err != nil {
			return err
		}
	}
	if same && settled {
		return nil
	}
	t := r.s.types[rec.Type]
	if same && rec.PhysicalID == "" { // a replacement that was interrupted
		return r.create(ctx, rec)
	}
	sch := schema.Lookup(rec.Type)
	replaces := typ != rec.Type || rec.PhysicalID == "" || len(sch.Replaces(rec.Properties, properties)) > 0
	if !replaces {
		old := rec.version()
		if err := r.begin(ctx, rec, ""); err != nil {
			return err
		}
		rec.Properties, rec.StackTags = properties, tags
		if err := r.save(ctx, rec, false); err != nil {
			return err
		}
		if t.Update != nil && !same {
			req, err := r.resolved(ctx, rec)
			if err != nil {
				return err
			}
			req.Previous, req.Attributes = before(rec.Properties, old.Properties, req.Properties), old.Attributes
			if err := t.Update(context.WithoutCancel(ctx), req); err != nil {
				return err
			}
		}
		return r.settle(ctx, rec)
	}
	if named := t.Named; named != "" && typ == rec.Type && rec.PhysicalID != "" && properties[named] != nil && reflect.DeepEqual(properties[named], rec.Properties[named]) {
		if err := r.begin(ctx, rec, ""); err != nil {
			return err
		}
		return validation("CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename %v and update the stack again.", properties[named])
	}
	if err := r.begin(ctx, rec, "Requested update requires the creation of a new physical resource; hence creating one."); err != nil {
		return err
	}
	if (sch.ReplacementStrategy == "delete_then_create" || t.DeleteFirst) && rec.PhysicalID != "" {
		if err := r.destroy(ctx, r.request(rec), t); err != nil {
			return err
		}
	} else if rec.Old == nil && rec.PhysicalID != "" {
		rec.Old = rec.version()
	}
	rec.become(&version{Type: typ, Suffix: ids.Base32(12), Properties: properties, StackTags: tags})
	rec.begun = true
	if err := r.save(ctx, rec, false); err != nil {
		return err
	}
	return r.create(ctx, rec)
}

// taggable tells whether resources of the type carry the stack's tags.
func taggable(typ string) bool {
	sch := schema.Lookup(typ)
	return sch != nil && sch.Properties["Tags"] != nil
}

// request is what a handler is told.
func (r *run) request(rec *resourceRecord) *resources.Request {
	old := ""
	if rec.Old != nil {
		old = rec.Old.PhysicalID
	}
	return &resources.Request{
		Old: old, Resumed: !rec.begun, LogicalID: rec.LogicalID, StackName: r.st.name(), StackID: aws.Val(r.st.StackId), Place: r.st.place(), Suffix: rec.Suffix, Token: r.st.Work.Token,
		PhysicalID: rec.PhysicalID, Properties: rec.Properties, Tags: rec.StackTags, Attributes: rec.Attributes,
		Back: r.st.status() == api.StackStatusUpdateRollbackInProgress, Capabilities: r.st.Capabilities,
	}
}

// create makes the resource, or goes on waiting for one that is being made. An
// error that another resource of the stack may still mend, such as a gateway
// that is not attached yet, is tried again as long as others are at work.
func (r *run) create(ctx context.Context, rec *resourceRecord) error {
	t := r.s.types[rec.Type]
	deadline := r.s.clock.Now().Add(retryLimit)
	var pause time.Duration
	for alone := 0; ; {
		err := r.createOnce(ctx, rec, t)
		if err == nil || !retryable(err, t.Retry) || alone >= 5 || r.s.clock.Now().After(deadline) {
			return err
		}
		if rec.PhysicalID != "" { // half made
			if err := r.destroy(ctx, r.request(rec), t); err != nil {
				return err
			}
			rec.PhysicalID, rec.begun = "", true
			if err := r.save(ctx, rec, false); err != nil {
				return err
			}
		}
		r.stuck.Add(1)
		err = r.sleep(ctx, &pause)
		if r.stuck.Load() < r.active.Load() {
			alone = 0
		} else {
			alone++ // nobody is left who could mend it
		}
		r.stuck.Add(-1)
		if err != nil {
			return err
		}
	}
}

// retryable tells whether an error has one of the codes.
func retryable(err error, codes []string) bool {
	return slices.ContainsFunc(codes, func(code string) bool { return aws.IsCode(err, code) })
}

func (r *run) createOnce(ctx context.Context, rec *resourceRecord, t resources.Type) error {
	if rec.Type == metadataType {
		rec.PhysicalID = rec.LogicalID
		return r.settle(ctx, rec)
	}
	if rec.PhysicalID == "" {
		if context.Cause(ctx) != nil {
			return context.Cause(ctx)
		}
		req, err := r.resolved(ctx, rec)
		if err != nil {
			return err
		}
		// Not interrupted: whatever it makes must get into the record.
		id, err := t.Create(context.WithoutCancel(ctx), req)
		if id != "" {
			rec.PhysicalID, rec.Reason = id, "Resource creation Initiated"
			if e := r.save(ctx, rec, true); e != nil && err == nil {
				err = e
			}
		}
		if err != nil {
			return err
		}
	}
	return r.settle(ctx, rec)
}

// settle waits until the resource is ready, and completes it.
func (r *run) settle(ctx context.Context, rec *resourceRecord) error {
	t := r.s.types[rec.Type]
	deadline := r.s.clock.Now().Add(stabilizeLimit)
	var pause time.Duration
	for t.Ready != nil {
		attributes, ready, err := t.Ready(ctx, r.request(rec))
		if err != nil {
			return err
		}
		if ready {
			if rec.Attributes, err = stored(attributes); err != nil {
				return err
			}
			break
		}
		if r.s.clock.Now().After(deadline) {
			return resources.NotStabilized("%s did not stabilize.", rec.PhysicalID)
		}
		if err := r.sleep(ctx, &pause); err != nil {
			return err
		}
	}
	rec.Reason = ""
	if rec.Status == api.ResourceStatusCreateInProgress {
		rec.Status = api.ResourceStatusCreateComplete
	} else {
		rec.Status = api.ResourceStatusUpdateComplete
	}
	return r.save(ctx, rec, true)
}
