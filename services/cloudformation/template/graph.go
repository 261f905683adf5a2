package template

import (
	"slices"
	"sort"
	"strings"
)

// uses calls f for every resource, parameter or pseudo parameter that a node
// refers to; attribute is empty for Ref. Branches that choose does not take are
// left out; a nil choose takes all.
func uses(n *Node, choose func(arg *Node) (*Node, error), f func(name, attribute string) error) error {
	if n == nil {
		return nil
	}
	name, arg := n.function()
	switch name {
	case "Ref":
		return f(arg.Text, "")
	case "Fn::GetAtt":
		resource, attribute, err := (&Env{}).staticAttribute(arg)
		if err != nil {
			return err
		}
		if arg.Kind == List {
			if err := uses(arg.Items[1], choose, f); err != nil {
				return err
			}
		}
		return f(resource, attribute)
	case "Fn::Sub":
		text, own, err := subParts(arg)
		if err != nil {
			return err
		}
		if err := uses(own, choose, f); err != nil {
			return err
		}
		return scanSub(text, func(string) {}, func(name string) error {
			if own.Field(name) != nil {
				return nil
			}
			resource, attribute, _ := strings.Cut(name, ".")
			return f(resource, attribute)
		})
	case "Fn::If":
		if choose != nil {
			chosen, err := choose(arg)
			if err != nil {
				return err
			}
			return uses(chosen, choose, f)
		}
	}
	for _, item := range n.Items {
		if err := uses(item, choose, f); err != nil {
			return err
		}
	}
	for _, k := range n.Keys {
		if err := uses(n.Fields[k], choose, f); err != nil {
			return err
		}
	}
	return nil
}

// staticAttribute is the argument of Fn::GetAtt as far as it stands in the text.
func (e *Env) staticAttribute(arg *Node) (resource, attribute string, err error) {
	if arg.Kind == List && len(arg.Items) == 2 && arg.Items[0].Kind == String && arg.Items[1].Kind == Map {
		return arg.Items[0].Text, "?", nil // a function gives the attribute
	}
	return e.attribute(arg)
}

// Dependencies returns for each resource that the conditions keep what it
// depends on: by DependsOn, Ref, GetAtt and Sub.
func (t *Template) Dependencies(conditions map[string]bool) (map[string][]string, error) {
	env := &Env{Conditions: conditions}
	kept := map[string]bool{}
	for id, r := range t.Resources {
		kept[id] = r.Condition == "" || conditions[r.Condition]
	}
	out := map[string][]string{}
	for _, id := range t.LogicalIDs() {
		if !kept[id] {
			continue
		}
		r := t.Resources[id]
		set := map[string]bool{}
		for _, d := range r.DependsOn {
			set[d] = kept[d]
		}
		var missing []string
		err := uses(r.Properties, env.choose, func(name, _ string) error {
			if t.Resources[name] == nil {
				return nil
			}
			if !kept[name] {
				missing = append(missing, name)
			}
			set[name] = true
			return nil
		})
		if err != nil {
			return nil, err
		}
		if len(missing) > 0 {
			return nil, errorf("Template format error: Unresolved resource dependencies [%s] in the Resources block of the template", strings.Join(missing, ", "))
		}
		deps := []string{}
		for d, yes := range set {
			if yes {
				deps = append(deps, d)
			}
		}
		sort.Strings(deps)
		out[id] = deps
	}
	if cycle := findCycle(out); cycle != nil {
		return nil, errorf("Circular dependency between resources: [%s]", strings.Join(cycle, ", "))
	}
	return out, nil
}

// findCycle returns the resources that lie on a cycle, or nil: what is left
// when everything that waits for nothing is taken away, from both ends.
func findCycle(deps map[string][]string) []string {
	left := map[string]map[string]bool{}
	for id, ds := range deps {
		left[id] = map[string]bool{}
		for _, d := range ds {
			left[id][d] = true
		}
	}
	for changed := true; changed; {
		changed = false
		needed := map[string]bool{}
		for _, ds := range left {
			for d := range ds {
				if left[d] == nil {
					delete(ds, d)
					changed = true
				} else {
					needed[d] = true
				}
			}
		}
		for id, ds := range left {
			if len(ds) == 0 || !needed[id] {
				delete(left, id)
				changed = true
			}
		}
	}
	if len(left) == 0 {
		return nil
	}
	return ids(left)
}

// check finds references to what is not there and functions that do not exist.
func (t *Template) check() error {
	for _, id := range t.LogicalIDs() {
		r := t.Resources[id]
		if r.Condition != "" && t.Conditions[r.Condition] == nil {
			return errorf("Template format error: Unresolved condition dependency %s in the Resources block of the template", r.Condition)
		}
		for _, d := range r.DependsOn {
			if t.Resources[d] == nil {
				return errorf("Template format error: Unresolved resource dependencies [%s] in the Resources block of the template", d)
			}
			if d == id {
				return errorf("Circular dependency between resources: [%s]", id)
			}
		}
		if err := t.checkNode(r.Properties, "Resources"); err != nil {
			return err
		}
	}
	for _, name := range ids(t.Outputs) {
		o := t.Outputs[name]
		if o.Condition != "" && t.Conditions[o.Condition] == nil {
			return errorf("Template format error: Unresolved condition dependency %s in the Outputs block of the template", o.Condition)
		}
		for _, n := range []*Node{o.Value, o.Export} {
			if err := t.checkNode(n, "Outputs"); err != nil {
				return err
			}
		}
	}
	for _, name := range ids(t.Conditions) {
		if err := t.checkNode(t.Conditions[name], "Conditions"); err != nil {
			return err
		}
	}
	return t.checkCycles()
}

// checkCycles finds resources that depend on one another whatever the parameters
// are: of those without a condition, and without what stands in an Fn::If.
func (t *Template) checkCycles() error {
	deps := map[string][]string{}
	for id, r := range t.Resources {
		if r.Condition != "" {
			continue
		}
		deps[id] = slices.Clone(r.DependsOn)
		if err := uses(r.Properties, func(*Node) (*Node, error) { return nil, nil }, func(name, _ string) error {
			deps[id] = append(deps[id], name)
			return nil
		}); err != nil {
			return err
		}
	}
	if cycle := findCycle(deps); cycle != nil {
		return errorf("Circular dependency between resources: [%s]", strings.Join(cycle, ", "))
	}
	return nil
}

// checkNode checks functions and references below a node.
func (t *Template) checkNode(n *Node, block string) error {
	if n == nil {
		return nil
	}
	if err := t.checkFunctions(n); err != nil {
		return err
	}
	var missing []string
	err := uses(n, nil, func(name, attribute string) error {
		switch {
		case t.Resources[name] != nil && block == "Conditions":
			missing = append(missing, name)
		case t.Resources[name] != nil:
		case attribute != "":
			return errorf("Template error: instance of Fn::GetAtt references undefined resource %s", name)
		case t.Parameters[name] == nil && !pseudo[name]:
			missing = append(missing, name)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		kind := "resource "
		if block == "Conditions" {
			kind = ""
		}
		return errorf("Template format error: Unresolved %sdependencies [%s] in the %s block of the template", kind, strings.Join(missing, ", "), block)
	}
	return nil
}

// pseudo are the pseudo parameters.
var pseudo = map[string]bool{
	"AWS::AccountId": true, "AWS::NotificationARNs": true, "AWS::NoValue": true, "AWS::Partition": true,
	"AWS::Region": true, "AWS::StackId": true, "AWS::StackName": true, "AWS::URLSuffix": true,
}

func (t *Template) checkFunctions(n *Node) error {
	if name, arg := n.function(); name == "Fn::FindInMap" && len(arg.Items) == 3 && arg.Items[0].Kind == String && t.Mappings.Field(arg.Items[0].Text) == nil {
		return errorf("Template error: Mapping named '%s' is not present in the 'Mappings' section of template.", arg.Items[0].Text)
	}
	if len(n.Keys) == 1 && strings.HasPrefix(n.Keys[0], "Fn::") && !functions[n.Keys[0]] && !(t.extended() && extensions[n.Keys[0]]) {
		return errorf("Template error: Encountered unsupported function: %s Supported functions are: [%s]", n.Keys[0], strings.Join(ids(functions), ", "))
	}
	for _, item := range n.Items {
		if err := t.checkFunctions(item); err != nil {
			return err
		}
	}
	for _, k := range n.Keys {
		if n.Fields[k].Kind == Null {
			return errorf("Template format error: 'null' values are not allowed in templates (line %d, column %d)", n.Fields[k].Line, n.Fields[k].Column)
		}
		if err := t.checkFunctions(n.Fields[k]); err != nil {
			return err
		}
	}
	return nil
}

// EachAttribute calls f for every Fn::GetAtt and ${Resource.Attribute} whose
// attribute stands in the text.
func (t *Template) EachAttribute(f func(resource, attribute string) error) error {
	visit := func(n *Node) error {
		return uses(n, nil, func(name, attribute string) error {
			if attribute == "" || attribute == "?" || t.Resources[name] == nil {
				return nil
			}
			return f(name, attribute)
		})
	}
	for _, id := range t.LogicalIDs() {
		if err := visit(t.Resources[id].Properties); err != nil {
			return err
		}
	}
	for _, name := range ids(t.Outputs) {
		for _, n := range []*Node{t.Outputs[name].Value, t.Outputs[name].Export} {
			if err := visit(n); err != nil {
				return err
			}
		}
	}
	return nil
}

// References returns the resources that a node refers to, in the branches that
// the conditions take.
func (t *Template) References(n *Node, conditions map[string]bool) []string {
	set := map[string]bool{}
	env := &Env{Conditions: conditions}
	err := uses(n, env.choose, func(name, _ string) error {
		if t.Resources[name] != nil {
			set[name] = true
		}
		return nil
	})
	if err != nil {
		return nil // Parse and EvalConditions have reported it
	}
	return ids(set)
}
