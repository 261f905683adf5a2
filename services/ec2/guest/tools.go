package guest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// toolsDir is where instances see the programs of Tools.
const toolsDir = "/opt/minato/bin"

// Install puts a program into a directory of its own below dir, under a name
// that changes when the program does, and returns the directory. Earlier ones
// stay for the instances that have them mounted.
func Install(dir, name, program string) (string, error) {
	src, err := os.Open(program)
	if err != nil {
		return "", err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return "", err
	}
	to := filepath.Join(dir, fmt.Sprintf("%x-%x", info.Size(), info.ModTime().UnixNano()))
	if _, err := os.Stat(filepath.Join(to, name)); !errors.Is(err, fs.ErrNotExist) {
		return to, err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return "", err
	}
	tmp, err := os.CreateTemp(to, ".new-*")
	if err != nil {
		return "", err
	}
	defer os.Remove(tmp.Name()) // fails harmlessly after the rename
	_, err = io.Copy(tmp, src)
	return to, errors.Join(err, tmp.Chmod(0o755), tmp.Close(), os.Rename(tmp.Name(), filepath.Join(to, name)))
}
