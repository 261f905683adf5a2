package template

// EvalConditions evaluates all conditions of the template; env needs
// parameters, pseudo parameters and nothing of resources.
func (t *Template) EvalConditions(env *Env) (map[string]bool, error) {
	c := &conditions{t: t, env: *env, done: map[string]bool{}, open: map[string]bool{}}
	c.env.Ref, c.env.Mappings = nil, t.Mappings
	for _, name := range ids(t.Conditions) {
		if _, err := c.named(name); err != nil {
			return nil, err
		}
	}
	return c.done, nil
}

// conditions evaluates conditions that may use one another.
type conditions struct {
	t    *Template
	env  Env
	done map[string]bool
	open map[string]bool
	// rules says that the functions of rules are allowed too
	rules bool
}

func (c *conditions) named(name string) (bool, error) {
	if v, ok := c.done[name]; ok {
		return v, nil
	}
	n := c.t.Conditions[name]
	if n == nil {
		return false, errorf("Template format error: Unresolved condition dependency %s in the template", name)
	}
	if c.open[name] {
		return false, errorf("Template error: Circular dependencies for condition %s", name)
	}
	c.open[name] = true
	v, err := c.truth(n)
	if err == nil {
		c.done[name] = v
	}
	return v, err
}

// truth evaluates one condition expression.
func (c *conditions) truth(n *Node) (bool, error) {
	name, arg := n.function()
	if c.rules && ruleFunctions[name] {
		return c.ruleFunction(name, arg)
	}
	if !conditionFunctions[name] {
		return false, errorf("Template format error: Every Conditions member must be a condition function (line %d, column %d).", n.Line, n.Column)
	}
	if name == "Condition" {
		return c.named(arg.Text)
	}
	if arg.Kind != List {
		return false, errorf("Template error: %s requires a list argument", name)
	}
	switch name {
	case "Fn::Equals":
		if len(arg.Items) != 2 {
			return false, errorf("Template error: Fn::Equals requires a list argument with two elements")
		}
		c.env.Conditions = c.done
		a, err := c.env.text(name, arg.Items[0])
		if err != nil {
			return false, err
		}
		b, err := c.env.text(name, arg.Items[1])
		return a == b, err
	case "Fn::Not":
		if len(arg.Items) != 1 {
			return false, errorf("Template error: Fn::Not requires a list argument with one element")
		}
		v, err := c.truth(arg.Items[0])
		return !v, err
	}
	if len(arg.Items) < 2 || len(arg.Items) > 10 {
		return false, errorf("Template error: every %s object requires a list of at least 2 and at most 10 boolean parameters.", name)
	}
	result := name == "Fn::And"
	for _, item := range arg.Items {
		v, err := c.truth(item)
		if err != nil {
			return false, err
		}
		if v != result {
			return v, nil
		}
	}
	return result, nil
}
