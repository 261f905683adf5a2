package ssm

import (
	"regexp"
	"strings"

	api "minato/aws/api/ssm"
	"minato/aws/arn"
)

const (
	maxName   = 1011 // characters
	maxLevels = 15
)

var (
	nameForm  = regexp.MustCompile(`^[a-zA-Z0-9_.\-/]+$`)
	labelForm = regexp.MustCompile(`^[a-zA-Z0-9_.\-]+$`)
)

// checkName says why a parameter may not be made under a name.
func checkName(name string) error {
	bare := strings.ToLower(strings.TrimLeft(name, "/"))
	isPath := strings.Count(name, "/") > 1 || strings.HasSuffix(name, "/") && strings.HasPrefix(name, "/") && len(name) > 1
	const paths = `If formed as a path, it can consist of sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following 3 symbols .-_`
	switch {
	case strings.HasPrefix(bare, "aws") && isPath && strings.HasPrefix(strings.ToLower(name), "/aws"):
		return awsError("AccessDeniedException", "No access to reserved parameter name: "+name+".")
	case strings.HasPrefix(bare, "aws") || strings.HasPrefix(bare, "ssm"):
		if isPath {
			return invalid(`Parameter name: can't be prefixed with "ssm" (case-insensitive). ` + paths)
		}
		return invalid(`Parameter name: can't be prefixed with "aws" or "ssm" (case-insensitive).`)
	case !nameForm.MatchString(name), strings.HasSuffix(name, "/"), strings.Contains(name, "//"):
		return invalid(`Parameter name: can't be prefixed with "ssm" (case-insensitive). ` + paths)
	case !strings.HasPrefix(name, "/") && strings.Contains(name, "/"):
		return invalid("Parameter name must be a fully qualified name.")
	case len(name) > maxName:
		return invalid("Parameter name can be at most %d characters long.", maxName)
	case levels(name) > maxLevels:
		return api.HierarchyLevelLimitExceededException("A hierarchy can have a maximum of %d levels. For more information, see https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-su-create.html", maxLevels)
	}
	return nil
}

// levels counts the parts of a name.
func levels(name string) int { return strings.Count(strings.TrimPrefix(name, "/"), "/") + 1 }

// badPath is what a path that cannot be one is answered with.
func badPath() error {
	return invalid(`The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward slash "/". It can't be prefixed with "aws" or "ssm" (case-insensitive). It must use only letters, numbers, or the following symbols: . (period), - (hyphen), _ (underscore). Special characters are not allowed. All sub-paths, if specified, must use the forward slash symbol "/". Valid example: /get/parameters2-/by1./path0_.`)
}

func checkPath(path string) error {
	if !strings.HasPrefix(path, "/") || !nameForm.MatchString(path) || strings.Contains(path, "//") {
		return badPath()
	}
	return nil
}

// split takes NAME:SELECTOR apart: the selector is a version's number or a
// label, "" when there is none. An ARN has colons of its own.
func split(text string) (name, selector string) {
	prefix := 0
	if a, ok := arn.Parse(text); ok && arn.Is(text) {
		prefix = len(text) - len(a.Resource)
	}
	if i := strings.IndexByte(text[prefix:], ':'); i >= 0 {
		return text[:prefix+i], text[prefix+i+1:]
	}
	return text, ""
}

// under tells whether a name is below a path; if not recursive, directly.
func under(name, path string, recursive bool) bool {
	path = strings.TrimSuffix(path, "/") + "/"
	rest, ok := strings.CutPrefix(name, path)
	if !ok && path == "/" && !strings.Contains(name, "/") {
		rest, ok = name, true // names without a slash are at the root
	}
	return ok && rest != "" && (recursive || !strings.Contains(rest, "/"))
}
