package cloudformation

import (
	"fmt"
	"time"

	"minato/aws"
	api "minato/aws/api/cloudformation"
	"minato/aws/identity"
	"minato/internal/ids"
	"minato/store"
)

// stackRecord is a stack: AWS's shape, and what is needed to work on it.
type stackRecord struct {
	api.Stack
	Account  string
	Region   string
	ID       string // the last part of the stack's ARN
	Template string
	Values   map[string]string // of the parameters, in force
	Stored   map[string]string // of those that are in the Parameter Store: what is there
	Imports  []string          // names of the exports that it uses
	Work     *work             // what is under way, or was last
}

// work is an operation on a stack.
type work struct {
	Token     string // of this operation; records done by it carry it
	Caller    identity.Caller
	OnFailure string   // DO_NOTHING, ROLLBACK or DELETE, of a creation; DO_NOTHING or ROLLBACK of an update
	Retain    []string // logical ids to leave, of a deletion
	Skip      []string // logical ids that need not go back, of a rollback that is continued
	// Before an update: what it goes back to when it fails.
	OldTemplate string
	OldValues   map[string]string
	OldStored   map[string]string
	OldTags     []api.Tag
}

// name and status are short for what the shape holds by pointer.
func (s *stackRecord) name() string   { return aws.Val(s.StackName) }
func (s *stackRecord) status() string { return aws.Val(s.StackStatus) }

// resourceRecord is a resource of a stack.
type resourceRecord struct {
	LogicalID  string
	Type       string
	PhysicalID string
	// begun says that this process began the creation. Not stored: a record that
	// was read is of a creation that somebody else began, whose answer may be lost.
	begun               bool
	Status              string
	Reason              string
	Changed             time.Time
	Suffix              string // random part of generated names
	Token               string // of the operation that handled it last
	Properties          map[string]any
	StackTags           map[string]string // that were put on it
	Attributes          map[string]any
	DependsOn           []string
	DeletionPolicy      string
	UpdateReplacePolicy string
	Old                 *version // what a replacement left behind, until the cleanup
	RolledBack          bool     // Old and the present incarnation have changed places, for a rollback
}

// version is an earlier incarnation of a resource.
type version struct {
	Type       string
	PhysicalID string
	Suffix     string
	Properties map[string]any
	StackTags  map[string]string
	Attributes map[string]any
}

// version returns the present incarnation.
func (r *resourceRecord) version() *version {
	return &version{Type: r.Type, PhysicalID: r.PhysicalID, Suffix: r.Suffix, Properties: r.Properties, StackTags: r.StackTags, Attributes: r.Attributes}
}

// become makes v the present incarnation.
func (r *resourceRecord) become(v *version) {
	r.Type, r.PhysicalID, r.Suffix, r.Properties, r.StackTags, r.Attributes = v.Type, v.PhysicalID, v.Suffix, v.Properties, v.StackTags, v.Attributes
}

// exists tells whether there is, or may be, something to remove.
func (r *resourceRecord) exists() bool {
	return r.Status != api.ResourceStatusDeleteComplete && r.Status != api.ResourceStatusDeleteSkipped
}

// exportRecord is a value that other stacks may import.
type exportRecord struct {
	StackID string
	Name    string
	Value   string
}

// changeSetRecord is an update, or a creation, that waits to be executed.
type changeSetRecord struct {
	Account, Region string
	StackID         string // the last part of the stack's ARN
	StackARN        string
	StackName       string
	ARN             string
	Name            string
	Type            string // CREATE or UPDATE
	Description     string
	Template        string
	Values          map[string]string
	Stored          map[string]string
	Tags            []api.Tag
	Capabilities    []string
	RoleARN         *string
	OnFailure       string
	Status          string
	Reason          string
	Execution       string
	Created         time.Time
	Changes         []api.Change
}

// tables are the service's records.
type tables struct {
	stacks    store.Table[stackRecord]     // account, region, id
	names     store.Table[string]          // account, region, name → id, of stacks that are not deleted
	resources store.Table[resourceRecord]  // account, region, stack id, logical id
	events    store.Table[api.StackEvent]  // account, region, stack id, time
	exports   store.Table[exportRecord]    // account, region, name
	changes   store.Table[changeSetRecord] // account, region, stack id, name
}

func newTables(s store.Store) tables {
	return tables{
		stacks:    store.NewTable[stackRecord](s, "cloudformation/stack"),
		names:     store.NewTable[string](s, "cloudformation/name"),
		resources: store.NewTable[resourceRecord](s, "cloudformation/resource"),
		events:    store.NewTable[api.StackEvent](s, "cloudformation/event"),
		exports:   store.NewTable[exportRecord](s, "cloudformation/export"),
		changes:   store.NewTable[changeSetRecord](s, "cloudformation/change-set"),
	}
}

// putEvent writes an event; its key sorts by time.
func (t tables) putEvent(tx *store.Tx, s *stackRecord, now time.Time, e api.StackEvent) error {
	e.StackId, e.StackName, e.Timestamp = s.StackId, s.StackName, &now
	if s.Work != nil && s.Work.Token != "" {
		e.ClientRequestToken = &s.Work.Token
	}
	if e.EventId == nil {
		e.EventId = aws.Ptr(ids.UUID())
	}
	return t.events.TxPut(tx, e, s.Account, s.Region, s.ID, fmt.Sprintf("%020d-%s", now.UnixNano(), ids.Hex(6)))
}

// stackEvent is an event of the stack itself.
func stackEvent(s *stackRecord, status, reason string) api.StackEvent {
	return api.StackEvent{LogicalResourceId: s.StackName, PhysicalResourceId: s.StackId, ResourceType: aws.Ptr("AWS::CloudFormation::Stack"), ResourceStatus: &status, ResourceStatusReason: optional(reason)}
}

// resourceEvent is an event of a resource, as its record says.
func resourceEvent(r *resourceRecord, now time.Time, properties string) api.StackEvent {
	return api.StackEvent{
		LogicalResourceId: &r.LogicalID, PhysicalResourceId: aws.Ptr(r.PhysicalID), ResourceType: &r.Type, ResourceStatus: aws.Ptr(r.Status), ResourceStatusReason: optional(r.Reason),
		ResourceProperties: optional(properties), EventId: aws.Ptr(r.LogicalID + "-" + r.Status + "-" + now.UTC().Format("2006-01-02T15:04:05.000Z")),
	}
}

// optional is nil for an empty text.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
