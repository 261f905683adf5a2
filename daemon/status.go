package daemon

import (
	"context"
	"os"

	cfnapi "minato/aws/api/cloudformation"
	ec2api "minato/aws/api/ec2"
	ecsapi "minato/aws/api/ecs"
	elbv2api "minato/aws/api/elbv2"
	logsapi "minato/aws/api/logs"
	rdsapi "minato/aws/api/rds"
	"minato/daemon/control"
	"minato/explain"
)

// status is what `minato status` shows, read through the API.
func (d *daemon) status(ctx context.Context) (control.Status, error) {
	s := control.Status{State: d.state(), Instance: d.in.ID, DataDir: d.in.DataDir, Since: d.since, Items: []control.Item{}}
	s.Processes = []control.Process{{Role: "daemon", PID: os.Getpid()}, {Role: "containerd", PID: d.runtime.EnginePID()}}
	return s, nil
}

func (d *daemon) explainer() *explain.Explainer {
	return &explain.Explainer{
		EC2: ec2api.NewClient(d.gateway), ECS: ecsapi.NewClient(d.gateway), ELB: elbv2api.NewClient(d.gateway), RDS: rdsapi.NewClient(d.gateway),
		CloudFormation: cfnapi.NewClient(d.gateway), Logs: logsapi.NewClient(d.gateway), Drops: d.network.Drops,
	}
}
