package rds

import (
	"context"
	"errors"
	"hash/fnv"
	"regexp"
	"slices"
	"strings"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	rdsapi "minato/aws/api/rds"
	"minato/aws/arn"
	"minato/dataplane/database"
	"minato/internal/ids"
	"minato/store"
)

// order is what CreateDBInstance and a restore agree on before the record is made.
type order struct {
	engine         string
	version, class choice
	storage        int32
	snapshot       *snapshot // restored from
	parameterGroup string
	network        placement
	master         database.Master
}

// placement is where an instance stands.
type placement struct {
	group  subnetGroup
	subnet rdsapi.Subnet
	groups []string
	public bool
}

// CreateDBInstance implements rdsapi.API.
func (s *Service) CreateDBInstance(ctx context.Context, in *rdsapi.CreateDBInstanceInput) (*rdsapi.CreateDBInstanceOutput, error) {
	p := here(ctx)
	id, err := identifier("DBInstanceIdentifier", aws.Val(in.DBInstanceIdentifier), 63)
	if err != nil {
		return nil, err
	}
	if err := refuseUnserved(in); err != nil {
		return nil, err
	}
	var o order
	if o.engine, err = engineNamed(aws.Val(in.Engine)); err != nil {
		return nil, err
	}
	if o.version, err = version(o.engine, aws.Val(in.EngineVersion), s.AcceptRetired); err != nil {
		return nil, err
	}
	if o.class, err = class(o.engine, o.version.taken, aws.Val(in.DBInstanceClass), s.AcceptRetired); err != nil {
		return nil, err
	}
	if o.parameterGroup, err = s.chooseParameterGroup(ctx, p, aws.Val(in.DBParameterGroupName), o.engine, o.version.taken); err != nil {
		return nil, err
	}
	o.storage = aws.Val(in.AllocatedStorage)
	if err := checkStorage(o.engine, in.AllocatedStorage, in.StorageType); err != nil {
		return nil, err
	}
	if o.master, err = s.newMaster(o.engine, aws.Val(in.MasterUsername), aws.Val(in.MasterUserPassword)); err != nil {
		return nil, err
	}
	if err := checkDatabaseName(o.engine, aws.Val(in.DBName)); err != nil {
		return nil, err
	}
	o.network, err = s.place(ctx, p, wish{
		subnetGroup: aws.Val(in.DBSubnetGroupName), zone: aws.Val(in.AvailabilityZone), groups: in.VpcSecurityGroupIds, public: in.PubliclyAccessible,
	}, id)
	if err != nil {
		return nil, err
	}
	rec, err := s.newInstance(p, id, o, in)
	if err != nil {
		return nil, err
	}
	if err := s.addInstance(ctx, p, rec); err != nil {
		return nil, err
	}
	s.announce(ctx, p, id, o)
	return &rdsapi.CreateDBInstanceOutput{DBInstance: rec.shown()}, nil
}

// refuseUnserved refuses what would be recorded and never happen.
func refuseUnserved(in *rdsapi.CreateDBInstanceInput) error {
	for _, c := range []struct {
		asked bool
		what  string
	}{
		{aws.Val(in.MultiAZ), "MultiAZ"},
		{aws.Val(in.StorageEncrypted) || in.KmsKeyId != nil, "StorageEncrypted"},
		{aws.Val(in.EnableIAMDatabaseAuthentication), "EnableIAMDatabaseAuthentication"},
		{aws.Val(in.EnablePerformanceInsights), "EnablePerformanceInsights"},
		{aws.Val(in.MonitoringInterval) > 0, "MonitoringInterval"},
		{len(in.EnableCloudwatchLogsExports) > 0, "EnableCloudwatchLogsExports"},
		{aws.Val(in.ManageMasterUserPassword), "ManageMasterUserPassword"},
		{in.DBClusterIdentifier != nil, "DBClusterIdentifier"},
		{in.Domain != nil || in.DomainFqdn != nil, "Domain"},
		{len(in.DBSecurityGroups) > 0, "DBSecurityGroups (EC2-Classic); use VpcSecurityGroupIds, which"},
		{in.TdeCredentialArn != nil, "TdeCredentialArn"},
		{aws.Val(in.MultiTenant), "MultiTenant"},
		{len(in.AdditionalStorageVolumes) > 0, "AdditionalStorageVolumes"},
		{aws.Val(in.DedicatedLogVolume), "DedicatedLogVolume"},
		{aws.Val(in.NetworkType) == "DUAL", "NetworkType DUAL"},
		{in.OptionGroupName != nil && !strings.HasPrefix(*in.OptionGroupName, "default:"), "OptionGroupName"},
	} {
		if c.asked {
			return notServed(c.what)
		}
	}
	if name, asked := aws.Asked(in, "CustomIamInstanceProfile", "DBSystemId", "EnableCustomerOwnedIp", "MasterUserSecretKmsKeyId", "NcharCharacterSetName",
		"ProcessorFeatures", "TagSpecifications", "TdeCredentialPassword", "Timezone"); asked {
		return notServed(name)
	}
	if m := in.DatabaseInsightsMode; m != nil && *m != rdsapi.DatabaseInsightsModeStandard {
		return notServed("DatabaseInsightsMode " + *m)
	}
	if m := in.MasterUserAuthenticationType; m != nil && *m != rdsapi.MasterUserAuthenticationTypePassword {
		return notServed("MasterUserAuthenticationType " + *m)
	}
	if in.CharacterSetName != nil {
		return invalidCombination("CharacterSetName cannot be specified for this engine.")
	}
	return nil
}

// chooseParameterGroup checks the group an instance is to have, or names the
// default one.
func (s *Service) chooseParameterGroup(ctx context.Context, p arn.Place, name, engine, engineVersion string) (string, error) {
	if name == "" {
		return defaultGroupName(family(engine, engineVersion)), nil
	}
	group, err := s.findParameterGroup(ctx, p, name)
	if err != nil {
		return "", err
	}
	return aws.Val(group.DBParameterGroupName), checkFamily(group, engine, engineVersion)
}

var storageTypes = []string{"standard", "gp2", "gp3", "io1", "io2"}

func checkStorage(engine string, size *int32, kind *string) error {
	storageType := aws.Val(kind)
	if storageType == "" {
		storageType = "gp2"
	}
	if !slices.Contains(storageTypes, storageType) {
		return invalidValue("Invalid storage type: %s", storageType)
	}
	if size == nil {
		return missing("The request must contain the parameter AllocatedStorage.")
	}
	least := map[string]int32{"standard": 5, "io1": 100, "io2": 100}[storageType]
	if least == 0 {
		least = 20
	}
	if *size < least || *size > 65536 {
		return invalidValue("Invalid storage size for engine name %s and storage type %s: %d", engine, storageType, *size)
	}
	return nil
}

var (
	masterName   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)
	databaseName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*$`)
)

// reservedNames may not be a master user's.
var reservedNames = map[string][]string{
	"mysql":    {"rdsadmin", "rdsrepladmin", "rds_superuser_role", "mysql.sys", "mysql.session", "mysql.infoschema"},
	"mariadb":  {"rdsadmin", "rdsrepladmin", "mariadb.sys"},
	"postgres": {"rdsadmin", "rdsrepladmin", "admin", "postgres_admin", "rds_superuser"},
}

// newMaster checks name and password of a master user and keeps the password's
// verifier only.
func (s *Service) newMaster(engine, name, password string) (database.Master, error) {
	longest := map[string]int{"mysql": 32, "mariadb": 16, "postgres": 63}[engine]
	switch {
	case name == "":
		return database.Master{}, invalidValue("The parameter MasterUsername must be provided and must not be blank.")
	case len(name) > longest || !masterName.MatchString(name):
		return database.Master{}, invalidValue("The parameter MasterUsername is not a valid identifier. Identifiers must begin with a letter and contain from 1 to %d alphanumeric characters.", longest)
	case slices.Contains(reservedNames[engine], strings.ToLower(name)) || engine == "postgres" && strings.HasPrefix(name, "pg_"):
		return database.Master{}, invalidValue("MasterUsername %s cannot be used as it is a reserved word used by the engine", name)
	}
	verifier, err := s.verifier(engine, password)
	return database.Master{User: name, Verifier: verifier}, err
}

func (s *Service) verifier(engine, password string) (string, error) {
	longest := 41
	if engine == "postgres" {
		longest = 128
	}
	switch {
	case password == "":
		return "", invalidValue("The parameter MasterUserPassword must be provided and must not be blank.")
	case len(password) < 8:
		return "", invalidValue("The parameter MasterUserPassword is not a valid password because it is shorter than 8 characters.")
	case len(password) > longest:
		return "", invalidValue("The parameter MasterUserPassword is not a valid password because it is longer than %d characters.", longest)
	case strings.ContainsFunc(password, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`/@"`, r) }):
		return "", invalidValue("The parameter MasterUserPassword is not a valid password. Only printable ASCII characters besides '/', '@', '\"', ' ' may be used.")
	}
	verifier, err := s.Databases.Verifier(engine, password)
	if errors.Is(err, database.ErrNoEngine) {
		return "", aws.Errorf("InsufficientDBInstanceCapacity", "This machine has %v", err)
	}
	return verifier, err
}

func checkDatabaseName(engine, name string) error {
	if name == "" {
		return nil
	}
	longest := 64
	if engine == "postgres" {
		longest = 63
	}
	if len(name) > longest || !databaseName.MatchString(name) {
		return invalidValue("DBName must begin with a letter and contain only alphanumeric characters.")
	}
	return nil
}

// wish is what a request says about the place of an instance.
type wish struct {
	subnetGroup, zone string
	groups            []string
	public            *bool
}

// place finds subnet and security groups for an instance.
func (s *Service) place(ctx context.Context, p arn.Place, w wish, id string) (placement, error) {
	var out placement
	var err error
	if w.subnetGroup == "" {
		if out.group, err = s.defaultSubnetGroup(ctx, p); err != nil {
			return out, err
		}
		// AWS's rule for an instance in the default VPC: public, as it has a way out.
		out.public = true
	} else {
		var found bool
		if out.group, found, err = s.subnetGroups.Get(ctx, p.Account, p.Region, strings.ToLower(w.subnetGroup)); err != nil {
			return out, err
		}
		if !found {
			return out, noSubnetGroup(w.subnetGroup)
		}
	}
	if w.public != nil {
		out.public = *w.public
	}
	if out.subnet, err = chooseSubnet(out.group, w.zone, id); err != nil {
		return out, err
	}
	vpc := aws.Val(out.group.VpcId)
	if out.groups, err = s.securityGroups(ctx, p, vpc, w.groups); err != nil {
		return out, err
	}
	if out.public {
		err = s.checkPublicDNS(ctx, p, vpc)
	}
	return out, err
}

// chooseSubnet takes one of the zone that was asked for; else instances are
// spread by their names.
func chooseSubnet(group subnetGroup, zone, id string) (rdsapi.Subnet, error) {
	candidates := slices.Clone(group.Subnets)
	if zone != "" {
		candidates = slices.DeleteFunc(candidates, func(n rdsapi.Subnet) bool { return aws.Val(n.SubnetAvailabilityZone.Name) != zone })
		if len(candidates) == 0 {
			return rdsapi.Subnet{}, rdsapi.InvalidVPCNetworkStateFault("Cannot create a database instance in %s: the DB subnet group %s has no subnet there.", zone, aws.Val(group.DBSubnetGroupName))
		}
	}
	h := fnv.New32a()
	h.Write([]byte(id))
	return candidates[int(h.Sum32()%uint32(len(candidates)))], nil
}

// securityGroups checks that groups are in the VPC; without any it is the VPC's
// default one.
func (s *Service) securityGroups(ctx context.Context, p arn.Place, vpc string, wanted []string) ([]string, error) {
	in := &ec2api.DescribeSecurityGroupsInput{GroupIds: wanted}
	if len(wanted) == 0 {
		in.Filters = []ec2api.Filter{{Name: aws.Ptr("vpc-id"), Values: []string{vpc}}, {Name: aws.Ptr("group-name"), Values: []string{"default"}}}
	}
	out, err := s.EC2.DescribeSecurityGroups(as(ctx, p), in)
	if e := aws.AsError(err); err != nil && strings.HasPrefix(e.Code, "InvalidGroup") {
		return nil, invalidValue("Invalid security group , groupId= %s, groupName=.", strings.Join(wanted, ", "))
	}
	if err != nil {
		return nil, err
	}
	var found []string
	for _, g := range out.SecurityGroups {
		if aws.Val(g.VpcId) != vpc {
			return nil, invalidCombination("The DB instance and EC2 security group are in different VPCs. The DB instance is in %s and the EC2 security group is in %s", vpc, aws.Val(g.VpcId))
		}
		found = append(found, aws.Val(g.GroupId))
	}
	if len(found) == 0 {
		return nil, invalidValue("The VPC %s has no default security group.", vpc)
	}
	return found, nil
}

// checkPublicDNS: a public instance needs a VPC that gives names to public addresses.
func (s *Service) checkPublicDNS(ctx context.Context, p arn.Place, vpc string) error {
	support, err := s.EC2.DescribeVpcAttribute(as(ctx, p), &ec2api.DescribeVpcAttributeInput{VpcId: aws.Ptr(vpc), Attribute: aws.Ptr("enableDnsSupport")})
	if err != nil {
		return err
	}
	names, err := s.EC2.DescribeVpcAttribute(as(ctx, p), &ec2api.DescribeVpcAttributeInput{VpcId: aws.Ptr(vpc), Attribute: aws.Ptr("enableDnsHostnames")})
	if err != nil {
		return err
	}
	on := func(v *ec2api.AttributeBooleanValue) bool { return v != nil && aws.Val(v.Value) }
	if !on(support.EnableDnsSupport) || !on(names.EnableDnsHostnames) {
		return rdsapi.InvalidVPCNetworkStateFault("Cannot create a publicly accessible DBInstance.  The specified VPC does not support DNS resolution, DNS hostnames, or both. Update the VPC and then try again")
	}
	return nil
}

// defaultPort is an engine's.
func defaultPort(engine string) int32 {
	if engine == "postgres" {
		return 5432
	}
	return 3306
}

// newInstance makes the record of an instance that is to be made.
func (s *Service) newInstance(p arn.Place, id string, o order, in *rdsapi.CreateDBInstanceInput) (instance, error) {
	port := defaultPort(o.engine)
	if in.Port != nil {
		if port = *in.Port; port < 1150 || port > 65535 {
			return instance{}, invalidValue("The parameter Port must be between 1150 and 65535.")
		}
	}
	retention := int32(1)
	if in.BackupRetentionPeriod != nil {
		if retention = *in.BackupRetentionPeriod; retention < 0 || retention > 35 {
			return instance{}, invalidValue("Invalid backup retention period: %d. Retention period must be between 0 and 35.", retention)
		}
	}
	backup, maintenance, err := newWindows(in.PreferredBackupWindow, in.PreferredMaintenanceWindow)
	if err != nil {
		return instance{}, err
	}
	tags, err := mergeTags(nil, in.Tags)
	if err != nil {
		return instance{}, err
	}
	resource := ids.Base32(26)
	or := func(v *string, otherwise string) *string {
		if aws.Val(v) != "" {
			return v
		}
		return aws.Ptr(otherwise)
	}
	rec := instance{
		Goal: goalRunning, SubnetGroup: aws.Val(o.network.group.DBSubnetGroupName), ParameterGroup: o.parameterGroup, Subnet: aws.Val(o.network.subnet.SubnetIdentifier),
		Groups: o.network.groups, Port: uint16(port), Master: o.master, Server: strings.ToLower(resource),
		DBInstance: rdsapi.DBInstance{
			DBInstanceIdentifier: aws.Ptr(id), DBInstanceArn: aws.Ptr(p.DBInstance(id)), DbiResourceId: aws.Ptr("db-" + resource),
			DBInstanceStatus: aws.Ptr(statusCreating), InstanceCreateTime: s.now(),
			Engine: aws.Ptr(o.engine), EngineVersion: aws.Ptr(o.version.taken), DBInstanceClass: aws.Ptr(o.class.taken), LicenseModel: or(in.LicenseModel, licenseModel(o.engine)),
			AllocatedStorage: aws.Ptr(o.storage), StorageType: or(in.StorageType, "gp2"), Iops: in.Iops, StorageThroughput: in.StorageThroughput, MaxAllocatedStorage: in.MaxAllocatedStorage,
			MasterUsername: aws.Ptr(o.master.User), DBName: in.DBName, DbInstancePort: aws.Ptr(int32(0)),
			AvailabilityZone: o.network.subnet.SubnetAvailabilityZone.Name, PubliclyAccessible: aws.Ptr(o.network.public), DBSubnetGroup: &o.network.group.DBSubnetGroup,
			DBParameterGroups:      []rdsapi.DBParameterGroupStatus{{DBParameterGroupName: aws.Ptr(o.parameterGroup), ParameterApplyStatus: aws.Ptr("in-sync")}},
			OptionGroupMemberships: []rdsapi.OptionGroupMembership{{OptionGroupName: aws.Ptr("default:" + o.engine + "-" + strings.ReplaceAll(majorVersion(o.engine, o.version.taken), ".", "-")), Status: aws.Ptr("in-sync")}},
			VpcSecurityGroups:      memberships(o.network.groups),
			BackupRetentionPeriod:  aws.Ptr(retention), BackupTarget: aws.Ptr("region"),
			PreferredBackupWindow: backup, PreferredMaintenanceWindow: maintenance,
			AutoMinorVersionUpgrade: aws.Ptr(in.AutoMinorVersionUpgrade == nil || *in.AutoMinorVersionUpgrade), CopyTagsToSnapshot: aws.Ptr(aws.Val(in.CopyTagsToSnapshot)),
			DeletionProtection: aws.Ptr(aws.Val(in.DeletionProtection)), MultiAZ: aws.Ptr(false), StorageEncrypted: aws.Ptr(false), MonitoringInterval: aws.Ptr(int32(0)),
			IAMDatabaseAuthenticationEnabled: aws.Ptr(false), PerformanceInsightsEnabled: aws.Ptr(false), CustomerOwnedIpEnabled: aws.Ptr(false), DedicatedLogVolume: aws.Ptr(false),
			NetworkType: aws.Ptr("IPV4"), CACertificateIdentifier: or(in.CACertificateIdentifier, "rds-ca-rsa2048-g1"), PendingModifiedValues: &rdsapi.PendingModifiedValues{},
			TagList: tags, DBSecurityGroups: []rdsapi.DBSecurityGroupMembership{}, ReadReplicaDBInstanceIdentifiers: []string{},
		},
	}
	if o.snapshot != nil {
		rec.FromSnapshot = o.snapshot.Data
	}
	if o.engine == "postgres" && in.DBName == nil && o.snapshot == nil {
		rec.DBName = aws.Ptr("postgres")
	}
	return rec, nil
}

func memberships(groups []string) []rdsapi.VpcSecurityGroupMembership {
	out := []rdsapi.VpcSecurityGroupMembership{}
	for _, g := range groups {
		out = append(out, rdsapi.VpcSecurityGroupMembership{VpcSecurityGroupId: aws.Ptr(g), Status: aws.Ptr("active")})
	}
	return out
}

// addInstance writes a new record, if the name is free and the groups are still there.
func (s *Service) addInstance(ctx context.Context, p arn.Place, rec instance) error {
	id := rec.id()
	return store.Update(ctx, s.Store, func(tx *store.Tx) error {
		if _, found, err := s.instances.TxGet(tx, p.Account, p.Region, id); err != nil || found {
			if found {
				err = rdsapi.DBInstanceAlreadyExistsFault("DB instance already exists")
			}
			return err
		}
		group, found, err := s.subnetGroups.TxGet(tx, p.Account, p.Region, rec.SubnetGroup)
		if err != nil {
			return err
		}
		if !found {
			if rec.SubnetGroup != "default" {
				return noSubnetGroup(rec.SubnetGroup)
			}
			group = subnetGroup{DBSubnetGroup: *rec.DBSubnetGroup}
		}
		group.LastUser = rec.Server
		if err := s.subnetGroups.TxPut(tx, group, p.Account, p.Region, rec.SubnetGroup); err != nil {
			return err
		}
		if err := s.useParameterGroup(tx, p, rec); err != nil {
			return err
		}
		return s.instances.TxPut(tx, rec, p.Account, p.Region, id)
	})
}

// useParameterGroup notes in a group that an instance uses it, see LastUser.
func (s *Service) useParameterGroup(tx *store.Tx, p arn.Place, rec instance) error {
	if strings.HasPrefix(rec.ParameterGroup, "default.") {
		return nil
	}
	group, found, err := s.parameterGroups.TxGet(tx, p.Account, p.Region, rec.ParameterGroup)
	if err == nil && !found {
		err = noParameterGroup(rec.ParameterGroup)
	}
	if err != nil {
		return err
	}
	group.LastUser = rec.Server
	return s.parameterGroups.TxPut(tx, group, p.Account, p.Region, rec.ParameterGroup)
}

// announce says what is taken for what was asked for.
func (s *Service) announce(ctx context.Context, p arn.Place, id string, o order) {
	for _, c := range []choice{o.version, o.class} {
		if c.note != "" {
			s.tellInstance(ctx, p, id, "notification", "%s", c.note)
		}
	}
}
