package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

const (
	connections    = 8
	describeRounds = 3
	describeTime   = 4 * time.Second
)

// describe measures how many DescribeServices of one service with two running
// tasks are answered, every request's signature checked and authorized; and the
// same of moto_server, in turns.
func (b *bench) describe(ctx context.Context) error {
	w, err := b.shared(ctx)
	if err != nil {
		return err
	}
	const service = "described"
	_, err = w.ecs.CreateService(ctx, &ecs.CreateServiceInput{
		Cluster: aws.String(cluster), ServiceName: aws.String(service), TaskDefinition: aws.String(family), DesiredCount: aws.Int32(2),
		LaunchType: ecstypes.LaunchTypeFargate, NetworkConfiguration: w.awsvpc(),
	})
	if err != nil {
		return err
	}
	defer func() {
		_, err := w.ecs.DeleteService(ctx, &ecs.DeleteServiceInput{Cluster: aws.String(cluster), Service: aws.String(service), Force: aws.Bool(true)})
		if err == nil {
			err = w.stopTasks(ctx)
		}
		if err != nil {
			b.leave("the described service did not go: %v", err)
		}
	}()
	if err := w.stable(ctx, service, 2); err != nil {
		return err
	}
	request, err := w.ecsCall(w.in.Listen, "DescribeServices", map[string]any{"cluster": cluster, "services": []string{service}})
	if err != nil {
		return err
	}
	peer, stop, err := w.moto(ctx, service)
	if err != nil {
		b.leave("describe_services_over_moto: %v", err)
	} else {
		defer stop()
	}
	var p50, p99, rate, motoRate []float64
	for range describeRounds {
		l, perSecond, err := hammer(ctx, w.in.Listen, request, connections, describeTime)
		if err != nil {
			return err
		}
		p50, p99, rate = append(p50, median(l)), append(p99, quantile(l, 0.99)), append(rate, perSecond)
		if peer == nil {
			continue
		}
		if _, perSecond, err = hammer(ctx, peer.address, peer.request, connections, describeTime); err != nil {
			return fmt.Errorf("moto_server: %w", err)
		}
		motoRate = append(motoRate, perSecond)
	}
	b.add("describe_services_p50_ms", median(p50), 3)
	b.add("describe_services_p99_ms", median(p99), 3)
	b.add("describe_services_per_second", median(rate), 0)
	if peer != nil {
		b.add("moto_describe_services_per_second", median(motoRate), 0)
		b.add("describe_services_over_moto", median(rate)/median(motoRate), 1)
	}
	return nil
}

func (w *world) ecsCall(address, operation string, in any) ([]byte, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	return signedRequest(address, "ecs", "AmazonEC2ContainerServiceV20141113."+operation, w.env["AWS_ACCESS_KEY_ID"], w.env["AWS_SECRET_ACCESS_KEY"], body)
}

type motoServer struct {
	address string
	request []byte
}

// moto starts moto_server with a service of the same name. It neither checks
// signatures nor runs anything.
func (w *world) moto(ctx context.Context, service string) (*motoServer, func(), error) {
	path, err := exec.LookPath("moto_server")
	if err != nil {
		return nil, nil, fmt.Errorf("moto_server is not installed")
	}
	port, err := freePort()
	if err != nil {
		return nil, nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	stop, err := start(ctx, exec.Command(path, "-H", "127.0.0.1", "-p", fmt.Sprint(port)), address)
	if err != nil {
		return nil, nil, err
	}
	for _, c := range []struct {
		operation string
		in        any
	}{
		{"CreateCluster", map[string]any{"clusterName": cluster}},
		{"RegisterTaskDefinition", map[string]any{"family": family, "containerDefinitions": []any{map[string]any{"name": "answer", "image": "answer", "memory": 512}}}},
		{"CreateService", map[string]any{"cluster": cluster, "serviceName": service, "taskDefinition": family, "desiredCount": 2}},
	} {
		raw, err := w.ecsCall(address, c.operation, c.in)
		if err == nil {
			_, err = once(ctx, address, raw)
		}
		if err != nil {
			stop()
			return nil, nil, fmt.Errorf("moto_server: %s: %w", c.operation, err)
		}
	}
	request, err := w.ecsCall(address, "DescribeServices", map[string]any{"cluster": cluster, "services": []string{service}})
	if err != nil {
		stop()
		return nil, nil, err
	}
	return &motoServer{address, request}, stop, nil
}

// once sends a raw request on a connection of its own.
func once(ctx context.Context, address string, raw []byte) (keep bool, err error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return false, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return false, err
	}
	if _, err := c.Write(raw); err != nil {
		return false, err
	}
	return readAnswer(newReader(c))
}

// stable waits until a service has one deployment and all its tasks.
func (w *world) stable(ctx context.Context, service string, n int32) error {
	return until(ctx, 90*time.Second, "service "+service+" is stable", func() (bool, error) {
		out, err := w.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: aws.String(cluster), Services: []string{service}})
		if err != nil {
			return false, err
		}
		s := out.Services[0]
		if s.RunningCount == n && len(s.Deployments) == 1 && s.Deployments[0].RolloutState == ecstypes.DeploymentRolloutStateCompleted {
			return true, nil
		}
		if len(s.Events) > 0 {
			err = fmt.Errorf("its last event: %s", *s.Events[0].Message)
		}
		return false, err
	})
}

// start runs a program in the background until it listens; stop ends it.
func start(ctx context.Context, cmd *exec.Cmd, address string) (stop func(), err error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait() // how it ended does not matter once it was stopped
		close(ended)
	}()
	stop = func() { terminate(cmd, ended) }
	err = until(ctx, 20*time.Second, cmd.Path+" listens on "+address, func() (bool, error) {
		select {
		case <-ended:
			return false, fmt.Errorf("it ended: %s", out.Bytes())
		default:
		}
		return reachable(address) == nil, nil
	})
	if err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}

func reachable(address string) error {
	c, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return err
	}
	return c.Close()
}

// answers tells whether the page can be had on a new connection.
func answers(url string) error {
	return get(&http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}, url)
}
