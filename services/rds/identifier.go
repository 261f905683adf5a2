package rds

import (
	"regexp"
	"strings"
)

var identifierPattern = regexp.MustCompile(`^[a-z](-?[a-z0-9])*$`)

// identifier checks a name as RDS does, and returns it in lower case, as RDS
// keeps it.
func identifier(parameter, name string, longest int) (string, error) {
	lower := strings.ToLower(name)
	if name == "" {
		return "", invalidValue("The parameter %s must be provided and must not be blank.", parameter)
	}
	if len(lower) > longest || !identifierPattern.MatchString(lower) {
		return "", invalidValue("The parameter %s is not a valid identifier. Identifiers must begin with a letter; must contain only ASCII letters, digits, and hyphens; and must not end with a hyphen or contain two consecutive hyphens.", parameter)
	}
	return lower, nil
}
