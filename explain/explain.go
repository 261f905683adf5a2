// Package explain answers `minato why`: what keeps a service, task, target
// group, stack or database from what it should be, the evidence, and the
// command that mends it. It reads the public API like any client, and the
// evidence that AWS does not show: the packets that the network dropped and why.
//
// Every finding says what was looked at; where nothing is wrong, the proof is
// given instead. Nothing here changes anything.
package explain

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"minato/aws"
	"minato/aws/api/cloudformation"
	"minato/aws/api/ec2"
	"minato/aws/api/ecs"
	"minato/aws/api/elbv2"
	"minato/aws/api/logs"
	"minato/aws/api/rds"
	"minato/dataplane/network"
)

// Explanation is what is known of one thing.
type Explanation struct {
	Subject string   `json:"subject"` // what was found under the name, as an ARN where it has one
	Kind    string   `json:"kind"`    // service, task, target group, stack, database
	Healthy bool     `json:"healthy"`
	Summary string   `json:"summary"`
	Proof   []string `json:"proof,omitempty"` // of a healthy thing
	Causes  []Cause  `json:"causes,omitempty"`
}

// Cause is one reason, what shows it, and the commands that mend it.
type Cause struct {
	What     string   `json:"what"`
	Evidence []string `json:"evidence,omitempty"`
	Remedy   []string `json:"remedy,omitempty"`
}

// Explainer looks for causes.
type Explainer struct {
	ECS            ecs.API
	ELB            elbv2.API
	EC2            ec2.API
	RDS            rds.API
	CloudFormation cloudformation.API
	Logs           logs.API
	Drops          func(context.Context) ([]network.Drop, error)
}

// ErrNotFound says that nothing has the name.
var ErrNotFound = errors.New("nothing has that name")

// Why explains what a name or ARN means. A bare name may mean several things;
// each is explained.
func (x *Explainer) Why(ctx context.Context, name string) ([]Explanation, error) {
	if strings.HasPrefix(name, "arn:") {
		return x.byARN(ctx, name)
	}
	if cluster, service, ok := strings.Cut(name, "/"); ok {
		return one(x.service(ctx, cluster, service))
	}
	var found []Explanation
	for _, look := range []func(context.Context, string) ([]Explanation, error){
		x.servicesNamed, x.tasksNamed, x.targetGroupsNamed, x.stacksNamed, x.databasesNamed,
	} {
		e, err := look(ctx, name)
		if err != nil {
			return nil, err
		}
		found = append(found, e...)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%w: %s is no service (CLUSTER/SERVICE), task, target group, stack or database here", ErrNotFound, name)
	}
	return found, nil
}

func (x *Explainer) byARN(ctx context.Context, arn string) ([]Explanation, error) {
	part := strings.SplitN(arn, ":", 6)
	if len(part) < 6 {
		return nil, fmt.Errorf("%w: %s is no ARN", ErrNotFound, arn)
	}
	service, resource := part[2], part[5]
	kind, rest, _ := strings.Cut(resource, "/")
	switch {
	case service == "ecs" && kind == "service":
		cluster, name, ok := strings.Cut(rest, "/")
		if !ok {
			cluster, name = "default", rest
		}
		return one(x.service(ctx, cluster, name))
	case service == "ecs" && kind == "task":
		cluster, id, ok := strings.Cut(rest, "/")
		if !ok {
			cluster, id = "default", rest
		}
		return one(x.task(ctx, cluster, id))
	case service == "elasticloadbalancing" && kind == "targetgroup":
		return one(x.targetGroup(ctx, arn))
	case service == "cloudformation" && kind == "stack":
		return one(x.stack(ctx, arn))
	case service == "rds" && strings.HasPrefix(resource, "db:"):
		return one(x.database(ctx, strings.TrimPrefix(resource, "db:")))
	}
	return nil, fmt.Errorf("minato why knows services, tasks, target groups, stacks and databases, and %s is none of them", arn)
}

// one makes a list of an explanation.
func one(e *Explanation, err error) ([]Explanation, error) {
	if err != nil {
		return nil, err
	}
	return []Explanation{*e}, nil
}

// conclude sets the summary of an explanation from its causes.
func (e *Explanation) conclude(healthy string) *Explanation {
	e.Causes = distinct(e.Causes)
	switch len(e.Causes) {
	case 0:
		e.Healthy, e.Summary = true, healthy
	case 1:
		e.Summary = e.Causes[0].What
		e.Proof = nil
	default:
		e.Summary = fmt.Sprintf("%d causes were found", len(e.Causes))
		e.Proof = nil
	}
	return e
}

// distinct joins causes that say the same: two tasks stopped by one missing
// route are one cause with the evidence of both.
func distinct(causes []Cause) []Cause {
	var out []Cause
	at := map[string]int{}
	for _, c := range causes {
		i, ok := at[c.What]
		if !ok {
			at[c.What] = len(out)
			out = append(out, c)
			continue
		}
		out[i].Evidence = union(out[i].Evidence, c.Evidence)
		out[i].Remedy = union(out[i].Remedy, c.Remedy)
	}
	return out
}

func union(a, b []string) []string {
	seen := map[string]bool{}
	out := a[:len(a):len(a)]
	for _, s := range a {
		seen[s] = true
	}
	for _, s := range b {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}

// notFound tells whether an error says that what was asked for is not there.
func notFound(err error) bool {
	var e *aws.Error
	return errors.As(err, &e) && (strings.Contains(e.Code, "NotFound") || e.Code == "ValidationError" && strings.Contains(e.Message, "does not exist"))
}

// last is the part of an ARN behind the last slash.
func last(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }
