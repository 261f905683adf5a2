package rds

import (
	"context"

	"minato/aws"
	rdsapi "minato/aws/api/rds"
	"minato/store"
)

// StartDBInstance implements rdsapi.API.
func (s *Service) StartDBInstance(ctx context.Context, in *rdsapi.StartDBInstanceInput) (*rdsapi.StartDBInstanceOutput, error) {
	rec, err := s.updateInstance(ctx, here(ctx), aws.Val(in.DBInstanceIdentifier), func(rec *instance) error {
		if rec.status() != statusStopped {
			return rdsapi.InvalidDBInstanceStateFault("Instance %s is not in stopped state.", rec.id())
		}
		rec.Goal, rec.DBInstanceStatus, rec.AutomaticRestartTime = goalRunning, aws.Ptr(statusStarting), nil
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &rdsapi.StartDBInstanceOutput{DBInstance: rec.shown()}, nil
}

// StopDBInstance implements rdsapi.API.
func (s *Service) StopDBInstance(ctx context.Context, in *rdsapi.StopDBInstanceInput) (*rdsapi.StopDBInstanceOutput, error) {
	p := here(ctx)
	id := instanceID(aws.Val(in.DBInstanceIdentifier))
	var out instance
	err := store.Update(ctx, s.Store, func(tx *store.Tx) error {
		rec, found, err := s.instances.TxGet(tx, p.Account, p.Region, id)
		if err == nil && !found {
			err = noInstance(id)
		}
		if err != nil {
			return err
		}
		if rec.status() != statusAvailable {
			return rdsapi.InvalidDBInstanceStateFault("Instance %s is not in available state.", id)
		}
		if name := aws.Val(in.DBSnapshotIdentifier); name != "" {
			if err := s.addSnapshot(tx, p, rec, name, nil); err != nil {
				return err
			}
		}
		rec.Goal, rec.DBInstanceStatus = goalStopped, aws.Ptr(statusStopping)
		out = rec
		return s.instances.TxPut(tx, rec, p.Account, p.Region, id)
	})
	if err != nil {
		return nil, err
	}
	return &rdsapi.StopDBInstanceOutput{DBInstance: out.shown()}, nil
}

// RebootDBInstance implements rdsapi.API.
func (s *Service) RebootDBInstance(ctx context.Context, in *rdsapi.RebootDBInstanceInput) (*rdsapi.RebootDBInstanceOutput, error) {
	if aws.Val(in.ForceFailover) {
		return nil, invalidCombination("Cannot reboot with failover because the instance is not configured for Multi-AZ.")
	}
	rec, err := s.updateInstance(ctx, here(ctx), aws.Val(in.DBInstanceIdentifier), func(rec *instance) error {
		if status := rec.status(); status != statusAvailable && status != statusIncompatible {
			return rdsapi.InvalidDBInstanceStateFault("Instance %s is not in available state.", rec.id())
		}
		rec.Reboots++
		rec.DBInstanceStatus = aws.Ptr(statusRebooting)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &rdsapi.RebootDBInstanceOutput{DBInstance: rec.shown()}, nil
}

// DeleteDBInstance implements rdsapi.API.
func (s *Service) DeleteDBInstance(ctx context.Context, in *rdsapi.DeleteDBInstanceInput) (*rdsapi.DeleteDBInstanceOutput, error) {
	skip, final := aws.Val(in.SkipFinalSnapshot), aws.Val(in.FinalDBSnapshotIdentifier)
	switch {
	case skip && final != "":
		return nil, invalidCombination("FinalDBSnapshotIdentifier can not be specified when deleting with SkipFinalSnapshot.")
	case !skip && final == "":
		return nil, invalidCombination("FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.")
	}
	p := here(ctx)
	id := instanceID(aws.Val(in.DBInstanceIdentifier))
	var out instance
	err := store.Update(ctx, s.Store, func(tx *store.Tx) error {
		rec, found, err := s.instances.TxGet(tx, p.Account, p.Region, id)
		if err == nil && !found {
			err = noInstance(id)
		}
		if err != nil {
			return err
		}
		switch {
		case rec.Goal == goalDeleted:
			return rdsapi.InvalidDBInstanceStateFault("Instance %s is already being deleted.", id)
		case aws.Val(rec.DeletionProtection):
			return invalidCombination("Cannot delete protected DB Instance, please disable deletion protection and try again.")
		case final != "" && !rec.Made:
			return rdsapi.InvalidDBInstanceStateFault("Instance %s is %s: it has no data for a final snapshot.", id, rec.status())
		case final != "":
			var tags []rdsapi.Tag
			if aws.Val(rec.CopyTagsToSnapshot) {
				tags = rec.TagList
			}
			if err := s.addSnapshot(tx, p, rec, final, tags); err != nil {
				return err
			}
		}
		rec.Goal, rec.DBInstanceStatus = goalDeleted, aws.Ptr(statusDeleting)
		out = rec
		return s.instances.TxPut(tx, rec, p.Account, p.Region, id)
	})
	if err != nil {
		return nil, err
	}
	return &rdsapi.DeleteDBInstanceOutput{DBInstance: out.shown()}, nil
}
