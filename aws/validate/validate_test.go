package validate

import (
	"slices"
	"strings"
	"testing"

	"minato/aws"
	"minato/aws/api/applicationautoscaling"
	"minato/aws/api/cloud9"
	"minato/aws/api/cloudformation"
	"minato/aws/api/cloudwatch"
	"minato/aws/api/ec2"
	"minato/aws/api/ecr"
	"minato/aws/api/ecs"
	"minato/aws/api/elbv2"
	"minato/aws/api/iam"
	"minato/aws/api/logs"
	"minato/aws/api/rds"
	"minato/aws/api/sts"
)

var services = []*aws.Service{applicationautoscaling.Model, cloud9.Model, cloudformation.Model, cloudwatch.Model, ec2.Model, ecr.Model, ecs.Model, elbv2.Model, iam.Model, logs.Model, rds.Model, sts.Model}

func TestInput(t *testing.T) {
	for name, c := range map[string]struct {
		svc  *aws.Service
		op   string
		in   any
		want string // "" for valid, else the error
	}{
		"good":      {ecr.Model, "CreateRepository", &ecr.CreateRepositoryInput{RepositoryName: aws.Ptr("team/chat")}, ""},
		"ecr name":  {ecr.Model, "CreateRepository", &ecr.CreateRepositoryInput{RepositoryName: aws.Ptr("Chat")}, "InvalidParameterException: Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must satisfy regular expression '"},
		"ecr enum":  {ecr.Model, "CreateRepository", &ecr.CreateRepositoryInput{RepositoryName: aws.Ptr("chat"), ImageTagMutability: aws.Ptr("x")}, "InvalidParameterException: Invalid parameter at 'imageTagMutability' failed to satisfy constraint: 'must satisfy enum value set: [MUTABLE, IMMUTABLE"},
		"logs name": {logs.Model, "CreateLogGroup", &logs.CreateLogGroupInput{LogGroupName: aws.Ptr("a b")}, `InvalidParameterException: 1 validation error detected: Value 'a b' at 'logGroupName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\.\-_/#A-Za-z0-9]+`},
		"logs two": {
			logs.Model, "CreateLogStream", &logs.CreateLogStreamInput{LogStreamName: aws.Ptr("a:b")},
			`InvalidParameterException: 2 validation errors detected: Value null at 'logGroupName' failed to satisfy constraint: Member must not be null; Value 'a:b' at 'logStreamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [^:*]*`,
		},
		"iam":             {iam.Model, "CreateUser", &iam.CreateUserInput{UserName: aws.Ptr("a b")}, `ValidationError: 1 validation error detected: Value 'a b' at 'userName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]+`},
		"iam nested":      {iam.Model, "CreateUser", &iam.CreateUserInput{UserName: aws.Ptr("a"), Tags: []iam.Tag{{Key: aws.Ptr("k"), Value: aws.Ptr("v")}, {Key: aws.Ptr("k")}}}, `ValidationError: 1 validation error detected: Value null at 'tags.2.member.value' failed to satisfy constraint: Member must not be null`},
		"path":            {iam.Model, "CreateRole", &iam.CreateRoleInput{RoleName: aws.Ptr("r"), Path: aws.Ptr("/a"), AssumeRolePolicyDocument: aws.Ptr("{}")}, `ValidationError: 1 validation error detected: Value '/a' at 'path' failed`},
		"stack":           {cloudformation.Model, "CreateStack", &cloudformation.CreateStackInput{StackName: aws.Ptr("a"), RoleARN: aws.Ptr("short")}, "ValidationError: 1 validation error detected: Value 'short' at 'roleARN' failed to satisfy constraint: Member must have length greater than or equal to 20"},
		"elbv2":           {elbv2.Model, "DeleteListener", &elbv2.DeleteListenerInput{}, "ValidationError: 1 validation error detected: Value null at 'listenerArn' failed to satisfy constraint: Member must not be null"},
		"ec2":             {ec2.Model, "CreateSubnet", &ec2.CreateSubnetInput{}, "MissingParameter: The request must contain the parameter VpcId"},
		"ec2 enum":        {ec2.Model, "CreateVpc", &ec2.CreateVpcInput{CidrBlock: aws.Ptr("10.0.0.0/16"), InstanceTenancy: aws.Ptr("x")}, "InvalidParameterValue: Value (x) for parameter InstanceTenancy is invalid."},
		"ec2 range":       {ec2.Model, "DescribeVpcs", &ec2.DescribeVpcsInput{MaxResults: aws.Ptr(int32(3))}, "InvalidParameterValue: Value ( 3 ) for parameter MaxResults is invalid. Expecting a value greater than or equal to 5."},
		"cloudwatch":      {cloudwatch.Model, "PutMetricData", &cloudwatch.PutMetricDataInput{}, "MissingParameter: The parameter Namespace is required."},
		"cloudwatch enum": {cloudwatch.Model, "SetAlarmState", &cloudwatch.SetAlarmStateInput{AlarmName: aws.Ptr("a"), StateReason: aws.Ptr("r"), StateValue: aws.Ptr("X")}, "ValidationError: 1 validation error detected: Value 'X' at 'stateValue' failed to satisfy constraint: Member must satisfy enum value set: ["},
		"rds":             {rds.Model, "DeleteDBInstance", &rds.DeleteDBInstanceInput{}, "MissingParameter: The request must contain the parameter DBInstanceIdentifier"},
		"ecs":             {ecs.Model, "RegisterTaskDefinition", &ecs.RegisterTaskDefinitionInput{Family: aws.Ptr("x")}, "ClientException: containerDefinitions should not be null or empty."},
		"ecs enum":        {ecs.Model, "RunTask", &ecs.RunTaskInput{TaskDefinition: aws.Ptr("x"), LaunchType: aws.Ptr("MOON")}, "InvalidParameterException: 1 validation error detected: Value 'MOON' at 'launchType' failed to satisfy constraint: Member must satisfy enum value set: [EC2, FARGATE"},
		"sensitive":       {cloud9.Model, "CreateEnvironmentEC2", &cloud9.CreateEnvironmentEC2Input{Name: aws.Ptr("x"), InstanceType: aws.Ptr("nonsense"), ImageId: aws.Ptr("amazonlinux-2023-x86_64")}, "ValidationException: 1 validation error detected: Value 'nonsense' at 'instanceType' failed"},
	} {
		t.Run(name, func(t *testing.T) {
			err := Input(c.svc.Operations[c.op], c.in)
			got := ""
			if err != nil {
				got = err.Error()
			}
			if c.want == "" && got != "" || !strings.HasPrefix(got, c.want) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// byHand are shapes whose services check them, because Go has no lookahead.
var byHand = []string{"ScheduledActionName"}

// TestPatterns lists the patterns of the models that Go cannot say, so that a
// new one is seen.
func TestPatterns(t *testing.T) {
	seen := map[*aws.Shape]bool{}
	var walk func(s *aws.Shape)
	walk = func(s *aws.Shape) {
		if s == nil || seen[s] {
			return
		}
		seen[s] = true
		if s.Pattern != "" && compile(s.Pattern) == nil && !slices.Contains(byHand, s.Name) {
			t.Errorf("%s: Go cannot say %s", s.Name, s.Pattern)
		}
		for i := range s.Members {
			walk(s.Members[i].Shape)
		}
		walk(s.Elem)
		walk(s.Key)
	}
	for _, svc := range services {
		for _, op := range svc.Operations {
			walk(op.InputShape)
		}
	}
	if len(seen) < 300 {
		t.Errorf("only %d shapes were looked at", len(seen))
	}
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{`[\w]+`, "a b", false},                         // the whole value, though not anchored
		{`a|b`, "bc", false},                            // of every alternative
		{`[\u0020-\u00FF]+`, "é", true},                 // Java's escapes
		{`[\u0020-\u00FF]+`, "あ", false},                //
		{`[\uE000-\uFFFD\u10000-\u10FFFF]+`, "😀", true}, // beyond the basic plane
		{`^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$`, "my-har-bour", true},
		{`^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$`, "my--harbour", false},
		{`^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$`, "harbour-", false},
		{`(?=x)y`, "anything", true}, // what Go cannot say is let through
		{`^\d{12}$`, "000000000000", true},
		{`[\s\S]*`, "a\nb", true},
	} {
		if got := matches(c.pattern, c.text); got != c.want {
			t.Errorf("%s on %q: %v", c.pattern, c.text, got)
		}
	}
}
