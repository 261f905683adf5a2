package resources

import (
	"context"
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"minato/aws"
	"minato/aws/api/acm"
	"minato/aws/api/applicationautoscaling"
	"minato/aws/api/cloud9"
	"minato/aws/api/ec2"
	"minato/aws/api/ecr"
	"minato/aws/api/ecs"
	"minato/aws/api/elbv2"
	"minato/aws/api/iam"
	"minato/aws/api/rds"
	"minato/aws/arn"
	"minato/aws/validate"
	"minato/services/cloudformation/schema"
)

// recorder is an API that notes the calls and answers with what it is given.
type recorder struct {
	t       *testing.T
	calls   []string // operation and its input as JSON
	answers map[string]any
	errors  map[string]error
}

// Invoke implements aws.Invoker; what the API would refuse fails the test.
func (r *recorder) Invoke(_ context.Context, op *aws.Operation, in any) (any, error) {
	if err := validate.Input(op, in); err != nil {
		r.t.Errorf("%s: %v", op.Name, err)
	}
	text, err := json.Marshal(in)
	if err != nil {
		r.t.Fatal(err)
	}
	r.calls = append(r.calls, op.Name+" "+string(text))
	if err := r.errors[op.Name]; err != nil {
		return nil, err
	}
	if out := r.answers[op.Name]; out != nil {
		return out, nil
	}
	return reflect.New(op.Output).Interface(), nil
}

// take returns the calls since the last time.
func (r *recorder) take() string {
	s := strings.Join(r.calls, "\n")
	r.calls = nil
	return s
}

// answers are what the API says to creations and descriptions.
func answers() map[string]any {
	tg := "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/s-R-X/1"
	lb := "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/s-R-X/1"
	svc := "arn:aws:ecs:us-east-1:000000000000:service/chat/web"
	policy := "arn:aws:iam::000000000000:policy/s-R-X"
	return map[string]any{
		"CreateVpc":                     &ec2.CreateVpcOutput{Vpc: &ec2.Vpc{VpcId: aws.Ptr("vpc-1")}},
		"CreateSubnet":                  &ec2.CreateSubnetOutput{Subnet: &ec2.Subnet{SubnetId: aws.Ptr("subnet-1")}},
		"CreateSecurityGroup":           &ec2.CreateSecurityGroupOutput{GroupId: aws.Ptr("sg-1")},
		"AuthorizeSecurityGroupIngress": &ec2.AuthorizeSecurityGroupIngressOutput{SecurityGroupRules: []ec2.SecurityGroupRule{{SecurityGroupRuleId: aws.Ptr("sgr-1")}}},
		"AllocateAddress":               &ec2.AllocateAddressOutput{PublicIp: aws.Ptr("198.18.0.1"), AllocationId: aws.Ptr("eipalloc-1")},
		"DescribeAddresses":             &ec2.DescribeAddressesOutput{Addresses: []ec2.Address{{AllocationId: aws.Ptr("eipalloc-1")}}},
		"DescribeNatGateways":           &ec2.DescribeNatGatewaysOutput{NatGateways: []ec2.NatGateway{{State: aws.Ptr("failed"), FailureMessage: aws.Ptr("it broke")}}},
		"CreateNatGateway":              &ec2.CreateNatGatewayOutput{NatGateway: &ec2.NatGateway{NatGatewayId: aws.Ptr("nat-1")}},
		"DescribeDBInstances": &rds.DescribeDBInstancesOutput{DBInstances: []rds.DBInstance{{
			DBInstanceStatus: aws.Ptr("available"), DBInstanceArn: aws.Ptr("arn:db"),
			Endpoint: &rds.Endpoint{Address: aws.Ptr("db.rds"), Port: aws.Ptr(int32(3306))},
		}}},
		"DescribeDBParameters": &rds.DescribeDBParametersOutput{Parameters: []rds.Parameter{{ParameterName: aws.Ptr("max_connections"), ApplyType: aws.Ptr("dynamic")}}},
		"CreateTargetGroup":    &elbv2.CreateTargetGroupOutput{TargetGroups: []elbv2.TargetGroup{{TargetGroupArn: &tg}}},
		"DescribeTargetGroups": &elbv2.DescribeTargetGroupsOutput{TargetGroups: []elbv2.TargetGroup{{TargetGroupName: aws.Ptr("s-R-X"), LoadBalancerArns: []string{lb}}}},
		"CreateLoadBalancer":   &elbv2.CreateLoadBalancerOutput{LoadBalancers: []elbv2.LoadBalancer{{LoadBalancerArn: &lb}}},
		"DescribeLoadBalancers": &elbv2.DescribeLoadBalancersOutput{LoadBalancers: []elbv2.LoadBalancer{{
			LoadBalancerArn: &lb, DNSName: aws.Ptr("x.elb"), LoadBalancerName: aws.Ptr("s-R-X"),
			State: &elbv2.LoadBalancerState{Code: aws.Ptr("active")},
		}}},
		"CreateListener":      &elbv2.CreateListenerOutput{Listeners: []elbv2.Listener{{ListenerArn: aws.Ptr("arn:listener")}}},
		"RequestCertificate":  &acm.RequestCertificateOutput{CertificateArn: aws.Ptr("arn:aws:acm:us-east-1:000000000000:certificate/1")},
		"DescribeCertificate": &acm.DescribeCertificateOutput{Certificate: &acm.CertificateDetail{Status: aws.Ptr("ISSUED")}},
		"CreateRule":          &elbv2.CreateRuleOutput{Rules: []elbv2.Rule{{RuleArn: aws.Ptr("arn:rule")}}},
		"PutScalingPolicy":    &applicationautoscaling.PutScalingPolicyOutput{PolicyARN: aws.Ptr("arn:policy")},
		"CreateService":       &ecs.CreateServiceOutput{Service: &ecs.Service{ServiceArn: &svc}},
		"DescribeServices": &ecs.DescribeServicesOutput{Services: []ecs.Service{{
			ServiceName: aws.Ptr("web"), Status: aws.Ptr("ACTIVE"), RunningCount: aws.Ptr(int32(1)), DesiredCount: aws.Ptr(int32(2)),
			Deployments: []ecs.Deployment{{Status: aws.Ptr("PRIMARY"), RolloutState: aws.Ptr("IN_PROGRESS")}},
		}}},
		"RegisterTaskDefinition": &ecs.RegisterTaskDefinitionOutput{TaskDefinition: &ecs.TaskDefinition{TaskDefinitionArn: aws.Ptr("arn:td:1")}},
		"DescribeRepositories":   &ecr.DescribeRepositoriesOutput{Repositories: []ecr.Repository{{RepositoryArn: aws.Ptr("arn:repo"), RepositoryUri: aws.Ptr("uri")}}},
		"CreatePolicy":           &iam.CreatePolicyOutput{Policy: &iam.Policy{Arn: &policy}},
		"CreateEnvironmentEC2":   &cloud9.CreateEnvironmentEC2Output{EnvironmentId: aws.Ptr("0123456789abcdef")},
		"DescribeEnvironments":   &cloud9.DescribeEnvironmentsOutput{Environments: []cloud9.Environment{{Id: aws.Ptr("0123456789abcdef"), Lifecycle: &cloud9.EnvironmentLifecycle{Status: aws.Ptr("CREATE_FAILED"), Reason: aws.Ptr("no room")}}}},
	}
}

// TestTypes has for each type what a creation, an update and a deletion call.
// Properties are JSON as templates write it, normalized by the schema.
func TestTypes(t *testing.T) {
	ec2Tags := func(kind string) string {
		return `"TagSpecifications":[{"ResourceType":"` + kind + `","Tags":[{"Key":"aws:cloudformation:logical-id","Value":"R"},{"Key":"aws:cloudformation:stack-id","Value":"arn:stack"},{"Key":"aws:cloudformation:stack-name","Value":"s"}]}]`
	}
	for _, c := range []struct {
		typ, before, after     string
		id                     string
		create, update, delete string
	}{
		{
			"AWS::EC2::VPC", `{"CidrBlock":"10.0.0.0/16","EnableDnsSupport":"true","EnableDnsHostnames":"true"}`, `{"CidrBlock":"10.0.0.0/16"}`, "vpc-1",
			"CreateVpc {\"CidrBlock\":\"10.0.0.0/16\"," + ec2Tags("vpc") + "}\n" + `ModifyVpcAttribute {"EnableDnsHostnames":{"Value":true},"VpcId":"vpc-1"}`,
			`ModifyVpcAttribute {"EnableDnsHostnames":{"Value":false},"VpcId":"vpc-1"}`, `DeleteVpc {"VpcId":"vpc-1"}`,
		},
		{
			"AWS::EC2::Subnet", `{"VpcId":"v","CidrBlock":"10.0.0.0/24","MapPublicIpOnLaunch":"true"}`, `{"VpcId":"v","CidrBlock":"10.0.0.0/24"}`, "subnet-1",
			"CreateSubnet {\"CidrBlock\":\"10.0.0.0/24\"," + ec2Tags("subnet") + ",\"VpcId\":\"v\"}\n" + `ModifySubnetAttribute {"MapPublicIpOnLaunch":{"Value":true},"SubnetId":"subnet-1"}`,
			`ModifySubnetAttribute {"MapPublicIpOnLaunch":{"Value":false},"SubnetId":"subnet-1"}`, `DeleteSubnet {"SubnetId":"subnet-1"}`,
		},
		{
			"AWS::EC2::VPCGatewayAttachment", `{"VpcId":"v","InternetGatewayId":"igw"}`, ``, "IGW|v",
			`AttachInternetGateway {"InternetGatewayId":"igw","VpcId":"v"}`, ``, `DetachInternetGateway {"InternetGatewayId":"igw","VpcId":"v"}`,
		},
		{
			"AWS::EC2::Route", `{"RouteTableId":"rtb","DestinationCidrBlock":"0.0.0.0/0","GatewayId":"igw"}`, `{"RouteTableId":"rtb","DestinationCidrBlock":"0.0.0.0/0","NatGatewayId":"nat"}`, "rtb|0.0.0.0/0",
			`CreateRoute {"DestinationCidrBlock":"0.0.0.0/0","GatewayId":"igw","RouteTableId":"rtb"}`,
			`ReplaceRoute {"DestinationCidrBlock":"0.0.0.0/0","NatGatewayId":"nat","RouteTableId":"rtb"}`, `DeleteRoute {"DestinationCidrBlock":"0.0.0.0/0","RouteTableId":"rtb"}`,
		},
		{
			"AWS::EC2::EIP", `{"Domain":"vpc"}`, `{"Domain":"vpc","Tags":[{"Key":"a","Value":"b"}]}`, "198.18.0.1",
			"AllocateAddress {\"Domain\":\"vpc\"," + ec2Tags("elastic-ip") + "}",
			"DescribeAddresses {\"PublicIps\":[\"198.18.0.1\"]}\n" + `CreateTags {"Resources":["eipalloc-1"],"Tags":[{"Key":"a","Value":"b"}]}`,
			"DescribeAddresses {\"PublicIps\":[\"198.18.0.1\"]}\n" + `ReleaseAddress {"AllocationId":"eipalloc-1"}`,
		},
		{
			"AWS::EC2::SecurityGroup", `{"GroupDescription":"d","VpcId":"v","SecurityGroupIngress":[{"IpProtocol":"tcp","FromPort":"80","ToPort":80,"CidrIp":"0.0.0.0/0"}]}`,
			`{"GroupDescription":"d","VpcId":"v","SecurityGroupIngress":[{"IpProtocol":"tcp","FromPort":80,"ToPort":80,"SourceSecurityGroupId":"sg-2"}],"SecurityGroupEgress":[{"IpProtocol":"-1","CidrIp":"10.0.0.0/8"}]}`, "sg-1",
			"CreateSecurityGroup {\"Description\":\"d\",\"GroupName\":\"s-R-X\"," + ec2Tags("security-group") + ",\"VpcId\":\"v\"}\n" +
				`AuthorizeSecurityGroupIngress {"GroupId":"sg-1","IpPermissions":[{"FromPort":80,"IpProtocol":"tcp","IpRanges":[{"CidrIp":"0.0.0.0/0"}],"ToPort":80}]}`,
			`RevokeSecurityGroupIngress {"GroupId":"sg-1","IpPermissions":[{"FromPort":80,"IpProtocol":"tcp","IpRanges":[{"CidrIp":"0.0.0.0/0"}],"ToPort":80}]}` + "\n" +
				`AuthorizeSecurityGroupIngress {"GroupId":"sg-1","IpPermissions":[{"FromPort":80,"IpProtocol":"tcp","ToPort":80,"UserIdGroupPairs":[{"GroupId":"sg-2"}]}]}` + "\n" +
				`RevokeSecurityGroupEgress {"GroupId":"sg-1","IpPermissions":[{"IpProtocol":"-1","IpRanges":[{"CidrIp":"0.0.0.0/0"}]}]}` + "\n" +
				`AuthorizeSecurityGroupEgress {"GroupId":"sg-1","IpPermissions":[{"IpProtocol":"-1","IpRanges":[{"CidrIp":"10.0.0.0/8"}]}]}`,
			`DeleteSecurityGroup {"GroupId":"sg-1"}`,
		},
		{
			"AWS::EC2::SecurityGroupIngress", `{"GroupId":"sg","IpProtocol":"tcp","FromPort":80,"ToPort":80,"SourceSecurityGroupId":"sg-2"}`, ``, "sgr-1",
			`AuthorizeSecurityGroupIngress {"GroupId":"sg","IpPermissions":[{"FromPort":80,"IpProtocol":"tcp","ToPort":80,"UserIdGroupPairs":[{"GroupId":"sg-2"}]}]}`, ``,
			`RevokeSecurityGroupIngress {"GroupId":"sg","IpPermissions":[{"FromPort":80,"IpProtocol":"tcp","ToPort":80,"UserIdGroupPairs":[{"GroupId":"sg-2"}]}]}`,
		},
		{
			"AWS::RDS::DBInstance", `{"DBInstanceIdentifier":"Chat","Engine":"MySQL","EngineVersion":"8.0.43","DBInstanceClass":"db.t3.micro","AllocatedStorage":"20","MasterUsername":"root","MasterUserPassword":"secretsecret","VPCSecurityGroups":["sg"]}`,
			`{"DBInstanceIdentifier":"Chat","Engine":"MySQL","EngineVersion":"8.0.43","DBInstanceClass":"db.t3.small","AllocatedStorage":"30","MasterUsername":"root","MasterUserPassword":"secretsecret","VPCSecurityGroups":["sg","sg2"]}`, "chat",
			`CreateDBInstance {"AllocatedStorage":20,"DBInstanceClass":"db.t3.micro","DBInstanceIdentifier":"chat","Engine":"MySQL","EngineVersion":"8.0.43","MasterUserPassword":"secretsecret","MasterUsername":"root","VpcSecurityGroupIds":["sg"]}`,
			`ModifyDBInstance {"AllocatedStorage":30,"ApplyImmediately":true,"DBInstanceClass":"db.t3.small","DBInstanceIdentifier":"chat","VpcSecurityGroupIds":["sg","sg2"]}`,
			"DeleteDBInstance {\"DBInstanceIdentifier\":\"chat\",\"SkipFinalSnapshot\":true}\n" + `DescribeDBInstances {"DBInstanceIdentifier":"chat"}`,
		},
		{
			"AWS::RDS::DBParameterGroup", `{"Family":"mysql8.0","Description":"d","Parameters":{"b":"2","a":1}}`, `{"Family":"mysql8.0","Description":"d","Parameters":{"a":1,"max_connections":"5"}}`, "s-r-x",
			`CreateDBParameterGroup {"DBParameterGroupFamily":"mysql8.0","DBParameterGroupName":"s-r-x","Description":"d"}` + "\n" +
				`ModifyDBParameterGroup {"DBParameterGroupName":"s-r-x","Parameters":[{"ApplyMethod":"pending-reboot","ParameterName":"a","ParameterValue":"1"},{"ApplyMethod":"pending-reboot","ParameterName":"b","ParameterValue":"2"}]}`,
			"DescribeDBParameters {\"DBParameterGroupName\":\"s-r-x\"}\n" +
				`ModifyDBParameterGroup {"DBParameterGroupName":"s-r-x","Parameters":[{"ApplyMethod":"immediate","ParameterName":"max_connections","ParameterValue":"5"}]}` + "\n" +
				`ResetDBParameterGroup {"DBParameterGroupName":"s-r-x","Parameters":[{"ApplyMethod":"pending-reboot","ParameterName":"b"}]}`,
			`DeleteDBParameterGroup {"DBParameterGroupName":"s-r-x"}`,
		},
		{
			"AWS::ElasticLoadBalancingV2::LoadBalancer", `{"Subnets":["a","b"],"SecurityGroups":["sg"],"LoadBalancerAttributes":[{"Key":"k","Value":"v"}]}`, `{"Subnets":["a","c"],"SecurityGroups":["sg2"]}`,
			"arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/s-R-X/1",
			"CreateLoadBalancer {\"Name\":\"s-R-X\",\"SecurityGroups\":[\"sg\"],\"Subnets\":[\"a\",\"b\"]}\n" + `ModifyLoadBalancerAttributes {"Attributes":[{"Key":"k","Value":"v"}],"LoadBalancerArn":"ID"}`,
			"SetSecurityGroups {\"LoadBalancerArn\":\"ID\",\"SecurityGroups\":[\"sg2\"]}\n" + `SetSubnets {"LoadBalancerArn":"ID","Subnets":["a","c"]}`, `DeleteLoadBalancer {"LoadBalancerArn":"ID"}`,
		},
		{
			"AWS::ElasticLoadBalancingV2::TargetGroup", `{"VpcId":"v","Port":"80","Protocol":"HTTP","TargetType":"ip","Matcher":{"HttpCode":200},"Targets":[{"Id":"10.0.0.1","Port":80}]}`,
			`{"VpcId":"v","Port":"80","Protocol":"HTTP","TargetType":"ip","HealthCheckPath":"/x","Targets":[]}`, "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/s-R-X/1",
			`CreateTargetGroup {"Matcher":{"HttpCode":"200"},"Name":"s-R-X","Port":80,"Protocol":"HTTP","TargetType":"ip","VpcId":"v"}` + "\n" + `RegisterTargets {"TargetGroupArn":"ID","Targets":[{"Id":"10.0.0.1","Port":80}]}`,
			"ModifyTargetGroup {\"HealthCheckPath\":\"/x\",\"TargetGroupArn\":\"ID\"}\n" + `DeregisterTargets {"TargetGroupArn":"ID","Targets":[{"Id":"10.0.0.1","Port":80}]}`, `DeleteTargetGroup {"TargetGroupArn":"ID"}`,
		},
		{
			"AWS::ElasticLoadBalancingV2::ListenerRule", `{"ListenerArn":"l","Priority":"1","Conditions":[{"Field":"path-pattern","Values":["/a"]}],"Actions":[{"Type":"forward","TargetGroupArn":"tg"}]}`,
			`{"ListenerArn":"l","Priority":2,"Conditions":[{"Field":"path-pattern","Values":["/a"]}],"Actions":[{"Type":"forward","TargetGroupArn":"tg"}]}`, "arn:rule",
			`CreateRule {"Actions":[{"TargetGroupArn":"tg","Type":"forward"}],"Conditions":[{"Field":"path-pattern","Values":["/a"]}],"ListenerArn":"l","Priority":1}`,
			"SetRulePriorities {\"RulePriorities\":[{\"Priority\":2,\"RuleArn\":\"arn:rule\"}]}\n" + `ModifyRule {"Actions":[{"TargetGroupArn":"tg","Type":"forward"}],"Conditions":[{"Field":"path-pattern","Values":["/a"]}],"RuleArn":"arn:rule"}`,
			`DeleteRule {"RuleArn":"arn:rule"}`,
		},
		{
			"AWS::ElasticLoadBalancingV2::ListenerCertificate", `{"ListenerArn":"l","Certificates":[{"CertificateArn":"a"},{"CertificateArn":"b"}]}`,
			`{"ListenerArn":"l","Certificates":[{"CertificateArn":"b"},{"CertificateArn":"c"}]}`, "s-R-X",
			`AddListenerCertificates {"Certificates":[{"CertificateArn":"a"},{"CertificateArn":"b"}],"ListenerArn":"l"}`,
			`AddListenerCertificates {"Certificates":[{"CertificateArn":"b"},{"CertificateArn":"c"}],"ListenerArn":"l"}` + "\n" + `RemoveListenerCertificates {"Certificates":[{"CertificateArn":"a"}],"ListenerArn":"l"}`,
			`RemoveListenerCertificates {"Certificates":[{"CertificateArn":"a"},{"CertificateArn":"b"}],"ListenerArn":"l"}`,
		},
		{
			"AWS::CertificateManager::Certificate", `{"DomainName":"a.example","ValidationMethod":"DNS","SubjectAlternativeNames":["b.example"],"DomainValidationOptions":[{"DomainName":"a.example","HostedZoneId":"Z"}],"Tags":[{"Key":"k","Value":"1"}]}`,
			`{"DomainName":"a.example","ValidationMethod":"DNS","SubjectAlternativeNames":["b.example"],"DomainValidationOptions":[{"DomainName":"a.example","HostedZoneId":"Z"}],"Tags":[{"Key":"l","Value":"2"}]}`,
			"arn:aws:acm:us-east-1:000000000000:certificate/1",
			`RequestCertificate {"DomainName":"a.example","IdempotencyToken":"baea3417551b355d425e36e90b2bcccd","SubjectAlternativeNames":["b.example"],"Tags":[{"Key":"k","Value":"1"}],"ValidationMethod":"DNS"}`,
			`RemoveTagsFromCertificate {"CertificateArn":"ID","Tags":[{"Key":"k"}]}` + "\n" + `AddTagsToCertificate {"CertificateArn":"ID","Tags":[{"Key":"l","Value":"2"}]}`, `DeleteCertificate {"CertificateArn":"ID"}`,
		},
		{
			"AWS::ECS::TaskDefinition", `{"Cpu":256,"ContainerDefinitions":[{"Name":"web","Image":"i","Essential":"true","PortMappings":[{"ContainerPort":"80"}],"DockerLabels":{"UPPER":"Case"}}]}`, ``, "arn:td:1",
			`RegisterTaskDefinition {"containerDefinitions":[{"dockerLabels":{"UPPER":"Case"},"essential":true,"image":"i","name":"web","portMappings":[{"containerPort":80}]}],"cpu":"256","family":"s-R-X"}`, ``,
			`DeregisterTaskDefinition {"taskDefinition":"arn:td:1"}`,
		},
		{
			"AWS::ECS::Service", `{"Cluster":"chat","TaskDefinition":"td:1","LaunchType":"FARGATE","PlacementStrategies":[{"Type":"random"}]}`, `{"Cluster":"chat","TaskDefinition":"td:2","DesiredCount":"3","LaunchType":"FARGATE","PlacementStrategies":[{"Type":"random"}]}`,
			"arn:aws:ecs:us-east-1:000000000000:service/chat/web",
			`CreateService {"clientToken":"baea3417551b355d425e36e90b2bcccd","cluster":"chat","desiredCount":1,"launchType":"FARGATE","placementStrategy":[{"type":"random"}],"serviceName":"s-R-X","taskDefinition":"td:1"}`,
			`UpdateService {"cluster":"chat","desiredCount":3,"placementStrategy":[{"type":"random"}],"service":"ID","taskDefinition":"td:2"}`, `DeleteService {"cluster":"chat","force":true,"service":"ID"}`,
		},
		{
			"AWS::ECS::ClusterCapacityProviderAssociations", `{"Cluster":"chat","CapacityProviders":["FARGATE","FARGATE_SPOT"],"DefaultCapacityProviderStrategy":[{"CapacityProvider":"FARGATE","Weight":"1"}]}`,
			`{"Cluster":"chat","CapacityProviders":["FARGATE"],"DefaultCapacityProviderStrategy":[]}`, "chat",
			`PutClusterCapacityProviders {"capacityProviders":["FARGATE","FARGATE_SPOT"],"cluster":"chat","defaultCapacityProviderStrategy":[{"capacityProvider":"FARGATE","weight":1}]}`,
			`PutClusterCapacityProviders {"capacityProviders":["FARGATE"],"cluster":"ID"}`, `PutClusterCapacityProviders {"cluster":"ID"}`,
		},
		{
			"AWS::ECR::Repository", `{"ImageTagMutability":"IMMUTABLE","RepositoryPolicyText":{"Version":"2012-10-17"},"EmptyOnDelete":"true"}`, `{}`, "s-r-x",
			"CreateRepository {\"imageTagMutability\":\"IMMUTABLE\",\"repositoryName\":\"s-r-x\"}\n" + `SetRepositoryPolicy {"policyText":"{\"Version\":\"2012-10-17\"}","repositoryName":"s-r-x"}`,
			"PutImageTagMutability {\"imageTagMutability\":\"MUTABLE\",\"repositoryName\":\"s-r-x\"}\n" + `DeleteRepositoryPolicy {"repositoryName":"s-r-x"}`, `DeleteRepository {"force":true,"repositoryName":"s-r-x"}`,
		},
		{
			"AWS::IAM::Role", `{"AssumeRolePolicyDocument":{"a":1},"ManagedPolicyArns":["arn:aws:iam::aws:policy/A"],"Policies":[{"PolicyName":"p","PolicyDocument":{"b":2}}]}`, `{"AssumeRolePolicyDocument":{"a":2},"ManagedPolicyArns":["arn:aws:iam::aws:policy/B"]}`, "s-R-X",
			"CreateRole {\"AssumeRolePolicyDocument\":\"{\\\"a\\\":1}\",\"RoleName\":\"s-R-X\"}\nAttachRolePolicy {\"PolicyArn\":\"arn:aws:iam::aws:policy/A\",\"RoleName\":\"s-R-X\"}\n" + `PutRolePolicy {"PolicyDocument":"{\"b\":2}","PolicyName":"p","RoleName":"s-R-X"}`,
			"UpdateAssumeRolePolicy {\"PolicyDocument\":\"{\\\"a\\\":2}\",\"RoleName\":\"s-R-X\"}\nAttachRolePolicy {\"PolicyArn\":\"arn:aws:iam::aws:policy/B\",\"RoleName\":\"s-R-X\"}\nDetachRolePolicy {\"PolicyArn\":\"arn:aws:iam::aws:policy/A\",\"RoleName\":\"s-R-X\"}\n" + `DeleteRolePolicy {"PolicyName":"p","RoleName":"s-R-X"}`,
			"DetachRolePolicy {\"PolicyArn\":\"arn:aws:iam::aws:policy/A\",\"RoleName\":\"s-R-X\"}\nDeleteRolePolicy {\"PolicyName\":\"p\",\"RoleName\":\"s-R-X\"}\n" + `DeleteRole {"RoleName":"s-R-X"}`,
		},
		{
			"AWS::IAM::User", `{"Groups":["a"],"ManagedPolicyArns":["arn:aws:iam::aws:policy/A"],"Path":"/x/"}`, `{"Groups":["b"],"Policies":[{"PolicyName":"p","PolicyDocument":{"b":2}}],"PermissionsBoundary":"arn:aws:iam::aws:policy/ReadOnlyAccess"}`, "s-R-X",
			"CreateUser {\"Path\":\"/x/\",\"UserName\":\"s-R-X\"}\nAttachUserPolicy {\"PolicyArn\":\"arn:aws:iam::aws:policy/A\",\"UserName\":\"s-R-X\"}\n" + `AddUserToGroup {"GroupName":"a","UserName":"s-R-X"}`,
			"UpdateUser {\"NewPath\":\"/\",\"UserName\":\"s-R-X\"}\nPutUserPermissionsBoundary {\"PermissionsBoundary\":\"arn:aws:iam::aws:policy/ReadOnlyAccess\",\"UserName\":\"s-R-X\"}\nDetachUserPolicy {\"PolicyArn\":\"arn:aws:iam::aws:policy/A\",\"UserName\":\"s-R-X\"}\n" +
				"PutUserPolicy {\"PolicyDocument\":\"{\\\"b\\\":2}\",\"PolicyName\":\"p\",\"UserName\":\"s-R-X\"}\nAddUserToGroup {\"GroupName\":\"b\",\"UserName\":\"s-R-X\"}\n" + `RemoveUserFromGroup {"GroupName":"a","UserName":"s-R-X"}`,
			"DetachUserPolicy {\"PolicyArn\":\"arn:aws:iam::aws:policy/A\",\"UserName\":\"s-R-X\"}\nRemoveUserFromGroup {\"GroupName\":\"a\",\"UserName\":\"s-R-X\"}\n" + `DeleteUser {"UserName":"s-R-X"}`,
		},
		{
			"AWS::IAM::Group", `{"ManagedPolicyArns":["arn:aws:iam::aws:policy/A"]}`, `{"Policies":[{"PolicyName":"p","PolicyDocument":{"b":2}}]}`, "s-R-X",
			"CreateGroup {\"GroupName\":\"s-R-X\"}\n" + `AttachGroupPolicy {"GroupName":"s-R-X","PolicyArn":"arn:aws:iam::aws:policy/A"}`,
			"DetachGroupPolicy {\"GroupName\":\"s-R-X\",\"PolicyArn\":\"arn:aws:iam::aws:policy/A\"}\n" + `PutGroupPolicy {"GroupName":"s-R-X","PolicyDocument":"{\"b\":2}","PolicyName":"p"}`,
			"DetachGroupPolicy {\"GroupName\":\"s-R-X\",\"PolicyArn\":\"arn:aws:iam::aws:policy/A\"}\n" + `DeleteGroup {"GroupName":"s-R-X"}`,
		},
		{
			"AWS::IAM::Policy", `{"PolicyName":"p","PolicyDocument":{"a":1},"Roles":["r"],"Users":["u"]}`, `{"PolicyName":"p","PolicyDocument":{"a":1},"Groups":["g"],"Roles":["r"]}`, "s-R-X",
			"PutRolePolicy {\"PolicyDocument\":\"{\\\"a\\\":1}\",\"PolicyName\":\"p\",\"RoleName\":\"r\"}\n" + `PutUserPolicy {"PolicyDocument":"{\"a\":1}","PolicyName":"p","UserName":"u"}`,
			"PutRolePolicy {\"PolicyDocument\":\"{\\\"a\\\":1}\",\"PolicyName\":\"p\",\"RoleName\":\"r\"}\nPutGroupPolicy {\"GroupName\":\"g\",\"PolicyDocument\":\"{\\\"a\\\":1}\",\"PolicyName\":\"p\"}\n" + `DeleteUserPolicy {"PolicyName":"p","UserName":"u"}`,
			"DeleteRolePolicy {\"PolicyName\":\"p\",\"RoleName\":\"r\"}\n" + `DeleteUserPolicy {"PolicyName":"p","UserName":"u"}`,
		},
		{
			"AWS::IAM::InstanceProfile", `{"Roles":["a"]}`, `{"Roles":["b"]}`, "s-R-X",
			"CreateInstanceProfile {\"InstanceProfileName\":\"s-R-X\"}\n" + `AddRoleToInstanceProfile {"InstanceProfileName":"s-R-X","RoleName":"a"}`,
			"RemoveRoleFromInstanceProfile {\"InstanceProfileName\":\"s-R-X\",\"RoleName\":\"a\"}\n" + `AddRoleToInstanceProfile {"InstanceProfileName":"s-R-X","RoleName":"b"}`,
			"RemoveRoleFromInstanceProfile {\"InstanceProfileName\":\"s-R-X\",\"RoleName\":\"a\"}\n" + `DeleteInstanceProfile {"InstanceProfileName":"s-R-X"}`,
		},
		{
			"AWS::CloudWatch::Alarm", `{"Namespace":"Chat","MetricName":"Load","Statistic":"Sum","Period":"60","EvaluationPeriods":1,"Threshold":"5","ComparisonOperator":"GreaterThanThreshold","Dimensions":[{"Name":"a","Value":"b"}]}`,
			`{"Namespace":"Chat","MetricName":"Load","Statistic":"Sum","Period":60,"EvaluationPeriods":1,"Threshold":7,"ComparisonOperator":"GreaterThanThreshold","Tags":[{"Key":"k","Value":"v"}]}`, "s-R-X",
			`PutMetricAlarm {"AlarmName":"s-R-X","ComparisonOperator":"GreaterThanThreshold","Dimensions":[{"Name":"a","Value":"b"}],"EvaluationPeriods":1,"MetricName":"Load","Namespace":"Chat","Period":60,"Statistic":"Sum","Threshold":5}`,
			`PutMetricAlarm {"AlarmName":"s-R-X","ComparisonOperator":"GreaterThanThreshold","EvaluationPeriods":1,"MetricName":"Load","Namespace":"Chat","Period":60,"Statistic":"Sum","Tags":[{"Key":"k","Value":"v"}],"Threshold":7}` + "\n" +
				`TagResource {"ResourceARN":"arn:aws:cloudwatch:us-east-1:000000000000:alarm:s-R-X","Tags":[{"Key":"k","Value":"v"}]}`,
			`DeleteAlarms {"AlarmNames":["s-R-X"]}`,
		},
		{
			"AWS::CloudWatch::CompositeAlarm", `{"AlarmName":"page","AlarmRule":"ALARM(a)"}`, ``, "page",
			`DescribeAlarms {"AlarmNames":["page"],"AlarmTypes":["MetricAlarm","CompositeAlarm"]}` + "\n" + `PutCompositeAlarm {"AlarmName":"page","AlarmRule":"ALARM(a)"}`,
			``, `DeleteAlarms {"AlarmNames":["page"]}`,
		},
		{
			"AWS::CloudWatch::Dashboard", `{"DashboardBody":"{}"}`, `{"DashboardBody":"{\"widgets\":[]}"}`, "s-R-X",
			`PutDashboard {"DashboardBody":"{}","DashboardName":"s-R-X"}`, `PutDashboard {"DashboardBody":"{\"widgets\":[]}","DashboardName":"s-R-X"}`, `DeleteDashboards {"DashboardNames":["s-R-X"]}`,
		},
		{
			"AWS::ApplicationAutoScaling::ScalableTarget",
			`{"ResourceId":"service/c/s","ScalableDimension":"ecs:service:DesiredCount","ServiceNamespace":"ecs","MinCapacity":"1","MaxCapacity":4,"ScheduledActions":[{"ScheduledActionName":"m","Schedule":"rate(1 day)","ScalableTargetAction":{"MinCapacity":"2"}}]}`,
			`{"ResourceId":"service/c/s","ScalableDimension":"ecs:service:DesiredCount","ServiceNamespace":"ecs","MinCapacity":1,"MaxCapacity":6}`, "service/c/s|ecs:service:DesiredCount|ecs",
			`RegisterScalableTarget {"MaxCapacity":4,"MinCapacity":1,"ResourceId":"service/c/s","ScalableDimension":"ecs:service:DesiredCount","ServiceNamespace":"ecs"}` + "\n" +
				`PutScheduledAction {"ResourceId":"service/c/s","ScalableDimension":"ecs:service:DesiredCount","ScalableTargetAction":{"MinCapacity":2},"Schedule":"rate(1 day)","ScheduledActionName":"m","ServiceNamespace":"ecs"}`,
			`RegisterScalableTarget {"MaxCapacity":6,"MinCapacity":1,"ResourceId":"service/c/s","ScalableDimension":"ecs:service:DesiredCount","ServiceNamespace":"ecs"}` + "\n" +
				`DeleteScheduledAction {"ResourceId":"service/c/s","ScalableDimension":"ecs:service:DesiredCount","ScheduledActionName":"m","ServiceNamespace":"ecs"}`,
			`DeregisterScalableTarget {"ResourceId":"service/c/s","ScalableDimension":"ecs:service:DesiredCount","ServiceNamespace":"ecs"}`,
		},
		{
			"AWS::ApplicationAutoScaling::ScalingPolicy",
			`{"PolicyName":"cpu","PolicyType":"TargetTrackingScaling","ScalingTargetId":"service/c/s|ecs:service:DesiredCount|ecs","TargetTrackingScalingPolicyConfiguration":{"TargetValue":"50","PredefinedMetricSpecification":{"PredefinedMetricType":"ECSServiceAverageCPUUtilization"}}}`,
			`{"PolicyName":"cpu","PolicyType":"TargetTrackingScaling","ScalingTargetId":"service/c/s|ecs:service:DesiredCount|ecs","TargetTrackingScalingPolicyConfiguration":{"TargetValue":60,"PredefinedMetricSpecification":{"PredefinedMetricType":"ECSServiceAverageCPUUtilization"}}}`, "arn:policy",
			`PutScalingPolicy {"PolicyName":"cpu","PolicyType":"TargetTrackingScaling","ResourceId":"service/c/s","ScalableDimension":"ecs:service:DesiredCount","ServiceNamespace":"ecs","TargetTrackingScalingPolicyConfiguration":{"PredefinedMetricSpecification":{"PredefinedMetricType":"ECSServiceAverageCPUUtilization"},"TargetValue":50}}`,
			`PutScalingPolicy {"PolicyName":"cpu","PolicyType":"TargetTrackingScaling","ResourceId":"service/c/s","ScalableDimension":"ecs:service:DesiredCount","ServiceNamespace":"ecs","TargetTrackingScalingPolicyConfiguration":{"PredefinedMetricSpecification":{"PredefinedMetricType":"ECSServiceAverageCPUUtilization"},"TargetValue":60}}`,
			`DeleteScalingPolicy {"PolicyName":"cpu","ResourceId":"service/c/s","ScalableDimension":"ecs:service:DesiredCount","ServiceNamespace":"ecs"}`,
		},
		{
			"AWS::Logs::LogStream", `{"LogGroupName":"g"}`, ``, "s-R-X",
			`CreateLogStream {"logGroupName":"g","logStreamName":"s-R-X"}`, ``, `DeleteLogStream {"logGroupName":"g","logStreamName":"s-R-X"}`,
		},
		{
			"AWS::Logs::MetricFilter",
			`{"LogGroupName":"g","FilterPattern":"","MetricTransformations":[{"MetricName":"m","MetricNamespace":"n","MetricValue":"$.ms","Dimensions":[{"Key":"path","Value":"$.path"}]}]}`,
			`{"LogGroupName":"g","FilterPattern":"ERROR","MetricTransformations":[{"MetricName":"m","MetricNamespace":"n","MetricValue":"1","DefaultValue":0}]}`, "s-R-X",
			`PutMetricFilter {"filterName":"s-R-X","filterPattern":"","logGroupName":"g","metricTransformations":[{"dimensions":{"path":"$.path"},"metricName":"m","metricNamespace":"n","metricValue":"$.ms"}]}`,
			`PutMetricFilter {"filterName":"s-R-X","filterPattern":"ERROR","logGroupName":"g","metricTransformations":[{"defaultValue":0,"metricName":"m","metricNamespace":"n","metricValue":"1"}]}`,
			`DeleteMetricFilter {"filterName":"s-R-X","logGroupName":"g"}`,
		},
		{
			"AWS::Logs::LogGroup", `{"RetentionInDays":"7"}`, `{}`, "s-R-X",
			"CreateLogGroup {\"logGroupName\":\"s-R-X\"}\n" + `PutRetentionPolicy {"logGroupName":"s-R-X","retentionInDays":7}`, `DeleteRetentionPolicy {"logGroupName":"s-R-X"}`, `DeleteLogGroup {"logGroupName":"s-R-X"}`,
		},
		{
			"AWS::Cloud9::EnvironmentEC2", `{"Name":"w","InstanceType":"t3.micro","ImageId":"amazonlinux-2023-x86_64","AutomaticStopTimeMinutes":"30"}`, `{"Name":"v","InstanceType":"t3.micro","ImageId":"amazonlinux-2023-x86_64","AutomaticStopTimeMinutes":"30"}`, "0123456789abcdef",
			`CreateEnvironmentEC2 {"automaticStopTimeMinutes":30,"clientRequestToken":"baea3417551b355d425e36e90b2bcccd","imageId":"amazonlinux-2023-x86_64","instanceType":"t3.micro","name":"w"}`, `UpdateEnvironment {"environmentId":"ID","name":"v"}`, `DeleteEnvironment {"environmentId":"ID"}`,
		},
	} {
		t.Run(c.typ, func(t *testing.T) {
			api := &recorder{t: t, answers: answers()}
			typ := Table(api)[c.typ]
			r := request(t, c.typ, c.before)
			ctx := context.Background()
			id, err := typ.Create(ctx, r)
			if err != nil || id != c.id {
				t.Fatalf("created as %q, %v", id, err)
			}
			want := func(what, want string) {
				t.Helper()
				if got := strings.ReplaceAll(api.take(), `"`+id+`"`, `"ID"`); got != strings.ReplaceAll(want, `"`+id+`"`, `"ID"`) {
					t.Errorf("%s\ngot  %s\nwant %s", what, got, want)
				}
			}
			want("create", c.create)
			r.PhysicalID = id
			if c.after != "" {
				u := request(t, c.typ, c.after)
				u.PhysicalID, u.Previous = id, r.Properties
				if err := typ.Update(ctx, u); err != nil {
					t.Fatal(err)
				}
				want("update", c.update)
			}
			if err := typ.Delete(ctx, r); err != nil {
				t.Fatal(err)
			}
			want("delete", c.delete)
		})
	}
}

// request makes a request with properties as they come out of the store.
func request(t *testing.T, typ, properties string) *Request {
	t.Helper()
	var raw map[string]any
	if err := json.Unmarshal([]byte(properties), &raw); err != nil {
		t.Fatal(err)
	}
	for k, v := range raw { // as the template's parser gives them
		raw[k] = numbers(v)
	}
	normal, problems := schema.Lookup(typ).Normalize(raw)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	text, err := json.Marshal(normal)
	if err != nil {
		t.Fatal(err)
	}
	stored := map[string]any{}
	if err := json.Unmarshal(text, &stored); err != nil {
		t.Fatal(err)
	}
	return &Request{LogicalID: "R", StackName: "s", StackID: "arn:stack", Place: arn.In("us-east-1", "000000000000"), Suffix: "X", Token: "T", Properties: stored}
}

func numbers(v any) any {
	switch v := v.(type) {
	case float64:
		return json.Number(text(v))
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	}
	return v
}

// TestReady has what the types say of a resource's state.
func TestReady(t *testing.T) {
	api := &recorder{t: t, answers: answers()}
	table := Table(api)
	for typ, c := range map[string]struct {
		id         string
		ready      bool
		attributes map[string]any
		fails      string
	}{
		"AWS::RDS::DBInstance":                      {"chat", true, map[string]any{"Endpoint.Address": "db.rds", "Endpoint.Port": "3306", "DBInstanceArn": "arn:db"}, ""},
		"AWS::ElasticLoadBalancingV2::LoadBalancer": {"arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/s-R-X/1", true, map[string]any{"DNSName": "x.elb", "LoadBalancerFullName": "app/s-R-X/1"}, ""},
		"AWS::ElasticLoadBalancingV2::TargetGroup":  {"arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/s-R-X/1", true, map[string]any{"TargetGroupFullName": "targetgroup/s-R-X/1"}, ""},
		"AWS::ECS::Service":                         {"arn:aws:ecs:us-east-1:000000000000:service/chat/web", false, map[string]any{"Name": "web"}, ""},
		"AWS::EC2::NatGateway":                      {"nat-1", false, nil, "NatGateway nat-1 is in state failed and hence failed to stabilize. Detailed failure message: it broke"},
		"AWS::Cloud9::EnvironmentEC2":               {"0123456789abcdef", false, nil, "Environment 0123456789abcdef failed to create: no room"},
		"AWS::ECR::Repository":                      {"chat", true, map[string]any{"Arn": "arn:repo", "RepositoryUri": "uri"}, ""},
		"AWS::Logs::LogGroup":                       {"/chat", true, map[string]any{"Arn": "arn:aws:logs:us-east-1:000000000000:log-group:/chat:*"}, ""},
	} {
		attributes, ready, err := table[typ].Ready(context.Background(), &Request{PhysicalID: c.id, Place: arn.In("us-east-1", "000000000000")})
		if c.fails != "" {
			if err == nil || !strings.Contains(err.Error(), c.fails) {
				t.Errorf("%s: %v", typ, err)
			}
			continue
		}
		if err != nil || ready != c.ready {
			t.Errorf("%s: ready %v, %v", typ, ready, err)
		}
		for k, v := range c.attributes {
			if attributes[k] != v {
				t.Errorf("%s: %s is %v, not %v", typ, k, attributes[k], v)
			}
		}
	}
	api.answers["DescribeServices"].(*ecs.DescribeServicesOutput).Services[0].Deployments[0].RolloutState = aws.Ptr("FAILED")
	if _, _, err := table["AWS::ECS::Service"].Ready(context.Background(), &Request{PhysicalID: "arn:aws:ecs:us-east-1:000000000000:service/chat/web"}); err == nil ||
		Reason(err, "T") != `Resource handler returned message: "Error occurred during operation 'ECS Deployment Circuit Breaker was triggered'." (RequestToken: T, HandlerErrorCode: GeneralServiceException)` {
		t.Error(err)
	}
	// A service that came to rest with another definition than the template's was
	// rolled back.
	service := &api.answers["DescribeServices"].(*ecs.DescribeServicesOutput).Services[0]
	service.Deployments[0].RolloutState, service.RunningCount = aws.Ptr("COMPLETED"), service.DesiredCount
	service.TaskDefinition = aws.Ptr("arn:aws:ecs:us-east-1:000000000000:task-definition/web:1")
	for definition, ok := range map[string]bool{*service.TaskDefinition: true, "web:1": true, "web": true, "web:2": false, "arn:aws:ecs:us-east-1:000000000000:task-definition/web:2": false} {
		_, ready, err := table["AWS::ECS::Service"].Ready(context.Background(), &Request{PhysicalID: "arn:aws:ecs:us-east-1:000000000000:service/chat/web", Properties: map[string]any{"TaskDefinition": definition}})
		if ready != ok || (err == nil) != ok {
			t.Errorf("%s: ready %v, %v", definition, ready, err)
		}
	}
}

// TestGone takes what is gone for deleted.
func TestGone(t *testing.T) {
	codes := map[string]string{"DeleteVpc": "InvalidVpcID.NotFound", "DeleteLogGroup": "ResourceNotFoundException", "DeleteLoadBalancer": "LoadBalancerNotFound", "DeleteRole": "NoSuchEntity", "DeleteCluster": "ClusterNotFoundException"}
	api := &recorder{t: t, errors: map[string]error{}}
	for op, code := range codes {
		api.errors[op] = aws.Errorf(code, "it is gone")
	}
	for _, typ := range []string{"AWS::EC2::VPC", "AWS::Logs::LogGroup", "AWS::ElasticLoadBalancingV2::LoadBalancer", "AWS::IAM::Role", "AWS::ECS::Cluster"} {
		if err := Table(api)[typ].Delete(context.Background(), &Request{PhysicalID: "x", Properties: map[string]any{}}); err != nil {
			t.Errorf("%s: %v", typ, err)
		}
	}
	api.errors["DeleteVpc"] = aws.Errorf("DependencyViolation", "in use")
	if err := Table(api)["AWS::EC2::VPC"].Delete(context.Background(), &Request{PhysicalID: "x"}); !aws.IsCode(err, "DependencyViolation") {
		t.Error(err)
	}
}

// TestSchemas sees to it that each type has a schema, and each schema a type.
func TestSchemas(t *testing.T) {
	table := Table(&recorder{t: t})
	for name, typ := range table {
		if schema.Lookup(name) == nil || typ.Create == nil || typ.Delete == nil {
			t.Errorf("%s is not whole", name)
		}
	}
	for _, name := range schema.Types() {
		if table[name].Create == nil {
			t.Errorf("%s has a schema and no handler", name)
		}
	}
}

func TestName(t *testing.T) {
	for _, c := range []struct {
		stack, logical string
		limit          int
		want           string
	}{
		{"chat", "Alb", 32, "chat-Alb-ABCDEFGHIJKL"},
		{"a-very-long-stack-name-indeed", "ALoadBalancerWithAName", 32, "a-very-lo-ALoadBala-ABCDEFGHIJKL"},
		{"s", "ALoadBalancerWithAName", 32, "s-ALoadBalancerWith-ABCDEFGHIJKL"},
	} {
		r := &Request{StackName: c.stack, LogicalID: c.logical, Suffix: "ABCDEFGHIJKL"}
		if got := r.name("Name", c.limit); got != c.want || len(got) > c.limit {
			t.Errorf("%q (%d), want %q", got, len(got), c.want)
		}
	}
}

// TestHandlerCode has the codes of the handlers' contract.
func TestHandlerCode(t *testing.T) {
	for code, want := range map[string]string{
		"AccessDeniedException": "AccessDenied", "UnauthorizedOperation": "AccessDenied", "DBInstanceAlreadyExists": "AlreadyExists", "InvalidGroup.Duplicate": "AlreadyExists",
		"NoSuchEntity": "NotFound", "InvalidVpcID.NotFound": "NotFound", "VpcLimitExceeded": "ServiceLimitExceeded", "TooManyTargetGroups": "ServiceLimitExceeded", "InvalidParameterCombination": "InvalidRequest",
	} {
		if got := handlerCode(aws.Errorf(code, "")); got != want {
			t.Errorf("%s: %s", code, got)
		}
	}
	if got := handlerCode(aws.Internal(nil)); got != "ServiceInternalError" {
		t.Error(got)
	}
}

// TestDocumented sees to it that the guide lists every type, and no other.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile("../../../docs/cloudformation.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, name := range regexp.MustCompile(`AWS::\w+::\w+`).FindAllString(string(text), -1) {
		listed[name] = true
	}
	for name := range Table(&recorder{t: t}) {
		if !listed[name] {
			t.Errorf("the guide lacks %s", name)
		}
		delete(listed, name)
	}
	delete(listed, "AWS::CDK::Metadata")
	if len(listed) > 0 {
		t.Errorf("the guide lists what is not served: %v", sorted(listed))
	}
}
