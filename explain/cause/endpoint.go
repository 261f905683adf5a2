package cause

import "fmt"

// Endpoint is a VPC endpoint that is not on the way to its service.
type Endpoint struct {
	Service string // com.amazonaws.<region>.logs
	Gateway bool   // a route leads to it, not a name
	ID      string // of the one that the VPC has for the service, "" for none
	Subnet  string // that it is missing in
	Group   string // of the VPC's other endpoints
}

// missing says what is not there, and makes it.
func (e *Endpoint) missing(d Drop, c Cause) Cause {
	group, subnet := orWord(e.Group, "GROUP"), orWord(e.Subnet, "SUBNET")
	none := fmt.Sprintf("route table %s has no route to %s, and the VPC has no endpoint for %s", d.RouteTable, d.Destination, e.Service)
	switch {
	case e.ID == "" && e.Gateway:
		c.What = none
		return c.mend("aws ec2 create-vpc-endpoint --vpc-id %s --service-name %s --route-table-ids %s", d.VPC, e.Service, d.RouteTable)
	case e.ID == "":
		c.What = none
		return c.mend("aws ec2 create-vpc-endpoint --vpc-id %s --vpc-endpoint-type Interface --service-name %s --subnet-ids %s --security-group-ids %s", d.VPC, e.Service, subnet, group)
	case e.Gateway:
		c.What = fmt.Sprintf("route table %s has no route to %s: it does not lead to the VPC endpoint %s for %s", d.RouteTable, d.Destination, e.ID, e.Service)
		return c.mend("aws ec2 modify-vpc-endpoint --vpc-endpoint-id %s --add-route-table-ids %s", e.ID, d.RouteTable)
	}
	c.What = fmt.Sprintf("the VPC endpoint %s for %s was not there, or its private DNS is off, and route table %s has no route to %s", e.ID, e.Service, d.RouteTable, d.Destination)
	return c.mend("aws ec2 modify-vpc-endpoint --vpc-endpoint-id %s --private-dns-enabled", e.ID)
}

func orWord(s, word string) string {
	if s == "" {
		return word
	}
	return s
}
