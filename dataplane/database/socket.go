package database

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
)

// dialSocket connects to a Unix socket in a directory, however long the
// directory's path is: a socket's own may have 107 bytes only.
func dialSocket(ctx context.Context, dir, name string) (net.Conn, error) {
	// The directory is the server's. What it puts there instead of its socket, such
	// as a link to somebody else's, is not dialled.
	info, err := os.Lstat(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return nil, fmt.Errorf("%s is not a socket", filepath.Join(dir, name))
	}
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	var dialer net.Dialer
	return dialer.DialContext(ctx, "unix", fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), name))
}
