package main

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

const breakerRounds = 3

// breaker measures from the push of an image that ends at once until the circuit
// breaker has rolled the service back and the rollback is COMPLETED.
func (b *bench) breaker(ctx context.Context) error {
	w, err := b.shared(ctx)
	if err != nil {
		return err
	}
	const service = "guarded"
	if _, err := w.ecs.CreateService(ctx, &ecs.CreateServiceInput{
		Cluster: aws.String(cluster), ServiceName: aws.String(service), TaskDefinition: aws.String(family), DesiredCount: aws.Int32(2),
		LaunchType: ecstypes.LaunchTypeFargate, NetworkConfiguration: w.awsvpc(),
		DeploymentConfiguration: &ecstypes.DeploymentConfiguration{DeploymentCircuitBreaker: &ecstypes.DeploymentCircuitBreaker{Enable: true, Rollback: true}},
	}); err != nil {
		return err
	}
	if err := w.stable(ctx, service, 2); err != nil {
		return err
	}
	var took []float64
	for range breakerRounds {
		d, err := w.breakOnce(ctx, service, b.answer)
		if err != nil {
			return err
		}
		took = append(took, d.Seconds())
	}
	b.add("breaker_seconds", median(took), 2)
	if _, err := w.ecs.DeleteService(ctx, &ecs.DeleteServiceInput{Cluster: aws.String(cluster), Service: aws.String(service), Force: aws.Bool(true)}); err != nil {
		return err
	}
	return w.stopTasks(ctx)
}

func (w *world) breakOnce(ctx context.Context, service, program string) (time.Duration, error) {
	img, err := makeImage(program, "-listen", "nowhere") // ends with exit code 1
	if err != nil {
		return 0, err
	}
	good, err := w.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: aws.String(family)})
	if err != nil {
		return 0, err
	}
	repo, options, err := w.registry(ctx, repository)
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	if err := remote.Write(repo.Tag("broken"), img, options...); err != nil {
		return 0, err
	}
	c := good.TaskDefinition.ContainerDefinitions[0]
	c.Image = aws.String(imageURI("broken"))
	bad, err := w.ecs.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{
		Family: aws.String("broken"), NetworkMode: good.TaskDefinition.NetworkMode, Cpu: good.TaskDefinition.Cpu, Memory: good.TaskDefinition.Memory,
		RequiresCompatibilities: good.TaskDefinition.RequiresCompatibilities, ExecutionRoleArn: good.TaskDefinition.ExecutionRoleArn,
		ContainerDefinitions: []ecstypes.ContainerDefinition{c},
	})
	if err != nil {
		return 0, err
	}
	if _, err := w.ecs.UpdateService(ctx, &ecs.UpdateServiceInput{Cluster: aws.String(cluster), Service: aws.String(service), TaskDefinition: bad.TaskDefinition.TaskDefinitionArn}); err != nil {
		return 0, err
	}
	err = until(ctx, 90*time.Second, "the rollback is complete", func() (bool, error) {
		out, err := w.ecs.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: aws.String(cluster), Services: []string{service}})
		if err != nil {
			return false, err
		}
		s := out.Services[0]
		return *s.TaskDefinition == *good.TaskDefinition.TaskDefinitionArn && len(s.Deployments) == 1 &&
			s.Deployments[0].RolloutState == ecstypes.DeploymentRolloutStateCompleted && s.RunningCount == 2, nil
	})
	return time.Since(begin), err
}
