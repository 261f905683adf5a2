package s3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"minato/aws"
	api "minato/aws/api/s3"
	"minato/controller"
	"minato/internal/ids"
	"minato/services/s3/lifecycle"
	"minato/store"
)

// PutBucketLifecycleConfiguration gives a bucket its lifecycle rules.
func (s *Service) PutBucketLifecycleConfiguration(ctx context.Context, in *api.PutBucketLifecycleConfigurationInput) (*api.PutBucketLifecycleConfigurationOutput, error) {
	if _, err := s.find(ctx, in.Bucket, in.ExpectedBucketOwner); err != nil {
		return nil, err
	}
	if in.LifecycleConfiguration == nil {
		return nil, malformedXML()
	}
	rules := append([]api.LifecycleRule{}, in.LifecycleConfiguration.Rules...)
	if _, err := lifecycle.Parse(rules); err != nil {
		return nil, err
	}
	for i := range rules {
		if aws.Val(rules[i].ID) == "" {
			rules[i].ID = aws.Ptr(ids.UUID())
		}
	}
	least := aws.Val(in.TransitionDefaultMinimumObjectSize)
	if least == "" {
		least = api.TransitionDefaultMinimumObjectSizeAllStorageClasses128k
	}
	return &api.PutBucketLifecycleConfigurationOutput{TransitionDefaultMinimumObjectSize: &least}, s.change(ctx, in.Bucket, in.ExpectedBucketOwner, func(b *bucket) error {
		b.Lifecycle, b.LeastMoved = rules, least
		return nil
	})
}

// GetBucketLifecycleConfiguration returns a bucket's lifecycle rules.
func (s *Service) GetBucketLifecycleConfiguration(ctx context.Context, in *api.GetBucketLifecycleConfigurationInput) (*api.GetBucketLifecycleConfigurationOutput, error) {
	b, err := s.find(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	if len(b.Lifecycle) == 0 {
		return nil, with(failure(http.StatusNotFound, "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"), "BucketName", b.Name)
	}
	return &api.GetBucketLifecycleConfigurationOutput{Rules: b.Lifecycle, TransitionDefaultMinimumObjectSize: &b.LeastMoved}, nil
}

// DeleteBucketLifecycle takes a bucket's lifecycle rules.
func (s *Service) DeleteBucketLifecycle(ctx context.Context, in *api.DeleteBucketLifecycleInput) (*api.DeleteBucketLifecycleOutput, error) {
	return &api.DeleteBucketLifecycleOutput{}, s.change(ctx, in.Bucket, in.ExpectedBucketOwner, func(b *bucket) error {
		b.Lifecycle, b.LeastMoved = nil, ""
		return nil
	})
}

// rules are a bucket's lifecycle rules as they are carried out.
func (b *bucket) rules() []lifecycle.Rule {
	if len(b.Lifecycle) == 0 {
		return nil
	}
	rules, err := lifecycle.Parse(b.Lifecycle)
	if err != nil {
		return nil // they were parsed when they were put
	}
	return rules
}

func lifecycleVersion(o *object) lifecycle.Version {
	v := lifecycle.Version{ID: o.version(), Modified: o.Modified, Since: o.Since, Size: o.Size, Marker: o.Marker, Tags: map[string]string{}}
	for _, t := range o.Tags {
		v.Tags[aws.Val(t.Key)] = aws.Val(t.Value)
	}
	return v
}

// expiration is the header x-amz-expiration of an object.
func (b *bucket) expiration(o *object) *string {
	if !o.Since.IsZero() || len(b.Lifecycle) == 0 {
		return nil
	}
	at, rule := lifecycle.Expiry(b.rules(), o.Key, lifecycleVersion(o))
	if at.IsZero() {
		return nil
	}
	return aws.Ptr(fmt.Sprintf("expiry-date=%s, rule-id=%s", strconv.Quote(at.Format(http.TimeFormat)), strconv.Quote(urlEncode(rule))))
}

// expirer carries out the lifecycle rules of buckets.
type expirer struct{ *Service }

// Keys is part of controller.Reconciler.
func (s *expirer) Keys(ctx context.Context) ([]string, error) { return s.buckets.Keys(ctx) }

// Reconcile is part of controller.Reconciler: it looks at everything in a bucket,
// and comes back at midnight.
func (s *expirer) Reconcile(ctx context.Context, key string) (controller.Result, error) {
	b, found, err := s.buckets.GetKey(ctx, key)
	if err != nil || !found {
		return controller.Result{}, err
	}
	rules, now := b.rules(), s.Clock.Now()
	if len(rules) == 0 {
		return controller.Result{}, nil
	}
	if err := s.abortOld(ctx, b, rules, now); err != nil {
		return controller.Result{}, err
	}
	done := 0
	for after := ""; ; {
		// A page and the key that it ends in, whose versions may go on.
		all, err := s.nextVersions(ctx, b, "", after, maxPage)
		if err != nil || len(all) == 0 {
			s.report(b, done)
			return controller.Result{After: lifecycle.Midnight(now).Sub(now)}, err
		}
		for len(all) > 0 {
			var of []object
			if of, all, err = s.restOf(ctx, b, all); err != nil {
				return controller.Result{}, err
			}
			n, err := s.carryOut(ctx, b, rules, of, now)
			done += n
			if err != nil {
				return controller.Result{}, err
			}
			after = of[0].Key + "\x00" + afterAll
		}
	}
}

func (s *expirer) report(b bucket, done int) {
	if done > 0 {
		s.Log.Info("lifecycle rules removed versions of objects", "bucket", b.Name, "versions", done)
	}
}

// restOf cuts the versions of the first key off a page. Those of the last key are
// read to their end.
func (s *expirer) restOf(ctx context.Context, b bucket, page []object) (of, rest []object, err error) {
	n := 1
	for n < len(page) && page[n].Key == page[0].Key {
		n++
	}
	of, rest = page[:n:n], page[n:]
	if len(rest) > 0 {
		return of, rest, nil
	}
	for {
		more, err := s.nextVersions(ctx, b, of[0].Key, versionName(of[len(of)-1]), maxPage)
		if err != nil {
			return nil, nil, err
		}
		for i := range more {
			if more[i].Key != of[0].Key {
				return of, nil, nil
			}
			of = append(of, more[i])
		}
		if len(more) == 0 {
			return of, nil, nil
		}
	}
}

// carryOut does to the versions of a key what the rules say, each in a transaction
// in which it still is what it was.
func (s *expirer) carryOut(ctx context.Context, b bucket, rules []lifecycle.Rule, of []object, now time.Time) (done int, err error) {
	versions := make([]lifecycle.Version, len(of))
	for i := range of {
		versions[i] = lifecycleVersion(&of[i])
	}
	for _, a := range lifecycle.Plan(rules, of[0].Key, versions, now) {
		var h *history
		same := false
		err := store.Update(ctx, s.Store, func(tx *store.Tx) error {
			at, err := s.inBucket(tx, b)
			if err != nil {
				return err
			}
			if h, err = s.history(tx, at, of[0].Key); err != nil {
				return err
			}
			o, found, err := h.find(a.Version.ID)
			same = found && o.Modified.Equal(a.Version.Modified) && o.Since.Equal(a.Version.Since)
			switch {
			case err != nil || !same:
				return err
			case a.Kind == lifecycle.Expire:
				_, err = h.delete(s.now())
			default:
				_, _, err = h.drop(a.Version.ID)
			}
			return err
		})
		switch {
		case aws.IsCode(err, "NoSuchBucket"), aws.IsCode(err, "OperationAborted"):
			return done, nil // the bucket goes
		case err != nil:
			return done, err
		case same:
			s.Blobs.Remove(h.gone...)
			done++
		}
	}
	return done, nil
}

var errGone = errors.New("it is gone already")

// abortOld gives up the uploads that are too old.
func (s *expirer) abortOld(ctx context.Context, b bucket, rules []lifecycle.Rule, now time.Time) error {
	all, err := s.uploads.List(ctx, partition, s.Region, b.ID)
	if err != nil {
		return err
	}
	for _, u := range all {
		if !lifecycle.Abort(rules, u.Key, u.Started, now) {
			continue
		}
		// Who completes it at this moment has the record; then its parts are the
		// object's, and the files stay.
		err := store.Update(ctx, s.Store, func(tx *store.Tx) error {
			if _, found, err := s.uploads.TxGet(tx, partition, s.Region, b.ID, u.ID); err != nil || !found {
				return errors.Join(err, errGone)
			}
			s.uploads.TxDelete(tx, partition, s.Region, b.ID, u.ID)
			return nil
		})
		if errors.Is(err, errGone) {
			continue
		}
		if err != nil {
			return err
		}
		s.dropParts(ctx, b.ID, u.ID, nil)
		s.Log.Info("a lifecycle rule gave up an upload", "bucket", b.Name, "key", u.Key, "upload", u.ID)
	}
	return nil
}
