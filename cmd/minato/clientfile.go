package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"minato/daemon/instance"
)

// clientFile is where `sudo minato up` leaves the admin's keys for whoever ran it,
// so that minato env and minato aws need no sudo. These keys equal root on this
// machine: the file is that person's alone (0600).
type clientFile struct {
	UID  int    `json:"uid"`
	GID  int    `json:"gid"`
	Path string `json:"path"`
}

// clientFiles is the file of an instance that says which were left.
const clientFiles = "client-files.json"

// clientPath is where a person's client file for an instance is.
func clientPath(home string, in instance.Instance) string {
	return filepath.Join(home, ".config", "minato", in.ID+".json")
}

// invoker is who ran sudo; ok is false for root itself.
func invoker() (f clientFile, home string, ok bool) {
	uid, err := strconv.Atoi(os.Getenv("SUDO_UID"))
	if err != nil || uid == 0 || os.Getuid() != 0 {
		return f, "", false
	}
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return f, "", false
	}
	gid, err := strconv.Atoi(u.Gid)
	return clientFile{UID: uid, GID: gid}, u.HomeDir, err == nil && filepath.IsAbs(u.HomeDir)
}

// leaveClientFile leaves the keys for whoever ran sudo. It is written as that
// person: what is in a home can lead root anywhere.
func leaveClientFile(in instance.Instance, f clientFile, home string) error {
	keys, err := in.Keys()
	if err != nil {
		return err
	}
	b, err := json.Marshal(keys)
	if err != nil {
		return err
	}
	f.Path = clientPath(home, in)
	left, err := leftClientFiles(in)
	if err != nil {
		return err
	}
	// Noted first: a file that is not there is easily removed.
	left[f.Path] = f
	note, err := json.Marshal(left)
	if err == nil {
		err = os.WriteFile(in.Path(clientFiles), note, 0o600)
	}
	if err != nil {
		return err
	}
	return f.as(string(b), `umask 077 && mkdir -p "$(dirname "$1")" && cat >"$1.new" && mv -f "$1.new" "$1"`)
}

func leftClientFiles(in instance.Instance) (map[string]clientFile, error) {
	left := map[string]clientFile{}
	b, err := os.ReadFile(in.Path(clientFiles))
	if errors.Is(err, fs.ErrNotExist) {
		return left, nil
	}
	if err != nil {
		return nil, err
	}
	return left, json.Unmarshal(b, &left)
}

// removeClientFiles removes what was left in homes; purge takes the keys with it.
func removeClientFiles(in instance.Instance) error {
	left, err := leftClientFiles(in)
	if err != nil {
		return err
	}
	var errs []error
	for _, f := range left {
		errs = append(errs, f.as("", `rm -f "$1" "$1.new"; rmdir "$(dirname "$1")" 2>/dev/null; true`))
	}
	return errors.Join(errs...)
}

// as runs a shell script about the file as its owner.
func (f clientFile) as(stdin, script string) error {
	cmd := exec.Command("/bin/sh", "-c", script, "sh", f.Path)
	cmd.Dir, cmd.Env, cmd.Stdin = "/", []string{"PATH=/usr/bin:/bin"}, strings.NewReader(stdin)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(f.UID), Gid: uint32(f.GID)}}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", f.Path, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// ownKeys are the keys that were left for the person who runs this.
func ownKeys(in instance.Instance) (instance.Keys, error) {
	var k instance.Keys
	home, err := os.UserHomeDir()
	if err != nil {
		return k, err
	}
	b, err := os.ReadFile(clientPath(home, in))
	if err != nil {
		return k, err
	}
	return k, json.Unmarshal(b, &k)
}
