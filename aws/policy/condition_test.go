package policy

import "testing"

func TestConditions(t *testing.T) {
	keys := keysOf(map[string][]string{
		"aws:sourceip":         {"10.0.2.7"},
		"aws:currenttime":      {"2026-05-01T10:00:00Z"},
		"aws:epochtime":        {"1777629600"},
		"aws:securetransport":  {"false"},
		"aws:username":         {"Learner"},
		"aws:requestedregion":  {"us-east-1"},
		"aws:principalarn":     {"arn:aws:iam::000000000000:user/team/learner"},
		"aws:tagkeys":          {"a", "b"},
		"s3:max-keys":          {"10"},
		"x:blob":               {"QUJD"},
		"aws:principaltag/dep": {"eng"},
	})
	for _, c := range []struct {
		condition string
		want      bool
	}{
		{`{"StringEquals":{"aws:RequestedRegion":"us-east-1"}}`, true},
		{`{"StringEquals":{"AWS:requestedregion":["eu-west-1","us-east-1"]}}`, true},
		{`{"StringEquals":{"aws:RequestedRegion":"US-EAST-1"}}`, false},
		{`{"StringEqualsIgnoreCase":{"aws:RequestedRegion":"US-EAST-1"}}`, true},
		{`{"StringNotEquals":{"aws:RequestedRegion":["eu-west-1","us-east-1"]}}`, false},
		{`{"StringNotEquals":{"aws:Absent":"x"}}`, true},
		{`{"StringEquals":{"aws:Absent":"x"}}`, false},
		{`{"StringEqualsIfExists":{"aws:Absent":"x"}}`, true},
		{`{"StringEqualsIfExists":{"aws:RequestedRegion":"x"}}`, false},
		{`{"StringLike":{"aws:RequestedRegion":"us-*-?"}}`, true},
		{`{"StringNotLike":{"aws:RequestedRegion":"us-*"}}`, false},
		{`{"StringEquals":{"aws:RequestedRegion":"us-*"}}`, false},
		{`{"StringEquals":{"aws:username":"${aws:username}"}}`, true},
		{`{"StringLike":{"aws:PrincipalArn":"*/${aws:PrincipalTag/dep}/*"}}`, false},
		{`{"NumericLessThanEquals":{"s3:max-keys":"10"}}`, true},
		{`{"NumericLessThan":{"s3:max-keys":10}}`, false},
		{`{"NumericGreaterThan":{"s3:max-keys":"9.5"}}`, true},
		{`{"NumericNotEquals":{"s3:max-keys":"10"}}`, false},
		{`{"NumericEquals":{"aws:username":"10"}}`, false},
		{`{"DateGreaterThan":{"aws:CurrentTime":"2026-04-30T00:00:00Z"}}`, true},
		{`{"DateLessThan":{"aws:CurrentTime":"2026-05-01"}}`, false},
		{`{"DateEquals":{"aws:EpochTime":"1777629600"}}`, true},
		{`{"DateLessThanEquals":{"aws:EpochTime":1777629600}}`, true},
		{`{"Bool":{"aws:SecureTransport":"false"}}`, true},
		{`{"Bool":{"aws:SecureTransport":true}}`, false},
		{`{"BinaryEquals":{"x:blob":"QUJD"}}`, true},
		{`{"BinaryEquals":{"x:blob":"QUJE"}}`, false},
		{`{"IpAddress":{"aws:SourceIp":["192.0.2.0/24","10.0.0.0/16"]}}`, true},
		{`{"IpAddress":{"aws:SourceIp":"10.0.2.7"}}`, true},
		{`{"NotIpAddress":{"aws:SourceIp":"10.0.0.0/16"}}`, false},
		{`{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/team/*"}}`, true},
		{`{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::000000000000:user/*"}}`, true},
		{`{"ArnLike":{"aws:PrincipalArn":"arn:aws:*:000000000000:user/team/learner:x"}}`, false},
		{`{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/*"}}`, true},
		{`{"Null":{"aws:Absent":"true"}}`, true},
		{`{"Null":{"aws:username":"true"}}`, false},
		{`{"Null":{"aws:username":false}}`, true},
		{`{"ForAllValues:StringEquals":{"aws:TagKeys":["a","b","c"]}}`, true},
		{`{"ForAllValues:StringEquals":{"aws:TagKeys":["a"]}}`, false},
		{`{"ForAllValues:StringEquals":{"aws:Absent":["a"]}}`, true},
		{`{"ForAnyValue:StringEquals":{"aws:TagKeys":["b"]}}`, true},
		{`{"ForAnyValue:StringEquals":{"aws:TagKeys":["c"]}}`, false},
		{`{"ForAnyValue:StringEquals":{"aws:Absent":["a"]}}`, false},
		{`{"ForAnyValue:StringNotEquals":{"aws:TagKeys":["a"]}}`, true},
		{`{"ForAllValues:StringNotLike":{"aws:TagKeys":["a*"]}}`, false},
		{`{"StringEquals":{"aws:RequestedRegion":"us-east-1"},"Bool":{"aws:SecureTransport":"true"}}`, false},
		{`{"StringEquals":{"aws:RequestedRegion":"us-east-1","aws:username":"Learner"}}`, true},
		{`{"StringEquals":{"aws:RequestedRegion":"us-east-1","aws:username":"other"}}`, false},
	} {
		set := &Set{Identity: identityOf(t, `{"Effect":"Allow","Action":"*","Resource":"*","Condition":`+c.condition+`}`)}
		if got := Evaluate(set, &Request{Action: "ecs:RunTask", Resource: "*", Lookup: keys}).Allowed; got != c.want {
			t.Errorf("%s: %v", c.condition, got)
		}
	}
}
