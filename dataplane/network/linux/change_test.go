package linux

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"

	"minato/dataplane/network"
)

// randomVPC makes one of many VPCs: subnets, groups, interfaces and routes by chance.
func randomVPC(r *rand.Rand, pool netip.Prefix) network.VPC {
	anywhere := netip.MustParsePrefix("0.0.0.0/0")
	v := network.VPC{ID: "vpc", CIDRs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")}, InternetGateway: r.IntN(3) > 0}
	if r.IntN(2) == 0 {
		v.Services = []network.Service{{Addr: netip.MustParseAddr("10.0.0.2"), Protocol: network.UDP, Port: 53}}
	}
	public := network.FirstAssignable(pool)
	for i := range 3 {
		table := network.RouteTable{ID: fmt.Sprintf("rtb-%d", i)}
		if r.IntN(3) > 0 {
			table.Routes = append(table.Routes, network.Route{Destination: anywhere, Kind: network.RouteKind(r.IntN(3)), Target: "nat"})
		}
		if r.IntN(2) == 0 {
			table.Routes = append(table.Routes, network.Route{Destination: netip.MustParsePrefix("192.0.2.0/24"), Kind: network.Blackhole})
		}
		v.RouteTables = append(v.RouteTables, table)
		g := network.Group{ID: fmt.Sprintf("sg-%d", i)}
		for range r.IntN(3) {
			g.Ingress = append(g.Ingress, network.Rule{Protocol: network.TCP, FromPort: r.IntN(2), ToPort: 80, Group: fmt.Sprintf("sg-%d", r.IntN(4))})
			g.Egress = append(g.Egress, network.Rule{Protocol: network.ICMP, FromPort: 8, ToPort: -1, CIDR: netip.PrefixFrom(public, 8*r.IntN(5)).Masked()})
		}
		if r.IntN(4) > 0 {
			v.Groups = append(v.Groups, g)
		}
		v.Subnets = append(v.Subnets, network.Subnet{
			ID: fmt.Sprintf("subnet-%d", i), CIDR: netip.MustParsePrefix(fmt.Sprintf("10.0.%d.0/24", i)), RouteTable: fmt.Sprintf("rtb-%d", r.IntN(3)), ACL: []string{"", "acl"}[r.IntN(2)],
		})
	}
	v.ACLs = []network.ACL{{ID: "acl", Ingress: []network.ACLRule{{Number: r.IntN(2), Protocol: network.All, CIDR: anywhere, Allow: r.IntN(2) == 0}}}}
	if r.IntN(2) == 0 {
		v.NATGateways = []network.NATGateway{{ID: "nat", Interface: "eni-nat", Subnet: "subnet-0", Addr: netip.MustParseAddr("10.0.0.99"), Public: public}}
	}
	for i := range 6 {
		if r.IntN(3) == 0 {
			continue
		}
		subnet := i % 3
		e := network.Interface{
			ID: fmt.Sprintf("eni-%d", i), Subnet: fmt.Sprintf("subnet-%d", subnet), Addr: netip.MustParseAddr(fmt.Sprintf("10.0.%d.%d", subnet, 10+i)),
			Inside: i == 0, Forward: i == 1 && r.IntN(2) == 0,
		}
		for g := range 4 { // the last does not exist
			if r.IntN(2) == 0 {
				e.Groups = append(e.Groups, fmt.Sprintf("sg-%d", g))
			}
		}
		if r.IntN(2) == 0 {
			e.Public = netip.AddrFrom4([4]byte{public.As4()[0], public.As4()[1], public.As4()[2], byte(100 + r.IntN(2)*10 + i)})
		}
		v.Interfaces = append(v.Interfaces, e)
	}
	return v
}

// kernel is what is real in a VPC's namespace, in a settled order.
func kernel(t *testing.T, n *Network) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	err := n.inVPC("vpc", func() error {
		for what, args := range map[string][]string{
			"rules": {"ip", "rule"}, "routes": {"ip", "-4", "route", "show", "table", "all"}, "addresses": {"ip", "-4", "-o", "addr", "show", "dev", "lo"},
		} {
			b, err := exec.Command(args[0], args[1:]...).Output()
			if err != nil {
				return err
			}
			out[what] = strings.Split(strings.TrimSpace(string(b)), "\n")
			slices.Sort(out[what])
		}
		b, err := exec.Command("nft", "-j", "list", "table", "ip", tableName).Output()
		if err != nil {
			return err
		}
		var doc struct{ Nftables []map[string]map[string]any }
		if err := json.Unmarshal(b, &doc); err != nil {
			return err
		}
		for _, o := range doc.Nftables {
			for kind, v := range o {
				delete(v, "handle")
				name := fmt.Sprint(kind, " ", v["name"], v["chain"])
				if elems, ok := v["elem"].([]any); ok {
					for _, e := range elems {
						text, _ := json.Marshal(e)
						out[name] = append(out[name], string(text))
					}
					slices.Sort(out[name])
					continue
				}
				text, _ := json.Marshal(v)
				out[name] = append(out[name], string(text)) // rules stay in their order
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	delete(out, "metainfo <nil><nil>")
	return out
}

// TestChangingIsLikeMakingAnew goes from one VPC to another and another, and sees
// that the kernel then has what it has when the last is made from nothing, and
// when a new process adopts it.
func TestChangingIsLikeMakingAnew(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	changed, fresh := newOptions(t), newOptions(t)
	changed.PublicCIDR = netip.MustParsePrefix("240.1.1.0/24")
	fresh.PublicCIDR = netip.MustParsePrefix("240.1.2.0/24")
	open := func(o Options) *Network {
		n, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	set := func(n *Network, v *network.VPC) {
		t.Helper()
		c := &network.Config{}
		if v != nil {
			c.VPCs = append(c.VPCs, *v)
		}
		if err := n.Set(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		n.bg.Wait()
	}
	a, b := open(changed), open(fresh)
	defer func() {
		a.Purge(context.Background())
		b.Purge(context.Background())
	}()
	for range 25 {
		v := randomVPC(r, netip.MustParsePrefix("240.1.0.0/24"))
		set(a, &v)
		set(b, nil)
		set(b, &v)
		was, want := kernel(t, a), kernel(t, b)
		for what := range want {
			if !reflect.DeepEqual(was[what], want[what]) {
				t.Errorf("%s, changed:\n%s\nmade anew:\n%s", what, strings.Join(was[what], "\n"), strings.Join(want[what], "\n"))
			}
		}
		if len(was) != len(want) {
			t.Errorf("changed has %v, made anew %v", sortedKeys(was), sortedKeys(want))
		}
		if t.Failed() {
			return
		}
		if r.IntN(4) == 0 {
			a.Close()
			a = open(changed)
			set(a, &v)
			if adopted := kernel(t, a); !reflect.DeepEqual(adopted, want) {
				t.Fatalf("adopted:\n%v\nmade anew:\n%v", adopted, want)
			}
		}
	}
}
