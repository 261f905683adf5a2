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

func (s *Service) newRouteTable(p place, vpc string, local netip.Prefix) record.RouteTable {
	id := ids.EC2("rtb")
	return record.RouteTable{RouteTable: ec2api.RouteTable{
		RouteTableId: &id, VpcId: &vpc, OwnerId: &p.account,
		Routes: []ec2api.Route{{DestinationCidrBlock: aws.Ptr(local.String()), GatewayId: aws.Ptr("local"), Origin: aws.Ptr("CreateRouteTable"), State: aws.Ptr("active")}},
	}}
}

// association ties a table to a subnet, or makes it the VPC's main one.
func association(table, subnet string, main bool) ec2api.RouteTableAssociation {
	a := ec2api.RouteTableAssociation{
		RouteTableAssociationId: aws.Ptr(ids.EC2("rtbassoc")), RouteTableId: &table, Main: &main,
		AssociationState: &ec2api.RouteTableAssociationState{State: aws.Ptr("associated")},
	}
	if subnet != "" {
		a.SubnetId = &subnet
	}
	return a
}

// CreateRouteTable makes a table with the local route.
func (s *Service) CreateRouteTable(ctx context.Context, in *ec2api.CreateRouteTableInput) (*ec2api.CreateRouteTableOutput, error) {
	tags, err := tagsFor(in.TagSpecifications, "route-table")
	if err != nil {
		return nil, err
	}
	p := at(ctx)
	var r record.RouteTable
	err = store.Update(ctx, s.Store, func(tx *store.Tx) error {
		v, err := get(tx, s.vpcs, p, aws.Val(in.VpcId), noVPC)
		if err != nil {
			return err
		}
		local, _ := netip.ParsePrefix(*v.CidrBlock) // checked when it was made
		r = s.newRouteTable(p, *v.VpcId, local)
		r.Tags = tags
		return s.tables.TxPut(tx, r, p.account, p.region, *r.RouteTableId)
	})
	return &ec2api.CreateRouteTableOutput{RouteTable: &r.RouteTable}, err
}

// DeleteRouteTable removes a table that no subnet uses.
func (s *Service) DeleteRouteTable(ctx context.Context, in *ec2api.DeleteRouteTableInput) (*ec2api.DeleteRouteTableOutput, error) {
	p, id := at(ctx), aws.Val(in.RouteTableId)
	return &ec2api.DeleteRouteTableOutput{}, store.Update(ctx, s.Store, func(tx *store.Tx) error {
		r, err := get(tx, s.tables, p, id, noRouteTable)
		if err != nil {
			return err
		}
		if len(r.Associations) > 0 {
			return dependency("routeTable", id)
		}
		s.tables.TxDelete(tx, p.account, p.region, id)
		return s.leaveTable(tx, p, id)
	})
}

// DescribeRouteTables lists tables; a route whose target is gone is a blackhole.
func (s *Service) DescribeRouteTables(ctx context.Context, in *ec2api.DescribeRouteTablesInput) (*ec2api.DescribeRouteTablesOutput, error) {
	all, err := list(ctx, s.tables)
	if err != nil {
		return nil, err
	}
	endpoints, err := list(ctx, s.endpoints)
	if err != nil {
		return nil, err
	}
	p, ways := at(ctx), endpoint.Ways(endpoints)
	for i := range all {
		endpoint.Routes(&all[i], p.region, ways)
		for j := range all[i].Routes {
			if err := s.routeState(ctx, p, &all[i].Routes[j], *all[i].VpcId); err != nil {
				return nil, err
			}
		}
	}
	all, err = listing.Choose(all, in.RouteTableIds, in.Filters, func(r *record.RouteTable) string { return aws.Val(r.RouteTableId) }, func(r *record.RouteTable) []ec2api.Tag { return r.Tags }, (*record.RouteTable).Attribute, noRouteTable)
	if err != nil {
		return nil, err
	}
	all, next, err := listing.Page(all, in.MaxResults, in.NextToken)
	out := &ec2api.DescribeRouteTablesOutput{NextToken: next}
	for _, r := range all {
		out.RouteTables = append(out.RouteTables, r.RouteTable)
	}
	return out, err
}

// routeState sets a route active or blackhole by what its target is now.
func (s *Service) routeState(ctx context.Context, p place, r *ec2api.Route, vpc string) error {
	alive, err := true, error(nil)
	switch {
	case isID(aws.Val(r.GatewayId), "igw"):
		var g record.InternetGateway
		g, alive, err = s.gateways.Get(ctx, p.account, p.region, *r.GatewayId)
		alive = alive && g.VPC() == vpc
	case r.NatGatewayId != nil:
		var n record.NATGateway
		n, alive, err = s.nats.Get(ctx, p.account, p.region, *r.NatGatewayId)
		alive = alive && n.Usable()
	case r.NetworkInterfaceId != nil:
		_, alive, err = s.interfaces.Get(ctx, p.account, p.region, *r.NetworkInterfaceId)
	}
	r.State = aws.Ptr(ec2api.RouteStateActive)
	if !alive {
		r.State = aws.Ptr(ec2api.RouteStateBlackhole)
	}
	return err
}

// AssociateRouteTable gives a subnet a table of its own.
func (s *Service) AssociateRouteTable(ctx context.Context, in *ec2api.AssociateRouteTableInput) (*ec2api.AssociateRouteTableOutput, error) {
	if in.GatewayId != nil {
		return nil, unsupported("an edge association")
	}
	p, id, subnet := at(ctx), aws.Val(in.RouteTableId), aws.Val(in.SubnetId)
	var a ec2api.RouteTableAssociation
	err := store.Update(ctx, s.Store, func(tx *store.Tx) error {
		r, err := get(tx, s.tables, p, id, noRouteTable)
		if err != nil {
			return err
		}
		sub, err := get(tx, s.subnets, p, subnet, noSubnet)
		if err != nil {
			return err
		}
		if *sub.VpcId != *r.VpcId {
			return aws.Errorf("InvalidParameterValue", "Route table %s and subnet %s belong to different networks", id, subnet)
		}
		all, err := s.tables.TxList(tx, p.account, p.region)
		if err != nil {
			return err
		}
		for _, t := range all {
			for _, o := range t.Associations {
				if aws.Val(o.SubnetId) == subnet {
					if *t.RouteTableId == id {
						a = o
						return nil
					}
					return aws.Errorf("Resource.AlreadyAssociated", "the specified association for route table %s conflicts with an existing association", id)
				}
			}
		}
		a = association(id, subnet, false)
		r.Associations = append(r.Associations, a)
		// The subnet is written again, so that of two associations at once one sees the other.
		return errFirst(s.subnets.TxPut(tx, sub, p.account, p.region, subnet), s.tables.TxPut(tx, r, p.account, p.region, id))
	})
	return &ec2api.AssociateRouteTableOutput{AssociationId: a.RouteTableAssociationId, AssociationState: a.AssociationState}, err
}

// associated finds the table with an association.
func (s *Service) associated(tx *store.Tx, p place, id string) (record.RouteTable, int, error) {
	all, err := s.tables.TxList(tx, p.account, p.region)
	if err != nil {
		return record.RouteTable{}, 0, err
	}
	for _, t := range all {
		if i := slices.IndexFunc(t.Associations, func(a ec2api.RouteTableAssociation) bool { return *a.RouteTableAssociationId == id }); i >= 0 {
			t, err := get(tx, s.tables, p, *t.RouteTableId, noRouteTable) // read again, to be checked at the commit
			return t, i, err
		}
	}
	return record.RouteTable{}, 0, noAssociation(id)
}

// DisassociateRouteTable gives a subnet back to the main table.
func (s *Service) DisassociateRouteTable(ctx context.Context, in *ec2api.DisassociateRouteTableInput) (*ec2api.DisassociateRouteTableOutput, error) {
	p, id := at(ctx), aws.Val(in.AssociationId)
	return &ec2api.DisassociateRouteTableOutput{}, store.Update(ctx, s.Store, func(tx *store.Tx) error {
		t, i, err := s.associated(tx, p, id)
		if err != nil {
			return err
		}
		if aws.Val(t.Associations[i].Main) {
			return aws.Errorf("InvalidParameterValue", "cannot disassociate the main route table association %s", id)
		}
		t.Associations = slices.Delete(t.Associations, i, i+1)
		return s.tables.TxPut(tx, t, p.account, p.region, *t.RouteTableId)
	})
}

// ReplaceRouteTableAssociation moves a subnet, or being the main table, to
// another table.
func (s *Service) ReplaceRouteTableAssociation(ctx context.Context, in *ec2api.ReplaceRouteTableAssociationInput) (*ec2api.ReplaceRouteTableAssociationOutput, error) {
	p, id, to := at(ctx), aws.Val(in.AssociationId), aws.Val(in.RouteTableId)
	var a ec2api.RouteTableAssociation
	err := store.Update(ctx, s.Store, func(tx *store.Tx) error {
		from, i, err := s.associated(tx, p, id)
		if err != nil {
			return err
		}
		a = association(to, aws.Val(from.Associations[i].SubnetId), aws.Val(from.Associations[i].Main))
		from.Associations = slices.Delete(from.Associations, i, i+1)
		if *from.RouteTableId == to {
			from.Associations = append(from.Associations, a)
			return s.tables.TxPut(tx, from, p.account, p.region, to)
		}
		target, err := get(tx, s.tables, p, to, noRouteTable)
		if err != nil {
			return err
		}
		if *target.VpcId != *from.VpcId {
			return aws.Errorf("InvalidParameterValue", "Route table %s belongs to a different network", to)
		}
		target.Associations = append(target.Associations, a)
		if aws.Val(a.Main) {
			v, err := get(tx, s.vpcs, p, *from.VpcId, noVPC)
			if err != nil {
				return err
			}
			v.Main = to
			if err := s.vpcs.TxPut(tx, v, p.account, p.region, *v.VpcId); err != nil {
				return err
			}
		}
		return errFirst(s.tables.TxPut(tx, from, p.account, p.region, *from.RouteTableId), s.tables.TxPut(tx, target, p.account, p.region, to))
	})
	return &ec2api.ReplaceRouteTableAssociationOutput{NewAssociationId: a.RouteTableAssociationId, AssociationState: a.AssociationState}, err
}
