package elbv2

import (
	"strings"
	"testing"

	"minato/aws"
	elbapi "minato/aws/api/elbv2"
)

// TestRuleLimits: what conditions and actions may hold, as AWS has it.
func TestRuleLimits(t *testing.T) {
	path := func(values ...string) elbapi.RuleCondition {
		return elbapi.RuleCondition{Field: aws.Ptr("path-pattern"), Values: values}
	}
	host := func(values ...string) elbapi.RuleCondition {
		return elbapi.RuleCondition{Field: aws.Ptr("host-header"), HostHeaderConfig: &elbapi.HostHeaderConditionConfig{Values: values}}
	}
	method := func(values ...string) elbapi.RuleCondition {
		return elbapi.RuleCondition{Field: aws.Ptr("http-request-method"), HttpRequestMethodConfig: &elbapi.HttpRequestMethodConditionConfig{Values: values}}
	}
	query := func(key, value string) elbapi.RuleCondition {
		return elbapi.RuleCondition{Field: aws.Ptr("query-string"), QueryStringConfig: &elbapi.QueryStringConditionConfig{Values: []elbapi.QueryStringKeyValuePair{{Key: &key, Value: &value}}}}
	}
	conditions := func(all ...elbapi.RuleCondition) error { _, err := checkConditions(all); return err }
	redirect := func(r elbapi.RedirectActionConfig) error {
		_, err := checkActions([]elbapi.Action{{Type: aws.Ptr("redirect"), RedirectConfig: &r}})
		return err
	}
	long := strings.Repeat("a", 129)
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"paths":               {conditions(path("/a_b-c.d/~$'\"@:+&*?", "/img/*")), ""},
		"a space":             {conditions(path("/a b")), "Condition value '/a b' contains a character that is not valid"},
		"a long path":         {conditions(path("/" + long)), "The 'path-pattern' condition value '/" + long + "' must have between '1' and '128' characters"},
		"hosts":               {conditions(host("*.Example-1.com", "?.x")), ""},
		"a host with a port":  {conditions(host("a.example:80")), "Condition value 'a.example:80' contains a character that is not valid"},
		"six wildcards":       {conditions(path("/*/*/*"), host("*.*.?")), ""},
		"seven wildcards":     {conditions(path("/*/*/*"), host("*.*.?.*")), "A rule can only have '6' condition wildcards"},
		"escaped wildcards":   {conditions(path("/*/*/*/*/*/*"), query("a", `\*\?`)), ""},
		"methods":             {conditions(method("GET", "X-ODD_ONE")), ""},
		"a method's case":     {conditions(method("get")), "Condition value 'get' contains a character that is not valid"},
		"a pattern of method": {conditions(method("*")), "Condition value '*' contains a character that is not valid"},
		"an empty query":      {conditions(query("a", "")), "A query string value must be specified"},
		"a long query":        {conditions(query(long, "b")), "The 'query-string' condition value '" + long + "' must have between '1' and '128' characters"},
		"keywords":            {redirect(elbapi.RedirectActionConfig{StatusCode: aws.Ptr("HTTP_302"), Host: aws.Ptr("www.#{host}"), Path: aws.Ptr("/#{port}/#{path}"), Query: aws.Ptr("#{query}&x=#{protocol}")}), ""},
		"an unknown keyword":  {redirect(elbapi.RedirectActionConfig{StatusCode: aws.Ptr("HTTP_302"), Path: aws.Ptr("/#{moon}")}), "The redirect configuration value '/#{moon}' contains a keyword that is not valid: it must be one of '#{protocol}, #{host}, #{port}, #{path}, #{query}'"},
		"a redirect to TCP":   {redirect(elbapi.RedirectActionConfig{StatusCode: aws.Ptr("HTTP_302"), Protocol: aws.Ptr("TCP")}), "The redirect protocol 'TCP' must be '#{protocol}', 'HTTP' or 'HTTPS'"},
		"streams redirected": {
			(&listener{Listener: elbapi.Listener{Protocol: aws.Ptr("TCP")}}).may([]elbapi.Action{{Type: aws.Ptr("redirect")}}),
			"Actions of type 'redirect' are not supported for listeners with protocol 'TCP'",
		},
	} {
		got := ""
		if c.err != nil {
			got = aws.AsError(c.err).Message
		}
		if got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, c.want)
		}
	}
}
