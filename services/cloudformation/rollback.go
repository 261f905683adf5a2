package cloudformation

import (
	"context"
	"slices"

	"minato/aws"
	api "minato/aws/api/cloudformation"
	"minato/store"
)

// CancelUpdateStack has an update that is under way go back.
func (s *Service) CancelUpdateStack(ctx context.Context, in *api.CancelUpdateStackInput) (*api.CancelUpdateStackOutput, error) {
	_, err := s.turnBack(ctx, aws.Val(in.StackName), nil, func(st *stackRecord) (string, error) {
		if st.status() != api.StackStatusUpdateInProgress {
			return "", validation("CancelUpdateStack cannot be called from current stack status")
		}
		return api.StackStatusUpdateRollbackInProgress, nil
	})
	return &api.CancelUpdateStackOutput{}, err
}

// ContinueUpdateRollback tries again to go back from an update, without the
// resources that are named: those are left as they are and count as gone back.
func (s *Service) ContinueUpdateRollback(ctx context.Context, in *api.ContinueUpdateRollbackInput) (*api.ContinueUpdateRollbackOutput, error) {
	st, err := s.find(ctx, aws.Val(in.StackName))
	if err != nil {
		return nil, err
	}
	list, err := s.resourcesOf(ctx, st)
	if err != nil {
		return nil, err
	}
	for _, id := range in.ResourcesToSkip {
		if !slices.ContainsFunc(list, func(r resourceRecord) bool { return r.LogicalID == id && r.Status == api.ResourceStatusUpdateFailed }) {
			return nil, validation("The following resource to skip is not in the UPDATE_FAILED state: [%s]", id)
		}
	}
	_, err = s.turnBack(ctx, aws.Val(in.StackName), in.RoleARN, func(st *stackRecord) (string, error) {
		if st.status() != api.StackStatusUpdateRollbackFailed {
			return "", validation("Stack:%s is in %s state and can not continue its rollback.", aws.Val(st.StackId), st.status())
		}
		st.Work.Skip = in.ResourcesToSkip
		return api.StackStatusUpdateRollbackInProgress, nil
	})
	return &api.ContinueUpdateRollbackOutput{}, err
}

// RollbackStack takes a stack back whose failure was left as it is.
func (s *Service) RollbackStack(ctx context.Context, in *api.RollbackStackInput) (*api.RollbackStackOutput, error) {
	st, err := s.turnBack(ctx, aws.Val(in.StackName), in.RoleARN, func(st *stackRecord) (string, error) {
		switch st.status() {
		case api.StackStatusCreateFailed:
			return api.StackStatusRollbackInProgress, nil
		case api.StackStatusUpdateFailed:
			return api.StackStatusUpdateRollbackInProgress, nil
		}
		return "", validation("Stack:%s is in %s state and can not be rolled back.", aws.Val(st.StackId), st.status())
	})
	if err != nil {
		return nil, err
	}
	return &api.RollbackStackOutput{StackId: st.StackId}, nil
}

// turnBack moves a stack into the status that to gives, with the rights of the
// caller or a role, and ends what is under way for it.
func (s *Service) turnBack(ctx context.Context, name string, role *string, to func(st *stackRecord) (string, error)) (*stackRecord, error) {
	st, err := s.find(ctx, name)
	if err != nil {
		return nil, err
	}
	maker, err := s.maker(ctx, first(role, st.RoleARN))
	if err != nil {
		return nil, err
	}
	now := s.clock.Now()
	err = store.Update(ctx, s.store, func(tx *store.Tx) error {
		cur, found, err := s.stacks.TxGet(tx, st.Account, st.Region, st.ID)
		if err == nil && !found {
			err = notFound(name)
		}
		if err != nil {
			return err
		}
		status, err := to(&cur)
		if err != nil {
			return err
		}
		cur.StackStatus, cur.StackStatusReason, cur.Work.Caller = &status, aws.Ptr("User Initiated"), maker
		if err := s.stacks.TxPut(tx, cur, st.Account, st.Region, st.ID); err != nil {
			return err
		}
		return s.putEvent(tx, &cur, now, stackEvent(&cur, status, "User Initiated"))
	})
	if err == nil {
		s.interrupt(s.stacks.Key(st.Account, st.Region, st.ID))
	}
	return st, err
}
