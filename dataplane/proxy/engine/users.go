package engine

import (
	"net/netip"

	"minato/dataplane/proxy"
)

// user is the load balancer that uses a group.
type user struct {
	network string
	node    netip.Addr // the one that checks
}

// usersOf finds which load balancer checks which group: the first that has a
// rule for it.
func usersOf(c *proxy.Config) map[string]*user {
	users := map[string]*user{}
	for i := range c.LoadBalancers {
		lb := &c.LoadBalancers[i]
		if len(lb.Nodes) == 0 {
			continue
		}
		u := &user{lb.Network, lb.Nodes[0].Addr}
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
