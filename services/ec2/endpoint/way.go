package endpoint

import (
	"net/netip"
	"slices"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/services/ec2/record"
)

// Way is an endpoint as those need to know it who lead packets and names there.
type Way struct {
	ID, VPC, Policy string
	Of              Service
	Addrs           []netip.Addr // of an interface endpoint
	Tables          []string     // of a gateway endpoint: the route tables that lead there
	Names           []Name
	Private         *Name // what its VPC is told of the service's own name
}

// Ways are the endpoints that packets go through.
func Ways(all []record.VPCEndpoint) []Way {
	var out []Way
	for _, r := range all {
		of, ok := Find(r.Region, aws.Val(r.ServiceName))
		if !ok || !r.Usable() {
			continue
		}
		w := Way{ID: *r.VpcEndpointId, VPC: *r.VpcId, Policy: *r.PolicyDocument, Of: of, Tables: r.RouteTableIds, Addrs: addrs(&r)}
		w.Names, w.Private = Names(&r, of)
		out = append(out, w)
	}
	return out
}

// Routes adds to a route table the routes that the gateway endpoints of a region
// are.
func Routes(t *record.RouteTable, region string, ways []Way) {
	t.Routes = slices.Clip(t.Routes)
	for _, w := range ways {
		if slices.Contains(w.Tables, *t.RouteTableId) {
			t.Routes = append(t.Routes, ec2api.Route{
				DestinationPrefixListId: ptr(w.Of.PrefixList(region)), GatewayId: &w.ID, Origin: ptr(ec2api.RouteOriginCreateRoute), State: ptr(ec2api.RouteStateActive),
			})
		}
	}
}
