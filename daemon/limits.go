package daemon

import "golang.org/x/sys/unix"

// openFiles is how many files a container's processes may be allowed to open,
// as with docker: a limit above our own could not be given to one in a user
// namespace.
const openFiles = 1 << 20

// raiseLimits raises this process's limit, and so its children's, if the
// machine lets it; where it does not, containers that ask for more do not
// start, and say why.
func raiseLimits() error {
	var have unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &have); err != nil {
		return err
	}
	if have.Max >= openFiles {
		return nil
	}
	return unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: openFiles, Max: openFiles})
}
