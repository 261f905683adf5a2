package targets

import (
	"net/netip"
	"slices"
)

// InLoop is a connection to a target that an event loop has.
type InLoop interface {
	// Close closes the connection, which is at rest. Only the loop's thread calls it.
	Close()
	// Sever closes it, whatever it does. Anybody may call it.
	Sever()
}

// AtRest are the connections of one event loop to one target that are at rest, by
// the node that they come from. Only the loop's thread touches it.
type AtRest struct{ nodes []resting }

type resting struct {
	node netip.Addr
	all  []InLoop
}

func (r *AtRest) of(node netip.Addr) *resting {
	for n := range r.nodes {
		if r := &r.nodes[n]; r.node == node {
			return r
		}
	}
	r.nodes = append(r.nodes, resting{node: node})
	return &r.nodes[len(r.nodes)-1]
}

// Take takes the one that was used last; nil when there is none.
func (r *AtRest) Take(node netip.Addr) InLoop {
	of := r.of(node)
	n := len(of.all) - 1
	if n < 0 {
		return nil
	}
	u := of.all[n]
	of.all[n] = nil
	of.all = of.all[:n]
	return u
}

// Put lays one to rest; it reports false when there are enough.
func (r *AtRest) Put(node netip.Addr, u InLoop) bool {
	of := r.of(node)
	if len(of.all) >= MaxIdle {
		return false
	}
	of.all = append(of.all, u)
	return true
}

// Remove takes this one, if it is there.
func (r *AtRest) Remove(node netip.Addr, u InLoop) {
	of := r.of(node)
	if i := slices.Index(of.all, u); i >= 0 {
		of.all = slices.Delete(of.all, i, i+1)
	}
}

// close closes all of them.
func (r *AtRest) close() {
	for _, of := range r.nodes {
		for _, u := range slices.Clone(of.all) {
			u.Close()
		}
	}
}
