package explain

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"minato/aws"
	"minato/aws/api/cloudformation"
	"minato/explain/cause"
	"minato/gateway"
)

// stack explains what failed in a stack's last operation, or what it waits for.
func (q *inquiry) stack(name string) (*Explanation, error) {
	out, err := q.CloudFormation.DescribeStacks(q.ctx, &cloudformation.DescribeStacksInput{StackName: &name})
	if notFound(err) || err == nil && len(out.Stacks) == 0 || aws.IsCode(err, "ValidationError") {
		return nil, absent("stack", name)
	}
	if err != nil {
		return nil, err
	}
	s := out.Stacks[0]
	status := aws.Val(s.StackStatus)
	f, err := q.stackFindings(aws.Val(s.StackId), false)
	if err != nil {
		return nil, err
	}
	f.Proof = append(f.Proof, "the stack is "+status)
	if reason := aws.Val(s.StackStatusReason); status == "DELETE_FAILED" && len(f.Causes) == 0 && reason != "" {
		c, known := cause.OfText(reason, "", []string{aws.Val(s.StackName)}, cause.Facts{})
		if !known {
			c = cause.Cause{What: reason}
		}
		c.Evidence = append(c.Evidence, "the stack is DELETE_FAILED: "+reason)
		f.Causes = append(f.Causes, c)
	}
	if status == "ROLLBACK_COMPLETE" && len(f.Causes) > 0 {
		f.Causes[0].Remedy = append(f.Causes[0].Remedy, "aws cloudformation delete-stack --stack-name "+aws.Val(s.StackName)+" # then create it again: a stack that was rolled back cannot be updated")
	}
	if strings.HasSuffix(status, "_IN_PROGRESS") && len(f.Waits) == 0 {
		f.Waits = []string{"the stack is " + status}
	}
	e := &Explanation{Subject: aws.Val(s.StackId), Kind: "stack", Name: "stack:" + aws.Val(s.StackName)}
	if e.Refused, err = q.changed(time.Time{}, func(r gateway.Refusal) bool {
		return strings.HasPrefix(r.Action, "cloudformation:") && mentions(r, aws.Val(s.StackName))
	}); err != nil {
		return nil, err
	}
	return e.conclude(f, "the stack is "+status), nil
}

// stackFindings reads a stack's events: those of its last operation, or all, of a
// stack within another, which may have been removed since it failed.
func (q *inquiry) stackFindings(id string, all bool) (f cause.Findings, err error) {
	out, err := q.CloudFormation.DescribeStackEvents(q.ctx, &cloudformation.DescribeStackEventsInput{StackName: &id})
	if err != nil {
		return f, err
	}
	settled := map[string]bool{} // resources whose last event was seen
	for _, ev := range out.StackEvents {
		if aws.Val(ev.LogicalResourceId) == aws.Val(ev.StackName) {
			if !all && begins(aws.Val(ev.ResourceStatus)) {
				break // the operation before this one is history
			}
			continue
		}
		part, err := q.stackEvent(ev, settled)
		if err != nil {
			return f, err
		}
		f.Add(part)
	}
	return f, nil
}

// begins tells whether a status of the stack itself opens an operation.
func begins(status string) bool {
	return status == "CREATE_IN_PROGRESS" || status == "UPDATE_IN_PROGRESS" || status == "DELETE_IN_PROGRESS"
}

// nested is the type of stacks within stacks.
const nested = "AWS::CloudFormation::Stack"

// stackEvent reads one event of a resource; events come the newest first.
func (q *inquiry) stackEvent(ev cloudformation.StackEvent, settled map[string]bool) (f cause.Findings, err error) {
	id, kind, status, reason := aws.Val(ev.LogicalResourceId), aws.Val(ev.ResourceType), aws.Val(ev.ResourceStatus), aws.Val(ev.ResourceStatusReason)
	newest := !settled[id]
	settled[id] = true
	if newest && strings.HasSuffix(status, "_IN_PROGRESS") {
		return q.underWay(ev)
	}
	if !strings.HasSuffix(status, "_FAILED") || strings.Contains(reason, "cancelled") {
		return f, nil
	}
	if kind == nested && aws.Val(ev.PhysicalResourceId) != "" {
		// Its own events know more than that it failed.
		if f, err = q.stackFindings(aws.Val(ev.PhysicalResourceId), true); err != nil || len(f.Causes) > 0 {
			for i := range f.Causes {
				f.Causes[i].What = id + " / " + f.Causes[i].What
			}
			return cause.Findings{Causes: f.Causes}, err
		}
	}
	facts, err := q.facts(reason)
	if err != nil {
		return f, err
	}
	c, known := cause.OfText(reason, "", []string{id}, facts)
	if !known {
		c.What = reason
	}
	c.What = fmt.Sprintf("%s (%s): %s", id, kind, c.What)
	c.Evidence = append([]string{id + " " + status + ": " + reason}, c.Evidence...)
	f.Causes = []cause.Cause{c}
	if kind != "AWS::ECS::Service" {
		return f, nil
	}
	// What a service says of itself is more than its stack knows.
	below, err := q.serviceOf(aws.Val(ev.PhysicalResourceId))
	if err != nil {
		return f, err
	}
	f.Causes = append(f.Causes, below.Causes...)
	return f, nil
}

// underWay says what a resource that is being made waits for.
func (q *inquiry) underWay(ev cloudformation.StackEvent) (f cause.Findings, err error) {
	id, kind := aws.Val(ev.LogicalResourceId), aws.Val(ev.ResourceType)
	f.Waits = []string{fmt.Sprintf("%s (%s) is %s since %s", id, kind, aws.Val(ev.ResourceStatus), aws.Val(ev.Timestamp).Local().Format("15:04:05"))}
	if kind == nested && aws.Val(ev.PhysicalResourceId) != "" {
		below, err := q.stackFindings(aws.Val(ev.PhysicalResourceId), false)
		if err != nil {
			return f, err
		}
		f.Causes, f.Waits = below.Causes, append(f.Waits, below.Waits...)
	}
	if kind == "AWS::ECS::Service" {
		below, err := q.serviceOf(aws.Val(ev.PhysicalResourceId))
		if err != nil {
			return f, err
		}
		f.Causes, f.Waits = below.Causes, append(f.Waits, below.Waits...)
	}
	return f, nil
}

// serviceOf explains the service of an ARN; of one that is gone, its tasks that
// fell in the last hour.
func (q *inquiry) serviceOf(arn string) (cause.Findings, error) {
	part := strings.Split(arn, "/")
	if len(part) < 3 {
		return cause.Findings{}, nil // it has no name yet
	}
	cluster, name := part[len(part)-2], part[len(part)-1]
	s, err := q.findService(cluster, name)
	if err == nil {
		return q.serviceFindings(cluster, s)
	}
	if !errors.Is(err, errAbsent) {
		return cause.Findings{}, err
	}
	return q.fallenOf(cluster, name)
}
