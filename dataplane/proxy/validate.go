package proxy

import (
	"fmt"
	"net/netip"
)

// Validate finds what contradicts itself in a Config.
func (c *Config) Validate() error {
	groups := map[string]bool{}
	for i := range c.TargetGroups {
		tg := &c.TargetGroups[i]
		if groups[tg.ID] {
			return fmt.Errorf("target group %s is given twice", tg.ID)
		}
		groups[tg.ID] = true
		if k := &tg.Check; !k.Disabled && (k.Interval <= 0 || k.Timeout <= 0 || k.HealthyThreshold < 1 || k.UnhealthyThreshold < 1 || k.Kind != CheckTCP && len(k.Codes) == 0 || k.Kind != CheckTCP && (k.Path == "" || k.Path[0] != '/')) {
			return fmt.Errorf("target group %s: incomplete check %+v", tg.ID, *k)
		}
		seen := map[netip.AddrPort]bool{}
		for _, t := range tg.Targets {
			if !t.Address.IsValid() || seen[t.Address] {
				return fmt.Errorf("target group %s: target %s is invalid or given twice", tg.ID, t.Address)
			}
			seen[t.Address] = true
		}
	}
	balancers := map[string]bool{}
	for i := range c.LoadBalancers {
		lb := &c.LoadBalancers[i]
		if balancers[lb.ID] {
			return fmt.Errorf("load balancer %s is given twice", lb.ID)
		}
		balancers[lb.ID] = true
		ports := map[uint16]bool{}
		for j := range lb.Listeners {
			l := &lb.Listeners[j]
			if ports[l.Port] {
				return fmt.Errorf("load balancer %s: two listeners on port %d", lb.ID, l.Port)
			}
			ports[l.Port] = true
			if l.TLS != nil && len(l.TLS.Certificates) == 0 {
				return fmt.Errorf("load balancer %s, listener %s: TLS without a certificate", lb.ID, l.ID)
			}
			if l.Stream && (l.Default.Forward == nil || len(l.Rules) > 0) {
				return fmt.Errorf("load balancer %s, listener %s: a stream that is not simply forwarded", lb.ID, l.ID)
			}
			for k := range l.Rules {
				for _, c := range l.Rules[k].Conditions {
					for _, text := range c.Regexes {
						if _, err := Regexp(text); err != nil {
							return fmt.Errorf("load balancer %s, listener %s, rule %s: %w", lb.ID, l.ID, l.Rules[k].ID, err)
						}
					}
				}
			}
			for _, a := range l.Actions() {
				if err := validateAction(a, groups); err != nil {
					return fmt.Errorf("load balancer %s, listener %s: %w", lb.ID, l.ID, err)
				}
			}
		}
	}
	return nil
}

// Actions are those of the default and of all rules.
func (l *Listener) Actions() []*Action {
	all := []*Action{&l.Default}
	for i := range l.Rules {
		all = append(all, &l.Rules[i].Action)
	}
	return all
}

func validateAction(a *Action, groups map[string]bool) error {
	n := 0
	if a.Forward != nil {
		n++
		for _, g := range a.Forward.Groups {
			if !groups[g.TargetGroup] {
				return fmt.Errorf("no target group %s", g.TargetGroup)
			}
			if g.Weight < 0 {
				return fmt.Errorf("target group %s has weight %d", g.TargetGroup, g.Weight)
			}
		}
	}
	if a.Fixed != nil {
		n++
	}
	if a.Redirect != nil {
		n++
	}
	if n != 1 {
		return fmt.Errorf("an action with %d kinds", n)
	}
	return nil
}
