package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	taskTrust       = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	executionPolicy = "arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
)

// createService makes what the learner clicks together in the ECS console.
func (j *journey) createService(ctx context.Context) error {
	if err := j.aws(ctx, nil, "ecs", "create-cluster", "--cluster-name", j.cluster); err != nil {
		return err
	}
	j.made = append(j.made, "the cluster chat")
	var role struct{ Role struct{ Arn string } }
	if err := j.aws(ctx, &role, "iam", "create-role", "--role-name", "chat-execution", "--assume-role-policy-document", taskTrust); err != nil {
		return err
	}
	if err := j.aws(ctx, nil, "iam", "attach-role-policy", "--role-name", "chat-execution", "--policy-arn", executionPolicy); err != nil {
		return err
	}
	if err := j.aws(ctx, nil, "logs", "create-log-group", "--log-group-name", "/chat"); err != nil {
		return err
	}
	definition, err := j.taskDefinition(ctx, role.Role.Arn)
	if err != nil {
		return err
	}
	if err := j.aws(ctx, nil, "ecs", "register-task-definition", "--cli-input-json", definition); err != nil {
		return err
	}
	if err := j.listener(ctx); err != nil {
		return err
	}
	network := fmt.Sprintf("awsvpcConfiguration={subnets=[%s,%s],securityGroups=[%s],assignPublicIp=DISABLED}", j.stack["SubnetPrivateA"], j.stack["SubnetPrivateC"], j.stack["WebGroup"])
	if err := j.aws(ctx, nil, "ecs", "create-service", "--cluster", j.cluster, "--service-name", "chat", "--task-definition", "chat", "--desired-count", "2",
		"--launch-type", "FARGATE", "--network-configuration", network, "--load-balancers", "targetGroupArn="+j.tg+",containerName=chat,containerPort=80"); err != nil {
		return err
	}
	j.made = append(j.made, "the service chat")
	if err := j.timed("two tasks in two zones are up, and healthy behind the load balancer", func() error { return j.serviceStable(ctx) }); err != nil {
		if ctx.Err() == nil {
			_ = j.why(ctx, "chat/chat") // the explanation of the failure that is returned
		}
		return err
	}
	_, err = get(ctx, http.DefaultClient, j.url+"/")
	return err
}

// taskDefinition is the chat's, with the database's address of the stack.
func (j *journey) taskDefinition(ctx context.Context, executionRole string) (string, error) {
	var db struct {
		DBInstances []struct{ Endpoint struct{ Address string } }
	}
	if err := j.quiet(ctx, nil, &db, "rds", "describe-db-instances", "--db-instance-identifier", j.stack["Database"]); err != nil {
		return "", err
	}
	if len(db.DBInstances) == 0 {
		return "", fmt.Errorf("the database %s is gone", j.stack["Database"])
	}
	type pair struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	b, err := json.Marshal(map[string]any{
		"family": "chat", "requiresCompatibilities": []string{"FARGATE"}, "networkMode": "awsvpc", "cpu": "256", "memory": "512", "executionRoleArn": executionRole,
		"containerDefinitions": []any{map[string]any{
			"name": "chat", "image": j.repo + ":latest", "portMappings": []any{map[string]any{"containerPort": 80}},
			"environment": []pair{{"PORT", "80"}, {"DB_HOST", db.DBInstances[0].Endpoint.Address}, {"DB_USER", "root"}, {"DB_PASS", "chat-password"}},
			"logConfiguration": map[string]any{"logDriver": "awslogs", "options": map[string]string{
				"awslogs-group": "/chat", "awslogs-region": j.value("AWS_DEFAULT_REGION"), "awslogs-stream-prefix": "web",
			}},
		}},
	})
	return string(b), err
}

// listener makes the target group and the listener of the stack's load balancer.
func (j *journey) listener(ctx context.Context) error {
	var tg struct {
		TargetGroups []struct{ TargetGroupArn string }
	}
	if err := j.aws(ctx, &tg, "elbv2", "create-target-group", "--name", "chat", "--protocol", "HTTP", "--port", "80", "--target-type", "ip",
		"--vpc-id", j.stack["Vpc"], "--health-check-path", "/"); err != nil {
		return err
	}
	j.tg = tg.TargetGroups[0].TargetGroupArn
	j.made = append(j.made, "the target group chat")
	if err := j.aws(ctx, nil, "elbv2", "create-listener", "--load-balancer-arn", j.stack["LoadBalancer"], "--protocol", "HTTP", "--port", "80",
		"--default-actions", "Type=forward,TargetGroupArn="+j.tg); err != nil {
		return err
	}
	var lb struct{ LoadBalancers []struct{ DNSName string } }
	if err := j.quiet(ctx, nil, &lb, "elbv2", "describe-load-balancers", "--load-balancer-arns", j.stack["LoadBalancer"]); err != nil {
		return err
	}
	j.url = "http://" + lb.LoadBalancers[0].DNSName
	return nil
}

// serviceStable waits until the service's deployment is over. `aws ecs wait
// services-stable` would do, but it asks only every 15 s.
func (j *journey) serviceStable(ctx context.Context) error {
	deadline := time.Now().Add(5 * time.Minute)
	for {
		s, err := j.service(ctx)
		if err != nil {
			return err
		}
		if s.stable() {
			return nil
		}
		if time.Now().After(deadline) {
			last := ""
			if len(s.Events) > 0 {
				last = s.Events[0].Message
			}
			return fmt.Errorf("the service is not stable after five minutes: %s", strings.TrimSpace(last))
		}
		select {
		case <-time.After(300 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
