package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFresh fails when committed generated code is not what the generator
// makes of the committed models; it needs no full models.
func TestFresh(t *testing.T) {
	if err := run("../..", "", true, nil); err != nil {
		t.Error(err)
	}
}

// TestCheck sees stale code.
func TestCheck(t *testing.T) {
	root := t.TempDir()
	models := filepath.Join(root, "aws", "models")
	if err := os.MkdirAll(models, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sts.ops", "sts.json"} {
		text, err := os.ReadFile(filepath.Join("../models", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(models, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(root, "", true, nil); err == nil || !strings.Contains(err.Error(), "stale") {
		t.Errorf("nothing is generated, and the check says %v", err)
	}
	if err := run(root, "", false, nil); err != nil {
		t.Fatal(err)
	}
	if err := run(root, "", true, nil); err != nil {
		t.Errorf("just generated, and the check says %v", err)
	}
	if err := os.WriteFile(filepath.Join(models, "sts.ops"), []byte("AssumeRole\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := run(root, "", true, nil); err == nil {
		t.Error("an operation was taken off the list, and the check passes")
	}
}

// small is a model with what is hard: a cycle, a shape that is an output and a
// member, an input that two operations share.
func small() *model {
	return &model{
		Metadata: metadata{APIVersion: "1", EndpointPrefix: "x", Protocol: "query", ServiceID: "X"},
		Operations: map[string]*operation{
			"Get":  {Name: "Get", Input: &ref{Shape: "Key"}, Output: &ref{Shape: "Tree"}},
			"Drop": {Name: "Drop", Input: &ref{Shape: "Key"}},
			"Rest": {Name: "Rest"},
		},
		Shapes: map[string]*shape{
			"Key":    {Type: "structure", Members: map[string]ref{"name": {Shape: "Name"}}, Required: []string{"name"}},
			"Name":   {Type: "string", Enum: []string{"A_B", "a-b", "c"}},
			"Tree":   {Type: "structure", Members: map[string]ref{"leaves": {Shape: "Trees"}, "left": {Shape: "Tree"}}},
			"Trees":  {Type: "list", Member: &ref{Shape: "Tree"}},
			"Unused": {Type: "structure"},
		},
	}
}

func TestGenerate(t *testing.T) {
	m, err := cut(small(), []string{"Get", "Drop"})
	if err != nil {
		t.Fatal(err)
	}
	if m.Shapes["Unused"] != nil || m.Operations["Rest"] != nil || strings.Join(m.Known, " ") != "Drop Get Rest" {
		t.Errorf("cut to %v, known %v", sortedKeys(m.Shapes), m.Known)
	}
	files, err := generate("x", m)
	if err != nil {
		t.Fatal(err)
	}
	for file, wants := range map[string][]string{
		"types.gen.go":  {"type GetInput struct {\n\tName *string `json:\"name,omitempty\"`\n}", "type DropInput struct", "type DropOutput struct {\n}", "type GetOutput struct {\n\tLeaves []Tree", "type Tree struct {\n\tLeaves []Tree `json:\"leaves,omitempty\"`\n\tLeft   *Tree  `json:\"left,omitempty\"`\n}"},
		"enums.gen.go":  {"NameAB  = \"A_B\"", "NameAB2 = \"a-b\"", "NameC   = \"c\""},
		"shapes.gen.go": {"shapeTree.Members[1].Shape = &shapeTree", "shapeTrees.Elem = &shapeTree", "Required: true"},
		"api.gen.go":    {"Get(ctx context.Context, in *GetInput) (*GetOutput, error)", "aws.Call[DropOutput](ctx, c.invoker, &opDrop, in)"},
	} {
		for _, want := range wants {
			if !strings.Contains(string(files[file]), want) {
				t.Errorf("%s lacks %q:\n%s", file, want, files[file])
			}
		}
	}
	if _, err := cut(small(), []string{"Put"}); err == nil {
		t.Error("an operation that the model has not was cut out of it")
	}
}

// TestNames has names that would meet in one package.
func TestNames(t *testing.T) {
	m := small()
	m.Shapes["tree"] = &shape{Type: "structure"}
	m.Shapes["Tree"].Members["other"] = ref{Shape: "tree"}
	if _, err := generate("x", m); err == nil || !strings.Contains(err.Error(), "Tree") {
		t.Errorf("two types of one name: %v", err)
	}
}
