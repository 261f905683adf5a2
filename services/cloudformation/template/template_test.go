package template

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
)

// resources is a template of one resource with the given property P.
func resources(p string) string {
	return "Resources:\n  A: {Type: T}\n  B:\n    Type: T\n    Properties:\n      P: " + p + "\n"
}

// world is an Env in which A has the id "a-1".
func world(t *Template) *Env {
	e := &Env{
		Mappings: t.Mappings, Parameters: map[string]any{}, Pseudo: map[string]any{"AWS::Region": "us-east-1", "AWS::StackName": "s"},
		Ref:    func(id string) (any, error) { return strings.ToLower(id) + "-1", nil },
		GetAtt: func(id, attribute string) (any, error) { return id + "/" + attribute, nil },
		Zones:  func(region string) ([]string, error) { return []string{region + "a", region + "b", region + "c"}, nil },
		Import: func(name string) (any, error) { return "imported " + name, nil },
	}
	return e
}

func TestFunctions(t *testing.T) {
	for in, want := range map[string]any{
		`!Ref A`:                     "a-1",
		`{Ref: AWS::Region}`:         "us-east-1",
		`!GetAtt A.Endpoint.Address`: "A/Endpoint.Address",
		`{"Fn::GetAtt": [A, Arn]}`:   "A/Arn",
		`!Sub "${A}:${A.Arn}:${!Lit}:${AWS::StackName}"`:  "a-1:A/Arn:${Lit}:s",
		`!Sub ["${x}-${A}", {x: !Ref AWS::Region}]`:       "us-east-1-a-1",
		`!Join ["-", [a, !Ref A, 3]]`:                     "a-a-1-3",
		`!Select ["1", [a, b]]`:                           "b",
		`!Select [0, !GetAZs ""]`:                         "us-east-1a",
		`!GetAZs eu-west-1`:                               []any{"eu-west-1a", "eu-west-1b", "eu-west-1c"},
		`!Split [",", "a,b"]`:                             []any{"a", "b"},
		`!Base64 hi`:                                      "aGk=",
		`!Cidr [10.0.0.0/16, 3, 8]`:                       []any{"10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"},
		`!Select [2, !Cidr ["10.0.0.0/24", 4, "6"]]`:      "10.0.0.128/26",
		`!ImportValue {"Fn::Sub": "${AWS::StackName}-x"}`: "imported s-x",
		`[1, !Ref AWS::NoValue, true]`:                    []any{json.Number("1"), true},
		`{a: !Ref AWS::NoValue, b: c}`:                    map[string]any{"b": "c"},
		`{Condition: {StringEquals: {a: b}}}`:             map[string]any{"Condition": map[string]any{"StringEquals": map[string]any{"a": "b"}}},
		`"012"`:                                           "012",
		`012345678901`:                                    "012345678901",
		`2012-10-17`:                                      "2012-10-17",
	} {
		tmpl, err := Parse(resources(in))
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		got, err := world(tmpl).Eval(tmpl.Resources["B"].Properties.Fields["P"])
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %#v, %v; want %#v", in, got, err, want)
		}
	}
}

func TestEvalErrors(t *testing.T) {
	for in, want := range map[string]string{
		`!Select [3, [a]]`:            "Template error: Fn::Select  cannot select nonexistent value at index 3",
		`!Select [x, [a]]`:            "Template error: Fn::Select requires a list argument",
		`!Join [a]`:                   "Template error: every Fn::Join object requires two parameters",
		`!Join ["", !Ref A]`:          "Template error: every Fn::Join object requires two parameters",
		`!FindInMap [M, a, b]`:        "Template error: Mapping named 'M' is not present",
		`!Sub ["${x}", {x: [1]}]`:     "Template error: variable x in Fn::Sub expression does not resolve to a string",
		`!Cidr [10.0.0.0/24, 300, 8]`: "Template error: Fn::Cidr:",
		`!Cidr [10.0.0.0/24, 2, 8]`:   "Template error: Fn::Cidr:",
		`!If [Nope, a, b]`:            "Template error: unresolved condition dependency Nope",
	} {
		tmpl, err := Parse(resources(in))
		if err == nil {
			_, err = world(tmpl).Eval(tmpl.Resources["B"].Properties)
		}
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", in, err, want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for in, want := range map[string]string{
		``:                       "Template format error: unsupported structure.",
		`[]`:                     "Template format error: unsupported structure.",
		`{}`:                     "Template format error: At least one Resources member must be defined.",
		"{\n \"Resources\": {]}": "Template format error: JSON not well-formed. (line 2, column 16)",
		"{\"Resources\":{\"A\":{\"Type\":\"T\"},\n\"A\":{\"Type\":\"T\"}}}": `Template format error: duplicate key "A" (line 2, column 1)`,
		"Resources:\n  A: {Type: T}\n  A: {Type: T}\n":                      "Template format error:",
		"Resources:\n\tA: x":                                              "Template format error: YAML not well-formed. (line 2, column 1)",
		"Resources: {A: {Type: T, Colour: red}}":                          "Invalid template resource property 'Colour'",
		"Resources: {A: {}}":                                              "Template format error: [/Resources/A] Every Resources object must contain a Type member.",
		"Resources: {A-B: {Type: T}}":                                     "Template format error: Resource name A-B is non alphanumeric.",
		"Resources: {A: {Type: T}}\nColour: red":                          "Invalid template property or properties [Colour]",
		resources("!Ref Nobody"):                                          "Template format error: Unresolved resource dependencies [Nobody] in the Resources block of the template",
		resources("!GetAtt Nobody.Arn"):                                   "Template error: instance of Fn::GetAtt references undefined resource Nobody",
		resources("!Sub '${Nobody}'"):                                     "Template format error: Unresolved resource dependencies [Nobody] in the Resources block of the template",
		resources("{Fn::Dream: x}"):                                       "Template error: Encountered unsupported function: Fn::Dream",
		resources("!Dream x"):                                             "Template format error: YAML not well-formed.",
		resources("null"):                                                 "Template format error: 'null' values are not allowed in templates",
		"Resources: {A: {Type: T, DependsOn: B}}":                         "Template format error: Unresolved resource dependencies [B] in the Resources block of the template",
		"Resources: {A: {Type: T, DeletionPolicy: X}}":                    "Template format error: Unrecognized DeletionPolicy X for resource A",
		"AWSTemplateFormatVersion: 2011-01-01\nResources: {A: {Type: T}}": "Template format error: Unsupported template format version: 2011-01-01.",
		"a: &a [x,x]\nResources: &r {A: *r}":                              "",
		"x: &a [1,1,1,1,1,1,1,1,1,1]\ny: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nz: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nu: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\nv: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nw: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]": "Template format error:",
	} {
		_, err := Parse(in)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.80q: %v, want %s", in, err, want)
		}
	}
	if _, err := Parse(strings.Repeat("[", 1e5)); err == nil {
		t.Error("a deep template is taken")
	}
	if _, err := Parse(`{"Resources":` + strings.Repeat(`{"a":`, 1e5)); err == nil {
		t.Error("a deep template is taken")
	}
}

const conditional = `
Parameters:
  Stage: {Type: String, Default: dev, AllowedValues: [dev, prod]}
  Names: {Type: CommaDelimitedList, Default: "a, b"}
  Port: {Type: Number, Default: 80, MinValue: 1, MaxValue: 65535}
Mappings:
  Sizes: {dev: {count: 1}, prod: {count: 3}}
Conditions:
  Prod: !Equals [!Ref Stage, prod]
  Cheap: !Not [{Condition: Prod}]
  Either: !Or [{Condition: Prod}, {Condition: Cheap}]
  Both: !And [{Condition: Prod}, {Condition: Cheap}]
Resources:
  Alarm: {Type: T, Condition: Prod}
  Web:
    Type: T
    DependsOn: Alarm
    Properties:
      Count: !FindInMap [Sizes, !Ref Stage, count]
      Target: !If [Prod, !Ref Alarm, !Ref "AWS::NoValue"]
      Names: !Ref Names
`

func TestConditions(t *testing.T) {
	tmpl, err := Parse(conditional)
	if err != nil {
		t.Fatal(err)
	}
	for stage, c := range map[string]struct {
		properties map[string]any
		deps       map[string][]string
	}{
		"dev":  {map[string]any{"Count": json.Number("1"), "Names": []any{"a", "b"}}, map[string][]string{"Web": {}}},
		"prod": {map[string]any{"Count": json.Number("3"), "Target": "alarm-1", "Names": []any{"a", "b"}}, map[string][]string{"Web": {"Alarm"}, "Alarm": {}}},
	} {
		values, err := tmpl.Resolve(map[string]string{"Stage": stage})
		if err != nil {
			t.Fatal(err)
		}
		env := world(tmpl)
		for k, v := range values {
			env.Parameters[k] = tmpl.Parameters[k].Value(v)
		}
		if env.Conditions, err = tmpl.EvalConditions(env); err != nil {
			t.Fatal(err)
		}
		if !env.Conditions["Either"] || env.Conditions["Both"] || env.Conditions["Prod"] != (stage == "prod") {
			t.Errorf("%s: %v", stage, env.Conditions)
		}
		got, err := env.Eval(tmpl.Resources["Web"].Properties)
		if err != nil || !reflect.DeepEqual(got, any(c.properties)) {
			t.Errorf("%s: %#v %v", stage, got, err)
		}
		deps, err := tmpl.Dependencies(env.Conditions)
		if err != nil || !reflect.DeepEqual(deps, c.deps) {
			t.Errorf("%s: %v %v", stage, deps, err)
		}
	}
	for given, want := range map[string]string{
		"Stage=test": "Parameter 'Stage' must be one of AllowedValues", "Port=x": "Parameter 'Port' must be a number.",
		"Port=0": "Parameter 'Port' failed to satisfy constraint: Member must have value greater than or equal to 1", "Colour=red": "Parameters: [Colour] do not exist in the template",
	} {
		k, v, _ := strings.Cut(given, "=")
		if _, err := tmpl.Resolve(map[string]string{k: v}); err == nil || err.Error() != want {
			t.Errorf("%s: %v", given, err)
		}
	}
}

func TestRules(t *testing.T) {
	tmpl, err := Parse(`
Parameters:
  Stage: {Type: String}
  Type: {Type: String}
  Zones: {Type: CommaDelimitedList, Default: "a,b"}
Rules:
  Prod:
    RuleCondition: !Equals [!Ref Stage, prod]
    Assertions:
      - {Assert: {"Fn::Contains": [[large, huge], !Ref Type]}, AssertDescription: prod is not small}
  Zones:
    Assertions: [{Assert: {"Fn::EachMemberIn": [!Ref Zones, [a, b, c]]}}, {Assert: !Not [{"Fn::EachMemberEquals": [!Ref Zones, c]}], AssertDescription: only c}]
Resources: {A: {Type: T}}
`)
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		"dev small a": "", "prod large a": "", "prod small a": "Template rule Prod is not satisfied: prod is not small",
		"dev small x": "Template rule Zones is not satisfied: ", "dev small c,c": "Template rule Zones is not satisfied: only c",
	} {
		f := strings.Fields(in)
		env := world(tmpl)
		for i, name := range []string{"Stage", "Type", "Zones"} {
			env.Parameters[name] = tmpl.Parameters[name].Value(f[i])
		}
		got := ""
		if err := tmpl.CheckRules(env); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
	if _, err := Parse("Rules: {A: {}}\nResources: {A: {Type: T}}"); err == nil {
		t.Error("a rule without assertions is taken")
	}
}

func TestCycle(t *testing.T) {
	const cycle = "Circular dependency between resources: [A, B, C]"
	body := "Conditions: {Yes: !Equals [a, a]}\nResources:\n  A: {Type: T, Properties: {X: !Ref B}}\n  B: {Type: T, Properties: {X: !GetAtt C.Y}}\n  C: {Type: T, Properties: {X: !Sub '${A}'}}\n  D: {Type: T, DependsOn: A}\n  E: {Type: T}\n"
	if _, err := Parse(body); err == nil || err.Error() != cycle {
		t.Error(err)
	}
	// Where a condition decides, it must be known first.
	for _, change := range []struct{ old, to string }{{"!Sub '${A}'", "!If [Yes, !Ref A, x]"}, {"B: {Type: T,", "B: {Type: T, Condition: Yes,"}} {
		tmpl, err := Parse(strings.Replace(body, change.old, change.to, 1))
		if err != nil {
			t.Fatal(change, err)
		}
		if _, err := tmpl.Dependencies(map[string]bool{"Yes": true}); err == nil || err.Error() != cycle {
			t.Error(change, err)
		}
	}
}

// TestWorkshop reads the hands-on's template as it is, and as YAML.
func TestWorkshop(t *testing.T) {
	text, err := os.ReadFile("../testdata/workshop.json")
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	deps, err := tmpl.Dependencies(nil)
	if err != nil || len(deps) != 25 {
		t.Fatalf("%d %v", len(deps), err)
	}
	if got := strings.Join(deps["DefaultRoutePrivate"], " "); got != "GatewayAttachment Nat RoutesPrivate" {
		t.Error(got)
	}
	yaml, err := Parse("# as YAML\n" + string(text))
	if err != nil || !reflect.DeepEqual(yaml.Resources["Database"].Properties.Value(), tmpl.Resources["Database"].Properties.Value()) {
		t.Errorf("as YAML: %v", err)
	}
}

// TestPosition finds where things stand.
func TestPosition(t *testing.T) {
	for _, text := range []string{"{\n  \"Resources\": {\n    \"A\": {\"Type\": \"T\", \"Properties\": {\"P\": \"x\"}}\n  }\n}", "\nResources:\n  A: {Type: T, Properties: {P: x}}"} {
		tmpl, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if p := tmpl.Resources["A"].Properties.Fields["P"]; p.Line != 3 || p.Column < 20 {
			t.Errorf("line %d, column %d", p.Line, p.Column)
		}
	}
}

// FuzzParse feeds any text: an error of a template or a template that can be
// evaluated, never a panic.
func FuzzParse(f *testing.F) {
	f.Add(conditional)
	f.Add(resources(`!Sub ["${x}", {x: !Select [0, !GetAZs ""]}]`))
	f.Add(`{"Resources":{"A":{"Type":"T","Properties":{"Fn::If":["a",{},[]]}}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		tmpl, err := Parse(text)
		if err != nil {
			return
		}
		env := world(tmpl)
		if values, err := tmpl.Resolve(nil); err == nil {
			for k, v := range values {
				env.Parameters[k] = tmpl.Parameters[k].Value(v)
			}
		}
		if err := tmpl.CheckRules(env); err != nil {
			return
		}
		if env.Conditions, err = tmpl.EvalConditions(env); err != nil {
			return
		}
		if _, err := tmpl.Dependencies(env.Conditions); err != nil {
			return
		}
		for _, r := range tmpl.Resources {
			if r.Properties != nil {
				env.Partial(r.Properties, func(*Node) any { return "?" })
				_, _ = env.Eval(r.Properties)
			}
		}
	})
}
