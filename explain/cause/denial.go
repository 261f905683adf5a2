package cause

import (
	"regexp"
	"strings"
)

// The statement that denies is in brackets behind AWS's sentence where it is
// known: the answer to the caller does not tell it.
var (
	denial    = regexp.MustCompile(`User: (\S+) is not authorized to perform: (\S+) on resource: (\S+)`)
	byDeny    = regexp.MustCompile(`with an explicit deny in (?:an?|the) ([a-zA-Z -]+)`)
	statement = regexp.MustCompile(`denied by statement (\d+) \(Sid "([^"]*)"\) of (\S+)`)
	nobodyMay = regexp.MustCompile(`because no ([a-zA-Z -]+) allows`)
)

// endpointPolicy is what IAM calls the policy of a VPC endpoint.
const endpointPolicy = "VPC endpoint policy"

const policies = "arn:aws:iam::aws:policy/"

// OfDenial is the cause behind IAM's words: who may not do what, and whether a
// statement is missing or one denies.
func OfDenial(text, detail string, evidence []string) (Cause, bool) {
	m := denial.FindStringSubmatch(text)
	if m == nil {
		return Cause{}, false
	}
	who, action, resource := m[1], m[2], m[3]
	c := because(evidence, "%s may not do %s on %s", principal(who), action, resource)
	if d := byDeny.FindStringSubmatch(text); d != nil {
		c.What += ": a statement of " + article(d[1]) + " denies it"
		if s := statement.FindStringSubmatch(detail); s != nil {
			c.What = strings.TrimSuffix(c.What, "a statement of "+article(d[1])+" denies it") + "statement " + sid(s[1], s[2]) + " of the policy " + last(s[3]) + " denies it"
			c = c.mend("%s # that statement has to go", show(who, s[3]))
		}
		return c.mend("take the Deny of %s out, or narrow its Resource or Condition: nothing that allows outweighs it", action), true
	}
	source := "identity-based policy"
	if n := nobodyMay.FindStringSubmatch(text); n != nil {
		source = n[1]
	}
	switch source {
	case "identity-based policy":
		c.What += ": no policy of " + kindOf(who) + " allows it"
		return c.mend("%s", allow(who, action, resource)), true
	case "permissions boundary":
		c.What += ": its permissions boundary does not allow it, and bounds what its policies allow"
	case endpointPolicy:
		c.What += ": the policy of the VPC endpoint that the call came through does not allow it"
		service, _, _ := strings.Cut(action, ":")
		return c.mend("aws ec2 describe-vpc-endpoints --query %s # then modify-vpc-endpoint --policy-document, with %s allowed", quote("VpcEndpoints[?contains(ServiceName, `"+service+"`)].[VpcEndpointId,PolicyDocument]"), action), true
	case "role trust policy":
		c.What += ": the role's trust policy does not name it"
		return c.mend("aws iam update-assume-role-policy --role-name %s --policy-document file://TRUST-POLICY", last(resource)), true
	default:
		c.What += ": no " + source + " allows it"
	}
	return c.mend("add %s to the %s", action, source), true
}

func article(source string) string {
	if strings.HasPrefix(source, "identity") {
		return "an " + source
	}
	return "a " + source
}

func sid(index, name string) string {
	if name != "" {
		return name
	}
	return "number " + string(index[0]+1) // policies have few statements
}

// principal is who a caller is, in a few words.
func principal(arn string) string {
	kind, rest, ok := strings.Cut(arn[strings.LastIndexByte(arn, ':')+1:], "/")
	switch {
	case !ok || !strings.HasPrefix(arn, "arn:"):
		return arn
	case kind == "assumed-role":
		role, session, _ := strings.Cut(rest, "/")
		return "role " + role + " (session " + session + ")"
	}
	return kind + " " + rest
}

func kindOf(arn string) string {
	if strings.Contains(arn, ":user/") {
		return "the user"
	}
	return "the role"
}

// entity is the user or role that a caller's policies belong to.
func entity(who string) (kind, name string) {
	if rest, ok := strings.CutPrefix(who[strings.LastIndexByte(who, ':')+1:], "assumed-role/"); ok {
		name, _, _ = strings.Cut(rest, "/")
		return "role", name
	}
	if strings.Contains(who, ":user/") {
		return "user", last(who)
	}
	return "role", last(who)
}

// show is the command that shows a policy.
func show(who, policy string) string {
	if strings.HasPrefix(policy, "arn:") {
		return "aws iam get-policy --policy-arn " + policy
	}
	kind, name := entity(who)
	return "aws iam get-" + kind + "-policy --" + kind + "-name " + name + " --policy-name " + policy
}

// allow is the command that gives a user or role what it lacks: AWS's own policy
// where there is one for the job.
func allow(who, action, resource string) string {
	entity, name := entity(who)
	attach := "aws iam attach-" + entity + "-policy --" + entity + "-name " + name + " --policy-arn " + policies
	switch {
	case entity == "role" && executing[action]:
		return attach + "service-role/AmazonECSTaskExecutionRolePolicy"
	case strings.HasPrefix(action, "ecr:") && (executing[action] || pushing[action]):
		return attach + "AmazonEC2ContainerRegistryPowerUser"
	}
	verb, _, _ := strings.Cut(action, ":")
	return "aws iam put-" + entity + "-policy --" + entity + "-name " + name + " --policy-name allow-" + verb + " --policy-document " +
		quote(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"`+action+`","Resource":"`+resource+`"}]}`)
}

// executing is what AmazonECSTaskExecutionRolePolicy allows.
var executing = map[string]bool{
	"ecr:GetAuthorizationToken": true, "ecr:BatchCheckLayerAvailability": true, "ecr:GetDownloadUrlForLayer": true, "ecr:BatchGetImage": true,
	"logs:CreateLogStream": true, "logs:PutLogEvents": true,
}

// pushing is what docker push needs besides.
var pushing = map[string]bool{"ecr:InitiateLayerUpload": true, "ecr:UploadLayerPart": true, "ecr:CompleteLayerUpload": true, "ecr:PutImage": true}
