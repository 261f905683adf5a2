package s3

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
	"strconv"

	"minato/aws"
	"minato/aws/checksum"
	"minato/dataplane/blobs"
)

// received is content on the disk, with what was computed on the way.
type received struct {
	blobs.Blob
	etag      string // MD5, in hexadecimal
	algorithm checksum.Algorithm
	checksum  string // base64
}

// summed is a body that computes a checksum while it is read: what clients send
// over the wire with one.
type summed interface {
	Algorithm() checksum.Algorithm
	Checksum() string
	Size() int64
}

// receive writes a body to the disk. Its checksum is of the algorithm, or, where
// none is wanted, of the client's, or of S3's usual one. The blob is held until
// it is settled or removed.
func (s *Service) receive(body io.ReadCloser, want checksum.Algorithm) (received, error) {
	if body == nil {
		body = http.NoBody
	}
	defer body.Close()
	wire, _ := body.(summed)
	if wire != nil && wire.Size() > maxPut {
		return received{}, tooLarge(wire.Size())
	}
	got := received{algorithm: want}
	var sum hash.Hash
	if wire != nil && wire.Algorithm() != "" && (want == "" || want == wire.Algorithm()) {
		got.algorithm = wire.Algorithm()
	} else {
		if want == "" {
			got.algorithm = checksum.CRC64NVME
		}
		sum = got.algorithm.New()
	}
	w, err := s.Blobs.Create()
	if err != nil {
		return received{}, err
	}
	defer w.Abort()
	tag := md5.New()
	to := io.MultiWriter(w, tag)
	if sum != nil {
		to = io.MultiWriter(w, tag, sum)
	}
	n, err := io.CopyBuffer(to, io.LimitReader(body, maxPut+1), make([]byte, 64<<10))
	if err != nil {
		var e *aws.Error
		if errors.As(err, &e) {
			return received{}, e
		}
		return received{}, aws.Internal(err)
	}
	if n > maxPut {
		return received{}, tooLarge(n)
	}
	if got.Blob, err = w.Commit(); err != nil {
		return received{}, aws.Internal(err)
	}
	got.etag = hex.EncodeToString(tag.Sum(nil))
	if sum != nil {
		got.checksum = base64.StdEncoding.EncodeToString(sum.Sum(nil))
	} else {
		got.checksum = wire.Checksum()
	}
	return got, nil
}

func tooLarge(size int64) *aws.Error {
	return with(failure(http.StatusBadRequest, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size"),
		"ProposedSize", strconv.FormatInt(size, 10), "MaxSizeAllowed", strconv.FormatInt(maxPut, 10))
}
