package secretsmanager

import (
	"context"
	"errors"
	"strings"
	"time"

	"minato/aws"
	api "minato/aws/api/secretsmanager"
	"minato/aws/arn"
	"minato/controller"
	"minato/store"
)

// usualWindow is the recovery window when none is asked for, in days.
const usualWindow = 30

// DeleteSecret schedules a secret's deletion, or deletes it at once.
func (s *Service) DeleteSecret(ctx context.Context, in *api.DeleteSecretInput) (*api.DeleteSecretOutput, error) {
	force := aws.Val(in.ForceDeleteWithoutRecovery)
	days := int64(usualWindow)
	if in.RecoveryWindowInDays != nil {
		days = *in.RecoveryWindowInDays
		if force {
			return nil, api.InvalidParameterException("You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
		}
		if days < 7 || days > 30 {
			return nil, api.InvalidParameterException("The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
		}
	}
	if force {
		return s.deleteNow(ctx, in.SecretId)
	}
	at := s.now().Add(time.Duration(days) * 24 * time.Hour)
	r, err := s.changeActive(ctx, in.SecretId, func(_ *store.Tx, _ arn.Place, r *secret) error {
		r.DeletedDate = &at
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.DeleteSecretOutput{ARN: r.ARN, Name: r.Name, DeletionDate: &at}, nil
}

// deleteNow removes a secret. One that does not exist is fine, as on AWS: the
// answer names what was asked for.
func (s *Service) deleteNow(ctx context.Context, id *string) (*api.DeleteSecretOutput, error) {
	p, r, found, err := s.target(ctx, aws.Val(id))
	if err != nil {
		return nil, aws.Internal(err)
	}
	now := s.now()
	if !found {
		name, text := aws.Val(id), aws.Val(id)
		if a, ok := arn.Parse(name); ok {
			name = a.ID()
		} else {
			text = p.Secret(name)
		}
		return &api.DeleteSecretOutput{ARN: &text, Name: &name, DeletionDate: &now}, nil
	}
	err = store.Update(ctx, s.Store, func(tx *store.Tx) error {
		again, found, err := s.secrets.TxGet(tx, p.Account, p.Region, aws.Val(r.Name))
		if err != nil || !found || aws.Val(again.ARN) != aws.Val(r.ARN) {
			return err
		}
		s.secrets.TxDelete(tx, p.Account, p.Region, aws.Val(r.Name))
		return nil
	})
	if err != nil {
		return nil, err
	}
	// From here on it does not exist; what cannot be removed now is swept.
	if err := s.dropVersions(ctx, p.Account, p.Region, r.id()); err != nil {
		s.Log.Warn("a deleted secret's versions are left to be swept", "secret", aws.Val(r.ARN), "error", err)
	}
	return &api.DeleteSecretOutput{ARN: r.ARN, Name: r.Name, DeletionDate: &now}, nil
}

// RestoreSecret takes back a scheduled deletion.
func (s *Service) RestoreSecret(ctx context.Context, in *api.RestoreSecretInput) (*api.RestoreSecretOutput, error) {
	r, err := s.change(ctx, in.SecretId, func(_ *store.Tx, _ arn.Place, r *secret) error {
		r.DeletedDate = nil
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &api.RestoreSecretOutput{ARN: r.ARN, Name: r.Name}, nil
}

// dropVersions removes all versions of a secret that is gone.
func (s *Service) dropVersions(ctx context.Context, account, region, id string) error {
	keys, err := s.versions.Keys(ctx, account, region, id)
	for err == nil && len(keys) > 0 {
		n := min(len(keys), store.MaxOps)
		_, err = s.Store.Commit(ctx, store.Txn{Deletes: keys[:n]})
		keys = keys[n:]
	}
	return err
}

// deletion removes secrets whose recovery window is over, and what is left of
// those that are gone. Its keys are those of the secrets, and "orphans".
type deletion struct{ *Service }

const orphans = "orphans"

// Keys is part of controller.Reconciler.
func (d *deletion) Keys(ctx context.Context) ([]string, error) {
	keys, err := d.secrets.Keys(ctx)
	return append(keys, orphans), err
}

// Reconcile is part of controller.Reconciler.
func (d *deletion) Reconcile(ctx context.Context, key string) (controller.Result, error) {
	if key == orphans {
		return controller.Result{}, d.sweep(ctx)
	}
	r, found, err := d.secrets.GetKey(ctx, key)
	if err != nil || !found || r.DeletedDate == nil {
		return controller.Result{}, err
	}
	if left := r.DeletedDate.Sub(d.now()); left > 0 {
		return controller.Result{After: left}, nil
	}
	ids := d.secrets.IDs(key)
	err = store.Update(ctx, d.Store, func(tx *store.Tx) error {
		r, found, err := d.secrets.TxGet(tx, ids...)
		if err != nil || !found || !r.expired(d.now()) {
			return err
		}
		d.secrets.TxDelete(tx, ids...)
		return nil
	})
	if err != nil {
		return controller.Result{}, err
	}
	return controller.Result{}, d.sweep(ctx)
}

// sweep removes the versions of secrets that are gone. They are listed before
// the secrets, so that one made meanwhile is not taken for an orphan: a secret
// and its first version are written together.
func (d *deletion) sweep(ctx context.Context) error {
	keys, err := d.versions.Keys(ctx)
	if err != nil {
		return err
	}
	all, err := d.secrets.List(ctx)
	if err != nil {
		return err
	}
	alive := map[string]bool{}
	for _, r := range all {
		a, _ := arn.Parse(aws.Val(r.ARN))
		alive[strings.Join([]string{a.Account, a.Region, a.ID()}, " ")] = true
	}
	var errs []error
	for _, key := range keys {
		if ids := d.versions.IDs(key); len(ids) == 4 && !alive[strings.Join(ids[:3], " ")] {
			errs = append(errs, d.versions.Delete(ctx, ids...))
		}
	}
	return errors.Join(errs...)
}
