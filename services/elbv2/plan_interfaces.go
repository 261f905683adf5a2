package elbv2

import (
	"net/netip"
	"slices"
	"strings"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	elbapi "minato/aws/api/elbv2"
)

// describePrefix begins the descriptions of load balancers' interfaces, as AWS's do.
const describePrefix = "ELB "

// description is that of the interfaces of a load balancer: "ELB app/NAME/ID".
func (b *balancer) description() string {
	_, id, _ := strings.Cut(aws.Val(b.LoadBalancerArn), ":loadbalancer/")
	return describePrefix + id
}

// interfacePlan is what is to be done about the interfaces of a place.
type interfacePlan struct {
	create []newInterface
	modify []interfaceChange
	remove []string // ids
}

func (p *interfacePlan) empty() bool { return len(p.create)+len(p.modify)+len(p.remove) == 0 }

// newInterface is an interface to be made.
type newInterface struct {
	description, subnet string
	groups              []string
}

// interfaceChange is an interface that is not as it should be.
type interfaceChange struct {
	id     string
	groups []string // nil: they are right
	public bool     // give it a public address
}

// planInterfaces compares load balancers with the interfaces there are: each
// has one in each of its subnets, with its security groups, and with a public
// address if it faces the internet. Interfaces of ours that nobody should have,
// also those left by a crash, go.
func planInterfaces(balancers []balancer, there []ec2api.NetworkInterface) interfacePlan {
	var p interfacePlan
	type place struct{ description, subnet string }
	have := map[place]*ec2api.NetworkInterface{}
	for i := range there {
		n := &there[i]
		at := place{aws.Val(n.Description), aws.Val(n.SubnetId)}
		if have[at] == nil {
			have[at] = n
		} else {
			p.remove = append(p.remove, aws.Val(n.NetworkInterfaceId))
		}
	}
	for i := range balancers {
		b := &balancers[i]
		faces := aws.Val(b.Scheme) == elbapi.LoadBalancerSchemeEnumInternetFacing
		for _, z := range b.AvailabilityZones {
			at := place{b.description(), aws.Val(z.SubnetId)}
			n := have[at]
			delete(have, at)
			if n == nil {
				p.create = append(p.create, newInterface{at.description, at.subnet, b.SecurityGroups})
				continue
			}
			c := interfaceChange{id: aws.Val(n.NetworkInterfaceId), public: faces && n.Association == nil}
			if !sameGroups(n.Groups, b.SecurityGroups) {
				c.groups = b.SecurityGroups
			}
			if c.public || c.groups != nil {
				p.modify = append(p.modify, c)
			}
		}
	}
	for _, n := range have {
		p.remove = append(p.remove, aws.Val(n.NetworkInterfaceId))
	}
	slices.Sort(p.remove)
	return p
}

func sameGroups(have []ec2api.GroupIdentifier, want []string) bool {
	var ids []string
	for _, g := range have {
		ids = append(ids, aws.Val(g.GroupId))
	}
	slices.Sort(ids)
	return slices.Equal(ids, slices.Sorted(slices.Values(want)))
}

// observeNodes makes of the interfaces there are what is recorded of a load
// balancer; complete tells whether it has all it needs.
func observeNodes(b *balancer, there []ec2api.NetworkInterface) (n nodes, complete bool) {
	n.ARN = aws.Val(b.LoadBalancerArn)
	complete = true
	for _, z := range b.AvailabilityZones {
		i := slices.IndexFunc(there, func(e ec2api.NetworkInterface) bool {
			return aws.Val(e.Description) == b.description() && aws.Val(e.SubnetId) == aws.Val(z.SubnetId)
		})
		if i < 0 {
			complete = false
			continue
		}
		e := &there[i]
		private, err := netip.ParseAddr(aws.Val(e.PrivateIpAddress))
		if err != nil {
			complete = false
			continue
		}
		node := node{Subnet: aws.Val(e.SubnetId), ENI: aws.Val(e.NetworkInterfaceId), Private: private}
		if e.Association != nil {
			node.Public, _ = netip.ParseAddr(aws.Val(e.Association.PublicIp)) // zero: has none
		}
		if aws.Val(b.Scheme) == elbapi.LoadBalancerSchemeEnumInternetFacing && !node.Public.IsValid() {
			complete = false
		}
		n.Nodes = append(n.Nodes, node)
	}
	return n, complete
}
