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

// TestEndpointPolicies: it is the endpoint's policy that has to change, not the
// role's.
func TestEndpointPolicies(t *testing.T) {
	for text, want := range map[string][2]string{
		"CannotPullContainerError: ref pull has been retried 1 time(s): failed to copy: httpReadSeeker: failed open: unexpected status code https://prod-us-east-1-starport-layer-bucket.s3.us-east-1.amazonaws.com/: 403 Forbidden": {
			"the policy of the VPC endpoint for S3 lets nobody read the bucket prod-us-east-1-starport-layer-bucket", "arn:aws:s3:::prod-us-east-1-starport-layer-bucket/*",
		},
		"AccessDeniedException: User: arn:aws:sts::000000000000:assumed-role/execution/t1 is not authorized to perform: logs:CreateLogStream on resource: x because no VPC endpoint policy allows the logs:CreateLogStream action": {
			"the policy of the VPC endpoint that the call came through does not allow it", "logs:CreateLogStream",
		},
		"AccessDeniedException: User: arn:aws:sts::000000000000:assumed-role/execution/t1 is not authorized to perform: logs:CreateLogStream on resource: x with an explicit deny in a VPC endpoint policy": {
			"a statement of a VPC endpoint policy denies it", "logs:CreateLogStream",
		},
	} {
		f := OfTask(Task{ID: "t1", Status: "STOPPED", Reason: text, Code: "TaskFailedToStart", Containers: []Container{{Name: "web", Image: "i"}}})
		if len(f.Causes) != 1 || !strings.Contains(f.Causes[0].What, want[0]) || len(f.Causes[0].Remedy) != 1 || !strings.Contains(f.Causes[0].Remedy[0], want[1]) {
			t.Errorf("%s: %+v", text, f.Causes)
		}
	}
}
