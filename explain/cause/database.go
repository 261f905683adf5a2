package cause

import "fmt"

// Database is a database instance.
type Database struct {
	ID, ARN, Status, Engine, Version string
	Events                           []string // the newest first
	Drops                            []Drop   // packets to it that were dropped
}

// OfDatabase says why a database is not available, and who was kept out.
func OfDatabase(d Database) Findings {
	f := Findings{Proof: []string{fmt.Sprintf("%s %s is %s", d.Engine, d.Version, d.Status)}}
	switch d.Status {
	case "available":
	case "creating", "modifying", "starting", "stopping", "rebooting", "deleting", "backing-up", "configuring-enhanced-monitoring", "renaming", "upgrading":
		f.Waits = append([]string{fmt.Sprintf("the database is %s", d.Status)}, d.Events[:min(2, len(d.Events))]...)
	default:
		f.Causes = []Cause{because(d.Events[:min(3, len(d.Events))], "the database is %s", d.Status).mend("%s", d.remedy())}
	}
	for _, x := range d.Drops {
		f.Causes = append(f.Causes, OfDrop(x))
	}
	return f
}

// remedy is what makes a database available.
func (d Database) remedy() string {
	switch d.Status {
	case "stopped":
		return "aws rds start-db-instance --db-instance-identifier " + d.ID
	case "storage-full":
		return "aws rds modify-db-instance --apply-immediately --db-instance-identifier " + d.ID + " --allocated-storage GIB"
	}
	return "aws rds wait db-instance-available --db-instance-identifier " + d.ID
}
