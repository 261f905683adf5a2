// Command gen writes the packages under aws/api from AWS's own models.
//
// It works in two steps, so that a clone regenerates alone:
//
//  1. cut: when the full models are at hand (-from), aws/models/<svc>.json is
//     made of them: the operations that aws/models/<svc>.ops allows, the shapes
//     these reach, and the names of all operations that AWS knows.
//  2. generate: from aws/models/<svc>.json alone, aws/api/<svc>/*.gen.go.
//
// Usage:
//
//	go run ./aws/gen [-from DIR] [-check] [service…]
//
// With -check nothing is written; it fails when a committed file is stale.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

func main() {
	from := flag.String("from", "../shared/models", "directory of the full models; without it only the second step is done")
	root := flag.String("root", ".", "root of the repository")
	check := flag.Bool("check", false, "write nothing, fail when a committed file is stale")
	flag.Parse()
	if err := run(*root, *from, *check, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// run does both steps for the named services, or for all that have an
// allow-list.
func run(root, from string, check bool, services []string) error {
	models := filepath.Join(root, "aws", "models")
	if len(services) == 0 {
		lists, err := filepath.Glob(filepath.Join(models, "*.ops"))
		if err != nil {
			return err
		}
		for _, l := range lists {
			services = append(services, strings.TrimSuffix(filepath.Base(l), ".ops"))
		}
	}
	out := &output{check: check}
	for _, svc := range services {
		if err := service(root, models, from, svc, out); err != nil {
			return fmt.Errorf("%s: %w", svc, err)
		}
	}
	if len(out.stale) > 0 {
		return fmt.Errorf("stale, run `make generate`:\n  %s", strings.Join(out.stale, "\n  "))
	}
	return nil
}

// service does both steps for one service.
func service(root, models, from, svc string, out *output) error {
	allowed, err := readOps(filepath.Join(models, svc+".ops"))
	if err != nil {
		return err
	}
	cutFile := filepath.Join(models, svc+".json")
	full := fullModel(from, svc)
	var m *model
	if _, err := os.Stat(full); from != "" && err == nil {
		whole, err := readModel(full)
		if err != nil {
			return err
		}
		if m, err = cut(whole, allowed); err != nil {
			return err
		}
		text, err := m.encode()
		if err != nil {
			return err
		}
		if err := out.write(cutFile, text); err != nil {
			return err
		}
	} else if m, err = readModel(cutFile); err != nil {
		return err
	}
	if have := m.operationNames(); strings.Join(have, " ") != strings.Join(allowed, " ") {
		return fmt.Errorf("%s and its .ops name different operations, and the full model to cut is not at %s", cutFile, full)
	}
	files, err := generate(svc, m)
	if err != nil {
		return err
	}
	dir := filepath.Join(root, "aws", "api", svc)
	if !out.check {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for _, name := range sortedKeys(files) {
		if err := out.write(filepath.Join(dir, name), files[name]); err != nil {
			return err
		}
	}
	return nil
}

// fullModel is the file of a service's full model. AWS's names may have hyphens
// where a package's can not: application-autoscaling.
func fullModel(from, svc string) string {
	const suffix = ".service-2.json"
	all, _ := filepath.Glob(filepath.Join(from, "*-*"+suffix))
	for _, file := range all {
		if strings.ReplaceAll(strings.TrimSuffix(filepath.Base(file), suffix), "-", "") == svc {
			return file
		}
	}
	return filepath.Join(from, svc+suffix)
}

// readOps reads an allow-list: one operation name a line, '#' begins a comment.
func readOps(file string) ([]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var ops []string
	seen := map[string]bool{}
	for _, line := range strings.Split(string(text), "\n") {
		name, _, _ := strings.Cut(line, "#")
		if name = strings.TrimSpace(name); name != "" && !seen[name] {
			seen[name] = true
			ops = append(ops, name)
		}
	}
	sort.Strings(ops)
	return ops, nil
}

// output writes files, or only compares them.
type output struct {
	check bool
	stale []string
}

// write writes one file unless it holds the text already.
func (o *output) write(file string, text []byte) error {
	old, err := os.ReadFile(file)
	if err == nil && bytes.Equal(old, text) {
		return nil
	}
	if o.check {
		o.stale = append(o.stale, file)
		return nil
	}
	return os.WriteFile(file, text, 0o644)
}

// sortedKeys returns the keys of m in order.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
