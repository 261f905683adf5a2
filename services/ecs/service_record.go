package ecs

import (
	"time"

	"minato/services/ecs/rollout"
	"minato/store"
)

// serviceDraining is the status of a service whose tasks are being stopped.
const serviceDraining = "DRAINING"

// serviceKept is how long an INACTIVE service can still be described: waiters
// and Terraform look for it.
const serviceKept = time.Hour

// services is the table of services; below the region the keys are the
// cluster's and the service's name.
func (s *Service) services() store.Table[rollout.Service] {
	return store.NewTable[rollout.Service](s.Store, "ecs/service")
}
