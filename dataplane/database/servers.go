package database

import (
	"context"
	"errors"
)

// ErrNotFound is wrapped by the errors about a server or snapshot that is not there.
var ErrNotFound = errors.New("not found")

// ErrNoEngine is wrapped by the error about an engine that this machine cannot run.
var ErrNoEngine = errors.New("no server program on this machine")

// Servers runs database servers. Calls about one server wait for each other.
type Servers interface {
	// Product says what runs for an engine ("mysql", "mariadb", "postgres").
	Product(engine string) (Product, error)
	// Verifier turns a password into what a server of that engine checks it with.
	Verifier(engine, password string) (string, error)

	// Ensure makes a server, starts it if it does not run, and returns when it
	// answers. For one that runs and answers it changes nothing: parameters of s
	// count at the next start, see Apply for those that need none.
	Ensure(ctx context.Context, s Server) error
	// Check returns nil when the server answers a query.
	Check(ctx context.Context, id string) error
	// Running says whether the server's process runs.
	Running(ctx context.Context, id string) (bool, error)
	// Stop ends a server cleanly; one that does not run is stopped already.
	Stop(ctx context.Context, id string) error
	// Delete stops a server and removes its data; one that is not there is deleted.
	Delete(ctx context.Context, id string) error
	// List returns the ids of the servers that are there, running or not.
	List(ctx context.Context) ([]string, error)

	// SetMaster changes the master user's password.
	SetMaster(ctx context.Context, id string, m Master) error
	// Apply sets parameters on a running server as far as that goes, and says for
	// each what became of it.
	Apply(ctx context.Context, id string, settings []Setting) ([]Outcome, error)

	// Snapshot copies the data of a server, consistently, while it runs: writes
	// stand still for a moment, as on a single-AZ RDS instance.
	Snapshot(ctx context.Context, id, snapshot string) error
	// DeleteSnapshot removes a snapshot; one that is not there is deleted.
	DeleteSnapshot(ctx context.Context, snapshot string) error
	// Snapshots returns the ids of the snapshots that are there.
	Snapshots(ctx context.Context) ([]string, error)

	// Changes delivers the id of a server whose process may have ended or begun.
	Changes(ctx context.Context) <-chan string
}

// Product is a database server program.
type Product struct {
	Engine  string // what it serves: "mysql", "mariadb" or "postgres"
	Name    string // "MariaDB", "MySQL" or "PostgreSQL"
	Version string // "10.11.6"
	Program string // path of the executable
}

// StandsIn says that the product is not what the engine's name promises.
func (p Product) StandsIn() bool { return p.Engine == "mysql" && p.Name != "MySQL" }

// Server is a wanted database server.
type Server struct {
	ID       string // letters, digits and hyphens
	Engine   string
	Snapshot string // begin with this snapshot's data; "" is an empty server
	Master   Master
	Database string // made at the first start; "" makes none
	Port     uint16
	// Parameters by the engine's names. What the product does not know is left out.
	Parameters map[string]string

	Netns    string // path of the network namespace
	Hostname string
	DNS      []string // name servers
	Memory   int64    // bytes
	CPUs     float64
}

// Master is the user whom the customer knows.
type Master struct {
	User     string
	Verifier string // see Servers.Verifier; "" leaves the password of a snapshot's user
}

// Setting is one parameter's wanted value.
type Setting struct {
	Name, Value string
	// Now asks for it to be set without a restart, if the server can.
	Now bool
}

// Effect is what became of a Setting.
type Effect string

// The effects of a setting.
const (
	Applied       Effect = "applied"
	PendingReboot Effect = "pending-reboot" // with the next start
	NotApplied    Effect = "not-applied"    // never; Reason says why
)

// Outcome is a Setting's effect.
type Outcome struct {
	Name   string
	Effect Effect
	Reason string // for people: why not, or as what it was applied
}
