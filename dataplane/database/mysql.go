package database

import (
	"context"
	"crypto/sha1"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"
)

const mysqlSocket = "mysqld.sock"

// mysqlNetwork is the driver's name for a socket below a directory.
const mysqlNetwork = "minato-database"

func init() {
	mysql.RegisterDialContext(mysqlNetwork, func(ctx context.Context, run string) (net.Conn, error) {
		return dialSocket(ctx, run, mysqlSocket)
	})
}

// mysqlEngine is MySQL, and MariaDB under either name.
type mysqlEngine struct{ p Product }

func (e *mysqlEngine) product() Product           { return e.p }
func (e *mysqlEngine) mariadb() bool              { return e.p.Name == "MariaDB" }
func (e *mysqlEngine) stopSignal() syscall.Signal { return syscall.SIGTERM }

// verifier is that of mysql_native_password, which every client speaks: clients
// too old for caching_sha2_password are many.
func (e *mysqlEngine) verifier(password string) (string, error) {
	one := sha1.Sum([]byte(password))
	two := sha1.Sum(one[:])
	return "*" + strings.ToUpper(hex.EncodeToString(two[:])), nil
}

func (e *mysqlEngine) initialize(adminPassword string) (string, map[string]string, error) {
	users, install := "mysql.user", e.p.Program+" --defaults-file="+home+"/conf/my.cnf --initialize-insecure"
	if e.mariadb() {
		users = "mysql.global_priv"
		install = "mariadb-install-db --no-defaults --force --auth-root-authentication-method=normal --skip-test-db --skip-name-resolve --datadir=" + home + "/data --innodb-log-file-size=16M"
	}
	setup := strings.Join([]string{
		"CREATE USER " + account(admin, "localhost") + " IDENTIFIED BY " + quoteSQL(adminPassword),
		"GRANT ALL PRIVILEGES ON *.* TO " + account(admin, "localhost") + " WITH GRANT OPTION",
		"DELETE FROM " + users + " WHERE User IN ('', 'root')",
		"FLUSH PRIVILEGES",
		"SHUTDOWN",
	}, ";\n") + ";\n"
	script := install + "\n" + strings.Join(e.command(), " ") + " --skip-networking --init-file=" + home + "/conf/setup.sql\n"
	files := e.configure(Server{Port: 3306})
	files["setup.sql"] = setup
	return script, files, nil
}

func (e *mysqlEngine) command() []string {
	return []string{e.p.Program, "--defaults-file=" + home + "/conf/my.cnf"}
}

// lean are our defaults: a server that nobody uses should cost little. A
// parameter of the same name wins.
var lean = map[string]string{
	"character_set_server":            "utf8mb4",
	"key_buffer_size":                 "8M",
	"innodb_buffer_pool_size":         "32M",
	"innodb_log_file_size":            "16M",
	"innodb_log_buffer_size":          "4M",
	"innodb_temp_data_file_path":      "ibtmp1:4M:autoextend",
	"performance_schema":              "OFF",
	"table_open_cache":                "400",
	"max_allowed_packet":              "64M",
	"default_time_zone":               "+00:00",
	"local_infile":                    "ON",
	"skip_name_resolve":               "ON",
	"explicit_defaults_for_timestamp": "ON",
}

// ours are the settings by which we hold the server; nobody else sets them.
var ours = []string{
	"basedir", "bind_address", "core_file", "datadir", "general_log_file", "init_file", "log_bin", "log_error", "pid_file", "plugin_dir", "plugin_load",
	"plugin_load_add", "plugin_maturity", "port", "secure_file_priv", "skip_grant_tables", "skip_networking", "slow_query_log_file", "socket", "tmpdir", "user",
}

func (e *mysqlEngine) configure(s Server) map[string]string {
	settings := maps.Clone(lean)
	if e.mariadb() {
		// Quick starts: nothing of an empty pool is worth to be loaded again.
		settings["aria_pagecache_buffer_size"] = "8M" // 128M by default: half of what an idle server takes
		settings["innodb_buffer_pool_load_at_startup"] = "OFF"
		settings["innodb_buffer_pool_dump_at_shutdown"] = "OFF"
	} else {
		delete(settings, "innodb_log_file_size")
		settings["innodb_redo_log_capacity"] = "32M"
		settings["mysqlx"] = "OFF"
		settings["disable_log_bin"] = "ON"
		settings["default_authentication_plugin"] = "mysql_native_password"
	}
	for name, value := range s.Parameters {
		name = canonical(name)
		if name, value, why := e.translate(name, value); why == "" {
			settings[name] = value
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "[mysqld]\ndatadir=%s/data\nsocket=%s/run/%s\npid_file=%s/run/mysqld.pid\ntmpdir=%s/tmp\nsecure_file_priv=%s/tmp\nbind_address=*\nport=%d\n",
		home, home, mysqlSocket, home, home, home, s.Port)
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		// "loose": a name that is unknown is a line in the log, not the end.
		fmt.Fprintf(&b, "loose_%s=%s\n", name, quoteOption(settings[name]))
	}
	return map[string]string{"my.cnf": b.String()}
}

func (e *mysqlEngine) stale() []string { return nil }

func (e *mysqlEngine) unfit(name string) bool {
	// auto.cnf holds MySQL's server_uuid.
	return name == "auto.cnf" || name == "ibtmp1" || name == "aria_log.lock"
}

// backup stops the process for as long as the copy takes: what is copied is
// what a power failure would have left, from which InnoDB recovers.
func (e *mysqlEngine) backup(_ context.Context, _ session, b backup) error {
	err := b.signal(syscall.SIGSTOP)
	if err == nil {
		err = b.copy(".", e.unfit)
	}
	return errors.Join(err, b.signal(syscall.SIGCONT))
}

func (e *mysqlEngine) connect(ctx context.Context, run, password string) (session, error) {
	config := mysql.NewConfig()
	config.Net, config.Addr = mysqlNetwork, run
	config.User, config.Passwd = admin, password
	config.Collation = "utf8mb4_bin"
	config.Timeout, config.ReadTimeout, config.WriteTimeout = 5*time.Second, time.Minute, time.Minute
	config.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	s := &mysqlSession{e: e, db: db}
	if err := s.check(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

type mysqlSession struct {
	e  *mysqlEngine
	db *sql.DB
}

func (s *mysqlSession) close() { s.db.Close() }

func (s *mysqlSession) check(ctx context.Context) error {
	var one int
	return s.db.QueryRowContext(ctx, "SELECT 1").Scan(&one)
}

// masterRights are those of RDS's master user.
const masterRights = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, PROCESS, REFERENCES, INDEX, ALTER, SHOW DATABASES, CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, " +
	"REPLICATION SLAVE, REPLICATION CLIENT, CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, CREATE USER, EVENT, TRIGGER"

func (s *mysqlSession) provision(ctx context.Context, m Master, database string) error {
	var statements []string
	if m.User != "" && m.Verifier != "" {
		user := account(m.User, "%")
		statements = append(statements,
			"CREATE USER IF NOT EXISTS "+user+s.identified(m),
			"ALTER USER "+user+s.identified(m),
			"GRANT "+masterRights+" ON *.* TO "+user+" WITH GRANT OPTION")
	}
	if database != "" {
		statements = append(statements, "CREATE DATABASE IF NOT EXISTS `"+strings.ReplaceAll(database, "`", "``")+"`")
	}
	return s.run(ctx, statements...)
}

func (s *mysqlSession) setMaster(ctx context.Context, m Master) error {
	return s.run(ctx, "ALTER USER "+account(m.User, "%")+s.identified(m))
}

func (s *mysqlSession) identified(m Master) string {
	if s.e.mariadb() {
		return " IDENTIFIED VIA mysql_native_password USING " + quoteSQL(m.Verifier)
	}
	return " IDENTIFIED WITH mysql_native_password AS " + quoteSQL(m.Verifier)
}

func (s *mysqlSession) run(ctx context.Context, statements ...string) error {
	for _, text := range statements {
		if _, err := s.db.ExecContext(ctx, text); err != nil {
			return err
		}
	}
	return nil
}

func account(user, host string) string { return quoteSQL(user) + "@" + quoteSQL(host) }

// quoteSQL makes a string literal.
func quoteSQL(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(s) + "'"
}

// quoteOption makes a value of an option file; it stays on its line.
func quoteOption(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\x00", "").Replace(s) + `"`
}
