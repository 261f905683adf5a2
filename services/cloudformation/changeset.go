package cloudformation

import (
	"context"
	"regexp"
	"strings"

	"minato/aws"
	api "minato/aws/api/cloudformation"
	"minato/aws/arn"
	"minato/aws/identity"
	"minato/internal/ids"
	"minato/store"
)

// changeSetName is the form of change sets' names.
var changeSetName = regexp.MustCompile(`^[a-zA-Z][-a-zA-Z0-9]{0,127}$`)

// CreateChangeSet works out what a template would change. For a stack that does
// not exist it makes one that waits in REVIEW_IN_PROGRESS.
func (s *Service) CreateChangeSet(ctx context.Context, in *api.CreateChangeSetInput) (*api.CreateChangeSetOutput, error) {
	caller, p := place(ctx)
	name := aws.Val(in.ChangeSetName)
	if !changeSetName.MatchString(name) {
		return nil, validation("1 validation error detected: Value '%s' at 'changeSetName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*", name)
	}
	if err := unserved(map[string]bool{
		"NotificationARNs": len(in.NotificationARNs) > 0, "ResourcesToImport": len(in.ResourcesToImport) > 0,
		"ChangeSetType IMPORT": aws.Val(in.ChangeSetType) == api.ChangeSetTypeImport, "RollbackConfiguration": in.RollbackConfiguration != nil && len(in.RollbackConfiguration.RollbackTriggers) > 0,
	}); err != nil {
		return nil, err
	}
	create := aws.Val(in.ChangeSetType) == api.ChangeSetTypeCreate
	st, err := s.reviewed(ctx, caller, p, aws.Val(in.StackName), name, create)
	if err != nil {
		return nil, err
	}
	if _, exists, err := s.changes.Get(ctx, st.Account, st.Region, st.ID, name); err != nil || exists {
		if err == nil {
			err = api.AlreadyExistsException("ChangeSet %s already exists", name)
		}
		return nil, err
	}
	c := &changeSetRecord{
		Account: st.Account, Region: st.Region, StackID: st.ID, StackARN: aws.Val(st.StackId), StackName: st.name(), Name: name, ARN: p.ChangeSet(name, ids.UUID()),
		Type: api.ChangeSetTypeUpdate, Description: aws.Val(in.Description), Capabilities: in.Capabilities, RoleARN: in.RoleARN, Created: s.clock.Now(), Tags: in.Tags,
	}
	if create {
		c.Type = api.ChangeSetTypeCreate
	}
	c.OnFailure = api.OnFailureRollback
	if f := aws.Val(in.OnStackFailure); f != "" {
		c.OnFailure = f
	}
	if in.Tags == nil {
		c.Tags = st.Tags
	}
	c.Template = st.Template
	if !aws.Val(in.UsePreviousTemplate) {
		if c.Template, err = s.body(ctx, in.TemplateBody, in.TemplateURL); err != nil {
			return nil, err
		}
	}
	if err := s.workOut(ctx, c, st, in.Parameters); err != nil {
		return nil, err
	}
	err = store.Update(ctx, s.store, func(tx *store.Tx) error {
		if create {
			if err := s.review(tx, st); err != nil {
				return err
			}
		}
		return s.changes.TxPut(tx, *c, st.Account, st.Region, st.ID, name)
	})
	if err != nil {
		return nil, err
	}
	return &api.CreateChangeSetOutput{Id: &c.ARN, StackId: &c.StackARN}, nil
}

// reviewed returns the stack that a change set is for, or a new record of one
// that is to be made.
func (s *Service) reviewed(ctx context.Context, caller identity.Caller, p arn.Place, stack, changeSet string, create bool) (*stackRecord, error) {
	st, err := s.find(ctx, stack)
	switch {
	case err != nil && !aws.IsCode(err, "ValidationError"):
		return nil, err
	case err == nil && create && st.status() != api.StackStatusReviewInProgress:
		return nil, validation("Stack [%s] already exists and cannot be created again with the changeSet [%s].", st.name(), changeSet)
	case err == nil && create:
		return st, nil
	case err == nil:
		return st, updatable(st)
	case !create:
		return nil, validation("Stack [%s] does not exist", stack)
	case !stackName.MatchString(stack):
		return nil, validation("1 validation error detected: Value '%s' at 'stackName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*", stack)
	}
	id := ids.UUID()
	now := s.clock.Now()
	st = &stackRecord{Account: caller.Account, Region: caller.Region, ID: id, Work: &work{Caller: caller}}
	st.StackId, st.StackName, st.CreationTime, st.StackStatus = aws.Ptr(p.Stack(stack, id)), &stack, &now, aws.Ptr(api.StackStatusReviewInProgress)
	st.EnableTerminationProtection, st.DisableRollback, st.NotificationARNs, st.RollbackConfiguration = aws.Ptr(false), aws.Ptr(false), []string{}, &api.RollbackConfiguration{}
	st.DriftInformation = &api.StackDriftInformation{StackDriftStatus: aws.Ptr(api.StackDriftStatusNotChecked)}
	return st, nil
}

// review writes the record of a stack that waits for its first change set.
func (s *Service) review(tx *store.Tx, st *stackRecord) error {
	id, exists, err := s.names.TxGet(tx, st.Account, st.Region, st.name())
	switch {
	case err != nil:
		return err
	case exists && id == st.ID:
		return nil
	case exists:
		return api.AlreadyExistsException("Stack [%s] already exists", st.name())
	}
	if err := s.names.TxPut(tx, st.ID, st.Account, st.Region, st.name()); err != nil {
		return err
	}
	if err := s.stacks.TxPut(tx, *st, st.Account, st.Region, st.ID); err != nil {
		return err
	}
	return s.putEvent(tx, st, s.clock.Now(), stackEvent(st, api.StackStatusReviewInProgress, "User Initiated"))
}

// workOut fills the change set's parameters and changes. Faults of the request
// are errors; no change at all is a change set that failed.
func (s *Service) workOut(ctx context.Context, c *changeSetRecord, st *stackRecord, parameters []api.Parameter) error {
	want, err := given(parameters, st.Values)
	if err != nil {
		return err
	}
	t, err := s.parse(c.Template, want)
	if err != nil {
		return err
	}
	if c.Values, err = t.Resolve(want); err != nil {
		return asValidation(err)
	}
	if err := checkCapabilities(t, c.Capabilities, true); err != nil {
		return err
	}
	if c.Stored, err = s.storedValues(ctx, t, c.Values); err != nil {
		return err
	}
	after, err := s.define(ctx, st.place(), st.name(), c.StackARN, c.Template, inForce(c.Values, c.Stored))
	if err != nil {
		return err
	}
	var before *definition
	physical := map[string]string{}
	same := false
	if c.Type == api.ChangeSetTypeUpdate {
		if before, err = s.define(ctx, st.place(), st.name(), c.StackARN, st.Template, inForce(st.Values, st.Stored)); err != nil {
			return err
		}
		list, err := s.resourcesOf(ctx, st)
		if err != nil {
			return err
		}
		for _, r := range list {
			physical[r.LogicalID] = r.PhysicalID
		}
		same = c.Template == st.Template && sameValues(c.Values, st.Values) && sameValues(c.Stored, st.Stored) && sameTags(c.Tags, st.Tags)
	}
	c.Changes = planChanges(before, after, !sameTags(c.Tags, st.Tags), physical)
	c.Status, c.Execution = api.ChangeSetStatusCreateComplete, api.ExecutionStatusAvailable
	if same || before != nil && len(c.Changes) == 0 && strings.TrimSpace(c.Template) == strings.TrimSpace(st.Template) {
		c.Status, c.Execution = api.ChangeSetStatusFailed, api.ExecutionStatusUnavailable
		c.Reason = "The submitted information didn't contain changes. Submit different information to create a change set."
	}
	if why := s.missing(ctx, t, c.Values); why != "" {
		c.Status, c.Execution, c.Reason = api.ChangeSetStatusFailed, api.ExecutionStatusUnavailable, why
	}
	return nil
}

// changeSet finds a change set by its ARN, or by its name and the stack's.
func (s *Service) changeSet(ctx context.Context, nameOrARN, stack *string) (*changeSetRecord, error) {
	caller, _ := place(ctx)
	missing := api.ChangeSetNotFoundException("ChangeSet [%s] does not exist", aws.Val(nameOrARN))
	if arn.Is(aws.Val(nameOrARN)) {
		all, err := s.changes.List(ctx, caller.Account, caller.Region)
		for i := range all {
			if all[i].ARN == *nameOrARN {
				return &all[i], err
			}
		}
		if err == nil {
			err = missing
		}
		return nil, err
	}
	if aws.Val(stack) == "" {
		return nil, validation("StackName must be specified if ChangeSetName is not specified as an ARN.")
	}
	st, err := s.find(ctx, *stack)
	if err != nil {
		return nil, err
	}
	c, found, err := s.changes.Get(ctx, st.Account, st.Region, st.ID, aws.Val(nameOrARN))
	if err == nil && !found {
		err = missing
	}
	return &c, err
}

// DescribeChangeSet shows what a change set would change.
func (s *Service) DescribeChangeSet(ctx context.Context, in *api.DescribeChangeSetInput) (*api.DescribeChangeSetOutput, error) {
	c, err := s.changeSet(ctx, in.ChangeSetName, in.StackName)
	if err != nil {
		return nil, err
	}
	items, next, err := page(c.Changes, in.NextToken, func(ch api.Change) string { return aws.Val(ch.ResourceChange.LogicalResourceId) })
	if err != nil {
		return nil, err
	}
	shown := s.shown(&stackRecord{Template: c.Template, Values: c.Values, Stored: c.Stored})
	return &api.DescribeChangeSetOutput{
		ChangeSetId: &c.ARN, ChangeSetName: &c.Name, StackId: &c.StackARN, StackName: &c.StackName, Description: optional(c.Description), Status: &c.Status,
		StatusReason: optional(c.Reason), ExecutionStatus: &c.Execution, CreationTime: &c.Created, Parameters: shown.Parameters, Capabilities: c.Capabilities, Tags: c.Tags, Changes: items, NextToken: next,
		OnStackFailure: optional(c.OnFailure), NotificationARNs: []string{}, RollbackConfiguration: &api.RollbackConfiguration{}, IncludeNestedStacks: aws.Ptr(false),
	}, nil
}

// ListChangeSets lists the change sets of a stack.
func (s *Service) ListChangeSets(ctx context.Context, in *api.ListChangeSetsInput) (*api.ListChangeSetsOutput, error) {
	st, err := s.find(ctx, aws.Val(in.StackName))
	if err != nil {
		return nil, err
	}
	list, err := s.changes.List(ctx, st.Account, st.Region, st.ID)
	if err != nil {
		return nil, err
	}
	items, next, err := page(list, in.NextToken, func(c changeSetRecord) string { return c.Name })
	if err != nil {
		return nil, err
	}
	out := &api.ListChangeSetsOutput{Summaries: []api.ChangeSetSummary{}, NextToken: next}
	for _, c := range items {
		out.Summaries = append(out.Summaries, api.ChangeSetSummary{
			ChangeSetId: aws.Ptr(c.ARN), ChangeSetName: aws.Ptr(c.Name), StackId: aws.Ptr(c.StackARN), StackName: aws.Ptr(c.StackName), CreationTime: aws.Ptr(c.Created),
			Description: optional(c.Description), Status: aws.Ptr(c.Status), StatusReason: optional(c.Reason), ExecutionStatus: aws.Ptr(c.Execution),
		})
	}
	return out, nil
}

// DeleteChangeSet forgets a change set; the stack stays as it is.
func (s *Service) DeleteChangeSet(ctx context.Context, in *api.DeleteChangeSetInput) (*api.DeleteChangeSetOutput, error) {
	c, err := s.changeSet(ctx, in.ChangeSetName, in.StackName)
	if aws.IsCode(err, "ChangeSetNotFound") {
		return &api.DeleteChangeSetOutput{}, nil
	}
	if err != nil {
		return nil, err
	}
	return &api.DeleteChangeSetOutput{}, s.changes.Delete(ctx, c.Account, c.Region, c.StackID, c.Name)
}

// ExecuteChangeSet makes the stack, or updates it; its other change sets are
// for a stack that is no more, and go.
func (s *Service) ExecuteChangeSet(ctx context.Context, in *api.ExecuteChangeSetInput) (*api.ExecuteChangeSetOutput, error) {
	c, err := s.changeSet(ctx, in.ChangeSetName, in.StackName)
	if err != nil {
		return nil, err
	}
	if c.Execution != api.ExecutionStatusAvailable {
		return nil, api.InvalidChangeSetStatusException("ChangeSet [%s] cannot be executed in its current status of [%s]", c.ARN, c.Status)
	}
	onFailure := c.OnFailure
	if aws.Val(in.DisableRollback) {
		onFailure = api.OnFailureDoNothing
	}
	cur, err := s.find(ctx, c.StackARN)
	if err != nil {
		return nil, err
	}
	maker, err := s.maker(ctx, first(c.RoleARN, cur.RoleARN))
	if err != nil {
		return nil, err
	}
	others, err := s.changes.List(ctx, c.Account, c.Region, c.StackID)
	if err != nil {
		return nil, err
	}
	err = store.Update(ctx, s.store, func(tx *store.Tx) error {
		st, found, err := s.stacks.TxGet(tx, c.Account, c.Region, c.StackID)
		if err != nil || !found {
			return err
		}
		status := api.StackStatusUpdateInProgress
		if c.Type == api.ChangeSetTypeCreate {
			status = api.StackStatusCreateInProgress
			if st.status() != api.StackStatusReviewInProgress {
				return validation("Stack [%s] already exists and cannot be created again with the changeSet [%s].", st.name(), c.Name)
			}
		} else if err := updatable(&st); err != nil {
			return err
		}
		s.begin(&st, status, c, &work{Token: token(in.ClientRequestToken), Caller: maker, OnFailure: onFailure, OldTemplate: st.Template, OldValues: st.Values, OldStored: st.Stored, OldTags: st.Tags})
		if err := s.stacks.TxPut(tx, st, c.Account, c.Region, c.StackID); err != nil {
			return err
		}
		for _, o := range others {
			if o.Name != c.Name {
				s.changes.TxDelete(tx, o.Account, o.Region, o.StackID, o.Name)
			}
		}
		c.Execution = api.ExecutionStatusExecuteComplete
		if err := s.changes.TxPut(tx, *c, c.Account, c.Region, c.StackID, c.Name); err != nil {
			return err
		}
		return s.putEvent(tx, &st, s.clock.Now(), stackEvent(&st, status, "User Initiated"))
	})
	if err != nil {
		return nil, err
	}
	return &api.ExecuteChangeSetOutput{}, nil
}

// begin puts what a change set holds into the stack's record.
func (s *Service) begin(st *stackRecord, status string, c *changeSetRecord, w *work) {
	now := s.clock.Now()
	if c.Type == api.ChangeSetTypeUpdate {
		st.LastUpdatedTime = &now
	}
	st.Work, st.Template, st.Values, st.Stored, st.Tags, st.ChangeSetId = w, c.Template, c.Values, c.Stored, c.Tags, &c.ARN
	st.StackStatus, st.StackStatusReason, st.DisableRollback = &status, nil, aws.Ptr(w.OnFailure == api.OnFailureDoNothing)
	if t, err := s.parse(c.Template, c.Values); err == nil {
		st.Description = optional(t.Description)
	}
	if c.Capabilities != nil {
		st.Capabilities = c.Capabilities
	}
	if c.RoleARN != nil {
		st.RoleARN = c.RoleARN
	}
}
