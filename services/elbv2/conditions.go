package elbv2

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"minato/aws"
	elbapi "minato/aws/api/elbv2"
	"minato/dataplane/proxy"
)

// maxValue is how long a value may be.
const maxValue = 128

// maxConditionValues is how many values all conditions of a rule may have, and
// maxWildcards how many wildcards there may be in them.
const (
	maxConditionValues = 5
	maxWildcards       = 6
)

// Characters that values of conditions may have besides letters and digits.
const (
	pathCharacters = "_-.$/~\"'@:+&*?"
	hostCharacters = "-.*?"
)

// checkConditions checks a rule's conditions and writes them as AWS shows them:
// host and path both short and long.
func checkConditions(in []elbapi.RuleCondition) ([]elbapi.RuleCondition, error) {
	if len(in) == 0 {
		return nil, invalid("A condition must be specified")
	}
	out := slices.Clone(in)
	values, wildcards, seen := 0, 0, map[string]bool{}
	for i := range out {
		c := &out[i]
		field := aws.Val(c.Field)
		if seen[field] && field != "http-header" && field != "query-string" {
			return nil, invalid("A rule can only have one '%s' condition", field)
		}
		seen[field] = true
		n, err := checkCondition(c)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, invalid("A condition value must be specified")
		}
		if values += n; values > maxConditionValues {
			return nil, invalid("A rule can only have '%d' condition values", maxConditionValues)
		}
		if wildcards += wildcardsOf(c); wildcards > maxWildcards {
			return nil, invalid("A rule can only have '%d' condition wildcards", maxWildcards)
		}
	}
	return out, nil
}

// checkCondition checks one condition and returns how many values it has.
func checkCondition(c *elbapi.RuleCondition) (int, error) {
	field := aws.Val(c.Field)
	if err := onlyOf(field, c); err != nil {
		return 0, err
	}
	switch field {
	case "path-pattern":
		if c.PathPatternConfig != nil {
			c.Values, c.RegexValues = c.PathPatternConfig.Values, c.PathPatternConfig.RegexValues
		}
		c.PathPatternConfig = &elbapi.PathPatternConditionConfig{Values: c.Values, RegexValues: c.RegexValues}
		return checkPatterns(field, c.Values, c.RegexValues, pathCharacters)
	case "host-header":
		if c.HostHeaderConfig != nil {
			c.Values, c.RegexValues = c.HostHeaderConfig.Values, c.HostHeaderConfig.RegexValues
		}
		c.HostHeaderConfig = &elbapi.HostHeaderConditionConfig{Values: c.Values, RegexValues: c.RegexValues}
		return checkPatterns(field, c.Values, c.RegexValues, hostCharacters)
	case "http-header":
		if c.HttpHeaderConfig == nil || aws.Val(c.HttpHeaderConfig.HttpHeaderName) == "" {
			return 0, invalid("An HTTP header name must be specified")
		}
		if strings.EqualFold(*c.HttpHeaderConfig.HttpHeaderName, "host") {
			return 0, invalid("You must use a 'host-header' condition to specify the host header")
		}
		return len(c.HttpHeaderConfig.Values) + len(c.HttpHeaderConfig.RegexValues), cmp.Or(checkValues(field, c.HttpHeaderConfig.Values, maxValue), checkRegexes(field, c.HttpHeaderConfig.RegexValues))
	case "http-request-method":
		if c.HttpRequestMethodConfig == nil {
			return 0, nil
		}
		for _, v := range c.HttpRequestMethodConfig.Values {
			if strings.Trim(v, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_") != "" {
				return 0, invalid("Condition value '%s' contains a character that is not valid", v)
			}
		}
		return len(c.HttpRequestMethodConfig.Values), checkValues(field, c.HttpRequestMethodConfig.Values, 40)
	case "query-string":
		if c.QueryStringConfig == nil {
			return 0, nil
		}
		for _, q := range c.QueryStringConfig.Values {
			if aws.Val(q.Value) == "" {
				return 0, invalid("A query string value must be specified")
			}
			if err := checkValues(field, []string{*q.Value, setting(q.Key, *q.Value)}, maxValue); err != nil {
				return 0, err
			}
		}
		return len(c.QueryStringConfig.Values), nil
	case "source-ip":
		if c.SourceIpConfig == nil {
			return 0, nil
		}
		for _, v := range c.SourceIpConfig.Values {
			if _, err := netip.ParsePrefix(v); err != nil {
				return 0, invalid("The source IP '%s' is not a valid CIDR block", v)
			}
		}
		return len(c.SourceIpConfig.Values), nil
	default:
		return 0, invalid("Condition field '%s' must be one of '[path-pattern, host-header, http-header, http-request-method, query-string, source-ip]'", field)
	}
}

// onlyOf refuses what is about another field than the condition's.
func onlyOf(field string, c *elbapi.RuleCondition) error {
	for _, m := range []struct {
		of, name string
		given    bool
	}{
		{"host-header", "HostHeaderConfig", c.HostHeaderConfig != nil},
		{"path-pattern", "PathPatternConfig", c.PathPatternConfig != nil},
		{"http-header", "HttpHeaderConfig", c.HttpHeaderConfig != nil},
		{"http-request-method", "HttpRequestMethodConfig", c.HttpRequestMethodConfig != nil},
		{"query-string", "QueryStringConfig", c.QueryStringConfig != nil},
		{"source-ip", "SourceIpConfig", c.SourceIpConfig != nil},
	} {
		if m.given && m.of != field {
			return invalid("'%s' cannot be specified for condition field '%s'", m.name, field)
		}
	}
	if patterns := field == "host-header" || field == "path-pattern"; !patterns && len(c.Values)+len(c.RegexValues) > 0 {
		return invalid("'Values' and 'RegexValues' cannot be specified for condition field '%s'", field)
	}
	return nil
}

// checkPatterns checks the two kinds of values and returns how many there are.
func checkPatterns(field string, values, regexes []string, also string) (int, error) {
	if err := checkCharacters(values, also); err != nil {
		return 0, err
	}
	if err := checkValues(field, values, maxValue); err != nil {
		return 0, err
	}
	return len(values) + len(regexes), checkRegexes(field, regexes)
}

func checkRegexes(field string, values []string) error {
	if err := checkValues(field, values, maxValue); err != nil {
		return err
	}
	for _, v := range values {
		if _, err := proxy.Regexp(v); err != nil {
			return invalid("The regular expression '%s' is not valid", v).Because(err)
		}
	}
	return nil
}

func checkValues(field string, values []string, most int) error {
	for _, v := range values {
		if v == "" || len(v) > most {
			return invalid("The '%s' condition value '%s' must have between '1' and '%d' characters", field, v, most)
		}
	}
	return nil
}

// checkCharacters takes letters, digits and those that are also allowed.
func checkCharacters(values []string, also string) error {
	for _, v := range values {
		for _, c := range v {
			if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && !strings.ContainsRune(also, c) {
				return invalid("Condition value '%s' contains a character that is not valid", v)
			}
		}
	}
	return nil
}

// wildcardsOf counts the wildcards of a condition's values.
func wildcardsOf(c *elbapi.RuleCondition) int {
	all := slices.Clone(c.Values)
	if c.HttpHeaderConfig != nil {
		all = append(all, c.HttpHeaderConfig.Values...)
	}
	if c.QueryStringConfig != nil {
		for _, q := range c.QueryStringConfig.Values {
			all = append(all, escaped.Replace(aws.Val(q.Key)), escaped.Replace(aws.Val(q.Value)))
		}
	}
	text := strings.Join(all, " ")
	return strings.Count(text, "*") + strings.Count(text, "?")
}

// escaped takes out of a query string's pattern what stands for itself.
var escaped = strings.NewReplacer(`\*`, "", `\?`, "")
