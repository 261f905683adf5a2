// Package reference reads how callers of ECS name things: by name, by id or by
// ARN, old forms of ARNs too.
package reference

import (
	"strconv"
	"strings"

	ecsapi "minato/aws/api/ecs"
	"minato/aws/arn"
)

// DefaultCluster is the cluster that is meant when none is named.
const DefaultCluster = "default"

// Name is the name in an ARN of a kind ("cluster"), or the text itself when it is
// no ARN. What follows the last slash counts: names of the longer forms too.
func Name(kind, text string) (string, bool) {
	if !arn.Is(text) {
		return text, text != ""
	}
	a, ok := arn.Parse(text)
	return a.Last(), ok && a.Service == "ecs" && a.Kind() == kind && !strings.HasSuffix(a.Resource, "/")
}

// Cluster is the name of the cluster that a call means.
func Cluster(cluster *string) (string, error) {
	if cluster == nil {
		return DefaultCluster, nil
	}
	name, ok := Name("cluster", *cluster)
	if !ok {
		return "", ecsapi.InvalidParameterException("Invalid identifier: Identifier is for cluster. Your account is %s", *cluster)
	}
	return name, nil
}

// Definition takes a reference to a task definition apart: family,
// family:revision or an ARN. revision is 0 when it is not named.
func Definition(text string) (family string, revision int32, ok bool) {
	if arn.Is(text) {
		a, ok := arn.Parse(text)
		if !ok || a.Service != "ecs" || a.Kind() != "task-definition" {
			return "", 0, false
		}
		text = a.ID()
	}
	family, number, named := strings.Cut(text, ":")
	if !named {
		return family, 0, family != ""
	}
	n, err := strconv.ParseInt(number, 10, 32)
	return family, int32(n), err == nil && n > 0 && family != ""
}
