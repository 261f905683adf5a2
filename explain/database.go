package explain

import (
	"context"
	"fmt"
	"net/netip"

	"minato/aws"
	"minato/aws/api/ec2"
	"minato/aws/api/rds"
	"minato/dataplane/network"
)

func (x *Explainer) databasesNamed(ctx context.Context, name string) ([]Explanation, error) {
	e, err := x.database(ctx, name)
	if isAbsent(err) {
		return nil, nil
	}
	return one(e, err)
}

// database explains a database's state, and who was kept from reaching it.
func (x *Explainer) database(ctx context.Context, id string) (*Explanation, error) {
	out, err := x.RDS.DescribeDBInstances(ctx, &rds.DescribeDBInstancesInput{DBInstanceIdentifier: &id})
	if notFound(err) || err == nil && len(out.DBInstances) == 0 {
		return nil, absent("database", id)
	}
	if err != nil {
		return nil, err
	}
	db := out.DBInstances[0]
	status := aws.Val(db.DBInstanceStatus)
	e := &Explanation{Subject: aws.Val(db.DBInstanceArn), Kind: "database"}
	e.Proof = append(e.Proof, fmt.Sprintf("%s %s is %s", aws.Val(db.Engine), aws.Val(db.EngineVersion), status))
	if status != "available" {
		c := Cause{What: fmt.Sprintf("the database is %s", status)}
		events, err := x.RDS.DescribeEvents(ctx, &rds.DescribeEventsInput{SourceIdentifier: &id, SourceType: aws.Ptr(rds.SourceTypeDbInstance)})
		if err != nil {
			return nil, err
		}
		for i := len(events.Events) - 1; i >= 0 && len(c.Evidence) < 3; i-- {
			c.Evidence = append(c.Evidence, aws.Val(events.Events[i].Message))
		}
		if status == "stopped" {
			c.Remedy = []string{"aws rds start-db-instance --db-instance-identifier " + id}
		}
		e.Causes = append(e.Causes, c)
	}
	causes, err := x.keptOut(ctx, db)
	if err != nil {
		return nil, err
	}
	e.Causes = append(e.Causes, causes...)
	return e.conclude("nothing is wrong: the database is available, and nobody was kept out lately"), nil
}

// keptOut makes causes of the packets to the database's interface that were dropped.
func (x *Explainer) keptOut(ctx context.Context, db rds.DBInstance) ([]Cause, error) {
	if db.DBSubnetGroup == nil || len(db.VpcSecurityGroups) == 0 {
		return nil, nil
	}
	var groups []string
	for _, g := range db.VpcSecurityGroups {
		groups = append(groups, aws.Val(g.VpcSecurityGroupId))
	}
	out, err := x.EC2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{Filters: []ec2.Filter{
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
	drops, err := x.drops(ctx, func(d network.Drop) bool { return d.VPC == vpc && ours[d.Destination] })
	if err != nil {
		return nil, err
	}
	var causes []Cause
	for _, d := range drops {
		c, err := x.blame(ctx, d)
		if err != nil {
			return nil, err
		}
		causes = append(causes, c)
	}
	return causes, nil
}
