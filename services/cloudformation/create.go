package cloudformation

import (
	"context"
	"slices"

	"minato/aws"
	api "minato/aws/api/cloudformation"
	"minato/internal/ids"
	"minato/services/cloudformation/resources"
	"minato/services/cloudformation/template"
	"minato/store"
)

// CreateStack accepts a stack; the reconciler makes its resources.
func (s *Service) CreateStack(ctx context.Context, in *api.CreateStackInput) (*api.CreateStackOutput, error) {
	caller, p := place(ctx)
	name := aws.Val(in.StackName)
	if !stackName.MatchString(name) {
		return nil, validation("1 validation error detected: Value '%s' at 'stackName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*", name)
	}
	text, err := s.body(ctx, in.TemplateBody, in.TemplateURL)
	if err != nil {
		return nil, err
	}
	if err := unserved(map[string]bool{
		"NotificationARNs": len(in.NotificationARNs) > 0, "StackPolicyBody": in.StackPolicyBody != nil, "StackPolicyURL": in.StackPolicyURL != nil,
		"RollbackConfiguration": in.RollbackConfiguration != nil && len(in.RollbackConfiguration.RollbackTriggers) > 0,
	}); err != nil {
		return nil, err
	}
	if in.OnFailure != nil && in.DisableRollback != nil {
		return nil, validation("You cannot specify both OnFailure and DisableRollback")
	}
	onFailure := api.OnFailureRollback
	switch {
	case in.OnFailure != nil:
		onFailure = *in.OnFailure
	case aws.Val(in.DisableRollback):
		onFailure = api.OnFailureDoNothing
	}
	if _, exists, err := s.names.Get(ctx, caller.Account, caller.Region, name); err != nil {
		return nil, err
	} else if exists {
		return s.again(ctx, in, name)
	}
	id := ids.UUID()
	st := &stackRecord{Account: caller.Account, Region: caller.Region, ID: id, Template: text}
	st.StackId, st.StackName = aws.Ptr(p.Stack(name, id)), &name
	want, err := given(in.Parameters, nil)
	if err != nil {
		return nil, err
	}
	t, err := s.parse(text, want)
	if err != nil {
		return nil, err
	}
	if st.Values, err = t.Resolve(want); err != nil {
		return nil, asValidation(err)
	}
	if err := checkCapabilities(t, in.Capabilities, false); err != nil {
		return nil, err
	}
	if st.Stored, err = s.storedValues(ctx, t, st.Values); err != nil {
		return nil, err
	}
	if _, err := s.define(ctx, p, name, *st.StackId, text, inForce(st.Values, st.Stored)); err != nil {
		return nil, err
	}
	maker, err := s.maker(ctx, in.RoleARN)
	if err != nil {
		return nil, err
	}
	now := s.clock.Now()
	st.CreationTime, st.StackStatus, st.Description = &now, aws.Ptr(api.StackStatusCreateInProgress), optional(t.Description)
	st.Capabilities, st.Tags, st.RoleARN, st.NotificationARNs = in.Capabilities, in.Tags, in.RoleARN, []string{}
	st.DisableRollback, st.EnableTerminationProtection = aws.Ptr(onFailure == api.OnFailureDoNothing), aws.Ptr(aws.Val(in.EnableTerminationProtection))
	st.RollbackConfiguration, st.TimeoutInMinutes = &api.RollbackConfiguration{}, in.TimeoutInMinutes
	st.DriftInformation = &api.StackDriftInformation{StackDriftStatus: aws.Ptr(api.StackDriftStatusNotChecked)}
	st.Work = &work{Token: token(in.ClientRequestToken), Caller: maker, OnFailure: onFailure}
	err = store.Update(ctx, s.store, func(tx *store.Tx) error {
		if _, exists, err := s.names.TxGet(tx, st.Account, st.Region, name); err != nil {
			return err
		} else if exists {
			return api.AlreadyExistsException("Stack [%s] already exists", name)
		}
		if err := s.names.TxPut(tx, id, st.Account, st.Region, name); err != nil {
			return err
		}
		if err := s.stacks.TxPut(tx, *st, st.Account, st.Region, id); err != nil {
			return err
		}
		return s.putEvent(tx, st, now, stackEvent(st, api.ResourceStatusCreateInProgress, "User Initiated"))
	})
	if err != nil {
		return nil, err
	}
	return &api.CreateStackOutput{StackId: st.StackId}, nil
}

// again answers a creation of a stack that is there: the same request token
// means the same stack.
func (s *Service) again(ctx context.Context, in *api.CreateStackInput, name string) (*api.CreateStackOutput, error) {
	st, err := s.find(ctx, name)
	if err == nil && in.ClientRequestToken != nil && st.Work != nil && st.Work.Token == *in.ClientRequestToken {
		return &api.CreateStackOutput{StackId: st.StackId}, nil
	}
	return nil, api.AlreadyExistsException("Stack [%s] already exists", name)
}

// token is the client's request token, or one of ours.
func token(given *string) string {
	if t := aws.Val(given); t != "" {
		return t
	}
	return ids.UUID()
}

// finished are the states in which a stack can be updated: those at rest, and
// those in which a failure was left as it is, to be mended.
var finished = []string{api.StackStatusCreateComplete, api.StackStatusUpdateComplete, api.StackStatusUpdateRollbackComplete, api.StackStatusCreateFailed, api.StackStatusUpdateFailed}

// UpdateStack accepts a new template, parameters or tags.
func (s *Service) UpdateStack(ctx context.Context, in *api.UpdateStackInput) (*api.UpdateStackOutput, error) {
	_, p := place(ctx)
	st, err := s.find(ctx, aws.Val(in.StackName))
	if aws.IsCode(err, "ValidationError") {
		err = validation("Stack [%s] does not exist", aws.Val(in.StackName))
	}
	if err != nil {
		return nil, err
	}
	if err := updatable(st); err != nil {
		return nil, err
	}
	if err := unserved(map[string]bool{
		"NotificationARNs": len(in.NotificationARNs) > 0, "StackPolicyBody": in.StackPolicyBody != nil, "StackPolicyURL": in.StackPolicyURL != nil,
		"StackPolicyDuringUpdateBody": in.StackPolicyDuringUpdateBody != nil, "RollbackConfiguration": in.RollbackConfiguration != nil && len(in.RollbackConfiguration.RollbackTriggers) > 0,
	}); err != nil {
		return nil, err
	}
	text := st.Template
	if !aws.Val(in.UsePreviousTemplate) {
		if text, err = s.body(ctx, in.TemplateBody, in.TemplateURL); err != nil {
			return nil, err
		}
	}
	want, err := given(in.Parameters, st.Values)
	if err != nil {
		return nil, err
	}
	t, err := s.parse(text, want)
	if err != nil {
		return nil, err
	}
	values, err := t.Resolve(want)
	if err != nil {
		return nil, asValidation(err)
	}
	if err := checkCapabilities(t, in.Capabilities, false); err != nil {
		return nil, err
	}
	inStore, err := s.storedValues(ctx, t, values)
	if err != nil {
		return nil, err
	}
	if _, err := s.define(ctx, p, st.name(), *st.StackId, text, inForce(values, inStore)); err != nil {
		return nil, err
	}
	newTags := st.Tags
	if in.Tags != nil {
		newTags = in.Tags
	}
	if !nests(t) && text == st.Template && sameValues(values, st.Values) && sameValues(inStore, st.Stored) && sameTags(newTags, st.Tags) {
		return nil, validation("No updates are to be performed.")
	}
	onFailure := api.OnFailureRollback
	if aws.Val(in.DisableRollback) {
		onFailure = api.OnFailureDoNothing
	}
	maker, err := s.maker(ctx, first(in.RoleARN, st.RoleARN))
	if err != nil {
		return nil, err
	}
	now := s.clock.Now()
	err = store.Update(ctx, s.store, func(tx *store.Tx) error {
		cur, found, err := s.stacks.TxGet(tx, st.Account, st.Region, st.ID)
		if err != nil {
			return err
		}
		if !found {
			return validation("Stack [%s] does not exist", aws.Val(in.StackName))
		}
		if err := updatable(&cur); err != nil {
			return err
		}
		cur.Work = &work{Token: token(in.ClientRequestToken), Caller: maker, OnFailure: onFailure, OldTemplate: cur.Template, OldValues: cur.Values, OldStored: cur.Stored, OldTags: cur.Tags}
		cur.Template, cur.Values, cur.Stored, cur.Tags, cur.Description = text, values, inStore, newTags, optional(t.Description)
		cur.LastUpdatedTime, cur.StackStatus, cur.StackStatusReason = &now, aws.Ptr(api.StackStatusUpdateInProgress), nil
		if in.Capabilities != nil {
			cur.Capabilities = in.Capabilities
		}
		if in.RoleARN != nil {
			cur.RoleARN = in.RoleARN
		}
		if err := s.stacks.TxPut(tx, cur, st.Account, st.Region, st.ID); err != nil {
			return err
		}
		return s.putEvent(tx, &cur, now, stackEvent(&cur, api.ResourceStatusUpdateInProgress, "User Initiated"))
	})
	if err != nil {
		return nil, err
	}
	return &api.UpdateStackOutput{StackId: st.StackId}, nil
}

// nests tells whether a template has stacks in it: these are always asked whether
// they change.
func nests(t *template.Template) bool {
	for _, r := range t.Resources {
		if r.Type == resources.NestedType {
			return true
		}
	}
	return false
}

// first returns a, or b when a is not given.
func first(a, b *string) *string {
	if a != nil {
		return a
	}
	return b
}

// updatable refuses an update of a stack that is not at rest.
func updatable(st *stackRecord) error {
	if slices.Contains(finished, st.status()) {
		return nil
	}
	return validation("Stack:%s is in %s state and can not be updated.", aws.Val(st.StackId), st.status())
}

func sameValues(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if w, ok := b[k]; !ok || w != v {
			return false
		}
	}
	return true
}

func sameTags(a, b []api.Tag) bool { return sameValues(tagValues(a), tagValues(b)) }

// tagValues is a list of tags as a map.
func tagValues(tags []api.Tag) map[string]string {
	m := map[string]string{}
	for _, t := range tags {
		m[aws.Val(t.Key)] = aws.Val(t.Value)
	}
	return m
}

// event writes one event in a transaction of its own.
func (s *Service) event(ctx context.Context, st *stackRecord, e api.StackEvent) error {
	return store.Update(ctx, s.store, func(tx *store.Tx) error { return s.putEvent(tx, st, s.clock.Now(), e) })
}
