package database

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"minato/internal/durable"
	"minato/internal/ids"
)

// idPattern is what names a server or snapshot: it becomes a directory.
var idPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,99}$`)

// The user ids of servers: far above those of people, services and subuids.
const (
	firstUID = 1_650_000_000
	lastUID  = firstUID + 65_000
)

// record is server.json: what we know of a server besides its data.
type record struct {
	ID          string            `json:"id"`
	Engine      string            `json:"engine"`
	Product     string            `json:"product"`
	Version     string            `json:"version"`
	UID         int               `json:"uid"`
	Provisioned bool              `json:"provisioned"` // the master user was made
	Started     map[string]string `json:"started"`     // the parameters of the last start
}

type layout struct{ root string }

func (l layout) servers() string           { return filepath.Join(l.root, "servers") }
func (l layout) server(id string) string   { return filepath.Join(l.root, "servers", id) }
func (l layout) home(id string) string     { return filepath.Join(l.server(id), "home") }
func (l layout) run(id string) string      { return filepath.Join(l.home(id), "run") }
func (l layout) data(id string) string     { return filepath.Join(l.home(id), "data") }
func (l layout) snapshots() string         { return filepath.Join(l.root, "snapshots") }
func (l layout) snapshot(id string) string { return filepath.Join(l.root, "snapshots", id) }
func (l layout) template(p Product) string {
	return filepath.Join(l.root, "templates", strings.ToLower(p.Name)+"-"+p.Version)
}

// unfinished is a new directory for something that is not whole yet; it has a
// name that is no id, and goes at the next start if it was left.
func (l layout) unfinished(below string) (string, error) {
	dir := filepath.Join(below, ".new-"+ids.Alnum(12))
	return dir, os.MkdirAll(dir, 0o700)
}

// sweep removes what a crash left half made.
func (l layout) sweep() error {
	var errs []error
	for _, below := range []string{l.servers(), l.snapshots(), filepath.Join(l.root, "templates")} {
		if err := os.MkdirAll(below, 0o700); err != nil {
			return err
		}
		names, err := filepath.Glob(filepath.Join(below, ".*"))
		errs = append(errs, err)
		for _, name := range names {
			errs = append(errs, os.RemoveAll(name))
		}
	}
	return errors.Join(errs...)
}

// remove makes a directory vanish at once, and then its content.
func remove(dir string) error {
	gone := filepath.Join(filepath.Dir(dir), ".gone-"+ids.Alnum(12))
	err := os.Rename(dir, gone)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.RemoveAll(gone)
}

// list returns the ids below a directory.
func list(below string) ([]string, error) {
	entries, err := os.ReadDir(below)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, e := range entries {
		if idPattern.MatchString(e.Name()) {
			found = append(found, e.Name())
		}
	}
	return found, nil
}

func readJSON(name string, v any) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// makeHome makes the directories of home: those the server writes are its own.
func makeHome(home string, uid int) error {
	if err := os.Mkdir(home, 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(home, "conf"), 0o755); err != nil {
		return err
	}
	for _, name := range []string{"data", "run", "tmp"} {
		dir := filepath.Join(home, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		if err := os.Chown(dir, uid, uid); err != nil {
			return err
		}
	}
	return nil
}

// writeConf writes the files of conf, readable for the server, not writable.
func writeConf(home string, files map[string]string) error {
	for name, content := range files {
		if err := durable.Write(filepath.Join(home, "conf", name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// freeUID returns a user id that no server has.
func (l layout) freeUID() (int, error) {
	taken := map[int]bool{}
	found, err := list(l.servers())
	if err != nil {
		return 0, err
	}
	for _, id := range found {
		var r record
		if err := readJSON(filepath.Join(l.server(id), "server.json"), &r); err != nil {
			return 0, err
		}
		taken[r.UID] = true
	}
	for uid := firstUID; uid < lastUID; uid++ {
		if !taken[uid] {
			return uid, nil
		}
	}
	return 0, errors.New("no user id is left for another database server")
}
