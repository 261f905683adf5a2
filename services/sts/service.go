package sts

import (
	"context"
	"log/slog"
	"sync"
	"time"

	iamapi "minato/aws/api/iam"
	stsapi "minato/aws/api/sts"
	"minato/gateway"
	"minato/internal/clock"
	"minato/store"
)

// global stands where other services' keys have the region.
const global = "global"

// Deps is what the service needs.
type Deps struct {
	Store store.Store
	Clock clock.Clock
	Log   *slog.Logger
	IAM   iamapi.API // where the roles are
}

// Service implements stsapi.API and gateway.Authenticator.
type Service struct {
	clock    clock.Clock
	log      *slog.Logger
	iam      iamapi.API
	sessions store.Table[session]

	mu    sync.RWMutex
	known map[string]*session // sessions never change, so what was read stays true
	swept time.Time
}

var (
	_ stsapi.API            = (*Service)(nil)
	_ gateway.Authenticator = (*Service)(nil)
)

// New returns the service.
func New(d Deps) *Service {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{clock: d.Clock, log: d.Log, iam: d.IAM, sessions: store.NewTable[session](d.Store, "sts/session"), known: map[string]*session{}}
}

// Registration is what the gateway needs to serve STS.
func (s *Service) Registration() gateway.Registration {
	return gateway.Registration{Service: stsapi.Model, Handlers: stsapi.Handlers(s), Checks: s.checks}
}

// remember keeps a session for look-ups.
func (s *Service) remember(x *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known[x.KeyID] = x
}

// sweepEvery is how often expired sessions are looked for.
const sweepEvery = 10 * time.Minute

// sweep removes expired sessions, if that has not been done for a while. A
// failure costs nothing but space, and is tried again.
func (s *Service) sweep(ctx context.Context) {
	now := s.clock.Now()
	s.mu.Lock()
	if now.Sub(s.swept) < sweepEvery {
		s.mu.Unlock()
		return
	}
	s.swept = now
	for id, x := range s.known {
		if now.After(x.Expires) {
			delete(s.known, id)
		}
	}
	s.mu.Unlock()
	all, err := s.sessions.List(ctx)
	if err != nil {
		s.log.Warn("expired sessions could not be listed", "error", err)
		return
	}
	for i := range all {
		if now.After(all[i].Expires) {
			if err := s.sessions.Delete(ctx, all[i].Caller.Account, global, all[i].KeyID); err != nil {
				s.log.Warn("an expired session could not be removed", "error", err)
				return
			}
		}
	}
}
