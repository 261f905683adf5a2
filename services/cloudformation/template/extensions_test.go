package template

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const loops = `
Transform: AWS::LanguageExtensions
Parameters:
  Names: {Type: CommaDelimitedList, Default: "a-1,b-2"}
  Policy: {Type: String, Default: Retain}
Conditions:
  Fn::ForEach::Wanted:
    - Name
    - [One, Two]
    - Is${Name}: !Equals [!Length [!Ref Names], 1]
Resources:
  Fn::ForEach::Groups:
    - Name
    - !Ref Names
    - Group&{Name}:
        Type: T
        DeletionPolicy: !Ref Policy
        Properties:
          Name: !Sub "${AWS::StackName}-${Name}"
          Plain: !Ref Name
          Fn::ForEach::Rules:
            - Port
            - ["80", "443"]
            - Port${Port}: !Sub "${Name}:${Port}"
  Last:
    Type: T
    DependsOn: [Groupa1]
    Properties:
      How: !Length {"Fn::Split": [",", "x,y,z"]}
      Text: !ToJsonString {b: [1, true], a: !GetAtt Groupb2.Arn, c: "<x>"}
Outputs:
  Fn::ForEach::Each:
    - Name
    - !Ref Names
    - Fn::ForEach::Attribute:
        - Attribute
        - [Arn, Name]
        - "Out&{Name}${Attribute}":
            Value: !GetAtt [!Sub "Group&{Name}", !Ref Attribute]
`

func TestLoopsAreWrittenOut(t *testing.T) {
	tmpl, err := Parse(loops)
	if err != nil {
		t.Fatal(err)
	}
	if got := tmpl.LogicalIDs(); !slices.Equal(got, []string{"Groupa1", "Groupb2", "Last"}) {
		t.Error(got)
	}
	if got := ids(tmpl.Outputs); !slices.Equal(got, []string{"Outa1Arn", "Outa1Name", "Outb2Arn", "Outb2Name"}) {
		t.Error(got)
	}
	if got := ids(tmpl.Conditions); !slices.Equal(got, []string{"IsOne", "IsTwo"}) {
		t.Error(got)
	}
	env := world(tmpl)
	for id, want := range map[string]map[string]any{
		"Groupb2": {"Name": "s-b-2", "Plain": "b-2", "Port80": "b-2:80", "Port443": "b-2:443"},
		"Last":    {"How": 3, "Text": `{"a":"Groupb2/Arn","b":[1,true],"c":"<x>"}`},
	} {
		got, err := env.Eval(tmpl.Resources[id].Properties)
		if err != nil || !reflect.DeepEqual(got, any(want)) {
			t.Errorf("%s is %v, %v", id, got, err)
		}
	}
	if got := tmpl.Resources["Groupa1"].DeletionPolicy; got != "Retain" {
		t.Error(got)
	}
	if v, err := env.Eval(tmpl.Outputs["Outb2Name"].Value); err != nil || v != "Groupb2/Name" {
		t.Error(v, err)
	}
	var processed map[string]map[string]any
	if err := json.Unmarshal([]byte(tmpl.Processed()), &processed); err != nil || len(processed["Resources"]) != 3 {
		t.Error(err, tmpl.Processed())
	}
}

// What a loop makes follows the values of parameters.
func TestLoopsFollowParameters(t *testing.T) {
	tmpl, err := ParseWith(strings.Replace(loops, "DependsOn: [Groupa1]", "", 1), map[string]string{"Names": "b-2", "Policy": "Delete"})
	if err != nil {
		t.Fatal(err)
	}
	if got := tmpl.LogicalIDs(); !slices.Equal(got, []string{"Groupb2", "Last"}) || tmpl.Resources["Groupb2"].DeletionPolicy != "Delete" {
		t.Error(got)
	}
	env := world(tmpl)
	env.Parameters["Names"] = []any{"b-2"}
	if _, err := tmpl.EvalConditions(env); err != nil {
		t.Error(err)
	}
}

func TestLoopsRefused(t *testing.T) {
	for body, want := range map[string]string{
		"Resources: {A: {Type: T, Properties: {P: !Length [a]}}}":                                                                            "Template error: Encountered unsupported function: Fn::Length",
		"Transform: AWS::LanguageExtensions\nResources: {'Fn::ForEach::X': [A, B]}":                                                          "Fn::ForEach layout is incorrect: Fn::ForEach::X",
		"Transform: AWS::LanguageExtensions\nResources: {'Fn::ForEach::X': [A, B, {'R${A}': {Type: T}}]}":                                    "Fn::ForEach could not resolve list",
		"Transform: AWS::LanguageExtensions\nResources: {'Fn::ForEach::X': [A, [b, c], {R: {Type: T}}]}":                                     "Template format error: duplicate key \"R\"",
		"Transform: AWS::LanguageExtensions\nResources: {'Fn::ForEach::X': [A, ['a-b'], {'R${A}': {Type: T}}]}":                              "Template format error: Resource name Ra-b is non alphanumeric.",
		"Resources: {A: {Type: T, Properties: {P: !FindInMap [M, a, b]}}}":                                                                   "Template error: Mapping named 'M' is not present",
		"Transform: AWS::LanguageExtensions\nResources: {'Fn::ForEach::X': [A, [" + strings.Repeat("'1',", 3000) + "'1'], " + deep(5) + "]}": "Template format error: the template is too large",
	} {
		if _, err := Parse(body); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.100s: %v", body, err)
		}
	}
}

// deep are loops within loops, each of a hundred turns.
func deep(n int) string {
	inner := "{'R': {Type: T}}"
	if n > 0 {
		inner = deep(n - 1)
	}
	items := make([]string, 100)
	for i := range items {
		items[i] = fmt.Sprint("x", i)
	}
	return fmt.Sprintf("{'Fn::ForEach::Y': [B%d, [%s], {'K${B%d}': {Properties: %s}}]}", n, strings.Join(items, ","), n, inner)
}
