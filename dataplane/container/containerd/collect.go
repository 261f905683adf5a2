package containerd

import (
	"context"
	"time"

	"github.com/containerd/containerd/v2/core/leases"

	"minato/internal/clock"
	"minato/internal/ids"
)

// How long after a container was deleted its layer is collected, with those of
// others meanwhile; and how long a collection may take.
const (
	collectDelay    = time.Second
	collectPatience = 10 * time.Second
)

// letGo notes that there is something to collect. containerd notes it too, but
// misses what is let go of in the second half of a collection, and forgets it when
// it is killed; the layer stays on the disk until the next one is let go of.
func (r *Runtime) letGo() {
	select {
	case r.garbage <- struct{}{}:
	default: // noted already
	}
}

// collect has containerd collect what was let go of.
func (r *Runtime) collect() {
	for {
		select {
		case <-r.garbage:
		case <-r.ctx.Done():
			return
		}
		for clock.Sleep(r.ctx, clock.Real(1), collectDelay) == nil {
			if r.collectNow() == nil { // containerd may be down
				break
			}
		}
	}
}

// collectNow returns after a collection: that is what the end of a lease may wait
// for. The lease holds a layer, so that there is one to collect: containerd does
// not look at its layers otherwise. What is begun is ended, also when the runtime
// is closed meanwhile; of one that is killed, endLeases ends it.
func (r *Runtime) collectNow() error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(withNamespace(r.ctx)), collectPatience)
	defer cancel()
	name := "collect-" + ids.Hex(16)
	l, err := r.Leases().Create(ctx, leases.WithID(name), leases.WithExpiration(time.Hour), leases.WithLabel(workLabel, work))
	if err != nil {
		return err
	}
	if _, err = r.eng.client.SnapshotService(snapshotter).Prepare(leases.WithLease(ctx, l.ID), name, ""); err == nil {
		if err = r.Leases().Delete(ctx, l, leases.SynchronousDelete); err == nil {
			return nil
		}
	}
	r.endLease(l) // once containerd is there again
	return err
}
