package ec2

import (
	"context"

	"minato/aws"
	ec2api "minato/aws/api/ec2"
	"minato/store"
)

// changeState has f change what each of some instances is wanted to be, in one
// transaction: all or none, as on AWS.
func (s *Service) changeState(ctx context.Context, wanted []string, f func(tx *store.Tx, r *instanceRecord) error) ([]ec2api.InstanceStateChange, error) {
	p := at(ctx)
	var out []ec2api.InstanceStateChange
	err := store.Update(ctx, s.Store, func(tx *store.Tx) error {
		out = nil
		for _, id := range wanted {
			r, err := get(tx, s.instances, p, id, noInstance)
			if err != nil {
				return err
			}
			before := r.state()
			if err := f(tx, &r); err != nil {
				return err
			}
			if err := s.instances.TxPut(tx, r, p.account, p.region, id); err != nil {
				return err
			}
			out = append(out, ec2api.InstanceStateChange{InstanceId: &id, PreviousState: before, CurrentState: r.state()})
		}
		return nil
	})
	return out, err
}

// publish gives an instance's interface its public address, or takes it back.
func (s *Service) publish(tx *store.Tx, r *instanceRecord, on bool) error {
	p := place{r.Account, r.Region}
	e, found, err := s.interfaces.TxGet(tx, p.account, p.region, r.Interface)
	if err != nil || !found {
		return err
	}
	if err := s.setPublic(tx, p, &e, on && r.Public); err != nil {
		return err
	}
	return s.interfaces.TxPut(tx, e, p.account, p.region, r.Interface)
}

// StartInstances starts stopped instances again, with new public addresses.
func (s *Service) StartInstances(ctx context.Context, in *ec2api.StartInstancesInput) (*ec2api.StartInstancesOutput, error) {
	out, err := s.changeState(ctx, in.InstanceIds, func(tx *store.Tx, r *instanceRecord) error {
		switch *r.state().Name {
		case "pending", stateRunning:
			return nil
		case stateStopped:
			r.Wanted, r.Generation, r.LaunchTime = stateRunning, r.Generation+1, s.now()
			return s.publish(tx, r, true)
		}
		return aws.Errorf("IncorrectInstanceState", "The instance '%s' is not in a state from which it can be started.", *r.InstanceId)
	})
	return &ec2api.StartInstancesOutput{StartingInstances: out}, err
}

// StopInstances stops instances; their homes stay.
func (s *Service) StopInstances(ctx context.Context, in *ec2api.StopInstancesInput) (*ec2api.StopInstancesOutput, error) {
	if aws.Val(in.Hibernate) {
		return nil, unsupported("hibernation")
	}
	out, err := s.changeState(ctx, in.InstanceIds, func(tx *store.Tx, r *instanceRecord) error {
		if r.Wanted == stateTerminated {
			return aws.Errorf("IncorrectInstanceState", "This instance '%s' is not in a state from which it can be stopped.", *r.InstanceId)
		}
		r.Wanted = stateStopped
		return s.publish(tx, r, false)
	})
	return &ec2api.StopInstancesOutput{StoppingInstances: out}, err
}

// TerminateInstances ends instances for good. The reconciler removes the
// container and the home; the interface goes when nothing uses it any more.
func (s *Service) TerminateInstances(ctx context.Context, in *ec2api.TerminateInstancesInput) (*ec2api.TerminateInstancesOutput, error) {
	out, err := s.changeState(ctx, in.InstanceIds, func(_ *store.Tx, r *instanceRecord) error {
		r.Wanted = stateTerminated
		return nil
	})
	return &ec2api.TerminateInstancesOutput{TerminatingInstances: out}, err
}
