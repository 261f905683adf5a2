package linux

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// ruleset is the wanted contents of one nft table: pure data, so that a plan can
// be computed, compared and tested without a kernel.
type ruleset struct {
	sets   map[string]*set
	chains map[string]*chain
}

func newRuleset() *ruleset {
	return &ruleset{sets: map[string]*set{}, chains: map[string]*chain{}}
}

// setKind is what a set maps from and to.
type setKind uint8

const (
	addrs       setKind = iota // ipv4 address
	addrToAddr                 // ipv4 address to ipv4 address
	addrToChain                // ipv4 address to "goto chain"
	linkToChain                // interface name to "goto chain"
	dropped                    // source, destination, protocol, port: filled by the kernel
)

type set struct {
	kind  setKind
	elems map[string]elem // by raw key
}

// elem is the value of an element: raw bytes, or the chain to go to.
type elem struct{ value, chain string }

// hook makes a chain a base chain.
type hook struct {
	typ      nftables.ChainType
	num      *nftables.ChainHook
	priority *nftables.ChainPriority
	drop     bool // policy
}

type chain struct {
	hook  *hook
	rules []rule
}

// text is what the chain does, for comparison and for people.
func (c *chain) text() string {
	var b strings.Builder
	for _, r := range c.rules {
		b.WriteString(r.text)
		b.WriteByte('\n')
	}
	return b.String()
}

func (rs *ruleset) set(name string, kind setKind) *set {
	s := rs.sets[name]
	if s == nil {
		s = &set{kind: kind, elems: map[string]elem{}}
		rs.sets[name] = s
	}
	return s
}

func (s *set) addr(a netip.Addr)               { s.elems[addrKey(a)] = elem{} }
func (s *set) mapAddr(a, to netip.Addr)        { s.elems[addrKey(a)] = elem{value: addrKey(to)} }
func (s *set) gotoAddr(a netip.Addr, c string) { s.elems[addrKey(a)] = elem{chain: c} }
func (s *set) gotoLink(link, c string)         { s.elems[string(linkKey(link))] = elem{chain: c} }

func addrKey(a netip.Addr) string { b := a.As4(); return string(b[:]) }

func linkKey(name string) []byte {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, name)
	return b
}

func (rs *ruleset) base(name string, h hook, rules ...*ruleBuilder) {
	rs.chains[name] = &chain{hook: &h}
	rs.add(name, rules...)
}

// add appends rules to a chain, made if need be.
func (rs *ruleset) add(name string, rules ...*ruleBuilder) {
	c := rs.chains[name]
	if c == nil {
		c = &chain{}
		rs.chains[name] = c
	}
	for _, r := range rules {
		c.rules = append(c.rules, rule{text: strings.Join(r.words, " "), exprs: r.exprs})
	}
}

// rule is one nft rule: what people read and what the kernel gets.
type rule struct {
	text  string
	exprs []expr.Any
}

// ruleBuilder writes both forms of a rule at once, so that they cannot differ.
type ruleBuilder struct {
	words []string
	exprs []expr.Any
}

func match() *ruleBuilder { return &ruleBuilder{} }

func (r *ruleBuilder) add(word string, e ...expr.Any) *ruleBuilder {
	r.words = append(r.words, word)
	r.exprs = append(r.exprs, e...)
	return r
}

// Offsets in the IPv4 header.
const (
	srcOffset = 12
	dstOffset = 16
)

func loadAddr(offset uint32) expr.Any {
	return &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4}
}

func cmp(op expr.CmpOp, data []byte) expr.Any { return &expr.Cmp{Op: op, Register: 1, Data: data} }

func eqOp(equal bool) (expr.CmpOp, string) {
	if equal {
		return expr.CmpOpEq, ""
	}
	return expr.CmpOpNeq, "!= "
}

func (r *ruleBuilder) addrIn(word string, offset uint32, p netip.Prefix, equal bool) *ruleBuilder {
	if p.Bits() == 0 && equal {
		return r
	}
	op, not := eqOp(equal)
	mask := make([]byte, 4)
	binary.BigEndian.PutUint32(mask, ^uint32(0)<<(32-p.Bits()))
	return r.add(fmt.Sprintf("ip %s %s%s", word, not, p), loadAddr(offset),
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: mask, Xor: make([]byte, 4)},
		cmp(op, []byte(addrKey(p.Masked().Addr()))))
}

func (r *ruleBuilder) src(p netip.Prefix) *ruleBuilder { return r.addrIn("saddr", srcOffset, p, true) }

func (r *ruleBuilder) dst(p netip.Prefix) *ruleBuilder { return r.addrIn("daddr", dstOffset, p, true) }

func (r *ruleBuilder) notSrc(p netip.Prefix) *ruleBuilder {
	return r.addrIn("saddr", srcOffset, p, false)
}

func (r *ruleBuilder) notDst(p netip.Prefix) *ruleBuilder {
	return r.addrIn("daddr", dstOffset, p, false)
}

func (r *ruleBuilder) inSet(word string, offset uint32, set string, in bool) *ruleBuilder {
	_, not := eqOp(in)
	return r.add(fmt.Sprintf("ip %s %s@%s", word, not, set), loadAddr(offset),
		&expr.Lookup{SourceRegister: 1, SetName: set, Invert: !in})
}

func (r *ruleBuilder) dstNotIn(set string) *ruleBuilder {
	return r.inSet("daddr", dstOffset, set, false)
}

// srcHas matches when a map has the source address as a key.
func (r *ruleBuilder) srcHas(set string) *ruleBuilder {
	return r.add("ip saddr in map @"+set, loadAddr(srcOffset),
		&expr.Lookup{SourceRegister: 1, SetName: set, DestRegister: 2, IsDestRegSet: true})
}

func (r *ruleBuilder) vmapAddr(word string, offset uint32, set string) *ruleBuilder {
	return r.add(fmt.Sprintf("ip %s vmap @%s", word, set), loadAddr(offset),
		&expr.Lookup{SourceRegister: 1, SetName: set, DestRegister: 0, IsDestRegSet: true})
}

func (r *ruleBuilder) srcVmap(set string) *ruleBuilder { return r.vmapAddr("saddr", srcOffset, set) }

func (r *ruleBuilder) dstVmap(set string) *ruleBuilder { return r.vmapAddr("daddr", dstOffset, set) }

func (r *ruleBuilder) inVmap(set string) *ruleBuilder {
	return r.add("iifname vmap @"+set, &expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1},
		&expr.Lookup{SourceRegister: 1, SetName: set, DestRegister: 0, IsDestRegSet: true})
}

func (r *ruleBuilder) outVmap(set string) *ruleBuilder {
	return r.add("oifname vmap @"+set, &expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1},
		&expr.Lookup{SourceRegister: 1, SetName: set, DestRegister: 0, IsDestRegSet: true})
}

func (r *ruleBuilder) link(word string, key expr.MetaKey, name string, equal bool) *ruleBuilder {
	op, not := eqOp(equal)
	return r.add(fmt.Sprintf("%s %s%q", word, not, name), &expr.Meta{Key: key, Register: 1}, cmp(op, linkKey(name)))
}

func (r *ruleBuilder) in(name string) *ruleBuilder {
	return r.link("iifname", expr.MetaKeyIIFNAME, name, true)
}

func (r *ruleBuilder) notIn(name string) *ruleBuilder {
	return r.link("iifname", expr.MetaKeyIIFNAME, name, false)
}

func (r *ruleBuilder) out(name string) *ruleBuilder {
	return r.link("oifname", expr.MetaKeyOIFNAME, name, true)
}

func (r *ruleBuilder) notOut(name string) *ruleBuilder {
	return r.link("oifname", expr.MetaKeyOIFNAME, name, false)
}

func (r *ruleBuilder) proto(p uint8) *ruleBuilder {
	return r.add(fmt.Sprintf("meta l4proto %d", p), &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, cmp(expr.CmpOpEq, []byte{p}))
}

// dport matches a range of destination ports; the protocol is matched before.
func (r *ruleBuilder) dport(from, to uint16) *ruleBuilder {
	if from == 0 && to == 65535 {
		return r
	}
	r.add(fmt.Sprintf("th dport %d-%d", from, to), &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2})
	if from == to {
		return r.add("", cmp(expr.CmpOpEq, binaryutil.BigEndian.PutUint16(from)))
	}
	return r.add("", &expr.Range{Op: expr.CmpOpEq, Register: 1, FromData: binaryutil.BigEndian.PutUint16(from), ToData: binaryutil.BigEndian.PutUint16(to)})
}

// icmp matches a type and a code, -1 for any.
func (r *ruleBuilder) icmp(typ, code int) *ruleBuilder {
	for i, v := range []int{typ, code} {
		if v >= 0 {
			r.add(fmt.Sprintf("icmp %s %d", [...]string{"type", "code"}[i], v),
				&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: uint32(i), Len: 1}, cmp(expr.CmpOpEq, []byte{uint8(v)}))
		}
	}
	return r
}

func (r *ruleBuilder) state(name string, bits uint32) *ruleBuilder {
	return r.add("ct state "+name, &expr.Ct{Register: 1, Key: expr.CtKeySTATE},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(bits), Xor: make([]byte, 4)},
		cmp(expr.CmpOpNeq, make([]byte, 4)))
}

func (r *ruleBuilder) established() *ruleBuilder {
	return r.state("established,related", expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED)
}

func (r *ruleBuilder) invalid() *ruleBuilder { return r.state("invalid", expr.CtStateBitINVALID) }

func (r *ruleBuilder) verdict(word string, kind expr.VerdictKind, chain string) *ruleBuilder {
	return r.add(strings.TrimSpace(word+" "+chain), &expr.Verdict{Kind: kind, Chain: chain})
}

func (r *ruleBuilder) accept() *ruleBuilder { return r.verdict("accept", expr.VerdictAccept, "") }
func (r *ruleBuilder) drop() *ruleBuilder   { return r.verdict("drop", expr.VerdictDrop, "") }
func (r *ruleBuilder) ret() *ruleBuilder    { return r.verdict("return", expr.VerdictReturn, "") }
func (r *ruleBuilder) jump(chain string) *ruleBuilder {
	return r.verdict("jump", expr.VerdictJump, chain)
}

func (r *ruleBuilder) goTo(chain string) *ruleBuilder {
	return r.verdict("goto", expr.VerdictGoto, chain)
}

// snatMap and dnatMap translate to what a map holds for the address; without an
// entry the rule does nothing.
func (r *ruleBuilder) snatMap(set string) *ruleBuilder {
	return r.nat("snat to ip saddr map @"+set, expr.NATTypeSourceNAT, srcOffset, set)
}

func (r *ruleBuilder) dnatMap(set string) *ruleBuilder {
	return r.nat("dnat to ip daddr map @"+set, expr.NATTypeDestNAT, dstOffset, set)
}

func (r *ruleBuilder) nat(word string, typ expr.NATType, offset uint32, set string) *ruleBuilder {
	return r.add(word, loadAddr(offset),
		&expr.Lookup{SourceRegister: 1, SetName: set, DestRegister: 1, IsDestRegSet: true},
		&expr.NAT{Type: typ, Family: unix.NFPROTO_IPV4, RegAddrMin: 1})
}

func (r *ruleBuilder) masquerade() *ruleBuilder { return r.add("masquerade", &expr.Masq{}) }

// clampMSS lowers a TCP connection's segment size to what the way out carries.
func (r *ruleBuilder) clampMSS() *ruleBuilder {
	r.proto(unix.IPPROTO_TCP).add("tcp flags syn",
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 13, Len: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{0x02}, Xor: []byte{0}},
		cmp(expr.CmpOpNeq, []byte{0}))
	return r.add("tcp option maxseg size set rt mtu",
		&expr.Rt{Register: 1, Key: expr.RtTCPMSS},
		&expr.Byteorder{SourceRegister: 1, DestRegister: 1, Op: expr.ByteorderHton, Len: 2, Size: 2},
		&expr.Exthdr{SourceRegister: 1, Type: 2, Offset: 2, Len: 2, Op: expr.ExthdrOpTcpopt})
}

// record counts the packet in a set of dropped ones, with its port if it has one.
func (rs *ruleset) recordAndDrop(chainName, setName string) {
	rs.set(setName, dropped)
	const first = unix.NFT_REG32_00
	tuple := func(port expr.Any) []expr.Any {
		return []expr.Any{
			&expr.Payload{DestRegister: first, Base: expr.PayloadBaseNetworkHeader, Offset: srcOffset, Len: 4},
			&expr.Payload{DestRegister: first + 1, Base: expr.PayloadBaseNetworkHeader, Offset: dstOffset, Len: 4},
			&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: first + 2},
			port,
			&expr.Dynset{SrcRegKey: first, SetName: setName, Operation: unix.NFT_DYNSET_OP_UPDATE, Timeout: dropTimeout, Exprs: []expr.Any{&expr.Counter{}}},
		}
	}
	dport := &expr.Payload{DestRegister: first + 3, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}
	noPort := &expr.Immediate{Register: first + 3, Data: make([]byte, 4)}
	for _, p := range []uint8{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
		rs.add(chainName, match().proto(p).add("update @"+setName+" { saddr . daddr . l4proto . dport }", tuple(dport)...).drop())
	}
	rs.add(chainName, match().add("update @"+setName+" { saddr . daddr . l4proto . 0 }", tuple(noPort)...).drop())
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
