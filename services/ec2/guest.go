package ec2

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"minato/aws"
	"minato/dataplane/container"
)

// Guest is what instances are given of the machine.
//
// An instance is a container: of the machine's files it sees programs and
// libraries, read-only, with an /etc of its own; what it writes is in its home
// (kept until it is terminated) and in /tmp. It runs under a user that the
// machine does not know, without capabilities, in the namespace of its network
// interface. What it may do on AWS is in its instance profile, nowhere else.
type Guest struct {
	Dir      string   // holds the homes, below a directory the runtime mounts from
	CA       []byte   // PEM of minato's own authority, added to the public ones
	Endpoint string   // of the API, as AWS_ENDPOINT_URL; "" leaves it out
	Env      []string // further variables, NAME=value
}

// What the user of an instance is called, and where it is at home.
const (
	guestUser = "ec2-user"
	guestHome = "/home/ec2-user"
	caBundle  = "/etc/ssl/certs/ca-certificates.crt"
)

// guestPaths are the parts of the machine that an instance sees, where there are.
var guestPaths = []string{
	"/usr", "/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime", "/etc/timezone", "/etc/terminfo",
	"/etc/services", "/etc/protocols", "/etc/inputrc", "/etc/mime.types", "/etc/magic", "/etc/bash_completion.d",
}

// guestUID is the user an instance runs as: a number of its own, far above
// those that machines give.
func guestUID(instance string) int {
	h := fnv.New32a()
	h.Write([]byte(instance))
	return 1<<29 + int(h.Sum32()&0xfffff)
}

// home is an instance's home on the machine.
func (g *Guest) home(instance string) string { return filepath.Join(g.Dir, instance) }

// makeHome makes an instance's home if need be.
func (g *Guest) makeHome(instance string) error {
	uid, dir := guestUID(instance), g.home(instance)
	if err := os.MkdirAll(g.Dir, 0o711); err != nil {
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

// container is the container of an instance's present generation.
func (g *Guest) container(r *instanceRecord) container.Container {
	uid := guestUID(*r.InstanceId)
	return container.Container{
		ID: r.container(), Group: r.container(), Labels: map[string]string{"instance": *r.InstanceId},
		Root:       g.root(uid),
		Entrypoint: []string{"/bin/sleep"}, Command: []string{"infinity"},
		Env: g.env(r), User: fmt.Sprintf("%d:%d", uid, uid), WorkDir: guestHome,
		Mounts: []container.Mount{
			{Source: g.home(*r.InstanceId), Target: guestHome},
			{Target: "/tmp"}, {Target: "/var/tmp"}, {Target: "/run", Mode: 0o755},
		},
		ReadOnlyRoot: true, DropCaps: []string{"ALL"}, NoNewPrivs: true, Init: true, NoLog: true,
	}
}

func (g *Guest) env(r *instanceRecord) []string {
	env := []string{
		"PATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin", "HOME=" + guestHome, "USER=" + guestUser, "LOGNAME=" + guestUser, "SHELL=/bin/bash",
		"LANG=C.UTF-8", "AWS_REGION=" + r.Region, "AWS_DEFAULT_REGION=" + r.Region,
		// Programs that bring authorities of their own are shown ours.
		"AWS_CA_BUNDLE=" + caBundle, "SSL_CERT_FILE=" + caBundle,
	}
	if g.Endpoint != "" {
		env = append(env, "AWS_ENDPOINT_URL="+g.Endpoint)
	}
	return append(env, g.Env...)
}

// root is the file system of an instance.
func (g *Guest) root(uid int) *container.HostRoot {
	root := &container.HostRoot{
		Paths: append([]string(nil), guestPaths...),
		Dirs:  []string{guestHome, "/tmp", "/var/tmp", "/run", "/mnt", "/opt"},
		Files: map[string]container.File{},
	}
	for _, name := range []string{"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"} {
		if info, err := os.Lstat(name); err == nil && info.Mode().Type() == fs.ModeSymlink {
			root.Paths = append(root.Paths, name)
		}
	}
	file := func(name, content string) { root.Files[name] = container.File{Content: []byte(content), Mode: 0o644} }
	file("/etc/passwd", fmt.Sprintf("root:x:0:0:root:/root:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n%s:x:%d:%d:EC2 Default User:%s:/bin/bash\n", guestUser, uid, uid, guestHome))
	file("/etc/group", fmt.Sprintf("root:x:0:\nnogroup:x:65534:\n%s:x:%d:\n", guestUser, uid))
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
	file(caBundle, strings.TrimRight(string(public), "\n")+"\n"+string(g.CA))
	if release, err := os.ReadFile("/usr/lib/os-release"); err == nil {
		file("/etc/os-release", string(release))
	}
	return root
}

// container is the id of the container, and of its group, in which an instance's
// present generation runs.
func (r *instanceRecord) container() string { return fmt.Sprintf("%s-%d", *r.InstanceId, r.Generation) }

// group is the container's group: the interface's namespace, names, limits.
func (r *instanceRecord) group(netns string, dns []string) container.Group {
	size, _ := sizeOf(aws.Val(r.InstanceType))
	name := aws.Val(r.PrivateDnsName)
	host, domain, _ := strings.Cut(name, ".")
	return container.Group{
		ID: r.container(), Netns: netns, Hostname: host, Labels: map[string]string{"instance": *r.InstanceId},
		Hosts:  []container.HostEntry{{Addr: aws.Val(r.PrivateIpAddress), Names: []string{name, host}}},
		DNS:    container.DNS{Servers: dns, Search: []string{domain}},
		Limits: container.Limits{CPUs: float64(size.cpus), Memory: size.memory, PIDs: 8192},
	}
}
