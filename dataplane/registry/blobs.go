package registry

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func parseDigest(s string) (digest.Digest, error) {
	d, err := digest.Parse(s)
	if err != nil {
		return "", errDigestInvalid("provided digest %q is no digest: %v", s, err)
	}
	return d, nil
}

func (r *Registry) getBlob(w http.ResponseWriter, req *http.Request, rt route) error {
	d, err := parseDigest(rt.ref)
	if err != nil {
		return err
	}
	blob, err := r.repos.Blob(req.Context(), rt.repo, d)
	if err != nil {
		return err
	}
	ra, err := r.content.ReaderAt(req.Context(), ocispec.Descriptor{Digest: d, Size: blob.Size})
	if err != nil {
		return fmt.Errorf("the content of %s in %s: %w", d, rt.repo, err)
	}
	defer ra.Close()
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Docker-Content-Digest", d.String())
	h.Set("ETag", `"`+d.String()+`"`)
	h.Set("Cache-Control", "max-age=31536000")
	body := newBlobReader(ra)
	defer body.release()
	http.ServeContent(w, req, "", time.Time{}, body)
	return nil
}

func (r *Registry) deleteBlob(w http.ResponseWriter, req *http.Request, rt route) error {
	d, err := parseDigest(rt.ref)
	if err != nil {
		return err
	}
	if err := r.repos.DeleteBlob(req.Context(), rt.repo, d); err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

const bufferSize = 1 << 20

// buffers are lent for copying blobs. They are large because each read and
// write of the content store is a round trip to containerd.
var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// blobReader reads content in large steps, whatever the step of its reader
// (net/http copies 32 KiB at a time).
type blobReader struct {
	ra     content.ReaderAt
	buffer *[bufferSize]byte
	start  int64 // where the buffered bytes begin
	n      int   // how many they are
	offset int64
}

func newBlobReader(ra content.ReaderAt) *blobReader {
	return &blobReader{ra: ra, buffer: buffers.Get().(*[bufferSize]byte)}
}

func (b *blobReader) release() { buffers.Put(b.buffer) }

// Read implements io.Reader.
func (b *blobReader) Read(p []byte) (int, error) {
	if b.offset >= b.ra.Size() {
		return 0, io.EOF
	}
	if b.offset < b.start || b.offset >= b.start+int64(b.n) {
		n, err := b.ra.ReadAt(b.buffer[:min(bufferSize, b.ra.Size()-b.offset)], b.offset)
		if n == 0 {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		b.start, b.n = b.offset, n
	}
	n := copy(p, b.buffer[b.offset-b.start:b.n])
	b.offset += int64(n)
	return n, nil
}

// Seek implements io.Seeker.
func (b *blobReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += b.offset
	case io.SeekEnd:
		offset += b.ra.Size()
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning")
	}
	b.offset = offset
	return offset, nil
}
