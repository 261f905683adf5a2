// Package seal encrypts what must not lie in the open on the disk: secret
// values, before they become records of the store.
//
// AES-256-GCM under one key of the instance, in a file that only root reads. A
// copy of the store's file alone - a backup, a bug report - so shows no value;
// who has the whole data directory has the key too.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"minato/internal/durable"
)

const keyBytes = 32

// Sealer seals and opens values. It may be used from any goroutine.
type Sealer struct {
	aead cipher.AEAD
	key  []byte
}

// New returns a sealer with a key of 32 bytes.
func New(key []byte) (*Sealer, error) {
	if len(key) != keyBytes {
		return nil, fmt.Errorf("seal: a key of %d bytes, not %d", len(key), keyBytes)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	return &Sealer{aead, key}, err
}

// Key derives a key of 32 bytes for a purpose that needs one of its own.
func (s *Sealer) Key(purpose string) []byte {
	key, err := hkdf.Key(sha256.New, s.key, nil, "minato "+purpose, keyBytes)
	if err != nil {
		panic(err) // only of a length that no hash gives
	}
	return key
}

// Open returns a sealer with the key of a file, which is made at first use.
// The key is on the disk before anything is sealed with it.
func Open(path string) (*Sealer, error) {
	key, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key = make([]byte, keyBytes)
		rand.Read(key) // never fails: crypto/rand aborts the program instead
		err = durable.Write(path, key, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	s, err := New(key)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// Seal encrypts a value. The name is what it is the value of; it is not in the
// result, and Open needs the same one, so that no record can be given another's
// value.
func (s *Sealer) Seal(value []byte, name string) []byte {
	return s.aead.Seal(nil, nil, value, []byte(name))
}

// Open decrypts what Seal made for the name.
func (s *Sealer) Open(sealed []byte, name string) ([]byte, error) {
	value, err := s.aead.Open(nil, nil, sealed, []byte(name))
	if err != nil {
		return nil, fmt.Errorf("seal: the value of %s cannot be opened with this instance's key", name)
	}
	return value, nil
}
