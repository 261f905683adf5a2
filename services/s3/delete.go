package s3

import (
	"context"

	"minato/aws"
	api "minato/aws/api/s3"
	"minato/store"
)

// DeleteObject deletes an object, or a version of it; one that is not there is
// fine.
func (s *Service) DeleteObject(ctx context.Context, in *api.DeleteObjectInput) (*api.DeleteObjectOutput, error) {
	b, err := s.find(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	if err := refuse(in); err != nil {
		return nil, err
	}
	for _, member := range []string{"IfMatchSize", "IfMatchLastModifiedTime"} {
		if _, asked := aws.Asked(in, member); asked {
			return nil, notServed(member)
		}
	}
	done, err := s.remove(ctx, b, aws.Val(in.Key), in.VersionId, in.IfMatch)
	if err != nil {
		return nil, err
	}
	return &api.DeleteObjectOutput{VersionId: done.version, DeleteMarker: done.marker}, nil
}

// removed is what a deletion did.
type removed struct {
	version *string // that was deleted, or that the delete marker has which was made
	marker  *bool   // a marker was deleted, or made
}

// remove deletes a key, or a version of it for good.
func (s *Service) remove(ctx context.Context, b bucket, key string, version, match *string) (removed, error) {
	var h *history
	var done removed
	if err := checkVersion(version); err != nil {
		return done, err
	}
	id := aws.Val(version)
	err := store.Update(ctx, s.Store, func(tx *store.Tx) error {
		done = removed{version: version}
		now, err := s.inBucket(tx, b)
		if err != nil {
			return err
		}
		if h, err = s.history(tx, now, key); err != nil {
			return err
		}
		if match != nil {
			was, found, err := h.find(id)
			if err != nil {
				return err
			}
			was.Key = key
			if err := mayWrite(was, found && !was.Marker, match, nil); err != nil {
				return err
			}
		}
		var o object
		if id != "" {
			o, _, err = h.drop(id)
		} else if o, err = h.delete(s.now()); err == nil {
			done.version = now.told(&o)
		}
		if o.Marker {
			done.marker = &o.Marker
		}
		return err
	})
	if err == nil {
		s.Blobs.Remove(h.gone...)
	}
	return done, err
}

// maxDelete is how many keys one DeleteObjects may name.
const maxDelete = 1000

// DeleteObjects deletes many objects; each is allowed or denied by itself.
func (s *Service) DeleteObjects(ctx context.Context, in *api.DeleteObjectsInput) (*api.DeleteObjectsOutput, error) {
	b, err := s.find(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	if err := refuse(in); err != nil {
		return nil, err
	}
	if n := len(in.Delete.Objects); n == 0 || n > maxDelete {
		return nil, malformedXML()
	}
	out := &api.DeleteObjectsOutput{}
	for _, o := range in.Delete.Objects {
		action := "s3:DeleteObject"
		if aws.Val(o.VersionId) == "" {
			o.VersionId = nil // an empty element is none
		} else {
			action = "s3:" + versioned["DeleteObject"]
		}
		err := s.may(ctx, action, b.Name, aws.Val(o.Key))
		var done removed
		if err == nil {
			done, err = s.remove(ctx, b, aws.Val(o.Key), o.VersionId, o.ETag)
		}
		if err != nil {
			e := aws.AsError(err).ServedBy(api.Model)
			out.Errors = append(out.Errors, api.Error{Key: o.Key, VersionId: o.VersionId, Code: &e.Code, Message: &e.Message})
		} else if !aws.Val(in.Delete.Quiet) {
			d := api.DeletedObject{Key: o.Key, VersionId: o.VersionId, DeleteMarker: done.marker}
			if done.marker != nil {
				d.DeleteMarkerVersionId = done.version
			}
			out.Deleted = append(out.Deleted, d)
		}
	}
	return out, nil
}
