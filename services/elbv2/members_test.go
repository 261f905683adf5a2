package elbv2

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	elbapi "minato/aws/api/elbv2"
)

// TestNothingIsDropped: every member of every input is read by the code, so that
// what a client says has an effect or is refused. Members of an operation's own are
// looked for where its input is at hand; those of the shapes within by their names.
func TestNothingIsDropped(t *testing.T) {
	inputs, anywhere := map[string]map[string]bool{}, map[string]bool{}
	files := token.NewFileSet()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		for _, decl := range f.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Body == nil || path == "authorize.go" { // asking IAM is no effect
				continue
			}
			of := map[string]string{} // the input's type, by the parameter's name
			for _, p := range fn.Type.Params.List {
				star, ok := p.Type.(*ast.StarExpr)
				if !ok {
					continue
				}
				if sel, ok := star.X.(*ast.SelectorExpr); ok && strings.HasSuffix(sel.Sel.Name, "Input") {
					for _, n := range p.Names {
						of[n.Name] = sel.Sel.Name
					}
				}
			}
			ast.Inspect(fn.Body, func(n ast.Node) bool {
				sel, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				anywhere[sel.Sel.Name] = true
				if x, ok := sel.X.(*ast.Ident); ok && of[x.Name] != "" {
					if inputs[of[x.Name]] == nil {
						inputs[of[x.Name]] = map[string]bool{}
					}
					inputs[of[x.Name]][sel.Sel.Name] = true
				}
				return true
			})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// What is refused where it is given at all, so that nobody needs to look within;
	// and the order of actions, which is shown again, and of which there is one.
	refused := []string{"IpamPools", "AuthenticateCognitoConfig", "AuthenticateOidcConfig", "JwtValidationConfig", "MinimumLoadBalancerCapacity"}
	anywhere["Order"] = true
	var missed []string
	seen := map[reflect.Type]bool{}
	var within func(path string, x reflect.Type)
	within = func(path string, x reflect.Type) {
		for x.Kind() == reflect.Pointer || x.Kind() == reflect.Slice || x.Kind() == reflect.Map {
			x = x.Elem()
		}
		if x.Kind() != reflect.Struct || x.PkgPath() != reflect.TypeFor[elbapi.Tag]().PkgPath() || seen[x] {
			return
		}
		seen[x] = true
		for i := range x.NumField() {
			f := x.Field(i)
			if !anywhere[f.Name] {
				missed = append(missed, path+"."+f.Name)
			}
			if !slices.Contains(refused, f.Name) {
				within(path+"."+f.Name, f.Type)
			}
		}
	}
	for name, op := range elbapi.Model.Operations {
		for i := range op.Input.NumField() {
			f := op.Input.Field(i)
			if !inputs[op.Input.Name()][f.Name] {
				missed = append(missed, name+"."+f.Name)
			}
			if !slices.Contains(refused, f.Name) {
				within(name+"."+f.Name, f.Type)
			}
		}
	}
	slices.Sort(missed)
	for _, m := range missed {
		t.Errorf("%s is taken and never read", m)
	}
	if len(inputs) < 30 {
		t.Errorf("only %d inputs were found in the code", len(inputs))
	}
}
