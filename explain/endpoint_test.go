package explain

import (
	"slices"
	"testing"

	"minato/aws"
	"minato/aws/api/ec2"
)

func TestCalled(t *testing.T) {
	for reason, want := range map[string][]string{
		`… caused by: Post "https://api.ecr.us-east-1.amazonaws.com/": dial tcp 198.18.0.1:443: i/o timeout.`:                                          {"api.ecr.us-east-1"},
		`… failed to do request: Head "https://000000000000.dkr.ecr.us-east-1.amazonaws.com/v2/web/manifests/1": dial tcp 198.18.0.1:443: i/o timeout`: {"000000000000.dkr.ecr.us-east-1"},
		`… unable to retrieve secret from asm: service call has been retried 5 time(s)`:                                                                {"secretsmanager.us-east-1"},
		`… unable to retrieve secrets from ssm: service call has been retried 5 time(s)`:                                                               {"ssm.us-east-1"},
		`… failed to download env files: …`:  {"s3.us-east-1"},
		`Essential container in task exited`: nil,
	} {
		if got := called(reason, "us-east-1"); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", reason, got, want)
		}
	}
}

func TestLeadsTo(t *testing.T) {
	for _, c := range []struct {
		private, base, host string
		want                bool
	}{
		{"logs.us-east-1.amazonaws.com", "", "logs.us-east-1", true},
		{"logs.us-east-1.amazonaws.com", "", "sts.us-east-1", false},
		{"*.dkr.ecr.us-east-1.amazonaws.com", "", "000000000000.dkr.ecr.us-east-1", true},
		{"*.dkr.ecr.us-east-1.amazonaws.com", "", "dkr.ecr.us-east-1", false},
		{"", "s3.us-east-1.amazonaws.com", "s3.us-east-1", true},
		{"", "s3.us-east-1.amazonaws.com", "bucket.s3.us-east-1", true},
		{"", "s3.us-east-1.amazonaws.com", "logs.us-east-1", false},
	} {
		d := ec2.ServiceDetail{BaseEndpointDnsNames: []string{c.base}}
		if c.private != "" {
			d.PrivateDnsName = aws.Ptr(c.private)
		}
		if got := leadsTo(d, c.host); got != c.want {
			t.Errorf("%+v: %t", c, got)
		}
	}
}
