package house

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	module          = "minato"
	maxFileLines    = 650  // "about 600"
	maxPackageLines = 5000 // tests not counted
)

// file is what the rules need of one Go file.
type file struct {
	name      string // path from the module's root
	dir       string
	test      bool
	generated bool
	imports   []string
	doc       bool // has a package comment
	lines     int
}

// ban is one rule of the house: a file for which who is true may not import a
// path for which what is true.
type ban struct {
	name string
	who  func(dir string) bool
	what func(dir, imp string) bool
}

// service returns the name of the service that a directory or an import path
// within the module belongs to, or "".
func service(dir string) string {
	rest, ok := strings.CutPrefix(dir, "services/")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return name
}

func under(dir string, roots ...string) bool {
	for _, r := range roots {
		if dir == r || strings.HasPrefix(dir, r+"/") {
			return true
		}
	}
	return false
}

// implementation tells whether an import within the module is a data-plane
// implementation: a folder below an interface package, or one that is none.
func implementation(imp string) bool {
	return slices.Contains([]string{
		"dataplane/container/containerd", "dataplane/network/linux", "dataplane/build",
	}, imp) || under(imp, "dataplane/host")
}

func own(imp string) (string, bool) { return strings.CutPrefix(imp, module+"/") }

var bans = []ban{
	{
		name: "no service imports another service",
		who:  func(dir string) bool { return service(dir) != "" },
		what: func(dir, imp string) bool {
			p, ok := own(imp)
			return ok && service(p) != "" && service(p) != service(dir)
		},
	},
	{
		name: "no service imports a data-plane implementation, only its interface",
		who:  func(dir string) bool { return service(dir) != "" },
		what: func(dir, imp string) bool {
			p, ok := own(imp)
			return ok && implementation(p)
		},
	},
	{
		name: "the data plane, the store and the controller import no AWS",
		who:  func(dir string) bool { return under(dir, "dataplane", "store", "controller") },
		what: func(dir, imp string) bool {
			p, ok := own(imp)
			return ok && under(p, "aws", "gateway", "services", "daemon") || strings.HasPrefix(imp, "github.com/aws/")
		},
	},
	{
		name: "containerd is imported only by dataplane/{container/containerd,registry,build} and cmd/minato-shim",
		who: func(dir string) bool {
			return !under(dir, "dataplane/container/containerd", "dataplane/registry", "dataplane/build", "cmd/minato-shim")
		},
		what: func(dir, imp string) bool { return strings.HasPrefix(imp, "github.com/containerd/containerd/") },
	},
	{
		name: "the wire knows no service of ours",
		who:  func(dir string) bool { return under(dir, "aws") },
		what: func(dir, imp string) bool {
			p, ok := own(imp)
			return ok && !under(p, "aws", "internal")
		},
	},
	{
		name: "only the daemon and the commands import the world",
		who: func(dir string) bool {
			return !under(dir, "daemon", "cmd", "e2e") && service(dir) == ""
		},
		what: func(dir, imp string) bool {
			p, ok := own(imp)
			return ok && (service(p) != "" || p == "daemon")
		},
	},
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "..", "..")
}

// read parses the imports and comments of every Go file below the root.
func read(t *testing.T) []file {
	t.Helper()
	base := root(t)
	var files []file
	err := filepath.WalkDir(base, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); n != "." && (strings.HasPrefix(n, ".") || n == "testdata" || n == "node_modules" || n == "bin") && name != base {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		rel, err := filepath.Rel(base, name)
		if err != nil {
			return err
		}
		src, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		f, err := parse(filepath.ToSlash(rel), src)
		if err != nil {
			return err
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 50 {
		t.Fatalf("only %d Go files found below %s: the test looks in the wrong place", len(files), base)
	}
	return files
}

func parse(name string, src []byte) (file, error) {
	tree, err := parser.ParseFile(token.NewFileSet(), name, src, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return file{}, err
	}
	f := file{
		name: name, dir: path.Dir(name), test: strings.HasSuffix(name, "_test.go"), generated: ast.IsGenerated(tree),
		doc: tree.Doc != nil && strings.TrimSpace(tree.Doc.Text()) != "", lines: strings.Count(string(src), "\n"),
	}
	for _, i := range tree.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return file{}, err
		}
		f.imports = append(f.imports, p)
	}
	return f, nil
}

// broken lists the bans that a file breaks. Tests may import what they test
// with, so bans bind the code only.
func broken(f file) []string {
	var out []string
	if f.test {
		return nil
	}
	for _, b := range bans {
		if !b.who(f.dir) {
			continue
		}
		for _, imp := range f.imports {
			if b.what(f.dir, imp) {
				out = append(out, fmt.Sprintf("%s imports %s: %s", f.name, imp, b.name))
			}
		}
	}
	return out
}

func TestBans(t *testing.T) {
	for _, f := range read(t) {
		for _, msg := range broken(f) {
			t.Error(msg)
		}
	}
}

// TestBansBite breaks each ban on purpose and sees it found.
func TestBansBite(t *testing.T) {
	for _, c := range []struct{ name, imp, ban string }{
		{"services/ecs/x.go", "minato/services/ec2", "no service imports another service"},
		{"services/cloudformation/resources/x.go", "minato/services/ec2/plan", "no service imports another service"},
		{"services/ecs/x.go", "minato/dataplane/container/containerd", "no service imports a data-plane implementation"},
		{"services/ec2/x.go", "minato/dataplane/network/linux", "no service imports a data-plane implementation"},
		{"dataplane/network/linux/x.go", "minato/aws", "import no AWS"},
		{"store/x.go", "minato/gateway", "import no AWS"},
		{"controller/x.go", "minato/services/ecs", "import no AWS"},
		{"services/rds/x.go", "github.com/containerd/containerd/v2/client", "containerd is imported only by"},
		{"aws/protocol/x.go", "minato/gateway", "the wire knows no service"},
		{"gateway/x.go", "minato/services/iam", "only the daemon and the commands"},
	} {
		f, err := parse(c.name, []byte("package x\n\nimport _ "+strconv.Quote(c.imp)+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(broken(f), "\n"); !strings.Contains(got, c.ban) {
			t.Errorf("%s importing %s: want the ban %q, got %q", c.name, c.imp, c.ban, got)
		}
	}
	for _, c := range []struct{ name, imp string }{
		{"services/cloudformation/x.go", "minato/services/cloudformation/resources"},
		{"services/ecs/x.go", "minato/dataplane/container"},
		{"dataplane/registry/x.go", "github.com/containerd/containerd/v2/core/content"},
		{"daemon/x.go", "minato/services/ecs"},
	} {
		f, err := parse(c.name, []byte("package x\n\nimport _ "+strconv.Quote(c.imp)+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := broken(f); len(got) > 0 {
			t.Errorf("allowed, but banned: %v", got)
		}
	}
}

func TestPackagesSayWhatTheyAreFor(t *testing.T) {
	documented := map[string]bool{}
	for _, f := range read(t) {
		if !f.test {
			documented[f.dir] = documented[f.dir] || f.doc
		}
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("package %s has no package comment", dir)
		}
	}
}

func TestSizes(t *testing.T) {
	lines := map[string]int{}
	for _, f := range read(t) {
		if f.generated {
			continue
		}
		if f.lines > maxFileLines {
			t.Errorf("%s has %d lines, more than %d: cut it by resource", f.name, f.lines, maxFileLines)
		}
		if !f.test {
			lines[f.dir] += f.lines
		}
	}
	for dir, n := range lines {
		if n > maxPackageLines {
			t.Errorf("package %s has %d lines, more than %d", dir, n, maxPackageLines)
		}
	}
}
