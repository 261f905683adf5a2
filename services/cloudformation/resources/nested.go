package resources

import (
	"context"
	"strings"
	"time"

	"minato/aws"
	cfn "minato/aws/api/cloudformation"
)

// NestedType is the type of stacks within stacks. Their outputs are its
// attributes, Outputs.NAME.
const (
	NestedType    = "AWS::CloudFormation::Stack"
	NestedOutputs = "Outputs."
)

// nestedResources makes stacks by calls of the API, as anybody would: a stack
// within a stack has events, exports and a rollback of its own.
type nestedResources struct{ api cfn.API }

func nestedTypes(inv aws.Invoker) map[string]Type {
	v := nestedResources{cfn.NewClient(inv)}
	return map[string]Type{NestedType: {Create: v.create, Ready: v.ready, Update: v.update, Delete: v.delete, Gone: v.gone}}
}

// parameters are the stack's parameters; a list is handed on as text.
func (v nestedResources) parameters(r *Request) []cfn.Parameter {
	given, _ := r.Properties["Parameters"].(map[string]any)
	out := []cfn.Parameter{}
	for _, name := range sorted(given) {
		value := text(given[name])
		if _, ok := given[name].([]any); ok {
			value = strings.Join(list(given, name), ",")
		}
		out = append(out, cfn.Parameter{ParameterKey: &name, ParameterValue: &value})
	}
	return out
}

func cfnTag(k, v string) cfn.Tag { return cfn.Tag{Key: &k, Value: &v} }

func (v nestedResources) create(ctx context.Context, r *Request) (string, error) {
	in := &cfn.CreateStackInput{
		StackName: aws.Ptr(r.name("", 128)), TemplateURL: r.ptr("TemplateURL"), Parameters: v.parameters(r), Tags: tags(r, cfnTag),
		Capabilities: r.Capabilities, ClientRequestToken: r.token(), NotificationARNs: list(r.Properties, "NotificationARNs"),
	}
	if minutes, ok := r.Properties["TimeoutInMinutes"].(float64); ok {
		in.TimeoutInMinutes = aws.Ptr(int32(minutes))
	}
	out, err := v.api.CreateStack(ctx, in)
	if err != nil {
		return "", err
	}
	return aws.Val(out.StackId), nil
}

// stack describes the stack, nil when there is none any more.
func (v nestedResources) stack(ctx context.Context, id string) (*cfn.Stack, error) {
	out, err := v.api.DescribeStacks(ctx, &cfn.DescribeStacksInput{StackName: &id})
	if err != nil || len(out.Stacks) == 0 {
		if err != nil && strings.Contains(aws.AsError(err).Message, "does not exist") {
			err = nil
		}
		return nil, err
	}
	return &out.Stacks[0], nil
}

func (v nestedResources) ready(ctx context.Context, r *Request) (map[string]any, bool, error) {
	st, err := v.stack(ctx, r.PhysicalID)
	if err == nil && st == nil {
		err = embedded("Embedded stack %s does not exist", r.PhysicalID)
	}
	if err != nil {
		return nil, false, err
	}
	switch status := aws.Val(st.StackStatus); status {
	case cfn.StackStatusCreateComplete, cfn.StackStatusUpdateComplete:
	case cfn.StackStatusUpdateRollbackComplete:
		// It is what it was before: what was asked for when the stack around it goes
		// back, and otherwise only if it is from an earlier update.
		why, err := v.failure(ctx, r)
		if err != nil {
			return nil, false, err
		}
		if !r.Back && why != "" {
			return nil, false, embedded("Embedded stack %s was not successfully updated: %s", r.PhysicalID, why)
		}
	case cfn.StackStatusCreateFailed, cfn.StackStatusRollbackComplete, cfn.StackStatusRollbackFailed, cfn.StackStatusUpdateFailed, cfn.StackStatusUpdateRollbackFailed,
		cfn.StackStatusDeleteInProgress, cfn.StackStatusDeleteComplete, cfn.StackStatusDeleteFailed:
		why, err := v.failure(ctx, r)
		if err != nil {
			return nil, false, err
		}
		done := "created"
		if strings.HasPrefix(status, "UPDATE") {
			done = "updated"
		}
		return nil, false, embedded("Embedded stack %s was not successfully %s: %s", r.PhysicalID, done, why)
	default:
		return nil, false, nil
	}
	attributes := map[string]any{}
	for _, o := range st.Outputs {
		attributes[NestedOutputs+aws.Val(o.OutputKey)] = aws.Val(o.OutputValue)
	}
	return attributes, true, nil
}

// embedded is a failure of a stack within a stack: events show it as it is.
func embedded(format string, args ...any) error {
	return aws.Errorf("ValidationError", format, args...)
}

// failure is why the stack's operation for this step went wrong, in the words of
// its own events; "" if it did not.
func (v nestedResources) failure(ctx context.Context, r *Request) (string, error) {
	out, err := v.api.DescribeStackEvents(ctx, &cfn.DescribeStackEventsInput{StackName: &r.PhysicalID})
	if err != nil {
		return "", err
	}
	for _, e := range out.StackEvents { // newest first
		reason := aws.Val(e.ResourceStatusReason)
		if aws.Val(e.ClientRequestToken) == *r.token() && aws.Val(e.PhysicalResourceId) == r.PhysicalID && strings.HasPrefix(reason, "The following resource(s) failed") {
			return strings.TrimSuffix(reason, rollbackRequested), nil
		}
	}
	for _, e := range out.StackEvents {
		status, reason := aws.Val(e.ResourceStatus), aws.Val(e.ResourceStatusReason)
		if aws.Val(e.ClientRequestToken) == *r.token() && reason != "" && (strings.HasSuffix(status, "FAILED") || strings.Contains(status, "ROLLBACK")) {
			return strings.TrimSuffix(reason, rollbackRequested), nil
		}
	}
	return "", nil
}

// rollbackRequested ends the reason of a stack that goes back.
const rollbackRequested = " Rollback requested by user."

// noUpdates is what UpdateStack says when there is nothing to do.
const noUpdates = "No updates are to be performed."

func (v nestedResources) update(ctx context.Context, r *Request) error {
	st, err := v.stack(ctx, r.PhysicalID)
	if err != nil || st == nil {
		return err
	}
	if r.Back {
		switch aws.Val(st.StackStatus) {
		case cfn.StackStatusUpdateInProgress:
			_, err := v.api.CancelUpdateStack(ctx, &cfn.CancelUpdateStackInput{StackName: &r.PhysicalID})
			return err
		case cfn.StackStatusUpdateRollbackInProgress, cfn.StackStatusUpdateRollbackCompleteCleanupInProgress:
			return nil
		}
	}
	in := &cfn.UpdateStackInput{
		StackName: &r.PhysicalID, TemplateURL: r.ptr("TemplateURL"), Parameters: v.parameters(r), Tags: append([]cfn.Tag{}, tags(r, cfnTag)...),
		Capabilities: r.Capabilities, ClientRequestToken: r.token(),
	}
	// The stack may still be at its cleanup, which takes no update.
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		_, err = v.api.UpdateStack(ctx, in)
		if err == nil || strings.Contains(aws.AsError(err).Message, noUpdates) {
			return nil
		}
		if !strings.Contains(aws.AsError(err).Message, cfn.StackStatusUpdateCompleteCleanupInProgress) {
			return err
		}
		time.Sleep(pause)
	}
}

func (v nestedResources) delete(ctx context.Context, r *Request) error {
	_, err := v.api.DeleteStack(ctx, &cfn.DeleteStackInput{StackName: &r.PhysicalID, ClientRequestToken: r.token()})
	return err
}

func (v nestedResources) gone(ctx context.Context, r *Request) (bool, error) {
	st, err := v.stack(ctx, r.PhysicalID)
	if err != nil || st == nil || aws.Val(st.StackStatus) == cfn.StackStatusDeleteComplete {
		return err == nil, err
	}
	if aws.Val(st.StackStatus) == cfn.StackStatusDeleteFailed {
		return false, embedded("Embedded stack %s was not successfully deleted: %s", r.PhysicalID, aws.Val(st.StackStatusReason))
	}
	return false, nil
}
