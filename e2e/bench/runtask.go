package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"minato/e2e/harness"

	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

const taskRounds = 20

// runTask measures RunTask to RUNNING and answering at its public address, with
// the image cached; and, in turns, docker run of the same image to answering on
// its bridge. The tasks stay, for adopt.
func (b *bench) runTask(ctx context.Context) error {
	w, err := b.shared(ctx)
	if err != nil {
		return err
	}
	if err := w.unpacked(ctx); err != nil {
		return err
	}
	docker, err := b.docker(ctx)
	if err != nil {
		b.leave("runtask_over_docker_run: %v", err)
	} else {
		defer docker.stop()
		if _, err := docker.run(ctx); err != nil {
			b.leave("runtask_over_docker_run: %v", err)
			docker = nil
		}
	}
	var ours, running, theirs []float64
	for range taskRounds {
		state, all, err := w.runOne(ctx)
		if err != nil {
			return err
		}
		running, ours = append(running, milliseconds(state)), append(ours, milliseconds(all))
		if docker == nil {
			continue
		}
		d, err := docker.run(ctx)
		if err != nil {
			return err
		}
		theirs = append(theirs, milliseconds(d))
	}
	b.add("runtask_ms_p50", median(ours), 0)
	b.add("runtask_ms_max", quantile(ours, 1), 0)
	b.add("runtask_running_ms_p50", median(running), 0)
	if docker != nil {
		b.add("docker_run_ms_p50", median(theirs), 0)
		b.add("runtask_over_docker_run", median(ours)/median(theirs), 2)
	}
	return nil
}

// runOne runs a task and returns when it was RUNNING, and when it answered.
func (w *world) runOne(ctx context.Context) (running, all time.Duration, err error) {
	return w.runMany(ctx, family, 1)
}

// adopt measures a start while the tasks of runTask run on, after the daemon and
// containerd were killed.
func (b *bench) adopt(ctx context.Context) error {
	w, err := b.shared(ctx)
	if err != nil {
		return err
	}
	tasks, err := w.tasks(ctx, ecstypes.DesiredStatusRunning)
	if err != nil {
		return err
	}
	for range taskRounds - len(tasks) {
		if _, _, err := w.runOne(ctx); err != nil {
			return err
		}
	}
	mib, err := memory(w.in)
	if err != nil {
		return err
	}
	var took []float64
	for range 3 {
		if err := kill(ctx, w.in); err != nil {
			return err
		}
		begin := time.Now()
		if err := w.in.Up(); err != nil {
			return err
		}
		took = append(took, milliseconds(time.Since(begin)))
		time.Sleep(time.Second) // let it settle: what follows is the next round's
	}
	now, err := w.tasks(ctx, ecstypes.DesiredStatusRunning)
	if err != nil {
		return err
	}
	if len(now) < taskRounds {
		return fmt.Errorf("%d of %d tasks are left after the restart", len(now), taskRounds)
	}
	b.add("up_20_tasks_ready_ms", median(took), 0)
	b.add("with_20_tasks_mib", mib, 1)
	return w.stopTasks(ctx)
}

// kill ends the daemon and containerd as a power cut would, and returns when
// they are gone.
func kill(ctx context.Context, in *harness.Instance) error {
	s, err := status(in)
	if err != nil {
		return err
	}
	for _, p := range s.Processes {
		if p.Role != "daemon" && p.Role != "containerd" {
			continue
		}
		if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil {
			return err
		}
		if err := until(ctx, 10*time.Second, p.Role+" is gone", func() (bool, error) { return gone(p.PID), nil }); err != nil {
			return err
		}
	}
	return nil
}

// gone tells whether a process has ended; a zombie has.
func gone(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	return err != nil || len(b) == 0
}
