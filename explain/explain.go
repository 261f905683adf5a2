// Package explain answers `minato why`: what keeps a service, task, target
// group, load balancer, stack, database or repository from what it should be, the evidence, and
// the command that mends it. It reads the public API like any client, and the
// evidence that AWS does not show: the packets that the network dropped and why,
// the sockets in a task's network namespace, the calls that were refused.
//
// This package gathers; package cause concludes, and is pure. Every finding says
// what was looked at; where nothing is wrong, the proof is given instead. Nothing
// here changes anything.
package explain

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"minato/aws"
	"minato/aws/api/acm"
	"minato/aws/api/cloudformation"
	"minato/aws/api/cloudwatch"
	"minato/aws/api/ec2"
	"minato/aws/api/ecr"
	"minato/aws/api/ecs"
	"minato/aws/api/elbv2"
	"minato/aws/api/iam"
	"minato/aws/api/logs"
	"minato/aws/api/rds"
	"minato/dataplane/network"
	"minato/explain/cause"
	"minato/gateway"
)

// The states of what is explained.
const (
	Healthy    = "healthy"
	InProgress = "in progress"
	Failing    = "failing"
	Refused    = "refused" // nothing has the name, and calls that had it were refused
)

// Cause is one reason, what shows it, and the commands that mend it.
type Cause = cause.Cause

// Explanation is what is known of one thing.
type Explanation struct {
	Subject string   `json:"subject"` // what was found under the name, as an ARN where it has one
	Kind    string   `json:"kind"`    // service, task, target group, load balancer, stack, database, repository, refused calls
	Name    string   `json:"name"`    // what minato why takes for it: "service:chat/web"
	State   string   `json:"state"`
	Healthy bool     `json:"healthy"`
	Summary string   `json:"summary"`
	Proof   []string `json:"proof,omitempty"` // of a healthy thing
	Waits   []string `json:"waits,omitempty"` // what work under way waits for
	Causes  []Cause  `json:"causes,omitempty"`
	Refused []Cause  `json:"refused,omitempty"` // of calls about it that were refused lately
}

// Explainer looks for causes.
type Explainer struct {
	ECS            ecs.API
	ELB            elbv2.API
	EC2            ec2.API
	ECR            ecr.API
	RDS            rds.API
	CloudFormation cloudformation.API
	CloudWatch     cloudwatch.API
	IAM            iam.API
	ACM            acm.API
	Logs           logs.API
	Drops          func(context.Context) ([]network.Drop, error)
	LogFailures    func(balancer string) ([]cause.LogFailure, []cause.LogLoss)
	Listening      func(ctx context.Context, eni string) ([]netip.AddrPort, error)
	Refusals       func() []gateway.Refusal
	Paced          func(time.Duration) time.Duration
	Now            func() time.Time
}

// ErrNotFound says that nothing has the name.
var ErrNotFound = errors.New("nothing has that name")

// errAbsent marks that a thing does not exist.
var errAbsent = errors.New("does not exist")

func absent(kind, name string) error { return fmt.Errorf("%s %s %w", kind, name, errAbsent) }

// inquiry is one question, with what was looked up for it once.
type inquiry struct {
	*Explainer
	ctx   context.Context
	now   time.Time
	drop  []network.Drop
	known bool // drop is filled
	vpcs  map[string]string
	dbs   []rds.DBInstance
}

// kind is a sort of thing that can be explained by name.
type kind struct {
	prefix string
	names  func(q *inquiry, name string) ([]string, error) // those that a bare name may mean
	look   func(q *inquiry, name string) (*Explanation, error)
}

func kinds() []kind {
	same := func(q *inquiry, name string) ([]string, error) { return []string{name}, nil }
	return []kind{
		{"service", (*inquiry).servicesNamed, (*inquiry).serviceNamed},
		{"task", (*inquiry).tasksNamed, (*inquiry).taskNamed},
		{"targetgroup", (*inquiry).targetGroupsNamed, (*inquiry).targetGroup},
		{"stack", same, (*inquiry).stack},
		{"db", same, (*inquiry).database},
		{"repository", same, (*inquiry).repository},
		balancerKind,
	}
}

// balancerKind comes last: a bare name that means something else too, as that of
// a load balancer often does, is the other thing's.
var balancerKind = kind{"loadbalancer", (*inquiry).balancersNamed, (*inquiry).balancer}

// Why explains what a name or ARN means: CLUSTER/SERVICE, a bare name, or one with
// its kind before it (stack:chat). Without a name the calls that were refused
// lately are explained.
func (x *Explainer) Why(ctx context.Context, name string) ([]Explanation, error) {
	q := &inquiry{Explainer: x, ctx: ctx, now: x.Now(), vpcs: map[string]string{}}
	if name == "" {
		return q.lately()
	}
	if strings.HasPrefix(name, "arn:") {
		return q.byARN(name)
	}
	if prefix, rest, ok := strings.Cut(name, ":"); ok {
		for _, k := range kinds() {
			if k.prefix == prefix {
				return q.one(name, k, rest)
			}
		}
	}
	if !strings.Contains(name, "/") {
		return q.byName(name)
	}
	found, err := q.one(name, kinds()[0], name)
	if err != nil && errors.Is(err, ErrNotFound) {
		return q.byName(name) // a repository's name may have slashes too
	}
	return found, err
}

// one explains a thing of a known kind; of one that does not exist, the calls
// that would have made it.
func (q *inquiry) one(asked string, k kind, name string) ([]Explanation, error) {
	names, err := k.names(q, name)
	if err != nil {
		return nil, err
	}
	found, err := q.look(k, names)
	if err != nil {
		return nil, err
	}
	return q.settle(asked, name, found)
}

// look explains the things of a kind with some names, those that there are.
func (q *inquiry) look(k kind, names []string) (found []Explanation, err error) {
	for _, n := range names {
		e, err := k.look(q, n)
		if errors.Is(err, errAbsent) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found = append(found, *e)
	}
	return found, nil
}

// byName looks for everything that a bare name may mean.
func (q *inquiry) byName(name string) ([]Explanation, error) {
	var found []Explanation
	for _, k := range kinds() {
		if k.prefix == balancerKind.prefix && len(found) > 0 {
			break
		}
		names, err := k.names(q, name)
		if err != nil {
			return nil, err
		}
		these, err := q.look(k, names)
		if err != nil {
			return nil, err
		}
		found = append(found, these...)
	}
	return q.settle(name, name, found)
}

// settle answers with the one thing that was found.
func (q *inquiry) settle(asked, name string, found []Explanation) ([]Explanation, error) {
	switch len(found) {
	case 1:
		return found, nil
	case 0:
		if e, ok := q.refusedFor(name); ok {
			return []Explanation{e}, nil
		}
		return nil, fmt.Errorf("%w: %s is no service (CLUSTER/SERVICE), task, target group, load balancer, stack, database or repository here, and no call that names it was refused lately", ErrNotFound, asked)
	}
	text := name + " means several things; ask for one of them:"
	for _, e := range found {
		text += "\n  minato why " + e.Name
	}
	return nil, errors.New(text)
}

func (q *inquiry) byARN(arn string) ([]Explanation, error) {
	part := strings.SplitN(arn, ":", 6)
	if len(part) < 6 {
		return nil, fmt.Errorf("%w: %s is no ARN", ErrNotFound, arn)
	}
	service, resource := part[2], part[5]
	sort, rest, _ := strings.Cut(resource, "/")
	all := kinds()
	var k kind
	switch {
	case service == "ecs" && (sort == "service" || sort == "task"):
		k = all[0]
		if sort == "task" {
			k = all[1]
		}
		if !strings.Contains(rest, "/") {
			rest = "default/" + rest
		}
	case service == "elasticloadbalancing" && sort == "targetgroup":
		k, rest = all[2], arn
	case service == "elasticloadbalancing" && (sort == "loadbalancer" || sort == "listener"):
		k, rest = balancerKind, arn
		if sort == "listener" {
			rest = strings.Replace(arn[:strings.LastIndexByte(arn, '/')], ":listener/", ":loadbalancer/", 1)
		}
	case service == "cloudformation" && sort == "stack":
		k, rest = all[3], arn
	case service == "rds" && strings.HasPrefix(resource, "db:"):
		k, rest = all[4], strings.TrimPrefix(resource, "db:")
	case service == "ecr" && sort == "repository":
		k = all[5]
	default:
		if e, ok := q.refusedFor(arn); ok {
			return []Explanation{e}, nil
		}
		return nil, fmt.Errorf("minato why knows services, tasks, target groups, load balancers, stacks, databases and repositories, and %s is none of them", arn)
	}
	e, err := k.look(q, rest)
	if errors.Is(err, errAbsent) {
		return q.settle(arn, rest, nil)
	}
	if err != nil {
		return nil, err
	}
	return []Explanation{*e}, nil
}

// conclude sets the state and the summary from what was found.
func (e *Explanation) conclude(f cause.Findings, healthy string) *Explanation {
	e.Causes, e.Waits, e.Proof = cause.Distinct(f.Causes), f.Waits, f.Proof
	switch n := len(e.Causes); {
	case n == 0 && len(e.Waits) == 0:
		e.State, e.Healthy, e.Summary = Healthy, true, "nothing is wrong: "+healthy
	case n == 0:
		e.State, e.Summary = InProgress, "in progress, and nothing has failed so far"
	case n == 1:
		e.State, e.Summary = Failing, e.Causes[0].What
	default:
		e.State, e.Summary = Failing, fmt.Sprintf("%d causes were found", n)
	}
	if len(e.Causes) > 0 {
		e.Proof = nil
	}
	return e
}

// notFound tells whether an error says that what was asked for is not there.
func notFound(err error) bool {
	var e *aws.Error
	return errors.As(err, &e) && (strings.Contains(e.Code, "NotFound") || e.Code == "ValidationError" && strings.Contains(e.Message, "does not exist"))
}

// last is the part of an ARN behind the last slash.
func last(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }
