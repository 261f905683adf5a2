package cause

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Target is one target of a target group.
type Target struct {
	Group   TargetGroup
	IP      string
	Port    int32
	State   string // healthy, unhealthy, initial, unused, draining
	Reason  string // ELB's code
	Said    string // ELB's words
	Drops   []Drop // packets to the target that were dropped
	Sockets []netip.AddrPort
	// Looked says that Sockets is what listens in the target's namespace.
	Looked bool
	Task   *Task     // whose address it is, if it is a task's
	Grace  time.Time // until when ECS lets it be unhealthy
	Now    time.Time
}

// TargetGroup is what the targets are checked for.
type TargetGroup struct {
	ARN, Protocol, Path, Matcher string
	Timeout, Interval            int32
	Network                      bool // of a network load balancer, which says of checks only that they failed
}

func (g TargetGroup) check() string {
	return strings.TrimSpace(strings.ToUpper(g.Protocol) + " " + g.Path)
}

func (t Target) where() string {
	if t.Port == 0 {
		return t.IP
	}
	return fmt.Sprintf("%s:%d", t.IP, t.Port)
}

// ELB's states and codes.
const (
	healthy  = "healthy"
	initial  = "initial"
	draining = "draining"

	registering  = "Elb.RegistrationInProgress"
	initialCheck = "Elb.InitialHealthChecking"
	mismatch     = "Target.ResponseCodeMismatch"
	timedOut     = "Target.Timeout"
	failedCheck  = "Target.FailedHealthChecks"
	notInUse     = "Target.NotInUse"
	invalidState = "Target.InvalidState"
)

// OfTarget says why a target is not healthy.
func OfTarget(t Target) Findings {
	var f Findings
	switch t.State {
	case healthy:
		f.Proof = []string{t.where() + " answers health checks on " + t.Group.check()}
		return f
	case draining:
		f.Waits = []string{t.where() + " is being drained: requests that it has may end"}
		return f
	}
	seen := strings.TrimSpace(fmt.Sprintf("target %s is %s: %s %s", t.where(), t.State, t.Reason, t.Said))
	if len(t.Drops) > 0 && (t.State == initial || t.Reason == timedOut || t.Reason == failedCheck) {
		for _, d := range t.Drops {
			f.Causes = append(f.Causes, OfDrop(d).seen(seen))
		}
		return f
	}
	if t.State == initial {
		f.Waits = []string{fmt.Sprintf("the first answer of %s to a health check (%s each %d s)", t.where(), t.Group.check(), t.Group.Interval)}
		if c, ok := t.unheard(); ok && t.Looked {
			f.Waits = append(f.Waits, c.What)
		}
		return f
	}
	evidence := []string{seen}
	if t.Now.Before(t.Grace) {
		evidence = append(evidence, "ECS does not stop the task for it before "+t.Grace.Local().Format("15:04:05")+" (health check grace period)")
	}
	var c Cause
	switch t.Reason {
	case mismatch:
		c = t.wrongAnswer()
	case timedOut:
		c = t.noAnswer()
	case failedCheck:
		c, _ = t.unheard()
	case notInUse:
		c = t.unused()
	case invalidState:
		c = say("what target %s stands for does not run", t.where())
	default:
		c = say("target %s is %s", t.where(), t.State)
	}
	f.Causes = append(f.Causes, c.seen(evidence...))
	if t.Task != nil && t.Reason != notInUse {
		f.Causes[0].Evidence = append(f.Causes[0].Evidence, t.Task.lines()...)
		// What the application itself does not reach explains its answers.
		f.Causes = append(f.Causes, t.Task.needs(false)...)
	}
	return f
}

func (t Target) wrongAnswer() Cause {
	c := say("the application answers the health check %s with another code than the matcher %s wants", t.Group.check(), t.Group.Matcher)
	if _, code, ok := strings.Cut(t.Said, "["); ok {
		code = strings.TrimRight(code, "].")
		c.What = fmt.Sprintf("the application answers the health check %s with %s, and the matcher wants %s", t.Group.check(), code, t.Group.Matcher)
		switch {
		case code == "404":
			c.What += ": it has no such path"
		case code[:1] == "3":
			c = c.mend("aws elbv2 modify-target-group --target-group-arn %s --matcher HttpCode=200-399 # if a redirect is a good answer", t.Group.ARN)
			return c
		case code[:1] == "5":
			c.What += ": it fails itself"
			return c.mend("mend what the application's log says of that request (minato logs %s)", t.named())
		}
	}
	return c.mend("aws elbv2 modify-target-group --target-group-arn %s --health-check-path PATH # one that answers %s", t.Group.ARN, t.Group.Matcher)
}

func (t Target) noAnswer() Cause {
	what := fmt.Sprintf("the application does not answer the health check %s within %d s", t.Group.check(), t.Group.Timeout)
	if t.Looked && len(t.at()) > 0 {
		what += fmt.Sprintf(", although it listens on %s; no packet was dropped on the way", t.at()[0])
	} else {
		what += "; no packet was dropped on the way"
	}
	c := Cause{What: what}.mend("see in the application's log what the request waits for (minato logs %s)", t.named())
	return c.mend("aws elbv2 modify-target-group --target-group-arn %s --health-check-timeout-seconds %d # if it only is slow", t.Group.ARN, min(120, 2*t.Group.Timeout))
}

// unheard says why a connection is refused. ok says that there is a reason for it:
// nobody listens there.
func (t Target) unheard() (c Cause, ok bool) {
	at := t.at()
	if !t.Looked {
		return say("the connection for the health check %s to %s is refused or broken", t.Group.check(), t.where()).
			mend("compare the container's port with the one that the application listens on"), true
	}
	for _, a := range at {
		if !a.Addr().IsLoopback() && t.Group.Network {
			c := say("the application listens on %s and does not pass the health check %s: it breaks it off, is slower than %d s, or does not answer as the check wants", a, t.Group.check(), t.Group.Timeout)
			return c.mend("see in the application's log what it did with the check (minato logs %s)", t.named()), false
		}
		if !a.Addr().IsLoopback() {
			return say("the application on %s takes the connection of the health check %s and breaks it off", t.where(), t.Group.check()).
				mend("see in the application's log what it did not like (minato logs %s); HTTP and HTTPS are often mistaken for each other", t.named()), false
		}
	}
	if len(at) > 0 {
		c := say("the application listens on %s only, which nobody outside the task reaches", at[0])
		c.Evidence = []string{fmt.Sprintf("sockets in the task's network namespace: %s", t.sockets())}
		return c.mend("make it listen on 0.0.0.0:%d (many frameworks: --host 0.0.0.0, HOST=0.0.0.0)", t.Port), true
	}
	if len(t.Sockets) > 0 {
		other := t.Sockets[0]
		c := say("nothing listens on port %d in the task; the application listens on %s", t.Port, t.sockets())
		return c.mend("set containerPort of the task definition and the service's load balancer to %d, or make the application listen on %d", other.Port(), t.Port), true
	}
	c = say("nothing listens on port %d in the task: the application has not opened a port, or not yet", t.Port)
	if t.Task != nil && !t.Task.Started.IsZero() {
		c.Evidence = []string{fmt.Sprintf("the task has been running for %s", t.Now.Sub(t.Task.Started).Round(time.Second))}
		if cluster, service := t.Task.service(); service != "" {
			c = c.mend("aws ecs update-service --cluster %s --service %s --health-check-grace-period-seconds 120 # if it only starts slowly", cluster, service)
		}
	}
	return c.mend("see in the application's log how far it came (minato logs %s)", t.named()), true
}

// NoTargets is said of a target group without any.
func NoTargets(group string) Cause {
	return say("the target group %s has no targets: no service registers its tasks in it, or none of them runs", targetGroupName(group)).
		mend("minato why CLUSTER/SERVICE # of the service that should")
}

func (t Target) unused() Cause {
	if strings.Contains(t.Said, "Availability Zone") {
		return say("target %s stands in an availability zone that the load balancer does not cover", t.where()).
			mend("aws elbv2 set-subnets --load-balancer-arn LOAD-BALANCER --subnets SUBNETS # one of that zone too")
	}
	return say("no listener forwards to the target group %s, so its targets are not checked", targetGroupName(t.Group.ARN)).mend("%s", createListener(t.Group.ARN))
}

// at are the sockets on the target's port.
func (t Target) at() []netip.AddrPort {
	return slices.DeleteFunc(slices.Clone(t.Sockets), func(a netip.AddrPort) bool { return int32(a.Port()) != t.Port })
}

func (t Target) sockets() string {
	var out []string
	for _, s := range t.Sockets {
		out = append(out, s.String())
	}
	return strings.Join(out, ", ")
}

// named is what the target's logs are asked by.
func (t Target) named() string {
	if t.Task != nil {
		return t.Task.ID
	}
	return "TASK"
}
