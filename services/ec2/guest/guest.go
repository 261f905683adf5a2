// Package guest says what instances see of the machine: an instance is a
// container over the machine's own programs.
//
// Of the machine's files it sees programs and libraries, read-only, with an /etc
// of its own; what it writes is in its home (kept until it is terminated) and in
// /tmp. It runs under a user that the machine does not know, without
// capabilities, in the namespace of its network interface. What it may do on AWS
// is in its instance profile, nowhere else.
package guest

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"minato/dataplane/container"
)

// Config is what all instances are given.
type Config struct {
	Dir       string   // holds the homes, below a directory the runtime mounts from
	CA        []byte   // PEM of minato's own authority, added to the public ones
	Endpoint  string   // of the API, as AWS_ENDPOINT_URL; "" leaves it out
	Variables []string // further ones of the environment, NAME=value
	// Tools returns a directory of programs for all instances, below Dir, made when
	// the first instance starts; nil for none.
	Tools func() (string, error)
}

// What the user of an instance is called, and where it is at home.
const (
	user = "ec2-user"
	home = "/home/ec2-user"

	// Start is where a terminal begins.
	Start = home + "/environment"

	caBundle = "/etc/ssl/certs/ca-certificates.crt"
)

// paths are the parts of the machine that an instance sees, where there are.
var paths = []string{
	"/usr", "/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime", "/etc/timezone", "/etc/terminfo",
	"/etc/services", "/etc/protocols", "/etc/inputrc", "/etc/mime.types", "/etc/magic", "/etc/bash_completion.d",
}

// uidOf is the user an instance runs as: a number of its own, far above
// those that machines give.
func uidOf(instance string) int {
	h := fnv.New32a()
	h.Write([]byte(instance))
	return 1<<29 + int(h.Sum32()&0xfffff)
}

// Home is an instance's home on the machine.
func (c *Config) Home(instance string) string { return filepath.Join(c.Dir, instance) }

// MakeHome makes an instance's home if need be.
func (c *Config) MakeHome(instance string) error {
	uid, dir := uidOf(instance), c.Home(instance)
	if err := os.MkdirAll(c.Dir, 0o711); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := os.Mkdir(filepath.Join(dir, "environment"), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return errors.Join(os.Lchown(filepath.Join(dir, "environment"), uid, uid), os.Lchown(dir, uid, uid))
}

// Container is the container with an id, of an instance in a region.
func (c *Config) Container(id, instance, region string) (container.Container, error) {
	uid := uidOf(instance)
	out := container.Container{
		ID: id, Group: id, Labels: map[string]string{"instance": instance},
		Root:       c.root(uid),
		Entrypoint: []string{"/bin/sleep"}, Command: []string{"infinity"},
		Env: c.Env(region), User: fmt.Sprintf("%d:%d", uid, uid), WorkDir: home,
		Mounts: []container.Mount{
			{Source: c.Home(instance), Target: home},
			{Target: "/tmp"},
			{Target: "/var/tmp"},
			{Target: "/run", Mode: 0o755},
		},
		ReadOnlyRoot: true, DropCaps: []string{"ALL"}, NoNewPrivs: true, Init: true, NoLog: true,
	}
	if c.Tools == nil {
		return out, nil
	}
	tools, err := c.Tools()
	out.Mounts = append(out.Mounts, container.Mount{Source: tools, Target: toolsDir, ReadOnly: true})
	return out, err
}

// Env is the environment of an instance's processes.
func (c *Config) Env(region string) []string {
	env := []string{
		"PATH=" + toolsDir + ":/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin", "HOME=" + home, "USER=" + user, "LOGNAME=" + user, "SHELL=/bin/bash",
		"LANG=C.UTF-8", "AWS_REGION=" + region, "AWS_DEFAULT_REGION=" + region,
		// Programs that bring authorities of their own are shown ours.
		"AWS_CA_BUNDLE=" + caBundle, "SSL_CERT_FILE=" + caBundle,
	}
	if c.Endpoint != "" {
		env = append(env, "AWS_ENDPOINT_URL="+c.Endpoint)
	}
	return append(env, c.Variables...)
}

// root is the file system of an instance.
func (c *Config) root(uid int) *container.HostRoot {
	root := &container.HostRoot{
		Paths: append([]string(nil), paths...),
		Dirs:  []string{home, "/tmp", "/var/tmp", "/run", "/mnt", "/opt"},
		Files: map[string]container.File{},
	}
	for _, name := range []string{"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"} {
		if info, err := os.Lstat(name); err == nil && info.Mode().Type() == fs.ModeSymlink {
			root.Paths = append(root.Paths, name)
		}
	}
	file := func(name, content string) { root.Files[name] = container.File{Content: []byte(content), Mode: 0o644} }
	file("/etc/passwd", fmt.Sprintf("root:x:0:0:root:/root:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n%s:x:%d:%d:EC2 Default User:%s:/bin/bash\n", user, uid, uid, home))
	file("/etc/group", fmt.Sprintf("root:x:0:\nnogroup:x:65534:\n%s:x:%d:\n", user, uid))
	file("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n")
	file("/etc/host.conf", "multi on\n")
	file("/etc/shells", "/bin/sh\n/bin/bash\n")
	file("/etc/profile", "umask 022\n[ -n \"$BASH\" ] && [ -r /etc/bash.bashrc ] && . /etc/bash.bashrc\n")
	file("/etc/bash.bashrc", "case $- in *i*) ;; *) return ;; esac\nshopt -s checkwinsize\nPS1='\\u:\\w \\$ '\n")
	// What skopeo and buildah want: any image, and short names are docker.io's.
	file("/etc/containers/policy.json", `{"default":[{"type":"insecureAcceptAnything"}]}`+"\n")
	file("/etc/containers/registries.conf", "unqualified-search-registries = [\"docker.io\"]\n")
	public, err := os.ReadFile(caBundle)
	if err != nil {
		public = nil // a machine without the package: only our own authority is trusted
	}
	file(caBundle, strings.TrimRight(string(public), "\n")+"\n"+string(c.CA))
	if release, err := os.ReadFile("/usr/lib/os-release"); err == nil {
		file("/etc/os-release", string(release))
	}
	return root
}
