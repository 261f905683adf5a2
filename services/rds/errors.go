package rds

import (
	"minato/aws"
	rdsapi "minato/aws/api/rds"
)

// RDS uses three codes that its model does not know.

func invalidValue(format string, args ...any) *aws.Error {
	return aws.Errorf("InvalidParameterValue", format, args...)
}

func invalidCombination(format string, args ...any) *aws.Error {
	return aws.Errorf("InvalidParameterCombination", format, args...)
}

func missing(format string, args ...any) *aws.Error {
	return aws.Errorf("MissingParameter", format, args...)
}

func noInstance(id string) *aws.Error {
	return rdsapi.DBInstanceNotFoundFault("DBInstance %s not found.", id)
}

func noSnapshot(id string) *aws.Error {
	return rdsapi.DBSnapshotNotFoundFault("DBSnapshot %s not found.", id)
}

func noSubnetGroup(id string) *aws.Error {
	return rdsapi.DBSubnetGroupNotFoundFault("DB subnet group '%s' does not exist.", id)
}

func noParameterGroup(id string) *aws.Error {
	return rdsapi.DBParameterGroupNotFoundFault("DBParameterGroup not found: %s", id)
}

// notServed refuses what would otherwise be a success for nothing.
func notServed(what string) *aws.Error {
	return invalidCombination("%s is not supported by minato: nothing here would do it. Leave it out, or set it to false.", what)
}
