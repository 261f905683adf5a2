package cause

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Service is an ECS service.
type Service struct {
	Name, Cluster             string
	Desired, Running, Pending int32
	Definition                string
	Deployments               []Deployment
	Minimum, Maximum          int32 // percents
	Events                    []Event
	Targets                   []Target
	GroupsGone                []string // target groups that were deleted under it
	Fallen                    []Task   // that stopped because something was wrong, the newest first
	Live                      []Task
	Alarms                    []Alarm
	Now                       time.Time
}

// Deployment is one of a service's deployments.
type Deployment struct {
	ID, Status, Rollout, Said, Definition string
	Desired, Running, Pending, Failed     int32
	Created                               time.Time
}

// Event is one of a service's events.
type Event struct {
	At   time.Time
	Text string
}

// Alarm is a CloudWatch alarm that a deployment goes by.
type Alarm struct{ Name, State, Reason string }

// recent is how many fallen tasks are looked at: the same cause stops all of them.
const recent = 5

// OfService says what keeps a service from its desired state.
func OfService(s Service) Findings {
	var f Findings
	f.Proof = []string{fmt.Sprintf("%d of %d tasks run", s.Running, s.Desired)}
	for _, d := range s.Deployments {
		f.Proof = append(f.Proof, d.line())
	}
	healthyTargets := 0
	for _, g := range s.GroupsGone {
		f.Causes = append(f.Causes, say("the service's target group %s does not exist any more", g).
			mend("aws ecs update-service --cluster %s --service %s --load-balancers targetGroupArn=ANOTHER,containerName=NAME,containerPort=PORT", s.Cluster, s.Name))
	}
	for _, t := range s.Targets {
		f.Add(OfTarget(t))
		if t.State == healthy {
			healthyTargets++
		}
	}
	for _, t := range s.Live {
		if t.Status != runningStatus || t.Health == unhealthyStatus {
			part := OfTask(t)
			part.Proof = nil
			f.Add(part)
		} else {
			f.Causes = append(f.Causes, t.needs(true)...)
		}
	}
	unsteady := s.Running != s.Desired || len(s.Deployments) > 1 || len(s.Targets) > 0 && healthyTargets < int(s.Desired) || len(f.Causes) > 0
	failed, events := s.givenUp()
	if unsteady || failed {
		for i, t := range s.Fallen {
			if i == recent {
				break
			}
			f.Add(OfTask(t))
		}
	}
	for _, a := range s.Alarms {
		if a.State == "ALARM" {
			f.Causes = append(f.Causes, because([]string{a.Reason}, "the alarm %s is in ALARM, and the service's deployments go by it", a.Name).
				mend("aws cloudwatch describe-alarms --alarm-names %s # mend what it watches", quote(a.Name)))
		}
	}
	if c := s.stuck(); c != nil {
		f.Causes = append(f.Causes, *c)
	}
	if failed && len(f.Causes) == 0 {
		f.Causes = append(f.Causes, lost(events))
	}
	for i := range f.Causes {
		if failed {
			f.Causes[i] = f.Causes[i].seen(events...)
			break
		}
	}
	if len(f.Causes) == 0 && unsteady {
		f.Waits = append(f.Waits, s.waits()...)
	}
	return f
}

func (d Deployment) line() string {
	text := fmt.Sprintf("deployment %s (%s) is %s", d.ID, last(d.Definition), d.Status)
	if d.Rollout != "" {
		text += ", rollout " + d.Rollout
	}
	text += fmt.Sprintf(": %d of %d running", d.Running, d.Desired)
	if d.Pending > 0 {
		text += fmt.Sprintf(", %d pending", d.Pending)
	}
	if d.Failed > 0 {
		text += fmt.Sprintf(", %s failed", plural(int(d.Failed), "task"))
	}
	return text
}

// givenUp tells whether the last deployment failed, with what shows it. A
// deployment that was begun later and is completed makes that history.
func (s Service) givenUp() (bool, []string) {
	for _, d := range s.Deployments {
		if d.Rollout == "FAILED" {
			return true, []string{fmt.Sprintf("deployment %s of %s is FAILED: %s", d.ID, last(d.Definition), d.Said)}
		}
	}
	for i, e := range s.Events { // the newest first
		if !strings.Contains(e.Text, "deployment failed") {
			continue
		}
		evidence := []string{e.At.Local().Format("15:04:05") + " " + e.Text}
		for j := i - 1; j >= 0; j-- {
			if strings.Contains(s.Events[j].Text, "rolling back") {
				evidence = append(evidence, s.Events[j].At.Local().Format("15:04:05")+" "+s.Events[j].Text)
				break
			}
		}
		if len(s.Deployments) > 0 && s.Deployments[0].Created.After(e.At) && !strings.Contains(strings.ToLower(s.Deployments[0].Said), "roll") {
			return false, nil
		}
		return true, evidence
	}
	return false, nil
}

// lost is the cause of a deployment that was given up, when nothing tells more.
func lost(events []string) Cause {
	switch text := strings.Join(events, " "); {
	case strings.Contains(text, "StopServiceDeployment"):
		return say("somebody stopped the deployment (StopServiceDeployment)")
	case strings.Contains(text, "alarm"):
		return say("an alarm went off during the deployment; it is not in ALARM any more")
	case strings.Contains(text, "networking"):
		return say("the deployment's subnets or security groups do not exist")
	}
	return say("the deployment's tasks failed, and what stopped them is not known any more")
}

// notTaken finds the group and the error in the event by which ECS says that the
// load balancer refuses its targets.
var notTaken = regexp.MustCompile(`failed to register targets in \(target-group (\S+)\) with \(error (.*)\)$`)

// stuck finds the event by which ECS says that its percentages leave it no step, or
// that others do not let it take one.
func (s Service) stuck() *Cause {
	const (
		text     = "was unable to stop or start tasks during a deployment because of the service deployment configuration"
		homeless = "because no container instance met all of its requirements"
	)
	for _, e := range s.Events {
		if strings.Contains(e.Text, "steady state") || len(s.Deployments) > 0 && e.At.Before(s.Deployments[0].Created) {
			return nil
		}
		if strings.Contains(e.Text, text) {
			c := because([]string{e.Text}, "with %s wanted, minimumHealthyPercent %d lets ECS stop none and maximumPercent %d lets it start none", plural(int(s.Desired), "task"), s.Minimum, s.Maximum).
				mend("aws ecs update-service --cluster %s --service %s --deployment-configuration minimumHealthyPercent=100,maximumPercent=200", s.Cluster, s.Name)
			return &c
		}
		if m := notTaken.FindStringSubmatch(e.Text); m != nil {
			c := because([]string{e.Text}, "the target group %s does not take the service's tasks: %s", targetGroupName(m[1]), m[2]).
				mend("aws elbv2 describe-target-groups --target-group-arns %s --query 'TargetGroups[].VpcId' # it must be the VPC of the service's subnets", m[1]).
				mend("aws ecs update-service --cluster %s --service %s --network-configuration ... # or --load-balancers ...", s.Cluster, s.Name)
			return &c
		}
		if strings.Contains(e.Text, homeless) {
			c := because([]string{e.Text}, "the service's launch type is EC2 and there are no container instances: minato runs tasks on Fargate only").
				mend("aws ecs delete-service --cluster %s --service %s --force", s.Cluster, s.Name).
				mend("aws ecs create-service --cluster %s --service-name %s --launch-type FARGATE ...", s.Cluster, s.Name)
			return &c
		}
	}
	return nil
}

// waits says what a rollout in which nothing has failed goes on with.
func (s Service) waits() []string {
	var out []string
	for _, t := range s.Live {
		if t.Protected.After(s.Now) && (int32(len(s.Live)) > s.Desired || len(s.Deployments) > 1) {
			out = append(out, fmt.Sprintf("task %s is protected from being stopped until %s (aws ecs update-task-protection --cluster %s --tasks %s --no-protection-enabled)", t.ID, t.Protected.Local().Format("15:04:05"), s.Cluster, t.ID))
		}
	}
	if len(s.Deployments) > 0 {
		if d := s.Deployments[0]; d.Rollout != "COMPLETED" {
			out = append(out, d.line())
		}
	}
	for i, e := range s.Events {
		if i == 3 {
			break
		}
		out = append(out, e.At.Local().Format("15:04:05")+" "+e.Text)
	}
	return out
}
