package ecs

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"minato/aws"
	cwapi "minato/aws/api/cloudwatch"
	ec2api "minato/aws/api/ec2"
	ecrapi "minato/aws/api/ecr"
	ecsapi "minato/aws/api/ecs"
	elbapi "minato/aws/api/elbv2"
	logsapi "minato/aws/api/logs"
	stsapi "minato/aws/api/sts"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/controller"
	"minato/dataplane/container"
	"minato/gateway"
	"minato/gateway/metadata"
	"minato/internal/clock"
	"minato/services/ecs/envfile"
	"minato/services/ecs/exec"
	"minato/services/ecs/instances"
	"minato/services/ecs/metrics"
	"minato/services/ecs/reach"
	"minato/services/ecs/record"
	"minato/services/ecs/reference"
	"minato/services/ecs/rights"
	"minato/services/ecs/secrets"
	"minato/store"
)

// The names under which the service calls others.
const (
	Principal      = rights.Principal
	TasksPrincipal = rights.TasksPrincipal
)

// Interfaces is what tasks need of dataplane/network.
type Interfaces interface {
	// Wait returns when the network interface is real, or with ctx's error.
	Wait(ctx context.Context, eni string) error
	// NetnsPath is where its namespace is pinned.
	NetnsPath(eni string) string
}

// Deps is what the service needs. The APIs are reached through the gateway.
type Deps struct {
	Store store.Store
	Clock clock.Clock
	Log   *slog.Logger

	EC2  ec2api.API
	ECR  ecrapi.API
	ELB  elbapi.API
	Logs logsapi.API
	STS  stsapi.API
	// Alarms is CloudWatch: asked for the alarms that guard deployments, told the
	// metrics of tasks.
	Alarms cwapi.API

	Secrets    secrets.SecretsManager
	Parameters secrets.ParameterStore
	Buckets    envfile.S3 // environment files

	// Authorizer is IAM, for what the agents of ECS Exec do as the task role; the
	// API's requests go through the gateway.
	Authorizer gateway.Authorizer
	// Sessions carry terminals to the clients of ECS Exec.
	Sessions exec.Sessions

	Runtime container.Runtime
	Network Interfaces
	// Images gets what is not in ECR.
	Images Images

	// Ways are those to ECR and the other services: a task whose interface cannot
	// connect there cannot pull, nor get its secrets.
	Ways reach.Ways
	// Endpoint is the AWS_ENDPOINT_URL of tasks.
	Endpoint string
	// FileSystemsDir holds what is written to EFS, a directory for each file system.
	FileSystemsDir string
	// VolumesDir holds the tasks' own volumes, a directory for each task.
	VolumesDir string
}

// Service implements ecsapi.API.
type Service struct {
	Deps
	instances.None // container instances: there are none

	clusters    store.Table[record.Cluster]
	definitions store.Table[record.TaskDefinition]
	families    store.Table[record.Family]
	tasks       store.Table[record.Task]
	settings    store.Table[ecsapi.Setting]

	enqueue func(reconciler, key string)

	bgCtx    context.Context // of forwarders and stops, which outlast a reconcile
	bgCancel context.CancelFunc
	bg       sync.WaitGroup
	mu       sync.Mutex
	busy     map[string]bool  // guarded: what is under way in the background
	working  chan struct{}    // holds one for each task that takes a step
	logged   map[string]int   // guarded: how many runs of a container have had their log delivered
	sessions *metadata.Keeper // keys of tasks' roles
	held     secrets.Held
	// groupOwners are the keys of services by the ARNs of their target groups;
	// guarded.
	groupOwners map[string]string

	shown shownServices
}

var _ ecsapi.API = (*Service)(nil)

// taskReconciler is the name of the tasks' reconciler.
const taskReconciler = "ecs-task"

// taskWorkers is how many tasks are reconciled at the same time, workingTasks how
// many of them take a step; the others wait, for minutes perhaps, for interfaces,
// routes and images, and must not keep a task from being stopped.
const (
	taskWorkers  = 512
	workingTasks = 32
)

// New makes the service; nothing runs yet.
func New(d Deps) *Service {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	s := &Service{
		Deps:        d,
		clusters:    store.NewTable[record.Cluster](d.Store, "ecs/cluster"),
		definitions: store.NewTable[record.TaskDefinition](d.Store, "ecs/task-definition"),
		families:    store.NewTable[record.Family](d.Store, "ecs/family"),
		tasks:       store.NewTable[record.Task](d.Store, "ecs/task"),
		settings:    store.NewTable[ecsapi.Setting](d.Store, "ecs/setting"),
		enqueue:     func(string, string) {},
		busy:        map[string]bool{},
		working:     make(chan struct{}, workingTasks),
		logged:      map[string]int{},
	}
	s.None.Active = func(ctx context.Context, cluster *string) error {
		_, err := s.cluster(ctx, cluster)
		return err
	}
	s.sessions = metadata.NewKeeper(d.Clock, s.assume)
	s.bgCtx, s.bgCancel = context.WithCancel(context.Background())
	return s
}

// Registration is what the gateway is given.
func (s *Service) Registration() gateway.Registration {
	return gateway.Registration{Service: ecsapi.Model, Handlers: ecsapi.Handlers(s), Checks: s.checks}
}

// checks is what IAM is asked before an operation.
func (s *Service) checks(ctx context.Context, op *aws.Operation, in any) []gateway.Check {
	return rights.Checks(rights.Lookup{
		Definition: func(text string) *ecsapi.TaskDefinition {
			d, found, err := s.definition(ctx, at(ctx), text)
			if err != nil || !found {
				return nil
			}
			return &d.TaskDefinition
		},
		Cluster: func(cluster *string) *ecsapi.Cluster {
			c, err := s.cluster(ctx, cluster)
			if err != nil {
				return nil
			}
			return &c.Cluster
		},
		Task: func(cluster, text string) *ecsapi.Task {
			t, found, err := s.taskOf(ctx, cluster, text)
			if err != nil || !found {
				return nil
			}
			return &t.Task
		},
	}, at(ctx), op, in)
}

// AddReconcilers adds what the service does in the background.
func (s *Service) AddReconcilers(c *controller.Controller) {
	c.Add(taskReconciler, &taskLoop{s}, controller.Options{Workers: taskWorkers})
	c.Wake(taskReconciler, s.tasks.Prefix(), nil)
	s.addServiceReconciler(c)
	c.Add(definitionReconciler, &definitionLoop{s}, controller.Options{Workers: 1})
	c.Wake(definitionReconciler, s.definitions.Prefix(), nil)
	if s.Alarms != nil {
		c.Add("ecs-metrics", &metrics.Reconciler{World: measured{s}, Meter: metrics.NewMeter(s.Runtime), CloudWatch: s.Alarms, Clock: s.Clock, Log: s.Log}, controller.Options{Workers: 1})
	}
	s.enqueue = c.Enqueue
	s.bg.Go(s.followContainers)
}

// Close ends what runs in the background of this process; tasks run on.
func (s *Service) Close() {
	s.bgCancel()
	s.bg.Wait()
}

// followContainers wakes the task of every container that changes.
func (s *Service) followContainers() {
	for ch := range s.Runtime.Changes(s.bgCtx) {
		if key, ok := record.TaskOfGroup(ch.Group); ok {
			s.enqueue(taskReconciler, s.tasks.Key(key...))
		}
	}
}

// at is where the caller's call goes.
func at(ctx context.Context) arn.Place {
	c := identity.From(ctx)
	return arn.In(c.Region, c.Account)
}

// own is ctx with the identity of ECS itself in a place.
func own(ctx context.Context, p arn.Place) context.Context {
	return identity.With(ctx, identity.ServiceCaller(Principal, p.Account, p.Region))
}

func (s *Service) now() *time.Time { return aws.Ptr(s.Clock.Now().UTC().Truncate(time.Millisecond)) }

// nameOf is how a call names a thing of a kind; see reference.Name.
func nameOf(kind, text string) (string, bool) { return reference.Name(kind, text) }
