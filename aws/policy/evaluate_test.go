package policy

import (
	"fmt"
	"strings"
	"testing"
)

const learner = "arn:aws:iam::000000000000:user/learner"

// keysOf makes a Lookup of a map with keys in lower case.
func keysOf(m map[string][]string) func(string) ([]string, bool) {
	return func(k string) ([]string, bool) { v, ok := m[k]; return v, ok }
}

func must(t testing.TB, text string, kind Kind) *Policy {
	t.Helper()
	p, err := Parse(text, kind)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return p
}

func identityOf(t testing.TB, statements ...string) []Named {
	t.Helper()
	return []Named{{Name: "inline", Policy: must(t, `{"Version":"2012-10-17","Statement":[`+strings.Join(statements, ",")+`]}`, Identity)}}
}

const (
	allowAll  = `{"Effect":"Allow","Action":"*","Resource":"*"}`
	allowECS  = `{"Sid":"Ecs","Effect":"Allow","Action":["ecs:Run*","ECS:describe?asks"],"Resource":"arn:aws:ecs:*:*:task-definition/web:*"}`
	denyStop  = `{"Effect":"Deny","Action":"ecs:StopTask","Resource":"*"}`
	notIAM    = `{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}`
	notThis   = `{"Effect":"Allow","Action":"ecr:*","NotResource":"arn:aws:ecr:us-east-1:000000000000:repository/secret"}`
	ownUser   = `{"Effect":"Allow","Action":"iam:GetUser","Resource":"arn:aws:iam::*:user/${aws:username}"}`
	ownOr     = `{"Effect":"Allow","Action":"iam:GetGroup","Resource":"arn:aws:iam::*:group/${aws:PrincipalTag/team, 'none'}"}`
	starValue = `{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/${*}"}`
)

func TestIdentityPolicies(t *testing.T) {
	webTask := "arn:aws:ecs:us-east-1:000000000000:task-definition/web:3"
	user := keysOf(map[string][]string{"aws:username": {"learner"}})
	for _, c := range []struct {
		name, action, resource string
		statements             []string
		keys                   func(string) ([]string, bool)
		allowed, explicit      bool
	}{
		{"nothing allows", "ecs:RunTask", "*", nil, nil, false, false},
		{"everything", "ecs:RunTask", "*", []string{allowAll}, nil, true, false},
		{"wildcard action, any case", "ecs:runtask", webTask, []string{allowECS}, nil, true, false},
		{"question mark", "ecs:DescribeTasks", webTask, []string{allowECS}, nil, true, false},
		{"question mark is one rune", "ecs:DescribeTTasks", webTask, []string{allowECS}, nil, false, false},
		{"resources keep their case", "ecs:RunTask", strings.Replace(webTask, "web", "Web", 1), []string{allowECS}, nil, false, false},
		{"an ARN pattern is not met by *", "ecs:RunTask", "*", []string{allowECS}, nil, false, false},
		{"a deny wins over an allow", "ecs:StopTask", "*", []string{allowAll, denyStop}, nil, false, true},
		{"a deny of another action does not", "ecs:RunTask", "*", []string{denyStop, allowAll}, nil, true, false},
		{"NotAction", "ecs:RunTask", "*", []string{notIAM}, nil, true, false},
		{"NotAction excepts", "iam:GetUser", "*", []string{notIAM}, nil, false, false},
		{"NotResource", "ecr:PutImage", "arn:aws:ecr:us-east-1:000000000000:repository/chat", []string{notThis}, nil, true, false},
		{"NotResource excepts", "ecr:PutImage", "arn:aws:ecr:us-east-1:000000000000:repository/secret", []string{notThis}, nil, false, false},
		{"variable", "iam:GetUser", learner, []string{ownUser}, user, true, false},
		{"variable of another", "iam:GetUser", learner + "2", []string{ownUser}, user, false, false},
		{"variable without a value", "iam:GetUser", learner, []string{ownUser}, nil, false, false},
		{"a value's wildcard is text", "iam:GetUser", learner, []string{ownUser}, keysOf(map[string][]string{"aws:username": {"*"}}), false, false},
		{"variable's default", "iam:GetGroup", "arn:aws:iam::000000000000:group/none", []string{ownOr}, nil, true, false},
		{"variable's value before its default", "iam:GetGroup", "arn:aws:iam::000000000000:group/none", []string{ownOr}, keysOf(map[string][]string{"aws:principaltag/team": {"a"}}), false, false},
		{"escaped star is text", "s3:GetObject", "arn:aws:s3:::b/x", []string{starValue}, nil, false, false},
		{"escaped star matches itself", "s3:GetObject", "arn:aws:s3:::b/*", []string{starValue}, nil, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			set := &Set{}
			if c.statements != nil {
				set.Identity = identityOf(t, c.statements...)
			}
			d := Evaluate(set, &Request{Action: c.action, Resource: c.resource, Caller: Caller{Account: "000000000000", ARN: learner}, Lookup: c.keys})
			if d.Allowed != c.allowed || d.Explicit != c.explicit {
				t.Errorf("allowed %v explicit %v, want %v %v", d.Allowed, d.Explicit, c.allowed, c.explicit)
			}
		})
	}
}

func TestLayersAndTheirWords(t *testing.T) {
	some := identityOf(t, `{"Effect":"Allow","Action":"ecs:*","Resource":"*"}`)
	none := identityOf(t, `{"Effect":"Allow","Action":"s3:*","Resource":"*"}`)
	deny := identityOf(t, `{"Effect":"Deny","Action":"ecs:*","Resource":"*"}`)
	resource := func(principal, effect string) *Named {
		return &Named{Name: "resource", Policy: must(t, `{"Version":"2012-10-17","Statement":{"Effect":"`+effect+`","Principal":`+principal+`,"Action":"ecs:*"}}`, Resource)}
	}
	account, me, role := `{"AWS":"000000000000"}`, `{"AWS":"`+learner+`"}`, `{"AWS":"arn:aws:iam::000000000000:role/r"}`
	user := Caller{Account: "000000000000", ARN: learner}
	session := Caller{Account: "000000000000", ARN: "arn:aws:sts::000000000000:assumed-role/r/s", RoleARN: "arn:aws:iam::000000000000:role/r"}
	for _, c := range []struct {
		name   string
		set    Set
		caller Caller
		other  bool
		want   string // the end of the denial; "" allowed
	}{
		{"identity", Set{Identity: some}, user, false, ""},
		{"no identity", Set{Identity: none}, user, false, " because no identity-based policy allows the ecs:RunTask action"},
		{"identity denies", Set{Identity: deny}, user, false, " with an explicit deny in an identity-based policy"},
		{"boundary", Set{Identity: some, Boundary: &none[0]}, user, false, " because no permissions boundary allows the ecs:RunTask action"},
		{"boundary denies", Set{Identity: some, Boundary: &deny[0]}, user, false, " with an explicit deny in a permissions boundary"},
		{"session", Set{Identity: some, Session: none}, session, false, " because no session policy allows the ecs:RunTask action"},
		{"session denies", Set{Identity: some, Session: deny}, session, false, " with an explicit deny in a session policy"},
		{"resource denies", Set{Identity: some, Resource: resource(me, "Deny")}, user, false, " with an explicit deny in a resource-based policy"},
		{"resource names the user", Set{Resource: resource(me, "Allow")}, user, false, ""},
		{"resource names everyone", Set{Resource: resource(`"*"`, "Allow")}, user, false, ""},
		{"resource names the account", Set{Resource: resource(account, "Allow")}, user, false, " because no identity-based policy allows the ecs:RunTask action"},
		{"resource names the role", Set{Resource: resource(role, "Allow")}, session, false, ""},
		{"the role is still bounded", Set{Resource: resource(role, "Allow"), Session: none}, session, false, " because no session policy allows the ecs:RunTask action"},
		{"another account's resource says nothing", Set{Identity: some}, user, true, " because no resource-based policy allows the ecs:RunTask action"},
		{"another account's resource and mine", Set{Identity: some, Resource: resource(account, "Allow")}, user, true, ""},
		{"another account's resource alone", Set{Resource: resource(me, "Allow")}, user, true, " because no identity-based policy allows the ecs:RunTask action"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &Request{Action: "ecs:RunTask", Resource: "*", Caller: c.caller, OtherAccount: c.other}
			d := Evaluate(&c.set, r)
			if d.Allowed != (c.want == "") {
				t.Fatalf("allowed: %v (%+v)", d.Allowed, d)
			}
			if want := "User: " + c.caller.ARN + " is not authorized to perform: ecs:RunTask on resource: *" + c.want; !d.Allowed && d.Denial(r) != want {
				t.Errorf("got  %s\nwant %s", d.Denial(r), want)
			}
		})
	}
}

func TestTrust(t *testing.T) {
	trust := func(principal string) *Named {
		return &Named{Policy: must(t, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":`+principal+`,"Action":"sts:AssumeRole","Condition":{"StringEqualsIfExists":{"sts:ExternalId":"x"}}}}`, Trust)}
	}
	all := identityOf(t, allowAll)
	user := Caller{Account: "000000000000", ARN: learner}
	tasks := Caller{Service: "ecs-tasks.amazonaws.com"}
	for _, c := range []struct {
		name, principal string
		caller          Caller
		identity        []Named
		external        string
		want            bool
	}{
		{"service", `{"Service":["ec2.amazonaws.com","ecs-tasks.amazonaws.com"]}`, tasks, nil, "", true},
		{"another service", `{"Service":"ec2.amazonaws.com"}`, tasks, nil, "", false},
		{"a user is not named by a service", `{"Service":"ecs-tasks.amazonaws.com"}`, user, all, "", false},
		{"the user itself needs nothing else", `{"AWS":"` + learner + `"}`, user, nil, "", true},
		{"the account: identity decides, no", `{"AWS":"arn:aws:iam::000000000000:root"}`, user, nil, "", false},
		{"the account: identity decides, yes", `{"AWS":"arn:aws:iam::000000000000:root"}`, user, all, "", true},
		{"external id", `{"AWS":"` + learner + `"}`, user, nil, "x", true},
		{"wrong external id", `{"AWS":"` + learner + `"}`, user, nil, "y", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			keys := map[string][]string{}
			if c.external != "" {
				keys["sts:externalid"] = []string{c.external}
			}
			d := Evaluate(&Set{Identity: c.identity, Resource: trust(c.principal), Trust: true},
				&Request{Action: "sts:AssumeRole", Resource: "arn:aws:iam::000000000000:role/r", Caller: c.caller, Lookup: keysOf(keys)})
			if d.Allowed != c.want {
				t.Errorf("allowed: %v", d.Allowed)
			}
		})
	}
}

func TestDecisionNamesTheStatement(t *testing.T) {
	p := must(t, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"},`+allowECS+`]}`, Identity)
	d := Evaluate(&Set{Identity: []Named{{"ecs-rights", p}}}, &Request{Action: "ecs:RunTask", Resource: "arn:aws:ecs:us-east-1:0:task-definition/web:1"})
	if d.Policy != "ecs-rights" || d.Sid != "Ecs" || d.Index != 1 || !d.Allowed {
		t.Errorf("%+v", d)
	}
}

func BenchmarkEvaluate(b *testing.B) {
	var parts []string
	for i := range 40 {
		parts = append(parts, fmt.Sprintf(`{"Effect":"Allow","Action":["svc%d:Get*","svc%d:List*"],"Resource":"*"}`, i, i))
	}
	set := &Set{Identity: identityOf(b, append(parts, allowECS)...)}
	r := &Request{Action: "ecs:RunTask", Resource: "arn:aws:ecs:us-east-1:0:task-definition/web:1"}
	b.ReportAllocs()
	for b.Loop() {
		if !Evaluate(set, r).Allowed {
			b.Fatal("denied")
		}
	}
}
