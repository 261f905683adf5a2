package cloudformation

import (
	"context"
	"slices"
	"strings"
	"sync"

	"minato/aws"
	api "minato/aws/api/cloudformation"
	"minato/services/cloudformation/template"
	"minato/store"
)

// env is the definition's environment with the stack's resources in it.
func (r *run) env(ctx context.Context, d *definition) *template.Env {
	e := d.env
	e.Ref = func(id string) (any, error) {
		rec, ok := r.records.get(id)
		if !ok || rec.PhysicalID == "" {
			return nil, validation("Template format error: Unresolved resource dependencies [%s] in the Resources block of the template", id)
		}
		return rec.PhysicalID, nil
	}
	e.GetAtt = func(id, attribute string) (any, error) {
		rec, ok := r.records.get(id)
		if !ok {
			return nil, validation("Template error: instance of Fn::GetAtt references undefined resource %s", id)
		}
		if v := attributeOf(&rec, attribute); v != nil {
			return v, nil
		}
		return nil, validation("Template error: resource %s does not support attribute type %s in Fn::GetAtt", id, attribute)
	}
	e.Import = func(name string) (any, error) {
		x, ok, err := r.s.exports.Get(ctx, r.st.Account, r.st.Region, name)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, validation("No export named %s found.", name)
		}
		r.imported(name)
		return x.Value, nil
	}
	return &e
}

// attributeOf is an attribute of a resource: what its handler gave, else a
// property.
func attributeOf(rec *resourceRecord, name string) any {
	if v, ok := rec.Attributes[name]; ok {
		return v
	}
	var v any = rec.Properties
	for _, part := range strings.Split(name, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[part]
	}
	return v
}

// importSet collects the exports that a phase uses.
type importSet struct {
	mu    sync.Mutex
	names map[string]bool
}

func (r *run) imported(name string) {
	r.imports.mu.Lock()
	defer r.imports.mu.Unlock()
	if r.imports.names == nil {
		r.imports.names = map[string]bool{}
	}
	r.imports.names[name] = true
}

// outcome is what a stack shows to the outside.
type outcome struct {
	outputs []api.Output
	exports map[string]string
	imports []string
}

// outputs evaluates the outputs of the definition.
func (r *run) outputs(ctx context.Context, d *definition) (*outcome, error) {
	out := &outcome{exports: map[string]string{}}
	env := r.env(ctx, d)
	for _, name := range sortedKeys(d.t.Outputs) {
		o := d.t.Outputs[name]
		if o.Condition != "" && !d.conditions[o.Condition] {
			continue
		}
		v, err := env.Eval(o.Value)
		if err != nil {
			return nil, err
		}
		text, ok := template.Text(v)
		if !ok {
			return nil, validation("Template format error: Output %s is malformed. The Value field of every Outputs member must evaluate to a String.", name)
		}
		if text, err = r.shownOutput(ctx, text); err != nil {
			return nil, err
		}
		shown := api.Output{OutputKey: aws.Ptr(name), OutputValue: &text, Description: optional(o.Description)}
		if o.Export != nil {
			v, err := env.Eval(o.Export)
			if err != nil {
				return nil, err
			}
			export, ok := template.Text(v)
			if !ok || export == "" {
				return nil, validation("Template format error: Output %s is malformed. The Name field of every Export member must be specified and evaluate to a String.", name)
			}
			if _, double := out.exports[export]; double {
				return nil, validation("Template format error: Duplicate Export name %s", export)
			}
			shown.ExportName, out.exports[export] = &export, text
		}
		out.outputs = append(out.outputs, shown)
	}
	// All resources once more: those that did not change were not evaluated
	// with imports in this run when it was resumed.
	for _, id := range sortedKeys(d.deps) {
		if p := d.t.Resources[id].Properties; p != nil {
			if _, err := env.Eval(p); err != nil {
				return nil, err
			}
		}
	}
	r.imports.mu.Lock()
	out.imports = sortedKeys(r.imports.names)
	r.imports.mu.Unlock()
	return out, nil
}

// batch is how many records one transaction changes: well within the store's
// limit, with the reads that it checks.
const batch = 40

// publish writes a stack's exports, before the stack says that it is complete;
// repeating it does no harm. An export of another stack with the same name is a
// fault.
func (r *run) publish(ctx context.Context, out *outcome) error {
	ctx = context.WithoutCancel(ctx)
	id := aws.Val(r.st.StackId)
	for names := range slices.Chunk(sortedKeys(out.exports), batch) {
		err := store.Update(ctx, r.s.store, func(tx *store.Tx) error {
			for _, name := range names {
				x, exists, err := r.s.exports.TxGet(tx, r.st.Account, r.st.Region, name)
				if err != nil {
					return err
				}
				if exists && x.StackID != id {
					return validation("Export with name %s is already exported by stack %s.", name, stackOf(x.StackID))
				}
				if err := r.s.exports.TxPut(tx, exportRecord{StackID: id, Name: name, Value: out.exports[name]}, r.st.Account, r.st.Region, name); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return r.unpublish(ctx, out.exports)
}

// unpublish removes the stack's exports but for those that it keeps.
func (r *run) unpublish(ctx context.Context, kept map[string]string) error {
	all, err := r.s.exports.List(ctx, r.st.Account, r.st.Region)
	if err != nil {
		return err
	}
	var names []string
	for _, x := range all {
		if _, keep := kept[x.Name]; !keep && x.StackID == aws.Val(r.st.StackId) {
			names = append(names, x.Name)
		}
	}
	for chunk := range slices.Chunk(names, batch) {
		err := store.Update(ctx, r.s.store, func(tx *store.Tx) error {
			for _, name := range chunk {
				x, exists, err := r.s.exports.TxGet(tx, r.st.Account, r.st.Region, name)
				if err != nil {
					return err
				}
				if exists && x.StackID == aws.Val(r.st.StackId) {
					r.s.exports.TxDelete(tx, r.st.Account, r.st.Region, name)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// show puts the outcome into the stack's record.
func (o *outcome) show(_ *store.Tx, st *stackRecord) error {
	st.Outputs, st.Imports = o.outputs, o.imports
	return nil
}

// exportsInUse returns an export of the stack that another one imports and that
// would go away or change: kept holds the values that stay.
func (r *run) exportsInUse(ctx context.Context, kept map[string]string) (export, by string, err error) {
	for _, o := range r.st.Outputs {
		name := aws.Val(o.ExportName)
		if v, stays := kept[name]; name == "" || stays && v == aws.Val(o.OutputValue) {
			continue
		}
		users, err := r.s.importers(ctx, r.st.Account, r.st.Region, name)
		if err != nil {
			return "", "", err
		}
		if len(users) > 0 {
			return name, users[0], nil
		}
	}
	return "", "", nil
}
