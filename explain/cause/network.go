package cause

import (
	"fmt"
	"strings"

	"minato/dataplane/network"
)

// Drop is packets that the network dropped, with what is known of where they went.
type Drop struct {
	network.Drop
	Receiver string // what has the destination's address: "a database"
	NAT      string // a NAT gateway of the VPC that works
	// Endpoint is the VPC endpoint that the packets miss: of a VPC that has others,
	// where no route leads on.
	Endpoint *Endpoint
	// Sender is who has the source's address, if that is in no security group,
	// and SenderCIDR the subnet it is in.
	Sender, SenderCIDR string
}

func (d Drop) about() string {
	to := d.Destination.String()
	if d.Receiver != "" {
		to += " (" + d.Receiver + ")"
	}
	count := "1 packet was"
	if d.Packets != 1 {
		count = fmt.Sprintf("%d packets were", d.Packets)
	}
	return fmt.Sprintf("%s dropped from %s to %s %s, the last at %s", count, d.Source, to, port(d.Protocol, d.Port), d.Last.Local().Format("15:04:05"))
}

func port(p network.Protocol, n uint16) string {
	switch p {
	case network.TCP:
		return fmt.Sprintf("tcp port %d", n)
	case network.UDP:
		return fmt.Sprintf("udp port %d", n)
	case network.ICMP:
		return "icmp"
	}
	return fmt.Sprintf("protocol %d", p)
}

// permission is the protocol and port of a rule, as the aws CLI takes them.
func permission(d Drop) string {
	switch d.Protocol {
	case network.TCP:
		return fmt.Sprintf("--protocol tcp --port %d", d.Port)
	case network.UDP:
		return fmt.Sprintf("--protocol udp --port %d", d.Port)
	case network.ICMP:
		return "--protocol icmp --port -1"
	}
	return fmt.Sprintf("--protocol %d", d.Protocol)
}

// OfDrop names the rule or route that is missing.
func OfDrop(d Drop) Cause {
	c := Cause{Evidence: []string{d.about()}}
	groups := strings.Join(d.Groups, ", ")
	switch d.Reason {
	case network.DropIngress:
		from := "--cidr " + d.Source.String() + "/32"
		c.What = fmt.Sprintf("security group %s lets nothing in from %s to %s", groups, d.Source, port(d.Protocol, d.Port))
		if d.SenderCIDR != "" {
			from = "--cidr " + d.SenderCIDR
			c.What = fmt.Sprintf("security group %s has no rule that lets %s in from %s, the subnet of %s, which has no security group", groups, port(d.Protocol, d.Port), d.SenderCIDR, d.Sender)
		}
		if len(d.SourceGroups) > 0 {
			from = "--source-group " + d.SourceGroups[0]
			source := strings.Join(d.SourceGroups, ", ")
			c.What = fmt.Sprintf("security group %s has no rule that lets %s in from security group %s", groups, port(d.Protocol, d.Port), source)
			c.Evidence = append(c.Evidence, fmt.Sprintf("%s belongs to security group %s", d.Source, source))
		}
		if len(d.Groups) > 0 {
			c = c.mend("aws ec2 authorize-security-group-ingress --group-id %s %s %s", d.Groups[0], permission(d), from)
		}
	case network.DropEgress:
		c.What = fmt.Sprintf("security group %s lets nothing out to %s %s", groups, d.Destination, port(d.Protocol, d.Port))
		if len(d.Groups) > 0 {
			c = c.mend("aws ec2 authorize-security-group-egress --group-id %s %s --cidr %s/32", d.Groups[0], permission(d), d.Destination)
		}
	case network.DropNoRoute:
		if d.Endpoint != nil {
			return d.Endpoint.missing(d, c)
		}
		c.What = fmt.Sprintf("route table %s has no route to %s", d.RouteTable, d.Destination)
		c = c.mend("%s", createRoute(d.RouteTable, d.NAT))
	case network.DropNoPublic:
		c.What = fmt.Sprintf("%s has no public address, and route table %s of its subnet leads to the internet gateway, which needs one", d.Source, d.RouteTable)
		c = c.mend("give the tasks a public address (assignPublicIp=ENABLED), or use subnets whose route 0.0.0.0/0 leads to a NAT gateway")
	case network.DropACL:
		c.What = fmt.Sprintf("network ACL %s denies %s from %s to %s", d.ACL, port(d.Protocol, d.Port), d.Source, d.Destination)
		c = c.mend("aws ec2 describe-network-acls --network-acl-ids %s # then create-network-acl-entry with a lower rule number", d.ACL)
	case network.DropNobody:
		c.What = fmt.Sprintf("nobody has the address %s, which %s wants to reach on %s", d.Destination, d.Source, port(d.Protocol, d.Port))
	default:
		c.What = fmt.Sprintf("the network dropped the packets (%s)", d.Reason)
	}
	return c
}

// Way is where the packets of a subnet go that leave the VPC.
type Way struct {
	Subnet, Table string // "" when the subnet is gone
	Target        string // of the route 0.0.0.0/0: a gateway's id; "" when there is no such route
	Blackhole     bool   // the target is gone
	NAT           string // a NAT gateway of the VPC that works
}

// OfWay says whether a subnet has no way out: nil when it has, or nothing is known.
func OfWay(w Way, public bool) *Cause {
	uses := []string{fmt.Sprintf("subnet %s uses route table %s", w.Subnet, w.Table)}
	var c Cause
	switch {
	case w.Table == "":
		return nil
	case w.Target == "":
		c = because(uses, "route table %s of subnet %s has no route out of the VPC, so nothing in it reaches ECR or CloudWatch Logs", w.Table, w.Subnet).mend("%s", createRoute(w.Table, w.NAT))
		c.Evidence = []string{uses[0] + ", which has no route for 0.0.0.0/0"}
	case w.Blackhole:
		c = because(uses, "the route 0.0.0.0/0 of route table %s leads nowhere: %s is gone", w.Table, w.Target)
		c.Evidence = []string{uses[0] + ", whose route 0.0.0.0/0 is in the state blackhole"}
		if w.NAT != "" {
			c = c.mend("aws ec2 replace-route --route-table-id %s --destination-cidr-block 0.0.0.0/0 --nat-gateway-id %s", w.Table, w.NAT)
		} else {
			c = c.mend("aws ec2 replace-route --route-table-id %s --destination-cidr-block 0.0.0.0/0 --nat-gateway-id NAT-GATEWAY # create one in a public subnet first", w.Table)
		}
	case strings.HasPrefix(w.Target, "igw-") && !public:
		c = because(uses, "the task has no public address, and route table %s of its subnet leads to the internet gateway %s, which needs one", w.Table, w.Target).
			mend("give the tasks a public address (assignPublicIp=ENABLED), or use subnets whose route 0.0.0.0/0 leads to a NAT gateway")
	default:
		return nil
	}
	return &c
}

// createRoute is the command that gives a route table a way out, through what
// the VPC has.
func createRoute(table, nat string) string {
	command := "aws ec2 create-route --route-table-id " + table + " --destination-cidr-block 0.0.0.0/0 --nat-gateway-id "
	if nat != "" {
		return command + nat
	}
	return command + "NAT-GATEWAY # create one in a public subnet first"
}
