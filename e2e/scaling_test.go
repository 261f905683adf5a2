package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// scalingMakes puts three services behind one load balancer: two whose policies
// track a target, and one that steps when the customer's alarms say so.
const scalingMakes = `set -e
a() { minato aws --output json "$@"; }
mkdir image; cp "$SERVER" image/server; printf 'FROM scratch\nCOPY server /server\nENTRYPOINT ["/server"]\n' >image/Dockerfile
uri=$(a ecr create-repository --repository-name web | jq -r .repository.repositoryUri)
minato build -t $uri:1 --push image
a iam create-role --role-name execution --assume-role-policy-document '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:AssumeRole"}]}'
a iam attach-role-policy --role-name execution --policy-arn arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy
a ecs create-cluster --cluster-name chat
vpc=$(a ec2 describe-vpcs --query 'Vpcs[0].VpcId' --output text)
subnets=$(a ec2 describe-subnets --query 'Subnets[].SubnetId' --output text)
group=$(a ec2 create-security-group --group-name open --description open --vpc-id $vpc | jq -r .GroupId)
a ec2 authorize-security-group-ingress --group-id $group --protocol tcp --port 1-9999 --cidr 0.0.0.0/0
lb=$(a elbv2 create-load-balancer --name edge --subnets $subnets --security-groups $group | jq -r '.LoadBalancers[0].LoadBalancerArn')
echo "${lb#*:loadbalancer/}" >balancer
port=80
for name in web work steps; do
  command='["serve","ahoy"]'
  [ $name != work ] || command='["work","20"]'
  tg=$(a elbv2 create-target-group --name $name --protocol HTTP --port 80 --target-type ip --vpc-id $vpc --health-check-path /health --health-check-interval-seconds 10 --healthy-threshold-count 2 | jq -r '.TargetGroups[0].TargetGroupArn')
  echo "${tg##*:}" >$name
  a elbv2 modify-target-group-attributes --target-group-arn $tg --attributes Key=deregistration_delay.timeout_seconds,Value=10
  a elbv2 create-listener --load-balancer-arn $lb --protocol HTTP --port $port --default-actions Type=forward,TargetGroupArn=$tg
  port=$((port+1))
  a ecs register-task-definition --cli-input-json '{"family":"'$name'","requiresCompatibilities":["FARGATE"],"networkMode":"awsvpc","cpu":"256","memory":"512","executionRoleArn":"arn:aws:iam::000000000000:role/execution","containerDefinitions":[{"name":"c","image":"'$uri':1","command":'"$command"',"portMappings":[{"containerPort":80}]}]}'
  a ecs create-service --cluster chat --service-name $name --task-definition $name --desired-count 1 --launch-type FARGATE --load-balancers targetGroupArn=$tg,containerName=c,containerPort=80 \
    --network-configuration "awsvpcConfiguration={subnets=[$(echo $subnets | tr ' ' ,)],securityGroups=[$group],assignPublicIp=ENABLED}"
  a application-autoscaling register-scalable-target --service-namespace ecs --scalable-dimension ecs:service:DesiredCount --resource-id service/chat/$name --min-capacity 1 --max-capacity 3
done
policy() { a application-autoscaling put-scaling-policy --service-namespace ecs --scalable-dimension ecs:service:DesiredCount --resource-id service/chat/$1 --policy-name $2 --policy-type "$3" --"$4"-scaling-policy-configuration "$5"; }
policy web requests TargetTrackingScaling target-tracking '{"TargetValue":300,"ScaleInCooldown":60,"PredefinedMetricSpecification":{"PredefinedMetricType":"ALBRequestCountPerTarget","ResourceLabel":"'$(cat balancer)/$(cat web)'"}}'
policy work cpu TargetTrackingScaling target-tracking '{"TargetValue":30,"ScaleInCooldown":60,"PredefinedMetricSpecification":{"PredefinedMetricType":"ECSServiceAverageCPUUtilization"}}'
out=$(policy steps out StepScaling step '{"AdjustmentType":"ChangeInCapacity","Cooldown":60,"StepAdjustments":[{"MetricIntervalLowerBound":0,"MetricIntervalUpperBound":1000,"ScalingAdjustment":1},{"MetricIntervalLowerBound":1000,"ScalingAdjustment":2}]}' | jq -r .PolicyARN)
in=$(policy steps in StepScaling step '{"AdjustmentType":"ChangeInCapacity","Cooldown":60,"StepAdjustments":[{"MetricIntervalUpperBound":0,"ScalingAdjustment":-1}]}' | jq -r .PolicyARN)
alarm() { a cloudwatch put-metric-alarm --namespace AWS/ApplicationELB --metric-name RequestCount --dimensions Name=TargetGroup,Value=$(cat steps) Name=LoadBalancer,Value=$(cat balancer) --statistic Sum --period 10 --evaluation-periods 1 --threshold 30 "$@"; }
alarm --alarm-name busy --comparison-operator GreaterThanOrEqualToThreshold --alarm-actions $out
alarm --alarm-name quiet --comparison-operator LessThanThreshold --treat-missing-data breaching --alarm-actions $in
`

// visitors ask for a URL so many times a second until they are called off.
func visitors(ctx context.Context, url string, rate int, answers *atomic.Int64) {
	every := time.NewTicker(time.Second / time.Duration(rate))
	defer every.Stop()
	under := make(chan bool, 20) // so many at once
	var all sync.WaitGroup
	defer all.Wait()
	client := &http.Client{Timeout: 30 * time.Second}
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		select {
		case under <- true:
		default:
			continue // slower than we ask
		}
		all.Go(func() {
			defer func() { <-under }()
			resp, err := client.Get(url)
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, resp.Body); err == nil && resp.StatusCode == 200 {
				answers.Add(1)
			}
			resp.Body.Close()
		})
	}
}

// TestScalingFollowsTheLoad closes the loop with real requests to real
// containers: out while they come, and in again when they have gone.
func TestScalingFollowsTheLoad(t *testing.T) {
	server, err := testServer()
	if err != nil {
		t.Fatal(err)
	}
	e := &edge{T: t, in: newInstance(t), dir: t.TempDir()}
	if err := e.in.Up("--host-names=false", "--pace", "60"); err != nil {
		t.Fatal(err)
	}
	make := exec.Command("bash", "-c", scalingMakes)
	make.Dir = e.dir
	make.Env = append(os.Environ(), "SERVER="+server, "MINATO_DATA_DIR="+e.in.DataDir, "AWS_PAGER=", "PATH="+filepath.Dir(binary())+":"+os.Getenv("PATH"))
	if out, err := make.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	name, err := os.ReadFile(filepath.Join(e.dir, "web"))
	if err != nil {
		t.Fatal(err)
	}
	e.until("an address", func() bool { e.alb = e.publicAddress("ELB app/edge/*"); return e.alb != "" })
	for _, group := range []string{"web", "work", "steps"} {
		var tg struct {
			TargetGroups []struct{ TargetGroupArn string }
		}
		e.aws(&tg, "elbv2", "describe-target-groups", "--names", group)
		e.healthy(tg.TargetGroups[0].TargetGroupArn, 1)
	}
	running := func() map[string]int {
		var out struct {
			Services []struct {
				ServiceName  string
				RunningCount int
			}
		}
		e.aws(&out, "ecs", "describe-services", "--cluster", "chat", "--services", "web", "work", "steps")
		all := map[string]int{}
		for _, s := range out.Services {
			all[s.ServiceName] = s.RunningCount
		}
		return all
	}
	// reached waits until each service has had as many tasks as it is to have.
	reached := func(want map[string]int) {
		t.Helper()
		for end := time.Now().Add(8 * time.Minute); ; time.Sleep(500 * time.Millisecond) {
			last := running()
			for s, n := range want {
				if last[s] == n {
					delete(want, s)
				}
			}
			if len(want) == 0 {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%v run, still waiting for %v: %s", last, want, e.activities())
			}
		}
	}

	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	answers := map[string]*atomic.Int64{}
	for i, v := range []struct {
		service string
		rate    int
	}{{"web", 30}, {"work", 12}, {"steps", 10}} { // work: a fifth to a quarter of a processor, which is all it has
		answered := new(atomic.Int64)
		answers[v.service] = answered
		all.Go(func() { visitors(ctx, fmt.Sprintf("http://%s:%d/", e.alb, 80+i), v.rate, answered) })
	}
	reached(map[string]int{"web": 3, "work": 3, "steps": 3})
	cancel()
	all.Wait()
	for s, n := range answers {
		if n.Load() == 0 {
			t.Errorf("nobody was answered by %s", s)
		}
	}
	reached(map[string]int{"web": 1, "work": 1, "steps": 1})

	// What it says it did, and of which alarms.
	e.until("the last activity to be over", func() bool { return !strings.Contains(e.activities(), "InProgress") })
	said := e.activities()
	for _, want := range []string{
		"monitor alarm TargetTracking-service/chat/web-AlarmHigh-", "monitor alarm TargetTracking-service/chat/web-AlarmLow-", " in state ALARM triggered policy requests",
		"monitor alarm TargetTracking-service/chat/work-AlarmHigh-", "monitor alarm TargetTracking-service/chat/work-AlarmLow-", " in state ALARM triggered policy cpu",
		"monitor alarm busy in state ALARM triggered policy out", "monitor alarm quiet in state ALARM triggered policy in",
		"Successfully set desired count to 3. Change successfully fulfilled by ecs.", "Successfully set desired count to 1. Change successfully fulfilled by ecs.",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is in no activity:\n%s", want, said)
		}
	}
	var alarms struct {
		MetricAlarms []struct {
			AlarmName, MetricName string
			Dimensions            []struct{ Name, Value string }
		}
	}
	e.aws(&alarms, "cloudwatch", "describe-alarms", "--alarm-name-prefix", "TargetTracking-service/chat/web-")
	if len(alarms.MetricAlarms) != 2 {
		t.Errorf("%+v", alarms)
	}
	for _, a := range alarms.MetricAlarms {
		if a.MetricName != "RequestCountPerTarget" || fmt.Sprint(a.Dimensions) == "" || !strings.Contains(fmt.Sprint(a.Dimensions), strings.TrimSpace(string(name))) {
			t.Errorf("%+v", a)
		}
	}
	e.aws(nil, "application-autoscaling", "deregister-scalable-target", "--service-namespace", "ecs", "--scalable-dimension", "ecs:service:DesiredCount", "--resource-id", "service/chat/web")
	e.until("its alarms to be gone", func() bool {
		e.aws(&alarms, "cloudwatch", "describe-alarms", "--alarm-name-prefix", "TargetTracking-service/chat/web-")
		return len(alarms.MetricAlarms) == 0
	})
}

// activities are the causes and outcomes of all scaling activities.
func (e *edge) activities() string {
	e.Helper()
	out, err := e.in.AWS("application-autoscaling", "describe-scaling-activities", "--service-namespace", "ecs", "--query", "ScalingActivities[].[ResourceId,Cause,StatusCode,StatusMessage]", "--output", "text")
	if err != nil {
		e.Fatal(err)
	}
	return string(out)
}
