// Package database runs database servers: MySQL, MariaDB and PostgreSQL. It
// knows no AWS; services/rds is its customer.
//
// A server is a container on dataplane/container's Runtime whose root file
// system is made of this machine's own /usr, read-only, with a generated /etc
// and one writable directory, and whose network is a namespace that somebody
// else made. It runs as a user id of its own, without capabilities, and within
// limits. It outlives this process: a new Servers finds it again.
//
// What really runs is said, not hidden: Product tells that MariaDB stands in for
// MySQL where the machine has no MySQL (Debian), and the version. Parameters
// that it does not know are reported as not applied, with the reason.
//
// # Layout
//
//	<root>/admin-password           of the user rdsadmin, who comes in by the socket only
//	<root>/templates/<product>/     a data directory as the product's installer leaves it
//	<root>/servers/<id>/server.json what we know of the server
//	<root>/servers/<id>/home/       seen by the server as /srv/database:
//	  conf/ (read-only to it)  data/  run/ (socket)  tmp/
//	<root>/snapshots/<id>/          data/ and snapshot.json
//
// A data directory is never initialised for a server: it is copied (cloned, where
// the file system can) from the template, which takes milliseconds instead of
// seconds. Whatever is made is made under another name and renamed when whole,
// so that SIGKILL leaves either nothing or all of it.
//
// # Users
//
// The master user has RDS's rights: everything about data and users, but not
// FILE, SUPER or superuser. The wall that holds is the container's, not SQL's:
// a MariaDB user who may write everywhere may write mysql.global_priv too.
// Passwords are not kept: a server is given a verifier, what the product itself
// stores. rdsadmin is for health checks and changes, from this process.
package database
