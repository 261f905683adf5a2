package iam

import (
	"sync"

	"minato/aws/policy"
	"minato/gateway"
)

// principal is whom a decision is about: the compiled policies and tags of a
// user, of a role, or of a service's own role.
type principal struct {
	identity []policy.Named
	boundary *policy.Named
	name     string            // a user's, for aws:username
	tags     map[string]string // keys folded
}

// cache keeps what decisions need. Every write of the package empties it. What
// was read before a write must not come in after it, so a reader notes the
// generation before it reads.
type cache struct {
	mu          sync.RWMutex
	generation  uint64
	principals  map[string]*principal
	credentials map[string]gateway.Credential
}

func newCache() *cache {
	return &cache{principals: map[string]*principal{}, credentials: map[string]gateway.Credential{}}
}

func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	clear(c.principals)
	clear(c.credentials)
}

func (c *cache) now() uint64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.generation
}

func (c *cache) principal(id string) *principal {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.principals[id]
}

func (c *cache) putPrincipal(generation uint64, id string, p *principal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if generation == c.generation {
		c.principals[id] = p
	}
}

func (c *cache) credential(id string) (gateway.Credential, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	v, ok := c.credentials[id]
	return v, ok
}

func (c *cache) putCredential(generation uint64, id string, v gateway.Credential) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if generation == c.generation {
		c.credentials[id] = v
	}
}
