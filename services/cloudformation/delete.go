package cloudformation

import (
	"context"

	"minato/aws"
	api "minato/aws/api/cloudformation"
	"minato/store"
)

// DeleteStack accepts the deletion of a stack; of one that does not exist it
// is done already.
func (s *Service) DeleteStack(ctx context.Context, in *api.DeleteStackInput) (*api.DeleteStackOutput, error) {
	st, err := s.find(ctx, aws.Val(in.StackName))
	if aws.IsCode(err, "ValidationError") {
		return &api.DeleteStackOutput{}, nil
	}
	if err != nil {
		return nil, err
	}
	if len(in.RetainResources) > 0 && st.status() != api.StackStatusDeleteFailed {
		return nil, validation("Invalid operation on stack [%s]. RetainResources is only valid for stacks in the DELETE_FAILED state", aws.Val(st.StackId))
	}
	maker, err := s.maker(ctx, first(in.RoleARN, st.RoleARN))
	if err != nil {
		return nil, err
	}
	now := s.clock.Now()
	key := s.stacks.Key(st.Account, st.Region, st.ID)
	err = store.Update(ctx, s.store, func(tx *store.Tx) error {
		cur, found, err := s.stacks.TxGet(tx, st.Account, st.Region, st.ID)
		if err != nil || !found {
			return err
		}
		switch cur.status() {
		case api.StackStatusDeleteComplete, api.StackStatusDeleteInProgress:
			return nil
		case api.StackStatusUpdateInProgress, api.StackStatusUpdateRollbackInProgress, api.StackStatusUpdateCompleteCleanupInProgress, api.StackStatusUpdateRollbackCompleteCleanupInProgress:
			return validation("Stack [%s] cannot be deleted while in status %s", cur.name(), cur.status())
		}
		if aws.Val(cur.EnableTerminationProtection) {
			return validation("Stack [%s] cannot be deleted while TerminationProtection is enabled", cur.name())
		}
		cur.Work = &work{Token: token(in.ClientRequestToken), Caller: maker, Retain: in.RetainResources}
		cur.StackStatus, cur.StackStatusReason, cur.DeletionTime = aws.Ptr(api.StackStatusDeleteInProgress), nil, &now
		if in.RoleARN != nil {
			cur.RoleARN = in.RoleARN
		}
		if err := s.stacks.TxPut(tx, cur, st.Account, st.Region, st.ID); err != nil {
			return err
		}
		return s.putEvent(tx, &cur, now, stackEvent(&cur, api.ResourceStatusDeleteInProgress, "User Initiated"))
	})
	if err != nil {
		return nil, err
	}
	s.interrupt(key)
	return &api.DeleteStackOutput{}, nil
}
