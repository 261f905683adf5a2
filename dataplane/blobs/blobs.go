// Package blobs keeps the content of objects as files: each is written whole or
// not at all, never changed, and encrypted.
//
//	tmp/<id>         being written; what is here at start is of a crash, and goes
//	data/<xx>/<id>   whole; xx is how its id begins
//
// The order is: write to tmp, fsync, rename to data, fsync the directory; then
// whoever asked for it commits a record that names it, and says so (Settle). A
// file that no record names is an orphan of a crash between the two; Sweep
// removes it. Removing goes the other way: the record first, then the file.
//
// # At rest
//
// The content is in pieces of 64 KiB, each encrypted with AES-256-GCM under a
// key of the file's own, which is derived from the instance's and from 16 random
// bytes that the record holds. The piece's number is its nonce. So any range is
// read by decrypting the pieces that it touches, and a piece that was moved,
// changed or cut off is an error, never content.
//
// A copy is a hard link: it costs neither time nor space, and either name may go.
package blobs

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"minato/internal/durable"
)

const (
	piece   = 64 << 10
	overlay = 16 // bytes that a piece is longer on the disk
	idBytes = 16
)

// Blob is what a record keeps of a file. The zero Blob is no file.
type Blob struct {
	ID   string // of the file
	Salt string // of the key that its content is encrypted under
	Size int64  // of the content
}

// Store is a directory of blobs.
type Store struct {
	dir string
	key []byte

	making sync.Mutex // of directories

	mu      sync.Mutex
	pending map[string]bool // files that no record names yet
	readers map[string]int
	doomed  map[string]bool // removed while somebody reads them
}

// Open opens a directory, or makes it. The key has 32 bytes.
func Open(dir string, key []byte) (*Store, error) {
	if len(key) != 32 {
		return nil, fmt.Errorf("blobs: a key of %d bytes", len(key))
	}
	s := &Store{dir: dir, key: key, pending: map[string]bool{}, readers: map[string]int{}, doomed: map[string]bool{}}
	if err := os.RemoveAll(s.temporary("")); err != nil {
		return nil, fmt.Errorf("blobs: %w", err)
	}
	for _, d := range []string{s.temporary(""), filepath.Join(dir, "data")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("blobs: %w", err)
		}
	}
	// A directory that was made just before a crash is there, and perhaps not lasting.
	if err := durable.SyncDir(filepath.Join(dir, "data")); err != nil {
		return nil, fmt.Errorf("blobs: %w", err)
	}
	return s, nil
}

func (s *Store) temporary(id string) string { return filepath.Join(s.dir, "tmp", id) }

func (s *Store) path(id string) string { return filepath.Join(s.dir, "data", id[:2], id) }

func random() string {
	var b [idBytes]byte
	rand.Read(b[:]) // never fails: crypto/rand aborts the program instead
	return hex.EncodeToString(b[:])
}

// aead is the cipher of a file.
func (s *Store) aead(salt string) (cipher.AEAD, error) {
	raw, err := hex.DecodeString(salt)
	if err != nil || len(raw) != idBytes {
		return nil, fmt.Errorf("blobs: the salt %q is none", salt)
	}
	key, err := hkdf.Key(sha256.New, s.key, raw, "minato blob", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// nonce is that of a piece: no two of a file share one, and no two files a key.
func nonce(number int64) []byte {
	var n [12]byte
	binary.BigEndian.PutUint64(n[4:], uint64(number))
	return n[:]
}

// Writer writes one blob.
type Writer struct {
	store  *Store
	blob   Blob
	file   *os.File
	aead   cipher.AEAD
	number int64
	plain  []byte
	sealed []byte
}

// Create begins a blob. The writer ends with Commit or Abort.
func (s *Store) Create() (*Writer, error) {
	w := &Writer{store: s, blob: Blob{ID: random(), Salt: random()}, plain: make([]byte, 0, piece), sealed: make([]byte, 0, piece+overlay)}
	var err error
	if w.aead, err = s.aead(w.blob.Salt); err != nil {
		return nil, err
	}
	w.file, err = os.OpenFile(s.temporary(w.blob.ID), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("blobs: %w", err)
	}
	return w, nil
}

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		take := min(len(p), piece-len(w.plain))
		w.plain = append(w.plain, p[:take]...)
		p = p[take:]
		if len(w.plain) == piece {
			if err := w.flush(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

func (w *Writer) flush() error {
	if len(w.plain) == 0 {
		return nil
	}
	w.sealed = w.aead.Seal(w.sealed[:0], nonce(w.number), w.plain, nil)
	w.number++
	w.blob.Size += int64(len(w.plain))
	w.plain = w.plain[:0]
	_, err := w.file.Write(w.sealed)
	return err
}

// Abort drops what was written.
func (w *Writer) Abort() {
	if w.file != nil {
		w.file.Close()
		os.Remove(w.file.Name())
		w.file = nil
	}
}

// Commit makes the blob whole and lasting. Sweep leaves it alone until Settle.
func (w *Writer) Commit() (Blob, error) {
	defer w.Abort()
	if err := w.flush(); err != nil {
		return Blob{}, err
	}
	if err := w.file.Sync(); err != nil {
		return Blob{}, err
	}
	w.store.hold(w.blob.ID)
	if err := w.store.place(w.blob.ID, func(to string) error { return os.Rename(w.file.Name(), to) }); err != nil {
		w.store.Settle(w.blob)
		return Blob{}, err
	}
	w.file.Close()
	w.file = nil
	return w.blob, nil
}

// place puts a file where blobs are, lastingly.
func (s *Store) place(id string, put func(to string) error) error {
	to := s.path(id)
	dir := filepath.Dir(to)
	if err := s.make(dir); err != nil {
		return err
	}
	if err := put(to); err != nil {
		return err
	}
	return durable.SyncDir(dir)
}

// make makes a directory, lastingly: who finds that another has made it waits
// until that one has synced it.
func (s *Store) make(dir string) error {
	s.making.Lock()
	defer s.making.Unlock()
	switch err := os.Mkdir(dir, 0o700); {
	case err == nil:
		return durable.SyncDir(filepath.Dir(dir))
	case !errors.Is(err, os.ErrExist):
		return err
	}
	return nil
}

// Copy gives a blob a second file, held until Settle.
func (s *Store) Copy(b Blob) (Blob, error) {
	to := Blob{ID: random(), Salt: b.Salt, Size: b.Size}
	s.hold(to.ID)
	if err := s.place(to.ID, func(path string) error { return os.Link(s.path(b.ID), path) }); err != nil {
		s.Settle(to)
		return Blob{}, err
	}
	return to, nil
}

func (s *Store) hold(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending[id] = true
}

// Settle says that blobs are named by a record from now on, or never will be.
func (s *Store) Settle(blobs ...Blob) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range blobs {
		delete(s.pending, b.ID)
	}
}

// Remove removes the files of blobs that no record names any more; those that
// somebody reads (Retain), when he is done. What cannot be removed, Sweep finds.
func (s *Store) Remove(blobs ...Blob) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range blobs {
		delete(s.pending, b.ID)
		switch {
		case b.ID == "":
		case s.readers[b.ID] > 0:
			s.doomed[b.ID] = true
		default:
			_ = os.Remove(s.path(b.ID))
		}
	}
}

// Retain keeps the files of blobs while somebody reads them, until release.
func (s *Store) Retain(blobs ...Blob) (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range blobs {
		s.readers[b.ID]++
	}
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, b := range blobs {
			if s.readers[b.ID]--; s.readers[b.ID] > 0 {
				continue
			}
			delete(s.readers, b.ID)
			if s.doomed[b.ID] {
				delete(s.doomed, b.ID)
				_ = os.Remove(s.path(b.ID))
			}
		}
	})
}

// Sweep removes the files that no record names. It calls known after it has
// seen which files there are.
func (s *Store) Sweep(known func() (map[string]bool, error)) (removed int, err error) {
	files, err := filepath.Glob(filepath.Join(s.dir, "data", "*", "*"))
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	pending := make(map[string]bool, len(s.pending))
	for id := range s.pending {
		pending[id] = true
	}
	for id := range s.readers {
		pending[id] = true
	}
	s.mu.Unlock()
	if len(files) == 0 {
		return 0, nil
	}
	named, err := known()
	if err != nil {
		return 0, err
	}
	for _, f := range files {
		if id := filepath.Base(f); !named[id] && !pending[id] {
			if os.Remove(f) == nil {
				removed++
			}
		}
	}
	return removed, nil
}

// Read opens a range of a blob's content.
func (s *Store) Read(b Blob, from, length int64) (io.ReadCloser, error) {
	if from < 0 || length < 0 || from+length > b.Size {
		return nil, fmt.Errorf("blobs: bytes %d+%d of %d", from, length, b.Size)
	}
	aead, err := s.aead(b.Salt)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(s.path(b.ID))
	if err != nil {
		return nil, fmt.Errorf("blobs: %w", err)
	}
	r := &reader{file: f, aead: aead, size: b.Size, number: from / piece, skip: int(from % piece), left: length, buffer: make([]byte, piece+overlay)}
	if _, err := f.Seek(r.number*(piece+overlay), io.SeekStart); err != nil {
		f.Close()
		return nil, err
	}
	return r, nil
}

// reader decrypts piece by piece.
type reader struct {
	file   *os.File
	aead   cipher.AEAD
	size   int64
	number int64  // of the next piece
	skip   int    // bytes of it that come before the range
	left   int64  // bytes of the range that are not given out
	plain  []byte // decrypted and not given out
	buffer []byte
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	if len(r.plain) == 0 {
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.plain[:min(int64(len(r.plain)), r.left)])
	r.plain = r.plain[n:]
	r.left -= int64(n)
	return n, nil
}

func (r *reader) next() error {
	sealed := r.buffer[:min(piece, r.size-r.number*piece)+overlay]
	if _, err := io.ReadFull(r.file, sealed); err != nil {
		return fmt.Errorf("blobs: %s is cut off: %w", r.file.Name(), err)
	}
	plain, err := r.aead.Open(sealed[:0], nonce(r.number), sealed, nil)
	if err != nil {
		return fmt.Errorf("blobs: piece %d of %s is damaged", r.number, r.file.Name())
	}
	r.number++
	r.plain, r.skip = plain[r.skip:], 0
	return nil
}

// Close implements io.Closer.
func (r *reader) Close() error { return r.file.Close() }
