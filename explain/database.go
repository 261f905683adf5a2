package explain

import (
	"net/netip"
	"strings"

	"minato/aws"
	"minato/aws/api/ec2"
	"minato/aws/api/rds"
	"minato/dataplane/network"
	"minato/explain/cause"
	"minato/gateway"
)

// database explains a database's state, and who was kept from reaching it.
func (q *inquiry) database(id string) (*Explanation, error) {
	out, err := q.RDS.DescribeDBInstances(q.ctx, &rds.DescribeDBInstancesInput{DBInstanceIdentifier: &id})
	if notFound(err) || err == nil && len(out.DBInstances) == 0 || aws.IsCode(err, "InvalidParameterValue") || aws.IsCode(err, "ValidationError") {
		return nil, absent("database", id)
	}
	if err != nil {
		return nil, err
	}
	db := out.DBInstances[0]
	x := databaseSeen(db)
	events, err := q.RDS.DescribeEvents(q.ctx, &rds.DescribeEventsInput{SourceIdentifier: &id, SourceType: aws.Ptr(rds.SourceTypeDbInstance)})
	if err != nil {
		return nil, err
	}
	for i := len(events.Events) - 1; i >= 0; i-- {
		x.Events = append(x.Events, aws.Val(events.Events[i].Message))
	}
	if x.Drops, err = q.keptOut(db); err != nil {
		return nil, err
	}
	e := &Explanation{Subject: x.ARN, Kind: "database", Name: "db:" + x.ID}
	if e.Refused, err = q.changed(aws.Val(db.InstanceCreateTime), func(r gateway.Refusal) bool {
		return strings.HasPrefix(r.Action, "rds:") && mentions(r, x.ID)
	}); err != nil {
		return nil, err
	}
	return e.conclude(cause.OfDatabase(x), "the database is available, and nobody was kept out lately"), nil
}

func databaseSeen(db rds.DBInstance) cause.Database {
	return cause.Database{
		ID: aws.Val(db.DBInstanceIdentifier), ARN: aws.Val(db.DBInstanceArn), Status: aws.Val(db.DBInstanceStatus), Engine: aws.Val(db.Engine), Version: aws.Val(db.EngineVersion),
	}
}

// databaseIn finds the database whose address is in a text.
func (q *inquiry) databaseIn(text string) (*cause.Database, error) {
	if !strings.Contains(text, ".rds.") {
		return nil, nil
	}
	if q.dbs == nil {
		out, err := q.RDS.DescribeDBInstances(q.ctx, &rds.DescribeDBInstancesInput{})
		if err != nil {
			return nil, err
		}
		q.dbs = append([]rds.DBInstance{}, out.DBInstances...)
	}
	for _, db := range q.dbs {
		if db.Endpoint != nil && aws.Val(db.Endpoint.Address) != "" && strings.Contains(text, *db.Endpoint.Address) {
			x := databaseSeen(db)
			return &x, nil
		}
	}
	return nil, nil
}

// keptOut are the packets to the database's interface that were dropped lately.
func (q *inquiry) keptOut(db rds.DBInstance) ([]cause.Drop, error) {
	if db.DBSubnetGroup == nil || len(db.VpcSecurityGroups) == 0 {
		return nil, nil
	}
	var groups []string
	for _, g := range db.VpcSecurityGroups {
		groups = append(groups, aws.Val(g.VpcSecurityGroupId))
	}
	out, err := q.EC2.DescribeNetworkInterfaces(q.ctx, &ec2.DescribeNetworkInterfacesInput{Filters: []ec2.Filter{
		{Name: aws.Ptr("group-id"), Values: groups}, {Name: aws.Ptr("description"), Values: []string{"RDSNetworkInterface"}},
	}})
	if err != nil {
		return nil, err
	}
	ours := map[netip.Addr]bool{}
	for _, eni := range out.NetworkInterfaces {
		if a, err := netip.ParseAddr(aws.Val(eni.PrivateIpAddress)); err == nil {
			ours[a] = true
		}
	}
	vpc := aws.Val(db.DBSubnetGroup.VpcId)
	drops, err := q.drops(func(d network.Drop) bool { return d.VPC == vpc && ours[d.Destination] && q.now.Sub(d.Last) < fresh })
	return few(drops), err
}
