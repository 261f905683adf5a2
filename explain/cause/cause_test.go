package cause

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"minato/dataplane/network"
)

var now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func exit(n int32) *int32 { return &n }

func sockets(list ...string) []netip.AddrPort {
	var out []netip.AddrPort
	for _, s := range list {
		out = append(out, netip.MustParseAddrPort(s))
	}
	return out
}

// text is everything that findings say.
func text(f Findings) string {
	var b strings.Builder
	for _, c := range f.Causes {
		fmt.Fprintf(&b, "CAUSE %s\n", c.What)
		for _, e := range c.Evidence {
			fmt.Fprintf(&b, "  seen %s\n", e)
		}
		for _, r := range c.Remedy {
			fmt.Fprintf(&b, "  mend %s\n", r)
		}
	}
	for _, w := range f.Waits {
		fmt.Fprintf(&b, "WAITS %s\n", w)
	}
	for _, p := range f.Proof {
		fmt.Fprintf(&b, "PROOF %s\n", p)
	}
	return b.String()
}

// says holds findings to the number of causes and to what must, or must not, be
// in them.
func says(t *testing.T, f Findings, causes int, want []string, not string) {
	t.Helper()
	got := text(f)
	if len(f.Causes) != causes {
		t.Errorf("%d causes, not %d:\n%s", len(f.Causes), causes, got)
	}
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("%q is not said in\n%s", w, got)
		}
	}
	if not != "" && strings.Contains(got, not) {
		t.Errorf("%q is said in\n%s", not, got)
	}
}

var (
	webGroup    = TargetGroup{ARN: "arn:aws:elasticloadbalancing:us-east-1:0:targetgroup/web/1", Protocol: "HTTP", Path: "/health", Matcher: "200", Timeout: 5, Interval: 30}
	ingressDrop = Drop{Drop: network.Drop{
		SourceGroups: []string{"sg-lb"},
		Reason:       network.DropIngress, Groups: []string{"sg-web"}, Source: netip.MustParseAddr("10.0.0.5"), Destination: netip.MustParseAddr("10.0.2.9"), Protocol: network.TCP, Port: 80, Packets: 7, Last: now,
	}}
	databaseDrop = Drop{Receiver: "a database", Drop: network.Drop{
		SourceGroups: []string{"sg-web"},
		Reason:       network.DropIngress, Groups: []string{"sg-db"}, Source: netip.MustParseAddr("10.0.2.9"), Destination: netip.MustParseAddr("10.0.3.3"), Protocol: network.TCP, Port: 3306, Packets: 1, Last: now,
	}}
)

func TestOfTarget(t *testing.T) {
	target := func(state, reason, said string) Target {
		return Target{Group: webGroup, IP: "10.0.2.9", Port: 80, State: state, Reason: reason, Said: said, Now: now, Looked: true}
	}
	listens := func(x Target, at ...string) Target { x.Sockets = sockets(at...); return x }
	task := &Task{ID: "t1", Cluster: "chat", Group: "service:web", Started: now.Add(-20 * time.Second), Containers: []Container{{Name: "web", Lines: []string{"waiting for the database"}}}}
	for _, c := range []struct {
		name   string
		target Target
		causes int
		want   []string
		not    string
	}{
		{"healthy", target("healthy", "", ""), 0, []string{"PROOF 10.0.2.9:80 answers health checks on HTTP /health"}, ""},
		{"draining", target("draining", "Target.DeregistrationInProgress", ""), 0, []string{"WAITS 10.0.2.9:80 is being drained"}, ""},
		{
			"a group without the rule", func() Target {
				x := target("unhealthy", "Target.Timeout", "Request timed out")
				x.Drops = []Drop{ingressDrop}
				return x
			}(), 1,
			[]string{"sg-web has no rule that lets tcp port 80 in from security group sg-lb", "Target.Timeout Request timed out", "7 packets were dropped", "authorize-security-group-ingress --group-id sg-web --protocol tcp --port 80 --source-group sg-lb"},
			"does not answer",
		},
		{
			"packets that were dropped do not explain an answer", func() Target {
				x := target("unhealthy", "Target.ResponseCodeMismatch", "Health checks failed with these codes: [404]")
				x.Drops = []Drop{ingressDrop}
				return x
			}(), 1, []string{"answers the health check HTTP /health with 404, and the matcher wants 200: it has no such path", "--health-check-path PATH"}, "sg-web",
		},
		{"it fails itself", target("unhealthy", "Target.ResponseCodeMismatch", "Health checks failed with these codes: [503]"), 1, []string{"with 503", "it fails itself", "minato logs"}, "no such path"},
		{"a redirect", target("unhealthy", "Target.ResponseCodeMismatch", "Health checks failed with these codes: [302]"), 1, []string{"with 302", "HttpCode=200-399"}, ""},
		{"no answer", listens(target("unhealthy", "Target.Timeout", "Request timed out"), "0.0.0.0:80"), 1, []string{"does not answer the health check HTTP /health within 5 s, although it listens on 0.0.0.0:80; no packet was dropped"}, "security group"},
		{"127.0.0.1 only", listens(target("unhealthy", "Target.FailedHealthChecks", "Health checks failed"), "127.0.0.1:80"), 1, []string{"listens on 127.0.0.1:80 only", "make it listen on 0.0.0.0:80"}, "nothing listens"},
		{"another port", listens(target("unhealthy", "Target.FailedHealthChecks", "Health checks failed"), "[::]:8080"), 1, []string{"nothing listens on port 80 in the task; the application listens on [::]:8080", "to 8080"}, "only"},
		{"nothing listens", target("unhealthy", "Target.FailedHealthChecks", "Health checks failed"), 1, []string{"nothing listens on port 80 in the task: the application has not opened a port, or not yet"}, "127.0.0.1"},
		{"broken off", listens(target("unhealthy", "Target.FailedHealthChecks", "Health checks failed"), "0.0.0.0:80"), 1, []string{"takes the connection", "breaks it off"}, "nothing listens"},
		{
			"of a network load balancer", func() Target {
				x := listens(target("unhealthy", "Target.FailedHealthChecks", "Health checks failed"), "0.0.0.0:80")
				x.Group.Network = true
				return x
			}(), 1, []string{"listens on 0.0.0.0:80 and does not pass the health check HTTP /health", "slower than 5 s"}, "takes the connection",
		},
		{
			"a slow start", func() Target {
				x := target("unhealthy", "Target.FailedHealthChecks", "Health checks failed")
				x.Task, x.Grace = task, now.Add(time.Minute)
				return x
			}(), 1, []string{"the task has been running for 20s", "--health-check-grace-period-seconds 120", "web wrote: waiting for the database", "ECS does not stop the task for it before"}, "",
		},
		{
			"the application fails, for its database keeps it out", func() Target {
				x := target("unhealthy", "Target.ResponseCodeMismatch", "Health checks failed with these codes: [500]")
				with := *task
				with.Drops = []Drop{databaseDrop}
				x.Task = &with
				return x
			}(), 2, []string{"with 500", "security group sg-db has no rule that lets tcp port 3306 in from security group sg-web", "10.0.3.3 (a database)"}, "",
		},
		{"no listener", target("unused", "Target.NotInUse", "Target group is not configured to receive traffic from the load balancer"), 1, []string{"no listener forwards to the target group web", "create-listener"}, ""},
		{"first checks", listens(target("initial", "Elb.InitialHealthChecking", "Initial health checks in progress"), "0.0.0.0:80"), 0, []string{"WAITS the first answer of 10.0.2.9:80 to a health check (HTTP /health each 30 s)"}, "nothing listens"},
		{"first checks, and nobody listens yet", target("initial", "Elb.InitialHealthChecking", ""), 0, []string{"WAITS the first answer", "WAITS nothing listens on port 80"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) { says(t, OfTarget(c.target), c.causes, c.want, c.not) })
	}
}

func TestOfTask(t *testing.T) {
	const image = "000000000000.dkr.ecr.us-east-1.amazonaws.com/web:2"
	stopped := func(reason string, change func(*Task)) Task {
		x := Task{
			ID: "t1", Cluster: "chat", Group: "service:web", Definition: "web:3", Status: "STOPPED", Reason: reason, Code: "TaskFailedToStart", Memory: "512", Subnet: "subnet-1", Now: now,
			Way: Way{Subnet: "subnet-1", Table: "rtb-1", Target: "nat-1"}, Containers: []Container{{Name: "web", Image: image, LogGroup: "/web"}},
		}
		if change != nil {
			change(&x)
		}
		return x
	}
	essential := func(code int32, lines ...string) Task {
		return stopped("Essential container in task exited", func(x *Task) {
			x.Code, x.Containers[0].Exit, x.Containers[0].Lines = "EssentialContainerExited", exit(code), lines
		})
	}
	const unreached = "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: … dial tcp 198.18.0.1:443: i/o timeout. Please check your task network configuration."
	for _, c := range []struct {
		name   string
		task   Task
		causes int
		want   []string
		not    string
	}{
		{"it runs", Task{Status: "RUNNING", Started: now, Containers: []Container{{Name: "web", Status: "RUNNING"}}}, 0, []string{"PROOF container web is RUNNING"}, ""},
		{"it is being made", Task{ID: "t1", Status: "PROVISIONING"}, 0, []string{"WAITS task t1 is PROVISIONING: its network interface"}, ""},
		{"no route", stopped(unreached, func(x *Task) { x.Way.Target = "" }), 1, []string{"route table rtb-1 of subnet subnet-1 has no route out", "create-route --route-table-id rtb-1", "NAT-GATEWAY"}, ""},
		{"no route, with a gateway there", stopped(unreached, func(x *Task) { x.Way.Target, x.Way.NAT = "", "nat-7" }), 1, []string{"--nat-gateway-id nat-7"}, "NAT-GATEWAY"},
		{"a gateway that is gone", stopped(unreached, func(x *Task) { x.Way.Blackhole = true }), 1, []string{"leads nowhere: nat-1 is gone"}, ""},
		{"no public address", stopped(unreached, func(x *Task) { x.Way.Target = "igw-1" }), 1, []string{"no public address", "assignPublicIp=ENABLED"}, ""},
		{"with a public address the gateway is a way", stopped(unreached, func(x *Task) { x.Way.Target, x.Public = "igw-1", true }), 1, []string{"let it now"}, "no public address"},
		{"what was dropped counts more than the routes of now", stopped(unreached, func(x *Task) {
			x.Way.Target = ""
			x.Drops = []Drop{{Drop: network.Drop{Reason: network.DropEgress, Groups: []string{"sg-web"}, Source: netip.MustParseAddr("10.0.2.9"), Destination: netip.MustParseAddr("198.18.0.1"), Protocol: network.TCP, Port: 443, Packets: 3, Last: now}}}
		}), 1, []string{"sg-web lets nothing out to 198.18.0.1 tcp port 443", "authorize-security-group-egress --group-id sg-web --protocol tcp --port 443 --cidr 198.18.0.1/32"}, "rtb-1"},
		{"a missing right", stopped("ResourceInitializationError: … AccessDeniedException: User: arn:aws:sts::000000000000:assumed-role/exec/t1 is not authorized to perform: ecr:GetAuthorizationToken on resource: * because no identity-based policy allows the ecr:GetAuthorizationToken action", nil), 1, []string{"role exec (session t1) may not do ecr:GetAuthorizationToken on *: no policy of the role allows it", "attach-role-policy --role-name exec --policy-arn arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"}, ""},
		{"a Deny", stopped("User: arn:aws:sts::000000000000:assumed-role/exec/t1 is not authorized to perform: logs:CreateLogStream on resource: x with an explicit deny in an identity-based policy", func(x *Task) {
			x.Refused = []Refusal{{Detail: `denied by statement 1 (Sid "NoLogs") of strict`}}
		}), 1, []string{"statement NoLogs of the policy strict denies it", "take the Deny", "aws iam get-role-policy --role-name exec --policy-name strict"}, "no policy of the role"},
		{"no log group", stopped("… ResourceNotFoundException: The specified log group does not exist. : exit status 1", nil), 1, []string{"the log group /web of container web does not exist", "create-log-group --log-group-name /web"}, ""},
		{"no such repository", stopped("CannotPullContainerError: … failed to resolve ref "+image+": "+image+": not found", func(x *Task) { x.Containers[0].ImageInfo = &Image{Repository: "web", Tag: "2"} }), 1, []string{"there is no repository web", "create-repository --repository-name web"}, ""},
		{"no such tag", stopped("CannotPullContainerError: … failed to resolve ref "+image+": "+image+": not found", func(x *Task) {
			x.Containers[0].ImageInfo = &Image{Repository: "web", Tag: "2", Exists: true, Tags: []string{"1", "latest"}}
		}), 1, []string{"has no image with the tag 2", "tags in web: 1, latest", "docker push " + image}, "nothing was pushed"},
		{"pushed meanwhile", stopped("CannotPullContainerError: … not found", func(x *Task) {
			x.Containers[0].ImageInfo = &Image{Repository: "web", Tag: "2", Exists: true, Pushed: true, Tags: []string{"2"}}
		}), 1, []string{"had no image with the tag 2 when the task started; now it has", "start the task again"}, "docker push"},
		{"nothing was pushed", stopped("CannotPullContainerError: … not found", func(x *Task) { x.Containers[0].ImageInfo = &Image{Repository: "web", Tag: "2", Exists: true} }), 1, []string{"nothing was pushed to it"}, ""},
		{"another processor", stopped("CannotPullContainerError: pull image manifest has been retried 7 time(s): image Manifest does not contain descriptor matching platform 'linux/amd64'.", nil), 1, []string{"is not made for linux/amd64", "docker build --platform linux/amd64"}, ""},
		{"another processor, found out when it ran", essential(255, "exec /server: exec format error"), 1, []string{"built for another processor", image}, "exited with"},
		{"memory of the task", stopped("Essential container in task exited", func(x *Task) {
			x.Containers[0].Exit, x.Containers[0].Reason = exit(137), "OutOfMemoryError: Container killed due to memory usage"
		}), 1, []string{"the task's limit of 512 MiB", "container web: OutOfMemoryError"}, ""},
		{"memory of the container", stopped("Essential container in task exited", func(x *Task) {
			x.Containers[0].Exit, x.Containers[0].Memory, x.Containers[0].Reason = exit(137), 64, "OutOfMemoryError: Container killed due to memory usage"
		}), 1, []string{"its own limit of 64 MiB"}, "512"},
		{"an exit", essential(3, "panic: no configuration"), 1, []string{"container web exited with code 3", "web wrote: panic: no configuration", "minato logs t1"}, ""},
		{"an end without fault", essential(0), 1, []string{"its program came to its end", "must go on"}, ""},
		{"SIGKILL without a lack of memory", essential(137), 1, []string{"code 137: SIGKILL ended it"}, "memory"},
		{"an old client of MySQL 8", essential(1, "Authentication plugin 'caching_sha2_password' cannot be loaded"), 1, []string{"too old for the authentication of MySQL 8"}, ""},
		{"a wrong password", essential(1, "Error 1045: Access denied for user 'app'@'10.0.2.9'"), 1, []string{"refused its user or password"}, ""},
		{"the database's group keeps it out: two causes", func() Task {
			x := essential(1, "dial tcp 10.0.3.3:3306: i/o timed out")
			x.Drops = []Drop{databaseDrop}
			return x
		}(), 2, []string{"exited with code 1", "security group sg-db has no rule that lets tcp port 3306 in from security group sg-web"}, ""},
		{"a database that was stopped", func() Task {
			x := essential(1, "dial tcp: connection refused")
			x.Databases = []Database{{ID: "chat", Status: "stopped"}}
			return x
		}(), 2, []string{"the database chat, which the task's environment names, is stopped", "start-db-instance --db-instance-identifier chat"}, ""},
		{"the other container's end is not the cause", stopped("Essential container in task exited", func(x *Task) {
			x.Containers[0].Exit = exit(2)
			x.Containers = append(x.Containers, Container{Name: "side", Exit: exit(0)})
		}), 1, []string{"container web exited with code 2"}, "side"},
		{"no such program", stopped("CannotStartContainerError: Error response from daemon: failed to create task: exec: \"/nope\": stat /nope: no such file or directory", func(x *Task) {
			x.Containers[0].Reason = x.Reason
		}), 1, []string{"has no program /nope"}, ""},
		{"health of the container", stopped("Task failed container health checks", func(x *Task) {
			x.Code, x.Containers[0].HealthCommand = "ServiceSchedulerInitiated", "CMD-SHELL curl -f http://localhost/"
		}), 1, []string{"the health check of container web fails: CMD-SHELL curl -f http://localhost/", "execute-command"}, ""},
		{"by hand", stopped("enough", func(x *Task) { x.Code = "UserInitiated" }), 1, []string{"somebody stopped the task: enough"}, ""},
		{"no role", stopped("ECS was unable to assume the role 'arn:aws:iam::000000000000:role/exec' that was provided for this task. …", nil), 1, []string{"the trust policy of the role exec does not let ecs-tasks.amazonaws.com assume it", "update-assume-role-policy --role-name exec"}, ""},
		{"a role that is gone", stopped("ECS was unable to assume the role 'arn:aws:iam::000000000000:role/exec' that was provided for this task. …", func(x *Task) { x.RoleGone = true }), 1, []string{"there is no role exec", "create-role --role-name exec"}, "trust policy of"},
		{"no secret", stopped("ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secret from asm: service call has been retried 1 time(s): failed to fetch secret arn:aws:secretsmanager:us-east-1:000000000000:secret:db from secrets manager: ResourceNotFoundException: Secrets Manager can't find the specified secret.", nil), 1, []string{"there is no secret arn:aws:secretsmanager:us-east-1:000000000000:secret:db"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) { says(t, OfTask(c.task), c.causes, c.want, c.not) })
	}
}

func TestOfService(t *testing.T) {
	steady := func(change func(*Service)) Service {
		x := Service{
			Name: "web", Cluster: "chat", Desired: 1, Running: 1, Minimum: 100, Maximum: 200, Now: now,
			Deployments: []Deployment{{ID: "ecs-svc/2", Status: "PRIMARY", Rollout: "COMPLETED", Definition: "web:2", Desired: 1, Running: 1, Created: now.Add(-time.Hour)}},
			Events:      []Event{{now, "(service web) has reached a steady state."}},
			Live:        []Task{{ID: "t1", Status: "RUNNING"}}, Targets: []Target{{Group: webGroup, IP: "10.0.2.9", Port: 80, State: "healthy"}},
		}
		change(&x)
		return x
	}
	fallen := Task{ID: "t0", Status: "STOPPED", Code: "EssentialContainerExited", Reason: "Essential container in task exited", Containers: []Container{{Name: "web", Exit: exit(1), LogGroup: "/web"}}}
	for _, c := range []struct {
		name    string
		service Service
		causes  int
		want    []string
		not     string
	}{
		{"steady", steady(func(*Service) {}), 0, []string{"PROOF 1 of 1 tasks run", "PROOF 10.0.2.9:80 answers", "rollout COMPLETED"}, "WAITS"},
		{"history is not a cause", steady(func(s *Service) { s.Fallen = []Task{fallen} }), 0, nil, "exited"},
		{"its tasks end", steady(func(s *Service) { s.Running, s.Fallen = 0, []Task{fallen} }), 1, []string{"container web exited with code 1"}, ""},
		{"under way", steady(func(s *Service) {
			s.Running, s.Live, s.Deployments[0].Rollout = 0, []Task{{ID: "t2", Status: "PENDING"}}, "IN_PROGRESS"
		}), 0, []string{"WAITS task t2 is PENDING", "WAITS deployment ecs-svc/2 (web:2) is PRIMARY, rollout IN_PROGRESS"}, ""},
		{"two causes at once", steady(func(s *Service) {
			s.Fallen = []Task{fallen}
			s.Targets[0] = Target{Group: webGroup, IP: "10.0.2.9", Port: 80, State: "unhealthy", Reason: "Target.Timeout", Drops: []Drop{ingressDrop}}
		}), 2, []string{"sg-web has no rule", "exited with code 1"}, ""},
		{"the breaker went back", steady(func(s *Service) {
			s.Fallen = []Task{fallen}
			s.Deployments[0].Said = "ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/2."
			s.Events = []Event{{now, "(service web) has reached a steady state."}, {now, "(service web) rolling back to deployment ecs-svc/2."}, {now, "(service web) (deployment ecs-svc/3) deployment failed: tasks failed to start."}}
		}), 1, []string{"deployment ecs-svc/3) deployment failed", "rolling back to deployment ecs-svc/2", "exited with code 1"}, ""},
		{"a later deployment makes that history", steady(func(s *Service) {
			s.Deployments[0].Created = now
			s.Events = []Event{{now, "(service web) has reached a steady state."}, {now.Add(-time.Minute), "(service web) (deployment ecs-svc/1) deployment failed: tasks failed to start."}}
		}), 0, nil, "failed"},
		{"the breaker gave up and stays", steady(func(s *Service) {
			s.Running, s.Deployments[0].Rollout, s.Deployments[0].Said = 0, "FAILED", "ECS deployment circuit breaker: tasks failed to start."
		}), 1, []string{"ecs-svc/2 of web:2 is FAILED: ECS deployment circuit breaker"}, ""},
		{"its percentages leave no step", steady(func(s *Service) {
			s.Maximum, s.Deployments = 100, append([]Deployment{{ID: "ecs-svc/3", Status: "PRIMARY", Created: now.Add(-time.Minute)}}, s.Deployments...)
			s.Events = []Event{{now, "(service web) was unable to stop or start tasks during a deployment because of the service deployment configuration. Update the minimumHealthyPercent or maximumPercent value and try again."}}
		}), 1, []string{"minimumHealthyPercent 100 lets ECS stop none and maximumPercent 100 lets it start none", "maximumPercent=200"}, ""},
		{"there is nothing to place it on", steady(func(s *Service) {
			s.Running, s.Deployments[0].Rollout = 0, "IN_PROGRESS"
			s.Events = []Event{{now, "(service web) was unable to place a task because no container instance met all of its requirements. Reason: No Container Instances were found in your cluster."}}
		}), 1, []string{"launch type is EC2 and there are no container instances", "--launch-type FARGATE"}, ""},
		{"whose targets are refused", steady(func(s *Service) {
			s.Running = 0
			s.Events = []Event{{now, "(service web) failed to register targets in (target-group arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/web/1) with (error The IP address '10.0.0.9' is not within a subnet of the VPC 'vpc-1' and is not a private address)"}}
		}), 1, []string{"the target group web does not take the service's tasks: The IP address '10.0.0.9' is not within a subnet of the VPC 'vpc-1'", "describe-target-groups", "--network-configuration"}, ""},
		{"an alarm", steady(func(s *Service) { s.Alarms = []Alarm{{"errors", "ALARM", "Threshold Crossed"}} }), 1, []string{"the alarm errors is in ALARM", "Threshold Crossed"}, ""},
		{"protected tasks", steady(func(s *Service) {
			s.Running, s.Live = 2, []Task{{ID: "t1", Status: "RUNNING"}, {ID: "t2", Status: "RUNNING", Protected: now.Add(time.Minute)}}
		}), 0, []string{"WAITS task t2 is protected from being stopped until", "--no-protection-enabled"}, ""},
		{"a group that is gone", steady(func(s *Service) { s.GroupsGone, s.Targets = []string{"arn"}, nil }), 1, []string{"target group arn does not exist any more"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) { says(t, OfService(c.service), c.causes, c.want, c.not) })
	}
}

func TestOfRefusal(t *testing.T) {
	const host = "000000000000.dkr.ecr.us-east-1.amazonaws.com"
	for _, c := range []struct {
		text  string
		names []string
		want  []string
	}{
		{"no basic auth credentials", []string{host}, []string{"docker is not logged in", "docker login --username AWS --password-stdin " + host}},
		{"Your authorization token has expired. Reauthenticate and try again.", []string{"web", host}, []string{"older than 12 hours", "--password-stdin " + host}},
		{"The repository with name 'web' does not exist in the registry with id '000000000000'", []string{"web", host}, []string{"there is no repository web in the registry of us-east-1", "aws ecr create-repository --repository-name web --region us-east-1"}},
		{"The repository with name 'web' in registry with id '000000000000' cannot be deleted because it still contains images", nil, []string{"delete-repository --repository-name web --force"}},
		{"User: arn:aws:iam::000000000000:user/me is not authorized to perform: ecr:GetAuthorizationToken on resource: * because no identity-based policy allows the ecr:GetAuthorizationToken action", nil, []string{"user me may not do ecr:GetAuthorizationToken", "attach-user-policy --user-name me --policy-arn arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPowerUser"}},
		{"User: arn:aws:iam::000000000000:user/me is not authorized to perform: iam:PassRole on resource: arn:aws:iam::000000000000:role/exec because no identity-based policy allows the iam:PassRole action", nil, []string{`put-user-policy --user-name me --policy-name allow-iam --policy-document '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:PassRole","Resource":"arn:aws:iam::000000000000:role/exec"}]}'`}},
		{"User: arn:aws:sts::000000000000:assumed-role/task/x is not authorized to perform: s3:GetObject on resource: r because no permissions boundary allows the s3:GetObject action", nil, []string{"permissions boundary does not allow it"}},
		{"Unable to assume the service linked role. Please verify that the ECS service linked role exists.", nil, []string{"create-service-linked-role --aws-service-name ecs.amazonaws.com"}},
		{"No Fargate configuration exists for given values.", []string{"web"}, []string{"256 goes with 512, 1024 or 2048"}},
		{"Invalid 'cpu' setting for task. For more information, …", nil, []string{"256, 512, 1024"}},
		{"When networkMode=awsvpc, the host ports and container ports in port mappings must match.", nil, []string{"leave hostPort out"}},
		{"The target group with targetGroupArn arn:aws:elasticloadbalancing:us-east-1:0:targetgroup/web/1 does not have an associated load balancer.", nil, []string{"no listener forwards to the target group web", `"TargetGroupArn":"arn:aws:elasticloadbalancing:us-east-1:0:targetgroup/web/1"}]`}},
		{"Creation of service was not idempotent.", []string{"chat", "web"}, []string{"update-service --cluster chat --service web", "delete-service --cluster chat --service web --force && aws ecs wait services-inactive --cluster chat --services web"}},
		{"Unable to Start a service that is still Draining.", []string{"chat", "web"}, []string{"wait services-inactive --cluster chat --services web"}},
		{"The Cluster cannot be deleted while Services are active.", []string{"chat"}, []string{"list-services --cluster chat"}},
		{"The Cluster cannot be deleted while Container Instances are active or draining.", []string{"chat"}, []string{"list-container-instances --cluster chat"}},
		{"Cannot find version 5.7.22 for mysql", nil, []string{"retired mysql 5.7.22", "8.0.43"}},
		{"RDS does not support creating a DB instance with the following combination: DBInstanceClass=db.t2.micro, Engine=mysql, EngineVersion=8.0.35, LicenseModel=general-public-license. …", nil, []string{"does not offer the instance class db.t2.micro for mysql 8.0.35"}},
		{"The parameter group chat with DBParameterGroupFamily mysql8.0 can't be used for this instance. Use a parameter group with DBParameterGroupFamily mysql8.4.", nil, []string{"is of family mysql8.0, and the engine's version needs mysql8.4:", "to mysql8.4"}},
		{"The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement. Current AZ coverage: us-east-1a. Add subnets to cover at least 2 AZs.", nil, []string{"subnets in us-east-1a only"}},
		{"Stack:arn:aws:cloudformation:us-east-1:0:stack/chat/1 is in ROLLBACK_COMPLETE state and can not be updated.", nil, []string{"delete-stack --stack-name chat && aws cloudformation wait stack-delete-complete --stack-name chat"}},
		{"Requires capabilities : [CAPABILITY_NAMED_IAM]", nil, []string{"--capabilities CAPABILITY_NAMED_IAM"}},
		{"Template error: Fn::Select  cannot select nonexistent value at index 1", nil, []string{"number 1"}},
		{"something else", nil, []string{"something else"}},
	} {
		r := Refusal{At: now, Times: 1, Action: "ecs:X", Caller: "arn:aws:iam::000000000000:user/me", Code: "E", Message: c.text, Names: c.names}
		got := OfRefusal(r, Facts{Versions: map[string][]string{"mysql": {"8.0.43"}}})
		says(t, Findings{Causes: []Cause{got}}, 1, append(c.want, "X answered user me: E: "+c.text), "")
	}
}

func TestDistinct(t *testing.T) {
	got := Distinct([]Cause{{What: "a", Evidence: []string{"1"}}, {What: "b"}, {What: "a", Evidence: []string{"1", "2"}, Remedy: []string{"r"}}})
	if fmt.Sprint(got) != "[{a [1 2] [r]} {b [] []}]" {
		t.Errorf("%v", got)
	}
}

// TestOvercame: a packet that was lost before the task ran kept nothing from it.
func TestOvercame(t *testing.T) {
	early := databaseDrop
	early.Last = now.Add(-time.Minute)
	many := early
	many.Packets = 4
	for name, c := range map[string]struct {
		task Task
		want int
	}{
		"before it ran":                  {Task{Status: runningStatus, Started: now, Drops: []Drop{early}}, 0},
		"before it ran, again and again": {Task{Status: runningStatus, Started: now, Drops: []Drop{many}}, 1},
		"since it runs":                  {Task{Status: runningStatus, Started: now.Add(-time.Hour), Drops: []Drop{early}}, 1},
		"its only try":                   {Task{Status: stoppedStatus, Started: now, Reason: "Essential container in task exited", Drops: []Drop{early}}, 1},
		"the registry was reached":       {Task{Status: stoppedStatus, Reason: "CannotPullContainerError: failed to resolve ref web:none: not found", Drops: []Drop{early}}, 0},
	} {
		if got := c.task.needs(c.task.Status == runningStatus); len(got) != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
