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
	"sync"
)

//go:embed embed
var embedded embed.FS

// ErrNoShim says that this binary cannot run containers.
var ErrNoShim = errors.New("this binary was built without its shim: run make build")

// The programs that this binary carries.
const (
	shimProgram   = "minato-shim"
	helperProgram = "minato-helper"
)

// findProgram returns where a program that this binary carries is to be in a
// directory, under a name that holds its content's hash (those that run go on
// with theirs), and what writes it there unless it is there.
func findProgram(dir, name string) (path string, write func() error, err error) {
	packed, err := embedded.ReadFile("embed/" + name + ".gz")
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, ErrNoShim
	}
	if err != nil {
		return "", nil, err
	}
	sum := sha256.Sum256(packed)
	path = filepath.Join(dir, name+"-"+hex.EncodeToString(sum[:6]))
	if _, err := os.Stat(path); err == nil {
		return path, func() error { return nil }, nil
	}
	return path, func() error { return unpackProgram(packed, path) }, nil
}

func unpackProgram(packed []byte, path string) error {
	zr, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return fmt.Errorf("%s within this binary: %w", path, err)
	}
	program, err := io.ReadAll(zr)
	if err != nil {
		return fmt.Errorf("%s within this binary: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o711); err != nil {
		return err
	}
	// Renamed into place: a program that was written in part must never be run.
	tmp := path + ".new"
	if err := os.WriteFile(tmp, program, 0o755); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// findPrograms finds the shim and the helper; what the options name is taken as
// it is.
func (r *Runtime) findPrograms() error {
	dir := filepath.Join(r.o.DataDir, "bin")
	var writes []func() error
	for _, p := range []struct {
		name  string
		given string
		path  *string
	}{{shimProgram, r.o.Shim, &r.shim}, {helperProgram, r.o.Helper, &r.helper}} {
		if *p.path = p.given; p.given != "" {
			continue
		}
		path, write, err := findProgram(dir, p.name)
		if err != nil {
			return err
		}
		*p.path, writes = path, append(writes, write)
	}
	r.shimReady = sync.OnceValue(func() error {
		for _, write := range writes {
			if err := write(); err != nil {
				return err
			}
		}
		return nil
	})
	r.wg.Go(func() { _ = r.shimReady() }) // whoever needs it is told of an error
	return nil
}
