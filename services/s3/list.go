package s3

import (
	"context"
	"strconv"
	"strings"

	"minato/aws"
	api "minato/aws/api/s3"
	"minato/store"
)

// maxPage is how many keys a listing holds at most.
const maxPage = 1000

// afterAll follows every key with a prefix: no UTF-8 has this byte.
const afterAll = "\xff"

// listing is what a list of keys asks for.
type listing struct {
	prefix, delimiter string
	after             string // only what comes after this key or common prefix
	most              int
}

// entry is a key, or a common prefix that stands for many.
type entry[T any] struct {
	name   string
	item   T
	common bool
}

// walk lists keys in order, those with the delimiter after the prefix folded into
// one. next returns keys after one, at most so many; it is not asked for what is
// folded. more tells whether there is anything behind the last entry.
func walk[T any](l listing, name func(T) string, next func(after string, limit int) ([]T, error)) (out []entry[T], more bool, err error) {
	after := l.after
	if l.delimiter != "" && strings.HasPrefix(after, l.prefix) && strings.HasSuffix(after, l.delimiter) && len(after) > len(l.prefix) {
		after += afterAll // the page before ended with a common prefix
	}
	for {
		items, err := next(after, maxPage+1)
		if err != nil || len(items) == 0 {
			return out, false, err
		}
	page:
		for _, item := range items {
			key := name(item)
			e := entry[T]{name: key, item: item}
			if l.delimiter != "" {
				only, _, _ := strings.Cut(key, "\x00") // not what names versions and uploads besides
				if i := strings.Index(only[len(l.prefix):], l.delimiter); i >= 0 {
					var none T
					e = entry[T]{name: key[:len(l.prefix)+i+len(l.delimiter)], item: none, common: true}
				}
			}
			skipped := e.common && e.name <= l.after
			if !skipped && len(out) == l.most {
				return out, true, nil
			}
			if !skipped {
				out = append(out, e)
			}
			after = key
			if e.common {
				after = e.name + afterAll
				break page
			}
		}
	}
}

// list walks the objects of a bucket.
func (s *Service) list(ctx context.Context, b bucket, l listing) ([]entry[object], bool, error) {
	if l.most == 0 {
		return nil, false, nil
	}
	base := s.objectKey(b, "")
	return walk(l, func(o object) string { return o.Key }, func(after string, limit int) ([]object, error) {
		page := store.Page{Limit: limit}
		if after != "" {
			page.After = base + after
		}
		recs, _, err := s.Store.List(ctx, base+l.prefix, page)
		if err != nil {
			return nil, aws.Internal(err)
		}
		out := make([]object, len(recs))
		for i, r := range recs {
			if out[i], err = s.objects.Read(r); err != nil {
				return nil, aws.Internal(err)
			}
		}
		return out, nil
	})
}

// pageSize reads how many keys are asked for.
func pageSize(asked *int32, name string) (int, error) {
	if asked == nil {
		return maxPage, nil
	}
	if *asked < 0 {
		return 0, invalidArgument(name, strconv.Itoa(int(*asked)), "Argument "+name+" must be an integer between 0 and 2147483647")
	}
	return int(min(*asked, maxPage)), nil
}

// encoder writes names as the client wants them: in XML some characters cannot be.
func encoder(kind *string) func(*string) *string {
	if aws.Val(kind) != api.EncodingTypeUrl {
		return func(s *string) *string { return s }
	}
	return func(s *string) *string {
		if s == nil {
			return nil
		}
		return aws.Ptr(urlEncode(*s))
	}
}

// urlEncode percent-encodes all but what a path may hold.
func urlEncode(text string) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-_.~/*", c) >= 0 {
			b.WriteByte(c)
		} else {
			b.WriteString("%" + strings.ToUpper(strconv.FormatUint(uint64(c)|0x100, 16)[1:]))
		}
	}
	return b.String()
}

// described is an object in a listing.
func described(o object, encode func(*string) *string) api.Object {
	out := api.Object{
		Key: encode(&o.Key), ETag: quoted(o.ETag), Size: &o.Size, LastModified: &o.Modified, StorageClass: aws.Ptr(api.StorageClassStandard),
	}
	if o.Checksum.Value != "" {
		out.ChecksumAlgorithm, out.ChecksumType = []string{string(o.Checksum.Algorithm)}, &o.Checksum.Type
	}
	return out
}

// ListObjectsV2 lists a bucket's objects.
func (s *Service) ListObjectsV2(ctx context.Context, in *api.ListObjectsV2Input) (*api.ListObjectsV2Output, error) {
	b, err := s.find(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	l := listing{prefix: aws.Val(in.Prefix), delimiter: aws.Val(in.Delimiter), after: aws.Val(in.StartAfter)}
	if l.most, err = pageSize(in.MaxKeys, "max-keys"); err != nil {
		return nil, err
	}
	if in.ContinuationToken != nil {
		if l.after, err = untoken(*in.ContinuationToken); err != nil {
			return nil, err
		}
	}
	entries, more, err := s.list(ctx, b, l)
	if err != nil {
		return nil, err
	}
	encode := encoder(in.EncodingType)
	out := &api.ListObjectsV2Output{
		Name: in.Bucket, Prefix: encode(aws.Ptr(l.prefix)), Delimiter: encode(in.Delimiter), MaxKeys: aws.Ptr(int32(l.most)), EncodingType: in.EncodingType,
		StartAfter: encode(in.StartAfter), ContinuationToken: in.ContinuationToken, IsTruncated: &more, KeyCount: aws.Ptr(int32(len(entries))),
	}
	for _, e := range entries {
		if e.common {
			out.CommonPrefixes = append(out.CommonPrefixes, api.CommonPrefix{Prefix: encode(aws.Ptr(e.name))})
			continue
		}
		o := described(e.item, encode)
		if aws.Val(in.FetchOwner) {
			o.Owner = ownerOf(b.Account)
		}
		out.Contents = append(out.Contents, o)
	}
	if more {
		out.NextContinuationToken = aws.Ptr(token(entries[len(entries)-1].name))
	}
	return out, nil
}

// ListObjects lists a bucket's objects, in the older way.
func (s *Service) ListObjects(ctx context.Context, in *api.ListObjectsInput) (*api.ListObjectsOutput, error) {
	b, err := s.find(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	l := listing{prefix: aws.Val(in.Prefix), delimiter: aws.Val(in.Delimiter), after: aws.Val(in.Marker)}
	if l.most, err = pageSize(in.MaxKeys, "max-keys"); err != nil {
		return nil, err
	}
	entries, more, err := s.list(ctx, b, l)
	if err != nil {
		return nil, err
	}
	encode := encoder(in.EncodingType)
	out := &api.ListObjectsOutput{
		Name: in.Bucket, Prefix: encode(aws.Ptr(l.prefix)), Marker: encode(aws.Ptr(l.after)), Delimiter: encode(in.Delimiter), MaxKeys: aws.Ptr(int32(l.most)),
		EncodingType: in.EncodingType, IsTruncated: &more,
	}
	for _, e := range entries {
		if e.common {
			out.CommonPrefixes = append(out.CommonPrefixes, api.CommonPrefix{Prefix: encode(aws.Ptr(e.name))})
			continue
		}
		o := described(e.item, encode)
		o.Owner = ownerOf(b.Account)
		out.Contents = append(out.Contents, o)
	}
	if more && l.delimiter != "" {
		out.NextMarker = encode(aws.Ptr(entries[len(entries)-1].name))
	}
	return out, nil
}

// ListParts lists the parts of an upload.
func (s *Service) ListParts(ctx context.Context, in *api.ListPartsInput) (*api.ListPartsOutput, error) {
	b, u, err := s.upload(ctx, in.Bucket, in.ExpectedBucketOwner, in.Key, in.UploadId)
	if err != nil {
		return nil, err
	}
	most, err := pageSize(in.MaxParts, "max-parts")
	if err != nil {
		return nil, err
	}
	all, err := s.parts.List(ctx, partition, s.Region, b.ID, u.ID)
	if err != nil {
		return nil, aws.Internal(err)
	}
	out := &api.ListPartsOutput{
		Bucket: in.Bucket, Key: in.Key, UploadId: in.UploadId, MaxParts: aws.Ptr(int32(most)), PartNumberMarker: aws.Ptr(aws.Val(in.PartNumberMarker)), IsTruncated: aws.Ptr(false),
		StorageClass: aws.Ptr(api.StorageClassStandard), Owner: ownerOf(b.Account), Initiator: &api.Initiator{ID: ownerOf(u.Account).ID},
		NextPartNumberMarker: aws.Ptr(int32(0)),
	}
	if u.Chosen {
		out.ChecksumAlgorithm, out.ChecksumType = aws.Ptr(string(u.Algorithm)), &u.Type
	}
	for _, p := range all {
		if p.Number <= *out.PartNumberMarker {
			continue
		}
		if len(out.Parts) == most {
			out.IsTruncated = aws.Ptr(true)
			break
		}
		entry := api.Part{PartNumber: aws.Ptr(p.Number), ETag: quoted(p.ETag), Size: aws.Ptr(p.Blob.Size), LastModified: aws.Ptr(p.Modified)}
		if u.Chosen {
			digest{Algorithm: u.Algorithm, Value: p.Checksum}.tell(&entry)
		}
		out.Parts = append(out.Parts, entry)
		out.NextPartNumberMarker = aws.Ptr(p.Number)
	}
	return out, nil
}

// ListMultipartUploads lists the uploads that are neither completed nor aborted.
func (s *Service) ListMultipartUploads(ctx context.Context, in *api.ListMultipartUploadsInput) (*api.ListMultipartUploadsOutput, error) {
	b, err := s.find(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	most, err := pageSize(in.MaxUploads, "max-uploads")
	if err != nil {
		return nil, err
	}
	encode := encoder(in.EncodingType)
	out := &api.ListMultipartUploadsOutput{
		Bucket: in.Bucket, Prefix: encode(aws.Ptr(aws.Val(in.Prefix))), Delimiter: encode(in.Delimiter), EncodingType: in.EncodingType, MaxUploads: aws.Ptr(int32(most)), IsTruncated: aws.Ptr(false),
		KeyMarker: encode(aws.Ptr(aws.Val(in.KeyMarker))), UploadIdMarker: aws.Ptr(aws.Val(in.UploadIdMarker)),
	}
	entries, more, err := s.listUploads(ctx, b, in, most)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.common {
			out.CommonPrefixes = append(out.CommonPrefixes, api.CommonPrefix{Prefix: encode(aws.Ptr(e.name))})
			continue
		}
		u := e.item
		entry := api.MultipartUpload{
			Key: encode(&u.Key), UploadId: aws.Ptr(u.ID), Initiated: aws.Ptr(u.Started), StorageClass: aws.Ptr(api.StorageClassStandard),
			Owner: ownerOf(b.Account), Initiator: &api.Initiator{ID: ownerOf(u.Account).ID},
		}
		if u.Chosen {
			entry.ChecksumAlgorithm, entry.ChecksumType = aws.Ptr(string(u.Algorithm)), aws.Ptr(u.Type)
		}
		out.Uploads = append(out.Uploads, entry)
	}
	if more {
		last := entries[len(entries)-1]
		out.IsTruncated, out.NextUploadIdMarker = &more, aws.Ptr(last.item.ID)
		out.NextKeyMarker = encode(aws.Ptr(last.name))
		if !last.common {
			out.NextKeyMarker = encode(aws.Ptr(last.item.Key))
		}
	}
	return out, nil
}
