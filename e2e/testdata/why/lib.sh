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
  ecs CreateService '{"cluster":"chat","serviceName":"'$1'","taskDefinition":"'$2'","desiredCount":1,"launchType":"FARGATE","networkConfiguration":{"awsvpcConfiguration":{"subnets":["'$(of one)'"],"securityGroups":["'${3:-$(of web)}'"],"assignPublicIp":"ENABLED"}}'"$balanced$5"'}' >/dev/null
}
