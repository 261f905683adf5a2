package rds

import (
	"context"
	"slices"
	"strings"

	"minato/aws"
	rdsapi "minato/aws/api/rds"
	"minato/aws/arn"
	"minato/store"
)

// ModifyDBInstance implements rdsapi.API. What needs the server to be started
// again waits for the maintenance window, unless ApplyImmediately is set.
func (s *Service) ModifyDBInstance(ctx context.Context, in *rdsapi.ModifyDBInstanceInput) (*rdsapi.ModifyDBInstanceOutput, error) {
	p := here(ctx)
	rec, err := s.getInstance(ctx, p, aws.Val(in.DBInstanceIdentifier))
	if err != nil {
		return nil, err
	}
	if err := refuseUnservedChange(in); err != nil {
		return nil, err
	}
	change, err := s.prepareChange(ctx, p, rec, in)
	if err != nil {
		return nil, err
	}
	var out instance
	err = store.Update(ctx, s.Store, func(tx *store.Tx) error {
		rec, found, err := s.instances.TxGet(tx, p.Account, p.Region, rec.id())
		if err == nil && !found {
			err = noInstance(aws.Val(in.DBInstanceIdentifier))
		}
		if err != nil {
			return err
		}
		if status := rec.status(); status != statusAvailable && status != statusModifying && status != statusStopped && status != statusIncompatible {
			return rdsapi.InvalidDBInstanceStateFault("Database instance is not in available state.")
		}
		change.apply(&rec, in)
		if err := s.useParameterGroup(tx, p, rec); err != nil {
			return err
		}
		out = rec
		return s.instances.TxPut(tx, rec, p.Account, p.Region, rec.id())
	})
	if err != nil {
		return nil, err
	}
	for _, note := range change.notes {
		s.tellInstance(ctx, p, out.id(), "configuration change", "%s", note)
	}
	return &rdsapi.ModifyDBInstanceOutput{DBInstance: out.shown()}, nil
}

func refuseUnservedChange(in *rdsapi.ModifyDBInstanceInput) error {
	for _, c := range []struct {
		asked bool
		what  string
	}{
		{aws.Val(in.MultiAZ), "MultiAZ"},
		{aws.Val(in.EnableIAMDatabaseAuthentication), "EnableIAMDatabaseAuthentication"},
		{aws.Val(in.EnablePerformanceInsights), "EnablePerformanceInsights"},
		{aws.Val(in.MonitoringInterval) > 0, "MonitoringInterval"},
		{aws.Val(in.ManageMasterUserPassword), "ManageMasterUserPassword"},
		{in.CloudwatchLogsExportConfiguration != nil && len(in.CloudwatchLogsExportConfiguration.EnableLogTypes) > 0, "CloudwatchLogsExportConfiguration"},
		{in.NewDBInstanceIdentifier != nil, "NewDBInstanceIdentifier"},
		{in.DBSubnetGroupName != nil, "DBSubnetGroupName of an instance that is there"},
		{in.Domain != nil || in.DomainFqdn != nil, "Domain"},
		{in.Engine != nil, "Engine of an instance that is there"},
		{aws.Val(in.NetworkType) == "DUAL", "NetworkType DUAL"},
		{in.OptionGroupName != nil && !strings.HasPrefix(*in.OptionGroupName, "default:"), "OptionGroupName"},
		{len(in.AdditionalStorageVolumes) > 0, "AdditionalStorageVolumes"},
	} {
		if c.asked {
			return notServed(c.what)
		}
	}
	if name, asked := aws.Asked(in, "AutomationMode", "AwsBackupRecoveryPointArn", "DBSecurityGroups", "DedicatedLogVolume", "EnableCustomerOwnedIp", "MasterUserSecretKmsKeyId",
		"MultiTenant", "ProcessorFeatures", "ReplicaMode", "RotateMasterUserPassword", "TagSpecifications", "TdeCredentialArn", "TdeCredentialPassword"); asked {
		return notServed(name)
	}
	if m := in.DatabaseInsightsMode; m != nil && *m != rdsapi.DatabaseInsightsModeStandard {
		return notServed("DatabaseInsightsMode " + *m)
	}
	if m := in.MasterUserAuthenticationType; m != nil && *m != rdsapi.MasterUserAuthenticationTypePassword {
		return notServed("MasterUserAuthenticationType " + *m)
	}
	return nil
}

// change is a modification whose parts were checked.
type change struct {
	verifier       string
	parameterGroup string
	groups         []string
	maintenance    *string // the window
	pending        rdsapi.PendingModifiedValues
	now            bool
	notes          []string
}

func (s *Service) prepareChange(ctx context.Context, p arn.Place, rec instance, in *rdsapi.ModifyDBInstanceInput) (change, error) {
	maintenance, err := checkWindows(in.PreferredBackupWindow, in.PreferredMaintenanceWindow, aws.Val(rec.PreferredBackupWindow), aws.Val(rec.PreferredMaintenanceWindow))
	c := change{now: aws.Val(in.ApplyImmediately), maintenance: maintenance}
	if err != nil {
		return c, err
	}
	engine, engineVersion := aws.Val(rec.Engine), aws.Val(rec.EngineVersion)
	if in.EngineVersion != nil && *in.EngineVersion != engineVersion {
		if engineVersion, err = s.upgrade(&c, engine, engineVersion, in); err != nil {
			return c, err
		}
	}
	if in.DBInstanceClass != nil && *in.DBInstanceClass != aws.Val(rec.DBInstanceClass) {
		chosen, err := class(engine, engineVersion, *in.DBInstanceClass, s.AcceptRetired)
		if err != nil {
			return c, err
		}
		c.pending.DBInstanceClass = aws.Ptr(chosen.taken)
	}
	group := aws.Val(in.DBParameterGroupName)
	switch {
	case group != "":
		if c.parameterGroup, err = s.chooseParameterGroup(ctx, p, group, engine, engineVersion); err != nil {
			return c, err
		}
		c.notes = append(c.notes, "Updated to use DBParameterGroup "+c.parameterGroup)
	case c.pending.EngineVersion != nil && family(engine, engineVersion) != family(engine, aws.Val(rec.EngineVersion)):
		// Another family: a group of one's own does not fit it any more.
		if !strings.HasPrefix(rec.ParameterGroup, "default.") {
			current, err := s.findParameterGroup(ctx, p, rec.ParameterGroup)
			if err != nil {
				return c, err
			}
			return c, checkFamily(current, engine, engineVersion)
		}
		c.parameterGroup = defaultGroupName(family(engine, engineVersion))
	}
	if in.MasterUserPassword != nil {
		if c.verifier, err = s.verifier(engine, *in.MasterUserPassword); err != nil {
			return c, err
		}
	}
	if len(in.VpcSecurityGroupIds) > 0 {
		if c.groups, err = s.securityGroups(ctx, p, aws.Val(rec.DBSubnetGroup.VpcId), in.VpcSecurityGroupIds); err != nil {
			return c, err
		}
	}
	if aws.Val(in.PubliclyAccessible) && !aws.Val(rec.PubliclyAccessible) {
		if err := s.checkPublicDNS(ctx, p, aws.Val(rec.DBSubnetGroup.VpcId)); err != nil {
			return c, err
		}
	}
	return c, checkNumbers(&c, rec, in)
}

// upgrade checks another engine version and returns it.
func (s *Service) upgrade(c *change, engine, from string, in *rdsapi.ModifyDBInstanceInput) (string, error) {
	chosen, err := version(engine, *in.EngineVersion, s.AcceptRetired)
	if err != nil {
		return "", err
	}
	if compareVersions(chosen.taken, from) < 0 {
		return "", invalidCombination("Cannot upgrade %s from %s to %s", engine, from, chosen.taken)
	}
	if majorVersion(engine, chosen.taken) != majorVersion(engine, from) && !aws.Val(in.AllowMajorVersionUpgrade) {
		return "", invalidCombination("The AllowMajorVersionUpgrade flag must be present when upgrading to a new major version.")
	}
	c.pending.EngineVersion = aws.Ptr(chosen.taken)
	return chosen.taken, nil
}

// checkNumbers checks storage, port and retention.
func checkNumbers(c *change, rec instance, in *rdsapi.ModifyDBInstanceInput) error {
	if in.AllocatedStorage != nil && *in.AllocatedStorage != aws.Val(rec.AllocatedStorage) {
		if *in.AllocatedStorage < aws.Val(rec.AllocatedStorage) {
			return invalidCombination("Invalid storage size: the allocated storage cannot be decreased from %d to %d.", aws.Val(rec.AllocatedStorage), *in.AllocatedStorage)
		}
		kind := in.StorageType
		if kind == nil {
			kind = rec.StorageType
		}
		if err := checkStorage(aws.Val(rec.Engine), in.AllocatedStorage, kind); err != nil {
			return err
		}
		c.pending.AllocatedStorage = in.AllocatedStorage
	}
	if in.DBPortNumber != nil && uint16(*in.DBPortNumber) != rec.Port {
		if *in.DBPortNumber < 1150 || *in.DBPortNumber > 65535 {
			return invalidValue("The parameter DBPortNumber must be between 1150 and 65535.")
		}
		c.pending.Port = in.DBPortNumber
		c.now = true // RDS starts the instance again at once for this one
	}
	if r := in.BackupRetentionPeriod; r != nil && (*r < 0 || *r > 35) {
		return invalidValue("Invalid backup retention period: %d. Retention period must be between 0 and 35.", *r)
	}
	return nil
}

// apply writes the change into the record.
func (c change) apply(rec *instance, in *rdsapi.ModifyDBInstanceInput) {
	set := func(to **string, v *string) {
		if v != nil {
			*to = v
		}
	}
	setBool := func(to **bool, v *bool) {
		if v != nil {
			*to = v
		}
	}
	setInt := func(to **int32, v *int32) {
		if v != nil {
			*to = v
		}
	}
	set(&rec.StorageType, in.StorageType)
	set(&rec.PreferredBackupWindow, in.PreferredBackupWindow)
	set(&rec.PreferredMaintenanceWindow, c.maintenance)
	set(&rec.CACertificateIdentifier, in.CACertificateIdentifier)
	setBool(&rec.DeletionProtection, in.DeletionProtection)
	setBool(&rec.CopyTagsToSnapshot, in.CopyTagsToSnapshot)
	setBool(&rec.AutoMinorVersionUpgrade, in.AutoMinorVersionUpgrade)
	setBool(&rec.PubliclyAccessible, in.PubliclyAccessible)
	setInt(&rec.BackupRetentionPeriod, in.BackupRetentionPeriod)
	setInt(&rec.MaxAllocatedStorage, in.MaxAllocatedStorage)
	setInt(&rec.Iops, in.Iops)
	setInt(&rec.StorageThroughput, in.StorageThroughput)
	if c.verifier != "" {
		rec.Master.Verifier = c.verifier
	}
	if c.groups != nil {
		rec.Groups, rec.VpcSecurityGroups = c.groups, memberships(c.groups)
	}
	if c.parameterGroup != "" && c.parameterGroup != rec.ParameterGroup {
		rec.ParameterGroup = c.parameterGroup
		rec.DBParameterGroups = []rdsapi.DBParameterGroupStatus{{DBParameterGroupName: aws.Ptr(c.parameterGroup), ParameterApplyStatus: aws.Ptr("applying")}}
	}
	pending := aws.Val(rec.PendingModifiedValues)
	set(&pending.DBInstanceClass, c.pending.DBInstanceClass)
	set(&pending.EngineVersion, c.pending.EngineVersion)
	setInt(&pending.AllocatedStorage, c.pending.AllocatedStorage)
	setInt(&pending.Port, c.pending.Port)
	rec.PendingModifiedValues = &pending
	if c.now {
		rec.takeOver()
	}
	if rec.Goal == goalRunning && rec.changed() {
		rec.DBInstanceStatus = aws.Ptr(statusModifying)
	}
}

// takeOver makes the pending values the wanted ones.
func (i *instance) takeOver() {
	pending := aws.Val(i.PendingModifiedValues)
	if pending.DBInstanceClass != nil {
		i.DBInstanceClass = pending.DBInstanceClass
	}
	if pending.EngineVersion != nil {
		i.EngineVersion = pending.EngineVersion
	}
	if pending.AllocatedStorage != nil {
		i.AllocatedStorage = pending.AllocatedStorage
	}
	if pending.Port != nil {
		i.Port = uint16(*pending.Port)
	}
	i.PendingModifiedValues = &rdsapi.PendingModifiedValues{}
}

// waiting says that pending values wait for the maintenance window.
func (i *instance) waiting() bool {
	p := aws.Val(i.PendingModifiedValues)
	return p.DBInstanceClass != nil || p.EngineVersion != nil || p.AllocatedStorage != nil || p.Port != nil
}

// changed says that something wanted is not yet so.
func (i *instance) changed() bool {
	return i.Master.Verifier != "" || i.mustRestart() || !i.interfaceFits()
}

// mustRestart says that the server was started as it is not wanted any more.
func (i *instance) mustRestart() bool {
	return i.Made && (i.Started.Class != aws.Val(i.DBInstanceClass) || i.Started.Version != aws.Val(i.EngineVersion) || i.Started.Port != i.Port)
}

// interfaceFits says that the network interface is as it is wanted.
func (i *instance) interfaceFits() bool {
	return i.Interface.ID != "" && i.Interface.Public == aws.Val(i.PubliclyAccessible) &&
		slices.Equal(slices.Sorted(slices.Values(i.Interface.Groups)), slices.Sorted(slices.Values(i.Groups)))
}
