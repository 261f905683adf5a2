package house

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func text(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root(t), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var direct = regexp.MustCompile(`(?m)^\t(\S+) v\S+$`) // a requirement without "// indirect"

// TestDependenciesHaveAReason: every direct dependency is in ARCHITECTURE.md's
// table, and the table names no other.
func TestDependenciesHaveAReason(t *testing.T) {
	_, table, _ := strings.Cut(text(t, "ARCHITECTURE.md"), "| module | why |")
	var rows []string
	for line := range strings.Lines(table) {
		if cells := strings.Split(line, "|"); len(cells) == 4 && !strings.HasPrefix(cells[1], "-") && !strings.Contains(cells[1], "tools:") {
			rows = append(rows, cells[1])
		}
	}
	names := regexp.MustCompile(`[\w.-]+`)
	used := map[string]bool{}
	for _, m := range direct.FindAllStringSubmatch(text(t, "go.mod"), -1) {
		parts := slices.DeleteFunc(strings.Split(m[1], "/"), func(p string) bool {
			return regexp.MustCompile(`^v\d+$|^pkg$|^github\.com$|^golang\.org$`).MatchString(p)
		})
		if parts[0] == "aws" && len(parts) > 2 {
			parts = parts[:2] // the SDK's modules are one dependency
		}
		i := slices.IndexFunc(rows, func(row string) bool {
			words := names.FindAllString(row, -1)
			return slices.Contains(words, parts[0]) && slices.Contains(words, parts[len(parts)-1])
		})
		if i < 0 {
			t.Errorf("ARCHITECTURE.md gives no reason for %s", m[1])
			continue
		}
		used[rows[i]] = true
	}
	for _, row := range rows {
		if !used[row] {
			t.Errorf("ARCHITECTURE.md gives a reason for %s, which go.mod does not require", row)
		}
	}
}

// TestTheMapIsTrue: every place on ARCHITECTURE.md's map exists, and the rooms of
// the halls that it draws are all on it.
func TestTheMapIsTrue(t *testing.T) {
	_, rest, _ := strings.Cut(text(t, "ARCHITECTURE.md"), "## The map")
	_, rest, _ = strings.Cut(rest, "```\n")
	drawn, _, _ := strings.Cut(rest, "```")
	place := regexp.MustCompile(`^( ? ?)((?:[a-z0-9-]+/)+)(?: ([a-z0-9-]+/))?`)
	hall := ""
	on := map[string]bool{}
	for line := range strings.Lines(drawn) {
		m := place.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if m[1] == "" {
			hall = ""
		}
		for _, p := range m[2:] {
			if p == "" {
				continue
			}
			dir := path.Join(hall, p)
			on[dir] = true
			if info, err := os.Stat(filepath.Join(root(t), dir)); err != nil || !info.IsDir() {
				t.Errorf("the map shows %s, which is not there", dir)
			}
		}
		if m[1] == "" {
			hall = path.Clean(m[2])
		}
	}
	for _, hall := range []string{".", "aws", "gateway", "dataplane", "explain", "daemon"} {
		entries, err := os.ReadDir(filepath.Join(root(t), hall))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			dir := path.Join(hall, e.Name())
			under := func(on string) bool { return strings.HasPrefix(on, dir+"/") }
			if !e.IsDir() || strings.HasPrefix(e.Name(), ".") || slices.Contains([]string{"bin", "docs", "scripts", "testdata"}, e.Name()) || on[dir] || slices.ContainsFunc(keys(on), under) {
				continue
			}
			t.Errorf("%s is not on the map", dir)
		}
	}
	entries, err := os.ReadDir(filepath.Join(root(t), "internal"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, helpers, _ := strings.Cut(drawn, "\ninternal/"); !strings.Contains(helpers, e.Name()) {
			t.Errorf("internal/%s is not on the map", e.Name())
		}
	}
}

func keys(m map[string]bool) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	return out
}

// TestGuidesAreLinked: README.md leads to every guide, and no link leads nowhere.
func TestGuidesAreLinked(t *testing.T) {
	guides, err := filepath.Glob(filepath.Join(root(t), "docs", "*.md"))
	if err != nil || len(guides) < 5 {
		t.Fatalf("%v, %v", guides, err)
	}
	readme := text(t, "README.md")
	pages := []string{"README.md", "ARCHITECTURE.md", "examples/workshop/README.md"}
	for _, g := range guides {
		name := "docs/" + filepath.Base(g)
		pages = append(pages, name)
		if !strings.Contains(readme, "("+name+")") {
			t.Errorf("README.md does not lead to %s", name)
		}
	}
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, page := range pages {
		for _, m := range link.FindAllStringSubmatch(text(t, page), -1) {
			to, _, _ := strings.Cut(m[1], "#")
			if to == "" || strings.Contains(to, "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(root(t), path.Dir(page), to)); err != nil {
				t.Errorf("%s leads to %s, which is not there", page, m[1])
			}
		}
	}
}
