package rds

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"strings"

	"minato/aws"
	rdsapi "minato/aws/api/rds"
	"minato/aws/arn"
	"minato/dataplane/database"
)

// instance is a record of "rds/instance". The operations write what is wanted,
// and the status that begins with it; the reconciler writes what is observed,
// and the status that follows.
type instance struct {
	rdsapi.DBInstance

	// Wanted, written by operations.
	Goal           goal            `json:"goal"`
	SubnetGroup    string          `json:"subnetGroup"`
	ParameterGroup string          `json:"parameterGroup"`
	Subnet         string          `json:"subnet"`
	Groups         []string        `json:"groups"` // security groups
	Port           uint16          `json:"port"`
	Master         database.Master `json:"master"`                 // the verifier, until the server has it
	FromSnapshot   string          `json:"fromSnapshot,omitempty"` // data that the server begins with
	Reboots        int             `json:"reboots"`                // asked for so far

	// Observed, written by the reconciler.
	Server       string             `json:"server"` // id of the database server; chosen when the record is made
	Interface    observedInterface  `json:"interface"`
	Made         bool               `json:"made"`        // it answered once
	RebootsDone  int                `json:"rebootsDone"` // with the last start
	Started      started            `json:"started"`     // with the last start
	Applied      map[string]string  `json:"applied"`     // parameters as last handed to the server; nil after a start
	AppliedGroup string             `json:"appliedGroup"`
	Outcomes     []database.Outcome `json:"outcomes,omitempty"`
	Failures     int                `json:"failures,omitempty"` // starts that failed in a row
}

// observedInterface is the network interface as it was last made or changed.
type observedInterface struct {
	ID      string     `json:"id"`
	Groups  []string   `json:"groups"`
	Public  bool       `json:"public"`
	Private netip.Addr `json:"private"`
	Address netip.Addr `json:"address"` // public
}

// started is what a server must be started again for when it changes.
type started struct {
	Class      string            `json:"class"`
	Version    string            `json:"version"`
	Port       uint16            `json:"port"`
	Parameters map[string]string `json:"parameters"`
}

// goal is what an instance is to come to.
type goal string

const (
	goalRunning goal = "running"
	goalStopped goal = "stopped"
	goalDeleted goal = "deleted"
)

// The statuses of an instance.
const (
	statusCreating     = "creating"
	statusAvailable    = "available"
	statusModifying    = "modifying"
	statusRebooting    = "rebooting"
	statusBackingUp    = "backing-up"
	statusStopping     = "stopping"
	statusStopped      = "stopped"
	statusStarting     = "starting"
	statusDeleting     = "deleting"
	statusFailed       = "failed"
	statusIncompatible = "incompatible-parameters"
)

func (i *instance) id() string     { return aws.Val(i.DBInstanceIdentifier) }
func (i *instance) status() string { return aws.Val(i.DBInstanceStatus) }

// shown is the instance as an operation answers it.
func (i *instance) shown() *rdsapi.DBInstance {
	out := i.DBInstance
	return &out
}

// endpoint is the name of an instance: unique to account, region and instance,
// and the same every time, as programs have it in their configuration.
func endpoint(p arn.Place, id string) string {
	sum := sha256.Sum256([]byte("rds/" + p.Account + "/" + p.Region))
	return id + ".c" + hex.EncodeToString(sum[:])[:11] + "." + p.Region + ".rds.amazonaws.com"
}

// getInstance returns an instance by its identifier or ARN.
func (s *Service) getInstance(ctx context.Context, p arn.Place, name string) (instance, error) {
	name = instanceID(name)
	rec, found, err := s.instances.Get(ctx, p.Account, p.Region, name)
	if err == nil && !found {
		err = noInstance(name)
	}
	return rec, err
}

// instanceID takes an identifier or an ARN.
func instanceID(name string) string {
	if a, ok := arn.Parse(name); ok && a.Kind() == "db" {
		name = a.ID()
	}
	return strings.ToLower(name)
}

// updateInstance changes an instance in a transaction and returns it as it is then.
func (s *Service) updateInstance(ctx context.Context, p arn.Place, name string, f func(rec *instance) error) (instance, error) {
	var out instance
	name = instanceID(name)
	found, err := s.instances.Update(ctx, func(rec *instance) error {
		if err := f(rec); err != nil {
			return err
		}
		out = *rec
		return nil
	}, p.Account, p.Region, name)
	if err == nil && !found {
		err = noInstance(name)
	}
	return out, err
}

// DescribeDBInstances implements rdsapi.API.
func (s *Service) DescribeDBInstances(ctx context.Context, in *rdsapi.DescribeDBInstancesInput) (*rdsapi.DescribeDBInstancesOutput, error) {
	p := here(ctx)
	var all []instance
	if in.DBInstanceIdentifier != nil {
		rec, err := s.getInstance(ctx, p, *in.DBInstanceIdentifier)
		if err != nil {
			return nil, err
		}
		all = []instance{rec}
	} else {
		var err error
		if all, err = s.instances.List(ctx, p.Account, p.Region); err != nil {
			return nil, err
		}
	}
	all, err := filter(all, in.Filters, map[string]func(instance) string{
		"db-instance-id":  func(i instance) string { return i.id() },
		"dbi-resource-id": func(i instance) string { return aws.Val(i.DbiResourceId) },
		"engine":          func(i instance) string { return aws.Val(i.Engine) },
		"db-cluster-id":   func(instance) string { return "" },
		"domain":          func(instance) string { return "" },
	})
	if err != nil {
		return nil, err
	}
	all, marker, err := page(all, func(i instance) string { return i.id() }, in.Marker, in.MaxRecords)
	if err != nil {
		return nil, err
	}
	out := &rdsapi.DescribeDBInstancesOutput{DBInstances: []rdsapi.DBInstance{}, Marker: marker}
	for _, i := range all {
		out.DBInstances = append(out.DBInstances, *i.shown())
	}
	return out, nil
}
