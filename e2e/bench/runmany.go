package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// runTasks measures RunTask of so many tasks until all are RUNNING and answer.
// RunTask makes ten at most: a hundred are ten calls at once.
func (b *bench) runTasks(ctx context.Context) error {
	w, err := b.shared(ctx)
	if err != nil {
		return err
	}
	if err := w.unpacked(ctx); err != nil {
		return err
	}
	for _, m := range []struct{ tasks, rounds int }{{1, 20}, {10, 7}, {100, 3}} {
		var took []float64
		for range m.rounds {
			_, all, err := w.runMany(ctx, family, m.tasks)
			if err != nil {
				return fmt.Errorf("%d tasks: %w", m.tasks, err)
			}
			took = append(took, milliseconds(all))
			if err := w.stopTasks(ctx); err != nil {
				return err
			}
		}
		b.add(fmt.Sprintf("runtask_%d_ms_p50", m.tasks), median(took), 0)
	}
	return nil
}

// runMany runs tasks of a definition and returns when all were RUNNING, and when
// each had answered at its public address.
func (w *world) runMany(ctx context.Context, definition string, tasks int) (running, all time.Duration, err error) {
	begin := time.Now()
	var (
		mu   sync.Mutex
		arns []string
		errs []error
		wait sync.WaitGroup
	)
	for left := tasks; left > 0; left -= 10 {
		wait.Go(func() {
			out, err := w.ecs.RunTask(ctx, &ecs.RunTaskInput{
				Cluster: aws.String(cluster), TaskDefinition: &definition, LaunchType: ecstypes.LaunchTypeFargate,
				NetworkConfiguration: w.awsvpc(), Count: aws.Int32(int32(min(left, 10))),
			})
			mu.Lock()
			defer mu.Unlock()
			if errs = append(errs, err); err != nil {
				return
			}
			for _, f := range out.Failures {
				errs = append(errs, fmt.Errorf("RunTask: %s", aws.ToString(f.Reason)))
			}
			for _, t := range out.Tasks {
				arns = append(arns, *t.TaskArn)
			}
		})
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		return 0, 0, err
	}
	// Describing a hundred tasks each 2 ms would be measured itself.
	enis, err := w.allRun(ctx, arns, time.Duration(tasks)*2*time.Millisecond/10)
	if err != nil {
		return 0, 0, err
	}
	running = time.Since(begin)
	found, err := w.ec2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{Filters: []ec2types.Filter{{Name: aws.String("network-interface-id"), Values: enis}}})
	if err != nil {
		return 0, 0, err
	}
	if len(found.NetworkInterfaces) != tasks {
		return 0, 0, fmt.Errorf("%d of %d tasks have a network interface", len(found.NetworkInterfaces), tasks)
	}
	for _, i := range found.NetworkInterfaces {
		if i.Association == nil {
			return 0, 0, fmt.Errorf("%s has no public address", *i.NetworkInterfaceId)
		}
		url := "http://" + *i.Association.PublicIp + "/"
		if err := until(ctx, 10*time.Second, "the task answers", func() (bool, error) {
			err := answers(url)
			return err == nil, err
		}); err != nil {
			return 0, 0, err
		}
	}
	return running, time.Since(begin), nil
}

// allRun waits until tasks are RUNNING and returns their network interfaces; it
// asks again after a pause.
func (w *world) allRun(ctx context.Context, arns []string, pause time.Duration) (enis []string, err error) {
	err = until(ctx, 60*time.Second, "the tasks run", func() (bool, error) {
		d, err := w.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: aws.String(cluster), Tasks: arns})
		if err != nil {
			return false, err
		}
		enis = nil
		for _, t := range d.Tasks {
			if *t.LastStatus != "RUNNING" {
				time.Sleep(pause)
				return false, fmt.Errorf("%s is %s %s", *t.TaskArn, *t.LastStatus, aws.ToString(t.StoppedReason))
			}
			for _, a := range t.Attachments {
				for _, kv := range a.Details {
					if aws.ToString(kv.Name) == "networkInterfaceId" {
						enis = append(enis, aws.ToString(kv.Value))
					}
				}
			}
		}
		return len(d.Tasks) == len(arns), nil
	})
	return enis, err
}
