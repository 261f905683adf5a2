package database

import (
	"cmp"
	"context"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

// home is where a server sees its directory.
const home = "/srv/database"

// admin is our own user in every server. Its name is RDS's.
const admin = "rdsadmin"

// engine is what differs between the products.
type engine interface {
	// program and version of what runs.
	product() Product
	// verifier turns a password into what the server stores.
	verifier(password string) (string, error)
	// initialize is a shell script that makes home/data with nobody in it but
	// admin. files are put into home/conf first.
	initialize(adminPassword string) (script string, files map[string]string, err error)
	// configure returns the files of home/conf for a start. Parameters that the
	// product would refuse to start with for their name are left out.
	configure(s Server) map[string]string
	// command starts the server in the foreground.
	command() []string
	// stopSignal makes it end cleanly and soon.
	stopSignal() syscall.Signal
	// connect opens a connection as admin through the socket in run.
	connect(ctx context.Context, run, password string) (session, error)
	// backup copies the data directory of a running server consistently.
	backup(ctx context.Context, s session, b backup) error
	// stale are files of the data directory to remove before a start.
	stale() []string
	// unfit is a file of a data directory copy that belongs to the copied server.
	unfit(name string) bool
}

// session is a connection to a running server as admin.
type session interface {
	// check asks the server something.
	check(ctx context.Context) error
	// provision makes the master user and the database, where they are missing.
	provision(ctx context.Context, m Master, database string) error
	// setMaster sets the master's password.
	setMaster(ctx context.Context, m Master) error
	// apply sets one parameter; started is its value at the last start, if it had one.
	apply(ctx context.Context, s Setting, started *string) Outcome
	close()
}

// backup is what an engine may use to copy a data directory.
type backup struct {
	signal func(syscall.Signal) error                          // to the server's first process
	copy   func(dir string, skip func(name string) bool) error // dir is relative to the data directory, "." all of it
	write  func(name string, content []byte) error             // into the copy
}

var versionPattern = regexp.MustCompile(`\d+\.\d+(\.\d+)?`)

// version asks a program for its version.
func version(program string) (name, number string, err error) {
	out, err := exec.Command(program, "--version").Output()
	if err != nil {
		return "", "", err
	}
	text := string(out)
	// "mysqld  Ver 10.11.6-MariaDB-…": the first number after the program's path.
	number = versionPattern.FindString(strings.TrimPrefix(text, program))
	switch {
	case strings.Contains(text, "MariaDB"):
		name = "MariaDB"
	case strings.Contains(text, "PostgreSQL"):
		name = "PostgreSQL"
	default:
		name = "MySQL"
	}
	return name, number, nil
}

// find returns the first of the programs that is there; patterns may have *. Of
// several matches the highest is taken: 15 is newer than 9.
func find(patterns ...string) string {
	for _, p := range patterns {
		found, _ := filepath.Glob(p) // only a bad pattern is an error
		if len(found) > 0 {
			return slices.MaxFunc(found, func(a, b string) int {
				return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
			})
		}
	}
	return ""
}

// detect looks for the server programs of this machine.
func detect() map[string]engine {
	engines := map[string]engine{}
	for _, program := range []string{find("/usr/sbin/mysqld", "/usr/libexec/mysqld"), find("/usr/sbin/mariadbd", "/usr/libexec/mariadbd")} {
		if program == "" {
			continue
		}
		name, number, err := version(program)
		if err != nil {
			continue // not a program that runs here
		}
		p := Product{Name: name, Version: number, Program: program}
		if engines["mysql"] == nil || name == "MySQL" {
			p.Engine = "mysql"
			engines["mysql"] = &mysqlEngine{p}
		}
		if name == "MariaDB" {
			p.Engine = "mariadb"
			engines["mariadb"] = &mysqlEngine{p}
		}
	}
	if program := find("/usr/lib/postgresql/*/bin/postgres", "/usr/bin/postgres"); program != "" {
		if name, number, err := version(program); err == nil {
			engines["postgres"] = newPostgres(Product{Engine: "postgres", Name: name, Version: number, Program: program})
		}
	}
	return engines
}
