package containerd

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/containerd/containerd/v2/core/leases"
	"github.com/containerd/errdefs"

	"minato/internal/clock"
	"minato/internal/ids"
)

// workLabel is on the leases that hold what is being made, with the process that
// makes it: containerd's client makes its own otherwise, and one whose owner was
// killed would keep its things for a day.
const workLabel = "minato.container/work"

// lease keeps what is made with the context from being collected, until done.
func (r *Runtime) lease(ctx context.Context) (leased context.Context, done func(), err error) {
	ctx = withNamespace(ctx)
	if _, ok := leases.FromContext(ctx); ok {
		return ctx, func() {}, nil
	}
	l := leases.Lease{ID: "work-" + ids.Hex(16)}
	if _, err := r.Leases().Create(ctx, leases.WithID(l.ID), leases.WithExpiration(24*time.Hour), leases.WithLabel(workLabel, work)); err != nil {
		r.endLease(l) // it may have been made before containerd died
		return ctx, nil, err
	}
	return leases.WithLease(ctx, l.ID), func() { r.endLease(l) }, nil
}

// endLease ends a lease; while containerd is away it goes on trying.
func (r *Runtime) endLease(l leases.Lease) {
	ctx := withNamespace(r.ctx)
	end := func() bool {
		err := r.Leases().Delete(ctx, l)
		return err == nil || errdefs.IsNotFound(err)
	}
	if end() {
		return
	}
	r.wg.Go(func() {
		for clock.Sleep(ctx, clock.Real(1), time.Second) == nil && !end() {
			continue
		}
	})
}

// work tells our leases from those of processes before us.
var work = fmt.Sprintf("%d-%d", os.Getpid(), time.Now().UnixNano())

// endLeases ends what processes before us were making when they were killed; it
// does so also when it is closed at once.
func (r *Runtime) endLeases() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(withNamespace(r.ctx)), collectPatience)
	defer cancel()
	list, err := r.Leases().List(ctx, fmt.Sprintf("labels.%q", workLabel))
	for _, l := range list {
		if err == nil && l.Labels[workLabel] != work {
			err = r.Leases().Delete(ctx, l)
		}
	}
	if err != nil && r.ctx.Err() == nil {
		r.o.Log.Warn("leases of an earlier process stay until they expire", "err", err)
	}
}
