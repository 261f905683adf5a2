// Package instance knows where one minato keeps its things: the data
// directory, its id, what the running daemon says of itself, the admin's keys.
// The daemon writes these files, the commands read them.
package instance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"minato/internal/durable"
	"minato/internal/ids"
)

// DefaultDataDir is where minato keeps its data unless told otherwise.
const DefaultDataDir = "/var/lib/minato"

// runRoot holds a folder of sockets per instance; paths stay short because a
// unix socket's may have 107 bytes.
const runRoot = "/run/minato"

// Instance is one minato on this machine, found by its data directory.
type Instance struct {
	DataDir string
	ID      string // 6 hexadecimal digits, on everything the instance makes on the host
}

// State is what the daemon tells of itself once it is ready.
type State struct {
	PID            int    `json:"pid,omitempty"`  // of the daemon that answers
	Endpoint       string `json:"endpoint"`       // http://127.0.0.1:4566
	Region         string `json:"region"`         // us-east-1
	Account        string `json:"account"`        // 12 digits
	PublicCIDR     string `json:"publicCidr"`     // the pool of public addresses
	ServiceAddress string `json:"serviceAddress"` // AWS's services themselves, in the pool
	HostNames      bool   `json:"hostNames"`      // whether this instance holds the names on the host
	Version        string `json:"version"`
}

// Keys are the access keys of the IAM user admin. They equal root on this machine.
type Keys struct {
	AccessKeyID     string `json:"accessKeyId"`
	SecretAccessKey string `json:"secretAccessKey"`
}

// ErrNotRunning says that no daemon answers for the data directory.
var ErrNotRunning = errors.New("minato is not running")

var idPattern = regexp.MustCompile(`^[0-9a-f]{6}$`)

// Find returns the instance of a data directory that `up` has made before.
func Find(dataDir string) (Instance, error) {
	b, err := os.ReadFile(filepath.Join(dataDir, "instance-id"))
	if errors.Is(err, fs.ErrNotExist) {
		return Instance{}, fmt.Errorf("%w: there is no instance in %s (minato up makes one; --data-dir or MINATO_DATA_DIR names another place)", ErrNotRunning, dataDir)
	}
	if err != nil {
		return Instance{}, err
	}
	id := strings.TrimSpace(string(b))
	if !idPattern.MatchString(id) {
		return Instance{}, fmt.Errorf("%s/instance-id holds %q, which is no instance id", dataDir, id)
	}
	return Instance{DataDir: dataDir, ID: id}, nil
}

// Open returns the instance of a data directory, made if need be.
func Open(dataDir string) (Instance, error) {
	dataDir, err := filepath.Abs(dataDir)
	if err != nil {
		return Instance{}, err
	}
	in, err := Find(dataDir)
	if err == nil || !errors.Is(err, ErrNotRunning) {
		return in, err
	}
	if err := os.MkdirAll(dataDir, 0o711); err != nil {
		return Instance{}, err
	}
	in = Instance{DataDir: dataDir, ID: ids.Hex(6)}
	return in, writeFile(in.Path("instance-id"), []byte(in.ID+"\n"), 0o644)
}

// Path returns a path within the data directory.
func (in Instance) Path(elem ...string) string {
	return filepath.Join(append([]string{in.DataDir}, elem...)...)
}

// RunDir is the instance's folder of sockets and pins, gone after a reboot.
func (in Instance) RunDir() string { return filepath.Join(runRoot, in.ID) }

// ControlSocket is where the daemon listens for its own commands, mode 0600.
func (in Instance) ControlSocket() string { return filepath.Join(in.RunDir(), "control.sock") }

// RemoveRunDir removes the instance's run folder, and the root of all of them
// when it was the last.
func (in Instance) RemoveRunDir() error {
	if err := os.RemoveAll(in.RunDir()); err != nil {
		return err
	}
	if err := os.Remove(runRoot); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTEMPTY) && !errors.Is(err, syscall.EEXIST) {
		return err
	}
	return nil
}

// WriteState records what the ready daemon is. Its process is not part of that:
// so the next daemon, which says the same, needs no room for it.
func (in Instance) WriteState(s State) error {
	s.PID = 0
	return in.writeJSON("instance.json", s, 0o644)
}

// State returns what the daemon last said of itself; it may be dead by now.
func (in Instance) State() (State, error) {
	var s State
	err := in.readJSON("instance.json", &s)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %s has never been up", ErrNotRunning, in.DataDir)
	}
	return s, err
}

// Pool is the range of public addresses the instance was made with; invalid
// when it was never up.
func (in Instance) Pool() (netip.Prefix, error) {
	b, err := os.ReadFile(in.Path("public-cidr"))
	if errors.Is(err, fs.ErrNotExist) {
		return netip.Prefix{}, nil
	}
	if err != nil {
		return netip.Prefix{}, err
	}
	p, err := netip.ParsePrefix(strings.TrimSpace(string(b)))
	if err != nil {
		return p, fmt.Errorf("%s: %w", in.Path("public-cidr"), err)
	}
	return p, nil
}

// WritePool records the range, before anything on the host is made with it.
func (in Instance) WritePool(p netip.Prefix) error {
	return writeFile(in.Path("public-cidr"), []byte(p.String()+"\n"), 0o644)
}

// WriteKeys records the admin's keys, readable by root only.
func (in Instance) WriteKeys(k Keys) error { return in.writeJSON("admin.json", k, 0o600) }

// Keys returns the admin's keys.
func (in Instance) Keys() (Keys, error) {
	var k Keys
	err := in.readJSON("admin.json", &k)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %s has never been up", ErrNotRunning, in.DataDir)
	}
	return k, err
}

// Lock takes the instance for a daemon or for its removal; the second one to
// try is told who holds it. The lock ends with the process.
func (in Instance) Lock() (*os.File, error) {
	f, err := os.OpenFile(in.Path("lock"), os.O_RDWR|os.O_CREATE|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("another minato runs on %s (minato status; minato down)", in.DataDir)
		}
		return nil, err
	}
	return f, nil
}

func (in Instance) writeJSON(name string, v any, mode os.FileMode) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(in.Path(name), append(b, '\n'), mode)
}

func (in Instance) readJSON(name string, v any) error {
	b, err := os.ReadFile(in.Path(name))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", in.Path(name), err)
	}
	return nil
}

// writeFile replaces a file in one step: a reader sees the old or the new one. A
// file that says the same already is left alone, so that an instance comes up
// again on a disk with no room.
func writeFile(name string, b []byte, mode os.FileMode) error {
	if have, err := os.ReadFile(name); err == nil && bytes.Equal(have, b) {
		return os.Chmod(name, mode)
	}
	return durable.Write(name, b, mode)
}
