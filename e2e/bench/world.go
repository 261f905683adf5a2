package main

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"minato/e2e/harness"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

const (
	cluster    = "bench"
	family     = "answer"
	repository = "answer"
	region     = "us-east-1"
)

const (
	taskTrust       = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	executionPolicy = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
)

// world is an instance with an image, a cluster and a task definition, in the
// default VPC, whose subnets are public.
type world struct {
	in      *harness.Instance
	env     map[string]string
	vpc     string
	subnets []string
	group   string // lets port 80 in

	ec2 *ec2.Client
	ecs *ecs.Client
	ecr *ecr.Client
	elb *elb.Client
	cfn *cloudformation.Client
	iam *iam.Client
	log *cloudwatchlogs.Client
}

// shared returns the instance that measurements share.
func (b *bench) shared(ctx context.Context) (*world, error) {
	if b.world != nil {
		return b.world, nil
	}
	in, err := b.instance()
	if err != nil {
		return nil, err
	}
	if err := in.Up(); err != nil {
		return nil, err
	}
	w := &world{in: in}
	if err := w.fill(ctx, b.answer); err != nil {
		return nil, fmt.Errorf("%w (purged: %v)", err, in.Down())
	}
	b.world = w
	return w, nil
}

func (w *world) close() error { return w.in.Down() }

// fill makes what the measurements start from.
func (w *world) fill(ctx context.Context, program string) error {
	if err := w.connect(); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{w.network, w.repository, func(ctx context.Context) error { return w.image(ctx, program) }, w.definition} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// connect makes the clients: the SDK as users have it, but that retries would
// hide what is to be seen.
func (w *world) connect() (err error) {
	if w.env, err = w.in.Env(); err != nil {
		return err
	}
	cfg := aws.Config{
		Region: region, BaseEndpoint: aws.String(w.env["AWS_ENDPOINT_URL"]),
		Credentials: credentials.NewStaticCredentialsProvider(w.env["AWS_ACCESS_KEY_ID"], w.env["AWS_SECRET_ACCESS_KEY"], ""),
		Retryer:     func() aws.Retryer { return aws.NopRetryer{} },
		HTTPClient:  harness.NewSDKClient(),
	}
	w.ec2, w.ecs, w.ecr = ec2.NewFromConfig(cfg), ecs.NewFromConfig(cfg), ecr.NewFromConfig(cfg)
	w.elb, w.cfn, w.iam = elb.NewFromConfig(cfg), cloudformation.NewFromConfig(cfg), iam.NewFromConfig(cfg)
	w.log = cloudwatchlogs.NewFromConfig(cfg)
	return nil
}

func (w *world) network(ctx context.Context) error {
	subnets, err := w.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{Filters: []ec2types.Filter{{Name: aws.String("default-for-az"), Values: []string{"true"}}}})
	if err != nil {
		return err
	}
	for _, s := range subnets.Subnets {
		w.subnets, w.vpc = append(w.subnets, *s.SubnetId), *s.VpcId
	}
	group, err := w.ec2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: aws.String("bench"), Description: aws.String("port 80"), VpcId: &w.vpc})
	if err != nil {
		return err
	}
	w.group = *group.GroupId
	_, err = w.ec2.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{
		GroupId: group.GroupId, IpProtocol: aws.String("tcp"), FromPort: aws.Int32(80), ToPort: aws.Int32(80), CidrIp: aws.String("0.0.0.0/0"),
	})
	return err
}

func (w *world) repository(ctx context.Context) error {
	_, err := w.ecr.CreateRepository(ctx, &ecr.CreateRepositoryInput{RepositoryName: aws.String(repository)})
	return err
}

func (w *world) definition(ctx context.Context) error {
	role, err := w.iam.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String("bench-execution"), AssumeRolePolicyDocument: aws.String(taskTrust)})
	if err != nil {
		return err
	}
	if _, err := w.iam.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: aws.String("bench-execution"), PolicyArn: aws.String(executionPolicy)}); err != nil {
		return err
	}
	if _, err := w.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String(cluster)}); err != nil {
		return err
	}
	_, err = w.ecs.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{
		Family: aws.String(family), NetworkMode: ecstypes.NetworkModeAwsvpc, Cpu: aws.String("256"), Memory: aws.String("512"),
		RequiresCompatibilities: []ecstypes.Compatibility{ecstypes.CompatibilityFargate}, ExecutionRoleArn: role.Role.Arn,
		ContainerDefinitions: []ecstypes.ContainerDefinition{{
			Name: aws.String("answer"), Image: aws.String(imageURI("latest")), PortMappings: []ecstypes.PortMapping{{ContainerPort: aws.Int32(80)}},
		}},
	})
	return err
}

func imageURI(tag string) string {
	return fmt.Sprintf("000000000000.dkr.ecr.%s.amazonaws.com/%s:%s", region, repository, tag)
}

func (w *world) awsvpc() *ecstypes.NetworkConfiguration {
	return &ecstypes.NetworkConfiguration{AwsvpcConfiguration: &ecstypes.AwsVpcConfiguration{
		Subnets: w.subnets, SecurityGroups: []string{w.group}, AssignPublicIp: ecstypes.AssignPublicIpEnabled,
	}}
}

func (w *world) logGroup(ctx context.Context, name string) error {
	_, err := w.log.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &name})
	return err
}

// publicAddress is the one of a network interface.
func (w *world) publicAddress(ctx context.Context, filter, value string) (netip.Addr, error) {
	out, err := w.ec2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{Filters: []ec2types.Filter{{Name: &filter, Values: []string{value}}}})
	if err != nil {
		return netip.Addr{}, err
	}
	for _, i := range out.NetworkInterfaces {
		if i.Association != nil && i.Association.PublicIp != nil {
			return netip.ParseAddr(*i.Association.PublicIp)
		}
	}
	return netip.Addr{}, fmt.Errorf("no network interface with a public address has %s %s", filter, value)
}

// stopTasks stops all tasks of the cluster and waits until they are gone.
func (w *world) stopTasks(ctx context.Context) error {
	tasks, err := w.tasks(ctx, ecstypes.DesiredStatusRunning)
	if err != nil {
		return err
	}
	for _, t := range tasks {
		if _, err := w.ecs.StopTask(ctx, &ecs.StopTaskInput{Cluster: aws.String(cluster), Task: aws.String(t)}); err != nil {
			return err
		}
	}
	return until(ctx, 60*time.Second, "tasks stop", func() (bool, error) {
		out, err := w.ecs.DescribeClusters(ctx, &ecs.DescribeClustersInput{Clusters: []string{cluster}})
		return err == nil && len(out.Clusters) == 1 && out.Clusters[0].RunningTasksCount+out.Clusters[0].PendingTasksCount == 0, err
	})
}

func (w *world) tasks(ctx context.Context, desired ecstypes.DesiredStatus) ([]string, error) {
	var arns []string
	pages := ecs.NewListTasksPaginator(w.ecs, &ecs.ListTasksInput{Cluster: aws.String(cluster), DesiredStatus: desired})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		arns = append(arns, page.TaskArns...)
	}
	return arns, nil
}

// unpacked has the image run once, so that it is unpacked.
func (w *world) unpacked(ctx context.Context) error {
	if _, _, err := w.runOne(ctx); err != nil {
		return err
	}
	return w.stopTasks(ctx)
}
