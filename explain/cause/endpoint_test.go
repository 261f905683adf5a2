package cause

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"minato/dataplane/network"
)

func TestMissingEndpoints(t *testing.T) {
	for name, c := range map[string]struct {
		endpoint   Endpoint
		what, mend string
	}{
		"an interface": {
			Endpoint{Service: "com.amazonaws.us-east-1.logs", Subnet: "subnet-1", Group: "sg-1"},
			"route table rtb-1 has no route to 198.18.0.1, and the VPC has no endpoint for com.amazonaws.us-east-1.logs",
			"aws ec2 create-vpc-endpoint --vpc-id vpc-1 --vpc-endpoint-type Interface --service-name com.amazonaws.us-east-1.logs --subnet-ids subnet-1 --security-group-ids sg-1",
		},
		"a gateway": {
			Endpoint{Service: "com.amazonaws.us-east-1.s3", Gateway: true},
			"the VPC has no endpoint for com.amazonaws.us-east-1.s3",
			"aws ec2 create-vpc-endpoint --vpc-id vpc-1 --service-name com.amazonaws.us-east-1.s3 --route-table-ids rtb-1",
		},
		"a table that does not lead there": {
			Endpoint{Service: "com.amazonaws.us-east-1.s3", Gateway: true, ID: "vpce-1"},
			"it does not lead to the VPC endpoint vpce-1",
			"aws ec2 modify-vpc-endpoint --vpc-endpoint-id vpce-1 --add-route-table-ids rtb-1",
		},
		"no private names": {
			Endpoint{Service: "com.amazonaws.us-east-1.logs", ID: "vpce-1"},
			"its private DNS is off",
			"aws ec2 modify-vpc-endpoint --vpc-endpoint-id vpce-1 --private-dns-enabled",
		},
		"no others to be like": {
			Endpoint{Service: "com.amazonaws.us-east-1.logs"}, "no endpoint", "aws ec2 create-vpc-endpoint --vpc-id vpc-1 --vpc-endpoint-type Interface --service-name com.amazonaws.us-east-1.logs --subnet-ids SUBNET --security-group-ids GROUP",
		},
	} {
		got := OfDrop(Drop{Endpoint: &c.endpoint, Drop: network.Drop{VPC: "vpc-1", Reason: network.DropNoRoute, RouteTable: "rtb-1", Source: netip.MustParseAddr("10.0.1.9"), Destination: netip.MustParseAddr("198.18.0.1"), Protocol: network.TCP, Port: 443, Packets: 2}})
		if !strings.Contains(got.What, c.what) || !slices.Equal(got.Remedy, []string{c.mend}) || len(got.Evidence) != 1 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
