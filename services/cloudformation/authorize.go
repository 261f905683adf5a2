package cloudformation

import (
	"context"

	"minato/aws"
	api "minato/aws/api/cloudformation"
	"minato/aws/arn"
	"minato/gateway"
)

// checks are what a call must be allowed: its action on the stack, and to pass
// the role whose rights the stack is to use.
func (s *Service) checks(ctx context.Context, op *aws.Operation, in any) []gateway.Check {
	name, role := "", ""
	switch in := in.(type) {
	case *api.CreateStackInput:
		name, role = aws.Val(in.StackName), aws.Val(in.RoleARN)
	case *api.UpdateStackInput:
		name, role = aws.Val(in.StackName), aws.Val(in.RoleARN)
	case *api.DeleteStackInput:
		name, role = aws.Val(in.StackName), aws.Val(in.RoleARN)
	case *api.CancelUpdateStackInput:
		name = aws.Val(in.StackName)
	case *api.ContinueUpdateRollbackInput:
		name, role = aws.Val(in.StackName), aws.Val(in.RoleARN)
	case *api.RollbackStackInput:
		name, role = aws.Val(in.StackName), aws.Val(in.RoleARN)
	case *api.CreateChangeSetInput:
		name, role = aws.Val(in.StackName), aws.Val(in.RoleARN)
	case *api.DescribeChangeSetInput:
		name = aws.Val(in.StackName)
	case *api.ExecuteChangeSetInput:
		name = aws.Val(in.StackName)
	case *api.DeleteChangeSetInput:
		name = aws.Val(in.StackName)
	case *api.ListChangeSetsInput:
		name = aws.Val(in.StackName)
	case *api.DescribeStacksInput:
		name = aws.Val(in.StackName)
	case *api.DescribeStackEventsInput:
		name = aws.Val(in.StackName)
	case *api.DescribeStackResourceInput:
		name = aws.Val(in.StackName)
	case *api.DescribeStackResourcesInput:
		name = aws.Val(in.StackName)
	case *api.ListStackResourcesInput:
		name = aws.Val(in.StackName)
	case *api.GetTemplateInput:
		name = aws.Val(in.StackName)
	case *api.GetTemplateSummaryInput:
		name = aws.Val(in.StackName)
	case *api.UpdateTerminationProtectionInput:
		name = aws.Val(in.StackName)
	}
	resource := "*"
	switch {
	case arn.Is(name):
		resource = name
	case name != "":
		_, p := place(ctx)
		resource = p.Stack(name, "*")
	}
	checks := []gateway.Check{{Action: op.Action(), Resource: resource}}
	if role != "" {
		checks = append(checks, gateway.Check{Action: "iam:PassRole", Resource: role, Context: map[string][]string{"iam:PassedToService": {"cloudformation.amazonaws.com"}}})
	}
	return checks
}
