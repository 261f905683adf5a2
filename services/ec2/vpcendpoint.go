package ec2

import (
	"context"
	"net/netip"
	"slices"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/internal/ids"
	"minato/services/ec2/endpoint"
	"minato/services/ec2/listing"
	"minato/services/ec2/record"
	"minato/store"
)

// endpointTokenKey is where the endpoint made for a client token is noted.
func endpointTokenKey(p place, token string) string {
	return "ec2/vpc-endpoint-token/" + store.Key(p.account, p.region, token)
}

// CreateVpcEndpoint makes an endpoint; it is pending until the network has it.
func (s *Service) CreateVpcEndpoint(ctx context.Context, in *ec2api.CreateVpcEndpointInput) (*ec2api.CreateVpcEndpointOutput, error) {
	tags, err := tagsFor(in.TagSpecifications, "vpc-endpoint")
	if err != nil {
		return nil, err
	}
	p := at(ctx)
	of, err := endpoint.Check(p.region, in)
	if err != nil {
		return nil, err
	}
	policy, err := of.Policy(in.PolicyDocument)
	if err != nil {
		return nil, err
	}
	var r record.VPCEndpoint
	err = store.Update(ctx, s.Store, func(tx *store.Tx) error {
		if in.ClientToken != nil {
			id, found, err := store.Get[string](tx, endpointTokenKey(p, *in.ClientToken))
			if err != nil {
				return err
			}
			if found {
				if r, found, err = s.endpoints.TxGet(tx, p.account, p.region, id); err != nil || found {
					return err
				}
			}
		}
		v, err := get(tx, s.vpcs, p, *in.VpcId, noVPC)
		if err != nil {
			return err
		}
		id := ids.EC2("vpce")
		r = record.VPCEndpoint{Account: p.account, Region: p.region, Suffix: ids.Hex(8), VpcEndpoint: ec2api.VpcEndpoint{
			VpcEndpointId: &id, VpcId: v.VpcId, OwnerId: &p.account, ServiceName: in.ServiceName, ServiceRegion: &p.region, VpcEndpointType: aws.Ptr(of.Type()),
			State: aws.Ptr(record.EndpointPending), PolicyDocument: &policy, PrivateDnsEnabled: aws.Ptr(!of.Gateway && (in.PrivateDnsEnabled == nil || *in.PrivateDnsEnabled)),
			RequesterManaged: aws.Ptr(false), CreationTimestamp: s.now(), IpAddressType: aws.Ptr(ec2api.IpAddressTypeIpv4), Tags: tags,
			DnsOptions: &ec2api.DnsOptions{DnsRecordIpType: aws.Ptr(ec2api.DnsRecordIpTypeIpv4)},
		}}
		e := endpointChange{s: s, tx: tx, p: p, v: &v, of: of, r: &r}
		if err := e.mayBe(); err != nil {
			return err
		}
		groups := in.SecurityGroupIds
		if len(groups) == 0 && !of.Gateway {
			groups = []string{v.DefaultGroup}
		}
		if err := errFirst(e.setGroups(groups), e.addSubnets(in.SubnetIds, in.SubnetConfigurations), e.addTables(in.RouteTableIds)); err != nil {
			return err
		}
		if in.ClientToken != nil {
			if err := store.Set(tx, endpointTokenKey(p, *in.ClientToken), id); err != nil {
				return err
			}
		}
		// The VPC is written again, so that of two endpoints at once one sees the other.
		return errFirst(s.vpcs.TxPut(tx, v, p.account, p.region, *v.VpcId), e.put())
	})
	return &ec2api.CreateVpcEndpointOutput{VpcEndpoint: &r.VpcEndpoint, ClientToken: in.ClientToken}, err
}

// ModifyVpcEndpoint changes where an endpoint is and what it lets through.
func (s *Service) ModifyVpcEndpoint(ctx context.Context, in *ec2api.ModifyVpcEndpointInput) (*ec2api.ModifyVpcEndpointOutput, error) {
	p, id := at(ctx), aws.Val(in.VpcEndpointId)
	return &ec2api.ModifyVpcEndpointOutput{Return: aws.Ptr(true)}, store.Update(ctx, s.Store, func(tx *store.Tx) error {
		r, err := get(tx, s.endpoints, p, id, endpoint.Missing)
		if err != nil {
			return err
		}
		if !r.Usable() {
			return endpoint.Missing(id)
		}
		v, err := get(tx, s.vpcs, p, *r.VpcId, noVPC)
		if err != nil {
			return err
		}
		of, _ := endpoint.Find(p.region, *r.ServiceName) // it was found when it was made
		if err := endpoint.CheckChange(of, in); err != nil {
			return err
		}
		e := endpointChange{s: s, tx: tx, p: p, v: &v, of: of, r: &r}
		if in.PolicyDocument != nil || aws.Val(in.ResetPolicy) {
			policy, err := of.Policy(in.PolicyDocument)
			if err != nil {
				return err
			}
			r.PolicyDocument = &policy
		}
		if in.PrivateDnsEnabled != nil && *in.PrivateDnsEnabled != aws.Val(r.PrivateDnsEnabled) {
			r.PrivateDnsEnabled = in.PrivateDnsEnabled
			if err := e.mayBe(); err != nil {
				return err
			}
		}
		groups := e.groups(in.AddSecurityGroupIds, in.RemoveSecurityGroupIds)
		if err := errFirst(
			e.removeSubnets(in.RemoveSubnetIds), e.setGroups(groups), e.addSubnets(in.AddSubnetIds, in.SubnetConfigurations),
			e.removeTables(in.RemoveRouteTableIds), e.addTables(in.AddRouteTableIds),
		); err != nil {
			return err
		}
		return errFirst(s.vpcs.TxPut(tx, v, p.account, p.region, *v.VpcId), e.put())
	})
}

// endpointChange is an endpoint that is being made or changed.
type endpointChange struct {
	s  *Service
	tx *store.Tx
	p  place
	v  *record.VPC
	of endpoint.Service
	r  *record.VPCEndpoint
}

func (e *endpointChange) put() error {
	endpoint.Arrange(e.r, e.of)
	return e.s.endpoints.TxPut(e.tx, *e.r, e.p.account, e.p.region, *e.r.VpcEndpointId)
}

// mayBe tells whether there may be such an endpoint besides those that there are.
func (e *endpointChange) mayBe() error {
	private, vpc := aws.Val(e.r.PrivateDnsEnabled), *e.v.VpcId
	if private && (!e.v.DNSSupport || !e.v.DNSHostnames) {
		return endpoint.NeedsDNS(vpc)
	}
	all, err := e.s.endpoints.TxList(e.tx, e.p.account, e.p.region)
	if err != nil {
		return err
	}
	gateways, interfaces := 0, 0
	for _, o := range all {
		switch {
		case *o.VpcEndpointId == *e.r.VpcEndpointId || !o.Usable():
			continue
		case private && aws.Val(o.PrivateDnsEnabled) && *o.VpcId == vpc && *o.ServiceName == *e.r.ServiceName:
			return endpoint.NameTaken(e.of.PrivateName(e.p.region), vpc)
		case aws.Val(o.VpcEndpointType) == ec2api.VpcEndpointTypeGateway:
			gateways++
		case *o.VpcId == vpc:
			interfaces++
		}
	}
	if e.of.Gateway && gateways >= endpoint.MostGateways || !e.of.Gateway && interfaces >= endpoint.MostInterfaces {
		return endpoint.TooMany()
	}
	return nil
}

// groups are the endpoint's groups after a change.
func (e *endpointChange) groups(add, remove []string) []string {
	var out []string
	for _, g := range e.r.Groups {
		out = append(out, *g.GroupId)
	}
	out = slices.DeleteFunc(append(out, add...), func(id string) bool { return slices.Contains(remove, id) })
	if len(out) == 0 && !e.of.Gateway {
		out = []string{e.v.DefaultGroup}
	}
	return out
}

// setGroups gives the endpoint and all its interfaces the groups.
func (e *endpointChange) setGroups(groups []string) error {
	identifiers, err := e.s.groupsFor(e.tx, e.p, groups, *e.v.VpcId)
	if err != nil {
		return err
	}
	e.r.Groups = nil
	for _, g := range identifiers {
		e.r.Groups = append(e.r.Groups, ec2api.SecurityGroupIdentifier(g))
	}
	for _, i := range e.r.Interfaces {
		eni, err := get(e.tx, e.s.interfaces, e.p, i.ID, noInterface)
		if err != nil {
			return err
		}
		eni.Groups = identifiers
		if err := e.s.interfaces.TxPut(e.tx, eni, e.p.account, e.p.region, i.ID); err != nil {
			return err
		}
	}
	return nil
}

// addSubnets makes an interface in each of the subnets.
func (e *endpointChange) addSubnets(subnets []string, wanted []ec2api.SubnetConfiguration) error {
	want := map[string]string{}
	for _, c := range wanted {
		if c.Ipv6 != nil {
			return unsupported("Ipv6 of SubnetConfigurations")
		}
		want[aws.Val(c.SubnetId)] = aws.Val(c.Ipv4)
		if !slices.Contains(subnets, aws.Val(c.SubnetId)) {
			subnets = append(slices.Clone(subnets), aws.Val(c.SubnetId))
		}
	}
	for _, id := range subnets {
		sub, err := get(e.tx, e.s.subnets, e.p, id, noSubnet)
		switch {
		case err != nil:
			return err
		case *sub.VpcId != *e.v.VpcId:
			return aws.Errorf("InvalidParameterValue", "Subnet %s and VPC %s belong to different networks.", id, *e.v.VpcId)
		case slices.ContainsFunc(e.r.Interfaces, func(i record.EndpointInterface) bool { return i.Zone == *sub.AvailabilityZone }):
			return endpoint.SameZone(id)
		}
		var groups []string
		for _, g := range e.r.Groups {
			groups = append(groups, *g.GroupId)
		}
		eni, err := e.s.newInterface(e.tx, e.p, id, groups, want[id])
		if err != nil {
			return err
		}
		e.s.manage(&eni, "vpce.amazonaws.com")
		eni.InterfaceType, eni.Description = aws.Ptr(record.EndpointType), aws.Ptr("VPC Endpoint Interface "+*e.r.VpcEndpointId)
		addr, err := netip.ParseAddr(*eni.PrivateIpAddress)
		if err != nil {
			return err
		}
		e.r.Interfaces = append(e.r.Interfaces, record.EndpointInterface{ID: *eni.NetworkInterfaceId, Subnet: id, Zone: *sub.AvailabilityZone, Addr: addr})
		if err := e.s.interfaces.TxPut(e.tx, eni, e.p.account, e.p.region, *eni.NetworkInterfaceId); err != nil {
			return err
		}
	}
	return nil
}

// removeSubnets takes the interfaces in the subnets away.
func (e *endpointChange) removeSubnets(subnets []string) error {
	for _, id := range subnets {
		i := slices.IndexFunc(e.r.Interfaces, func(i record.EndpointInterface) bool { return i.Subnet == id })
		if i < 0 {
			return aws.Errorf("InvalidParameter", "The subnet %s is not associated with the VPC endpoint %s.", id, *e.r.VpcEndpointId)
		}
		if err := e.s.dropEndpointInterface(e.tx, e.p, e.r.Interfaces[i].ID); err != nil {
			return err
		}
		e.r.Interfaces = slices.Delete(e.r.Interfaces, i, i+1)
	}
	return nil
}

func (s *Service) dropEndpointInterface(tx *store.Tx, p place, id string) error {
	eni, found, err := s.interfaces.TxGet(tx, p.account, p.region, id)
	if err != nil || !found {
		return err
	}
	return s.dropInterface(tx, p, &eni)
}

// addTables leads the route tables to the endpoint. A table may have one way to a
// service.
func (e *endpointChange) addTables(tables []string) error {
	all, err := e.s.endpoints.TxList(e.tx, e.p.account, e.p.region)
	if err != nil {
		return err
	}
	for _, id := range tables {
		t, err := get(e.tx, e.s.tables, e.p, id, noRouteTable)
		switch {
		case err != nil:
			return err
		case *t.VpcId != *e.v.VpcId:
			return aws.Errorf("InvalidParameter", "Route table %s and VPC %s belong to different networks.", id, *e.v.VpcId)
		case slices.Contains(e.r.RouteTableIds, id):
			continue
		}
		for _, o := range all {
			if o.Usable() && *o.ServiceName == *e.r.ServiceName && slices.Contains(o.RouteTableIds, id) && *o.VpcEndpointId != *e.r.VpcEndpointId {
				return endpoint.RouteExists(id, e.of.PrefixList(e.p.region))
			}
		}
		e.r.RouteTableIds = append(e.r.RouteTableIds, id)
	}
	return nil
}

func (e *endpointChange) removeTables(tables []string) error {
	for _, id := range tables {
		i := slices.Index(e.r.RouteTableIds, id)
		if i < 0 {
			return aws.Errorf("InvalidRouteTableId.NotFound", "The route table %s is not associated with the VPC endpoint %s.", id, *e.r.VpcEndpointId)
		}
		e.r.RouteTableIds = slices.Delete(e.r.RouteTableIds, i, i+1)
	}
	return nil
}

// leaveTable takes a route table that goes from the endpoints that it led to.
func (s *Service) leaveTable(tx *store.Tx, p place, table string) error {
	all, err := s.endpoints.TxList(tx, p.account, p.region)
	if err != nil {
		return err
	}
	for _, r := range all {
		if i := slices.Index(r.RouteTableIds, table); i >= 0 {
			r.RouteTableIds = slices.Delete(slices.Clone(r.RouteTableIds), i, i+1)
			if err := s.endpoints.TxPut(tx, r, p.account, p.region, *r.VpcEndpointId); err != nil {
				return err
			}
		}
	}
	return nil
}

// DeleteVpcEndpoints lets endpoints go; the network reconciler gives their
// interfaces back when no packet takes that way any more. Those that are not
// there are named in the answer.
func (s *Service) DeleteVpcEndpoints(ctx context.Context, in *ec2api.DeleteVpcEndpointsInput) (*ec2api.DeleteVpcEndpointsOutput, error) {
	if len(in.VpcEndpointIds) == 0 {
		return nil, aws.Errorf("MissingParameter", "The request must contain the parameter VpcEndpointId")
	}
	out := &ec2api.DeleteVpcEndpointsOutput{}
	for _, id := range in.VpcEndpointIds {
		err := update(ctx, s, s.endpoints, id, endpoint.Missing, func(r *record.VPCEndpoint) error {
			r.State = aws.Ptr(record.EndpointDeleting)
			return nil
		})
		switch {
		case aws.IsCode(err, "InvalidVpcEndpointId.NotFound"):
			out.Unsuccessful = append(out.Unsuccessful, endpoint.NotDeleted(id))
		case err != nil:
			return nil, err
		}
	}
	return out, nil
}

// observeEndpoint writes what the network made of an endpoint: Set returned, so
// one that was wanted is there and one that was not is gone.
func (s *Service) observeEndpoint(ctx context.Context, r *record.VPCEndpoint) error {
	p, id := place{r.Account, r.Region}, *r.VpcEndpointId
	switch aws.Val(r.State) {
	case record.EndpointPending:
		_, err := s.endpoints.Update(ctx, func(r *record.VPCEndpoint) error {
			if aws.Val(r.State) == record.EndpointPending {
				r.State = aws.Ptr(record.EndpointAvailable)
			}
			return nil
		}, p.account, p.region, id)
		return err
	case record.EndpointDeleting:
		return store.Update(ctx, s.Store, func(tx *store.Tx) error {
			r, found, err := s.endpoints.TxGet(tx, p.account, p.region, id)
			if err != nil || !found {
				return err
			}
			for _, i := range r.Interfaces {
				if err := s.dropEndpointInterface(tx, p, i.ID); err != nil {
					return err
				}
			}
			s.endpoints.TxDelete(tx, p.account, p.region, id)
			return nil
		})
	}
	return nil
}

// DescribeVpcEndpoints lists endpoints.
func (s *Service) DescribeVpcEndpoints(ctx context.Context, in *ec2api.DescribeVpcEndpointsInput) (*ec2api.DescribeVpcEndpointsOutput, error) {
	all, err := list(ctx, s.endpoints)
	if err != nil {
		return nil, err
	}
	all, err = listing.Choose(all, in.VpcEndpointIds, in.Filters, func(r *record.VPCEndpoint) string { return aws.Val(r.VpcEndpointId) }, func(r *record.VPCEndpoint) []ec2api.Tag { return r.Tags }, (*record.VPCEndpoint).Attribute, endpoint.Missing)
	if err != nil {
		return nil, err
	}
	all, next, err := listing.Page(all, in.MaxResults, in.NextToken)
	out := &ec2api.DescribeVpcEndpointsOutput{NextToken: next}
	for _, r := range all {
		out.VpcEndpoints = append(out.VpcEndpoints, r.VpcEndpoint)
	}
	return out, err
}
