// Package durable replaces files: at whatever moment the process or the machine
// stops, the old content or the new one is there, whole.
package durable

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
)

// Write replaces a file, or makes it. Once it has returned, the content is there
// for good.
func Write(name string, content []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone after the rename
	_, err = f.Write(content)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err == nil {
		err = SyncDir(filepath.Dir(name)) // or the file could have its old name again
	}
	return err
}

// WriteJSON is Write with the JSON of a value, for people to read too.
func WriteJSON(name string, v any, mode fs.FileMode) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return Write(name, append(b, '\n'), mode)
}

// SyncDir makes lasting what was made, renamed and removed in a directory.
func SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
