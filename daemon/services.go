package daemon

import (
	"context"
	"fmt"
	"time"

	"minato/aws"
	acmapi "minato/aws/api/acm"
	autoapi "minato/aws/api/applicationautoscaling"
	cloud9api "minato/aws/api/cloud9"
	cfnapi "minato/aws/api/cloudformation"
	cwapi "minato/aws/api/cloudwatch"
	ec2api "minato/aws/api/ec2"
	ecrapi "minato/aws/api/ecr"
	ecsapi "minato/aws/api/ecs"
	elbv2api "minato/aws/api/elbv2"
	iamapi "minato/aws/api/iam"
	logsapi "minato/aws/api/logs"
	rdsapi "minato/aws/api/rds"
	s3api "minato/aws/api/s3"
	secretsapi "minato/aws/api/secretsmanager"
	ssmapi "minato/aws/api/ssm"
	stsapi "minato/aws/api/sts"
	"minato/aws/validate"
	"minato/controller"
	"minato/daemon/instance"
	"minato/daemon/relay"
	"minato/dataplane/blobs"
	"minato/dataplane/database"
	"minato/dataplane/host"
	"minato/dataplane/metrics"
	"minato/dataplane/network"
	"minato/dataplane/registry"
	"minato/dataplane/segments"
	"minato/gateway"
	"minato/gateway/metadata"
	"minato/gateway/session"
	"minato/internal/seal"
	"minato/services/acm"
	"minato/services/applicationautoscaling"
	"minato/services/cloud9"
	"minato/services/cloudformation"
	"minato/services/cloudwatch"
	"minato/services/ec2"
	"minato/services/ec2/guest"
	"minato/services/ecr"
	"minato/services/ecs"
	"minato/services/elbv2"
	"minato/services/iam"
	"minato/services/logs"
	"minato/services/rds"
	"minato/services/s3"
	"minato/services/secretsmanager"
	"minato/services/ssm"
	"minato/services/sts"
)

// Services lists the models of everything that is served, in the order in which
// docs/coverage.md shows it.
func Services() []*aws.Service {
	return []*aws.Service{
		ecsapi.Model, elbv2api.Model, ecrapi.Model, ec2api.Model, rdsapi.Model, cfnapi.Model, iamapi.Model, stsapi.Model, logsapi.Model, cwapi.Model, autoapi.Model, secretsapi.Model, ssmapi.Model, cloud9api.Model, acmapi.Model, s3api.Model,
	}
}

// services are the control plane.
type services struct {
	iam    *iam.Service
	sts    *sts.Service
	logs   *logs.Service
	alarms *cloudwatch.Service
	scaler *applicationautoscaling.Service
	ecr    *ecr.Service
	ec2    *ec2.Service
	elb    *elbv2.Service
	rds    *rds.Service
	ecs    *ecs.Service
	stacks *cloudformation.Service
	cloud9 *cloud9.Service
	acm    *acm.Service
	s3     *s3.Service

	secrets *secretsmanager.Service
	ssm     *ssm.Service

	sessions  *session.Server
	instances *ec2.InstanceReconciler
	metadata  *metadata.Listeners
}

// clients call the services in process, through the gateway.
type clients struct {
	iam  *iamapi.Client
	sts  *stsapi.Client
	logs *logsapi.Client
	ecr  *ecrapi.Client
	ec2  *ec2api.Client
	elb  *elbv2api.Client

	secrets *secretsapi.Client
	ssm     *ssmapi.Client
}

func (d *daemon) clients() clients {
	g := d.gateway
	return clients{iamapi.NewClient(g), stsapi.NewClient(g), logsapi.NewClient(g), ecrapi.NewClient(g), ec2api.NewClient(g), elbv2api.NewClient(g), secretsapi.NewClient(g), ssmapi.NewClient(g)}
}

// buildGateway makes the gateway with who decides: IAM and STS.
func (d *daemon) buildGateway() error {
	var err error
	if d.sealer, err = seal.Open(d.in.Path("secrets.key")); err != nil {
		return err
	}
	d.services.iam = iam.New(iam.Deps{Store: d.store, Clock: d.clock, Log: d.log, CertificateUsers: d.certificateUsers, Seal: d.sealer})
	authenticator := &gateway.Keys{Users: d.iam}
	d.refused = gateway.NewRefusals(d.clock)
	opt := gateway.Options{
		Refusals: d.refused,
		Account:  d.cfg.Account, Region: d.cfg.Region, Clock: d.clock, Log: d.log, Authenticator: authenticator, Authorizer: d.iam, Validate: validate.Input,
		DevCredentials: d.cfg.DevCredentials, Hosts: []string{network.ServiceAddress(d.cfg.PublicCIDR).String(), network.ObjectsAddress(d.cfg.PublicCIDR).String()},
	}
	if d.cfg.Record != "" {
		r, err := newRecorder(d.cfg.Record)
		if err != nil {
			return err
		}
		opt.Record = r.record
	}
	d.gateway = gateway.New(opt)
	d.services.sts = sts.New(sts.Deps{Store: d.store, Clock: d.clock, Log: d.log, IAM: d.clients().iam})
	authenticator.Temporary = d.sts
	return nil
}

// buildServices makes every service and registers it at the gateway. Services
// call one another through it, so their order here is free.
func (d *daemon) buildServices() error {
	if err := d.buildGateway(); err != nil {
		return err
	}
	d.names, d.endpoints = newNames(d.cfg, d.in, d.log, d.dns), newEndpoints(d)
	if d.cfg.HostNames {
		if err := d.ca.Trust(host.CertsDir, d.in.ID, registryHost(d.cfg)); err != nil {
			return fmt.Errorf("docker and skopeo would not trust the registry: %w", err)
		}
	}
	events, err := segments.Open(d.in.Path("segments", "logs"), segments.Options{})
	if err != nil {
		return err
	}
	d.onClose(events.Close)
	databases, err := database.New(database.Options{Root: d.in.Path("databases"), Runtime: d.runtime, Log: d.log})
	if err != nil {
		return err
	}
	call := d.clients()
	d.services.secrets = secretsmanager.New(secretsmanager.Deps{Store: d.store, Clock: d.clock, Log: d.log, Seal: d.sealer, Self: call.secrets})
	d.services.ssm = ssm.New(ssm.Deps{Store: d.store, Clock: d.clock, Log: d.log, Seal: d.sealer, Secrets: call.secrets, EC2: call.ec2})
	if err := d.buildMetrics(); err != nil {
		return err
	}
	if err := d.buildObjects(); err != nil {
		return err
	}
	d.services.logs = logs.New(logs.Deps{Store: d.store, Events: events, Clock: d.clock, Log: d.log, Metrics: cwapi.NewClient(d.gateway)})
	d.services.ecr = ecr.New(ecr.Deps{
		Store: d.store, Clock: d.clock, Log: d.log, Account: d.cfg.Account, Region: d.cfg.Region, Authorizer: d.iam, OpenRegistry: d.openRegistry,
	})
	d.onClose(d.ecr.Registry().Close)
	d.services.ec2 = ec2.New(ec2.Deps{
		Store: d.store, Clock: d.clock, Log: d.log, Pool: d.cfg.PublicCIDR, FirstAssignable: network.FirstAssignable(d.cfg.PublicCIDR), IAM: call.iam, STS: call.sts,
	})
	d.services.rds = rds.New(rds.Deps{
		Store: d.store, Clock: d.clock, Log: d.log, EC2: call.ec2, Databases: databases, Network: d.network, AcceptRetired: d.cfg.RetiredVersions == "accept",
	})
	d.services.elb = elbv2.New(elbv2.Deps{
		Store: d.store, Clock: d.clock, Log: d.log, EC2: call.ec2, Proxy: d.proxy, Bus: d.bus, Ready: d.network.Wait, Names: d.names.setLoadBalancers,
		Certificates: d.certificate, Metrics: cwapi.NewClient(d.gateway), Buckets: s3api.NewClient(d.gateway),
	})
	d.services.acm = acm.New(acm.Deps{Store: d.store, Clock: d.clock, Log: d.log, Issuer: d.issuer, Users: d.certificateUsers, Seal: d.sealer})
	d.services.sessions = session.New(session.Options{Endpoint: d.reachedAt, Clock: d.clock, Log: d.log})
	d.onClose(d.sessions.Close)
	d.services.ecs = ecs.New(ecs.Deps{
		Store: d.store, Clock: d.clock, Log: d.log, EC2: call.ec2, ECR: call.ecr, ELB: call.elb, Logs: call.logs, STS: call.sts, Secrets: call.secrets, Parameters: call.ssm, Buckets: s3api.NewClient(d.gateway),
		Authorizer: agents{d.iam, d.refused}, Sessions: d.sessions, Alarms: cwapi.NewClient(d.gateway),
		Runtime: d.runtime, Network: d.network, Images: d.outsideImages(),
		Ways: d.endpoints, Endpoint: d.endpointInside(), VolumesDir: d.in.Path("volumes"), FileSystemsDir: d.in.Path("efs"),
	})
	d.onClose(func() error { d.ecs.Close(); return nil })
	d.services.cloud9 = cloud9.New(cloud9.Deps{Store: d.store, Clock: d.clock, Log: d.log, EC2: call.ec2})
	d.services.stacks = cloudformation.New(cloudformation.Deps{Store: d.store, Clock: d.clock, Log: d.log, Invoker: d.gateway})
	for _, s := range []interface{ Registration() gateway.Registration }{d.iam, d.sts, d.secrets, d.ssm, d.logs, d.alarms, d.scaler, d.ecr, d.ec2, d.rds, d.elb, d.ecs, d.cloud9, d.acm, d.s3, d.stacks} {
		d.gateway.Register(s.Registration())
	}
	builds, err := d.newRelay()
	if err != nil {
		return err
	}
	d.services.metadata = metadata.NewListeners(metadata.New(metadata.Options{Locator: d.network, Tasks: d.ecs, ECS: ecsapi.NewClient(d.gateway), Instances: d.ec2, Build: builds.Serve, Clock: d.clock, Log: d.log}), d.network)
	d.onClose(func() error { d.metadata.Close(); return nil })
	return d.seed()
}

// buildMetrics makes CloudWatch over its segments, and Application Auto Scaling,
// which its alarms call.
func (d *daemon) buildMetrics() error {
	samples, err := segments.Open(d.in.Path("segments", "metrics"), segments.Options{})
	if err != nil {
		return err
	}
	d.onClose(samples.Close)
	history, err := segments.Open(d.in.Path("segments", "alarms"), segments.Options{})
	if err != nil {
		return err
	}
	d.onClose(history.Close)
	d.services.scaler = applicationautoscaling.New(applicationautoscaling.Deps{
		Store: d.store, Clock: d.clock, Log: d.log, ECS: ecsapi.NewClient(d.gateway), CloudWatch: cwapi.NewClient(d.gateway),
	})
	d.services.alarms = cloudwatch.New(cloudwatch.Deps{
		Store: d.store, Metrics: metrics.Open(samples, d.clock), History: history, Clock: d.clock, Log: d.log, Scale: d.scaler.Alarmed,
	})
	return nil
}

// buildObjects makes S3 over its files.
func (d *daemon) buildObjects() error {
	files, err := blobs.Open(d.in.Path("s3"), d.sealer.Key("objects of s3"))
	if err != nil {
		return err
	}
	d.services.s3 = s3.New(s3.Deps{Store: d.store, Blobs: files, Clock: d.clock, Log: d.log, Authorizer: d.iam, Region: d.cfg.Region})
	return d.s3.Unmark(d.ctx)
}

// openRegistry makes the registry over containerd's content store.
func (d *daemon) openRegistry(a registry.Authorizer, r registry.Repositories) *registry.Registry {
	return registry.New(registry.Options{
		Content: d.runtime.Content(), Leases: d.runtime.Leases(), Namespace: d.runtime.Namespace(), Authorizer: a, Repositories: r, Clock: d.clock, Log: d.log,
		Observe: (&pushes{refused: d.refused}).observe,
	})
}

// seed makes what an account has from the first day: the user admin and the
// default VPC.
func (d *daemon) seed() error {
	id, secret, err := d.iam.EnsureAdmin(d.ctx, d.cfg.Account)
	if err != nil {
		return fmt.Errorf("the user admin: %w", err)
	}
	if err := d.in.WriteKeys(instance.Keys{AccessKeyID: id, SecretAccessKey: secret}); err != nil {
		return err
	}
	return d.ec2.EnsureDefaultVPC(d.ctx, d.cfg.Account, d.cfg.Region)
}

// startReconcilers hands the network its whole state, then starts the loops.
func (d *daemon) startReconcilers() error {
	d.vpcs = newVPCServices(d)
	net := ec2.NewNetworkReconciler(d.ec2, d.network, d.vpcs.update)
	if _, err := net.Reconcile(d.ctx, ec2.NetworkKey); err != nil {
		// One bad record must not keep everything else down; the reconciler
		// tries again, and says so.
		d.log.Error("the network is not yet as it should be", "error", err)
	}
	d.control.Add("network", net, controller.Options{Workers: 1, Resync: time.Minute})
	d.control.Wake("network", ec2.NetworkPrefix, func(string) string { return ec2.NetworkKey })
	d.logs.AddReconcilers(d.control)
	d.secrets.AddReconcilers(d.control)
	d.s3.AddReconcilers(d.control)
	d.alarms.AddReconcilers(d.control)
	d.scaler.AddReconcilers(d.control)
	d.ecs.AddReconcilers(d.control)
	d.elb.Register(d.control, acm.Prefix, iam.CertificatePrefix)
	d.rds.Reconcile(d.control)
	d.bus.Subscribe("rds/instance/", func(string) { d.tellDatabases() })
	d.services.instances = ec2.NewInstanceReconciler(d.ec2, d.runtime, d.network, guest.Config{
		Dir: d.in.Path("workspaces"), CA: d.ca.PEM(), Endpoint: d.endpointInside(), Variables: []string{relay.Variable + "=" + relayAddress}, Tools: d.guestTools,
	})
	d.instances.AddTo(d.control)
	d.cloud9.AddReconcilers(d.control)
	// A stack with stacks in it holds a worker while they are at work.
	d.control.Add("stacks", d.stacks, controller.Options{Workers: 64})
	d.control.Wake("stacks", d.stacks.BusPrefix(), nil)
	d.control.Start()
	d.onClose(func() error { d.control.Stop(); return nil })
	d.wg.Go(func() { d.ecr.Run(d.ctx) })
	d.wg.Go(func() { d.elb.PublishMetrics(d.ctx) })
	d.wg.Go(func() { d.elb.DeliverLogs(d.ctx) })
	d.onClose(func() error { d.elb.FlushLogs(context.WithoutCancel(d.ctx)); return nil })
	d.wg.Go(func() { d.rds.Follow(d.ctx) })
	d.wg.Go(func() { d.instances.Follow(d.ctx, d.control) })
	d.tellDatabases()
	return nil
}

// tellDatabases gives the names of all databases to whoever resolves them.
func (d *daemon) tellDatabases() {
	all, err := d.rds.Names(d.ctx)
	if err != nil {
		d.log.Error("the databases' names", "error", err)
		return
	}
	d.names.setDatabases(all)
}
