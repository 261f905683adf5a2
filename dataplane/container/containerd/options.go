package containerd

import (
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"path/filepath"
)

// Options say where the runtime keeps its things.
type Options struct {
	// InstanceID is on everything that is made on the host.
	InstanceID string
	// DataDir is the runtime's own directory, kept over reboots.
	DataDir string
	// RunDir is the runtime's own directory for sockets and mounts: a short path
	// on a file system that is empty after a reboot.
	RunDir string
	// MountRoots are the directories below which the sources of mounts must be.
	MountRoots []string
	// Shim is the minato-shim program; "" is the one within this binary.
	Shim string
	// Helper is the minato-helper program; "" is the one within this binary.
	Helper string
	Log    *slog.Logger
}

// maxRunDir leaves room for the shims' sockets, whose paths may have 107 bytes:
// <run>/s/ and 64 hexadecimal digits.
const maxRunDir = 107 - len("/s/") - 64

func (o *Options) check() (runc string, err error) {
	switch {
	case o.InstanceID == "":
		return "", errors.New("container runtime: no instance id")
	case !filepath.IsAbs(o.DataDir) || !filepath.IsAbs(o.RunDir):
		return "", errors.New("container runtime: its directories must be absolute")
	case len(o.RunDir) > maxRunDir:
		return "", fmt.Errorf("container runtime: %s is too long a path for sockets (%d bytes at most)", o.RunDir, maxRunDir)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	runc, err = exec.LookPath("runc")
	if err != nil {
		return "", fmt.Errorf("container runtime: runc is needed (apt-get install runc, or make setup): %w", err)
	}
	return filepath.Abs(runc)
}

func (o *Options) engineRoot() string  { return filepath.Join(o.DataDir, "engine") }
func (o *Options) engineState() string { return filepath.Join(o.RunDir, "e") }
func (o *Options) engineLog() string   { return filepath.Join(o.DataDir, "containerd.log") }
func (o *Options) socket() string      { return filepath.Join(o.RunDir, "c.sock") }
func (o *Options) socketDir() string   { return filepath.Join(o.RunDir, "s") }
func (o *Options) runcRoot() string    { return filepath.Join(o.RunDir, "runc") }
func (o *Options) fifoDir() string     { return filepath.Join(o.RunDir, "f") }
func (o *Options) rootDir() string     { return filepath.Join(o.RunDir, "roots") }
func (o *Options) groupsDir() string   { return filepath.Join(o.DataDir, "groups") }
func (o *Options) cgroup() string      { return "/minato-" + o.InstanceID }

// bundle is where containerd and the shim keep a task.
func (o *Options) bundle(id string) string {
	return filepath.Join(o.engineState(), "io.containerd.runtime.v2.task", namespace, id)
}
