package networktest

import (
	"net/netip"
	"testing"

	"minato/dataplane/network"
)

// testEndpoints: an endpoint is reached by those whose route table leads to it,
// without any other way out; it sees who calls, and the groups hold.
func testEndpoints(t *testing.T, w *world) {
	defer w.reset(t)
	n, at := w.n, network.ObjectsAddress(w.pool)
	to := netip.AddrPortFrom(at, 443).String()
	v := clone(w.a)
	v.Endpoints = []network.Endpoint{{ID: "a-endpoint", Addr: at}, {ID: "a-unused", Addr: at}}
	lead := network.Route{Destination: netip.PrefixFrom(at, 32), Kind: network.ToEndpoint, Target: "a-endpoint"}
	v.RouteTables[1].Routes = []network.Route{lead}
	v.RouteTables[0].Routes = nil
	w.set(t, v, w.b)
	for _, id := range []string{"a-endpoint", "a-unused"} {
		l, err := n.ListenEndpoint(t.Context(), id, 443)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go greet(l, id)
	}
	if l, err := n.ListenEndpoint(t.Context(), "a-none", 443); err == nil {
		l.Close()
		t.Error("listening at an endpoint that is not there")
	}
	expect(t, "by its route", call(n, "a-web1", to), "a-endpoint saw 10.0.2.11")
	expectSilence(t, "by a table that does not lead there", call(n, "a-pub", to))
	expectSilence(t, "elsewhere by that way", call(n, "a-web1", public(w.pool, 11).String()+":80"))

	v = clone(v)
	v.Groups[1].Egress = []network.Rule{{Protocol: network.TCP, FromPort: 443, ToPort: 443, CIDR: prefix("10.0.0.0/8")}}
	w.set(t, v, w.b)
	expectSilence(t, "against the group", call(n, "a-web1", to))
	v = clone(v)
	v.Groups[1].Egress = []network.Rule{{Protocol: network.TCP, FromPort: 443, ToPort: 443, CIDR: netip.PrefixFrom(at, 32)}}
	w.set(t, v, w.b)
	expect(t, "as the group says", call(n, "a-web1", to), "a-endpoint saw 10.0.2.11")

	v = clone(v)
	v.Endpoints = v.Endpoints[1:]
	w.set(t, v, w.b)
	expectSilence(t, "when it is gone", call(n, "a-web1", to))
}
