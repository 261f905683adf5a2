package linux

import (
	"fmt"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	mdnetlink "github.com/mdlayher/netlink"
)

const (
	dropTimeout = 10 * time.Minute // how long a dropped packet is remembered
	dropSize    = 8192             // how many different ones
	chunk       = 200              // elements a message: an attribute's length has 16 bits
)

// table is one nft table in one namespace, changed in transactions.
type table struct {
	conn *nftables.Conn
	t    *nftables.Table
}

// openTable returns the table of that name in the namespace.
func openTable(ns int, name string) (*table, error) {
	conn, err := nftables.New(nftables.AsLasting(), nftables.WithNetNSFd(ns), nftables.WithSockOptions(func(c *mdnetlink.Conn) error {
		// Every message of a batch is acknowledged, and a large table is one batch.
		if err := c.SetReadBuffer(8 << 20); err != nil {
			return err
		}
		return c.SetWriteBuffer(8 << 20)
	}))
	if err != nil {
		return nil, err
	}
	return &table{conn: conn, t: &nftables.Table{Family: nftables.TableFamilyIPv4, Name: name}}, nil
}

func (t *table) close() { t.conn.CloseLasting() }

// replace makes want the whole contents of the table, whatever was there, in one
// transaction: packets see the old table or the new one.
func (t *table) replace(want *ruleset) error {
	t.conn.AddTable(t.t) // so that the deletion finds one
	t.conn.DelTable(t.t)
	t.conn.AddTable(t.t)
	t.change(newRuleset(), want)
	return t.flush()
}

// update turns a table that holds have into one that holds want.
func (t *table) update(have, want *ruleset) error {
	t.change(have, want)
	return t.flush()
}

// remove deletes the table.
func (t *table) remove() error {
	t.conn.AddTable(t.t)
	t.conn.DelTable(t.t)
	return t.flush()
}

func (t *table) flush() error {
	if err := t.conn.Flush(); err != nil {
		return fmt.Errorf("nft table %s: %w", t.t.Name, err)
	}
	return nil
}

// change queues the messages that lead from have to want, in an order in which
// nothing is named before it exists or removed while it is named.
func (t *table) change(have, want *ruleset) {
	for _, name := range sortedKeys(want.chains) {
		if have.chains[name] == nil {
			t.conn.AddChain(t.nftChain(name, want.chains[name]))
		}
	}
	for _, name := range sortedKeys(want.sets) {
		if have.sets[name] == nil {
			if err := t.conn.AddSet(t.nftSet(name, want.sets[name].kind), nil); err != nil {
				panic(err) // our own sets are well-formed: a fault of the code
			}
		}
	}
	for _, name := range sortedKeys(have.sets) {
		t.elements(name, have.sets[name], want.sets[name], false)
	}
	for _, name := range sortedKeys(want.sets) {
		t.elements(name, want.sets[name], have.sets[name], true)
	}
	var gone []string
	for _, name := range sortedKeys(have.chains) {
		if want.chains[name] == nil {
			gone = append(gone, name)
			t.conn.FlushChain(t.nftChain(name, have.chains[name]))
		}
	}
	for _, name := range sortedKeys(want.chains) {
		w, h := want.chains[name], have.chains[name]
		if h != nil && h.text() == w.text() {
			continue
		}
		c := t.nftChain(name, w)
		if h != nil {
			t.conn.FlushChain(c)
		}
		for _, r := range w.rules {
			t.conn.AddRule(&nftables.Rule{Table: t.t, Chain: c, Exprs: r.exprs})
		}
	}
	for _, name := range gone {
		t.conn.DelChain(t.nftChain(name, have.chains[name]))
	}
	for _, name := range sortedKeys(have.sets) {
		if want.sets[name] == nil {
			t.conn.DelSet(t.nftSet(name, have.sets[name].kind))
		}
	}
}

// elements adds what is in a and not the same in b, or deletes it.
func (t *table) elements(name string, a, b *set, add bool) {
	var out []nftables.SetElement
	for key, e := range a.elems {
		if b != nil {
			if other, ok := b.elems[key]; ok && other == e {
				continue
			}
		}
		el := nftables.SetElement{Key: []byte(key)}
		switch {
		case e.chain != "":
			el.VerdictData = &expr.Verdict{Kind: expr.VerdictGoto, Chain: e.chain}
		case e.value != "":
			el.Val = []byte(e.value)
		}
		out = append(out, el)
	}
	s := t.nftSet(name, a.kind)
	for len(out) > 0 {
		n := min(len(out), chunk)
		var err error
		if add {
			err = t.conn.SetAddElements(s, out[:n])
		} else {
			err = t.conn.SetDeleteElements(s, out[:n])
		}
		if err != nil {
			panic(err) // named sets, well-formed elements: a fault of the code
		}
		out = out[n:]
	}
}

func (t *table) nftChain(name string, c *chain) *nftables.Chain {
	n := &nftables.Chain{Name: name, Table: t.t}
	if c.hook != nil {
		policy := nftables.ChainPolicyAccept
		if c.hook.drop {
			policy = nftables.ChainPolicyDrop
		}
		n.Type, n.Hooknum, n.Priority, n.Policy = c.hook.typ, c.hook.num, c.hook.priority, &policy
	}
	return n
}

// tupleType is the key of a set of dropped packets.
var tupleType = nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService)

func (t *table) nftSet(name string, kind setKind) *nftables.Set {
	s := &nftables.Set{Table: t.t, Name: name, KeyType: nftables.TypeIPAddr}
	switch kind {
	case addrToAddr:
		s.IsMap, s.DataType = true, nftables.TypeIPAddr
	case addrToChain:
		s.IsMap, s.DataType = true, nftables.TypeVerdict
	case linkToChain:
		s.IsMap, s.DataType, s.KeyType = true, nftables.TypeVerdict, nftables.TypeIFName
	case dropped:
		s.KeyType, s.Concatenation = tupleType, true
		s.Dynamic, s.HasTimeout, s.Timeout, s.Size = true, true, dropTimeout, dropSize
	}
	return s
}

// tuples reads a set of dropped packets.
func (t *table) tuples(name string) ([]nftables.SetElement, error) {
	return t.conn.GetSetElements(t.nftSet(name, dropped))
}
