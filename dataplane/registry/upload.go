package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"

	"minato/internal/ids"
)

const (
	uploadPrefix   = "registry-upload-"                  // of a lease's id and of its ingest's reference
	labelUploadFor = "minato.registry/upload-repository" // on the lease: whose upload it is
	labelMember    = "minato.registry/content"           // on content: it came in by the registry
	labelRoot      = "containerd.io/gc.root"
	uploadLifetime = 24 * time.Hour
	uploadIdle     = 2 * time.Minute // after this long an open writer is closed; the upload stays
)

// upload is one upload under way in this process. Its lock is taken by the
// request that works on it.
type upload struct {
	id    string
	repo  Repository
	lease leases.Lease
	lock  chan struct{} // holds one token while somebody works on it

	writer content.Writer // nil while closed
	offset int64
	timer  *time.Timer
	gone   bool // committed or given up while somebody waited for the lock
}

// uploads are the uploads that this process has seen; others are found by
// their lease.
type uploads struct {
	mu   sync.Mutex
	open map[string]*upload
}

func (u *uploads) closeAll() error {
	u.mu.Lock()
	all := u.open
	u.open = map[string]*upload{}
	u.mu.Unlock()
	var errs []error
	for _, up := range all {
		up.lock <- struct{}{}
		errs = append(errs, up.closeWriter())
		up.gone = true
		<-up.lock
	}
	return errors.Join(errs...)
}

func (u *uploads) forget(up *upload) {
	up.gone = true
	u.mu.Lock()
	delete(u.open, up.id)
	u.mu.Unlock()
}

func (up *upload) ref() string { return uploadPrefix + up.id }

func (up *upload) closeWriter() error {
	if up.timer != nil {
		up.timer.Stop()
	}
	if up.writer == nil {
		return nil
	}
	err := up.writer.Close()
	up.writer = nil
	return err
}

// newUpload makes a lease for an upload and returns it locked.
func (r *Registry) newUpload(ctx context.Context, repo Repository) (*upload, error) {
	up := &upload{id: ids.UUID(), repo: repo, lock: make(chan struct{}, 1)}
	lease, err := r.opt.Leases.Create(ctx, leases.WithID(up.ref()),
		leases.WithLabel(labelUploadFor, repo.String()), leases.WithExpiration(uploadLifetime))
	if err != nil {
		return nil, fmt.Errorf("lease for an upload: %w", err)
	}
	up.lease = lease
	up.lock <- struct{}{}
	r.uploads.mu.Lock()
	r.uploads.open[up.id] = up
	r.uploads.mu.Unlock()
	return up, nil
}

// findUpload returns an upload of the repository, locked and with its writer
// open: from memory, or from its lease after a restart.
func (r *Registry) findUpload(ctx context.Context, repo Repository, id string) (*upload, error) {
	r.uploads.mu.Lock()
	up := r.uploads.open[id]
	r.uploads.mu.Unlock()
	if up == nil {
		var err error
		if up, err = r.recallUpload(ctx, repo, id); err != nil {
			return nil, err
		}
	}
	if up.repo != repo {
		return nil, errUploadUnknown()
	}
	select {
	case up.lock <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if up.gone {
		<-up.lock
		return nil, errUploadUnknown()
	}
	if err := r.openWriter(ctx, up); err != nil {
		<-up.lock
		return nil, err
	}
	return up, nil
}

func (r *Registry) recallUpload(ctx context.Context, repo Repository, id string) (*upload, error) {
	found, err := r.opt.Leases.List(ctx, fmt.Sprintf("id==%q", uploadPrefix+id))
	if err != nil {
		return nil, fmt.Errorf("looking for the lease of an upload: %w", err)
	}
	if len(found) != 1 || found[0].Labels[labelUploadFor] != repo.String() {
		return nil, errUploadUnknown()
	}
	r.uploads.mu.Lock()
	defer r.uploads.mu.Unlock()
	if up := r.uploads.open[id]; up != nil {
		return up, nil
	}
	up := &upload{id: id, repo: repo, lease: found[0], lock: make(chan struct{}, 1)}
	r.uploads.open[id] = up
	return up, nil
}

// openWriter opens the ingest if it is closed. The writer outlives the request.
func (r *Registry) openWriter(ctx context.Context, up *upload) error {
	if up.timer != nil {
		up.timer.Stop()
	}
	if up.writer != nil {
		return nil
	}
	long := leases.WithLease(context.WithoutCancel(ctx), up.lease.ID)
	// containerd refuses a second writer of an ingest until it has noticed the
	// end of the first one's connection.
	var writer content.Writer
	var err error
	for attempt := range 20 {
		writer, err = r.content.Writer(long, content.WithRef(up.ref()))
		if err == nil || !errdefs.IsUnavailable(err) {
			break
		}
		select {
		case <-r.opt.Clock.After(time.Duration(attempt+1) * 10 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if errdefs.IsNotFound(err) { // the lease is over
		r.uploads.forget(up)
		return errUploadUnknown()
	}
	if err != nil {
		return fmt.Errorf("open the upload: %w", err)
	}
	status, err := writer.Status()
	if err != nil {
		writer.Close()
		return fmt.Errorf("open the upload: %w", err)
	}
	up.writer, up.offset = writer, status.Offset
	return nil
}

// leave unlocks an upload; after a while without requests its writer is closed.
func (r *Registry) leave(up *upload) {
	if !up.gone {
		up.timer = time.AfterFunc(uploadIdle, func() {
			select {
			case up.lock <- struct{}{}:
			default:
				return // somebody works on it and will leave it anew
			}
			defer func() { <-up.lock }()
			if up.gone {
				return
			}
			if err := up.closeWriter(); err != nil {
				r.opt.Log.Warn("closing an idle upload", "upload", up.id, "error", err)
			}
		})
	}
	<-up.lock
}

// discard gives an upload up: its bytes are free at once.
func (r *Registry) discard(ctx context.Context, up *upload) {
	if up.gone {
		return
	}
	ctx = context.WithoutCancel(ctx)
	if err := up.closeWriter(); err != nil {
		r.opt.Log.Debug("closing a given up upload", "upload", up.id, "error", err)
	}
	if err := r.content.Abort(ctx, up.ref()); err != nil && !errdefs.IsNotFound(err) {
		r.opt.Log.Warn("giving up an upload", "upload", up.id, "error", err)
	}
	r.release(ctx, up)
}

// release ends an upload's lease.
func (r *Registry) release(ctx context.Context, up *upload) {
	r.uploads.forget(up)
	if err := r.opt.Leases.Delete(ctx, up.lease); err != nil && !errdefs.IsNotFound(err) {
		r.opt.Log.Warn("the lease of an upload stays until it expires", "upload", up.id, "error", err)
	}
}

// piece is a part of a request's body on its way to the content store.
type piece struct {
	buffer *[bufferSize]byte
	n      int
	err    error // of the reader, after the n bytes
}

// read reads a body ahead of whoever writes it: receiving and hashing then
// work at the same time. It ends with the body, or when done is closed.
func read(body io.Reader, pieces chan<- piece, done <-chan struct{}) {
	for {
		p := piece{buffer: buffers.Get().(*[bufferSize]byte)}
		for p.n < bufferSize && p.err == nil {
			var n int
			n, p.err = body.Read(p.buffer[p.n:])
			p.n += n
		}
		select {
		case pieces <- p:
		case <-done:
			buffers.Put(p.buffer)
			return
		}
		if p.err != nil {
			return
		}
	}
}

// append writes a request's body to the upload. What arrived of a body that
// broke off stays, and the client goes on from there; after a failed write the
// offset is not to be trusted, and the upload is given up.
func (r *Registry) append(ctx context.Context, up *upload, body io.Reader) error {
	pieces, done := make(chan piece, 1), make(chan struct{})
	defer close(done)
	go read(body, pieces, done)
	for {
		p := <-pieces
		err := r.write(ctx, up, p.buffer[:p.n])
		buffers.Put(p.buffer)
		switch {
		case err != nil:
			return err
		case errors.Is(p.err, io.EOF):
			return nil
		case p.err != nil:
			return &Error{Status: 400, Code: "BLOB_UPLOAD_INVALID", Message: "the body broke off", Cause: p.err}
		}
	}
}

func (r *Registry) write(ctx context.Context, up *upload, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if up.offset+int64(len(b)) > r.opt.MaxBlob {
		r.discard(ctx, up)
		return errorf(413, "SIZE_INVALID", "the layer is larger than %d bytes", r.opt.MaxBlob)
	}
	if _, err := up.writer.Write(b); err != nil {
		r.discard(ctx, up)
		return fmt.Errorf("write to the content store: %w", err)
	}
	up.offset += int64(len(b))
	return nil
}

// commit verifies what was uploaded, makes it content, then a member.
func (r *Registry) commit(ctx context.Context, up *upload, expected digest.Digest) (Blob, error) {
	r.settling.RLock()
	defer r.settling.RUnlock()
	blob := Blob{Digest: expected, Size: up.offset}
	leased := leases.WithLease(ctx, up.lease.ID)
	writer := up.writer
	up.writer = nil // a commit closes it, also when it fails
	err := writer.Commit(leased, up.offset, expected, content.WithLabels(rootLabels(r.opt.Clock.Now())))
	switch {
	case errdefs.IsAlreadyExists(err):
		// Pushed to another repository before, or pulled. The lease holds it
		// from here, so that it cannot vanish before it is made a root.
		info, err := r.content.Info(ctx, expected)
		if err != nil {
			return blob, fmt.Errorf("content that exists already: %w", err)
		}
		if err := r.makeRoot(ctx, info, nil); err != nil {
			return blob, err
		}
	case errdefs.IsFailedPrecondition(err):
		r.discard(ctx, up)
		return blob, errDigestInvalid("provided digest did not match uploaded content")
	case err != nil:
		r.discard(ctx, up)
		return blob, fmt.Errorf("commit to the content store: %w", err)
	}
	if err := r.repos.PutBlob(ctx, up.repo, blob); err != nil {
		r.release(context.WithoutCancel(ctx), up) // Sweep takes the content
		return blob, err
	}
	r.release(context.WithoutCancel(ctx), up)
	return blob, nil
}

func rootLabels(now time.Time) map[string]string {
	return map[string]string{labelRoot: now.UTC().Format(time.RFC3339), labelMember: "true"}
}

// makeRoot labels content that is there as the registry's, adding further labels.
func (r *Registry) makeRoot(ctx context.Context, info content.Info, further map[string]string) error {
	labels := rootLabels(r.opt.Clock.Now())
	for k, v := range further {
		labels[k] = v
	}
	paths := make([]string, 0, len(labels))
	same := true
	for k, v := range labels {
		paths = append(paths, "labels."+k)
		same = same && (info.Labels[k] == v || k == labelRoot && info.Labels[k] != "")
	}
	if same {
		return nil
	}
	if _, err := r.content.Update(ctx, content.Info{Digest: info.Digest, Labels: labels}, paths...); err != nil {
		return fmt.Errorf("label content %s: %w", info.Digest, err)
	}
	return nil
}
