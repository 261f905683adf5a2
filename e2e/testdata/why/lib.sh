# Words of the scripts of `minato why`. What is only preparation goes by curl,
# which starts in a hundredth of the aws CLI's time; what is tested goes by the CLI.
a() { aws --endpoint-url "$AWS_ENDPOINT_URL" --output json "$@"; }
of() { jq -r .$1 made.json; }
uri=000000000000.dkr.ecr.us-east-1.amazonaws.com/web

signed() { # signed SERVICE CURL-ARGS…
  local service=$1; shift
  curl -sS --fail-with-body --aws-sigv4 "aws:amz:us-east-1:$service" --user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" "$@" "$AWS_ENDPOINT_URL/"
}
ecs() { # ecs OPERATION JSON
  signed ecs -H "X-Amz-Target: AmazonEC2ContainerServiceV20141113.$1" -H 'Content-Type: application/x-amz-json-1.1' -d "$2"
}

# define FAMILY IMAGE COMMAND-JSON [ROLE] [LOG-GROUP] [MORE-OF-THE-CONTAINER]
define() {
  local log=""
  [ -z "$5" ] || log=',"logConfiguration":{"logDriver":"awslogs","options":{"awslogs-group":"'$5'","awslogs-region":"us-east-1","awslogs-stream-prefix":"t"}}'
  ecs RegisterTaskDefinition '{"family":"'$1'","requiresCompatibilities":["FARGATE"],"networkMode":"awsvpc","cpu":"256","memory":"512","executionRoleArn":"arn:aws:iam::000000000000:role/'${4:-execution}'","containerDefinitions":[{"name":"web","image":"'$2'","portMappings":[{"containerPort":80}],"command":['"$3"']'"$log$6"'}]}' >/dev/null
}

# start NAME FAMILY [SUBNET] [GROUP] [PUBLIC] [COMMAND-JSON]: runs a task, whose ARN
# is added to names.
start() {
  local overrides='{}'
  [ -z "$6" ] || overrides='{"containerOverrides":[{"name":"web","command":['"$6"']}]}'
  ecs RunTask '{"cluster":"chat","taskDefinition":"'$2'","launchType":"FARGATE","overrides":'"$overrides"',"networkConfiguration":{"awsvpcConfiguration":{"subnets":["'${3:-$(of one)}'"],"securityGroups":["'${4:-$(of web)}'"],"assignPublicIp":"'${5:-ENABLED}'"}}}' |
    jq --arg name $1 '{($name): .tasks[0].taskArn}' >>names
}

# service NAME DEFINITION GROUP TARGET-GROUP MORE-JSON
service() {
  local balanced=""
  [ -z "$4" ] || balanced=',"loadBalancers":[{"targetGroupArn":"'$4'","containerName":"web","containerPort":80}]'
  ecs CreateService '{"cluster":"chat","serviceName":"'$1'","taskDefinition":"'$2'","desiredCount":1,"launchType":"FARGATE","networkConfiguration":{"awsvpcConfiguration":{"subnets":["'$(of one)'"],"securityGroups":["'${3:-$(of web)}'"],"assignPublicIp":"ENABLED"}}'"$balanced$5"'}' >out || { cat out >&2; return 1; }
}

# balance NAME…: a load balancer with a listener and a target group for each name,
# from port 8001 on; the groups' ARNs go to groups.json.
elb() { # elb ACTION CURL-ARGS…
  local action=$1; shift
  signed elasticloadbalancing -d Action=$action -d Version=2015-12-01 "$@"
}
element() { sed -n "s|.*<$1>\([^<]*\)</$1>.*|\1|p" | head -1; }
balance() {
  local lb group port=8000
  lb=$(elb CreateLoadBalancer -d Name=web -d Subnets.member.1=$(of one) -d Subnets.member.2=$(of two) -d SecurityGroups.member.1=$(of lb) | element LoadBalancerArn)
  for name; do
    port=$((port + 1))
    group=$(elb CreateTargetGroup -d Name=$name -d Protocol=HTTP -d Port=80 -d TargetType=ip -d VpcId=$(of vpc) -d HealthCheckPath=/health -d HealthCheckTimeoutSeconds=2 -d HealthCheckIntervalSeconds=5 -d HealthyThresholdCount=2 -d UnhealthyThresholdCount=2 | element TargetGroupArn)
    elb CreateListener -d LoadBalancerArn=$lb -d Protocol=HTTP -d Port=$port -d DefaultActions.member.1.Type=forward -d DefaultActions.member.1.TargetGroupArn=$group >/dev/null
    jq -n --arg name $name --arg group $group '{($name): $group}'
  done | jq -s add >groups.json
}
group() { jq -r .$1 groups.json; }

# health NAME REASON: waits until the target of a group is in that state, and
# prints ELB's words for it.
health() {
  for _ in $(seq 1000); do
    elb DescribeTargetHealth -d TargetGroupArn=$(group $1) >health
    grep -q "<Reason>$2</Reason>\|<State>$2</State>" health && { element State <health; element Reason <health; element Description <health; return; }
    sleep 0.3
  done
  cat health >&2; return 1
}

# event NAME TEXT: waits for an event of a service.
event() {
  for _ in $(seq 1000); do
    ecs DescribeServices '{"cluster":"chat","services":["'$1'"]}' | jq -r '.services[].events[].message' >events
    grep -q "$2" events && return
    sleep 0.3
  done
  cat events >&2; return 1
}
