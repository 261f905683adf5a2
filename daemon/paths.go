package daemon

import (
	"path/filepath"

	"minato/daemon/instance"
)

// Where the rooms keep their things. Down uses the same places, also when the
// daemon is dead.

func networkDir(in instance.Instance) string    { return filepath.Join(in.RunDir(), "net") }
func runtimeDir(in instance.Instance) string    { return in.Path("containers") }
func runtimeRunDir(in instance.Instance) string { return filepath.Join(in.RunDir(), "c") }
