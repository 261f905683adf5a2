package protocol

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"minato/aws"
	"minato/aws/api/cloudformation"
	"minato/aws/api/ec2"
	"minato/aws/api/ecr"
	"minato/aws/api/ecs"
	"minato/aws/api/elbv2"
	"minato/aws/api/iam"
	"minato/aws/api/logs"
	"minato/aws/api/rds"
	"minato/aws/api/sts"
)

var router = NewRouter(cloudformation.Model, ec2.Model, ecr.Model, ecs.Model, elbv2.Model, iam.Model, logs.Model, rds.Model, sts.Model)

// post makes a request with a form, or with a JSON target.
func post(target, body string) *http.Request {
	r := httptest.NewRequest("POST", "http://127.0.0.1:4566/", strings.NewReader(body))
	if target == "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	} else {
		r.Header.Set("Content-Type", "application/x-amz-json-1.1")
		r.Header.Set("X-Amz-Target", target)
	}
	return r
}

const (
	ecsTarget  = "AmazonEC2ContainerServiceV20141113."
	ecrTarget  = "AmazonEC2ContainerRegistry_V20150921."
	logsTarget = "Logs_20140328."
)

// TestDecode has bytes in, an input struct out.
func TestDecode(t *testing.T) {
	at := time.Date(2026, 11, 23, 22, 0, 0, 500e6, time.UTC)
	for name, c := range map[string]struct {
		target, body string
		want         any
	}{
		"json scalars, lists, maps, nested": {
			ecsTarget + "RegisterTaskDefinition",
			`{"family":"chat","unknown":{"a":[1]},"volumes":[],"containerDefinitions":[{"name":"c","cpu":256.0,"essential":true,"portMappings":[{"containerPort":80}],"dockerLabels":{"a":"b"},"command":["x",null,"y"],"image":null}]}`,
			&ecs.RegisterTaskDefinitionInput{Family: aws.Ptr("chat"), Volumes: []ecs.Volume{}, ContainerDefinitions: []ecs.ContainerDefinition{{
				Name: aws.Ptr("c"), Cpu: aws.Ptr(int32(256)), Essential: aws.Ptr(true),
				PortMappings: []ecs.PortMapping{{ContainerPort: aws.Ptr(int32(80))}}, DockerLabels: map[string]string{"a": "b"}, Command: []string{"x", "y"},
			}}},
		},
		"json nothing": {ecsTarget + "ListClusters", ``, &ecs.ListClustersInput{}},
		"json long":    {logsTarget + "PutLogEvents", `{"logEvents":[{"timestamp":1700000000123,"message":"é\n"}]}`, &logs.PutLogEventsInput{LogEvents: []logs.InputLogEvent{{Timestamp: aws.Ptr(int64(1700000000123)), Message: aws.Ptr("é\n")}}}},
		"query lists": {
			"", "Action=CreateRole&Version=2010-05-08&RoleName=r&Tags.member.2.Key=b&Tags.member.1.Key=a&Tags.member.1.Value=1&MaxSessionDuration=3600",
			&iam.CreateRoleInput{RoleName: aws.Ptr("r"), MaxSessionDuration: aws.Ptr(int32(3600)), Tags: []iam.Tag{{Key: aws.Ptr("a"), Value: aws.Ptr("1")}, {Key: aws.Ptr("b")}}},
		},
		"query named elements": {
			"", "Action=CreateDBSubnetGroup&Version=2014-10-31&SubnetIds.SubnetIdentifier.1=subnet-1&SubnetIds.SubnetIdentifier.2=subnet-2",
			&rds.CreateDBSubnetGroupInput{SubnetIds: []string{"subnet-1", "subnet-2"}},
		},
		"query elements called member": {"", "Action=CreateDBSubnetGroup&Version=2014-10-31&SubnetIds.member.1=subnet-1", &rds.CreateDBSubnetGroupInput{SubnetIds: []string{"subnet-1"}}},
		"query empty list":             {"", "Action=SetSecurityGroups&Version=2015-12-01&SecurityGroups=", &elbv2.SetSecurityGroupsInput{SecurityGroups: []string{}}},
		"query nested lists": {
			"", "Action=CreateRule&Version=2015-12-01&Conditions.member.1.Field=path-pattern&Conditions.member.1.PathPatternConfig.Values.member.1=%2Fa%2A&Priority=1",
			&elbv2.CreateRuleInput{Priority: aws.Ptr(int32(1)), Conditions: []elbv2.RuleCondition{{Field: aws.Ptr("path-pattern"), PathPatternConfig: &elbv2.PathPatternConditionConfig{Values: []string{"/a*"}}}}},
		},
		"query time": {"", "Action=DescribeEvents&Version=2014-10-31&StartTime=2026-11-23T22%3A00%3A00.5Z", &rds.DescribeEventsInput{StartTime: &at}},
		"ec2 flat lists": {
			"", "Action=DescribeVpcs&Version=2016-11-15&VpcId.1=vpc-1&VpcId.2=vpc-2&Filter.1.Name=tag%3AName&Filter.1.Value.1=chat",
			&ec2.DescribeVpcsInput{VpcIds: []string{"vpc-1", "vpc-2"}, Filters: []ec2.Filter{{Name: aws.Ptr("tag:Name"), Values: []string{"chat"}}}},
		},
		"ec2 nested": {
			"", "Action=AuthorizeSecurityGroupIngress&Version=2016-11-15&GroupId=sg-1&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=80&IpPermissions.1.Groups.1.GroupId=sg-2&DryRun=false",
			&ec2.AuthorizeSecurityGroupIngressInput{GroupId: aws.Ptr("sg-1"), DryRun: aws.Ptr(false), IpPermissions: []ec2.IpPermission{{IpProtocol: aws.Ptr("tcp"), FromPort: aws.Ptr(int32(80)), UserIdGroupPairs: []ec2.UserIdGroupPair{{GroupId: aws.Ptr("sg-2")}}}}},
		},
		"ec2 tag specification": {
			"", "Action=CreateVpc&Version=2016-11-15&CidrBlock=10.0.0.0%2F16&TagSpecification.1.ResourceType=vpc&TagSpecification.1.Tag.1.Key=Name&TagSpecification.1.Tag.1.Value=x",
			&ec2.CreateVpcInput{CidrBlock: aws.Ptr("10.0.0.0/16"), TagSpecifications: []ec2.TagSpecification{{ResourceType: aws.Ptr("vpc"), Tags: []ec2.Tag{{Key: aws.Ptr("Name"), Value: aws.Ptr("x")}}}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c2, err := router.Route(post(c.target, c.body), []byte(c.body))
			if err != nil {
				t.Fatal(err)
			}
			got, err := c2.Decode()
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %s\nwant %s", show(got), show(c.want))
			}
		})
	}
}

// show writes a value as JSON for messages.
func show(v any) string {
	for _, svc := range []*aws.Service{cloudformation.Model, ec2.Model, ecr.Model, ecs.Model, elbv2.Model, iam.Model, logs.Model, rds.Model} {
		for _, op := range svc.Operations {
			if reflect.TypeOf(v) == reflect.PointerTo(op.Input) {
				return string(appendJSON(nil, op.InputShape, reflect.ValueOf(v)))
			}
		}
	}
	return "?"
}

// TestRefused has a request that cannot be understood in, the answer's status
// and body out.
func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		target, body string
		status       int
		want         string
	}{
		"json broken":     {ecsTarget + "ListClusters", `{"a":`, 400, `{"__type":"SerializationException","message":"The body is not valid JSON"}`},
		"json twice":      {ecsTarget + "ListClusters", `{}{}`, 400, `{"__type":"SerializationException","message":"The body is not valid JSON"}`},
		"json list":       {ecsTarget + "ListClusters", `[]`, 400, `{"__type":"SerializationException","message":"The body is not a JSON object"}`},
		"json deep":       {ecsTarget + "ListClusters", strings.Repeat("[", 1e5), 400, `{"__type":"SerializationException","message":"The input is nested too deeply"}`},
		"json type":       {ecsTarget + "ListClusters", `{"maxResults":"1"}`, 400, `{"__type":"SerializationException","message":"STRING_VALUE can not be converted to an Integer"}`},
		"json number":     {ecsTarget + "ListClusters", `{"maxResults":1.5}`, 400, `{"__type":"SerializationException","message":"1.5 can not be converted to an Integer"}`},
		"json overflow":   {ecsTarget + "ListClusters", `{"maxResults":4294967296}`, 400, `{"__type":"SerializationException","message":"4294967296 can not be converted to an Integer"}`},
		"json string":     {ecsTarget + "RegisterTaskDefinition", `{"cpu":256}`, 400, `{"__type":"SerializationException","message":"NUMBER_VALUE can not be converted to a String"}`},
		"json unknown":    {ecsTarget + "Launch", `{}`, 400, `{"__type":"UnknownOperationException","message":"The operation \"Launch\" is not known."}`},
		"json not served": {ecsTarget + "DiscoverPollEndpoint", `{}`, 400, `{"__type":"UnknownOperationException","message":"ecs:DiscoverPollEndpoint is an operation of AWS that minato does not serve."}`},
		"json no service": {"Nobody.Launch", `{}`, 400, `{"__type":"UnknownOperationException","message":"The operation \"Launch\" is not known."}`},
		"query unknown":   {"", "Action=Launch&Version=2010-05-08", 400, `<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type><Code>InvalidAction</Code><Message>Could not find operation Launch for version 2010-05-08</Message></Error><RequestId>id</RequestId></ErrorResponse>` + "\n"},
		"query integer":   {"", "Action=ListRoles&Version=2010-05-08&MaxItems=many", 400, `<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type><Code>MalformedInput</Code><Message>Value &#39;many&#39; at &#39;MaxItems&#39; is not an integer</Message></Error><RequestId>id</RequestId></ErrorResponse>` + "\n"},
		"no action":       {"", "", 400, `<ErrorResponse><Error><Type>Sender</Type><Code>MissingAction</Code><Message>The request is missing an action or a required parameter.</Message></Error><RequestId>id</RequestId></ErrorResponse>` + "\n"},
		"ec2 unknown":     {"", "Action=Launch&Version=2016-11-15", 400, `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<Response><Errors><Error><Code>InvalidAction</Code><Message>The action Launch is not valid for this web service.</Message></Error></Errors><RequestID>id</RequestID></Response>`},
		"ec2 not served":  {"", "Action=RunScheduledInstances&Version=2016-11-15", 400, `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<Response><Errors><Error><Code>InvalidAction</Code><Message>ec2:RunScheduledInstances is an operation of AWS that minato does not serve.</Message></Error></Errors><RequestID>id</RequestID></Response>`},
		"ec2 parameter":   {"", "Action=DescribeVpcs&Version=2016-11-15&Colour=red", 400, `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<Response><Errors><Error><Code>UnknownParameter</Code><Message>The parameter Colour is not recognized</Message></Error></Errors><RequestID>id</RequestID></Response>`},
		"ec2 boolean":     {"", "Action=DescribeVpcs&Version=2016-11-15&DryRun=maybe", 400, `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<Response><Errors><Error><Code>InvalidParameterValue</Code><Message>Value (maybe) for parameter DryRun is invalid. It is not a boolean.</Message></Error></Errors><RequestID>id</RequestID></Response>`},
	} {
		t.Run(name, func(t *testing.T) {
			call, err := router.Route(post(c.target, c.body), []byte(c.body))
			if err == nil {
				_, err = call.Decode()
			}
			if err == nil {
				t.Fatal("it was understood")
			}
			w := httptest.NewRecorder()
			if err := call.WriteError(w, aws.AsError(err), "id"); err != nil {
				t.Fatal(err)
			}
			want := strings.ReplaceAll(c.want, "&#39;", "'")
			if w.Code != c.status || w.Body.String() != want {
				t.Errorf("%d %s\nwant %d %s", w.Code, w.Body, c.status, want)
			}
		})
	}
}

// TestEncode has an output struct in, bytes out.
func TestEncode(t *testing.T) {
	at := time.Date(2026, 11, 23, 22, 0, 0, 123e6, time.UTC)
	head := `<?xml version="1.0" encoding="UTF-8"?>` + "\n"
	for name, c := range map[string]struct {
		svc  *aws.Service
		op   string
		out  any
		want string
	}{
		"json": {
			ecs.Model, "DescribeClusters", &ecs.DescribeClustersOutput{Failures: []ecs.Failure{}, Clusters: []ecs.Cluster{{ClusterName: aws.Ptr("a\"<é\x01"), RunningTasksCount: aws.Ptr(int32(0))}}},
			`{"clusters":[{"clusterName":"a\"<é\u0001","runningTasksCount":0}],"failures":[]}`,
		},
		"json time":   {ecr.Model, "CreateRepository", &ecr.CreateRepositoryOutput{Repository: &ecr.Repository{CreatedAt: &at}}, `{"repository":{"createdAt":1795471200.123}}`},
		"json empty":  {ecs.Model, "TagResource", &ecs.TagResourceOutput{}, `{}`},
		"json none":   {logs.Model, "CreateLogGroup", &logs.CreateLogGroupOutput{}, ``},
		"json double": {ecs.Model, "DescribeServices", &ecs.DescribeServicesOutput{Services: []ecs.Service{{TaskSets: []ecs.TaskSet{{Scale: &ecs.Scale{Value: aws.Ptr(100.0)}}}}}}, `{"services":[{"taskSets":[{"scale":{"value":100.0}}]}]}`},
		"query": {
			iam.Model, "CreateUser", &iam.CreateUserOutput{User: &iam.User{UserName: aws.Ptr("a<b>&"), CreateDate: &at, Tags: []iam.Tag{}}},
			`<CreateUserResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><CreateUserResult><User><CreateDate>2026-11-23T22:00:00Z</CreateDate><Tags/><UserName>a&lt;b&gt;&amp;</UserName></User></CreateUserResult><ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></CreateUserResponse>` + "\n",
		},
		"query empty list": {
			elbv2.Model, "DescribeLoadBalancers", &elbv2.DescribeLoadBalancersOutput{},
			`<DescribeLoadBalancersResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"><DescribeLoadBalancersResult><LoadBalancers/></DescribeLoadBalancersResult><ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></DescribeLoadBalancersResponse>` + "\n",
		},
		"query no output": {
			iam.Model, "DeleteUser", &iam.DeleteUserOutput{},
			`<DeleteUserResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></DeleteUserResponse>` + "\n",
		},
		"query named elements": {
			rds.Model, "CreateDBSubnetGroup", &rds.CreateDBSubnetGroupOutput{DBSubnetGroup: &rds.DBSubnetGroup{Subnets: []rds.Subnet{{SubnetIdentifier: aws.Ptr("s")}}}},
			`<CreateDBSubnetGroupResponse xmlns="http://rds.amazonaws.com/doc/2014-10-31/"><CreateDBSubnetGroupResult><DBSubnetGroup><Subnets><Subnet><SubnetIdentifier>s</SubnetIdentifier></Subnet></Subnets></DBSubnetGroup></CreateDBSubnetGroupResult><ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></CreateDBSubnetGroupResponse>` + "\n",
		},
		"ec2": {
			ec2.Model, "DescribeVpcs", &ec2.DescribeVpcsOutput{Vpcs: []ec2.Vpc{{VpcId: aws.Ptr("vpc-1"), IsDefault: aws.Ptr(false), Tags: []ec2.Tag{{Key: aws.Ptr("Name"), Value: aws.Ptr("x")}}}}},
			head + `<DescribeVpcsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>id</requestId><vpcSet><item><isDefault>false</isDefault><tagSet><item><key>Name</key><value>x</value></item></tagSet><vpcId>vpc-1</vpcId></item></vpcSet></DescribeVpcsResponse>`,
		},
		"ec2 empty":     {ec2.Model, "DescribeVpcs", &ec2.DescribeVpcsOutput{}, head + `<DescribeVpcsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>id</requestId><vpcSet/></DescribeVpcsResponse>`},
		"ec2 no output": {ec2.Model, "DeleteVpc", &ec2.DeleteVpcOutput{}, head + `<DeleteVpcResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>id</requestId><return>true</return></DeleteVpcResponse>`},
	} {
		t.Run(name, func(t *testing.T) {
			call := &Call{Service: c.svc, Operation: c.svc.Operations[c.op], Protocol: c.svc.Protocols[0]}
			w := httptest.NewRecorder()
			if err := call.WriteResponse(w, c.out, "id"); err != nil {
				t.Fatal(err)
			}
			if w.Body.String() != c.want {
				t.Errorf("got  %s\nwant %s", w.Body, c.want)
			}
			if w.Header().Get("X-Amzn-Requestid") != "id" || w.Header().Get("Content-Type") == "" {
				t.Errorf("head %v", w.Header())
			}
		})
	}
}

// TestErrors has the three shapes of errors.
func TestErrors(t *testing.T) {
	e := &aws.Error{Code: "Throttled", Message: "a & b", Status: 503, Fields: map[string]any{"resourceIds": []string{"x"}}}
	for p, want := range map[aws.Protocol]string{
		aws.JSON11: `{"__type":"Throttled","message":"a & b","resourceIds":["x"]}`,
		aws.Query:  `<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Receiver</Type><Code>Throttled</Code><Message>a &amp; b</Message><resourceIds><member>x</member></resourceIds></Error><RequestId>id</RequestId></ErrorResponse>` + "\n",
		aws.EC2:    `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<Response><Errors><Error><Code>Throttled</Code><Message>a &amp; b</Message></Error></Errors><RequestID>id</RequestID></Response>`,
	} {
		w := httptest.NewRecorder()
		if err := (&Call{Service: iam.Model, Protocol: p}).WriteError(w, e, "id"); err != nil {
			t.Fatal(err)
		}
		if w.Code != 503 || w.Body.String() != want {
			t.Errorf("%s: %d %s", p, w.Code, w.Body)
		}
	}
}

// TestScope finds a service by its signature when a form has no version.
// TestServicesThatAreNotHere has the answer to requests as the SDKs sign them
// for services that are not served, in the protocol that each speaks.
func TestServicesThatAreNotHere(t *testing.T) {
	for name, c := range map[string]struct {
		signed, method, path, target, body string
		protocol                           aws.Protocol
		code, message                      string
	}{
		"JSON":       {"kms", "POST", "/", "TrentService.ListKeys", "{}", aws.JSON11, "UnknownOperationException", "kms is a service that minato does not serve (ListKeys)."},
		"form":       {"sns", "POST", "/", "", "Action=ListTopics&Version=2010-03-31", aws.Query, "InvalidAction", "sns is a service that minato does not serve (ListTopics)."},
		"REST, JSON": {"lambda", "GET", "/2015-03-31/functions/", "", "", aws.JSON11, "UnknownOperationException", "lambda is a service that minato does not serve (GET /2015-03-31/functions/)."},
		"REST, XML":  {"route53", "GET", "/2013-04-01/hostedzone", "", "", aws.Query, "InvalidAction", "route53 is a service that minato does not serve (GET /2013-04-01/hostedzone)."},
		"the classic load balancer": {
			"elasticloadbalancing", "POST", "/", "", "Action=DescribeLoadBalancers&Version=2012-06-01", aws.Query,
			"InvalidAction", "Could not find operation DescribeLoadBalancers for version 2012-06-01",
		},
	} {
		r := httptest.NewRequest(c.method, "http://127.0.0.1:4566"+c.path, strings.NewReader(c.body))
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261130/us-east-1/"+c.signed+"/aws4_request, SignedHeaders=host, Signature=00")
		if c.target != "" {
			r.Header.Set("X-Amz-Target", c.target)
		}
		call, err := router.Route(r, []byte(c.body))
		e := aws.AsError(err)
		if err == nil || call.Protocol != c.protocol || e.Code != c.code || e.Message != c.message {
			t.Errorf("%s: %s %s: %s", name, call.Protocol, e.Code, e.Message)
		}
	}
}

func TestScope(t *testing.T) {
	r := post("", "Action=ListUsers")
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AK/20261123/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0")
	c, err := router.Route(r, []byte("Action=ListUsers"))
	if err != nil || c.Operation == nil || c.Operation.Action() != "iam:ListUsers" {
		t.Errorf("%+v %v", c, err)
	}
	g := httptest.NewRequest("GET", "http://127.0.0.1/?Action=GetCallerIdentity&Version=2011-06-15", nil)
	if c, err := router.Route(g, nil); err != nil || c.Operation.Action() != "sts:GetCallerIdentity" {
		t.Errorf("%+v %v", c, err)
	}
}

// TestWrongOutput sees to it that a handler's mistake is an error, not a panic.
func TestWrongOutput(t *testing.T) {
	call := &Call{Service: iam.Model, Operation: iam.Model.Operations["ListUsers"], Protocol: aws.Query}
	for _, out := range []any{nil, (*iam.ListUsersOutput)(nil), &iam.ListRolesOutput{}, 7} {
		if err := call.WriteResponse(httptest.NewRecorder(), out, "id"); err == nil {
			t.Errorf("%T was sent", out)
		}
	}
}

func TestReadBody(t *testing.T) {
	r := httptest.NewRequest("POST", "/", strings.NewReader(strings.Repeat("x", MaxBody+1)))
	if _, err := ReadBody(r); !aws.IsCode(err, "RequestEntityTooLarge") {
		t.Error(err)
	}
	r = httptest.NewRequest("POST", "/", strings.NewReader(strings.Repeat("x", MaxBody+1)))
	r.ContentLength = -1
	if _, err := ReadBody(r); !aws.IsCode(err, "RequestEntityTooLarge") {
		t.Error(err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("", "Action=DescribeVpcs&Version=2016-11-15&Filter.1.Value.1=x")
	f.Add("", "Action=CreateRole&Version=2010-05-08&Tags.member.1.Key=a")
	f.Add(ecsTarget+"RegisterTaskDefinition", `{"containerDefinitions":[{"dockerLabels":{"a":"b"},"cpu":1}]}`)
	f.Add(logsTarget+"PutLogEvents", `{"logEvents":[{"timestamp":1e3}]}`)
	f.Fuzz(func(t *testing.T, target, body string) {
		call, err := router.Route(post(target, body), []byte(body))
		var in any
		if err == nil {
			in, err = call.Decode()
		}
		w := httptest.NewRecorder()
		if err != nil {
			if err := call.WriteError(w, aws.AsError(err), "id"); err != nil || w.Code >= 500 {
				t.Errorf("%d %v %s", w.Code, err, w.Body)
			}
			return
		}
		if call.Operation.InputShape != nil {
			appendJSON(nil, call.Operation.InputShape, reflect.ValueOf(in))
		}
	})
}

func BenchmarkDescribeServices(b *testing.B) {
	body := []byte(`{"cluster":"chat","services":["chat"]}`)
	r := post(ecsTarget+"DescribeServices", "")
	now := time.Now()
	out := &ecs.DescribeServicesOutput{Services: []ecs.Service{{ServiceName: aws.Ptr("chat"), CreatedAt: &now, DesiredCount: aws.Ptr(int32(2)), Events: make([]ecs.ServiceEvent, 20)}}}
	for i := range out.Services[0].Events {
		out.Services[0].Events[i] = ecs.ServiceEvent{Id: aws.Ptr("0123"), CreatedAt: &now, Message: aws.Ptr("(service chat) has reached a steady state.")}
	}
	b.ReportAllocs()
	for b.Loop() {
		call, err := router.Route(r, body)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := call.Decode(); err != nil {
			b.Fatal(err)
		}
		if err := call.WriteResponse(httptest.NewRecorder(), out, "id"); err != nil {
			b.Fatal(err)
		}
	}
}
