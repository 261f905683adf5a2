package endpoint

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/services/ec2/record"
)

// TestServices: they are in order, each is found by its name and by no other, and
// has one type of endpoint.
func TestServices(t *testing.T) {
	all := Services()
	if !slices.IsSortedFunc(all, func(a, b Service) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("the services are not in the order of their names")
	}
	for _, s := range all {
		if found, ok := Find("eu-west-1", "com.amazonaws.eu-west-1."+s.Name); !ok || found != s {
			t.Errorf("%s is found as %+v", s.Name, found)
		}
		if _, ok := Find("eu-west-1", s.In("us-east-1")); ok {
			t.Errorf("%s is found in another region", s.Name)
		}
		d := s.Detail("eu-west-1", nil)
		if s.Gateway != (d.PrivateDnsName == nil) || *d.ServiceType[0].ServiceType != s.Type() {
			t.Errorf("%s: %+v", s.Name, d)
		}
		if _, err := s.Policy(nil); err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
		if _, err := s.Policy(aws.Ptr(s.Open())); err != nil {
			t.Errorf("%s's open policy: %v", s.Name, err)
		}
	}
}

func TestNamesOfServices(t *testing.T) {
	for name, want := range map[string][2]string{
		"logs":    {"logs.us-east-1.amazonaws.com", "logs.us-east-1.vpce.amazonaws.com"},
		"ecr.api": {"api.ecr.us-east-1.amazonaws.com", "api.ecr.us-east-1.vpce.amazonaws.com"},
		"ecr.dkr": {"*.dkr.ecr.us-east-1.amazonaws.com", "dkr.ecr.us-east-1.vpce.amazonaws.com"},
		"s3":      {"s3.us-east-1.amazonaws.com", "s3.us-east-1.amazonaws.com"},
	} {
		s, _ := Find("us-east-1", "com.amazonaws.us-east-1."+name)
		if got := [2]string{s.PrivateName("us-east-1"), s.Base("us-east-1")}; got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func TestPrefixLists(t *testing.T) {
	s, _ := Find("us-east-1", "com.amazonaws.us-east-1.s3")
	seen := map[string]bool{}
	for _, region := range []string{"us-east-1", "eu-west-1", "sa-east-1", "xx-test-1"} {
		id := s.PrefixList(region)
		if len(id) != len("pl-63a5400a") || seen[id] || id != s.PrefixList(region) {
			t.Errorf("%s: %s", region, id)
		}
		seen[id] = true
	}
	list := PrefixLists("us-east-1", netip.MustParseAddr("198.18.0.3"))
	if len(list) != 1 || *list[0].PrefixListId != "pl-63a5400a" || !slices.Equal(list[0].Cidrs, []string{"198.18.0.3/32"}) {
		t.Errorf("%+v", list)
	}
}

// TestNames: an endpoint has a name for all its interfaces and one for each zone,
// and every address is under both.
func TestNames(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, _ := Find("us-east-1", "com.amazonaws.us-east-1.sts")
		private := rapid.Bool().Draw(t, "private")
		r := record.VPCEndpoint{Region: "us-east-1", Suffix: "abcd1234", VpcEndpoint: ec2api.VpcEndpoint{
			VpcEndpointId: aws.Ptr("vpce-01"), VpcId: aws.Ptr("vpc-1"), ServiceName: aws.Ptr(s.In("us-east-1")), State: aws.Ptr(record.EndpointAvailable), PolicyDocument: aws.Ptr(s.Open()), PrivateDnsEnabled: &private,
		}}
		zones := rapid.SliceOfDistinct(rapid.SampledFrom([]string{"us-east-1a", "us-east-1b", "us-east-1c"}), func(z string) string { return z }).Draw(t, "zones")
		for i, z := range zones {
			r.Interfaces = append(r.Interfaces, record.EndpointInterface{ID: "eni-" + z, Subnet: "subnet-" + z, Zone: z, Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})})
		}
		Arrange(&r, s)
		w := Ways([]record.VPCEndpoint{r})[0]
		if len(zones) == 0 {
			if len(w.Names) != 0 || w.Private != nil {
				t.Fatalf("names of nothing: %+v", w)
			}
			return
		}
		want := 1 + len(zones)
		if len(w.Names) != want || len(w.Names[0].Addrs) != len(zones) || len(r.NetworkInterfaceIds) != len(zones) || (w.Private != nil) != private {
			t.Fatalf("%+v", w)
		}
		if private {
			want++
		}
		if len(r.DnsEntries) != want {
			t.Fatalf("%d names are shown, want %d", len(r.DnsEntries), want)
		}
		for i, n := range w.Names[1:] {
			if !slices.Contains(w.Names[0].Addrs, n.Addrs[0]) || !strings.Contains(n.Name, r.Interfaces[i].Zone) {
				t.Fatalf("%+v", n)
			}
		}
	})
}

func TestRoutes(t *testing.T) {
	s, _ := Find("us-east-1", "com.amazonaws.us-east-1.s3")
	table := record.RouteTable{RouteTable: ec2api.RouteTable{RouteTableId: aws.Ptr("rtb-1")}}
	Routes(&table, "us-east-1", []Way{{ID: "vpce-1", Of: s, Tables: []string{"rtb-1", "rtb-2"}}, {ID: "vpce-2", Of: s, Tables: []string{"rtb-2"}}})
	if len(table.Routes) != 1 || *table.Routes[0].GatewayId != "vpce-1" {
		t.Errorf("%+v", table.Routes)
	}
}
