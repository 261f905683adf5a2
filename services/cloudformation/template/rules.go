package template

import "slices"

// Rule checks parameters before anything is made.
type Rule struct {
	Condition  *Node // nil: always
	Assertions []Assertion
}

// Assertion is what must hold, with the author's words for when it does not.
type Assertion struct {
	Assert      *Node
	Description string
}

func (t *Template) readRules(root *Node) error {
	rules, err := section(root, "Rules")
	if err != nil {
		return err
	}
	for _, name := range rules.Keys {
		n := rules.Fields[name]
		r := &Rule{Condition: n.Field("RuleCondition")}
		list := n.Field("Assertions")
		if list == nil || list.Kind != List {
			return errorf("Template format error: Rule %s must have a list of Assertions.", name)
		}
		for _, item := range list.Items {
			a := Assertion{Assert: item.Field("Assert")}
			if a.Assert == nil {
				return errorf("Template format error: Every assertion of rule %s must have an Assert.", name)
			}
			if d := item.Field("AssertDescription"); d != nil {
				a.Description = d.Text
			}
			r.Assertions = append(r.Assertions, a)
		}
		t.Rules[name] = r
	}
	return nil
}

// CheckRules evaluates the template's rules for the parameters in env.
func (t *Template) CheckRules(env *Env) error {
	c := &conditions{t: t, env: *env, done: map[string]bool{}, open: map[string]bool{}, rules: true}
	c.env.Ref, c.env.Mappings = nil, t.Mappings
	for _, name := range ids(t.Rules) {
		r := t.Rules[name]
		if r.Condition != nil {
			applies, err := c.truth(r.Condition)
			if err != nil {
				return err
			}
			if !applies {
				continue
			}
		}
		for _, a := range r.Assertions {
			holds, err := c.truth(a.Assert)
			if err != nil {
				return err
			}
			if !holds {
				return errorf("Template rule %s is not satisfied: %s", name, a.Description)
			}
		}
	}
	return nil
}

// ruleFunctions are the functions that only rules have.
var ruleFunctions = map[string]bool{"Fn::Contains": true, "Fn::EachMemberEquals": true, "Fn::EachMemberIn": true}

// ruleFunction evaluates a function of rules.
func (c *conditions) ruleFunction(name string, arg *Node) (bool, error) {
	fault := errorf("Template error: %s requires a list argument with two elements", name)
	if arg.Kind != List || len(arg.Items) != 2 {
		return false, fault
	}
	list, err := c.env.texts(fault, arg.Items[0])
	if err != nil {
		return false, err
	}
	if name == "Fn::EachMemberIn" {
		allowed, err := c.env.texts(fault, arg.Items[1])
		if err != nil {
			return false, err
		}
		return !slices.ContainsFunc(list, func(s string) bool { return !slices.Contains(allowed, s) }), nil
	}
	value, err := c.env.text(name, arg.Items[1])
	if err != nil {
		return false, err
	}
	if name == "Fn::Contains" {
		return slices.Contains(list, value), nil
	}
	return !slices.ContainsFunc(list, func(s string) bool { return s != value }), nil
}
