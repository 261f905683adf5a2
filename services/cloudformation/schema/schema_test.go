package schema

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// TestAll reads every schema that is committed.
func TestAll(t *testing.T) {
	if len(Types()) < 25 {
		t.Errorf("only %d types", len(Types()))
	}
	for _, name := range Types() {
		if s := Lookup(name); s == nil || s.TypeName != name || len(s.Properties) == 0 || len(s.PrimaryIdentifier) == 0 {
			t.Errorf("%s: %+v", name, s)
		}
	}
	if Lookup("AWS::Moon::Base") != nil || Lookup("../x") != nil {
		t.Error("a type that is not served has a schema")
	}
}

func TestNormalize(t *testing.T) {
	for name, c := range map[string]struct {
		typ      string
		in       map[string]any
		want     map[string]any
		problems string
	}{
		"strings for numbers and booleans": {"AWS::EC2::VPC", map[string]any{"CidrBlock": "10.0.0.0/16", "EnableDnsSupport": "true"}, map[string]any{"CidrBlock": "10.0.0.0/16", "EnableDnsSupport": true}, ""},
		"YAML 1.1's booleans":              {"AWS::EC2::Subnet", map[string]any{"VpcId": "v", "MapPublicIpOnLaunch": "yes", "EnableDns64": "Off"}, map[string]any{"VpcId": "v", "MapPublicIpOnLaunch": true, "EnableDns64": false}, ""},
		"no boolean":                       {"AWS::EC2::Subnet", map[string]any{"VpcId": "v", "MapPublicIpOnLaunch": "maybe"}, nil, "#/MapPublicIpOnLaunch: expected type: Boolean, found: String"},
		"numbers for strings":              {"AWS::RDS::DBInstance", map[string]any{"AllocatedStorage": json.Number("20")}, map[string]any{"AllocatedStorage": "20"}, ""},
		"nested": {
			"AWS::EC2::SecurityGroup",
			map[string]any{"GroupDescription": "x", "SecurityGroupIngress": []any{map[string]any{"IpProtocol": json.Number("6"), "FromPort": "80"}}},
			map[string]any{"GroupDescription": "x", "SecurityGroupIngress": []any{map[string]any{"IpProtocol": "6", "FromPort": json.Number("80")}}},
			"",
		},
		"unknown values":  {"AWS::EC2::Subnet", map[string]any{"VpcId": Unknown{}, "MapPublicIpOnLaunch": Unknown{}}, map[string]any{"VpcId": Unknown{}, "MapPublicIpOnLaunch": Unknown{}}, ""},
		"unknown name":    {"AWS::EC2::VPC", map[string]any{"Cidr": "x"}, nil, "#: extraneous key [Cidr] is not permitted"},
		"nested unknown":  {"AWS::EC2::VPC", map[string]any{"Tags": []any{map[string]any{"Key": "a", "Value": "b", "Colour": "c"}}}, nil, "#/Tags/0: extraneous key [Colour] is not permitted"},
		"required":        {"AWS::EC2::Subnet", map[string]any{}, nil, "#: required key [VpcId] not found"},
		"read only":       {"AWS::EC2::Subnet", map[string]any{"VpcId": "v", "SubnetId": "x"}, nil, "#: extraneous key [SubnetId] is not permitted"},
		"not a number":    {"AWS::EC2::SecurityGroupIngress", map[string]any{"IpProtocol": "tcp", "FromPort": "many"}, nil, "#/FromPort: expected type: Integer, found: String"},
		"not a list":      {"AWS::EC2::VPC", map[string]any{"Tags": "x"}, nil, "#/Tags: expected type: JSONArray, found: String"},
		"policy document": {"AWS::IAM::Role", map[string]any{"AssumeRolePolicyDocument": map[string]any{"Version": "2012-10-17"}}, map[string]any{"AssumeRolePolicyDocument": map[string]any{"Version": "2012-10-17"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, problems := Lookup(c.typ).Normalize(c.in)
			if strings.Join(problems, "\n") != c.problems {
				t.Errorf("problems %q, want %q", problems, c.problems)
			}
			if c.want != nil && !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %#v", got)
			}
		})
	}
}

func TestReplaces(t *testing.T) {
	s := Lookup("AWS::EC2::Subnet")
	before := map[string]any{"VpcId": "v", "CidrBlock": "10.0.0.0/24", "MapPublicIpOnLaunch": true}
	if got := s.Replaces(before, map[string]any{"VpcId": "v", "CidrBlock": "10.0.0.0/24"}); got != nil {
		t.Errorf("replaced for %v", got)
	}
	if got := s.Replaces(before, map[string]any{"VpcId": "v", "CidrBlock": "10.0.1.0/24"}); len(got) != 1 || got[0] != "CidrBlock" {
		t.Errorf("replaced for %v", got)
	}
}

func TestHasAttribute(t *testing.T) {
	for name, want := range map[string]bool{"Endpoint.Address": true, "Endpoint.Nothing": false, "DBInstanceArn": true, "Colour": false, "Engine.X": false} {
		if got := Lookup("AWS::RDS::DBInstance").HasAttribute(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
