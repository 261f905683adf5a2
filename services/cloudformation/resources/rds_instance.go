package resources

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"minato/aws"
	rds "minato/aws/api/rds"
)

// dbResources makes DB instances.
type dbResources struct{ api rds.API }

func dbInstanceTypes(inv aws.Invoker) map[string]Type {
	v := dbResources{rds.NewClient(inv)}
	return map[string]Type{
		"AWS::RDS::DBInstance": {Create: v.create, Ready: v.ready, Update: v.update, Delete: v.delete, Gone: v.gone, Named: "DBInstanceIdentifier"},
	}
}

// unsupported are the properties that ask for what minato's RDS has not; to
// ignore them would be a lie.
var unsupported = []string{
	"AssociatedRoles", "AutomaticBackupReplicationRegion", "DBClusterIdentifier", "DBClusterSnapshotIdentifier", "DBSnapshotIdentifier", "RestoreTime",
	"SourceDBClusterIdentifier", "SourceDBInstanceAutomatedBackupsArn", "SourceDBInstanceIdentifier", "SourceDbiResourceId", "CustomIAMInstanceProfile",
}

// integers reads a property that the schema calls a string and the API a number.
func integer(properties map[string]any, name string) (*int32, error) {
	s := text(properties[name])
	if s == "" {
		return nil, nil
	}
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		return nil, aws.Errorf("InvalidRequest", "%s must be a number, not %s", name, s)
	}
	return aws.Ptr(int32(n)), nil
}

func (v dbResources) create(ctx context.Context, r *Request) (string, error) {
	for _, name := range unsupported {
		if _, given := r.Properties[name]; given {
			return "", aws.Errorf("InvalidRequest", "The property %s of AWS::RDS::DBInstance is not supported by minato", name)
		}
	}
	in, err := into(without(r.Properties, "AllocatedStorage", "Port", "Tags", "VPCSecurityGroups", "Iops"), new(rds.CreateDBInstanceInput))
	if err != nil {
		return "", err
	}
	for name, to := range map[string]**int32{"AllocatedStorage": &in.AllocatedStorage, "Port": &in.Port, "Iops": &in.Iops} {
		if *to, err = integer(r.Properties, name); err != nil {
			return "", err
		}
	}
	id := strings.ToLower(r.name("DBInstanceIdentifier", 63))
	in.DBInstanceIdentifier, in.VpcSecurityGroupIds, in.Tags = &id, list(r.Properties, "VPCSecurityGroups"), rdsTags(r)
	if _, err := v.api.CreateDBInstance(ctx, in); r.again(err, "DBInstanceIdentifier") != nil {
		return "", err
	}
	return id, nil
}

// describe returns the instance, nil when there is none.
func (v dbResources) describe(ctx context.Context, id string) (*rds.DBInstance, error) {
	out, err := v.api.DescribeDBInstances(ctx, &rds.DescribeDBInstancesInput{DBInstanceIdentifier: &id})
	if err != nil || len(out.DBInstances) == 0 {
		return nil, gone(err, "DBInstanceNotFound")
	}
	return &out.DBInstances[0], nil
}

// broken are the states from which an instance does not become available.
var broken = []string{"failed", "incompatible-network", "incompatible-option-group", "incompatible-parameters", "incompatible-restore", "incompatible-credentials", "storage-full"}

func (v dbResources) ready(ctx context.Context, r *Request) (map[string]any, bool, error) {
	db, err := v.describe(ctx, r.PhysicalID)
	if err != nil || db == nil {
		return nil, false, err
	}
	status := aws.Val(db.DBInstanceStatus)
	if slices.Contains(broken, status) {
		return nil, false, NotStabilized("DB instance %s is in state %s and will not become available", r.PhysicalID, status)
	}
	attributes := map[string]any{"DBInstanceArn": aws.Val(db.DBInstanceArn), "DbiResourceId": aws.Val(db.DbiResourceId)}
	if db.Endpoint != nil {
		attributes["Endpoint.Address"] = aws.Val(db.Endpoint.Address)
		attributes["Endpoint.Port"] = strconv.Itoa(int(aws.Val(db.Endpoint.Port)))
		attributes["Endpoint.HostedZoneId"] = aws.Val(db.Endpoint.HostedZoneId)
	}
	return attributes, status == "available" && db.Endpoint != nil, nil
}

func (v dbResources) update(ctx context.Context, r *Request) error {
	// Only what changed is sent: a value that stays may not be settable any more.
	changes := map[string]any{}
	for name, value := range r.Properties {
		if r.changed(name) {
			changes[name] = value
		}
	}
	in, err := into(without(changes, "AllocatedStorage", "Port", "Tags", "VPCSecurityGroups", "Iops", "DBInstanceIdentifier"), new(rds.ModifyDBInstanceInput))
	if err != nil {
		return err
	}
	for name, to := range map[string]**int32{"AllocatedStorage": &in.AllocatedStorage, "Port": &in.DBPortNumber, "Iops": &in.Iops} {
		if *to, err = integer(changes, name); err != nil {
			return err
		}
	}
	if r.changed("VPCSecurityGroups") {
		in.VpcSecurityGroupIds = list(r.Properties, "VPCSecurityGroups")
	}
	in.DBInstanceIdentifier, in.ApplyImmediately = &r.PhysicalID, aws.Ptr(true)
	if _, err := v.api.ModifyDBInstance(ctx, in); err != nil {
		return err
	}
	return updateRDSTags(ctx, v.api, r, r.Place.DBInstance(r.PhysicalID))
}

// delete keeps a final snapshot when the DeletionPolicy says so.
func (v dbResources) delete(ctx context.Context, r *Request) error {
	in := &rds.DeleteDBInstanceInput{DBInstanceIdentifier: &r.PhysicalID, SkipFinalSnapshot: aws.Ptr(!r.Snapshot)}
	if r.Snapshot {
		in.FinalDBSnapshotIdentifier = aws.Ptr(strings.ToLower((&Request{StackName: r.StackName, LogicalID: "snapshot-" + r.LogicalID, Suffix: r.Suffix}).name("", 255)))
	}
	_, err := v.api.DeleteDBInstance(ctx, in)
	if db, e := v.describe(ctx, r.PhysicalID); err != nil && e == nil && db != nil && aws.Val(db.DBInstanceStatus) == "deleting" {
		return nil
	}
	return gone(err, "DBInstanceNotFound")
}

func (v dbResources) gone(ctx context.Context, r *Request) (bool, error) {
	db, err := v.describe(ctx, r.PhysicalID)
	return err == nil && db == nil, err
}
