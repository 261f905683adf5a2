package containerd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/errdefs"
	"golang.org/x/sync/errgroup"

	"minato/dataplane/container"
)

// EnsureGroup implements container.Runtime.
func (r *Runtime) EnsureGroup(_ context.Context, rec container.Group) error {
	if err := checkID("group", rec.ID); err != nil {
		return err
	}
	dir := filepath.Join(r.o.groupsDir(), rec.ID)
	if err := os.MkdirAll(filepath.Join(dir, "c"), 0o711); err != nil {
		return err
	}
	for name, text := range map[string]string{
		"hosts":       hostsText(rec.Hosts, nil),
		"resolv.conf": resolvText(rec.DNS),
		"hostname":    rec.Hostname + "\n",
	} {
		// Written in place: the files may be bind-mounted into containers already.
		if err := keepFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return err
		}
	}
	if err := r.cg.make(r.groupCgroup(rec.ID), rec.Limits); err != nil {
		return err
	}
	if err := writeJSON(filepath.Join(dir, groupFile), rec); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if g := r.groups[rec.ID]; g != nil {
		g.rec = rec
	} else {
		r.groups[rec.ID] = newGroup(dir, rec)
	}
	return nil
}

// recordOf is a group as it was last ensured.
func (r *Runtime) recordOf(g *group) container.Group {
	r.mu.Lock()
	defer r.mu.Unlock()
	return g.rec
}

func (r *Runtime) groupCgroup(id string) string { return r.o.cgroup() + "/" + id }

func (r *Runtime) cgroupOf(c *ctr) string { return r.groupCgroup(c.rec.Group) + "/" + c.rec.ID }

// DeleteGroup implements container.Runtime.
func (r *Runtime) DeleteGroup(ctx context.Context, id string) error {
	r.mu.Lock()
	g := r.groups[id]
	var members []string
	for cid, c := range r.ctrs {
		if c.rec.Group == id {
			members = append(members, cid)
		}
	}
	r.mu.Unlock()
	if g == nil {
		return nil
	}
	var eg errgroup.Group
	for _, cid := range members {
		eg.Go(func() error { return r.Delete(ctx, cid) })
	}
	if err := eg.Wait(); err != nil {
		return err
	}
	if err := r.cg.remove(r.groupCgroup(id)); err != nil {
		return err
	}
	// The record goes first: without it the rest is swept at the next start.
	if err := os.Remove(filepath.Join(g.dir, groupFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := removeAll(g.dir); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.groups, id)
	return nil
}

// Written implements container.Runtime.
func (r *Runtime) Written(ctx context.Context, id string) (int64, error) {
	r.mu.Lock()
	g := r.groups[id]
	var members []string
	for cid, c := range r.ctrs {
		if c.rec.Group == id && c.rec.Root == nil {
			members = append(members, cid)
		}
	}
	r.mu.Unlock()
	if g == nil {
		return 0, fmt.Errorf("group %s: %w", id, container.ErrNotFound)
	}
	var sum int64
	for _, cid := range members {
		u, err := r.eng.client.SnapshotService(snapshotter).Usage(withNamespace(ctx), cid)
		if err != nil && !errdefs.IsNotFound(err) {
			return 0, err
		}
		sum += u.Size
	}
	return sum, nil
}

// hostsText is an /etc/hosts as docker and ECS write it.
func hostsText(entries, more []container.HostEntry) string {
	var b strings.Builder
	b.WriteString("127.0.0.1 localhost\n")
	for _, list := range [][]container.HostEntry{entries, more} {
		for _, e := range list {
			fmt.Fprintf(&b, "%s %s\n", e.Addr, strings.Join(e.Names, " "))
		}
	}
	return b.String()
}

func resolvText(d container.DNS) string {
	var b strings.Builder
	for _, s := range d.Servers {
		fmt.Fprintf(&b, "nameserver %s\n", s)
	}
	if len(d.Search) > 0 {
		fmt.Fprintf(&b, "search %s\n", strings.Join(d.Search, " "))
	}
	if len(d.Options) > 0 {
		fmt.Fprintf(&b, "options %s\n", strings.Join(d.Options, " "))
	}
	return b.String()
}
