package containerd

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

//go:embed embed
var embedded embed.FS

// ErrNoShim says that this binary cannot run containers.
var ErrNoShim = errors.New("this binary was built without its shim: run make build")

// findShim returns where the shim that this binary carries is to be in a
// directory, under a name that holds its content's hash (the shims that run go
// on with theirs), and what writes it there unless it is there.
func findShim(dir string) (path string, write func() error, err error) {
	packed, err := embedded.ReadFile("embed/minato-shim.gz")
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, ErrNoShim
	}
	if err != nil {
		return "", nil, err
	}
	sum := sha256.Sum256(packed)
	path = filepath.Join(dir, "minato-shim-"+hex.EncodeToString(sum[:6]))
	if _, err := os.Stat(path); err == nil {
		return path, func() error { return nil }, nil
	}
	return path, func() error { return unpackShim(packed, path) }, nil
}

func unpackShim(packed []byte, path string) error {
	zr, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return fmt.Errorf("the shim within this binary: %w", err)
	}
	program, err := io.ReadAll(zr)
	if err != nil {
		return fmt.Errorf("the shim within this binary: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o711); err != nil {
		return err
	}
	// Renamed into place: a shim that was written in part must never be run.
	tmp := path + ".new"
	if err := os.WriteFile(tmp, program, 0o755); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
