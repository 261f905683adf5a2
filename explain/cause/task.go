package cause

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"minato/dataplane/network"
)

// Task is an ECS task, running or stopped.
type Task struct {
	ID, Cluster               string
	Group, StartedBy          string
	Definition                string // family:revision
	Status                    string // lastStatus
	Reason, Code              string // stoppedReason, stopCode
	Health                    string
	Created, Started, Stopped time.Time
	Memory                    string // of the task, in MiB
	Subnet, Address           string
	Public                    bool
	Containers                []Container
	Way                       Way
	Drops                     []Drop     // of its own packets, while it lived
	Refused                   []Refusal  // calls that were made with its roles
	Databases                 []Database // that its environment names
	Protected                 time.Time  // from scale-in, until then
	RoleGone                  bool       // a role that it names does not exist
	Now                       time.Time
}

// Container is one of a task's containers.
type Container struct {
	Name, Image, Status, Reason, Health string
	HealthCommand                       string
	Exit                                *int32
	Memory                              int32 // its own limit in MiB; 0: the task's
	LogGroup                            string
	Lines                               []string // the last it wrote
	ImageInfo                           *Image   // looked at when it could not be pulled
}

// Image is what ECR has of an image that was asked for.
type Image struct {
	Repository, Tag string
	Exists          bool     // the repository
	Pushed          bool     // the tag is there now
	Tags            []string // that it has
}

// Stops of a task, in ECS's words.
const (
	stoppedStatus   = "STOPPED"
	runningStatus   = "RUNNING"
	unhealthyStatus = "UNHEALTHY"
	byUser          = "UserInitiated"
	byScheduler     = "ServiceSchedulerInitiated"
)

// failedHealth tells whether the scheduler stopped a task for its health.
func (t Task) failedHealth() bool { return strings.Contains(t.Reason, "health checks") }

// Fell tells whether a task stopped because something was wrong with it.
func (t Task) Fell() bool {
	return t.Reason != "" && t.Code != byUser && (t.Code != byScheduler || t.failedHealth())
}

// service is the cluster and service that a task belongs to.
func (t Task) service() (cluster, name string) {
	name, ok := strings.CutPrefix(t.Group, "service:")
	if !ok {
		return "", ""
	}
	return t.Cluster, name
}

// lines are the last lines of the containers' logs, as evidence.
func (t Task) lines() []string {
	var out []string
	for _, c := range t.Containers {
		out = append(out, c.wrote()...)
	}
	return out
}

// wrote are a container's last lines, as evidence; one that it repeats is one.
func (c Container) wrote() []string {
	var out []string
	for i, l := range c.Lines {
		if i == 0 || l != c.Lines[i-1] {
			out = append(out, c.Name+" wrote: "+l)
		}
	}
	return out
}

// OfTask says why a task stopped, does not start, or is not well.
func OfTask(t Task) Findings {
	var f Findings
	switch {
	case t.Reason != "" || t.Status == stoppedStatus:
		f.Causes = Distinct(append(t.stopped(), t.needs(false)...))
		return f
	case t.Status != runningStatus:
		f.Waits = []string{t.pending()}
		for _, d := range t.Drops {
			f.Causes = append(f.Causes, OfDrop(d))
		}
	default:
		f.Causes = t.needs(true)
	}
	for _, c := range t.Containers {
		switch {
		case c.Health == unhealthyStatus:
			f.Causes = append(f.Causes, t.unhealthy(c))
		case c.Status == stoppedStatus && c.Exit != nil && *c.Exit != 0 && t.Status == runningStatus:
			f.Causes = append(f.Causes, t.exited(c, nil))
		default:
			proof := fmt.Sprintf("container %s is %s", c.Name, c.Status)
			if c.Health != "" && c.Health != "UNKNOWN" {
				proof += ", its health check says " + c.Health
			}
			f.Proof = append(f.Proof, proof)
		}
	}
	if !t.Started.IsZero() && t.Status == runningStatus {
		f.Proof = append(f.Proof, "it has been running since "+t.Started.Local().Format("15:04:05"))
	}
	return f
}

// pending is what a task that is not there yet waits for.
func (t Task) pending() string {
	switch t.Status {
	case "PROVISIONING":
		return "task " + t.ID + " is PROVISIONING: its network interface is being made"
	case "PENDING":
		for _, c := range t.Containers {
			if c.Status == runningStatus {
				return "task " + t.ID + " is PENDING: container " + c.Name + " runs, and others wait until it is what they depend on"
			}
		}
		return "task " + t.ID + " is PENDING: its images are being pulled and its containers made"
	case "ACTIVATING":
		return "task " + t.ID + " is ACTIVATING: it is about to be RUNNING"
	}
	return "task " + t.ID + " is " + t.Status + ": it is being stopped"
}

// overcame tells whether a drop kept nothing from the task: one packet alone,
// lost before a task ran that runs now - such as before its public address was
// there - or on the way to a registry that then answered, was sent again and came
// through. Of a task that ended it may have been the program's only try.
func (t Task) overcame(d Drop) bool {
	came := t.Reason == "" && !t.Started.IsZero() && d.Last.Before(t.Started) || strings.Contains(t.Reason, "failed to resolve ref") && strings.Contains(t.Reason, "not found")
	return d.Protocol == network.TCP && d.Packets == 1 && came
}

// needs are the things that a task's programs ask for in vain: they explain how
// it ended as well as what it answers. Of one that is well it counts for nothing
// that somebody whom it called is gone.
func (t Task) needs(well bool) []Cause {
	var out []Cause
	for _, d := range t.Drops {
		if well && d.Reason == network.DropNobody || t.overcame(d) {
			continue
		}
		out = append(out, OfDrop(d))
	}
	for _, db := range t.Databases {
		if db.Status != "available" {
			out = append(out, say("the database %s, which the task's environment names, is %s", db.ID, db.Status).mend("%s", db.remedy()))
		}
	}
	for _, r := range t.Refused {
		if strings.Contains(t.Reason, r.Message) {
			continue // why it stopped
		}
		if c, ok := OfDenial(r.Message, r.Detail, []string{r.about()}); ok {
			out = append(out, c)
		}
	}
	return out
}

// stopped reads a stopped task's reason and looks for what is behind it.
func (t Task) stopped() []Cause {
	evidence := []string{fmt.Sprintf("task %s stopped: %s", t.ID, t.Reason)}
	for _, c := range t.Containers {
		if c.Reason != "" && !strings.Contains(t.Reason, c.Reason) {
			evidence = append(evidence, fmt.Sprintf("container %s: %s", c.Name, c.Reason))
		}
	}
	whole := strings.Join(evidence, " ")
	has := func(parts ...string) bool {
		for _, p := range parts {
			if strings.Contains(whole, p) {
				return true
			}
		}
		return false
	}
	switch {
	case has("is not authorized to perform"):
		if c, ok := OfDenial(whole, t.detail(), evidence); ok {
			return []Cause{c}
		}
	case has("The specified log group does not exist"):
		return []Cause{t.noLogGroup(evidence)}
	case has("i/o timeout", "deadline exceeded", "waiting for connection", "no route to host", "network is unreachable"):
		return t.unreached(evidence)
	case has("CannotPullContainerError", "CannotPullImageManifestError"):
		return []Cause{t.unpulled(whole, evidence)}
	case has("OutOfMemory"):
		return []Cause{t.outOfMemory(evidence)}
	case has("Task failed container health checks"):
		for _, c := range t.Containers {
			if c.HealthCommand != "" {
				return []Cause{t.unhealthy(c).seen(evidence...)}
			}
		}
	case t.failedHealth():
		return []Cause{because(append(evidence, t.lines()...), "the task did not pass its load balancer's health checks").
			mend("minato why %s # while a task is being checked", t.targetGroup())}
	case has("CannotStartContainerError"):
		return []Cause{t.unstarted(whole, evidence)}
	case has("ECS was unable to assume the role"):
		return []Cause{t.unassumed(evidence)}
	case has("no execution role was given"):
		return []Cause{because(evidence, "the task definition %s has no execution role, and its image or log needs one", t.Definition).
			mend("register it again with --execution-role-arn ROLE, whose policies include AmazonECSTaskExecutionRolePolicy")}
	case has("not have enough free addresses", "InsufficientFreeAddressesInSubnet"):
		return []Cause{because(evidence, "subnet %s has no free address left", t.Subnet).mend("use another subnet, or a larger one")}
	case has("Essential container in task exited"):
		return t.ended(evidence)
	case t.Code == byUser:
		return []Cause{because(evidence, "somebody stopped the task: %s", t.Reason)}
	case t.Code == byScheduler:
		return []Cause{because(evidence, "the service stopped the task: %s", t.Reason)}
	}
	if c, ok := secret(whole, evidence); ok {
		return []Cause{c}
	}
	if c, ok := OfText(whole, "", nil, Facts{}); ok {
		return []Cause{c.seen(evidence...)}
	}
	return []Cause{because(evidence, "%s", t.Reason)}
}

var assumed = regexp.MustCompile(`unable to assume the role '([^']+)'`)

// unassumed says why ECS did not get a role.
func (t Task) unassumed(evidence []string) Cause {
	role := "ROLE"
	if m := assumed.FindStringSubmatch(t.Reason); m != nil {
		role = last(m[1])
	}
	if t.RoleGone {
		return because(evidence, "there is no role %s, which the task definition %s names", role, t.Definition).
			mend("aws iam create-role --role-name %s --assume-role-policy-document %s", role, quote(tasksTrust))
	}
	return because(evidence, "the trust policy of the role %s does not let ecs-tasks.amazonaws.com assume it", role).
		mend("aws iam update-assume-role-policy --role-name %s --policy-document %s", role, quote(tasksTrust))
}

// detail is what IAM knows of the task's own refused calls.
func (t Task) detail() string {
	for _, r := range t.Refused {
		if r.Detail != "" {
			return r.Detail
		}
	}
	return ""
}

func (t Task) targetGroup() string {
	if _, arn, ok := strings.Cut(t.Reason, "target-group "); ok {
		return strings.TrimRight(arn, ").")
	}
	return "TARGET-GROUP"
}

func (t Task) noLogGroup(evidence []string) Cause {
	for _, c := range t.Containers {
		if c.LogGroup != "" {
			return because(evidence, "the log group %s of container %s does not exist", c.LogGroup, c.Name).
				mend("aws logs create-log-group --log-group-name %s", c.LogGroup)
		}
	}
	return because(evidence, "the task's log group does not exist")
}

// unreached looks for what kept a task from AWS's services or a registry: the
// packets that were dropped, or else how its routes are now.
func (t Task) unreached(evidence []string) []Cause {
	if len(t.Drops) > 0 {
		var out []Cause
		for _, d := range t.Drops {
			out = append(out, OfDrop(d).seen(evidence...))
		}
		return out
	}
	if c := OfWay(t.Way, t.Public); c != nil {
		return []Cause{c.seen(evidence...)}
	}
	return []Cause{because(evidence, "the task did not reach what it needed to start; its subnet's routes and its security groups let it now").mend("start it again")}
}

var (
	platformText = regexp.MustCompile(`descriptor matching platform '([^']+)'`)
	layersText   = regexp.MustCompile(`https://(prod-[a-z0-9-]+-starport-layer-bucket)\.s3\.`)
	hostText     = regexp.MustCompile(`lookup (\S+?)[ :].*no such host`)
)

// unpulled says why an image cannot be pulled.
func (t Task) unpulled(whole string, evidence []string) Cause {
	image, info := "", (*Image)(nil)
	for _, c := range t.Containers {
		if image == "" || strings.Contains(whole, c.Image) {
			image, info = c.Image, c.ImageInfo
		}
	}
	switch m := platformText.FindStringSubmatch(whole); {
	case m != nil:
		return because(evidence, "the image %s is not made for %s, which the tasks run on", image, m[1]).
			mend("docker build --platform %s -t %s . && docker push %s", m[1], image, image)
	case strings.Contains(whole, "403 Forbidden") && layersText.MatchString(whole):
		bucket := layersText.FindStringSubmatch(whole)[1]
		return because(evidence, "the policy of the VPC endpoint for S3 lets nobody read the bucket %s, in which ECR has the layers of images", bucket).
			mend("aws ec2 describe-vpc-endpoints --query %s # then modify-vpc-endpoint --policy-document, with s3:GetObject allowed on arn:aws:s3:::%s/*", quote("VpcEndpoints[?VpcEndpointType==`Gateway`].[VpcEndpointId,PolicyDocument]"), bucket)
	case strings.Contains(whole, "403 Forbidden"):
		return because(evidence, "the execution role may not pull the image %s", image).
			mend("attach arn:aws:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy to it, and look at the repository's own policy for a Deny")
	case hostText.MatchString(whole):
		return because(evidence, "nobody has the name %s of the image's registry", hostText.FindStringSubmatch(whole)[1]).
			mend("correct the image %s in the task definition %s", image, t.Definition)
	case strings.Contains(whole, "toomanyrequests"):
		return because(evidence, "the registry of %s takes no more anonymous pulls from here for now", image).
			mend("push the image to ECR and use it from there")
	case strings.Contains(whole, "not found") && info != nil && !info.Exists:
		return because(evidence, "there is no repository %s, which the image %s names", info.Repository, image).
			mend("aws ecr create-repository --repository-name %s # and push the image", info.Repository).
			mend("or correct the image in the task definition %s", t.Definition)
	case strings.Contains(whole, "not found") && info != nil && info.Pushed:
		return because(evidence, "the repository %s had no image with the tag %s when the task started; now it has", info.Repository, info.Tag).
			mend("start the task again; a service does by itself, or at once: aws ecs update-service --force-new-deployment …")
	case strings.Contains(whole, "not found") && info != nil:
		c := because(evidence, "the repository %s has no image with the tag %s", info.Repository, info.Tag)
		if len(info.Tags) > 0 {
			c.Evidence = append(evidence[:len(evidence):len(evidence)], fmt.Sprintf("tags in %s: %s", info.Repository, strings.Join(info.Tags, ", ")))
		} else {
			c.What = fmt.Sprintf("the repository %s has no image with the tag %s: nothing was pushed to it", info.Repository, info.Tag)
		}
		return c.mend("docker push %s", image).mend("or correct the image in the task definition %s", t.Definition)
	case strings.Contains(whole, "not found"), strings.Contains(whole, "denied"):
		return because(evidence, "the registry has no image %s that anybody may pull", image).mend("correct the image in the task definition %s", t.Definition)
	}
	_, why, _ := strings.Cut(t.Reason, ": ")
	return because(evidence, "the image %s cannot be pulled: %s", image, why)
}

func (t Task) outOfMemory(evidence []string) Cause {
	for _, c := range t.Containers {
		if !strings.Contains(c.Reason, "OutOfMemory") {
			continue
		}
		if c.Memory > 0 {
			return because(append(evidence, t.lines()...), "container %s needed more memory than its own limit of %d MiB (memory in the container definition)", c.Name, c.Memory).
				mend("register a revision of %s with more memory for %s, or let the application need less", family(t.Definition), c.Name)
		}
	}
	return because(append(evidence, t.lines()...), "a container needed more memory than the task's limit of %s MiB", t.Memory).
		mend("register a revision of %s with more memory, or let the application need less", family(t.Definition))
}

func family(definition string) string {
	name, _, _ := strings.Cut(last(definition), ":")
	return name
}

func (t Task) unhealthy(c Container) Cause {
	return because(t.lines(), "the health check of container %s fails: %s", c.Name, c.HealthCommand).
		mend("aws ecs execute-command --cluster %s --task %s --container %s --interactive --command /bin/sh # run the check by hand: its program must be in the image", t.Cluster, t.ID, c.Name)
}

var (
	noProgram  = regexp.MustCompile(`exec: \\?"?([^":\\]+)\\?"?:? (?:executable file not found in \$PATH|stat [^:]*: no such file or directory|no such file or directory)`)
	noFile     = regexp.MustCompile(`exec (\S+): no such file or directory|stat (\S+): no such file or directory`)
	notAllowed = regexp.MustCompile(`permission denied`)
)

// unstarted says why a container's program could not be started.
func (t Task) unstarted(whole string, evidence []string) Cause {
	image := "IMAGE"
	for _, c := range t.Containers {
		if strings.Contains(c.Reason, "CannotStart") {
			image = c.Image
		}
	}
	for _, form := range []*regexp.Regexp{noProgram, noFile} {
		if m := form.FindStringSubmatch(whole); m != nil {
			program := m[1]
			if program == "" {
				program = m[len(m)-1]
			}
			return because(evidence, "the image %s has no program %s", image, program).mend("correct command or entryPoint of the task definition, or the image's ENTRYPOINT")
		}
	}
	if notAllowed.MatchString(whole) {
		return because(evidence, "the container's program may not be executed").mend("RUN chmod +x the program in the Dockerfile, or correct user in the task definition")
	}
	if strings.Contains(whole, "exec format error") {
		return wrongPlatform(evidence, image)
	}
	_, text, _ := strings.Cut(whole, "CannotStartContainerError: ")
	return because(evidence, "the container could not be started: %s", text).
		mend("aws ecs describe-task-definition --task-definition %s # its command, entryPoint, user and dependsOn", t.Definition)
}

func wrongPlatform(evidence []string, image string) Cause {
	return because(evidence, "the program in the image %s is built for another processor (exec format error)", image).
		mend("docker build --platform linux/amd64 -t %[1]s . && docker push %[1]s # on Apple silicon images are arm64 unless told otherwise", image)
}

// knownLines are lines that programs write before they end, and what they mean.
var knownLines = []struct {
	text *regexp.Regexp
	what string
	mend string
}{
	{
		regexp.MustCompile(`caching_sha2_password`), "its client is too old for the authentication of MySQL 8 (caching_sha2_password)",
		"use a newer MySQL client library in the image, or: ALTER USER … IDENTIFIED WITH mysql_native_password",
	},
	{regexp.MustCompile(`Access denied for user|password authentication failed`), "the database refused its user or password", "compare the user and password in the task definition with the database's"},
	{regexp.MustCompile(`Unknown database|database "[^"]+" does not exist`), "the database server has no database of that name", "compare the database's name in the task definition with DBName"},
	{regexp.MustCompile(`address already in use`), "its port is taken by another container of the task", "give each container of the task another port: they share one network interface"},
	{regexp.MustCompile(`(?i)no such host|could not resolve|Name or service not known|getaddrinfo`), "a name that it asked for does not exist", "compare the host names in the task definition with what there is (aws rds describe-db-instances --query 'DBInstances[].Endpoint.Address')"},
	{regexp.MustCompile(`(?i)connection refused|ECONNREFUSED`), "what it wanted to reach refused the connection: nothing listens there", "see whether the address and port are right and whether what should answer there runs"},
	{regexp.MustCompile(`(?i)permission denied`), "it may not do or open something", "see user, readonlyRootFilesystem and the file's rights"},
}

// ended explains containers that ended by themselves: code, last lines.
func (t Task) ended(evidence []string) []Cause {
	var out []Cause
	for _, c := range t.Containers {
		if c.Exit == nil || len(t.Containers) > 1 && *c.Exit == 0 && anyFailed(t.Containers) {
			continue
		}
		out = append(out, t.exited(c, evidence))
	}
	if len(out) == 0 {
		return []Cause{because(evidence, "a container of the task ended")}
	}
	return out
}

func anyFailed(all []Container) bool {
	for _, c := range all {
		if c.Exit != nil && *c.Exit != 0 {
			return true
		}
	}
	return false
}

// signals are the exit codes of programs that a signal ended.
var signals = map[int32]string{
	134: "it gave itself up (SIGABRT)", 135: "SIGBUS ended it", 136: "SIGFPE ended it", 137: "SIGKILL ended it",
	139: "it reached for memory that is not its own (SIGSEGV)", 143: "SIGTERM ended it",
}

func (t Task) exited(c Container, evidence []string) Cause {
	seen := append(evidence[:len(evidence):len(evidence)], c.wrote()...)
	text := strings.Join(c.Lines, "\n")
	if strings.Contains(text, "exec format error") {
		return wrongPlatform(seen, c.Image)
	}
	cause := because(seen, "container %s exited with code %d", c.Name, *c.Exit)
	if s := signals[*c.Exit]; s != "" {
		cause.What += ": " + s
	}
	if *c.Exit == 0 {
		cause.What += ": its program came to its end"
		if _, service := t.service(); service != "" {
			return cause.mend("a service's program must go on until SIGTERM; for work with an end use aws ecs run-task")
		}
		return cause
	}
	for _, k := range knownLines {
		if k.text.MatchString(text) {
			cause.What += ": " + k.what
			return cause.mend("%s", k.mend)
		}
	}
	if c.LogGroup == "" {
		return cause.mend("give container %s a logConfiguration with awslogs, to see what it says", c.Name)
	}
	return cause.mend("mend what the last lines of its log say; all of them: minato logs %s", t.ID)
}

// secretText finds the secret or parameter in ECS's reason.
var secretText = regexp.MustCompile(`arn:aws:(?:secretsmanager|ssm):[^\s,"']+`)

// secret says why a secret could not be had.
func secret(whole string, evidence []string) (Cause, bool) {
	if !strings.Contains(whole, "unable to pull secrets") && !strings.Contains(whole, "unable to retrieve secret") {
		return Cause{}, false
	}
	name := strings.TrimRight(secretText.FindString(whole), ":.")
	switch {
	case strings.Contains(whole, "did not contain json key"), strings.Contains(whole, "json key"):
		return because(evidence, "the secret %s has no such JSON key", name).
			mend("aws secretsmanager get-secret-value --secret-id %s --query SecretString # compare the key in valueFrom", name), true
	case strings.Contains(whole, "ResourceNotFoundException"), strings.Contains(whole, "can't find the specified secret"):
		return because(evidence, "there is no secret %s", name).mend("aws secretsmanager list-secrets --query 'SecretList[].ARN' # correct valueFrom in the task definition"), true
	case strings.Contains(whole, "ParameterNotFound"), strings.Contains(whole, "invalid ssm parameters"), strings.Contains(whole, "invalid parameters"):
		_, list, _ := strings.Cut(whole, "arameters: ")
		if list, _, _ = strings.Cut(list, " "); list == "" {
			list = name
		}
		return because(evidence, "there is no parameter %s in Parameter Store", list).mend("aws ssm describe-parameters --query 'Parameters[].Name' # correct valueFrom in the task definition"), true
	}
	return Cause{}, false
}
