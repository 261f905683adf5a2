package s3

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"minato/aws"
	api "minato/aws/api/s3"
	"minato/store"
)

// versionName is what versions are listed by: the key, then the newest first; no
// key has the byte between them.
func versionName(o object) string { return o.Key + "\x00" + cmp.Or(o.Order, oldest) }

// listVersions walks all versions of a bucket's keys.
func (s *Service) listVersions(ctx context.Context, b bucket, l listing) ([]entry[object], bool, error) {
	if l.most == 0 {
		return nil, false, nil
	}
	return walk(l, versionName, func(after string, limit int) ([]object, error) {
		all, err := s.nextVersions(ctx, b, l.prefix, after, limit)
		if err != nil {
			return nil, aws.Internal(err)
		}
		return all, nil
	})
}

// nextVersions merges the two kinds of records that versions are in. Each list has
// as many as are wanted of both, so that none is missing between them.
func (s *Service) nextVersions(ctx context.Context, b bucket, prefix, after string, limit int) ([]object, error) {
	var all []object
	read := func(base, after string) error {
		page := store.Page{Limit: limit}
		if after != "" {
			page.After = base + after
		}
		recs, _, err := s.Store.List(ctx, base+prefix, page)
		for _, r := range recs {
			o, err := s.objects.Read(r)
			if err != nil {
				return err
			}
			all = append(all, o)
		}
		return err
	}
	// The object of the key that the page before ended in may come yet: it was a
	// version behind that until the newer ones went.
	key, _, within := strings.Cut(after, "\x00")
	if within && strings.HasPrefix(key, prefix) {
		o, found, err := s.objects.GetKey(ctx, s.objectKey(b, key))
		if err != nil {
			return nil, err
		}
		if found && versionName(o) > after {
			all = append(all, o)
		}
	}
	if err := read(s.objectKey(b, ""), key); err != nil {
		return nil, err
	}
	// Versions after objects: what became one meanwhile is in both, not in none.
	if err := read(s.versions.Prefix(partition, s.Region, b.ID), after); err != nil {
		return nil, err
	}
	slices.Reverse(all)
	slices.SortStableFunc(all, func(a, b object) int { return cmp.Compare(versionName(a), versionName(b)) })
	all = slices.CompactFunc(all, func(a, b object) bool { return versionName(a) == versionName(b) })
	return all[:min(len(all), limit)], nil
}

// ListObjectVersions lists the versions of a bucket's objects, and the delete
// markers.
func (s *Service) ListObjectVersions(ctx context.Context, in *api.ListObjectVersionsInput) (*api.ListObjectVersionsOutput, error) {
	b, err := s.find(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	l := listing{prefix: aws.Val(in.Prefix), delimiter: aws.Val(in.Delimiter)}
	if l.most, err = pageSize(in.MaxKeys, "max-keys"); err != nil {
		return nil, err
	}
	if l.after, err = s.afterVersion(ctx, b, l, in); err != nil {
		return nil, err
	}
	entries, more, err := s.listVersions(ctx, b, l)
	if err != nil {
		return nil, err
	}
	encode := encoder(in.EncodingType)
	out := &api.ListObjectVersionsOutput{
		Name: in.Bucket, Prefix: encode(aws.Ptr(l.prefix)), KeyMarker: encode(aws.Ptr(aws.Val(in.KeyMarker))), VersionIdMarker: aws.Ptr(aws.Val(in.VersionIdMarker)),
		Delimiter: encode(in.Delimiter), MaxKeys: aws.Ptr(int32(l.most)), EncodingType: in.EncodingType, IsTruncated: &more,
	}
	for _, e := range entries {
		if e.common {
			out.CommonPrefixes = append(out.CommonPrefixes, api.CommonPrefix{Prefix: encode(aws.Ptr(e.name))})
			continue
		}
		o, id, latest := described(e.item, encode), e.item.version(), e.item.Since.IsZero()
		if e.item.Marker {
			out.DeleteMarkers = append(out.DeleteMarkers, api.DeleteMarkerEntry{Key: o.Key, LastModified: o.LastModified, VersionId: &id, IsLatest: &latest, Owner: ownerOf(b.Account)})
			continue
		}
		out.Versions = append(out.Versions, api.ObjectVersion{
			Key: o.Key, ETag: o.ETag, Size: o.Size, LastModified: o.LastModified, StorageClass: o.StorageClass, ChecksumAlgorithm: o.ChecksumAlgorithm, ChecksumType: o.ChecksumType,
			VersionId: &id, IsLatest: &latest, Owner: ownerOf(b.Account),
		})
	}
	if more {
		last := entries[len(entries)-1]
		out.NextKeyMarker = encode(aws.Ptr(last.name))
		if !last.common {
			out.NextKeyMarker, out.NextVersionIdMarker = encode(aws.Ptr(last.item.Key)), aws.Ptr(last.item.version())
		}
	}
	return out, nil
}

// afterVersion is where a listing goes on: behind a version, behind all versions
// of a key, behind a common prefix.
func (s *Service) afterVersion(ctx context.Context, b bucket, l listing, in *api.ListObjectVersionsInput) (string, error) {
	key, id := aws.Val(in.KeyMarker), aws.Val(in.VersionIdMarker)
	switch {
	case key == "" && id != "":
		return "", invalidArgument("version-id-marker", id, "A version-id marker cannot be specified without a key marker.")
	case key == "", id == "" && l.delimiter != "" && strings.HasSuffix(key, l.delimiter):
		return key, nil
	case id == "":
		return key + "\x00" + afterAll, nil
	}
	if !versionID.MatchString(id) {
		return "", invalidArgument("version-id-marker", id, "Invalid version id specified")
	}
	if id != nullVersion {
		return key + "\x00" + id, nil
	}
	o, found, err := s.lookup(ctx, b, key, id)
	switch {
	case err != nil:
		return "", aws.Internal(err)
	case !found: // it was deleted since: nothing is told twice, and the rest of the key not at all
		return key + "\x00" + afterAll, nil
	}
	return versionName(o), nil
}
