package policy

import (
	"encoding/json"
	"sync"
)

// Kind says what a document is attached to; each kind has its own grammar.
type Kind uint8

// The kinds of documents.
const (
	Identity Kind = iota // of a user, group or role; a boundary; a session
	Resource             // of a resource, such as an ECR repository
	Trust                // who may assume a role
)

// Policy is a compiled document. It is immutable and safe for concurrent use.
type Policy struct {
	statements []statement
	current    bool // of the version 2012-10-17
}

// statement is one compiled Statement.
type statement struct {
	sid          string
	deny         bool
	actions      []glob // folded to lower case
	notActions   bool
	resources    []glob // nil: whatever the document is attached to
	notResources bool
	principals   *principals // nil in identity documents
	conditions   []condition
}

// document is the JSON of a policy, before it is compiled.
type document struct {
	Version   *string
	ID        *string `json:"Id"`
	Statement json.RawMessage
}

// cacheSize bounds the number of compiled documents that Compile keeps.
const cacheSize = 4096

type cacheKey struct {
	kind Kind
	text string
}

var cache = struct {
	sync.RWMutex
	m map[cacheKey]*Policy
}{m: map[cacheKey]*Policy{}}

// Compile is Parse with a memory: the same document is compiled once.
func Compile(text string, kind Kind) (*Policy, error) {
	k := cacheKey{kind, text}
	cache.RLock()
	p := cache.m[k]
	cache.RUnlock()
	if p != nil {
		return p, nil
	}
	p, err := Parse(text, kind)
	if err != nil {
		return nil, err
	}
	cache.Lock()
	defer cache.Unlock()
	if len(cache.m) >= cacheSize {
		// Starting over is cheaper than keeping order for a limit that is
		// hardly ever met.
		clear(cache.m)
	}
	cache.m[k] = p
	return p, nil
}
