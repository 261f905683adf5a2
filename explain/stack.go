package explain

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"minato/aws"
	"minato/aws/api/cloudformation"
	"minato/aws/api/rds"
)

func (x *Explainer) stacksNamed(ctx context.Context, name string) ([]Explanation, error) {
	e, err := x.stack(ctx, name)
	if isAbsent(err) {
		return nil, nil
	}
	return one(e, err)
}

// stack explains what failed in a stack's last operation.
func (x *Explainer) stack(ctx context.Context, name string) (*Explanation, error) {
	out, err := x.CloudFormation.DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &name})
	if notFound(err) || err == nil && len(out.Stacks) == 0 {
		return nil, absent("stack", name)
	}
	if err != nil {
		return nil, err
	}
	s := out.Stacks[0]
	status := aws.Val(s.StackStatus)
	e := &Explanation{Subject: aws.Val(s.StackId), Kind: "stack", Proof: []string{"the stack is " + status}}
	events, err := x.CloudFormation.DescribeStackEvents(ctx, &cloudformation.DescribeStackEventsInput{StackName: s.StackId})
	if err != nil {
		return nil, err
	}
	for _, ev := range events.StackEvents {
		if aws.Val(ev.LogicalResourceId) == aws.Val(s.StackName) && begins(aws.Val(ev.ResourceStatus)) {
			break // the operation before this one is history
		}
		reason := aws.Val(ev.ResourceStatusReason)
		if !strings.HasSuffix(aws.Val(ev.ResourceStatus), "_FAILED") || strings.Contains(reason, "cancelled") || aws.Val(ev.ResourceType) == "AWS::CloudFormation::Stack" {
			continue
		}
		c, err := x.resourceFailure(ctx, ev, reason)
		if err != nil {
			return nil, err
		}
		e.Causes = append(e.Causes, c)
	}
	if status == "ROLLBACK_COMPLETE" && len(e.Causes) > 0 {
		e.Causes[0].Remedy = append(e.Causes[0].Remedy, "a stack that was rolled back cannot be updated: aws cloudformation delete-stack --stack-name "+aws.Val(s.StackName)+", then create it again")
	}
	if len(e.Causes) == 0 && strings.HasSuffix(status, "_IN_PROGRESS") {
		e.Causes = []Cause{{What: "the stack is " + status + " and nothing has failed so far"}}
	}
	return e.conclude("nothing is wrong: the stack is " + status), nil
}

// begins tells whether a status of the stack itself opens an operation.
func begins(status string) bool {
	return status == "CREATE_IN_PROGRESS" || status == "UPDATE_IN_PROGRESS" || status == "DELETE_IN_PROGRESS"
}

var (
	noVersion = regexp.MustCompile(`Cannot find version (\S+) for ([a-z]+)`)
	noClass   = regexp.MustCompile(`DBInstanceClass=([\w.]+), Engine=(\w+), EngineVersion=([\w.]+)`)
	noFamily  = regexp.MustCompile(`DBParameterGroupFamily (\w+(?:\.\w+)?) can't be used .* DBParameterGroupFamily (\w+(?:\.\w+)?)`)
)

// resourceFailure reads the reason of one resource's failure.
func (x *Explainer) resourceFailure(ctx context.Context, ev cloudformation.StackEvent, reason string) (Cause, error) {
	id := aws.Val(ev.LogicalResourceId)
	c := Cause{What: id + " (" + aws.Val(ev.ResourceType) + "): " + reason, Evidence: []string{id + " " + aws.Val(ev.ResourceStatus) + ": " + reason}}
	if m := noVersion.FindStringSubmatch(reason); m != nil {
		c.What = fmt.Sprintf("%s asks for %s %s, which RDS has retired or never had", id, m[2], m[1])
		versions, err := x.versions(ctx, m[2])
		if err != nil {
			return c, err
		}
		c.Remedy = []string{fmt.Sprintf("set EngineVersion of %s to one that RDS offers: %s", id, strings.Join(versions, ", "))}
		return c, nil
	}
	if m := noClass.FindStringSubmatch(reason); m != nil {
		c.What = fmt.Sprintf("%s asks for the instance class %s, which RDS does not offer for %s %s", id, m[1], m[2], m[3])
		c.Remedy = []string{fmt.Sprintf("set DBInstanceClass of %s to a class of today, such as db.t3.micro (aws rds describe-orderable-db-instance-options --engine %s)", id, m[2])}
		return c, nil
	}
	if m := noFamily.FindStringSubmatch(reason); m != nil {
		c.What = fmt.Sprintf("the parameter group of %s is of family %s, and its engine version needs %s", id, m[1], m[2])
		c.Remedy = []string{"set Family of the AWS::RDS::DBParameterGroup to " + m[2]}
		return c, nil
	}
	if denial.MatchString(reason) {
		d := denied(reason, c.Evidence)
		d.What = id + ": " + d.What
		return d, nil
	}
	return c, nil
}

// versions are the newest versions of an engine that can be had, a few of them.
func (x *Explainer) versions(ctx context.Context, engine string) ([]string, error) {
	out, err := x.RDS.DescribeDBEngineVersions(ctx, &rds.DescribeDBEngineVersionsInput{Engine: &engine})
	if err != nil {
		return nil, err
	}
	var all []string
	for _, v := range out.DBEngineVersions {
		all = append(all, aws.Val(v.EngineVersion))
	}
	const few = 4
	if len(all) > few {
		all = all[len(all)-few:]
	}
	return all, nil
}
