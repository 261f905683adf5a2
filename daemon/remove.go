package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// mountsBelow lists the mount points below a directory.
func mountsBelow(root string) ([]string, error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, line := range strings.Split(string(b), "\n") {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(unescapeMount(f[4]), root+"/") {
			out = append(out, unescapeMount(f[4]))
		}
	}
	return out, nil
}

// unescapeMount undoes the octal escapes of mountinfo.
func unescapeMount(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// removeTree removes a directory and what is below it on the same device; what
// cannot be removed is added to left.
func removeTree(name string, dev uint64, left *[]string) error {
	var st unix.Stat_t
	if err := unix.Lstat(name, &st); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	if st.Dev != dev {
		*left = append(*left, name+" is on another file system")
		return nil
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		entries, err := os.ReadDir(name)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := removeTree(filepath.Join(name, e.Name()), dev, left); err != nil {
				return err
			}
		}
	}
	err := os.Remove(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		*left = append(*left, fmt.Sprintf("%s: %v", name, errors.Unwrap(err)))
	}
	return nil
}
