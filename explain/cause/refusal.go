package cause

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Refusal is a call that was answered with an error, as the gateway and the
// registry remember it.
type Refusal struct {
	At      time.Time
	Times   int
	Action  string // "ecs:CreateService", "registry:Login"
	Caller  string
	Code    string
	Message string
	Detail  string
	Names   []string
}

// Facts are what can be had instead of what was asked for.
type Facts struct {
	Versions map[string][]string // engine versions that RDS offers, by engine
}

// about is a refusal in one line.
func (r Refusal) about() string {
	times := ""
	if r.Times > 1 {
		times = fmt.Sprintf(" (%d times)", r.Times)
	}
	_, operation, _ := strings.Cut(r.Action, ":")
	if strings.HasPrefix(r.Action, "registry:") {
		operation = "the registry"
	}
	return fmt.Sprintf("%s%s %s answered %s: %s: %s", r.At.Local().Format("15:04:05"), times, operation, principal(r.Caller), r.Code, r.Message)
}

// OfRefusal says why a call was refused.
func OfRefusal(r Refusal, f Facts) Cause {
	c, known := OfText(r.Message, r.Detail, r.Names, f)
	if !known {
		c = Cause{What: r.Message}
		if c.What == "" {
			c.What = r.Code
		}
	}
	return c.seen(r.about())
}

// reason is a text of AWS's, and what it means.
type reason struct {
	text *regexp.Regexp
	mean func(m []string, w words) Cause
}

// words are what is known besides the text.
type words struct {
	names []string
	facts Facts
}

// name is the nth name that is no ARN.
func (w words) name(n int, otherwise string) string {
	for _, name := range w.names {
		if strings.HasPrefix(name, "arn:") {
			continue
		}
		if n == 0 {
			return name
		}
		n--
	}
	return otherwise
}

// OfText explains an error's text, be it an answer to a call, a resource's reason
// in a stack or a part of a task's; names are those that the call was about.
func OfText(text, detail string, names []string, f Facts) (Cause, bool) {
	if c, ok := OfDenial(text, detail, nil); ok {
		return c, true
	}
	for _, r := range reasons {
		if m := r.text.FindStringSubmatch(text); m != nil {
			return r.mean(m, words{names, f}), true
		}
	}
	return Cause{}, false
}

func say(format string, args ...any) Cause { return Cause{What: fmt.Sprintf(format, args...)} }

// VersionWanted finds the engine whose versions are to be looked up for a text.
func VersionWanted(text string) (engine string, ok bool) {
	m := noVersion.FindStringSubmatch(text)
	if m == nil {
		return "", false
	}
	return m[2], true
}

var noVersion = regexp.MustCompile(`Cannot find version (\S+) for ([a-z-]+)`)

// reasons are looked through in this order.
var reasons = []reason{
	// The registry.
	{regexp.MustCompile(`no basic auth credentials`), func(_ []string, w words) Cause {
		host := w.name(0, "REGISTRY")
		return say("docker is not logged in to %s: it asked without a login and did not come back with one", host).
			mend("aws ecr get-login-password | docker login --username AWS --password-stdin %s", host)
	}},
	{regexp.MustCompile(`^Not Authorized$`), func(_ []string, w words) Cause {
		host := w.name(0, "REGISTRY")
		return say("the login that docker has for %s is not one of this registry: it is another's, or was made before the data was deleted", host).
			mend("aws ecr get-login-password | docker login --username AWS --password-stdin %s", host)
	}},
	{regexp.MustCompile(`authorization token has expired`), func(_ []string, w words) Cause {
		return say("docker's login is older than 12 hours").
			mend("aws ecr get-login-password | docker login --username AWS --password-stdin %s", w.name(1, "REGISTRY"))
	}},
	{regexp.MustCompile(`The repository with name '([^']+)' does not exist in the registry with id '(\d+)'`), func(m []string, w words) Cause {
		region := ""
		for _, n := range w.names {
			if h := ecrHost.FindStringSubmatch(n); h != nil {
				region = " --region " + h[1]
			}
		}
		return say("there is no repository %s in the registry%s; a push does not make one", m[1], strings.Replace(region, " --region", " of", 1)).
			mend("aws ecr create-repository --repository-name %s%s", m[1], region).
			mend("docker tag IMAGE %s/REPOSITORY:TAG # if the name is wrong", registryOf(w, m[2]))
	}},
	{regexp.MustCompile(`The repository with name '([^']+)' in registry with id '\d+' cannot be deleted because it still contains images`), func(m []string, _ words) Cause {
		return say("the repository %s still has images", m[1]).mend("aws ecr delete-repository --repository-name %s --force", m[1])
	}},
	// Roles.
	{regexp.MustCompile(`Unable to assume the service linked role`), func([]string, words) Cause {
		return say("the account has no role AWSServiceRoleForECS, which ECS needs from the first cluster on").
			mend("aws iam create-service-linked-role --aws-service-name ecs.amazonaws.com # then the same call again")
	}},
	{regexp.MustCompile(`ECS was unable to assume the role '([^']+)'`), func(m []string, _ words) Cause {
		return say("ECS may not assume the role %s: it does not exist, or its trust policy does not name ecs-tasks.amazonaws.com", last(m[1])).
			mend("aws iam get-role --role-name %s --query Role.AssumeRolePolicyDocument", last(m[1]))
	}},
	// Task definitions.
	{regexp.MustCompile(`No Fargate configuration exists for given values`), func([]string, words) Cause {
		return say("Fargate has no task of that cpu and memory: 256 goes with 512, 1024 or 2048 MiB; 512 with 1024 to 4096; 1024 with 2048 to 8192; 2048 with 4096 to 16384; 4096 with 8192 to 30720").
			mend("set cpu and memory of the task definition to such a pair, such as --cpu 256 --memory 512, and register it again")
	}},
	{regexp.MustCompile(`Invalid 'cpu' setting for task`), func([]string, words) Cause {
		return say("the task's cpu is none that Fargate has: 256, 512, 1024, 2048, 4096, 8192 or 16384 units").
			mend("set cpu of the task definition to one of these and register it again")
	}},
	{regexp.MustCompile(`host ports and container ports in port mappings must match`), func([]string, words) Cause {
		return say("with networkMode awsvpc a task has an address of its own, so a container's port is not mapped to another").
			mend("leave hostPort out of the port mappings, or set it to the containerPort, and register it again")
	}},
	{regexp.MustCompile(`Network Configuration must be provided when networkMode 'awsvpc' is specified`), func([]string, words) Cause {
		return say("the task has an interface of its own and was given no subnet for it").
			mend("add --network-configuration 'awsvpcConfiguration={subnets=[SUBNET],securityGroups=[GROUP],assignPublicIp=ENABLED}'")
	}},
	// Services and clusters.
	{regexp.MustCompile(`target group with targetGroupArn (\S+) does not have an associated load balancer`), func(m []string, _ words) Cause {
		return say("no listener forwards to the target group %s, so no load balancer has it; in a template the service needs DependsOn of the listener", targetGroupName(m[1])).
			mend("%s", createListener(m[1]))
	}},
	{regexp.MustCompile(`Creation of service was not idempotent`), func(_ []string, w words) Cause {
		return say("a service of that name exists in the cluster, with other settings").
			mend("aws ecs update-service --cluster %s --service %s … # to change it", last(w.name(0, "CLUSTER")), w.name(1, "SERVICE")).
			mend("aws ecs delete-service --cluster %[1]s --service %[2]s --force && aws ecs wait services-inactive --cluster %[1]s --services %[2]s # to make it anew", last(w.name(0, "CLUSTER")), w.name(1, "SERVICE"))
	}},
	{regexp.MustCompile(`Unable to Start a service that is still Draining`), func(_ []string, w words) Cause {
		return say("the service of that name was deleted, and its last tasks are still ending").
			mend("aws ecs wait services-inactive --cluster %s --services %s # then the same call again", last(w.name(0, "CLUSTER")), w.name(1, "SERVICE"))
	}},
	{regexp.MustCompile(`The service cannot be stopped while`), func(_ []string, w words) Cause {
		return say("the service still has tasks, and is deleted with them only by force").
			mend("aws ecs delete-service --cluster %s --service %s --force", last(w.name(0, "CLUSTER")), w.name(1, "SERVICE"))
	}},
	{regexp.MustCompile(`The Cluster cannot be deleted while Container Instances are active or draining`), func(_ []string, w words) Cause {
		return say("the cluster still has container instances").
			mend("aws ecs list-container-instances --cluster %[1]s # and deregister-container-instance --force for each", last(w.name(0, "CLUSTER")))
	}},
	{regexp.MustCompile(`The Cluster cannot be deleted while Services are active`), func(_ []string, w words) Cause {
		return say("the cluster still has services").
			mend("aws ecs list-services --cluster %[1]s # and delete-service --force for each", last(w.name(0, "CLUSTER")))
	}},
	{regexp.MustCompile(`The Cluster cannot be deleted while Tasks are active`), func(_ []string, w words) Cause {
		return say("the cluster still has tasks").
			mend("aws ecs list-tasks --cluster %[1]s # and stop-task for each", last(w.name(0, "CLUSTER")))
	}},
	{regexp.MustCompile(`Cluster not found`), func(_ []string, w words) Cause {
		return say("there is no cluster of that name; without --cluster it is the cluster default").mend("aws ecs list-clusters")
	}},
	// Databases.
	{noVersion, func(m []string, w words) Cause {
		c := say("RDS has retired %s %s, or never had it", m[2], m[1])
		if offered := w.facts.Versions[m[2]]; len(offered) > 0 {
			return c.mend("set EngineVersion to one that RDS offers: %s", strings.Join(offered, ", "))
		}
		return c.mend("aws rds describe-db-engine-versions --engine %s --query 'DBEngineVersions[].EngineVersion'", m[2])
	}},
	{regexp.MustCompile(`DBInstanceClass=([\w.]+), Engine=([\w-]+), EngineVersion=([\w.]+)`), func(m []string, _ words) Cause {
		return say("RDS does not offer the instance class %s for %s %s: it is retired, or too small for it", m[1], m[2], m[3]).
			mend("set DBInstanceClass to a class of today, such as db.t3.micro").
			mend("aws rds describe-orderable-db-instance-options --engine %s --query 'OrderableDBInstanceOptions[].DBInstanceClass'", m[2])
	}},
	{regexp.MustCompile(`DBParameterGroupFamily ([\w.-]+) can't be used .* DBParameterGroupFamily ([\w-]+(?:\.\d+)?)`), func(m []string, _ words) Cause {
		return say("the parameter group is of family %s, and the engine's version needs %s: the version was raised and the family was not", m[1], m[2]).
			mend("set Family of the AWS::RDS::DBParameterGroup to %s", m[2]).
			mend("aws rds create-db-parameter-group --db-parameter-group-name NAME --db-parameter-group-family %s --description NAME # and use it", m[2])
	}},
	{regexp.MustCompile(`Current AZ coverage: ([a-z0-9-]+)`), func(m []string, w words) Cause {
		return say("the DB subnet group has subnets in %s only, and a database needs two availability zones", m[1]).
			mend("aws ec2 describe-subnets --query 'Subnets[].[SubnetId,AvailabilityZone]' --output text # and give the group a subnet of another zone too")
	}},
	// Stacks.
	{regexp.MustCompile(`Stack:(\S+) is in (ROLLBACK_COMPLETE|ROLLBACK_FAILED|CREATE_FAILED) state and can not be updated`), func(m []string, w words) Cause {
		name := w.name(0, stackName(m[1]))
		return say("a stack whose creation was rolled back is only good to be deleted").
			mend("aws cloudformation delete-stack --stack-name %[1]s && aws cloudformation wait stack-delete-complete --stack-name %[1]s # then create it again", name)
	}},
	{regexp.MustCompile(`Requires capabilities : \[([A-Z_, ]+)\]`), func(m []string, _ words) Cause {
		return say("the template makes IAM roles or policies, which has to be confirmed").
			mend("add --capabilities %s", strings.ReplaceAll(m[1], ",", ""))
	}},
	{regexp.MustCompile(`Export (\S+) cannot be (?:deleted|updated) as it is in use by (.+?)\.?$`), func(m []string, _ words) Cause {
		return say("the stack %s imports %s", m[2], m[1]).mend("delete %s first, or take the Fn::ImportValue out of it", m[2])
	}},
	{regexp.MustCompile(`No export named (\S+) found`), func(m []string, _ words) Cause {
		return say("no stack exports %s", m[1]).mend("aws cloudformation list-exports --query 'Exports[].Name'")
	}},
	{regexp.MustCompile(`Fn::Select +cannot select nonexistent value at index (\d+)`), func(m []string, _ words) Cause {
		return say("the list that Fn::Select takes number %s from is shorter than that", m[1]).
			mend("aws ec2 describe-availability-zones --query 'AvailabilityZones[].ZoneName' # what Fn::GetAZs has")
	}},
	{regexp.MustCompile(`[Ee]xceeded attempts to wait|did not stabilize`), func([]string, words) Cause {
		return say("the service's tasks did not come to run and stay")
	}},
	{regexp.MustCompile(`ECS Deployment Circuit Breaker was triggered`), func([]string, words) Cause {
		return say("the service's tasks failed one after the other, and its circuit breaker gave the deployment up")
	}},
}

// registryOf is the registry that a call was about, or else the account's.
func registryOf(w words, account string) string {
	for _, n := range w.names {
		if ecrHost.MatchString(n) {
			return n
		}
	}
	return account + ".dkr.ecr.REGION.amazonaws.com"
}

var ecrHost = regexp.MustCompile(`^\d{12}\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com$`)

const tasksTrust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ecs-tasks.amazonaws.com"},"Action":"sts:AssumeRole"}]}`

// stackName is the name in a stack's ARN.
func stackName(arn string) string {
	part := strings.Split(arn, "/")
	if len(part) < 2 {
		return arn
	}
	return part[1]
}

// targetGroupName is the name in a target group's ARN.
func targetGroupName(arn string) string { return stackName(arn) }

// createListener is the command that gives a target group to a load balancer.
func createListener(group string) string {
	return "aws elbv2 create-listener --load-balancer-arn LOAD-BALANCER --protocol HTTP --port 80 --default-actions " + quote(`[{"Type":"forward","TargetGroupArn":"`+group+`"}]`)
}
