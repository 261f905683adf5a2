//go:build ignore

// Command cut copies the registry schemas of the resource types that minato
// serves from the full collection, without what nothing here reads:
//
//	go run services/cloudformation/schema/cut.go ../shared/models/cloudformation AWS::EC2::VPC …
package main

import (
	"bytes"
	"encoding/json"
	"log"
	"os"
	"path/filepath"
	"strings"
)

// dropped are members that are not used; they are half of the text.
var dropped = []string{"$schema", "propertyTransform", "tagging", "taggable", "lifecycle", "resourceLink", "additionalIdentifiers", "writeOnlyProperties", "deprecatedProperties"}

func main() {
	for _, name := range os.Args[2:] {
		file := strings.ReplaceAll(name, "::", "-") + ".json"
		text, err := os.ReadFile(filepath.Join(os.Args[1], file))
		if err != nil {
			log.Fatal(err)
		}
		schema := map[string]any{}
		if err := json.Unmarshal(text, &schema); err != nil {
			log.Fatal(file, ": ", err)
		}
		for _, k := range dropped {
			delete(schema, k)
		}
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", " ")
		if err := enc.Encode(schema); err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join("services/cloudformation/schema/types", file), b.Bytes(), 0o644); err != nil {
			log.Fatal(err)
		}
	}
}
