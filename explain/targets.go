package explain

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"minato/aws"
	"minato/aws/api/elbv2"
	"minato/dataplane/network"
)

func (x *Explainer) targetGroupsNamed(ctx context.Context, name string) ([]Explanation, error) {
	out, err := x.ELB.DescribeTargetGroups(ctx, &elbv2.DescribeTargetGroupsInput{Names: []string{name}})
	if notFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []Explanation
	for _, tg := range out.TargetGroups {
		e, err := x.targetGroup(ctx, aws.Val(tg.TargetGroupArn))
		if err != nil {
			return nil, err
		}
		all = append(all, *e)
	}
	return all, nil
}

// targetGroup explains the health of a group's targets.
func (x *Explainer) targetGroup(ctx context.Context, arn string) (*Explanation, error) {
	e := &Explanation{Subject: arn, Kind: "target group"}
	seen, err := x.targets(ctx, arn)
	if err != nil {
		return nil, err
	}
	e.Causes, e.Proof = seen.causes, seen.proof
	if len(seen.causes) == 0 && len(seen.proof) == 0 {
		e.Causes = []Cause{{What: "the target group has no targets", Remedy: []string{"aws elbv2 register-targets --target-group-arn " + arn + " --targets Id=ADDRESS, or a service with this target group"}}}
	}
	return e.conclude("nothing is wrong: every target is healthy"), nil
}

// seen is what a group's targets show: causes of the unhealthy, proof of the
// others, and how many are healthy.
type seen struct {
	causes  []Cause
	proof   []string
	healthy int
}

// targets looks at each target of a group.
func (x *Explainer) targets(ctx context.Context, arn string) (seen, error) {
	var out seen
	groups, err := x.ELB.DescribeTargetGroups(ctx, &elbv2.DescribeTargetGroupsInput{TargetGroupArns: []string{arn}})
	if err != nil {
		return out, err
	}
	if len(groups.TargetGroups) == 0 {
		return out, fmt.Errorf("%w: %s", ErrNotFound, arn)
	}
	group := groups.TargetGroups[0]
	health, err := x.ELB.DescribeTargetHealth(ctx, &elbv2.DescribeTargetHealthInput{TargetGroupArn: &arn})
	if err != nil {
		return out, err
	}
	for _, d := range health.TargetHealthDescriptions {
		h := d.TargetHealth
		if d.Target == nil || h == nil {
			continue
		}
		where := fmt.Sprintf("%s:%d", aws.Val(d.Target.Id), aws.Val(d.Target.Port))
		switch aws.Val(h.State) {
		case elbv2.TargetHealthStateEnumHealthy:
			out.healthy++
			out.proof = append(out.proof, fmt.Sprintf("%s answers health checks on %s", where, aws.Val(group.HealthCheckPath)))
		case elbv2.TargetHealthStateEnumDraining:
			out.proof = append(out.proof, where+" is being drained")
		default:
			c, err := x.unhealthy(ctx, group, d, where)
			if err != nil {
				return out, err
			}
			out.causes = append(out.causes, c...)
		}
	}
	return out, nil
}

// unhealthy looks for the cause of one target's state.
func (x *Explainer) unhealthy(ctx context.Context, group elbv2.TargetGroup, d elbv2.TargetHealthDescription, where string) ([]Cause, error) {
	reason, said := aws.Val(d.TargetHealth.Reason), aws.Val(d.TargetHealth.Description)
	evidence := fmt.Sprintf("target %s is %s: %s %s", where, aws.Val(d.TargetHealth.State), reason, said)
	check := strings.ToUpper(aws.Val(group.HealthCheckProtocol)) + " " + aws.Val(group.HealthCheckPath)
	switch reason {
	case elbv2.TargetHealthReasonEnumTargetTimeout, elbv2.TargetHealthReasonEnumTargetFailedHealthChecks, elbv2.TargetHealthReasonEnumElbRegistrationInProgress, elbv2.TargetHealthReasonEnumElbInitialHealthChecking:
		if causes, err := x.dropsTo(ctx, aws.Val(group.VpcId), aws.Val(d.Target.Id), evidence); err != nil || len(causes) > 0 {
			return causes, err
		}
	}
	c := Cause{Evidence: []string{evidence}}
	switch reason {
	case elbv2.TargetHealthReasonEnumTargetResponseCodeMismatch:
		c.What = fmt.Sprintf("the application answers the health check %s with another code than the matcher %s wants", check, matcher(group))
		c.Remedy = []string{
			"look at the application's log for the reason of that answer",
			"aws elbv2 modify-target-group --target-group-arn " + aws.Val(group.TargetGroupArn) + " --health-check-path PATH, if the path is wrong",
		}
	case elbv2.TargetHealthReasonEnumTargetTimeout:
		c.What = fmt.Sprintf("the application does not answer the health check %s within %d s; no security group stands in the way", check, aws.Val(group.HealthCheckTimeoutSeconds))
		c.Remedy = []string{"see whether the application listens on that port on all addresses (not 127.0.0.1), and how long it takes to answer"}
	case elbv2.TargetHealthReasonEnumTargetFailedHealthChecks:
		c.What = fmt.Sprintf("the connection for the health check %s to %s is refused or broken: nothing listens on that port there", check, where)
		c.Remedy = []string{"compare the container's port with the one the application listens on (containerPort, PORT)"}
	case elbv2.TargetHealthReasonEnumTargetNotInUse:
		if strings.Contains(said, "Availability Zone") {
			c.What = fmt.Sprintf("target %s stands in an availability zone that the load balancer does not cover", where)
			c.Remedy = []string{"aws elbv2 set-subnets --load-balancer-arn LOAD-BALANCER --subnets … with a subnet of that zone too, or run the tasks in the load balancer's zones"}
			break
		}
		c.What = "no listener forwards to the target group, so its targets are not checked"
		c.Remedy = []string{"aws elbv2 create-listener --load-balancer-arn LOAD-BALANCER --protocol HTTP --port 80 --default-actions Type=forward,TargetGroupArn=" + aws.Val(group.TargetGroupArn)}
	default:
		c.What = fmt.Sprintf("target %s is %s", where, aws.Val(d.TargetHealth.State))
	}
	return []Cause{c}, nil
}

func matcher(g elbv2.TargetGroup) string {
	if g.Matcher == nil {
		return "200"
	}
	return aws.Val(g.Matcher.HttpCode)
}

// dropsTo makes causes of the packets to an address that were dropped.
func (x *Explainer) dropsTo(ctx context.Context, vpc, address, evidence string) ([]Cause, error) {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return nil, nil // an instance id or a function: nothing is sent there
	}
	drops, err := x.drops(ctx, func(d network.Drop) bool { return d.VPC == vpc && d.Destination == addr })
	if err != nil {
		return nil, err
	}
	var causes []Cause
	for _, d := range drops {
		c, err := x.blame(ctx, d)
		if err != nil {
			return nil, err
		}
		c.Evidence = append([]string{evidence}, c.Evidence...)
		causes = append(causes, c)
	}
	return causes, nil
}
