package relay

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// pack writes a directory as a tar: files, directories and links.
func pack(w io.Writer, dir string) error {
	t := tar.NewWriter(w)
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil || rel == "." {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() && !info.IsDir() && info.Mode().Type() != fs.ModeSymlink {
			return nil // sockets and devices are not part of a context
		}
		link := ""
		if info.Mode().Type() == fs.ModeSymlink {
			if link, err = os.Readlink(name); err != nil {
				return err
			}
		}
		h, err := tar.FileInfoHeader(info, link)
		if err != nil {
			return err
		}
		h.Name, h.Uid, h.Gid, h.Uname, h.Gname = filepath.ToSlash(rel), 0, 0, "", ""
		if err := t.WriteHeader(h); err != nil || !info.Mode().IsRegular() {
			return err
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.CopyN(t, f, h.Size)
		return err
	})
	if err != nil {
		return err
	}
	return t.Close()
}

// unpack reads a context into a directory that is empty. os.Root keeps every
// path inside; links that lead out are refused, because what builds from the
// directory does not use os.Root.
func unpack(r io.Reader, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	t := tar.NewReader(r)
	size := int64(0)
	for entries := 0; ; entries++ {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the build context is broken: %w", err)
		}
		if size += h.Size; size > maxContext || entries >= maxEntries {
			return fmt.Errorf("the build context is larger than %d bytes or %d files", int64(maxContext), maxEntries)
		}
		if err := put(root, t, h); err != nil {
			return fmt.Errorf("the build context: %s: %w", h.Name, err)
		}
	}
}

func put(root *os.Root, r io.Reader, h *tar.Header) error {
	name := path.Clean(h.Name)
	if !fs.ValidPath(name) || name == "." {
		return errors.New("not a path within the context")
	}
	if err := realParents(root, name); err != nil {
		return err
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	mode := fs.FileMode(h.Mode).Perm()
	switch h.Typeflag {
	case tar.TypeDir:
		if err := root.MkdirAll(name, 0o755); err != nil {
			return err
		}
		return root.Chmod(name, mode|0o700)
	case tar.TypeSymlink:
		if !linkInside(name, h.Linkname) {
			return fmt.Errorf("the link to %s leads out of the context", h.Linkname)
		}
		return root.Symlink(h.Linkname, name)
	case tar.TypeReg:
		f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode|0o600)
		if err != nil {
			return err
		}
		_, err = io.CopyN(f, r, h.Size)
		if e := f.Close(); err == nil {
			err = e
		}
		if err == nil {
			err = root.Chmod(name, mode|0o600)
		}
		return err
	}
	return fmt.Errorf("an entry of type %q", h.Typeflag)
}

// realParents refuses entries below a link: what ".." means there is not what
// it reads as.
func realParents(root *os.Root, name string) error {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		info, err := root.Lstat(dir)
		if err == nil && !info.IsDir() {
			return fmt.Errorf("%s is no directory", dir)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// linkInside tells whether a link, whose parents are real directories, stays
// within the context: it goes up first, not beyond the context, and then down.
// Going up after going down would depend on what other links make of it.
func linkInside(name, target string) bool {
	if path.IsAbs(target) {
		return false
	}
	depth, down := strings.Count(name, "/"), false
	for _, part := range strings.Split(target, "/") {
		switch part {
		case "", ".":
		case "..":
			if depth--; depth < 0 || down {
				return false
			}
		default:
			down = true
		}
	}
	return true
}
