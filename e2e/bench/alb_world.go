package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

// service is what a proxy does at one of its ports: the offset from its first.
type service int

// The services. Each proxy has all of them.
const (
	one     service = 1 + iota // one target, 1 KiB
	large                      // one target, 100 KiB
	eight                      // eight targets in turns
	rules                      // twenty rules by path, one target
	secure                     // one, over TLS 1.3; HTTP/2 by ALPN
	withLog                    // one, with an access log
)

// The targets' ports: all at one address, as containers of an instance are.
const (
	smallPort = 8000
	largePort = 8001
	eightPort = 8010 // and the seven after it
	ruleCount = 20
)

// ours is minato's name among the proxies, and before the first of its ports.
const (
	ours    = "minato"
	ourBase = 8100
)

// candidate is one of the proxies that are compared.
type candidate struct {
	name      string
	peer      bool // not ours
	base      int  // its services' ports begin after this one
	processes func() ([]int, error)
}

// prefix is what the names of its figures begin with.
func (p *candidate) prefix() string {
	if p.name == ours {
		return ""
	}
	return p.name + "_"
}

// albWorld is an instance with a load balancer, targets, a client, and the
// peers beside it.
type albWorld struct {
	*world
	node     string // the load balancer's address, on which the peers listen too
	recorded string // the address of another load balancer, which has an access log; "" when there is none
	target   string // the targets' address
	vpcNS    string
	clientNS string
	proxies  []*candidate
	stops    []func()

	certificate, key string // files
}

func (w *albWorld) address(p *candidate, s service) string {
	node := w.node
	if s == withLog && p.name == ours {
		node = w.recorded
	}
	return fmt.Sprintf("%s:%d", node, p.base+int(s))
}

func (w *albWorld) url(p *candidate, r albRow) string {
	scheme := "http"
	if r.tls {
		scheme = "https"
	}
	return scheme + "://" + w.address(p, r.service) + r.path
}

func (w *albWorld) header() []string {
	cells := []string{"row", "what"}
	for _, p := range w.proxies {
		cells = append(cells, p.name)
	}
	return append(cells, "over the better peer", "failed")
}

func (w *albWorld) close() error {
	for _, stop := range slices.Backward(w.stops) {
		stop()
	}
	return w.in.Down()
}

// albWorld starts all of it. Waits are not paced: health checks come as often
// as they are said to.
func (b *bench) albWorld(ctx context.Context) (*albWorld, error) {
	in, err := b.instance()
	if err != nil {
		return nil, err
	}
	in.Extra = append(in.Extra, "--pace", "1")
	if err := in.Up(); err != nil {
		return nil, err
	}
	w := &albWorld{world: &world{in: in}}
	w.stops = append(w.stops, withoutAutogroups())
	if err := w.fill(ctx, b); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *albWorld) fill(ctx context.Context, b *bench) error {
	if err := w.connect(); err != nil {
		return err
	}
	if err := w.network(ctx); err != nil {
		return err
	}
	slices.Sort(w.subnets)
	if _, err := w.ec2.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{
		GroupId: &w.group, IpProtocol: aws.String("tcp"), FromPort: aws.Int32(8000), ToPort: aws.Int32(8999), CidrIp: aws.String("172.31.0.0/16"),
	}); err != nil {
		return err
	}
	id, err := w.in.ID()
	if err != nil {
		return err
	}
	dir := filepath.Join("/run/minato", id, "net")
	w.vpcNS = filepath.Join(dir, "vpc", w.vpc)
	if w.clientNS, _, err = w.networkInterface(ctx, dir); err != nil {
		return err
	}
	// A connection for each request uses up the client's ports otherwise.
	tune := `echo "1024 65535" >/proc/sys/net/ipv4/ip_local_port_range; echo 1 >/proc/sys/net/ipv4/tcp_tw_reuse`
	if out, err := inNamespace(ctx, w.clientNS, "sh", "-c", tune).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	if err := w.targets(ctx, dir); err != nil {
		return err
	}
	if w.certificate, w.key, err = makeCertificate(b.dir); err != nil {
		return err
	}
	if !b.flags.engine {
		if err := w.product(ctx); err != nil {
			return err
		}
		if err := w.accessLog(ctx); err != nil {
			b.leave("the row with an access log is left out: %v", err)
		}
	} else if err := w.engineAlone(ctx); err != nil {
		return err
	}
	for _, p := range []struct {
		name  string
		base  int
		start func(w *albWorld, path, dir string, base int) (*exec.Cmd, error)
	}{{"nginx", 8200, (*albWorld).nginx}, {"haproxy", 8300, (*albWorld).haproxy}} {
		path, err := exec.LookPath(p.name)
		if err != nil {
			b.leave("%s is not installed: nothing is compared with it", p.name)
			continue
		}
		c := &candidate{name: p.name, peer: true, base: p.base}
		dir := filepath.Join(b.dir, p.name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		cmd, err := p.start(w, path, dir, p.base)
		if err != nil {
			return err
		}
		if err := w.start(ctx, c, cmd); err != nil {
			return err
		}
	}
	for _, p := range w.proxies {
		if err := w.ready(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// withoutAutogroups has the kernel share the processors among threads and not among
// sessions, of which the daemon has one of its own while the peers are in ours, with
// client and targets: p99 doubled for whoever was in the wrong one.
func withoutAutogroups() (restore func()) {
	const name = "/proc/sys/kernel/sched_autogroup_enabled"
	was, err := os.ReadFile(name)
	if err != nil || os.WriteFile(name, []byte("0\n"), 0o644) != nil {
		return func() {} // there are none
	}
	return func() { os.WriteFile(name, was, 0o644) }
}

// start runs a peer, or the engine, in the VPC's namespace.
func (w *albWorld) start(ctx context.Context, p *candidate, cmd *exec.Cmd) error {
	stop, err := w.background(cmd)
	if err != nil {
		return err
	}
	w.stops = append(w.stops, stop)
	p.processes = func() ([]int, error) { return withChildren(cmd.Process.Pid) }
	w.proxies = append(w.proxies, p)
	return nil
}

// background runs a program whose complaints are shown until it is stopped.
func (w *albWorld) background(cmd *exec.Cmd) (stop func(), err error) {
	if cmd.Stderr = os.Stderr; cmd.Stdout == nil {
		cmd.Stdout = os.Stderr
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait() // how it ended does not matter once it was stopped
		close(ended)
	}()
	return func() { terminate(cmd, ended) }, nil
}

// withChildren is a process and its children.
func withChildren(pid int) ([]int, error) {
	out, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil, err
	}
	pids := []int{pid}
	for _, f := range strings.Fields(string(out)) {
		var child int
		if _, err := fmt.Sscan(f, &child); err != nil {
			return nil, err
		}
		pids = append(pids, child)
	}
	return pids, nil
}

// ready waits until every service of a proxy answers.
func (w *albWorld) ready(ctx context.Context, p *candidate) error {
	for _, r := range albRows {
		if !w.has(r) {
			continue
		}
		url := w.url(p, r)
		err := until(ctx, 30*time.Second, p.name+" answers at "+url, func() (bool, error) {
			_, err := w.client(ctx, "curl", "-sSkf", "-m", "2", "-o", "/dev/null", url)
			return err == nil, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// networkInterface makes one with a namespace of its own.
func (w *albWorld) networkInterface(ctx context.Context, dir string) (path, address string, err error) {
	out, err := w.ec2.CreateNetworkInterface(ctx, &ec2.CreateNetworkInterfaceInput{SubnetId: &w.subnets[0], Groups: []string{w.group}})
	if err != nil {
		return "", "", err
	}
	path = filepath.Join(dir, "eni", *out.NetworkInterface.NetworkInterfaceId)
	return path, *out.NetworkInterface.PrivateIpAddress, until(ctx, 20*time.Second, "the network interface", func() (bool, error) {
		err := inNamespace(ctx, path, "true").Run() // the file is there before the namespace is
		return err == nil, err
	})
}

// targets starts the process that plays all of them.
func (w *albWorld) targets(ctx context.Context, dir string) (err error) {
	path := ""
	if path, w.target, err = w.networkInterface(ctx, dir); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{upstreamRole, w.target, fmt.Sprintf("%d=1024", smallPort), fmt.Sprintf("%d=102400", largePort)}
	for i := range 8 {
		args = append(args, fmt.Sprintf("%d=1024", eightPort+i))
	}
	// Not with ctx: the proxies end before their targets do.
	stop, err := w.background(inNamespace(context.WithoutCancel(ctx), path, self, args...))
	if err != nil {
		return err
	}
	w.stops = append(w.stops, stop)
	return nil
}

// product makes a load balancer as its users do.
func (w *albWorld) product(ctx context.Context) error {
	lb, err := w.elb.CreateLoadBalancer(ctx, &elb.CreateLoadBalancerInput{
		Name: aws.String("bench"), Subnets: w.subnets[:2], SecurityGroups: []string{w.group}, Scheme: elbtypes.LoadBalancerSchemeEnumInternal,
	})
	if err != nil {
		return err
	}
	arn := lb.LoadBalancers[0].LoadBalancerArn
	groups := map[service]*string{}
	for s, ports := range map[service][]int{one: {smallPort}, large: {largePort}, eight: eightPorts()} {
		if groups[s], err = w.targetGroup(ctx, fmt.Sprint("bench-", int(s)), ports); err != nil {
			return err
		}
	}
	certificate, err := w.upload(ctx)
	if err != nil {
		return err
	}
	for s, group := range map[service]*string{one: groups[one], large: groups[large], eight: groups[eight], rules: groups[one], secure: groups[one]} {
		in := &elb.CreateListenerInput{
			LoadBalancerArn: arn, Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(int32(ourBase + s)),
			DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: group}},
		}
		switch s {
		case secure:
			in.Protocol, in.SslPolicy = elbtypes.ProtocolEnumHttps, aws.String("ELBSecurityPolicy-TLS13-1-3-2021-06")
			in.Certificates = []elbtypes.Certificate{{CertificateArn: certificate}}
		case rules:
			in.DefaultActions = []elbtypes.Action{{Type: elbtypes.ActionTypeEnumFixedResponse, FixedResponseConfig: &elbtypes.FixedResponseActionConfig{StatusCode: aws.String("404")}}}
		}
		l, err := w.elb.CreateListener(ctx, in)
		if err != nil {
			return err
		}
		if s != rules {
			continue
		}
		for i := range ruleCount {
			if _, err := w.elb.CreateRule(ctx, &elb.CreateRuleInput{
				ListenerArn: l.Listeners[0].ListenerArn, Priority: aws.Int32(int32(i + 1)),
				Conditions: []elbtypes.RuleCondition{{Field: aws.String("path-pattern"), Values: []string{rulePath(i) + "*"}}},
				Actions:    []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: group}},
			}); err != nil {
				return err
			}
		}
	}
	if w.node, err = w.findNode(ctx, *arn); err != nil {
		return err
	}
	w.proxies = append(w.proxies, &candidate{name: ours, base: ourBase, processes: func() ([]int, error) {
		s, err := status(w.in)
		for _, p := range s.Processes {
			if p.Role == "daemon" {
				return []int{p.PID}, err
			}
		}
		return nil, fmt.Errorf("no daemon runs: %w", err)
	}})
	return nil
}

// rulePath is what the i-th rule's paths begin with.
func rulePath(i int) string { return fmt.Sprintf("/r%d/", i+1) }

func eightPorts() (ports []int) {
	for i := range 8 {
		ports = append(ports, eightPort+i)
	}
	return ports
}

func (w *albWorld) targetGroup(ctx context.Context, name string, ports []int) (*string, error) {
	tg, err := w.elb.CreateTargetGroup(ctx, &elb.CreateTargetGroupInput{
		Name: &name, Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(smallPort), VpcId: &w.vpc, TargetType: elbtypes.TargetTypeEnumIp,
		HealthCheckIntervalSeconds: aws.Int32(5), HealthCheckTimeoutSeconds: aws.Int32(2), HealthyThresholdCount: aws.Int32(2),
	})
	if err != nil {
		return nil, err
	}
	arn := tg.TargetGroups[0].TargetGroupArn
	var targets []elbtypes.TargetDescription
	for _, port := range ports {
		targets = append(targets, elbtypes.TargetDescription{Id: &w.target, Port: aws.Int32(int32(port))})
	}
	_, err = w.elb.RegisterTargets(ctx, &elb.RegisterTargetsInput{TargetGroupArn: arn, Targets: targets})
	return arn, err
}

// findNode finds a load balancer's address in the client's subnet.
func (w *albWorld) findNode(ctx context.Context, arn string) (node string, err error) {
	_, id, _ := strings.Cut(arn, ":loadbalancer/")
	err = until(ctx, 20*time.Second, "the load balancer's network interface", func() (bool, error) {
		out, err := w.ec2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{Filters: []ec2types.Filter{
			{Name: aws.String("description"), Values: []string{"ELB " + id}}, {Name: aws.String("subnet-id"), Values: []string{w.subnets[0]}},
		}})
		if err != nil || len(out.NetworkInterfaces) == 0 {
			return false, err
		}
		node = *out.NetworkInterfaces[0].PrivateIpAddress
		return true, nil
	})
	return node, err
}

// has tells whether the proxies can do a row.
func (w *albWorld) has(r albRow) bool { return r.service != withLog || w.recorded != "" }

// accessLog makes a second load balancer, with an access log in a bucket: what
// ALB has in a log's place, with the policy that its guide asks for.
func (w *albWorld) accessLog(ctx context.Context) error {
	const bucket = "bench-alb-logs"
	if _, err := w.in.AWS("s3api", "create-bucket", "--bucket", bucket); err != nil {
		return err
	}
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"logdelivery.elasticloadbalancing.amazonaws.com"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::` + bucket + `/*"}]}`
	if _, err := w.in.AWS("s3api", "put-bucket-policy", "--bucket", bucket, "--policy", policy); err != nil {
		return err
	}
	lb, err := w.elb.CreateLoadBalancer(ctx, &elb.CreateLoadBalancerInput{
		Name: aws.String("bench-logged"), Subnets: w.subnets[:2], SecurityGroups: []string{w.group}, Scheme: elbtypes.LoadBalancerSchemeEnumInternal,
	})
	if err != nil {
		return err
	}
	arn := lb.LoadBalancers[0].LoadBalancerArn
	if _, err := w.elb.ModifyLoadBalancerAttributes(ctx, &elb.ModifyLoadBalancerAttributesInput{LoadBalancerArn: arn, Attributes: []elbtypes.LoadBalancerAttribute{
		{Key: aws.String("access_logs.s3.enabled"), Value: aws.String("true")}, {Key: aws.String("access_logs.s3.bucket"), Value: aws.String(bucket)},
	}}); err != nil {
		return err
	}
	group, err := w.targetGroup(ctx, "bench-logged", []int{smallPort})
	if err != nil {
		return err
	}
	if _, err := w.elb.CreateListener(ctx, &elb.CreateListenerInput{
		LoadBalancerArn: arn, Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(int32(ourBase + withLog)),
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: group}},
	}); err != nil {
		return err
	}
	w.recorded, err = w.findNode(ctx, *arn)
	return err
}

// upload hands the certificate to IAM.
func (w *albWorld) upload(ctx context.Context) (*string, error) {
	certificate, err := os.ReadFile(w.certificate)
	if err != nil {
		return nil, err
	}
	key, err := os.ReadFile(w.key)
	if err != nil {
		return nil, err
	}
	out, err := w.iam.UploadServerCertificate(ctx, &iam.UploadServerCertificateInput{
		ServerCertificateName: aws.String("bench"), CertificateBody: aws.String(string(certificate)), PrivateKey: aws.String(string(key)),
	})
	if err != nil {
		return nil, err
	}
	return out.ServerCertificateMetadata.Arn, nil
}
