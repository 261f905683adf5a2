package rds

import (
	"context"
	"slices"
	"strings"

	"minato/aws"
	rdsapi "minato/aws/api/rds"
	"minato/aws/arn"
	"minato/internal/ids"
	"minato/store"
)

// snapshot is a record of "rds/snapshot". It is written by the operation with the
// status creating; the reconciler of its instance makes it.
type snapshot struct {
	rdsapi.DBSnapshot
	Server string `json:"server"` // whose data it is
	Data   string `json:"data"`   // id of the copy, among the database servers' snapshots
	DBName string `json:"dbName"`
	Class  string `json:"class"`
}

// addSnapshot writes the record of a snapshot that is to be made.
func (s *Service) addSnapshot(tx *store.Tx, p arn.Place, rec instance, name string, tags []rdsapi.Tag) error {
	id, err := identifier("DBSnapshotIdentifier", name, 255)
	if err != nil {
		return err
	}
	if _, found, err := s.snapshots.TxGet(tx, p.Account, p.Region, id); err != nil || found {
		if found {
			err = rdsapi.DBSnapshotAlreadyExistsFault("Cannot create the snapshot because a snapshot with the identifier %s already exists.", id)
		}
		return err
	}
	made := snapshot{
		Server: rec.Server, Data: "snap-" + ids.Hex(16), DBName: aws.Val(rec.DBName), Class: aws.Val(rec.DBInstanceClass),
		DBSnapshot: rdsapi.DBSnapshot{
			DBSnapshotIdentifier: aws.Ptr(id), DBSnapshotArn: aws.Ptr(p.DBSnapshot(id)), DBInstanceIdentifier: rec.DBInstanceIdentifier, DbiResourceId: rec.DbiResourceId,
			Status: aws.Ptr(statusCreating), SnapshotType: aws.Ptr("manual"), PercentProgress: aws.Ptr(int32(0)), SnapshotTarget: aws.Ptr("region"),
			Engine: rec.Engine, EngineVersion: rec.EngineVersion, LicenseModel: rec.LicenseModel, MasterUsername: rec.MasterUsername, Port: aws.Ptr(int32(rec.Port)),
			AllocatedStorage: rec.AllocatedStorage, StorageType: rec.StorageType, Iops: rec.Iops, AvailabilityZone: rec.AvailabilityZone, VpcId: rec.DBSubnetGroup.VpcId,
			InstanceCreateTime: rec.InstanceCreateTime, Encrypted: aws.Ptr(false), IAMDatabaseAuthenticationEnabled: aws.Ptr(false),
			OptionGroupName: rec.OptionGroupMemberships[0].OptionGroupName, TagList: tags,
		},
	}
	return s.snapshots.TxPut(tx, made, p.Account, p.Region, id)
}

// CreateDBSnapshot implements rdsapi.API.
func (s *Service) CreateDBSnapshot(ctx context.Context, in *rdsapi.CreateDBSnapshotInput) (*rdsapi.CreateDBSnapshotOutput, error) {
	p := here(ctx)
	id := instanceID(aws.Val(in.DBInstanceIdentifier))
	tags, err := mergeTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	err = store.Update(ctx, s.Store, func(tx *store.Tx) error {
		rec, found, err := s.instances.TxGet(tx, p.Account, p.Region, id)
		if err == nil && !found {
			err = noInstance(id)
		}
		if err != nil {
			return err
		}
		switch status := rec.status(); status {
		case statusAvailable:
			rec.DBInstanceStatus = aws.Ptr(statusBackingUp)
		case statusStopped, statusBackingUp:
		default:
			return rdsapi.InvalidDBInstanceStateFault("Cannot create a snapshot because the database instance %s is not currently in the available state.", id)
		}
		all := tags
		if len(all) == 0 && aws.Val(rec.CopyTagsToSnapshot) {
			all = rec.TagList
		}
		if err := s.addSnapshot(tx, p, rec, aws.Val(in.DBSnapshotIdentifier), all); err != nil {
			return err
		}
		return s.instances.TxPut(tx, rec, p.Account, p.Region, id)
	})
	if err != nil {
		return nil, err
	}
	s.wake(s.instances.Key(p.Account, p.Region, id))
	made, _, err := s.snapshots.Get(ctx, p.Account, p.Region, strings.ToLower(aws.Val(in.DBSnapshotIdentifier)))
	if err != nil {
		return nil, err
	}
	return &rdsapi.CreateDBSnapshotOutput{DBSnapshot: &made.DBSnapshot}, nil
}

// DescribeDBSnapshots implements rdsapi.API.
func (s *Service) DescribeDBSnapshots(ctx context.Context, in *rdsapi.DescribeDBSnapshotsInput) (*rdsapi.DescribeDBSnapshotsOutput, error) {
	p := here(ctx)
	all, err := s.snapshots.List(ctx, p.Account, p.Region)
	if err != nil {
		return nil, err
	}
	want := func(given *string, is *string) bool { return given == nil || strings.EqualFold(*given, aws.Val(is)) }
	all = slices.DeleteFunc(all, func(n snapshot) bool {
		return !want(in.DBSnapshotIdentifier, n.DBSnapshotIdentifier) || !want(in.DBInstanceIdentifier, n.DBInstanceIdentifier) ||
			!want(in.DbiResourceId, n.DbiResourceId) || !want(in.SnapshotType, n.SnapshotType)
	})
	if in.DBSnapshotIdentifier != nil && len(all) == 0 {
		return nil, noSnapshot(*in.DBSnapshotIdentifier)
	}
	all, err = filter(all, in.Filters, map[string]func(snapshot) string{
		"db-snapshot-id":  func(n snapshot) string { return aws.Val(n.DBSnapshotIdentifier) },
		"db-instance-id":  func(n snapshot) string { return aws.Val(n.DBInstanceIdentifier) },
		"dbi-resource-id": func(n snapshot) string { return aws.Val(n.DbiResourceId) },
		"snapshot-type":   func(n snapshot) string { return aws.Val(n.SnapshotType) },
		"engine":          func(n snapshot) string { return aws.Val(n.Engine) },
	})
	if err != nil {
		return nil, err
	}
	all, marker, err := page(all, func(n snapshot) string { return aws.Val(n.DBSnapshotIdentifier) }, in.Marker, in.MaxRecords)
	if err != nil {
		return nil, err
	}
	out := &rdsapi.DescribeDBSnapshotsOutput{DBSnapshots: []rdsapi.DBSnapshot{}, Marker: marker}
	for _, n := range all {
		out.DBSnapshots = append(out.DBSnapshots, n.DBSnapshot)
	}
	return out, nil
}

// DeleteDBSnapshot implements rdsapi.API.
func (s *Service) DeleteDBSnapshot(ctx context.Context, in *rdsapi.DeleteDBSnapshotInput) (*rdsapi.DeleteDBSnapshotOutput, error) {
	p := here(ctx)
	id := strings.ToLower(aws.Val(in.DBSnapshotIdentifier))
	var gone snapshot
	err := store.Update(ctx, s.Store, func(tx *store.Tx) error {
		rec, found, err := s.snapshots.TxGet(tx, p.Account, p.Region, id)
		if err == nil && !found {
			err = noSnapshot(id)
		}
		if err != nil {
			return err
		}
		if status := aws.Val(rec.Status); status != statusAvailable && status != statusFailed {
			return rdsapi.InvalidDBSnapshotStateFault("The DB snapshot %s is in the %s state and cannot be deleted.", id, status)
		}
		users, err := s.instances.TxList(tx, p.Account, p.Region)
		if err != nil {
			return err
		}
		for _, i := range users {
			if i.FromSnapshot == rec.Data && !i.Made {
				return rdsapi.InvalidDBSnapshotStateFault("The DB snapshot %s is being restored to %s and cannot be deleted.", id, i.id())
			}
		}
		gone = rec
		s.snapshots.TxDelete(tx, p.Account, p.Region, id)
		return nil
	})
	if err != nil {
		return nil, err
	}
	// From here on it is deleted; what a crash leaves of the data goes at the next start.
	if err := s.Databases.DeleteSnapshot(ctx, gone.Data); err != nil {
		s.Log.Error("the data of a deleted snapshot is left", "snapshot", id, "error", err)
	}
	s.tell(ctx, p, sourceSnapshot, id, p.DBSnapshot(id), "deletion", "Deleted manual snapshot")
	gone.Status = aws.Ptr("deleted")
	return &rdsapi.DeleteDBSnapshotOutput{DBSnapshot: &gone.DBSnapshot}, nil
}

// sweepSnapshots removes data that no record names.
func (s *Service) sweepSnapshots(ctx context.Context) error {
	// Data is listed first: what a record made meanwhile names is not in it.
	there, err := s.Databases.Snapshots(ctx)
	if err != nil {
		return err
	}
	known, err := s.snapshots.List(ctx)
	if err != nil {
		return err
	}
	for _, data := range there {
		if !slices.ContainsFunc(known, func(n snapshot) bool { return n.Data == data }) {
			if err := s.Databases.DeleteSnapshot(ctx, data); err != nil {
				return err
			}
		}
	}
	return nil
}

// RestoreDBInstanceFromDBSnapshot implements rdsapi.API. The master user and its
// password are those of the snapshot.
func (s *Service) RestoreDBInstanceFromDBSnapshot(ctx context.Context, in *rdsapi.RestoreDBInstanceFromDBSnapshotInput) (*rdsapi.RestoreDBInstanceFromDBSnapshotOutput, error) {
	p := here(ctx)
	name := aws.Val(in.DBSnapshotIdentifier)
	if a, ok := arn.Parse(name); ok && a.Kind() == "snapshot" {
		name = a.ID()
	}
	from, found, err := s.snapshots.Get(ctx, p.Account, p.Region, strings.ToLower(name))
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, noSnapshot(name)
	}
	if aws.Val(from.Status) != statusAvailable {
		return nil, rdsapi.InvalidDBSnapshotStateFault("Cannot restore from snapshot %s because it is in the %s state.", name, aws.Val(from.Status))
	}
	if name, asked := aws.Asked(in, "AdditionalStorageVolumes", "AllocatedStorage", "BackupRetentionPeriod", "BackupTarget", "CACertificateIdentifier", "CustomIamInstanceProfile",
		"DBClusterSnapshotIdentifier", "DBName", "DedicatedLogVolume", "DomainFqdn", "EnableCustomerOwnedIp", "MasterUserSecretKmsKeyId", "PreferredBackupWindow", "ProcessorFeatures",
		"StorageThroughput", "TagSpecifications", "TdeCredentialArn", "TdeCredentialPassword"); asked {
		return nil, notServed(name + " of a restoration")
	}
	or := func(v, otherwise *string) *string {
		if aws.Val(v) != "" {
			return v
		}
		return otherwise
	}
	// A restore is a creation with what the snapshot knows.
	create := &rdsapi.CreateDBInstanceInput{
		DBInstanceIdentifier: in.DBInstanceIdentifier, Engine: or(in.Engine, from.Engine), DBInstanceClass: or(in.DBInstanceClass, aws.Ptr(from.Class)),
		AllocatedStorage: from.AllocatedStorage, StorageType: or(in.StorageType, from.StorageType), Iops: in.Iops, Port: in.Port, LicenseModel: or(in.LicenseModel, from.LicenseModel),
		DBSubnetGroupName: in.DBSubnetGroupName, AvailabilityZone: in.AvailabilityZone, VpcSecurityGroupIds: in.VpcSecurityGroupIds, PubliclyAccessible: in.PubliclyAccessible,
		DBParameterGroupName: in.DBParameterGroupName, OptionGroupName: in.OptionGroupName, AutoMinorVersionUpgrade: in.AutoMinorVersionUpgrade,
		CopyTagsToSnapshot: in.CopyTagsToSnapshot, DeletionProtection: in.DeletionProtection, MultiAZ: in.MultiAZ, Tags: in.Tags, NetworkType: in.NetworkType,
		EnableIAMDatabaseAuthentication: in.EnableIAMDatabaseAuthentication, EnableCloudwatchLogsExports: in.EnableCloudwatchLogsExports, Domain: in.Domain,
		ManageMasterUserPassword: in.ManageMasterUserPassword,
	}
	if create.Port == nil {
		create.Port = from.Port
	}
	if from.DBName != "" {
		create.DBName = aws.Ptr(from.DBName)
	}
	id, err := identifier("DBInstanceIdentifier", aws.Val(in.DBInstanceIdentifier), 63)
	if err != nil {
		return nil, err
	}
	if err := refuseUnserved(create); err != nil {
		return nil, err
	}
	o := order{snapshot: &from, storage: aws.Val(from.AllocatedStorage)}
	o.master.User = aws.Val(from.MasterUsername)
	if o.engine, err = engineNamed(*create.Engine); err != nil {
		return nil, err
	}
	if o.engine != aws.Val(from.Engine) {
		return nil, invalidCombination("Cannot restore a %s snapshot as %s.", aws.Val(from.Engine), o.engine)
	}
	if o.version, err = version(o.engine, aws.Val(from.EngineVersion), true); err != nil {
		return nil, err
	}
	if o.class, err = class(o.engine, o.version.taken, *create.DBInstanceClass, s.AcceptRetired); err != nil {
		return nil, err
	}
	if o.parameterGroup, err = s.chooseParameterGroup(ctx, p, aws.Val(in.DBParameterGroupName), o.engine, o.version.taken); err != nil {
		return nil, err
	}
	o.network, err = s.place(ctx, p, wish{subnetGroup: aws.Val(in.DBSubnetGroupName), zone: aws.Val(in.AvailabilityZone), groups: in.VpcSecurityGroupIds, public: in.PubliclyAccessible}, id)
	if err != nil {
		return nil, err
	}
	rec, err := s.newInstance(p, id, o, create)
	if err != nil {
		return nil, err
	}
	if err := s.addInstance(ctx, p, rec); err != nil {
		return nil, err
	}
	s.announce(ctx, p, id, o)
	s.tellInstance(ctx, p, id, "restoration", "Restored from snapshot %s", aws.Val(from.DBSnapshotIdentifier))
	return &rdsapi.RestoreDBInstanceFromDBSnapshotOutput{DBInstance: rec.shown()}, nil
}
