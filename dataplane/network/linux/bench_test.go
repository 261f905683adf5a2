package linux

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"minato/dataplane/network"
)

// crowd is a VPC with n interfaces, half of them in each of two groups.
func crowd(pool netip.Prefix, n int) network.VPC {
	v := task(pool).VPCs[0]
	v.Subnets = append(v.Subnets, network.Subnet{ID: "wide", CIDR: netip.MustParsePrefix("10.0.16.0/20"), RouteTable: "rtb"})
	v.Groups = append(v.Groups, network.Group{ID: "web", Ingress: []network.Rule{{Protocol: network.TCP, FromPort: 80, ToPort: 80, Group: "sg"}}, Egress: v.Groups[0].Egress})
	addr := netip.MustParseAddr("10.0.16.10")
	for i := range n {
		v.Interfaces = append(v.Interfaces, network.Interface{ID: fmt.Sprintf("eni-%d", i), Subnet: "wide", Addr: addr, Groups: []string{[]string{"sg", "web"}[i%2]}})
		addr = addr.Next()
	}
	return v
}

// BenchmarkInterface measures Set with one more interface, with so many present.
func BenchmarkInterface(b *testing.B) {
	for _, n := range []int{1, 100, 500} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			o := newOptions(b)
			net, err := Open(o)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { net.Purge(context.Background()) })
			v := crowd(o.PublicCIDR, n)
			if err := net.Set(b.Context(), &network.Config{VPCs: []network.VPC{v}}); err != nil {
				b.Fatal(err)
			}
			var took []time.Duration
			addr := netip.MustParseAddr("10.0.24.10")
			for i := 0; b.Loop(); i++ {
				v.Interfaces = append(slices.Clone(v.Interfaces), network.Interface{ID: fmt.Sprintf("new-%d", i), Subnet: "wide", Addr: addr, Groups: []string{"sg", "web"}})
				addr = addr.Next()
				start := time.Now()
				if err := net.Set(b.Context(), &network.Config{VPCs: []network.VPC{v}}); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95-ms")
		})
	}
}
