package record

import (
	"fmt"

	ecsapi "minato/aws/api/ecs"
	"minato/aws/arn"
)

// Family holds the number of a family's last revision, which is never
// used again.
type Family struct {
	Name     string
	Revision int32
}

// TaskDefinition is a revision of a task definition.
type TaskDefinition struct {
	ecsapi.TaskDefinition
	Tags []ecsapi.Tag
}

const revisionWidth = 10 // digits in the key, so that revisions sort

// IDs are the parts of the revision's key.
func (d *TaskDefinition) IDs(p arn.Place) []string {
	return DefinitionIDs(p, *d.Family, *d.Revision)
}

// DefinitionIDs are the parts of the key of a family's revision.
func DefinitionIDs(p arn.Place, family string, revision int32) []string {
	return []string{p.Account, p.Region, family, fmt.Sprintf("%0*d", revisionWidth, revision)}
}
