package e2e

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"minato/e2e/harness"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

const (
	soakName  = "soak" // of everything there is one of
	soakText  = "still here"
	soakHost  = "soak.example"
	soakTasks = 3
	soakWords = 60 // lines of the daemon's log, of a test that fails
)

// soakWorld is an instance of its own with a service behind a load balancer.
type soakWorld struct {
	t  *testing.T
	in *harness.Instance
	id string // the instance's

	vpc     string
	subnets []string
	group   string // target group
	url     string
	tasks   int            // how many are wanted
	base    map[string]int // the footprint without tasks, see leaks

	other  string   // a cluster with tasks of a test's own, if there is one
	others []string // their ARNs

	ec2  *ec2.Client
	ecs  *ecs.Client
	ecr  *ecr.Client
	elb  *elb.Client
	iam  *iam.Client
	logs *cloudwatchlogs.Client
}

// newSoakWorld starts the instance and the service; newInstance's clean-up purges
// it and looks for what it left.
func newSoakWorld(t *testing.T) *soakWorld {
	t.Helper()
	return newSoakWorldIn(t, newInstance(t))
}

func newSoakWorldIn(t *testing.T, in *harness.Instance) *soakWorld {
	t.Helper()
	w := &soakWorld{t: t, in: in, tasks: soakTasks}
	t.Cleanup(func() { // before the instance is purged
		if !t.Failed() {
			return
		}
		if b, err := os.ReadFile(filepath.Join(in.DataDir, "daemon.log")); err == nil {
			lines := strings.SplitAfter(string(b), "\n")
			t.Logf("the daemon's last words:\n%s", strings.Join(lines[max(0, len(lines)-soakWords):], ""))
		}
		left, snapshots, err := w.engineLeft()
		folders, _ := filepath.Glob(filepath.Join(w.engineDir(), "io.containerd.snapshotter.v1.overlayfs/snapshots/*"))
		t.Logf("containerd has %s\nand the snapshots %s\nin the folders %s %v", strings.Join(left, ", "), strings.Join(snapshots, ", "), strings.Join(folders, ", "), err)
		t.Logf("log writers:\n%s", strings.Join(w.logWriters(), "\n"))
	})
	for _, step := range []func(context.Context) error{w.connect, w.network, w.image, w.definition, w.service} {
		if err := step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.converged(); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	if err := soakUntil(soakConverge, func() error { return soakGet(client, w.url) }); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *soakWorld) connect(context.Context) (err error) {
	if err = w.in.Up("--host-names=false"); err != nil {
		return err
	}
	if w.id, err = w.in.ID(); err != nil {
		return err
	}
	env, err := w.in.Env()
	if err != nil {
		return err
	}
	cfg := aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(env["AWS_ENDPOINT_URL"]),
		Credentials: credentials.NewStaticCredentialsProvider(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], ""),
		HTTPClient:  harness.NewSDKClient(),
		Retryer:     func() aws.Retryer { return aws.NopRetryer{} }, // retries would hide what is to be seen
	}
	w.ec2, w.ecs, w.ecr = ec2.NewFromConfig(cfg), ecs.NewFromConfig(cfg), ecr.NewFromConfig(cfg)
	w.elb, w.iam, w.logs = elb.NewFromConfig(cfg), iam.NewFromConfig(cfg), cloudwatchlogs.NewFromConfig(cfg)
	return nil
}

func (w *soakWorld) network(ctx context.Context) error {
	out, err := w.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{Filters: []ec2types.Filter{{Name: aws.String("default-for-az"), Values: []string{"true"}}}})
	if err != nil {
		return err
	}
	for _, s := range out.Subnets {
		w.subnets, w.vpc = append(w.subnets, *s.SubnetId), *s.VpcId
	}
	return nil
}

// image pushes the tests' server, FROM scratch.
func (w *soakWorld) image(ctx context.Context) error {
	if _, err := w.ecr.CreateRepository(ctx, &ecr.CreateRepositoryInput{RepositoryName: aws.String(soakName)}); err != nil {
		return err
	}
	program, err := testServer()
	if err != nil {
		return err
	}
	img, err := soakImage(program)
	if err != nil {
		return err
	}
	return w.push(ctx, img, "latest")
}

// push pushes an image to the repository.
func (w *soakWorld) push(ctx context.Context, img v1.Image, tag string) error {
	token, err := w.ecr.GetAuthorizationToken(ctx, &ecr.GetAuthorizationTokenInput{})
	if err != nil {
		return err
	}
	login, err := base64.StdEncoding.DecodeString(*token.AuthorizationData[0].AuthorizationToken)
	if err != nil {
		return err
	}
	user, password, _ := strings.Cut(string(login), ":")
	to, err := name.NewTag(w.in.Listen+"/"+soakName+":"+tag, name.Insecure)
	if err != nil {
		return err
	}
	return remote.Write(to, img, remote.WithContext(ctx), remote.WithAuth(&authn.Basic{Username: user, Password: password}))
}

func soakImage(program string) (v1.Image, error) {
	b, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	var layer bytes.Buffer
	tw := tar.NewWriter(&layer)
	err = tw.WriteHeader(&tar.Header{Name: "server", Mode: 0o755, Size: int64(len(b)), Typeflag: tar.TypeReg})
	if err == nil {
		_, err = tw.Write(b)
	}
	if err = errors.Join(err, tw.Close()); err != nil {
		return nil, err
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(layer.Bytes())), nil })
	if err != nil {
		return nil, err
	}
	img, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	return mutate.ConfigFile(img, &v1.ConfigFile{
		Architecture: "amd64", OS: "linux", RootFS: config.RootFS, Config: v1.Config{Entrypoint: []string{"/server", "serve", soakText}},
	})
}

// definition logs with awslogs, so that there are log writers to be killed.
func (w *soakWorld) definition(ctx context.Context) error {
	role, err := w.iam.CreateRole(ctx, &iam.CreateRoleInput{RoleName: aws.String(soakName), AssumeRolePolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:AssumeRole"}]}`)})
	if err != nil {
		return err
	}
	if _, err := w.iam.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: aws.String(soakName), PolicyArn: aws.String("arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy")}); err != nil {
		return err
	}
	if _, err := w.logs.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String(soakName)}); err != nil {
		return err
	}
	_, err = w.ecs.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{
		Family: aws.String(soakName), NetworkMode: ecstypes.NetworkModeAwsvpc, Cpu: aws.String("256"), Memory: aws.String("512"),
		RequiresCompatibilities: []ecstypes.Compatibility{ecstypes.CompatibilityFargate}, ExecutionRoleArn: role.Role.Arn,
		ContainerDefinitions: []ecstypes.ContainerDefinition{{
			Name: aws.String(soakName), Image: aws.String(registryName + "/" + soakName + ":latest"), PortMappings: []ecstypes.PortMapping{{ContainerPort: aws.Int32(80)}},
			LogConfiguration: &ecstypes.LogConfiguration{LogDriver: ecstypes.LogDriverAwslogs, Options: map[string]string{
				"awslogs-group": soakName, "awslogs-region": "us-east-1", "awslogs-stream-prefix": "s",
			}},
		}},
	})
	return err
}

// service makes the load balancer and the service behind it.
func (w *soakWorld) service(ctx context.Context) error {
	sg, err := w.ec2.CreateSecurityGroup(ctx, &ec2.CreateSecurityGroupInput{GroupName: aws.String(soakName), Description: aws.String("port 80"), VpcId: &w.vpc})
	if err != nil {
		return err
	}
	if _, err := w.ec2.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{
		GroupId: sg.GroupId, IpProtocol: aws.String("tcp"), FromPort: aws.Int32(80), ToPort: aws.Int32(80), CidrIp: aws.String("0.0.0.0/0"),
	}); err != nil {
		return err
	}
	lb, err := w.elb.CreateLoadBalancer(ctx, &elb.CreateLoadBalancerInput{Name: aws.String(soakName), Subnets: w.subnets, SecurityGroups: []string{*sg.GroupId}})
	if err != nil {
		return err
	}
	tg, err := w.elb.CreateTargetGroup(ctx, &elb.CreateTargetGroupInput{
		Name: aws.String(soakName), Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(80), VpcId: &w.vpc, TargetType: elbtypes.TargetTypeEnumIp,
		HealthCheckIntervalSeconds: aws.Int32(5), HealthCheckTimeoutSeconds: aws.Int32(2), HealthyThresholdCount: aws.Int32(2),
		UnhealthyThresholdCount: aws.Int32(5), // a busy machine is no sick target
	})
	if err != nil {
		return err
	}
	w.group = *tg.TargetGroups[0].TargetGroupArn
	if _, err := w.elb.ModifyTargetGroupAttributes(ctx, &elb.ModifyTargetGroupAttributesInput{TargetGroupArn: &w.group, Attributes: []elbtypes.TargetGroupAttribute{
		{Key: aws.String("deregistration_delay.timeout_seconds"), Value: aws.String("20")},
	}}); err != nil {
		return err
	}
	arn := *lb.LoadBalancers[0].LoadBalancerArn
	if _, err := w.elb.CreateListener(ctx, &elb.CreateListenerInput{
		LoadBalancerArn: &arn, Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(80),
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: &w.group}},
	}); err != nil {
		return err
	}
	if _, err := w.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String(soakName)}); err != nil {
		return err
	}
	if _, err := w.ecs.CreateService(ctx, &ecs.CreateServiceInput{
		Cluster: aws.String(soakName), ServiceName: aws.String(soakName), TaskDefinition: aws.String(soakName), DesiredCount: aws.Int32(soakTasks),
		LaunchType: ecstypes.LaunchTypeFargate,
		NetworkConfiguration: &ecstypes.NetworkConfiguration{AwsvpcConfiguration: &ecstypes.AwsVpcConfiguration{
			Subnets: w.subnets, SecurityGroups: []string{*sg.GroupId}, AssignPublicIp: ecstypes.AssignPublicIpEnabled,
		}},
		LoadBalancers: []ecstypes.LoadBalancer{{TargetGroupArn: &w.group, ContainerName: aws.String(soakName), ContainerPort: aws.Int32(80)}},
	}); err != nil {
		return err
	}
	_, id, _ := strings.Cut(arn, ":loadbalancer/")
	return soakUntil(soakConverge, func() error {
		out, err := w.ec2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{Filters: []ec2types.Filter{{Name: aws.String("description"), Values: []string{"ELB " + id}}}})
		if err != nil {
			return err
		}
		for _, i := range out.NetworkInterfaces {
			if i.Association != nil && i.Association.PublicIp != nil {
				w.url = "http://" + *i.Association.PublicIp + "/"
				return nil
			}
		}
		return errors.New("the load balancer has no public address")
	})
}

// roll starts a rollout.
func (w *soakWorld) roll() error {
	_, err := w.ecs.UpdateService(w.t.Context(), &ecs.UpdateServiceInput{Cluster: aws.String(soakName), Service: aws.String(soakName), ForceNewDeployment: true})
	return err
}

// scale wants another number of tasks.
func (w *soakWorld) scale(tasks int) error {
	_, err := w.ecs.UpdateService(w.t.Context(), &ecs.UpdateServiceInput{Cluster: aws.String(soakName), Service: aws.String(soakName), DesiredCount: aws.Int32(int32(tasks))})
	if err == nil {
		w.tasks = tasks
	}
	return err
}

// soakUntil repeats until there is no error, or tells the last one.
func soakUntil(limit time.Duration, do func() error) error {
	for deadline := time.Now().Add(limit); ; {
		err := do()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("after %s: %w", limit, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
