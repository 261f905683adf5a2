package s3

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"minato/aws"
	api "minato/aws/api/s3"
	"minato/dataplane/blobs"
	"minato/internal/ids"
	"minato/store"
)

// nullVersion is the id of what was written while its bucket made no versions: a
// key has one such version at most.
const nullVersion = "null"

// head is what is known of the versions of a key, once its bucket keeps them.
// Whoever makes a version, or another the current one, reads and writes it: of two
// at once, one begins again.
type head struct {
	Key    string
	Count  uint64 // how many versions were ever made
	Null   string `json:",omitempty"` // the order of the version null, unless that is the object
	Marker string `json:",omitempty"` // the order of the delete marker that is the current version
}

// The order of a version sorts the newest first. It is the version's id too,
// unless that is null.
func orderOf(count uint64) string { return fmt.Sprintf("%016x", ^count) + ids.Hex(16) }

// oldest is the order of what was there before the bucket kept versions.
var oldest = strings.Repeat("f", 32)

var versionID = regexp.MustCompile(`^(null|[0-9a-f]{32})$`)

// checkVersion holds a version id that a client gives to its form.
func checkVersion(id *string) error {
	switch {
	case id == nil || versionID.MatchString(*id):
		return nil
	case *id == "":
		return invalidArgument("versionId", "", "Version id cannot be the empty string")
	}
	return invalidArgument("versionId", *id, "Invalid version id specified")
}

func (o *object) null() bool { return o.Order == "" || o.Null }

// version is the object's version id.
func (o *object) version() string {
	if o.null() {
		return nullVersion
	}
	return o.Order
}

// told is the version id as answers have it: nothing, where the bucket never kept
// versions.
func (b *bucket) told(o *object) *string {
	if b.Versioning == "" {
		return nil
	}
	return aws.Ptr(o.version())
}

func (s *Service) versionKey(b bucket, key, order string) string {
	return s.versions.Prefix(partition, s.Region, b.ID) + key + "\x00" + order
}

func (s *Service) headKey(b bucket, key string) string {
	return s.heads.Prefix(partition, s.Region, b.ID) + key
}

// lookup reads a version of a key, or the current one, which may be a delete
// marker.
func (s *Service) lookup(ctx context.Context, b bucket, key, id string) (object, bool, error) {
	is := func(o *object) bool { return id == "" || o.version() == id }
	// What another write moves between the two kinds of records while they are
	// read is found the second time.
	for range 2 {
		o, found, err := s.objects.GetKey(ctx, s.objectKey(b, key))
		if err != nil || found && is(&o) {
			return o, found, err
		}
		h, found, err := s.heads.GetKey(ctx, s.headKey(b, key))
		if err != nil || !found {
			return object{}, false, err
		}
		order := id
		switch id {
		case "":
			order = h.Marker
		case nullVersion:
			order = h.Null
		}
		o, found, err = s.versions.GetKey(ctx, s.versionKey(b, key, order))
		if err != nil || found && is(&o) {
			return o, found, err
		}
	}
	return object{}, false, nil
}

// history is the versions of a key in a transaction.
type history struct {
	s     *Service
	tx    *store.Tx
	b     bucket // as it is in the transaction
	key   string
	head  head
	now   object // the current version, unless it is a marker
	found bool   // there is one
	gone  []blobs.Blob
}

// history reads what is known of a key. A bucket that never kept versions has
// objects and nothing else.
func (s *Service) history(tx *store.Tx, b bucket, key string) (*history, error) {
	h := &history{s: s, tx: tx, b: b, key: key}
	var err error
	if h.now, h.found, err = store.Get[object](tx, s.objectKey(b, key)); err == nil && b.Versioning != "" {
		h.head, _, err = store.Get[head](tx, s.headKey(b, key))
	}
	h.now.Key, h.head.Key = key, key
	return h, err
}

func (h *history) get(order string) (object, bool, error) {
	return store.Get[object](h.tx, h.s.versionKey(h.b, h.key, order))
}

// set writes a version to where it is: the current one is the object, all others
// and the markers are beside it.
func (h *history) set(o object) error {
	if o.Marker || !o.Since.IsZero() {
		return store.Set(h.tx, h.s.versionKey(h.b, h.key, o.Order), o)
	}
	return store.Set(h.tx, h.s.objectKey(h.b, h.key), o)
}

func (h *history) save() error { return store.Set(h.tx, h.s.headKey(h.b, h.key), h.head) }

func (h *history) next() string {
	h.head.Count++
	return orderOf(h.head.Count)
}

// put makes an object the current version.
func (h *history) put(o object) (object, error) {
	switch h.b.Versioning {
	case "":
		h.gone = append(h.gone, h.now.Content...)
		return o, h.set(o)
	case api.BucketVersioningStatusSuspended:
		o.Null = true
		if err := h.dropNull(); err != nil {
			return o, err
		}
	}
	if err := h.retire(o.Modified); err != nil {
		return o, err
	}
	o.Order = h.next()
	if err := h.set(o); err != nil {
		return o, err
	}
	return o, h.save()
}

// delete deletes the key: from a bucket that keeps versions nothing goes, but a
// marker becomes the current one.
func (h *history) delete(at time.Time) (object, error) {
	m := object{Key: h.key, Modified: at, Marker: true}
	switch h.b.Versioning {
	case "":
		h.gone = append(h.gone, h.now.Content...)
		h.tx.Delete(h.s.objectKey(h.b, h.key))
		return object{}, nil
	case api.BucketVersioningStatusSuspended:
		m.Null = true
		if err := h.dropNull(); err != nil {
			return m, err
		}
	}
	if err := h.retire(at); err != nil {
		return m, err
	}
	m.Order = h.next()
	h.head.Marker = m.Order
	if m.Null {
		h.head.Null = m.Order
	}
	if err := h.set(m); err != nil {
		return m, err
	}
	return m, h.save()
}

// retire makes the current version one that is not.
func (h *history) retire(at time.Time) error {
	var o object
	switch {
	case h.found:
		o = h.now
		if o.null() {
			o.Null = true
			if o.Order == "" {
				o.Order = oldest
			}
			h.head.Null = o.Order
		}
		h.tx.Delete(h.s.objectKey(h.b, h.key))
		h.found = false
	case h.head.Marker != "":
		var err error
		if o, _, err = h.get(h.head.Marker); err != nil {
			return err
		}
		h.head.Marker = ""
	default:
		return nil
	}
	o.Since = at
	return h.set(o)
}

// dropNull removes the version null, for another one.
func (h *history) dropNull() error {
	if h.found && h.now.null() {
		h.gone = append(h.gone, h.now.Content...)
		h.tx.Delete(h.s.objectKey(h.b, h.key))
		h.found = false
		return nil
	}
	if h.head.Null == "" {
		return nil
	}
	o, _, err := h.get(h.head.Null)
	if err != nil {
		return err
	}
	h.gone = append(h.gone, o.Content...)
	h.tx.Delete(h.s.versionKey(h.b, h.key, h.head.Null))
	if h.head.Marker == h.head.Null {
		h.head.Marker = ""
	}
	h.head.Null = ""
	return nil
}

// find finds a version by its id; without one, the current, unless that is a
// marker.
func (h *history) find(id string) (object, bool, error) {
	if id == "" || h.found && h.now.version() == id {
		return h.now, h.found, nil
	}
	if id == nullVersion {
		if id = h.head.Null; id == "" {
			return object{}, false, nil
		}
		return h.get(id)
	}
	o, found, err := h.get(id)
	return o, found && !o.Null, err
}

// drop removes a version for good. If it was the current one, the newest of the
// others is now.
func (h *history) drop(id string) (object, bool, error) {
	o, found, err := h.find(id)
	if err != nil || !found {
		return o, false, err
	}
	h.gone = append(h.gone, o.Content...)
	if h.found && h.now.version() == id {
		h.tx.Delete(h.s.objectKey(h.b, h.key))
		return o, true, h.promote()
	}
	h.tx.Delete(h.s.versionKey(h.b, h.key, o.Order))
	if h.head.Null == o.Order {
		h.head.Null = ""
	}
	if h.head.Marker == o.Order {
		h.head.Marker = ""
		return o, true, h.promote()
	}
	return o, true, h.save()
}

// promote makes the newest version the current one, after the one before went.
// It reads the version in the transaction: who deletes it meanwhile is noticed
// by that, and who makes a newer one by the head.
func (h *history) promote() error {
	if h.b.Versioning == "" {
		return nil
	}
	base := h.s.versionKey(h.b, h.key, "")
	for page := (store.Page{Limit: 1}); ; {
		recs, _, err := h.s.Store.List(h.tx.Context(), base, page)
		if err != nil {
			return err
		}
		if len(recs) == 0 {
			h.tx.Delete(h.s.headKey(h.b, h.key))
			return nil
		}
		page.After = recs[0].Key
		order := strings.TrimPrefix(recs[0].Key, base)
		o, found, err := h.get(order)
		if err != nil {
			return err
		}
		if !found {
			continue // the one that goes, or one that went meanwhile
		}
		o.Since = time.Time{}
		if o.Marker {
			h.head.Marker = order
		} else {
			h.tx.Delete(h.s.versionKey(h.b, h.key, order))
			if h.head.Null == order {
				h.head.Null = ""
			}
		}
		if err := h.set(o); err != nil {
			return err
		}
		return h.save()
	}
}

// PutBucketVersioning lets a bucket keep versions, or no more; those that it has
// stay.
func (s *Service) PutBucketVersioning(ctx context.Context, in *api.PutBucketVersioningInput) (*api.PutBucketVersioningOutput, error) {
	if _, err := s.find(ctx, in.Bucket, in.ExpectedBucketOwner); err != nil {
		return nil, err
	}
	if err := refuse(in); err != nil {
		return nil, err
	}
	c := in.VersioningConfiguration
	if aws.Val(c.MFADelete) == api.MFADeleteEnabled {
		return nil, notServed("MFA delete")
	}
	if aws.Val(c.Status) == "" {
		return nil, failure(http.StatusBadRequest, "IllegalVersioningConfigurationException", "The Versioning element must be specified")
	}
	return &api.PutBucketVersioningOutput{}, s.change(ctx, in.Bucket, in.ExpectedBucketOwner, func(b *bucket) error {
		b.Versioning = *c.Status
		return nil
	})
}

// GetBucketVersioning tells whether a bucket keeps versions; of one that never did
// it tells nothing.
func (s *Service) GetBucketVersioning(ctx context.Context, in *api.GetBucketVersioningInput) (*api.GetBucketVersioningOutput, error) {
	b, err := s.find(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	out := &api.GetBucketVersioningOutput{}
	if b.Versioning != "" {
		out.Status = &b.Versioning
	}
	return out, nil
}
