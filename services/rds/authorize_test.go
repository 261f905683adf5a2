package rds

import (
	"slices"
	"testing"

	"minato/aws"
	rdsapi "minato/aws/api/rds"
	"minato/aws/arn"
)

// TestAbout: IAM is asked about the thing that the operation would touch, also
// when it is given by an ARN that says it is elsewhere.
func TestAbout(t *testing.T) {
	p := arn.In("us-east-1", "000000000000")
	for name, want := range map[string]string{
		"Prod": p.DBInstance("prod"),
		"arn:aws:rds:us-east-1:000000000000:db:prod": p.DBInstance("prod"),
		"arn:aws:rds:eu-west-1:111122223333:db:prod": p.DBInstance("prod"),
	} {
		if got := about(p, &rdsapi.DeleteDBInstanceInput{DBInstanceIdentifier: aws.Ptr(name)}); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: asked about %v", name, got)
		}
	}
}
