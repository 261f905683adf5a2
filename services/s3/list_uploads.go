package s3

import (
	"cmp"
	"context"
	"slices"
	"sort"
	"strings"

	"minato/aws"
	api "minato/aws/api/s3"
)

// uploadName is what uploads are listed by: the key, then the upload; no key has
// the byte between them.
func uploadName(u upload) string { return u.Key + "\x00" + u.ID }

// listUploads walks the uploads of a bucket by key.
func (s *Service) listUploads(ctx context.Context, b bucket, in *api.ListMultipartUploadsInput, most int) ([]entry[upload], bool, error) {
	all, err := s.uploads.List(ctx, partition, s.Region, b.ID)
	if err != nil {
		return nil, false, aws.Internal(err)
	}
	prefix := aws.Val(in.Prefix)
	all = slices.DeleteFunc(all, func(u upload) bool { return !strings.HasPrefix(u.Key, prefix) })
	slices.SortFunc(all, func(a, b upload) int { return cmp.Compare(uploadName(a), uploadName(b)) })
	l := listing{prefix: prefix, delimiter: aws.Val(in.Delimiter), most: most, after: aws.Val(in.KeyMarker)}
	if l.after != "" {
		if id := aws.Val(in.UploadIdMarker); id != "" {
			l.after += "\x00" + id
		} else if l.delimiter == "" || !strings.HasSuffix(l.after, l.delimiter) {
			l.after += "\x00" + afterAll
		}
	}
	if most == 0 {
		return nil, false, nil
	}
	return walk(l, uploadName, func(after string, limit int) ([]upload, error) {
		from := sort.Search(len(all), func(i int) bool { return uploadName(all[i]) > after })
		return all[from:min(len(all), from+limit)], nil
	})
}
