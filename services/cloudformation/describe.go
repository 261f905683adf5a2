package cloudformation

import (
	"context"
	"slices"
	"sort"

	"minato/aws"
	api "minato/aws/api/cloudformation"
	"minato/services/cloudformation/template"
)

// pageSize is how much a list answers at once.
const pageSize = 100

// page cuts a list: token is what next returned for the page before.
func page[T any](list []T, token *string, id func(T) string) (items []T, next *string, err error) {
	start := 0
	if t := aws.Val(token); t != "" {
		start = slices.IndexFunc(list, func(v T) bool { return id(v) == t })
		if start < 0 {
			return nil, nil, validation("The pagination token is not valid")
		}
		start++
	}
	items = list[start:]
	if len(items) > pageSize {
		items = items[:pageSize]
		next = aws.Ptr(id(items[pageSize-1]))
	}
	return items, next, nil
}

// DescribeStacks describes one stack, or all that are not deleted.
func (s *Service) DescribeStacks(ctx context.Context, in *api.DescribeStacksInput) (*api.DescribeStacksOutput, error) {
	if name := aws.Val(in.StackName); name != "" {
		st, err := s.find(ctx, name)
		if err != nil {
			return nil, err
		}
		return &api.DescribeStacksOutput{Stacks: []api.Stack{s.shown(st)}}, nil
	}
	all, err := s.all(ctx)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(st stackRecord) bool { return st.status() == api.StackStatusDeleteComplete })
	items, next, err := page(all, in.NextToken, func(st stackRecord) string { return aws.Val(st.StackId) })
	if err != nil {
		return nil, err
	}
	out := &api.DescribeStacksOutput{Stacks: []api.Stack{}, NextToken: next}
	for i := range items {
		out.Stacks = append(out.Stacks, s.shown(&items[i]))
	}
	return out, nil
}

// all returns the caller's stacks, newest first, deleted ones among them.
func (s *Service) all(ctx context.Context) ([]stackRecord, error) {
	caller, _ := place(ctx)
	list, err := s.stacks.List(ctx, caller.Account, caller.Region)
	sort.SliceStable(list, func(i, j int) bool { return list[i].CreationTime.After(*list[j].CreationTime) })
	return list, err
}

// shown is the stack as an answer has it.
func (s *Service) shown(st *stackRecord) api.Stack {
	out := st.Stack
	t, err := template.Parse(st.Template)
	for _, name := range sortedKeys(st.Values) {
		v := st.Values[name]
		if err == nil && t.Parameters[name] != nil && t.Parameters[name].NoEcho {
			v = "****"
		}
		p := api.Parameter{ParameterKey: aws.Ptr(name), ParameterValue: aws.Ptr(v)}
		if stored, ok := st.Stored[name]; ok {
			p.ResolvedValue = &stored
		}
		out.Parameters = append(out.Parameters, p)
	}
	if out.Tags == nil {
		out.Tags = []api.Tag{}
	}
	return out
}

// ListStacks lists stacks by status, deleted ones among them.
func (s *Service) ListStacks(ctx context.Context, in *api.ListStacksInput) (*api.ListStacksOutput, error) {
	all, err := s.all(ctx)
	if err != nil {
		return nil, err
	}
	if len(in.StackStatusFilter) > 0 {
		all = slices.DeleteFunc(all, func(st stackRecord) bool { return !slices.Contains(in.StackStatusFilter, st.status()) })
	}
	items, next, err := page(all, in.NextToken, func(st stackRecord) string { return aws.Val(st.StackId) })
	if err != nil {
		return nil, err
	}
	out := &api.ListStacksOutput{StackSummaries: []api.StackSummary{}, NextToken: next}
	for _, st := range items {
		out.StackSummaries = append(out.StackSummaries, api.StackSummary{
			StackId: st.StackId, StackName: st.StackName, StackStatus: st.StackStatus, StackStatusReason: st.StackStatusReason,
			CreationTime: st.CreationTime, LastUpdatedTime: st.LastUpdatedTime, DeletionTime: st.DeletionTime, TemplateDescription: st.Description, ParentId: st.ParentId, RootId: st.RootId,
			DriftInformation: &api.StackDriftInformationSummary{StackDriftStatus: aws.Ptr(api.StackDriftStatusNotChecked)},
		})
	}
	return out, nil
}

// DescribeStackEvents lists a stack's events, newest first.
func (s *Service) DescribeStackEvents(ctx context.Context, in *api.DescribeStackEventsInput) (*api.DescribeStackEventsOutput, error) {
	st, err := s.find(ctx, aws.Val(in.StackName))
	if err != nil {
		if aws.IsCode(err, "ValidationError") {
			return nil, validation("Stack [%s] does not exist", aws.Val(in.StackName))
		}
		return nil, err
	}
	list, err := s.events.List(ctx, st.Account, st.Region, st.ID)
	if err != nil {
		return nil, err
	}
	slices.Reverse(list)
	items, next, err := page(list, in.NextToken, func(e api.StackEvent) string { return aws.Val(e.EventId) })
	if err != nil {
		return nil, err
	}
	return &api.DescribeStackEventsOutput{StackEvents: items, NextToken: next}, nil
}

// resourcesOf returns the resources of a stack that there are; of a stack that
// is gone, or was rolled back, those that there were.
func (s *Service) resourcesOf(ctx context.Context, st *stackRecord) ([]resourceRecord, error) {
	list, err := s.resources.List(ctx, st.Account, st.Region, st.ID)
	switch st.status() {
	case api.StackStatusDeleteComplete, api.StackStatusDeleteInProgress, api.StackStatusDeleteFailed, api.StackStatusRollbackInProgress, api.StackStatusRollbackComplete, api.StackStatusRollbackFailed:
		return list, err
	}
	return slices.DeleteFunc(list, func(r resourceRecord) bool { return !r.exists() }), err
}

var notChecked = &api.StackResourceDriftInformation{StackResourceDriftStatus: aws.Ptr(api.StackResourceDriftStatusNotChecked)}

// DescribeStackResources describes the resources of a stack, or of the stack
// that a resource belongs to.
func (s *Service) DescribeStackResources(ctx context.Context, in *api.DescribeStackResourcesInput) (*api.DescribeStackResourcesOutput, error) {
	st, err := s.stackOrOwner(ctx, aws.Val(in.StackName), aws.Val(in.PhysicalResourceId))
	if err != nil {
		return nil, err
	}
	list, err := s.resourcesOf(ctx, st)
	if err != nil {
		return nil, err
	}
	out := &api.DescribeStackResourcesOutput{StackResources: []api.StackResource{}}
	for _, r := range list {
		if want := aws.Val(in.LogicalResourceId); want != "" && want != r.LogicalID {
			continue
		}
		out.StackResources = append(out.StackResources, api.StackResource{
			StackId: st.StackId, StackName: st.StackName, LogicalResourceId: aws.Ptr(r.LogicalID), PhysicalResourceId: optional(r.PhysicalID),
			ResourceType: aws.Ptr(r.Type), ResourceStatus: aws.Ptr(r.Status), ResourceStatusReason: optional(r.Reason), Timestamp: aws.Ptr(r.Changed), DriftInformation: notChecked,
		})
	}
	return out, nil
}

// stackOrOwner finds a stack by its name, or by a resource of it.
func (s *Service) stackOrOwner(ctx context.Context, name, physicalID string) (*stackRecord, error) {
	switch {
	case name != "" && physicalID != "":
		return nil, validation("Only one of stackName and physicalResourceId can be specified")
	case name != "":
		return s.find(ctx, name)
	case physicalID == "":
		return nil, validation("Either stackName or physicalResourceId must be specified")
	}
	all, err := s.all(ctx)
	if err != nil {
		return nil, err
	}
	for i := range all {
		list, err := s.resources.List(ctx, all[i].Account, all[i].Region, all[i].ID)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(list, func(r resourceRecord) bool { return r.PhysicalID == physicalID && r.exists() }) {
			return &all[i], nil
		}
	}
	return nil, validation("Stack for %s does not exist", physicalID)
}

// DescribeStackResource describes one resource.
func (s *Service) DescribeStackResource(ctx context.Context, in *api.DescribeStackResourceInput) (*api.DescribeStackResourceOutput, error) {
	st, err := s.find(ctx, aws.Val(in.StackName))
	if err != nil {
		return nil, err
	}
	id := aws.Val(in.LogicalResourceId)
	r, found, err := s.resources.Get(ctx, st.Account, st.Region, st.ID, id)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, validation("Resource %s does not exist for stack %s", id, st.name())
	}
	return &api.DescribeStackResourceOutput{StackResourceDetail: &api.StackResourceDetail{
		StackId: st.StackId, StackName: st.StackName, LogicalResourceId: &id, PhysicalResourceId: optional(r.PhysicalID),
		ResourceType: &r.Type, ResourceStatus: &r.Status, ResourceStatusReason: optional(r.Reason), LastUpdatedTimestamp: &r.Changed, Metadata: aws.Ptr("{}"), DriftInformation: notChecked,
	}}, nil
}

// ListStackResources lists the resources of a stack.
func (s *Service) ListStackResources(ctx context.Context, in *api.ListStackResourcesInput) (*api.ListStackResourcesOutput, error) {
	st, err := s.find(ctx, aws.Val(in.StackName))
	if err != nil {
		return nil, err
	}
	list, err := s.resourcesOf(ctx, st)
	if err != nil {
		return nil, err
	}
	items, next, err := page(list, in.NextToken, func(r resourceRecord) string { return r.LogicalID })
	if err != nil {
		return nil, err
	}
	out := &api.ListStackResourcesOutput{StackResourceSummaries: []api.StackResourceSummary{}, NextToken: next}
	for _, r := range items {
		out.StackResourceSummaries = append(out.StackResourceSummaries, api.StackResourceSummary{
			LogicalResourceId: aws.Ptr(r.LogicalID), PhysicalResourceId: optional(r.PhysicalID),
			ResourceType: aws.Ptr(r.Type), ResourceStatus: aws.Ptr(r.Status), ResourceStatusReason: optional(r.Reason), LastUpdatedTimestamp: aws.Ptr(r.Changed),
			DriftInformation: &api.StackResourceDriftInformationSummary{StackResourceDriftStatus: aws.Ptr(api.StackResourceDriftStatusNotChecked)},
		})
	}
	return out, nil
}
