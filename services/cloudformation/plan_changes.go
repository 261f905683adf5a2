package cloudformation

import (
	"maps"
	"reflect"
	"slices"

	"minato/aws"
	api "minato/aws/api/cloudformation"
	"minato/services/cloudformation/schema"
	"minato/services/cloudformation/template"
)

// plannedChange is what an update would do to a resource that stays.
type plannedChange struct {
	details     []api.ResourceChangeDetail
	replacement string
}

// planChanges compares two definitions without making anything: what would be
// added, removed and changed. before is nil for a stack that is to be made.
// ids are the physical ids of the resources that there are.
func planChanges(before, after *definition, retagged bool, ids map[string]string) []api.Change {
	var changes []api.Change
	add := func(action, id string, r *template.Resource, p *plannedChange) {
		c := &api.ResourceChange{Action: aws.Ptr(action), LogicalResourceId: aws.Ptr(id), ResourceType: aws.Ptr(r.Type), PhysicalResourceId: optional(ids[id]), Scope: []string{}, Details: []api.ResourceChangeDetail{}}
		if p != nil {
			c.Replacement, c.Details = &p.replacement, p.details
			for _, d := range p.details {
				if a := aws.Val(d.Target.Attribute); !slices.Contains(c.Scope, a) {
					c.Scope = append(c.Scope, a)
				}
			}
		}
		changes = append(changes, api.Change{Type: aws.Ptr(api.ChangeTypeResource), ResourceChange: c})
	}
	var modified map[string]*plannedChange
	if before != nil {
		modified = planModified(before, after, retagged)
	}
	for _, id := range sortedKeys(after.deps) {
		if before == nil || before.deps[id] == nil {
			add(api.ChangeActionAdd, id, after.t.Resources[id], nil)
		} else if p := modified[id]; p != nil {
			add(api.ChangeActionModify, id, after.t.Resources[id], p)
		}
	}
	if before != nil {
		for _, id := range sortedKeys(before.deps) {
			if after.deps[id] == nil {
				add(api.ChangeActionRemove, id, before.t.Resources[id], nil)
			}
		}
	}
	return changes
}

// planModified finds the resources that change: by their own properties, and
// then, as long as there are more, by references to what is replaced.
func planModified(before, after *definition, retagged bool) map[string]*plannedChange {
	modified := map[string]*plannedChange{}
	for _, id := range sortedKeys(after.deps) {
		if before.deps[id] == nil {
			continue
		}
		if p := planDirect(before, after, id, retagged); len(p.details) > 0 {
			modified[id] = p
		}
	}
	for again := true; again; {
		again = false
		for _, id := range sortedKeys(after.deps) {
			if before.deps[id] != nil && planReferences(after, id, modified) {
				again = true
			}
		}
	}
	return modified
}

// planDirect compares one resource's properties.
func planDirect(before, after *definition, id string, retagged bool) *plannedChange {
	was, is := before.t.Resources[id], after.t.Resources[id]
	p := &plannedChange{replacement: api.ReplacementFalse}
	if was.Type != is.Type {
		p.replacement = api.ReplacementTrue
		p.details = append(p.details, detail("Type", api.ResourceAttributeProperties, api.RequiresRecreationAlways, api.EvaluationTypeStatic, api.ChangeSourceDirectModification))
		return p
	}
	old, now := shape(before, was), shape(after, is)
	names := map[string]bool{}
	for k := range maps.Keys(old) {
		names[k] = true
	}
	for k := range maps.Keys(now) {
		names[k] = true
	}
	for _, name := range sortedKeys(names) {
		if reflect.DeepEqual(old[name], now[name]) {
			continue
		}
		attribute := api.ResourceAttributeProperties
		if name == "Tags" {
			attribute = api.ResourceAttributeTags
		}
		recreate := api.RequiresRecreationNever
		if createOnly(is.Type, name) {
			recreate, p.replacement = api.RequiresRecreationAlways, api.ReplacementTrue
		}
		p.details = append(p.details, detail(name, attribute, recreate, api.EvaluationTypeStatic, api.ChangeSourceDirectModification))
	}
	if retagged && taggable(is.Type) && reflect.DeepEqual(old["Tags"], now["Tags"]) {
		p.details = append(p.details, detail("", api.ResourceAttributeTags, api.RequiresRecreationNever, api.EvaluationTypeStatic, api.ChangeSourceDirectModification))
	}
	return p
}

// planReferences notes that a resource refers to one that is, or may be,
// replaced; it returns whether that is news.
func planReferences(after *definition, id string, modified map[string]*plannedChange) bool {
	r := after.t.Resources[id]
	if r.Properties == nil {
		return false
	}
	news := false
	for _, name := range r.Properties.Keys {
		for _, ref := range after.t.References(r.Properties.Fields[name], after.conditions) {
			other := modified[ref]
			if other == nil || other.replacement == api.ReplacementFalse {
				continue
			}
			p := modified[id]
			if p == nil {
				p = &plannedChange{replacement: api.ReplacementFalse}
				modified[id] = p
			}
			recreate := api.RequiresRecreationNever
			if createOnly(r.Type, name) {
				recreate = api.RequiresRecreationConditionally
			}
			d := detail(name, api.ResourceAttributeProperties, recreate, api.EvaluationTypeDynamic, api.ChangeSourceResourceReference)
			d.CausingEntity = aws.Ptr(ref)
			if slices.ContainsFunc(p.details, func(o api.ResourceChangeDetail) bool { return reflect.DeepEqual(o, d) }) {
				continue
			}
			p.details, news = append(p.details, d), true
			if recreate == api.RequiresRecreationConditionally && p.replacement == api.ReplacementFalse {
				p.replacement = api.ReplacementConditional
			}
		}
	}
	return news
}

// shape is a resource's properties as far as they are known, and what is left of
// the functions in them.
func shape(d *definition, r *template.Resource) map[string]any {
	if r.Properties == nil {
		return nil
	}
	m, _ := d.env.Reduced(r.Properties).(map[string]any)
	return m
}

// createOnly tells whether a change of the property replaces the resource.
func createOnly(typ, name string) bool {
	sch := schema.Lookup(typ)
	return sch != nil && slices.Contains(sch.CreateOnlyProperties, "/properties/"+name)
}

func detail(name, attribute, recreate, evaluation, source string) api.ResourceChangeDetail {
	return api.ResourceChangeDetail{Evaluation: &evaluation, ChangeSource: &source, Target: &api.ResourceTargetDefinition{Attribute: &attribute, Name: optional(name), RequiresRecreation: &recreate}}
}
