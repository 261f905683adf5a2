// Package managed holds the policies that AWS keeps: one JSON file a policy,
// the real document with its path, version and dates. They are read when they
// are first asked for.
package managed

import (
	"embed"
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"sync"
	"time"

	"minato/aws/policy"
)

//go:embed *.json
var files embed.FS

// arnPrefix begins the ARN of every policy that AWS keeps.
const arnPrefix = "arn:aws:iam::aws:policy"

// Policy is a policy of AWS's.
type Policy struct {
	Name             string
	Path             string
	CreateDate       time.Time
	UpdateDate       time.Time
	DefaultVersionID string `json:"DefaultVersionId"`
	Document         json.RawMessage
	Compiled         *policy.Policy `json:"-"`
}

// ARN is the policy's ARN.
func (p *Policy) ARN() string { return ARN(p.Path, p.Name) }

// ARN is the ARN of AWS's policy with a path and name.
func ARN(path, name string) string { return arnPrefix + path + name }

// load reads every file, once. The files are ours, so a bad one is a fault of
// the build.
var load = sync.OnceValue(func() map[string]*Policy {
	entries, err := files.ReadDir(".")
	if err != nil {
		panic(err)
	}
	out := make(map[string]*Policy, len(entries))
	for _, e := range entries {
		b, err := files.ReadFile(e.Name())
		if err != nil {
			panic(err)
		}
		p := &Policy{Name: strings.TrimSuffix(e.Name(), ".json")}
		if err := json.Unmarshal(b, p); err != nil {
			panic(fmt.Sprintf("managed policy %s: %v", p.Name, err))
		}
		if p.Compiled, err = policy.Parse(string(p.Document), policy.Identity); err != nil {
			panic(fmt.Sprintf("managed policy %s: %v", p.Name, err))
		}
		out[p.ARN()] = p
	}
	return out
})

// Get returns the policy with an ARN, or nil.
func Get(arn string) *Policy { return load()[arn] }

// Is reports whether an ARN is of a policy that AWS would keep.
func Is(arn string) bool { return strings.HasPrefix(arn, arnPrefix+"/") }

// All lists the policies by name.
func All() []*Policy {
	var out []*Policy
	for _, p := range load() {
		out = append(out, p)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}
