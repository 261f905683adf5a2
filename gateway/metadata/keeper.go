package metadata

import (
	"context"
	"sync"
	"time"

	"minato/internal/clock"
)

// renewBefore is how long before their end keys are replaced; the SDKs ask
// again up to fifteen minutes before.
const renewBefore = 20 * time.Minute

// Keeper keeps the keys of role sessions and renews them before they end: what
// services/ecs and services/ec2 answer TaskCredentials and InstanceCredentials
// from.
type Keeper struct {
	clock  clock.Clock
	assume func(ctx context.Context, roleARN, session string) (*Credentials, error)

	mu   sync.Mutex
	kept map[[2]string]*kept
}

type kept struct {
	mu    sync.Mutex // held while the keys are fetched, so that it is done once
	creds *Credentials
}

// NewKeeper returns a keeper that fetches keys with assume: sts AssumeRole under
// the identity of the service that the role trusts.
func NewKeeper(c clock.Clock, assume func(ctx context.Context, roleARN, session string) (*Credentials, error)) *Keeper {
	return &Keeper{clock: c, assume: assume, kept: map[[2]string]*kept{}}
}

// Get returns good keys of a role's session.
func (k *Keeper) Get(ctx context.Context, roleARN, session string) (*Credentials, error) {
	k.mu.Lock()
	id := [2]string{roleARN, session}
	e := k.kept[id]
	if e == nil {
		e = &kept{}
		k.kept[id] = e
	}
	k.mu.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	now := k.clock.Now()
	if e.creds != nil && now.Add(renewBefore).Before(e.creds.Expiration) {
		return e.creds, nil
	}
	c, err := k.assume(ctx, roleARN, session)
	if err != nil {
		return nil, err
	}
	fresh := *c
	fresh.RoleARN, fresh.LastUpdated = roleARN, now
	e.creds = &fresh
	return e.creds, nil
}

// Forget drops the keys of a session: its task or instance is gone.
func (k *Keeper) Forget(session string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id := range k.kept {
		if id[1] == session {
			delete(k.kept, id)
		}
	}
}
