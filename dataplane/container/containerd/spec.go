package containerd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/oci"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"minato/dataplane/container"
)

// groupAnnotation makes the containers of a group share one shim.
const groupAnnotation = "io.containerd.runc.v2.group"

const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// initPath is where a container that wants an init finds ours.
const initPath = "/dev/.minato-init"

// specOpts translates a container into OCI, beginning with containerd's default
// spec: masked paths, default devices and capabilities, all namespaces new.
func (r *Runtime) specOpts(c *ctr, img *container.Image) ([]oci.SpecOpts, error) {
	rec, g := c.rec.Container, r.recordOf(c.group)
	args, err := processArgs(rec, img)
	if c.isHolder() {
		args, err = []string{initPath, holderVerb}, nil
	}
	if err != nil {
		return nil, err
	}
	env, user, workDir := []string{defaultPath}, rec.User, rec.WorkDir
	if img != nil {
		env = append(env, img.Env...)
		if user == "" {
			user = img.User
		}
		if workDir == "" {
			workDir = img.WorkDir
		}
	}
	if workDir == "" {
		workDir = "/"
	}
	if g.Hostname != "" {
		env = append(env, "HOSTNAME="+g.Hostname)
	}
	opts := []oci.SpecOpts{
		oci.WithoutRunMount,
		oci.WithEnv(append(env, rec.Env...)),
		oci.WithProcessCwd(workDir),
		oci.WithCgroup(r.cgroupOf(c)),
		oci.WithAnnotations(map[string]string{groupAnnotation: g.ID}),
	}
	if g.Hostname != "" {
		opts = append(opts, oci.WithHostname(g.Hostname))
	}
	if g.Netns != "" {
		opts = append(opts, oci.WithLinuxNamespace(specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: g.Netns}))
	}
	if rec.Root != nil {
		opts = append(opts, oci.WithRootFSPath(r.hostRootDir(rec.ID)), oci.WithRootFSReadonly())
	} else if rec.ReadOnlyRoot {
		opts = append(opts, oci.WithRootFSReadonly())
	}
	if user != "" {
		opts = append(opts, oci.WithUser(user), oci.WithAdditionalGIDs(strings.SplitN(user, ":", 2)[0]))
	}
	if rec.Init {
		args = append([]string{initPath, "init"}, args...)
	}
	opts = append(opts, oci.WithProcessArgs(args...))
	mounts, err := r.mounts(c)
	if err != nil {
		return nil, err
	}
	opts = append(opts, oci.WithMounts(mounts))
	if rec.ShmSize > 0 {
		opts = append(opts, oci.WithDevShmSize(rec.ShmSize/1024))
	}
	if m := rec.UserNamespace; m != nil {
		ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: m.Host, Size: m.Size}}
		opts = append(opts, oci.WithUserNamespace(ids, ids), withHostSysfs)
	}
	opts = append(opts, limitOpts(rec)...)
	return append(opts, securityOpts(rec)...), nil
}

// processArgs is what docker makes of entrypoints and commands.
func processArgs(rec container.Container, img *container.Image) ([]string, error) {
	entrypoint, command := rec.Entrypoint, rec.Command
	if img != nil {
		if entrypoint == nil {
			entrypoint = img.Entrypoint
			if command == nil {
				command = img.Command
			}
		}
	}
	args := slices.Concat(entrypoint, command)
	if len(args) == 0 || args[0] == "" {
		return nil, fmt.Errorf("container %s: %w: no command specified", rec.ID, container.ErrStart)
	}
	return args, nil
}

// mounts are the group's files, our init and what was asked for.
func (r *Runtime) mounts(c *ctr) ([]specs.Mount, error) {
	rec := c.rec.Container
	hosts := filepath.Join(c.group.dir, "hosts")
	if len(rec.ExtraHosts) > 0 {
		hosts = filepath.Join(c.dir, "hosts")
		if err := os.WriteFile(hosts, []byte(hostsText(r.recordOf(c.group).Hosts, rec.ExtraHosts)), 0o644); err != nil {
			return nil, err
		}
	}
	out := []specs.Mount{
		bind(hosts, "/etc/hosts"),
		bind(filepath.Join(c.group.dir, "resolv.conf"), "/etc/resolv.conf"),
		bind(filepath.Join(c.group.dir, "hostname"), "/etc/hostname"),
	}
	if rec.Init || c.isHolder() {
		out = append(out, bind(r.helper, initPath, "ro"))
	}
	if rec.Root != nil {
		binds, err := hostBinds(rec.Root)
		if err != nil {
			return nil, err
		}
		out = append(out, binds...)
	}
	for _, m := range rec.Mounts {
		s, err := r.mount(m)
		if err != nil {
			return nil, fmt.Errorf("container %s: mount %s: %w", rec.ID, m.Target, err)
		}
		out = append(out, s)
	}
	// A mount below another one comes after it.
	slices.SortStableFunc(out, func(a, b specs.Mount) int { return depth(a.Destination) - depth(b.Destination) })
	return out, nil
}

// depth is how far below the root a path is.
func depth(path string) int { return strings.Count(filepath.Clean(path), "/") }

func bind(source, target string, options ...string) specs.Mount {
	return specs.Mount{Type: "bind", Source: source, Destination: target, Options: append([]string{"rbind", "rprivate", "nosuid", "nodev"}, options...)}
}

func (r *Runtime) mount(m container.Mount) (specs.Mount, error) {
	var more []string
	if m.ReadOnly {
		more = append(more, "ro")
	}
	if m.NoExec {
		more = append(more, "noexec")
	}
	if m.Source == "" {
		mode := uint32(m.Mode.Perm())
		if m.Mode == 0 {
			mode = 0o1777
		}
		options := append([]string{"nosuid", "nodev", fmt.Sprintf("mode=%o", mode)}, more...)
		if m.Size > 0 {
			options = append(options, fmt.Sprintf("size=%d", m.Size))
		}
		options = append(options, m.Options...)
		return specs.Mount{Type: "tmpfs", Source: "tmpfs", Destination: m.Target, Options: options}, nil
	}
	source, err := filepath.EvalSymlinks(m.Source)
	if err != nil {
		return specs.Mount{}, err
	}
	for _, root := range r.o.MountRoots {
		// A link, which a container may have made, must not lead from one to another.
		real, err := filepath.EvalSymlinks(root)
		if err == nil && within(source, real) && (within(m.Source, root) || within(m.Source, real)) {
			return bind(source, m.Target, more...), nil
		}
	}
	return specs.Mount{}, fmt.Errorf("%s is not below a directory that containers may mount", m.Source)
}

func within(path, root string) bool {
	return path == root || strings.HasPrefix(path, strings.TrimSuffix(root, "/")+"/")
}

// withHostSysfs replaces the mount of sysfs, which the kernel allows only to the
// owner of the network namespace: in a user namespace that is somebody else.
func withHostSysfs(_ context.Context, _ oci.Client, _ *containers.Container, s *oci.Spec) error {
	for i, m := range s.Mounts {
		if m.Destination == "/sys" {
			s.Mounts[i] = bind("/sys", "/sys", "ro", "noexec")
		}
	}
	return nil
}

func limitOpts(rec container.Container) []oci.SpecOpts {
	var opts []oci.SpecOpts
	l := rec.Limits
	if l.CPUShares > 0 {
		opts = append(opts, oci.WithCPUShares(max(l.CPUShares, 2)))
	}
	if l.CPUs > 0 {
		opts = append(opts, oci.WithCPUCFS(int64(l.CPUs*cpuPeriod), cpuPeriod))
	}
	if l.Memory > 0 {
		opts = append(opts, oci.WithMemoryLimit(uint64(l.Memory)))
	}
	if l.PIDs > 0 {
		opts = append(opts, oci.WithPidsLimit(l.PIDs))
	}
	return append(opts, func(_ context.Context, _ oci.Client, _ *containers.Container, s *oci.Spec) error {
		if l.MemoryReservation > 0 {
			if s.Linux.Resources.Memory == nil {
				s.Linux.Resources.Memory = &specs.LinuxMemory{}
			}
			s.Linux.Resources.Memory.Reservation = &l.MemoryReservation
		}
		for _, u := range rec.Ulimits {
			want := rlimit(u)
			s.Process.Rlimits = slices.DeleteFunc(s.Process.Rlimits, func(x specs.POSIXRlimit) bool { return x.Type == want.Type })
			s.Process.Rlimits = append(s.Process.Rlimits, want)
		}
		for k, v := range rec.Sysctls {
			if s.Linux.Sysctl == nil {
				s.Linux.Sysctl = map[string]string{}
			}
			s.Linux.Sysctl[k] = v
		}
		return nil
	})
}

func securityOpts(rec container.Container) []oci.SpecOpts {
	opts := []oci.SpecOpts{func(_ context.Context, _ oci.Client, _ *containers.Container, s *oci.Spec) error {
		s.Process.NoNewPrivileges = rec.NoNewPrivs
		s.Process.Terminal = rec.TTY
		return nil
	}}
	if slices.Contains(rec.DropCaps, "ALL") {
		opts = append(opts, oci.WithCapabilities(nil))
	} else if len(rec.DropCaps) > 0 {
		opts = append(opts, oci.WithDroppedCapabilities(capNames(rec.DropCaps)))
	}
	if len(rec.AddCaps) > 0 {
		opts = append(opts, oci.WithAddedCapabilities(capNames(rec.AddCaps)))
	}
	// After the capabilities: the profile allows what they need.
	return append(opts, seccomp.WithDefaultProfile())
}

func capNames(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = strings.ToUpper(n)
		if !strings.HasPrefix(out[i], "CAP_") {
			out[i] = "CAP_" + out[i]
		}
	}
	return out
}
