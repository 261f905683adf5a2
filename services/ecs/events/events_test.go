package events

import "testing"

func TestWords(t *testing.T) {
	for got, want := range map[string]string{
		Started([]string{"a"}, ""):                     "has started 1 tasks: (task a).",
		Stopped([]string{"a", "b"}, ""):                "has stopped 2 running tasks: (task a) (task b).",
		Registered(1, "arn"):                           "registered 1 targets in (target-group arn)",
		Deregistered(2, "arn"):                         "deregistered 2 targets in (target-group arn)",
		Draining(1):                                    "has begun draining connections on 1 tasks.",
		NotRegistered("arn", "no"):                     "failed to register targets in (target-group arn) with (error no)",
		Event{Text: Steady}.Message("web"):             "(service web) has reached a steady state.",
		Event{"d", Draining(1)}.Message("web"):         "(service web, taskSet d) has begun draining connections on 1 tasks.",
		Protected(2):                                   "was unable to scale in due to (reason 2 tasks under protection)",
		Unhealthy(80, "arn", "No answer."):             "(port 80) is unhealthy in (target-group arn) due to (reason No answer).",
		Started([]string{"a"}, "z1"):                   "has started 1 tasks in z1 to AZ Rebalance: (task a).",
		Zones(map[string]int{"z2": 1, "z1": 3}, false): "is not AZ balanced with 3 tasks in z1, 1 tasks in z2. AZ Rebalancing in progress.",
		Zones(map[string]int{"z2": 2, "z1": 2}, true):  "is AZ balanced with 2 tasks in z1, 2 tasks in z2.",
		Tripped.RollingBack("d"):                       "ECS deployment circuit breaker: rolling back to deploymentId d.",
		Unplaced("CannotPull: not found"):              "was unable to place a task. Reason: CannotPull: not found.",
		Completed("ecs-svc/1"):                         "(deployment ecs-svc/1) deployment completed.",
		FailedTarget("arn"):                            "Task failed ELB health checks in (target-group arn)",
		Scaled("ecs-svc/1"):                            "Scaling activity initiated by (deployment ecs-svc/1)",
		Tripped.Failed("d") + " " + RollingBack("e"):   "(deployment d) deployment failed: tasks failed to start. rolling back to deployment e.",
	} {
		if got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}
