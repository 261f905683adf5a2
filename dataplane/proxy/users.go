package proxy

import "net/netip"

// User is the load balancer that uses a group.
type User struct {
	Network string
	Node    netip.Addr // the one that checks
}

// Users finds which load balancer checks which group: the first that has a
// rule for it.
func (c *Config) Users() map[string]*User {
	users := map[string]*User{}
	for i := range c.LoadBalancers {
		lb := &c.LoadBalancers[i]
		if len(lb.Nodes) == 0 {
			continue
		}
		u := &User{lb.Network, lb.Nodes[0].Addr}
		for j := range lb.Listeners {
			for _, a := range lb.Listeners[j].Actions() {
				if a.Forward == nil {
					continue
				}
				for _, g := range a.Forward.Groups {
					if users[g.TargetGroup] == nil {
						users[g.TargetGroup] = u
					}
				}
			}
		}
	}
	return users
}
