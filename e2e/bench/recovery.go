package main

import (
	"context"
	"slices"
	"time"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// recovery measures from the restart after SIGKILL of daemon and containerd to
// the load balancer's first answer; the same tasks must be there.
func (b *bench) recovery(ctx context.Context) error {
	w, err := b.shared(ctx)
	if err != nil {
		return err
	}
	url, err := w.front(ctx, 6)
	if err != nil {
		return err
	}
	before, err := w.tasks(ctx, ecstypes.DesiredStatusRunning)
	if err != nil {
		return err
	}
	var took []float64
	for range 3 {
		if err := kill(ctx, w.in); err != nil {
			return err
		}
		begin := time.Now()
		up := make(chan error, 1)
		go func() { up <- w.in.Up() }()
		err := until(ctx, 30*time.Second, "the load balancer answers again", func() (bool, error) {
			err := answers(url)
			return err == nil, err
		})
		took = append(took, time.Since(begin).Seconds())
		if e := <-up; e != nil {
			return e
		}
		if err != nil {
			return err
		}
		time.Sleep(time.Second) // let it settle: what follows is the next round's
	}
	after, err := w.tasks(ctx, ecstypes.DesiredStatusRunning)
	if err != nil {
		return err
	}
	kept := 0
	for _, task := range before {
		if slices.Contains(after, task) {
			kept++
		}
	}
	if kept != len(before) {
		b.leave("recovery: %d of %d tasks outlived it", kept, len(before))
	}
	b.add("recovery_seconds", median(took), 2)
	return nil
}
