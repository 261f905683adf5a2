package explain

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"minato/aws"
	acmapi "minato/aws/api/acm"
	cfnapi "minato/aws/api/cloudformation"
	ec2api "minato/aws/api/ec2"
	ecrapi "minato/aws/api/ecr"
	ecsapi "minato/aws/api/ecs"
	elbapi "minato/aws/api/elbv2"
	logsapi "minato/aws/api/logs"
	rdsapi "minato/aws/api/rds"
	"minato/dataplane/network"
	"minato/gateway"
)

// world is what the API and the network say; operations that it does not
// answer are not called.
type world struct {
	services []ecsapi.Service
	tasks    []ecsapi.Task
	health   []elbapi.TargetHealthDescription
	routes   []ec2api.Route
	enis     []ec2api.NetworkInterface
	nats     []ec2api.NatGateway
	drops    []network.Drop
	stacks   []cfnapi.Stack
	events   []cfnapi.StackEvent
	log      []string
	sockets  []netip.AddrPort
	refused  []gateway.Refusal
	images   []ecrapi.ImageDetail // nil: no repository
	listens  []elbapi.Listener
	expired  bool // the certificate
}

type fakeECS struct {
	ecsapi.API
	*world
}

func (f fakeECS) ListClusters(context.Context, *ecsapi.ListClustersInput) (*ecsapi.ListClustersOutput, error) {
	return &ecsapi.ListClustersOutput{ClusterArns: []string{"arn:aws:ecs:us-east-1:000000000000:cluster/chat"}}, nil
}

func (f fakeECS) DescribeServices(_ context.Context, in *ecsapi.DescribeServicesInput) (*ecsapi.DescribeServicesOutput, error) {
	if in.Services[0] != "chat" {
		return &ecsapi.DescribeServicesOutput{}, nil
	}
	return &ecsapi.DescribeServicesOutput{Services: f.services}, nil
}

func (f fakeECS) ListTasks(_ context.Context, in *ecsapi.ListTasksInput) (*ecsapi.ListTasksOutput, error) {
	out := &ecsapi.ListTasksOutput{}
	for _, t := range f.tasks {
		if (*t.LastStatus == "STOPPED") != (*in.DesiredStatus == "STOPPED") {
			continue
		}
		out.TaskArns = append(out.TaskArns, *t.TaskArn)
	}
	return out, nil
}

func (f fakeECS) DescribeTasks(context.Context, *ecsapi.DescribeTasksInput) (*ecsapi.DescribeTasksOutput, error) {
	return &ecsapi.DescribeTasksOutput{Tasks: f.tasks}, nil
}

func (f fakeECS) GetTaskProtection(context.Context, *ecsapi.GetTaskProtectionInput) (*ecsapi.GetTaskProtectionOutput, error) {
	return &ecsapi.GetTaskProtectionOutput{}, nil
}

func (f fakeECS) DescribeTaskDefinition(context.Context, *ecsapi.DescribeTaskDefinitionInput) (*ecsapi.DescribeTaskDefinitionOutput, error) {
	return &ecsapi.DescribeTaskDefinitionOutput{TaskDefinition: &ecsapi.TaskDefinition{ContainerDefinitions: []ecsapi.ContainerDefinition{{
		Name: aws.Ptr("web"), LogConfiguration: &ecsapi.LogConfiguration{LogDriver: aws.Ptr("awslogs"), Options: map[string]string{"awslogs-group": "/chat", "awslogs-stream-prefix": "p"}},
	}}}}, nil
}

type fakeELB struct {
	elbapi.API
	*world
}

const groupARN = "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/chat/0123456789abcdef"

func (f fakeELB) DescribeTargetGroups(_ context.Context, in *elbapi.DescribeTargetGroupsInput) (*elbapi.DescribeTargetGroupsOutput, error) {
	if len(in.Names) > 0 {
		return nil, aws.Errorf("TargetGroupNotFound", "One or more target groups not found")
	}
	return &elbapi.DescribeTargetGroupsOutput{TargetGroups: []elbapi.TargetGroup{{
		TargetGroupArn: aws.Ptr(groupARN), TargetGroupName: aws.Ptr("chat"), LoadBalancerArns: []string{"arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/chat/1"}, HealthCheckIntervalSeconds: aws.Ptr(int32(30)), VpcId: aws.Ptr("vpc-1"), HealthCheckPath: aws.Ptr("/"), HealthCheckProtocol: aws.Ptr("HTTP"), HealthCheckTimeoutSeconds: aws.Ptr(int32(5)),
	}}}, nil
}

func (f fakeELB) DescribeLoadBalancers(context.Context, *elbapi.DescribeLoadBalancersInput) (*elbapi.DescribeLoadBalancersOutput, error) {
	return &elbapi.DescribeLoadBalancersOutput{LoadBalancers: []elbapi.LoadBalancer{{
		LoadBalancerArn: aws.Ptr(edgeARN), LoadBalancerName: aws.Ptr("edge"), VpcId: aws.Ptr("vpc-1"), State: &elbapi.LoadBalancerState{Code: aws.Ptr("active")},
	}}}, nil
}

const edgeARN = "arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/app/chat/1"

func (f fakeELB) DescribeLoadBalancerAttributes(context.Context, *elbapi.DescribeLoadBalancerAttributesInput) (*elbapi.DescribeLoadBalancerAttributesOutput, error) {
	return &elbapi.DescribeLoadBalancerAttributesOutput{}, nil
}

func (f fakeELB) DescribeListeners(context.Context, *elbapi.DescribeListenersInput) (*elbapi.DescribeListenersOutput, error) {
	return &elbapi.DescribeListenersOutput{Listeners: f.listens}, nil
}

func (f fakeELB) DescribeRules(context.Context, *elbapi.DescribeRulesInput) (*elbapi.DescribeRulesOutput, error) {
	return &elbapi.DescribeRulesOutput{Rules: []elbapi.Rule{
		{Priority: aws.Ptr("1"), Conditions: []elbapi.RuleCondition{{Field: aws.Ptr("host-header"), Values: []string{"shop.harbour.test"}}}},
		{Priority: aws.Ptr("default"), Actions: []elbapi.Action{{ForwardConfig: &elbapi.ForwardActionConfig{TargetGroups: []elbapi.TargetGroupTuple{{TargetGroupArn: aws.Ptr(groupARN)}}}}}},
	}}, nil
}

func (f fakeELB) DescribeListenerCertificates(context.Context, *elbapi.DescribeListenerCertificatesInput) (*elbapi.DescribeListenerCertificatesOutput, error) {
	return &elbapi.DescribeListenerCertificatesOutput{Certificates: []elbapi.Certificate{{CertificateArn: aws.Ptr("arn:aws:acm:us-east-1:000000000000:certificate/1")}}}, nil
}

type fakeACM struct {
	acmapi.API
	*world
}

func (f fakeACM) DescribeCertificate(context.Context, *acmapi.DescribeCertificateInput) (*acmapi.DescribeCertificateOutput, error) {
	until := time.Now().Add(time.Hour)
	if f.expired {
		until = time.Now().Add(-time.Hour)
	}
	return &acmapi.DescribeCertificateOutput{Certificate: &acmapi.CertificateDetail{DomainName: aws.Ptr("www.harbour.test"), NotBefore: aws.Ptr(time.Now().Add(-2 * time.Hour)), NotAfter: &until}}, nil
}

func (f fakeELB) DescribeTargetHealth(context.Context, *elbapi.DescribeTargetHealthInput) (*elbapi.DescribeTargetHealthOutput, error) {
	return &elbapi.DescribeTargetHealthOutput{TargetHealthDescriptions: f.health}, nil
}

type fakeEC2 struct {
	ec2api.API
	*world
}

func (f fakeEC2) DescribeNetworkInterfaces(context.Context, *ec2api.DescribeNetworkInterfacesInput) (*ec2api.DescribeNetworkInterfacesOutput, error) {
	return &ec2api.DescribeNetworkInterfacesOutput{NetworkInterfaces: f.enis}, nil
}

func (f fakeEC2) DescribeSubnets(context.Context, *ec2api.DescribeSubnetsInput) (*ec2api.DescribeSubnetsOutput, error) {
	return &ec2api.DescribeSubnetsOutput{Subnets: []ec2api.Subnet{{VpcId: aws.Ptr("vpc-1"), CidrBlock: aws.Ptr("10.0.0.0/24")}}}, nil
}

func (f fakeEC2) DescribeNatGateways(context.Context, *ec2api.DescribeNatGatewaysInput) (*ec2api.DescribeNatGatewaysOutput, error) {
	return &ec2api.DescribeNatGatewaysOutput{NatGateways: f.nats}, nil
}

func (f fakeEC2) DescribeRouteTables(context.Context, *ec2api.DescribeRouteTablesInput) (*ec2api.DescribeRouteTablesOutput, error) {
	return &ec2api.DescribeRouteTablesOutput{RouteTables: []ec2api.RouteTable{{RouteTableId: aws.Ptr("rtb-1"), VpcId: aws.Ptr("vpc-1"), Routes: f.routes}}}, nil
}

type fakeRDS struct{ rdsapi.API }

func (fakeRDS) DescribeDBInstances(context.Context, *rdsapi.DescribeDBInstancesInput) (*rdsapi.DescribeDBInstancesOutput, error) {
	return nil, aws.Errorf("DBInstanceNotFound", "DBInstance not found.")
}

func (fakeRDS) DescribeDBEngineVersions(context.Context, *rdsapi.DescribeDBEngineVersionsInput) (*rdsapi.DescribeDBEngineVersionsOutput, error) {
	return &rdsapi.DescribeDBEngineVersionsOutput{DBEngineVersions: []rdsapi.DBEngineVersion{{EngineVersion: aws.Ptr("8.0.43")}}}, nil
}

type fakeECR struct {
	ecrapi.API
	*world
}

func (f fakeECR) DescribeRepositories(_ context.Context, in *ecrapi.DescribeRepositoriesInput) (*ecrapi.DescribeRepositoriesOutput, error) {
	if f.images == nil {
		return nil, aws.Errorf("RepositoryNotFoundException", "The repository does not exist")
	}
	return &ecrapi.DescribeRepositoriesOutput{Repositories: []ecrapi.Repository{{RepositoryUri: aws.Ptr("000000000000.dkr.ecr.us-east-1.amazonaws.com/" + in.RepositoryNames[0])}}}, nil
}

func (f fakeECR) DescribeImages(context.Context, *ecrapi.DescribeImagesInput) (*ecrapi.DescribeImagesOutput, error) {
	if f.images == nil {
		return nil, aws.Errorf("RepositoryNotFoundException", "The repository does not exist")
	}
	return &ecrapi.DescribeImagesOutput{ImageDetails: f.images}, nil
}

type fakeCFN struct {
	cfnapi.API
	*world
}

func (f fakeCFN) DescribeStacks(context.Context, *cfnapi.DescribeStacksInput) (*cfnapi.DescribeStacksOutput, error) {
	if len(f.stacks) == 0 {
		return nil, aws.Errorf("ValidationError", "Stack with id x does not exist")
	}
	return &cfnapi.DescribeStacksOutput{Stacks: f.stacks}, nil
}

func (f fakeCFN) DescribeStackEvents(_ context.Context, in *cfnapi.DescribeStackEventsInput) (*cfnapi.DescribeStackEventsOutput, error) {
	out := &cfnapi.DescribeStackEventsOutput{}
	for _, e := range f.events {
		if aws.Val(e.StackId) == *in.StackName {
			out.StackEvents = append(out.StackEvents, e)
		}
	}
	return out, nil
}

// of gives events the stack that they are of.
func of(id, name string, events ...cfnapi.StackEvent) []cfnapi.StackEvent {
	for i := range events {
		events[i].StackId, events[i].StackName = &id, &name
	}
	return events
}

type fakeLogs struct {
	logsapi.API
	*world
}

func (f fakeLogs) GetLogEvents(context.Context, *logsapi.GetLogEventsInput) (*logsapi.GetLogEventsOutput, error) {
	out := &logsapi.GetLogEventsOutput{}
	for _, l := range f.log {
		out.Events = append(out.Events, logsapi.OutputLogEvent{Message: aws.Ptr(l)})
	}
	return out, nil
}

func (w *world) explainer() *Explainer {
	return &Explainer{
		ECS: fakeECS{world: w}, ELB: fakeELB{world: w}, EC2: fakeEC2{world: w}, RDS: fakeRDS{}, CloudFormation: fakeCFN{world: w}, Logs: fakeLogs{world: w},
		ECR: fakeECR{world: w}, ACM: fakeACM{world: w}, Drops: func(context.Context) ([]network.Drop, error) { return w.drops, nil },
		Listening: func(context.Context, string) ([]netip.AddrPort, error) { return w.sockets, nil }, Refusals: func() []gateway.Refusal { return w.refused },
		Paced: func(d time.Duration) time.Duration { return d }, Now: time.Now,
	}
}

func target(state, reason string) elbapi.TargetHealthDescription {
	return elbapi.TargetHealthDescription{Target: &elbapi.TargetDescription{Id: aws.Ptr("10.0.2.9"), Port: aws.Ptr(int32(80))}, TargetHealth: &elbapi.TargetHealth{State: &state, Reason: &reason}}
}

const taskARN = "arn:aws:ecs:us-east-1:000000000000:task/chat/0123456789abcdef0123456789abcdef"

func stopped(reason string) ecsapi.Task {
	return ecsapi.Task{
		TaskArn: aws.Ptr(taskARN), LastStatus: aws.Ptr("STOPPED"), StoppedReason: &reason, CreatedAt: aws.Ptr(time.Now()), Memory: aws.Ptr("512"), TaskDefinitionArn: aws.Ptr("web:1"),
		Containers: []ecsapi.Container{{Name: aws.Ptr("web"), Image: aws.Ptr("web:2"), ExitCode: aws.Ptr(int32(3))}},
		Attachments: []ecsapi.Attachment{{Details: []ecsapi.KeyValuePair{
			{Name: aws.Ptr("subnetId"), Value: aws.Ptr("subnet-1")}, {Name: aws.Ptr("networkInterfaceId"), Value: aws.Ptr("eni-1")}, {Name: aws.Ptr("privateIPv4Address"), Value: aws.Ptr("10.0.2.9")},
		}}},
	}
}

func service(running int32) ecsapi.Service {
	return ecsapi.Service{
		ServiceArn: aws.Ptr("arn:aws:ecs:us-east-1:000000000000:service/chat/chat"), Status: aws.Ptr("ACTIVE"), DesiredCount: aws.Ptr(int32(1)), RunningCount: &running,
		Deployments:   []ecsapi.Deployment{{Id: aws.Ptr("ecs-svc/1"), Status: aws.Ptr("PRIMARY"), CreatedAt: aws.Ptr(time.Now().Add(-time.Minute))}},
		LoadBalancers: []ecsapi.LoadBalancer{{TargetGroupArn: aws.Ptr(groupARN)}},
	}
}

var balancer = []ec2api.NetworkInterface{{NetworkInterfaceId: aws.Ptr("eni-lb"), PrivateIpAddress: aws.Ptr("10.0.0.5"), Groups: []ec2api.GroupIdentifier{{GroupId: aws.Ptr("sg-lb")}}}}

var ingressDrop = network.Drop{
	VPC: "vpc-1", Reason: network.DropIngress, SourceGroups: []string{"sg-lb"}, Interface: "eni-1", Groups: []string{"sg-web"}, Source: netip.MustParseAddr("10.0.0.5"), Destination: netip.MustParseAddr("10.0.2.9"),
	Protocol: network.TCP, Port: 80, Packets: 7, Last: time.Now(),
}

const timeout = "ResourceInitializationError: unable to pull secrets or registry auth: … dial tcp 198.18.0.1:443: i/o timeout. Please check your task network configuration."

func TestCauses(t *testing.T) {
	old := ingressDrop
	old.Last = time.Now().Add(-time.Hour)
	ungrouped, flows := ingressDrop, slices.Clone(balancer)
	ungrouped.SourceGroups = nil
	flows[0].Groups = nil
	flows[0].Description, flows[0].SubnetId = aws.Ptr("ELB net/flows/1"), aws.Ptr("subnet-1")
	for _, c := range []struct {
		name  string
		world world
		ask   string
		want  []string // parts of what is said, each must be there
		not   string
		err   string
	}{
		{
			name: "a group without the rule", ask: groupARN,
			world: world{health: []elbapi.TargetHealthDescription{target("unhealthy", "Target.Timeout")}, drops: []network.Drop{ingressDrop}, enis: balancer},
			want:  []string{"sg-web has no rule", "from security group sg-lb", "authorize-security-group-ingress --group-id sg-web --protocol tcp --port 80 --source-group sg-lb"},
		},
		{
			name: "a load balancer in no group", ask: groupARN,
			world: world{health: []elbapi.TargetHealthDescription{target("unhealthy", "Target.FailedHealthChecks")}, drops: []network.Drop{ungrouped}, enis: flows},
			want:  []string{"sg-web has no rule that lets tcp port 80 in from 10.0.0.0/24, the subnet of load balancer flows, which has no security group", "--group-id sg-web --protocol tcp --port 80 --cidr 10.0.0.0/24"},
		},
		{
			name: "a load balancer with an expired certificate, of another name", ask: "edge",
			world: world{health: []elbapi.TargetHealthDescription{target("healthy", "")}, expired: true, listens: []elbapi.Listener{{ListenerArn: aws.Ptr("l"), Protocol: aws.Ptr("HTTPS"), Port: aws.Ptr(int32(443))}}},
			want:  []string{"2 causes were found", "for www.harbour.test has expired on ", "clients of shop.harbour.test are shown the default certificate of listener HTTPS:443, which is for www.harbour.test"},
		},
		{
			name: "by a listener's ARN", ask: strings.Replace(edgeARN, ":loadbalancer/", ":listener/", 1) + "/2",
			world: world{health: []elbapi.TargetHealthDescription{target("healthy", "")}},
			want:  []string{"load balancer edge has no listener"},
		},
		{
			name: "a drop of an hour ago is history", ask: groupARN,
			world: world{health: []elbapi.TargetHealthDescription{target("unhealthy", "Target.Timeout")}, drops: []network.Drop{old}, enis: balancer},
			want:  []string{"does not answer the health check"}, not: "sg-web",
		},
		{
			name: "a wrong answer", ask: groupARN,
			world: world{health: []elbapi.TargetHealthDescription{target("unhealthy", "Target.ResponseCodeMismatch")}},
			want:  []string{"answers the health check HTTP / with another code", "--health-check-path"},
		},
		{
			name: "a healthy group", ask: groupARN, world: world{health: []elbapi.TargetHealthDescription{target("healthy", "")}},
			want: []string{"nothing is wrong", "10.0.2.9:80 answers health checks on HTTP /"},
		},
		{
			name: "no route", ask: taskARN, world: world{tasks: []ecsapi.Task{stopped(timeout)}, nats: []ec2api.NatGateway{{NatGatewayId: aws.Ptr("nat-1")}}},
			want: []string{"route table rtb-1 of subnet subnet-1 has no route out", "create-route --route-table-id rtb-1 --destination-cidr-block 0.0.0.0/0 --nat-gateway-id nat-1"},
		},
		{
			name: "a gateway, and no public address", ask: taskARN,
			world: world{tasks: []ecsapi.Task{stopped(timeout)}, routes: []ec2api.Route{{DestinationCidrBlock: aws.Ptr("0.0.0.0/0"), GatewayId: aws.Ptr("igw-1"), State: aws.Ptr("active")}}},
			want:  []string{"no public address", "igw-1", "assignPublicIp=ENABLED"},
		},
		{
			name: "a route to a gateway that is gone", ask: taskARN,
			world: world{tasks: []ecsapi.Task{stopped(timeout)}, routes: []ec2api.Route{{DestinationCidrBlock: aws.Ptr("0.0.0.0/0"), NatGatewayId: aws.Ptr("nat-9"), State: aws.Ptr("blackhole")}}},
			want:  []string{"leads nowhere: nat-9 is gone"},
		},
		{
			name: "a missing right", ask: taskARN,
			world: world{tasks: []ecsapi.Task{stopped("ResourceInitializationError: … User: arn:aws:sts::000000000000:assumed-role/exec/x is not authorized to perform: ecr:GetAuthorizationToken on resource: * because …")}},
			want:  []string{"role exec (session x) may not do ecr:GetAuthorizationToken on *", "attach-role-policy --role-name exec"},
		},
		{
			name: "no log group", ask: taskARN,
			world: world{tasks: []ecsapi.Task{stopped("ResourceInitializationError: failed to validate logger args: … ResourceNotFoundException: The specified log group does not exist. : exit status 1")}},
			want:  []string{"the log group /chat of container web does not exist", "create-log-group --log-group-name /chat"},
		},
		{
			name: "an exit, with the last lines", ask: taskARN, world: world{tasks: []ecsapi.Task{stopped("Essential container in task exited")}, log: []string{"panic: no database"}},
			want: []string{"container web exited with code 3", "web wrote: panic: no database"},
		},
		{
			name: "too little memory", ask: taskARN, world: world{tasks: []ecsapi.Task{stopped("OutOfMemoryError: Container killed due to memory usage")}},
			want: []string{"more memory than the task's limit of 512 MiB"},
		},
		{
			name: "a service whose tasks stop", ask: "chat/chat", world: world{services: []ecsapi.Service{service(0)}, tasks: []ecsapi.Task{stopped("CannotPullContainerError: … not found")}},
			want: []string{"has no image web:2"},
		},
		{
			name: "two causes", ask: "chat/chat",
			world: world{services: []ecsapi.Service{service(0)}, tasks: []ecsapi.Task{stopped("CannotPullContainerError: … not found")}, health: []elbapi.TargetHealthDescription{target("unhealthy", "Target.ResponseCodeMismatch")}},
			want:  []string{"2 causes", "has no image web:2", "another code"},
		},
		{
			name: "only draining targets", ask: "chat/chat", world: world{services: []ecsapi.Service{service(1)}, health: []elbapi.TargetHealthDescription{target("draining", "")}},
			want: []string{"is being drained"}, not: "nothing is wrong",
		},
		{
			name: "a name that two things have", ask: "chat", err: "minato why service:chat/chat",
			world: world{services: []ecsapi.Service{service(1)}, health: []elbapi.TargetHealthDescription{target("healthy", "")}, images: []ecrapi.ImageDetail{}},
		},
		{
			name: "one of the two", ask: "repository:chat", world: world{services: []ecsapi.Service{service(1)}, images: []ecrapi.ImageDetail{}},
			want: []string{"nothing is wrong: the repository is there", "has no image yet"},
		},
		{
			name: "a repository that docker was not logged in to", ask: "repository:chat",
			world: world{images: []ecrapi.ImageDetail{}, refused: []gateway.Refusal{{At: time.Now(), Times: 1, Action: "registry:Login", Caller: "127.0.0.1 (docker/20.10)", Code: "UNAUTHORIZED", Message: "no basic auth credentials", Names: []string{"000000000000.dkr.ecr.us-east-1.amazonaws.com"}}}},
			want:  []string{"docker is not logged in to", "docker/20.10"},
		},
		{
			name: "a service that was refused", ask: "chat/web",
			world: world{refused: []gateway.Refusal{{At: time.Now(), Times: 1, Action: "ecs:CreateService", Code: "InvalidParameterException", Message: "Unable to Start a service that is still Draining.", Names: []string{"chat", "web"}}}},
			want:  []string{"its last tasks are still ending", "services-inactive --cluster chat --services web"},
		},
		{
			name: "of another cluster", ask: "other/web", err: "nothing has that name",
			world: world{refused: []gateway.Refusal{{At: time.Now(), Action: "ecs:CreateService", Message: "no", Names: []string{"chat", "web"}}}},
		},
		{
			name: "what was refused last", ask: "",
			world: world{refused: []gateway.Refusal{{At: time.Now(), Action: "ecs:CreateService", Code: "E", Message: "no", Names: []string{"chat", "web"}}}}, want: []string{"answered : E: no"},
		},
		{name: "nothing was refused", ask: "", want: []string{"nothing is wrong: no call was refused"}},
		{
			name: "a call about a healthy thing", ask: "chat/chat",
			world: world{services: []ecsapi.Service{service(1)}, health: []elbapi.TargetHealthDescription{target("healthy", "")}, refused: []gateway.Refusal{
				{At: time.Now(), Action: "ecs:CreateService", Code: "InvalidParameterException", Message: "Creation of service was not idempotent.", Names: []string{"chat", "chat"}},
				{At: time.Now(), Action: "ecs:DescribeServices", Code: "E", Message: "a read is not told", Names: []string{"chat", "chat"}},
			}},
			want: []string{"nothing is wrong: the service is in a steady state", "REFUSED a service of that name exists"}, not: "a read is not told",
		},
		{
			name: "a steady service", ask: "chat/chat", world: world{services: []ecsapi.Service{service(1)}, health: []elbapi.TargetHealthDescription{target("healthy", "")}},
			want: []string{"nothing is wrong", "1 of 1 tasks run"},
		},
		{
			name: "a retired version", ask: "arn:aws:cloudformation:us-east-1:000000000000:stack/chat/x",
			world: world{stacks: []cfnapi.Stack{{StackName: aws.Ptr("chat"), StackId: aws.Ptr("id"), StackStatus: aws.Ptr("ROLLBACK_COMPLETE")}}, events: of("id", "chat",
				cfnapi.StackEvent{LogicalResourceId: aws.Ptr("Database"), ResourceType: aws.Ptr("AWS::RDS::DBInstance"), ResourceStatus: aws.Ptr("CREATE_FAILED"), ResourceStatusReason: aws.Ptr(`Resource handler returned message: "Cannot find version 5.7.22 for mysql (Service: Rds …)"`)},
				cfnapi.StackEvent{LogicalResourceId: aws.Ptr("Other"), ResourceType: aws.Ptr("AWS::EC2::VPC"), ResourceStatus: aws.Ptr("CREATE_FAILED"), ResourceStatusReason: aws.Ptr("Resource creation cancelled")},
				cfnapi.StackEvent{LogicalResourceId: aws.Ptr("chat"), ResourceType: aws.Ptr("AWS::CloudFormation::Stack"), ResourceStatus: aws.Ptr("CREATE_IN_PROGRESS")},
				cfnapi.StackEvent{LogicalResourceId: aws.Ptr("Ancient"), ResourceType: aws.Ptr("AWS::EC2::VPC"), ResourceStatus: aws.Ptr("CREATE_FAILED"), ResourceStatusReason: aws.Ptr("of an earlier operation")},
			)},
			want: []string{"RDS has retired mysql 5.7.22", "8.0.43", "delete-stack --stack-name chat"}, not: "Ancient",
		},
		{
			name: "a stack in a stack", ask: "arn:aws:cloudformation:us-east-1:000000000000:stack/chat/x",
			world: world{stacks: []cfnapi.Stack{{StackName: aws.Ptr("chat"), StackId: aws.Ptr("id"), StackStatus: aws.Ptr("ROLLBACK_COMPLETE")}}, events: append(of("id", "chat",
				cfnapi.StackEvent{LogicalResourceId: aws.Ptr("Data"), ResourceType: aws.Ptr("AWS::CloudFormation::Stack"), PhysicalResourceId: aws.Ptr("inner"), ResourceStatus: aws.Ptr("CREATE_FAILED"), ResourceStatusReason: aws.Ptr("Embedded stack inner was not successfully created: The following resource(s) failed to create: [Database].")},
				cfnapi.StackEvent{LogicalResourceId: aws.Ptr("chat"), ResourceType: aws.Ptr("AWS::CloudFormation::Stack"), ResourceStatus: aws.Ptr("CREATE_IN_PROGRESS")},
			), of("inner", "chat-Data",
				cfnapi.StackEvent{LogicalResourceId: aws.Ptr("chat-Data"), ResourceType: aws.Ptr("AWS::CloudFormation::Stack"), ResourceStatus: aws.Ptr("DELETE_IN_PROGRESS")},
				cfnapi.StackEvent{LogicalResourceId: aws.Ptr("Database"), ResourceType: aws.Ptr("AWS::RDS::DBInstance"), ResourceStatus: aws.Ptr("CREATE_FAILED"), ResourceStatusReason: aws.Ptr(`Resource handler returned message: "Cannot find version 5.7.22 for mysql (Service: Rds …)"`)},
			)...)},
			want: []string{"Data / Database (AWS::RDS::DBInstance): RDS has retired mysql 5.7.22"}, not: "nothing is wrong",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			found, err := c.world.explainer().Why(t.Context(), c.ask)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("%v %v, not %q", found, err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			for _, e := range found {
				b.WriteString(e.Summary + "\n" + strings.Join(e.Proof, "\n") + "\n" + strings.Join(e.Waits, "\n") + "\n")
				for _, r := range e.Refused {
					b.WriteString("REFUSED " + r.What + "\n")
				}
				for _, cause := range e.Causes {
					b.WriteString(cause.What + "\n" + strings.Join(cause.Evidence, "\n") + "\n" + strings.Join(cause.Remedy, "\n") + "\n")
				}
			}
			for _, w := range c.want {
				if !strings.Contains(b.String(), w) {
					t.Errorf("%q is not said in\n%s", w, b.String())
				}
			}
			if c.not != "" && strings.Contains(b.String(), c.not) {
				t.Errorf("%q is said in\n%s", c.not, b.String())
			}
		})
	}
}

func TestNothingHasTheName(t *testing.T) {
	w := &world{}
	for _, name := range []string{"nobody", "arn:aws:sqs:us-east-1:000000000000:queue", "arn:nonsense"} {
		if _, err := w.explainer().Why(t.Context(), name); err == nil {
			t.Errorf("%s is explained", name)
		}
	}
	if _, err := w.explainer().Why(t.Context(), "nobody"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a name that nothing has: %v", err)
	}
}
