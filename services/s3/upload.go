package s3

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"minato/aws"
	api "minato/aws/api/s3"
	"minato/aws/checksum"
	"minato/aws/identity"
	"minato/dataplane/blobs"
	"minato/internal/ids"
	"minato/store"
)

// Limits of uploads.
const (
	maxParts = 10_000
	minPart  = 5 << 20 // all parts but the last
)

// upload is the record of an upload in parts.
type upload struct {
	ID        string
	Key       string
	Started   time.Time
	Account   string
	Algorithm checksum.Algorithm // of each part
	Type      string             // of the whole
	Chosen    bool               // the client chose the algorithm
	Tags      []api.Tag          `json:",omitempty"`
	headers
}

// part is the record of a part.
type part struct {
	Number   int32
	ETag     string
	Checksum string // base64
	Modified time.Time
	Blob     blobs.Blob
}

// CreateMultipartUpload begins an upload.
func (s *Service) CreateMultipartUpload(ctx context.Context, in *api.CreateMultipartUploadInput) (*api.CreateMultipartUploadOutput, error) {
	b, err := s.find(ctx, in.Bucket, in.ExpectedBucketOwner)
	if err != nil {
		return nil, err
	}
	if err := refuse(in); err != nil {
		return nil, err
	}
	u := upload{ID: ids.Hex(32), Key: aws.Val(in.Key), Started: s.now(), Account: identity.From(ctx).Account}
	if err := checkKey(u.Key); err != nil {
		return nil, err
	}
	if u.headers, err = headersOf(in); err != nil {
		return nil, err
	}
	if u.Tags, err = headerTags(aws.Val(in.Tagging)); err != nil {
		return nil, err
	}
	if err := u.choose(in); err != nil {
		return nil, err
	}
	err = store.Update(ctx, s.Store, func(tx *store.Tx) error {
		if _, err := s.inBucket(tx, b); err != nil {
			return err
		}
		return s.uploads.TxPut(tx, u, partition, s.Region, b.ID, u.ID)
	})
	if err != nil {
		return nil, err
	}
	out := &api.CreateMultipartUploadOutput{Bucket: in.Bucket, Key: in.Key, UploadId: &u.ID, ServerSideEncryption: aws.Ptr(api.ServerSideEncryptionAes256)}
	if u.Chosen {
		out.ChecksumAlgorithm, out.ChecksumType = aws.Ptr(string(u.Algorithm)), &u.Type
	}
	return out, nil
}

// choose settles how the upload is summed: CRC64NVME of the whole unless the
// client says otherwise.
func (u *upload) choose(in *api.CreateMultipartUploadInput) error {
	var err error
	if u.Algorithm, err = wantedAlgorithm(in.ChecksumAlgorithm); err != nil {
		return err
	}
	u.Chosen = u.Algorithm != ""
	if !u.Chosen {
		u.Algorithm = checksum.CRC64NVME
	}
	u.Type = api.ChecksumTypeComposite
	if u.Algorithm == checksum.CRC64NVME {
		u.Type = api.ChecksumTypeFullObject
	}
	if t := aws.Val(in.ChecksumType); t != "" {
		if t == api.ChecksumTypeFullObject && !u.Algorithm.Combines() || t == api.ChecksumTypeComposite && u.Algorithm == checksum.CRC64NVME {
			return invalidRequest(fmt.Sprintf("The %s checksum type cannot be used with the %s checksum algorithm.", t, u.Algorithm))
		}
		u.Type = t
	}
	return nil
}

// upload finds an upload.
func (s *Service) upload(ctx context.Context, name, owner, key, id *string) (bucket, upload, error) {
	b, err := s.find(ctx, name, owner)
	if err != nil {
		return b, upload{}, err
	}
	u, found, err := s.uploads.Get(ctx, partition, s.Region, b.ID, aws.Val(id))
	switch {
	case err != nil:
		return b, u, aws.Internal(err)
	case !found || u.Key != aws.Val(key):
		return b, u, noSuchUpload(aws.Val(id))
	}
	return b, u, nil
}

// UploadPart stores a part.
func (s *Service) UploadPart(ctx context.Context, in *api.UploadPartInput) (*api.UploadPartOutput, error) {
	if err := refuse(in); err != nil {
		return nil, err
	}
	b, u, err := s.upload(ctx, in.Bucket, in.ExpectedBucketOwner, in.Key, in.UploadId)
	if err != nil {
		return nil, err
	}
	sent := checksum.Algorithm("")
	if wire, ok := in.Body.(summed); ok {
		sent = wire.Algorithm()
	}
	if sent != "" && u.Chosen && sent != u.Algorithm {
		return nil, invalidRequest(fmt.Sprintf("Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s", lower(u.Algorithm), lower(sent)))
	}
	p, err := s.putPart(ctx, b, u, aws.Val(in.PartNumber), in.Body)
	if err != nil {
		return nil, err
	}
	out := &api.UploadPartOutput{ETag: quoted(p.ETag), ServerSideEncryption: aws.Ptr(api.ServerSideEncryptionAes256)}
	if wire, ok := in.Body.(summed); ok && sent != "" {
		digest{Algorithm: sent, Value: wire.Checksum()}.tell(out)
	}
	return out, nil
}

func lower(a checksum.Algorithm) string { return a.Header()[len("x-amz-checksum-"):] }

func (s *Service) putPart(ctx context.Context, b bucket, u upload, number int32, body io.ReadCloser) (part, error) {
	if number < 1 || number > maxParts {
		if body != nil {
			body.Close()
		}
		return part{}, invalidArgument("partNumber", strconv.Itoa(int(number)), "Part number must be an integer between 1 and 10000, inclusive")
	}
	got, err := s.receive(body, u.Algorithm)
	if err != nil {
		return part{}, err
	}
	p := part{Number: number, ETag: got.etag, Checksum: got.checksum, Modified: s.now(), Blob: got.Blob}
	var old part
	err = store.Update(ctx, s.Store, func(tx *store.Tx) error {
		old = part{}
		if _, err := s.inBucket(tx, b); err != nil {
			return err
		}
		// Who completes or aborts the upload deletes its record, and what is read
		// here is checked at the commit: no part comes too late unnoticed.
		if _, found, err := s.uploads.TxGet(tx, partition, s.Region, b.ID, u.ID); err != nil {
			return err
		} else if !found {
			return noSuchUpload(u.ID)
		}
		var err error
		if old, _, err = s.parts.TxGet(tx, s.partID(b, u.ID, number)...); err != nil {
			return err
		}
		return s.parts.TxPut(tx, p, s.partID(b, u.ID, number)...)
	})
	if err != nil {
		s.Blobs.Remove(p.Blob)
		return part{}, err
	}
	s.Blobs.Settle(p.Blob)
	s.Blobs.Remove(old.Blob)
	return p, nil
}

func (s *Service) partID(b bucket, id string, number int32) []string {
	return []string{partition, s.Region, b.ID, id, fmt.Sprintf("%05d", number)}
}

// CompleteMultipartUpload makes the object of its parts.
func (s *Service) CompleteMultipartUpload(ctx context.Context, in *api.CompleteMultipartUploadInput) (*api.CompleteMultipartUploadOutput, error) {
	if err := refuse(in); err != nil {
		return nil, err
	}
	b, u, err := s.upload(ctx, in.Bucket, in.ExpectedBucketOwner, in.Key, in.UploadId)
	if aws.IsCode(err, "NoSuchUpload") {
		// A client that did not hear the answer asks again.
		if o, found, e := s.objects.GetKey(ctx, s.objectKey(b, aws.Val(in.Key))); e == nil && found && o.Upload == *in.UploadId {
			return completed(in, b, o), nil
		}
	}
	if err != nil {
		return nil, err
	}
	if in.MultipartUpload == nil || len(in.MultipartUpload.Parts) == 0 || len(in.MultipartUpload.Parts) > maxParts {
		return nil, malformedXML()
	}
	have, err := s.parts.List(ctx, partition, s.Region, b.ID, u.ID)
	if err != nil {
		return nil, aws.Internal(err)
	}
	chosen, err := choosePart(u, have, in.MultipartUpload.Parts)
	if err != nil {
		return nil, err
	}
	o, err := assemble(u, chosen)
	if err != nil {
		return nil, err
	}
	o.Modified = s.now()
	if err := claims(in, o); err != nil {
		return nil, err
	}
	o, err = s.commit(ctx, &b, o, in.IfMatch, in.IfNoneMatch, func(tx *store.Tx) error {
		if _, found, err := s.uploads.TxGet(tx, partition, s.Region, b.ID, u.ID); err != nil || !found {
			return noSuchUpload(u.ID)
		}
		s.uploads.TxDelete(tx, partition, s.Region, b.ID, u.ID)
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.dropParts(context.WithoutCancel(ctx), b.ID, u.ID, chosen)
	return completed(in, b, o), nil
}

func completed(in *api.CompleteMultipartUploadInput, b bucket, o object) *api.CompleteMultipartUploadOutput {
	out := &api.CompleteMultipartUploadOutput{
		Bucket: in.Bucket, Key: in.Key, ETag: quoted(o.ETag), ServerSideEncryption: aws.Ptr(api.ServerSideEncryptionAes256),
		Location: aws.Ptr("/" + *in.Bucket + "/" + urlEncode(*in.Key)), VersionId: b.told(&o), Expiration: b.expiration(&o),
	}
	o.Checksum.tell(out)
	return out
}

// choosePart finds the parts that a client lists among those that are there.
func choosePart(u upload, have []part, listed []api.CompletedPart) ([]part, error) {
	last := int32(0)
	for _, l := range listed {
		if aws.Val(l.PartNumber) <= last {
			return nil, failure(http.StatusBadRequest, "InvalidPartOrder", "The list of parts was not in ascending order. The parts list must be specified in order by part number.")
		}
		last = *l.PartNumber
	}
	var out []part
	for i, l := range listed {
		number := *l.PartNumber
		at := slices.IndexFunc(have, func(p part) bool { return p.Number == number })
		if at < 0 || !sameTag(aws.Val(l.ETag), have[at].ETag) || !samePart(u, l, have[at]) {
			return nil, with(failure(http.StatusBadRequest, "InvalidPart", "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."),
				"UploadId", u.ID, "PartNumber", strconv.Itoa(int(number)), "ETag", aws.Val(l.ETag))
		}
		p := have[at]
		if p.Blob.Size < minPart && i < len(listed)-1 {
			return nil, with(failure(http.StatusBadRequest, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size"),
				"ProposedSize", strconv.FormatInt(p.Blob.Size, 10), "MinSizeAllowed", strconv.Itoa(minPart), "PartNumber", strconv.Itoa(int(number)), "ETag", p.ETag)
		}
		out = append(out, p)
	}
	return out, nil
}

// samePart compares the checksum that a client lists with a part.
func samePart(u upload, l api.CompletedPart, p part) bool {
	claim := aws.Text(&l, "Checksum"+string(u.Algorithm))
	return claim == "" || claim == p.Checksum
}

// assemble makes the object of an upload's parts.
func assemble(u upload, parts []part) (object, error) {
	o := object{Key: u.Key, Tags: u.Tags, Upload: u.ID, headers: u.headers}
	tags, sums := md5.New(), u.Algorithm.New()
	var whole []byte
	for _, p := range parts {
		raw, err := hex.DecodeString(p.ETag)
		if err != nil {
			return o, aws.Internal(err)
		}
		tags.Write(raw)
		sum, err := base64.StdEncoding.DecodeString(p.Checksum)
		if err != nil {
			return o, aws.Internal(err)
		}
		sums.Write(sum)
		switch {
		case !u.Algorithm.Combines():
		case whole == nil:
			whole = sum
		default:
			whole = u.Algorithm.Combine(whole, sum, p.Blob.Size)
		}
		o.Size += p.Blob.Size
		o.Content = append(o.Content, p.Blob)
	}
	o.ETag = fmt.Sprintf("%x-%d", tags.Sum(nil), len(parts))
	o.Checksum = digest{u.Algorithm, base64.StdEncoding.EncodeToString(whole), u.Type}
	if u.Type == api.ChecksumTypeComposite {
		o.Checksum.Value = fmt.Sprintf("%s-%d", base64.StdEncoding.EncodeToString(sums.Sum(nil)), len(parts))
	}
	return o, nil
}

// claims holds an object to what the client says of the whole.
func claims(in *api.CompleteMultipartUploadInput, o object) error {
	if in.MpuObjectSize != nil && *in.MpuObjectSize != o.Size {
		return invalidRequest("The provided 'x-amz-mp-object-size' header value does not match what was computed.")
	}
	if t := aws.Val(in.ChecksumType); t != "" && t != o.Checksum.Type {
		return invalidRequest("The upload was created using the " + o.Checksum.Type + " checksum mode. The complete request must use the same checksum mode.")
	}
	claim := aws.Text(in, "Checksum"+string(o.Checksum.Algorithm))
	if claim != "" && claim != o.Checksum.Value {
		return failure(http.StatusBadRequest, "BadDigest", "The "+string(o.Checksum.Algorithm)+" you specified did not match the calculated checksum.")
	}
	return nil
}

// AbortMultipartUpload ends an upload without an object.
func (s *Service) AbortMultipartUpload(ctx context.Context, in *api.AbortMultipartUploadInput) (*api.AbortMultipartUploadOutput, error) {
	b, u, err := s.upload(ctx, in.Bucket, in.ExpectedBucketOwner, in.Key, in.UploadId)
	if err != nil {
		return nil, err
	}
	if err := s.uploads.Delete(ctx, partition, s.Region, b.ID, u.ID); err != nil {
		return nil, err
	}
	s.dropParts(context.WithoutCancel(ctx), b.ID, u.ID, nil)
	return &api.AbortMultipartUploadOutput{}, nil
}

// dropParts deletes the records of an ended upload's parts, and the files of
// those that no object was made of. What it does not come to, the sweeper does.
func (s *Service) dropParts(ctx context.Context, bucketID, id string, kept []part) {
	all, err := s.parts.List(ctx, partition, s.Region, bucketID, id)
	if err != nil {
		s.Log.Error("the parts of an ended upload stay for now", "upload", id, "error", err)
		return
	}
	inUse := map[string]bool{}
	for _, p := range kept {
		inUse[p.Blob.ID] = true
	}
	for batch := range slices.Chunk(all, store.MaxOps) {
		var txn store.Txn
		var gone []blobs.Blob
		for _, p := range batch {
			txn.Deletes = append(txn.Deletes, s.parts.Key(s.partID(bucket{ID: bucketID}, id, p.Number)...))
			if !inUse[p.Blob.ID] {
				gone = append(gone, p.Blob)
			}
		}
		if _, err := s.Store.Commit(ctx, txn); err != nil {
			s.Log.Error("the parts of an ended upload stay for now", "upload", id, "error", err)
			return
		}
		s.Blobs.Remove(gone...)
	}
}

// dropUploads ends the uploads of a bucket that is gone.
func (s *Service) dropUploads(ctx context.Context, bucketID string) {
	ctx = context.WithoutCancel(ctx)
	all, err := s.uploads.List(ctx, partition, s.Region, bucketID)
	for _, u := range all {
		if err = s.uploads.Delete(ctx, partition, s.Region, bucketID, u.ID); err != nil {
			break
		}
		s.dropParts(ctx, bucketID, u.ID, nil)
	}
	if err != nil {
		s.Log.Error("the uploads of a deleted bucket stay for now", "error", err)
	}
}
