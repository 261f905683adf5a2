package rds

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"minato/aws"
	rdsapi "minato/aws/api/rds"
	"minato/aws/identity"
	"minato/dataplane/database"
)

// TestWorkshopWalls: three things of the template are retired; mending one shows
// the next.
func TestWorkshopWalls(t *testing.T) {
	w := newWorld(t)
	for _, family := range []string{"mysql5.7", "mysql8.0"} {
		_, err := w.CreateDBParameterGroup(w.ctx, &rdsapi.CreateDBParameterGroupInput{DBParameterGroupName: aws.Ptr(strings.ReplaceAll(family, ".", "-")), DBParameterGroupFamily: aws.Ptr(family), Description: aws.Ptr("utf8mb4")})
		if err != nil {
			t.Fatal(err)
		}
	}
	in := w.order()
	in.EngineVersion, in.DBInstanceClass, in.DBParameterGroupName = aws.Ptr("5.7.22"), aws.Ptr("db.t2.micro"), aws.Ptr("mysql5-7")
	_, err := w.CreateDBInstance(w.ctx, in)
	refused(t, err, "InvalidParameterCombination", "Cannot find version 5.7.22 for mysql")
	in.EngineVersion = aws.Ptr("8.0.43")
	_, err = w.CreateDBInstance(w.ctx, in)
	refused(t, err, "InvalidParameterCombination", "RDS does not support creating a DB instance with the following combination: DBInstanceClass=db.t2.micro, Engine=mysql, EngineVersion=8.0.43, LicenseModel=general-public-license.")
	in.DBInstanceClass = aws.Ptr("db.t3.micro")
	_, err = w.CreateDBInstance(w.ctx, in)
	refused(t, err, "InvalidParameterCombination", "The parameter group mysql5-7 with DBParameterGroupFamily mysql5.7 can't be used for this instance. Use a parameter group with DBParameterGroupFamily mysql8.0.")
	in.DBParameterGroupName = aws.Ptr("mysql8-0")
	db := w.create(in)
	if got := *db.Endpoint.Address; !strings.HasPrefix(got, "chat-db.") || !strings.HasSuffix(got, ".us-east-1.rds.amazonaws.com") || *db.Endpoint.Port != 3306 {
		t.Error(got, *db.Endpoint.Port)
	}
	if *db.Engine != "mysql" || *db.EngineVersion != "8.0.43" || *db.PubliclyAccessible || *db.DBParameterGroups[0].ParameterApplyStatus != "in-sync" {
		t.Errorf("%+v", db)
	}
	srv := w.databases.only(t)
	if srv.spec.Port != 3306 || srv.spec.Netns != "/run/netns/eni-1" || srv.spec.Memory != 1<<30 || srv.master != "verifier of chat-password" {
		t.Errorf("%+v", srv)
	}
	w.hears("chat-db", "MariaDB 10.11.6 stands in for MySQL 8.0.43", "DB instance created")
	names, err := w.Names(w.ctx)
	if err != nil || len(names) != 1 || names[0].Name != *db.Endpoint.Address || names[0].VPC != "vpc-1" || names[0].Private.String() != "10.0.2.11" || names[0].Public.IsValid() {
		t.Error(names, err)
	}
	// The password is nowhere, and what stood for it is gone once the server has it.
	recs, _, err := w.Store.List(w.ctx, "", storeAll)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range recs {
		if strings.Contains(string(r.Value), "chat-password") {
			t.Errorf("%s holds the password: %s", r.Key, r.Value)
		}
	}
	_, err = w.DeleteDBInstance(w.ctx, &rdsapi.DeleteDBInstanceInput{DBInstanceIdentifier: aws.Ptr("chat-db"), SkipFinalSnapshot: aws.Ptr(true)})
	if err != nil {
		t.Fatal(err)
	}
	w.gone("chat-db")
	if len(w.ec2.interfaces) != 0 || len(w.databases.servers) != 0 {
		t.Error("left:", w.ec2.interfaces, w.databases.servers)
	}
}

func TestAcceptRetired(t *testing.T) {
	w := newWorld(t)
	w.AcceptRetired = true
	in := w.order()
	in.EngineVersion, in.DBInstanceClass = aws.Ptr("5.7.22"), aws.Ptr("db.t2.micro")
	db := w.create(in)
	if majorVersion("mysql", *db.EngineVersion) != "5.7" || *db.DBInstanceClass != "db.t2.micro" {
		t.Error(*db.EngineVersion)
	}
	w.hears("chat-db", "EngineVersion 5.7.22 is retired", "db.t2.micro is retired")
}

func TestRefusals(t *testing.T) {
	w := newWorld(t)
	w.create(w.order())
	with := func(f func(*rdsapi.CreateDBInstanceInput)) *rdsapi.CreateDBInstanceInput {
		in := w.order()
		in.DBInstanceIdentifier = aws.Ptr("other")
		f(in)
		return in
	}
	type input = *rdsapi.CreateDBInstanceInput
	for _, c := range []struct {
		in         input
		code, text string
	}{
		{w.order(), "DBInstanceAlreadyExists", "DB instance already exists"},
		{with(func(in input) { in.DBInstanceIdentifier = aws.Ptr("9x") }), "InvalidParameterValue", "The parameter DBInstanceIdentifier is not a valid identifier."},
		{with(func(in input) { in.Engine = aws.Ptr("mssql") }), "InvalidParameterValue", "Invalid DB engine"},
		{with(func(in input) { in.Engine = aws.Ptr("oracle-ee") }), "InvalidParameterValue", "not oracle-ee"},
		{with(func(in input) { in.DBInstanceClass = aws.Ptr("t3.micro") }), "InvalidParameterValue", "Invalid DB Instance class: t3.micro"},
		{with(func(in input) { in.AllocatedStorage = aws.Ptr(int32(5)) }), "InvalidParameterValue", "Invalid storage size for engine name mysql and storage type gp2: 5"},
		{with(func(in input) { in.AllocatedStorage = nil }), "MissingParameter", "AllocatedStorage"},
		{with(func(in input) { in.MasterUserPassword = aws.Ptr("short") }), "InvalidParameterValue", "shorter than 8 characters"},
		{with(func(in input) { in.MasterUserPassword = aws.Ptr("with a space") }), "InvalidParameterValue", "Only printable ASCII"},
		{with(func(in input) { in.MasterUsername = aws.Ptr("rdsadmin") }), "InvalidParameterValue", "reserved word"},
		{with(func(in input) { in.DBSubnetGroupName = aws.Ptr("none") }), "DBSubnetGroupNotFoundFault", "DB subnet group 'none' does not exist."},
		{with(func(in input) { in.DBParameterGroupName = aws.Ptr("none") }), "DBParameterGroupNotFound", "DBParameterGroup not found: none"},
		{with(func(in input) { in.VpcSecurityGroupIds = []string{"sg-other"} }), "InvalidParameterCombination", "are in different VPCs"},
		{with(func(in input) { in.VpcSecurityGroupIds = []string{"sg-none"} }), "InvalidParameterValue", "Invalid security group , groupId= sg-none"},
		{with(func(in input) { in.PubliclyAccessible = aws.Ptr(true) }), "InvalidVPCNetworkStateFault", "DNS hostnames"},
		{with(func(in input) { in.MultiAZ = aws.Ptr(true) }), "InvalidParameterCombination", "MultiAZ is not supported"},
		{with(func(in input) { in.StorageEncrypted = aws.Ptr(true) }), "InvalidParameterCombination", "StorageEncrypted is not supported"},
		{with(func(in input) { in.Timezone = aws.Ptr("UTC") }), "InvalidParameterCombination", "Timezone is not supported"},
		{with(func(in input) { in.DatabaseInsightsMode = aws.Ptr("advanced") }), "InvalidParameterCombination", "DatabaseInsightsMode advanced is not supported"},
		{with(func(in input) { in.MasterUserAuthenticationType = aws.Ptr("iam-db-auth") }), "InvalidParameterCombination", "MasterUserAuthenticationType iam-db-auth is not supported"},
	} {
		_, err := w.CreateDBInstance(w.ctx, c.in)
		refused(t, err, c.code, c.text)
	}
	_, err := w.ModifyDBInstance(w.ctx, &rdsapi.ModifyDBInstanceInput{DBInstanceIdentifier: w.order().DBInstanceIdentifier, RotateMasterUserPassword: aws.Ptr(true)})
	refused(t, err, "InvalidParameterCombination", "RotateMasterUserPassword is not supported")
	_, err = w.CreateDBSubnetGroup(w.ctx, &rdsapi.CreateDBSubnetGroupInput{DBSubnetGroupName: aws.Ptr("one"), DBSubnetGroupDescription: aws.Ptr("d"), SubnetIds: []string{"subnet-a"}})
	refused(t, err, "DBSubnetGroupDoesNotCoverEnoughAZs", "The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement. Current AZ coverage: us-east-1a. Add subnets to cover at least 2 AZs.")
	_, err = w.CreateDBSubnetGroup(w.ctx, &rdsapi.CreateDBSubnetGroupInput{DBSubnetGroupName: aws.Ptr("two"), DBSubnetGroupDescription: aws.Ptr("d"), SubnetIds: []string{"subnet-a", "subnet-x"}})
	refused(t, err, "InvalidSubnet", "not in the same Vpc")
	_, err = w.CreateDBSubnetGroup(w.ctx, &rdsapi.CreateDBSubnetGroupInput{DBSubnetGroupName: aws.Ptr("no"), DBSubnetGroupDescription: aws.Ptr("d"), SubnetIds: []string{"subnet-no"}})
	refused(t, err, "InvalidParameterValue", "Some input subnets in :[subnet-no] are invalid.")
	_, err = w.DeleteDBSubnetGroup(w.ctx, &rdsapi.DeleteDBSubnetGroupInput{DBSubnetGroupName: aws.Ptr("chat-db")})
	refused(t, err, "InvalidDBSubnetGroupStateFault", "chat-db is still using it")
	_, err = w.DeleteDBInstance(w.ctx, &rdsapi.DeleteDBInstanceInput{DBInstanceIdentifier: aws.Ptr("chat-db")})
	refused(t, err, "InvalidParameterCombination", "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.")
	_, err = w.StartDBInstance(w.ctx, &rdsapi.StartDBInstanceInput{DBInstanceIdentifier: aws.Ptr("chat-db")})
	refused(t, err, "InvalidDBInstanceState", "not in stopped state")
	_, err = w.ModifyDBParameterGroup(w.ctx, &rdsapi.ModifyDBParameterGroupInput{DBParameterGroupName: aws.Ptr("default.mysql8.0")})
	refused(t, err, "InvalidParameterValue", "DBParameterGroupName is not a valid identifier")
}

func TestLife(t *testing.T) {
	w := newWorld(t)
	w.ec2.dnsNames = true
	w.create(w.order())
	id := aws.Ptr("chat-db")
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(w.StopDBInstance(w.ctx, &rdsapi.StopDBInstanceInput{DBInstanceIdentifier: id}))
	w.reach(*id, "stopped")
	if w.databases.only(t).running {
		t.Error("stopped, and runs")
	}
	must(w.StartDBInstance(w.ctx, &rdsapi.StartDBInstanceInput{DBInstanceIdentifier: id}))
	w.reach(*id, "available")
	must(w.RebootDBInstance(w.ctx, &rdsapi.RebootDBInstanceInput{DBInstanceIdentifier: id}))
	w.reach(*id, "available")
	if n := w.databases.only(t).starts; n != 3 {
		t.Errorf("started %d times", n)
	}

	// Groups, address and password: at once, without a restart.
	must(w.ModifyDBInstance(w.ctx, &rdsapi.ModifyDBInstanceInput{DBInstanceIdentifier: id, VpcSecurityGroupIds: []string{"sg-default"}, PubliclyAccessible: aws.Ptr(true), MasterUserPassword: aws.Ptr("other-password")}))
	w.reach(*id, "available")
	if srv := w.databases.only(t); srv.master != "verifier of other-password" || srv.starts != 3 {
		t.Errorf("%+v", srv)
	}
	if eni := w.ec2.interfaces["eni-1"]; *eni.Groups[0].GroupId != "sg-default" || eni.Association == nil {
		t.Errorf("%+v", eni)
	}
	if names, err := w.Names(w.ctx); err != nil || names[0].Public.String() != "198.18.0.77" {
		t.Error(names, err)
	}

	// A class waits for its window, unless it is to be at once.
	out, err := w.ModifyDBInstance(w.ctx, &rdsapi.ModifyDBInstanceInput{DBInstanceIdentifier: id, DBInstanceClass: aws.Ptr("db.t3.small"), PreferredMaintenanceWindow: aws.Ptr(farWindow(w.Clock.Now()))})
	must(out, err)
	if *out.DBInstance.DBInstanceClass != "db.t3.micro" || *out.DBInstance.PendingModifiedValues.DBInstanceClass != "db.t3.small" {
		t.Errorf("%+v", out.DBInstance)
	}
	must(w.ModifyDBInstance(w.ctx, &rdsapi.ModifyDBInstanceInput{DBInstanceIdentifier: id, ApplyImmediately: aws.Ptr(true)}))
	w.until(*id, "of the new class", func(i rdsapi.DBInstance) bool {
		return *i.DBInstanceClass == "db.t3.small" && *i.DBInstanceStatus == "available"
	})
	if srv := w.databases.only(t); srv.starts != 4 || srv.spec.Memory != 2<<30 {
		t.Errorf("%+v", srv)
	}

	// The process ends by itself.
	rec, _, err := w.instances.Get(w.ctx, "000000000000", "us-east-1", "chat-db")
	must(rec, err)
	w.databases.mu.Lock()
	w.databases.servers[rec.Server].running = false
	w.databases.mu.Unlock()
	w.databases.changes <- rec.Server
	w.until(*id, "recovered", func(i rdsapi.DBInstance) bool {
		return w.databases.only(t).running && *i.DBInstanceStatus == "available"
	})
	w.hears(*id, "Recovery of the DB instance has started")

	// Deletion protection, final snapshot, restore.
	must(w.ModifyDBInstance(w.ctx, &rdsapi.ModifyDBInstanceInput{DBInstanceIdentifier: id, DeletionProtection: aws.Ptr(true)}))
	_, err = w.DeleteDBInstance(w.ctx, &rdsapi.DeleteDBInstanceInput{DBInstanceIdentifier: id, SkipFinalSnapshot: aws.Ptr(true)})
	refused(t, err, "InvalidParameterCombination", "Cannot delete protected DB Instance")
	must(w.ModifyDBInstance(w.ctx, &rdsapi.ModifyDBInstanceInput{DBInstanceIdentifier: id, DeletionProtection: aws.Ptr(false)}))
	must(w.DeleteDBInstance(w.ctx, &rdsapi.DeleteDBInstanceInput{DBInstanceIdentifier: id, FinalDBSnapshotIdentifier: aws.Ptr("Last")}))
	w.gone(*id)
	snaps, err := w.DescribeDBSnapshots(w.ctx, &rdsapi.DescribeDBSnapshotsInput{DBSnapshotIdentifier: aws.Ptr("last")})
	must(snaps, err)
	if s := snaps.DBSnapshots[0]; *s.Status != "available" || *s.PercentProgress != 100 || *s.MasterUsername != "root" {
		t.Errorf("%+v", s)
	}
	_, larger := w.RestoreDBInstanceFromDBSnapshot(w.ctx, &rdsapi.RestoreDBInstanceFromDBSnapshotInput{DBInstanceIdentifier: aws.Ptr("again"), DBSnapshotIdentifier: aws.Ptr("last"), AllocatedStorage: aws.Ptr(int32(1000))})
	refused(t, larger, "InvalidParameterCombination", "AllocatedStorage of a restoration is not supported")
	must(w.RestoreDBInstanceFromDBSnapshot(w.ctx, &rdsapi.RestoreDBInstanceFromDBSnapshotInput{DBInstanceIdentifier: aws.Ptr("again"), DBSnapshotIdentifier: aws.Ptr("last"), DBSubnetGroupName: aws.Ptr("chat-db")}))
	w.reach("again", "available")
	if srv := w.databases.only(t); srv.spec.Snapshot == "" || srv.master != "" || srv.spec.Master.User != "root" {
		t.Errorf("%+v", srv)
	}
	must(w.DeleteDBSnapshot(w.ctx, &rdsapi.DeleteDBSnapshotInput{DBSnapshotIdentifier: aws.Ptr("last")}))
	if len(w.databases.snapshots) != 0 {
		t.Error("data is left:", w.databases.snapshots)
	}
}

func TestParameters(t *testing.T) {
	w := newWorld(t)
	name := aws.Ptr("chat")
	_, err := w.CreateDBParameterGroup(w.ctx, &rdsapi.CreateDBParameterGroupInput{DBParameterGroupName: name, DBParameterGroupFamily: aws.Ptr("mysql8.0"), Description: aws.Ptr("d")})
	if err != nil {
		t.Fatal(err)
	}
	set := func(parameter, value, method string) error {
		_, err := w.ModifyDBParameterGroup(w.ctx, &rdsapi.ModifyDBParameterGroupInput{DBParameterGroupName: name, Parameters: []rdsapi.Parameter{{ParameterName: &parameter, ParameterValue: &value, ApplyMethod: &method}}})
		return err
	}
	refused(t, set("no_such_parameter", "1", "immediate"), "InvalidParameterValue", "Could not find parameter with name: no_such_parameter")
	refused(t, set("datadir", "/", "pending-reboot"), "InvalidParameterValue", "The parameter datadir cannot be modified.")
	refused(t, set("max_connections", "0", "immediate"), "InvalidParameterValue", "Invalid parameter value: 0 for: max_connections allowed values are: 10-100000")
	refused(t, set("max_connections", "many", "immediate"), "InvalidParameterValue", "Invalid parameter value: many")
	refused(t, set("max_connections", "{NoSuchThing}", "immediate"), "InvalidParameterValue", "cannot be read")
	refused(t, set("performance_schema", "1", "immediate"), "InvalidParameterCombination", "cannot use immediate apply method for static parameter")
	for _, c := range [][3]string{
		{"character_set_server", "utf8mb4", "immediate"},
		{"innodb_buffer_pool_size", "{DBInstanceClassMemory*3/4}", "pending-reboot"},
		{"innodb_dedicated_server", "1", "pending-reboot"},
	} {
		if err := set(c[0], c[1], c[2]); err != nil {
			t.Fatal(err)
		}
	}
	in := w.order()
	in.DBParameterGroupName = name
	w.create(in)
	if got := w.databases.only(t).spec.Parameters; got["innodb_buffer_pool_size"] != fmt.Sprint(3<<28) || got["character_set_server"] != "utf8mb4" {
		t.Error(got)
	}
	w.hears("chat-db", "the parameter innodb_dedicated_server is not applied: MariaDB has no such variable")
	if err := set("long_query_time", "3", "immediate"); err != nil {
		t.Fatal(err)
	}
	w.until("chat-db", "in sync", func(rdsapi.DBInstance) bool { return w.databases.only(t).values["long_query_time"] == "3" })
	if err := set("max_connections", "77", "pending-reboot"); err != nil {
		t.Fatal(err)
	}
	pending := func(i rdsapi.DBInstance) bool {
		return *i.DBParameterGroups[0].ParameterApplyStatus == "pending-reboot"
	}
	w.until("chat-db", "pending-reboot", pending)
	if w.databases.only(t).values["max_connections"] == "77" {
		t.Error("set without a reboot")
	}
	if _, err := w.RebootDBInstance(w.ctx, &rdsapi.RebootDBInstanceInput{DBInstanceIdentifier: aws.Ptr("chat-db")}); err != nil {
		t.Fatal(err)
	}
	w.until("chat-db", "in sync", func(i rdsapi.DBInstance) bool { return !pending(i) && *i.DBInstanceStatus == "available" })
	if got := w.databases.only(t).spec.Parameters["max_connections"]; got != "77" {
		t.Error(got)
	}
	out, err := w.DescribeDBParameters(w.ctx, &rdsapi.DescribeDBParametersInput{DBParameterGroupName: name, Source: aws.Ptr("user")})
	if err != nil || len(out.Parameters) != 5 {
		t.Error(out, err)
	}
	if _, err := w.ResetDBParameterGroup(w.ctx, &rdsapi.ResetDBParameterGroupInput{DBParameterGroupName: name, ResetAllParameters: aws.Ptr(true)}); err != nil {
		t.Fatal(err)
	}
	w.until("chat-db", "pending-reboot", pending)
	_, err = w.DeleteDBParameterGroup(w.ctx, &rdsapi.DeleteDBParameterGroupInput{DBParameterGroupName: name})
	refused(t, err, "InvalidDBParameterGroupState", "still members of this parameter group chat")

	all := 0
	for marker := (*string)(nil); ; {
		out, err := w.DescribeDBParameters(w.ctx, &rdsapi.DescribeDBParametersInput{DBParameterGroupName: aws.Ptr("default.postgres15"), Marker: marker})
		if err != nil {
			t.Fatal(err)
		}
		all += len(out.Parameters)
		if marker = out.Marker; marker == nil {
			break
		}
	}
	if all != len(engineParameters["postgres"]) {
		t.Errorf("%d of %d parameters on the pages", all, len(engineParameters["postgres"]))
	}
}

func TestServerThatDoesNotStart(t *testing.T) {
	w := newWorld(t)
	name := aws.Ptr("bad")
	if _, err := w.CreateDBParameterGroup(w.ctx, &rdsapi.CreateDBParameterGroupInput{DBParameterGroupName: name, DBParameterGroupFamily: aws.Ptr("mysql8.0"), Description: aws.Ptr("d")}); err != nil {
		t.Fatal(err)
	}
	change := func(value string) {
		t.Helper()
		_, err := w.ModifyDBParameterGroup(w.ctx, &rdsapi.ModifyDBParameterGroupInput{DBParameterGroupName: name, Parameters: []rdsapi.Parameter{{ParameterName: aws.Ptr("max_connections"), ParameterValue: aws.Ptr(value), ApplyMethod: aws.Ptr("pending-reboot")}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	change("66")
	w.databases.refuse = func(s database.Server) error {
		if s.Parameters["max_connections"] == "66" {
			return errors.New("it ended with code 7")
		}
		return nil
	}
	in := w.order()
	in.DBParameterGroupName = name
	if _, err := w.CreateDBInstance(w.ctx, in); err != nil {
		t.Fatal(err)
	}
	w.reach("chat-db", "incompatible-parameters")
	w.hears("chat-db", "it ended with code 7")
	change("67")
	w.reach("chat-db", "available")
}

// TestInterfaceIsMadeOnce: a crash between the interface and its record must not
// leave it behind.
func TestInterfaceIsMadeOnce(t *testing.T) {
	w := newWorld(t)
	w.create(w.order())
	rec, _, err := w.instances.Get(w.ctx, "000000000000", "us-east-1", "chat-db")
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.instances.Update(w.ctx, func(rec *instance) error {
		rec.Interface, rec.DBInstanceStatus = observedInterface{}, aws.Ptr(statusCreating)
		return nil
	}, "000000000000", "us-east-1", "chat-db")
	if err != nil {
		t.Fatal(err)
	}
	w.reach("chat-db", "available")
	again, _, err := w.instances.Get(w.ctx, "000000000000", "us-east-1", "chat-db")
	if err != nil || again.Interface.ID != rec.Interface.ID {
		t.Error(again.Interface, err)
	}
	w.ec2.mu.Lock()
	defer w.ec2.mu.Unlock()
	if len(w.ec2.interfaces) != 1 {
		t.Error(w.ec2.interfaces)
	}
}

func TestNoServerProgram(t *testing.T) {
	w := newWorld(t)
	w.databases.none = true
	if _, err := w.CreateDBInstance(w.ctx, w.order()); err != nil {
		t.Fatal(err)
	}
	w.reach("chat-db", "failed")
	if _, err := w.DeleteDBInstance(w.ctx, &rdsapi.DeleteDBInstanceInput{DBInstanceIdentifier: aws.Ptr("chat-db"), SkipFinalSnapshot: aws.Ptr(true)}); err != nil {
		t.Fatal(err)
	}
	w.gone("chat-db")
}

func TestTagsAndChecks(t *testing.T) {
	w := newWorld(t)
	in := w.order()
	in.Tags = []rdsapi.Tag{{Key: aws.Ptr("team"), Value: aws.Ptr("a")}}
	db := w.create(in)
	if _, err := w.AddTagsToResource(w.ctx, &rdsapi.AddTagsToResourceInput{ResourceName: db.DBInstanceArn, Tags: []rdsapi.Tag{{Key: aws.Ptr("team"), Value: aws.Ptr("b")}, {Key: aws.Ptr("x"), Value: aws.Ptr("y")}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.RemoveTagsFromResource(w.ctx, &rdsapi.RemoveTagsFromResourceInput{ResourceName: db.DBInstanceArn, TagKeys: []string{"x"}}); err != nil {
		t.Fatal(err)
	}
	out, err := w.ListTagsForResource(w.ctx, &rdsapi.ListTagsForResourceInput{ResourceName: db.DBInstanceArn})
	if err != nil || len(out.TagList) != 1 || *out.TagList[0].Value != "b" {
		t.Error(out, err)
	}
	_, err = w.ListTagsForResource(w.ctx, &rdsapi.ListTagsForResourceInput{ResourceName: aws.Ptr("arn:aws:rds:us-east-1:000000000000:db:none")})
	refused(t, err, "DBInstanceNotFound", "none")

	checks := w.checks(w.ctx, rdsapi.Model.Operations["CreateDBInstance"], in)
	if len(checks) != 2 || checks[0].Resource != "arn:aws:rds:us-east-1:000000000000:db:chat-db" || checks[1].Resource != "arn:aws:rds:us-east-1:000000000000:subgrp:chat-db" {
		t.Errorf("%+v", checks)
	}
	if got := checks[0].Context; got["aws:RequestTag/team"][0] != "a" || got["aws:ResourceTag/team"][0] != "b" || got["rds:DatabaseEngine"][0] != "mysql" {
		t.Error(got)
	}
	// Another region and account see nothing of it.
	other := identity.With(t.Context(), identity.Caller{Account: "111111111111", Region: "us-east-1"})
	if all, err := w.DescribeDBInstances(other, &rdsapi.DescribeDBInstancesInput{}); err != nil || len(all.DBInstances) != 0 {
		t.Error(all, err)
	}
}

func TestVersions(t *testing.T) {
	w := newWorld(t)
	out, err := w.DescribeDBEngineVersions(w.ctx, &rdsapi.DescribeDBEngineVersionsInput{Engine: aws.Ptr("mysql"), EngineVersion: aws.Ptr("8.0"), DefaultOnly: aws.Ptr(true)})
	if err != nil || len(out.DBEngineVersions) != 1 || *out.DBEngineVersions[0].DBParameterGroupFamily != "mysql8.0" || *out.DBEngineVersions[0].EngineVersion != newestOf("mysql", "8.0") {
		t.Error(out, err)
	}
	options, err := w.DescribeOrderableDBInstanceOptions(w.ctx, &rdsapi.DescribeOrderableDBInstanceOptionsInput{Engine: aws.Ptr("mysql"), EngineVersion: aws.Ptr("8.0.43"), DBInstanceClass: aws.Ptr("db.t3.micro"), MaxRecords: aws.Ptr(int32(1000))})
	if err != nil || len(options.OrderableDBInstanceOptions) != len(storageTypes) {
		t.Error(options, err)
	}
	options, err = w.DescribeOrderableDBInstanceOptions(w.ctx, &rdsapi.DescribeOrderableDBInstanceOptionsInput{Engine: aws.Ptr("mysql"), DBInstanceClass: aws.Ptr("db.t2.micro")})
	if err != nil || len(options.OrderableDBInstanceOptions) != 0 {
		t.Error("retired, and offered:", options, err)
	}
}
