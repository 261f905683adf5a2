package containerd

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"minato/internal/clock"
)

// When a shim that nothing knows of is taken for a stray one: it is seen twice,
// so that one that is being started is left alone.
const (
	strayFirst  = 5 * time.Second
	straySecond = 10 * time.Second
)

// doubtful notes that there may be stray shims: a containerd that is killed
// between starting one and writing down where it listens never finds it again.
func (r *Runtime) doubtful() {
	select {
	case r.doubt <- struct{}{}:
	default: // noted already
	}
}

// endStrays ends stray shims.
func (r *Runtime) endStrays() {
	wait := func(d time.Duration) bool { return clock.Sleep(r.ctx, clock.Real(1), d) == nil }
	for {
		select {
		case <-r.doubt:
		case <-r.ctx.Done():
			return
		}
		if !wait(strayFirst) {
			return
		}
		seen := r.strays()
		if len(seen) == 0 {
			continue
		}
		if !wait(straySecond) {
			return
		}
		for pid, id := range r.strays() {
			if seen[pid] != id {
				continue
			}
			r.o.Log.Info("a shim that containerd lost is ended", "pid", pid, "container", id)
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				r.o.Log.Warn("a stray shim stays", "pid", pid, "err", err)
			}
		}
	}
}

// strays are the shims of this engine whose socket no task of containerd's names,
// with the ids of the containers that they were started for.
func (r *Runtime) strays() map[int]string {
	shims := r.shims()
	if len(shims) == 0 {
		return nil
	}
	named := map[string]bool{}
	bundles, _ := filepath.Glob(r.o.bundle("*"))
	for _, dir := range bundles {
		b, err := os.ReadFile(filepath.Join(dir, "bootstrap.json"))
		if err != nil {
			continue // its task is being made, or taken down
		}
		var at struct{ Address string }
		if json.Unmarshal(b, &at) == nil {
			named[strings.TrimPrefix(at.Address, "unix://")] = true
		}
	}
	sockets := r.shimSockets()
	out := map[int]string{}
	for pid, id := range shims {
		if at := listensAt(pid, sockets); at != "" && !named[at] {
			out[pid] = id
		}
	}
	return out
}

// shims are the processes that were started as shims of this engine, with the
// ids of the containers that they were started for.
func (r *Runtime) shims() map[int]string {
	out := map[int]string{}
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil || !bytes.Contains(b, []byte(r.o.socket())) || !bytes.HasPrefix(b, []byte(r.shimPrefix())) {
			continue
		}
		args, id, ours := strings.Split(string(b), "\x00"), "", false
		for i, a := range args[:max(len(args)-1, 0)] {
			switch a {
			case "-id":
				id = args[i+1]
			case "-address":
				ours = args[i+1] == r.o.socket()
			}
		}
		if pid, err := strconv.Atoi(strings.Split(name, "/")[2]); err == nil && ours && id != "" {
			out[pid] = id
		}
	}
	return out
}

// shimPrefix is how the command lines of shims begin, those of earlier versions
// of this program too.
func (r *Runtime) shimPrefix() string {
	if r.o.Shim != "" {
		return r.o.Shim
	}
	return filepath.Join(r.o.DataDir, "bin", shimProgram) + "-"
}

// shimSockets are the sockets at which shims of this engine listen, by inode.
func (r *Runtime) shimSockets() map[string]string {
	b, err := os.ReadFile("/proc/thread-self/net/unix") // that of the process is its first thread's, wherever that is
	if err != nil {
		return nil
	}
	out := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 8 && strings.HasPrefix(f[7], r.o.socketDir()+"/") {
			out["socket:["+f[6]+"]"] = f[7]
		}
	}
	return out
}

// listensAt is the one of the sockets that a process holds, "" for none.
func listensAt(pid int, sockets map[string]string) string {
	files, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/fd/*")
	for _, name := range files {
		if to, err := os.Readlink(name); err == nil && sockets[to] != "" {
			return sockets[to]
		}
	}
	return ""
}
