package e2e

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"minato/e2e/harness"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// waitFor bounds each of the SDK's waiters.
const waitFor = 8 * time.Minute

// journey is the workshop by the Go SDK.
type journey struct {
	*testing.T
	in  *harness.Instance
	cfg aws.Config
	cfn *cloudformation.Client
	ec2 *ec2.Client
	ecr *ecr.Client
	ecs *ecs.Client
	elb *elbv2.Client
	iam *iam.Client

	ids map[string]string // the stack's resources: logical to physical id
}

// TestSDKJourney does what TestWorkshop does with the CLI, by the Go SDK: the
// retired template, the stack, the image, the service, the chat, a rolling
// update under load, and everything taken down again.
func TestSDKJourney(t *testing.T) {
	j := &journey{T: t, in: newInstance(t)}
	if err := j.in.Up("--host-names=false"); err != nil {
		t.Fatal(err)
	}
	env, err := j.in.Env()
	j.must(err)
	j.cfg = aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(env["AWS_ENDPOINT_URL"]),
		Credentials: credentials.NewStaticCredentialsProvider(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], ""),
	}
	j.cfn, j.ec2, j.ecr, j.ecs, j.elb, j.iam = cloudformation.NewFromConfig(j.cfg), ec2.NewFromConfig(j.cfg), ecr.NewFromConfig(j.cfg), ecs.NewFromConfig(j.cfg), elbv2.NewFromConfig(j.cfg), iam.NewFromConfig(j.cfg)

	who, err := sts.NewFromConfig(j.cfg).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	j.must(err)
	if *who.Arn != "arn:aws:iam::000000000000:user/admin" {
		t.Fatalf("the caller is %s", *who.Arn)
	}
	j.firstWall()
	j.stack()
	image := j.push("one")
	service := j.deploy(image)
	j.answers()
	j.chat("one")
	j.roll(service)
	j.cleanUp(service)
}

func (j *journey) must(err error) {
	j.Helper()
	if err != nil {
		j.Fatal(err)
	}
}

// template reads the workshop's template, mended or as it was.
func (j *journey) template(mended bool) *string {
	b, err := os.ReadFile(filepath.Join("testdata", "workshop", "workshop.json"))
	j.must(err)
	s := string(b)
	if mended {
		s = strings.NewReplacer("5.7.22", "8.0.43", "db.t2.micro", "db.t3.micro", `"mysql5.7"`, `"mysql8.0"`).Replace(s)
	}
	return &s
}

// firstWall creates the stack as it was printed: RDS no longer has the version.
func (j *journey) firstWall() {
	_, err := j.cfn.CreateStack(j.Context(), &cloudformation.CreateStackInput{StackName: aws.String("old"), TemplateBody: j.template(false)})
	j.must(err)
	old := &cloudformation.DescribeStacksInput{StackName: aws.String("old")}
	j.rolledBack(old)
	events, err := j.cfn.DescribeStackEvents(j.Context(), &cloudformation.DescribeStackEventsInput{StackName: aws.String("old")})
	j.must(err)
	var reasons []string
	for _, e := range events.StackEvents {
		if e.ResourceStatus == cfntypes.ResourceStatusCreateFailed {
			reasons = append(reasons, aws.ToString(e.ResourceStatusReason))
		}
	}
	if !strings.Contains(strings.Join(reasons, "\n"), "Cannot find version 5.7.22 for mysql") {
		j.Fatalf("the stack failed for %q", reasons)
	}
	_, err = j.cfn.DeleteStack(j.Context(), &cloudformation.DeleteStackInput{StackName: aws.String("old")})
	j.must(err)
	j.deleted(old)
}

// rolledBack waits until a creation was taken back; the SDK's waiter of that
// name is for updates.
func (j *journey) rolledBack(stack *cloudformation.DescribeStacksInput) {
	j.Helper()
	ctx, cancel := context.WithTimeout(j.Context(), waitFor)
	defer cancel()
	for {
		out, err := j.cfn.DescribeStacks(ctx, stack)
		j.must(err)
		switch status := out.Stacks[0].StackStatus; status {
		case cfntypes.StackStatusRollbackComplete:
			return
		case cfntypes.StackStatusCreateInProgress, cfntypes.StackStatusRollbackInProgress:
		default:
			j.Fatalf("the stack is %s", status)
		}
		select {
		case <-ctx.Done():
			j.Fatal("the stack did not roll back")
		case <-time.After(time.Second):
		}
	}
}

func (j *journey) deleted(stack *cloudformation.DescribeStacksInput) {
	j.Helper()
	j.must(cloudformation.NewStackDeleteCompleteWaiter(j.cfn, func(o *cloudformation.StackDeleteCompleteWaiterOptions) {
		o.MinDelay, o.MaxDelay = time.Second, 2*time.Second
	}).Wait(j.Context(), stack, waitFor))
}

func (j *journey) stack() {
	_, err := j.cfn.CreateStack(j.Context(), &cloudformation.CreateStackInput{StackName: aws.String("chat"), TemplateBody: j.template(true)})
	j.must(err)
	chat := &cloudformation.DescribeStacksInput{StackName: aws.String("chat")}
	j.must(cloudformation.NewStackCreateCompleteWaiter(j.cfn, func(o *cloudformation.StackCreateCompleteWaiterOptions) {
		o.MinDelay, o.MaxDelay = time.Second, 2*time.Second
	}).Wait(j.Context(), chat, waitFor))
	j.ids = map[string]string{}
	for pages := cloudformation.NewListStackResourcesPaginator(j.cfn, &cloudformation.ListStackResourcesInput{StackName: aws.String("chat")}); pages.HasMorePages(); {
		page, err := pages.NextPage(j.Context())
		j.must(err)
		for _, r := range page.StackResourceSummaries {
			j.ids[*r.LogicalResourceId] = *r.PhysicalResourceId
		}
	}
}

// push makes an image of the chat, whose page says what header says, and
// pushes it as latest.
func (j *journey) push(header string) string {
	if _, err := j.ecr.DescribeRepositories(j.Context(), &ecr.DescribeRepositoriesInput{RepositoryNames: []string{"chat"}}); err != nil {
		if missing := new(ecrtypes.RepositoryNotFoundException); !errors.As(err, &missing) {
			j.Fatalf("not the SDK's typed error: %v", err)
		}
		_, err := j.ecr.CreateRepository(j.Context(), &ecr.CreateRepositoryInput{RepositoryName: aws.String("chat")})
		j.must(err)
	}
	layer := chatLayer(j.T, header)
	img, err := mutate.AppendLayers(empty.Image, layer)
	j.must(err)
	file, err := img.ConfigFile()
	j.must(err)
	file.Architecture, file.OS = "amd64", "linux"
	file.Config.WorkingDir, file.Config.Entrypoint = "/app", []string{"/app/chat"}
	img, err = mutate.ConfigFile(img, file)
	j.must(err)

	token, err := j.ecr.GetAuthorizationToken(j.Context(), &ecr.GetAuthorizationTokenInput{})
	j.must(err)
	login, err := base64.StdEncoding.DecodeString(*token.AuthorizationData[0].AuthorizationToken)
	j.must(err)
	user, password, _ := strings.Cut(string(login), ":")
	ref, err := name.ParseReference(registryName + "/chat:latest")
	j.must(err)
	if err := remote.Write(ref, img, remote.WithTransport(j.registryTransport()), remote.WithContext(j.Context())); err == nil {
		j.Fatal("pushed without a login")
	}
	j.must(remote.Write(ref, img, remote.WithTransport(j.registryTransport()), remote.WithContext(j.Context()), remote.WithAuth(&authn.Basic{Username: user, Password: password})))
	return ref.String()
}

// registryTransport reaches the registry by its name, trusting the instance's CA.
func (j *journey) registryTransport() http.RoundTripper {
	pem, err := os.ReadFile(filepath.Join(j.in.DataDir, "ca", "ca.crt"))
	j.must(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(j.in.ServiceAddress().String(), "443"))
		},
	}
}

// chatLayer is /app: the chat and its views, edited as a learner does.
func chatLayer(t *testing.T, header string) (layer v1.Layer) {
	t.Helper()
	dir := filepath.Join(root(), "examples", "workshop", "chat")
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	add := func(target, source string, mode int64) error {
		content, err := os.ReadFile(source)
		if err != nil {
			return err
		}
		if strings.HasPrefix(target, "app/views/") {
			content = bytes.ReplaceAll(content, []byte("chat one"), []byte("chat "+header))
		}
		if err := w.WriteHeader(&tar.Header{Name: target, Mode: mode, Size: int64(len(content))}); err != nil {
			return err
		}
		_, err = w.Write(content)
		return err
	}
	err := add("app/chat", filepath.Join(dir, "bin", "chat"), 0o755)
	if err != nil {
		t.Fatal(err)
	}
	err = fs.WalkDir(os.DirFS(dir), "views", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		return add("app/"+path, filepath.Join(dir, path), 0o644)
	})
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	layer, err = tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	return layer
}

// deploy makes cluster, task definition, target group, listener and service,
// and waits until it is stable.
func (j *journey) deploy(image string) *ecs.DescribeServicesInput {
	ctx := j.Context()
	cluster, chat := aws.String("chat"), aws.String("chat")
	if _, err := j.ecs.ListServices(ctx, &ecs.ListServicesInput{Cluster: cluster}); !errors.As(err, new(*ecstypes.ClusterNotFoundException)) {
		j.Fatalf("no cluster yet, and not the SDK's typed error: %v", err)
	}
	_, err := j.ecs.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: cluster})
	j.must(err)
	role, err := j.iam.CreateRole(ctx, &iam.CreateRoleInput{
		RoleName:                 aws.String("execution"),
		AssumeRolePolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:AssumeRole"}]}`),
	})
	j.must(err)
	_, err = j.iam.AttachRolePolicy(ctx, &iam.AttachRolePolicyInput{RoleName: role.Role.RoleName, PolicyArn: aws.String("arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy")})
	j.must(err)
	_, err = j.ecs.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{
		Family: chat, RequiresCompatibilities: []ecstypes.Compatibility{ecstypes.CompatibilityFargate}, NetworkMode: ecstypes.NetworkModeAwsvpc,
		Cpu: aws.String("256"), Memory: aws.String("512"), ExecutionRoleArn: role.Role.Arn,
		ContainerDefinitions: []ecstypes.ContainerDefinition{{
			Name: chat, Image: &image, PortMappings: []ecstypes.PortMapping{{ContainerPort: aws.Int32(80)}},
			Environment: []ecstypes.KeyValuePair{env("PORT", "80"), env("DB_HOST", j.databaseHost()), env("DB_USER", "root"), env("DB_PASS", "chat-password")},
		}},
	})
	j.must(err)
	tg, err := j.elb.CreateTargetGroup(ctx, &elbv2.CreateTargetGroupInput{
		Name: chat, Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(80), TargetType: elbtypes.TargetTypeEnumIp, VpcId: aws.String(j.ids["Vpc"]), HealthCheckPath: aws.String("/"),
	})
	j.must(err)
	group := tg.TargetGroups[0].TargetGroupArn
	_, err = j.elb.CreateListener(ctx, &elbv2.CreateListenerInput{
		LoadBalancerArn: aws.String(j.ids["LoadBalancer"]), Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(80),
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: group}},
	})
	j.must(err)
	_, err = j.ecs.CreateService(ctx, &ecs.CreateServiceInput{
		Cluster: cluster, ServiceName: chat, TaskDefinition: chat, DesiredCount: aws.Int32(2), LaunchType: ecstypes.LaunchTypeFargate,
		NetworkConfiguration: &ecstypes.NetworkConfiguration{AwsvpcConfiguration: &ecstypes.AwsVpcConfiguration{
			Subnets: []string{j.ids["SubnetPrivateA"], j.ids["SubnetPrivateC"]}, SecurityGroups: []string{j.ids["WebGroup"]},
		}},
		LoadBalancers: []ecstypes.LoadBalancer{{TargetGroupArn: group, ContainerName: chat, ContainerPort: aws.Int32(80)}},
	})
	j.must(err)
	service := &ecs.DescribeServicesInput{Cluster: cluster, Services: []string{"chat"}}
	j.stable(service)
	return service
}

func env(name, value string) ecstypes.KeyValuePair {
	return ecstypes.KeyValuePair{Name: &name, Value: &value}
}

func (j *journey) stable(service *ecs.DescribeServicesInput) {
	j.Helper()
	j.must(ecs.NewServicesStableWaiter(j.ecs, func(o *ecs.ServicesStableWaiterOptions) { o.MinDelay, o.MaxDelay = time.Second, 2*time.Second }).Wait(j.Context(), service, waitFor))
}

// databaseHost is the address of the stack's database.
func (j *journey) databaseHost() string {
	out, err := rds.NewFromConfig(j.cfg).DescribeDBInstances(j.Context(), &rds.DescribeDBInstancesInput{DBInstanceIdentifier: aws.String("chat-db")})
	j.must(err)
	return *out.DBInstances[0].Endpoint.Address
}

// client reaches the load balancer by its public address.
func (j *journey) client() *http.Client {
	out, err := j.ec2.DescribeNetworkInterfaces(j.Context(), &ec2.DescribeNetworkInterfacesInput{Filters: []ec2types.Filter{{Name: aws.String("description"), Values: []string{"ELB app/*"}}}})
	j.must(err)
	if len(out.NetworkInterfaces) == 0 || out.NetworkInterfaces[0].Association == nil {
		j.Fatal("the load balancer has no public address")
	}
	address := net.JoinHostPort(*out.NetworkInterfaces[0].Association.PublicIp, "80")
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
	}}
}

// answers waits until the chat does: a service is stable for the waiter when its
// tasks run, and they may still have to open their port.
func (j *journey) answers() {
	j.Helper()
	c := j.client()
	j.must(soakUntil(waitFor, func() error {
		res, err := c.Get("http://chat/")
		if err != nil {
			return err
		}
		res.Body.Close()
		if res.StatusCode != 200 {
			return errors.New(res.Status)
		}
		return nil
	}))
}

// chat writes a comment and reads it back; the page says header.
func (j *journey) chat(header string) {
	j.Helper()
	c := j.client()
	if page := j.get(c, "http://chat/"); !strings.Contains(page, "chat "+header) {
		j.Fatalf("the page does not say %q:\n%s", "chat "+header, page)
	}
	res, err := c.PostForm("http://chat/signup", url.Values{"name": {"minato " + header}, "password": {"harbour"}})
	j.must(err)
	res.Body.Close()
	cookies := res.Cookies()
	if res.Request.Response != nil {
		cookies = res.Request.Response.Cookies() // set before the redirect
	}
	text := "こんにちは " + header
	req, err := http.NewRequest("POST", "http://chat/comment", strings.NewReader(url.Values{"text": {text}}.Encode()))
	j.must(err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, cookie := range cookies {
		req.AddCookie(cookie)
	}
	res, err = c.Do(req)
	j.must(err)
	res.Body.Close()
	if comments := j.get(c, "http://chat/comment"); !strings.Contains(comments, text) {
		j.Fatalf("the comment %q is not kept: %s", text, comments)
	}
}

func (j *journey) get(c *http.Client, address string) string {
	j.Helper()
	res, err := c.Get(address)
	j.must(err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	j.must(err)
	if res.StatusCode != 200 {
		j.Fatalf("GET %s: %s\n%s", address, res.Status, b)
	}
	return string(b)
}

// roll pushes an edited image under the same tag and deploys it anew, while two
// people read: no request may fail.
func (j *journey) roll(service *ecs.DescribeServicesInput) {
	before := j.taskARNs()
	j.push("two")
	ctx, stop := context.WithCancel(j.Context())
	var requests, failed atomic.Int64
	var first atomic.Value
	var people sync.WaitGroup
	for range 2 {
		c := j.client()
		people.Go(func() {
			for ctx.Err() == nil {
				requests.Add(1)
				if err := read(c); err != nil {
					failed.Add(1)
					first.CompareAndSwap(nil, err.Error())
				}
			}
		})
	}
	_, err := j.ecs.UpdateService(j.Context(), &ecs.UpdateServiceInput{Cluster: aws.String("chat"), Service: aws.String("chat"), ForceNewDeployment: true})
	if err == nil {
		err = ecs.NewServicesStableWaiter(j.ecs, func(o *ecs.ServicesStableWaiterOptions) { o.MinDelay, o.MaxDelay = time.Second, 2*time.Second }).Wait(j.Context(), service, waitFor)
	}
	stop()
	people.Wait()
	j.must(err)
	j.Logf("%d requests during the deployment, %d failed", requests.Load(), failed.Load())
	if failed.Load() > 0 {
		j.Errorf("%d of %d requests failed, the first with %v", failed.Load(), requests.Load(), first.Load())
	}
	for arn := range j.taskARNs() {
		if before[arn] {
			j.Errorf("the old task %s still runs", arn)
		}
	}
	j.chat("two")
}

func read(c *http.Client) error {
	res, err := c.Get("http://chat/comment")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != 200 {
		return fmt.Errorf("status %s", res.Status)
	}
	return nil
}

func (j *journey) taskARNs() map[string]bool {
	out, err := j.ecs.ListTasks(j.Context(), &ecs.ListTasksInput{Cluster: aws.String("chat"), ServiceName: aws.String("chat")})
	j.must(err)
	arns := map[string]bool{}
	for _, arn := range out.TaskArns {
		arns[arn] = true
	}
	return arns
}

func (j *journey) cleanUp(service *ecs.DescribeServicesInput) {
	ctx := j.Context()
	_, err := j.ecs.DeleteService(ctx, &ecs.DeleteServiceInput{Cluster: service.Cluster, Service: aws.String("chat"), Force: aws.Bool(true)})
	j.must(err)
	j.must(ecs.NewServicesInactiveWaiter(j.ecs, func(o *ecs.ServicesInactiveWaiterOptions) { o.MinDelay, o.MaxDelay = time.Second, 2*time.Second }).Wait(ctx, service, waitFor))
	listeners, err := j.elb.DescribeListeners(ctx, &elbv2.DescribeListenersInput{LoadBalancerArn: aws.String(j.ids["LoadBalancer"])})
	j.must(err)
	for _, l := range listeners.Listeners {
		_, err := j.elb.DeleteListener(ctx, &elbv2.DeleteListenerInput{ListenerArn: l.ListenerArn})
		j.must(err)
	}
	groups, err := j.elb.DescribeTargetGroups(ctx, &elbv2.DescribeTargetGroupsInput{Names: []string{"chat"}})
	j.must(err)
	_, err = j.elb.DeleteTargetGroup(ctx, &elbv2.DeleteTargetGroupInput{TargetGroupArn: groups.TargetGroups[0].TargetGroupArn})
	j.must(err)
	_, err = j.ecs.DeleteCluster(ctx, &ecs.DeleteClusterInput{Cluster: service.Cluster})
	j.must(err)
	_, err = j.cfn.DeleteStack(ctx, &cloudformation.DeleteStackInput{StackName: aws.String("chat")})
	j.must(err)
	j.deleted(&cloudformation.DescribeStacksInput{StackName: aws.String("chat")})
	vpcs, err := j.ec2.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{VpcIds: []string{j.ids["Vpc"]}})
	if err == nil {
		j.Errorf("the VPC is still there: %v", vpcs.Vpcs)
	}
}
