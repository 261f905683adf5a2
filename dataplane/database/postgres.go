package database

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// postgresSocket begins the socket's name, which ends in the port.
const postgresSocket = ".s.PGSQL."

// postgresEngine is PostgreSQL.
type postgresEngine struct {
	p     Product
	known map[string]string // parameters the program has, and when they can be set
}

func newPostgres(p Product) *postgresEngine {
	e := &postgresEngine{p: p, known: map[string]string{}}
	// A name that the server does not know would keep it from starting.
	out, err := exec.Command(p.Program, "--describe-config").Output()
	if err != nil {
		return e
	}
	for line := range strings.Lines(string(out)) {
		if f := strings.Split(line, "\t"); len(f) > 1 {
			e.known[f[0]] = f[1]
		}
	}
	return e
}

func (e *postgresEngine) product() Product           { return e.p }
func (e *postgresEngine) stopSignal() syscall.Signal { return syscall.SIGINT } // "fast": ends sessions

// verifier is a SCRAM-SHA-256 secret as pg_authid has it (RFC 5803).
func (e *postgresEngine) verifier(password string) (string, error) {
	const rounds = 4096
	salt := make([]byte, 16)
	rand.Read(salt)
	salted, err := pbkdf2.Key(sha256.New, password, salt, rounds, sha256.Size)
	if err != nil {
		return "", err
	}
	mac := func(text string) []byte {
		h := hmac.New(sha256.New, salted)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	stored := sha256.Sum256(mac("Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", rounds, b64(salt), b64(stored[:]), b64(mac("Server Key"))), nil
}

func (e *postgresEngine) initialize(adminPassword string) (string, map[string]string, error) {
	initdb := filepath.Join(filepath.Dir(e.p.Program), "initdb")
	if _, err := os.Stat(initdb); err != nil {
		return "", nil, err
	}
	script := initdb + " --pgdata=" + home + "/data --username=" + admin + " --pwfile=" + home + "/conf/password --encoding=UTF8 --locale=C.UTF-8" +
		" --auth=scram-sha-256 --no-sync --no-instructions\n"
	return script, map[string]string{"password": adminPassword + "\n"}, nil
}

// quotePostgres makes a string literal; backslashes mean nothing in it.
func quotePostgres(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func (e *postgresEngine) command() []string {
	return []string{e.p.Program, "--config-file=" + home + "/conf/postgresql.conf"}
}

// postgresOurs are the settings by which we hold the server.
var postgresOurs = []string{
	"archive_cleanup_command", "archive_command", "archive_library", "archive_mode", "config_file", "data_directory", "external_pid_file", "hba_file", "ident_file",
	"krb_server_keyfile", "listen_addresses", "log_directory", "log_filename", "logging_collector", "port", "recovery_end_command", "restore_command", "ssl", "ssl_ca_file",
	"ssl_cert_file", "ssl_key_file", "unix_socket_directories", "unix_socket_permissions",
}

func (e *postgresEngine) configure(s Server) map[string]string {
	settings := map[string]string{
		"shared_buffers": "32MB", "max_wal_size": "256MB", "wal_keep_size": "64MB", "huge_pages": "off", "jit": "off",
		"password_encryption": "scram-sha-256", "timezone": "UTC", "log_timezone": "UTC",
	}
	for name, value := range s.Parameters {
		if e.refuse(name, value) == "" {
			settings[name] = value
		}
	}
	maps.Copy(settings, map[string]string{
		"data_directory": home + "/data", "hba_file": home + "/conf/pg_hba.conf", "ident_file": home + "/conf/pg_ident.conf",
		"unix_socket_directories": home + "/run", "listen_addresses": "*", "port": fmt.Sprint(s.Port),
	})
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&b, "%s = %s\n", name, quoteSQL(settings[name]))
	}
	return map[string]string{
		"postgresql.conf": b.String(),
		"pg_ident.conf":   "",
		"pg_hba.conf": strings.Join([]string{
			"local all " + admin + " scram-sha-256",
			"local all all reject",
			"host all " + admin + " all reject",
			"host all all all scram-sha-256",
		}, "\n") + "\n",
	}
}

// refuse says why a parameter is not applied, or "".
func (e *postgresEngine) refuse(name, value string) string {
	context, known := e.known[name]
	switch {
	case slices.Contains(postgresOurs, name):
		return "it is set by minato"
	case !known || context == "internal":
		return fmt.Sprintf("PostgreSQL %s has no such parameter", e.p.Version)
	case strings.ContainsAny(value, "\x00\n\r"):
		return "the value has a line break"
	case strings.HasSuffix(name, "_preload_libraries"):
		for _, library := range strings.Split(value, ",") {
			library = strings.TrimSpace(library)
			if library != "" && find(filepath.Join(filepath.Dir(e.p.Program), "..", "lib", filepath.Base(library)+".so")) == "" {
				return "there is no library " + library + " on this machine"
			}
		}
	}
	return ""
}

// stale: what apply set at run time is in the configuration of the next start.
func (e *postgresEngine) stale() []string { return []string{"postgresql.auto.conf"} }

func (e *postgresEngine) unfit(name string) bool {
	return name == "postmaster.pid" || name == "postmaster.opts"
}

// backup is PostgreSQL's own online one: the log that comes with the copy makes
// it whole, and nothing stands still.
func (e *postgresEngine) backup(ctx context.Context, s session, b backup) error {
	conn := s.(*postgresSession).conn
	if _, err := conn.Exec(ctx, "SELECT pg_backup_start('minato', true)"); err != nil {
		return err
	}
	err := b.copy(".", func(name string) bool { return e.unfit(name) || name == "pg_wal" })
	if err != nil {
		return err // the end of the session ends the backup
	}
	var label, tablespaces string
	if err := conn.QueryRow(ctx, "SELECT labelfile, spcmapfile FROM pg_backup_stop(false)").Scan(&label, &tablespaces); err != nil {
		return err
	}
	if err := b.copy("pg_wal", func(string) bool { return false }); err != nil {
		return err
	}
	return b.write("backup_label", []byte(label))
}

func (e *postgresEngine) connect(ctx context.Context, run, password string) (session, error) {
	names, err := filepath.Glob(filepath.Join(run, postgresSocket+"*[0-9]"))
	if err != nil || len(names) == 0 {
		return nil, errors.New("the server has not made its socket yet")
	}
	config, err := pgx.ParseConfig("host=/ port=5432 sslmode=disable connect_timeout=5 application_name=minato")
	if err != nil {
		return nil, err
	}
	config.User, config.Password, config.Database = admin, password, "postgres"
	config.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialSocket(ctx, run, filepath.Base(names[0]))
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	return &postgresSession{e: e, conn: conn}, nil
}

type postgresSession struct {
	e    *postgresEngine
	conn *pgx.Conn
}

func (s *postgresSession) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s.conn.Close(ctx)
}

func (s *postgresSession) check(ctx context.Context) error {
	_, err := s.conn.Exec(ctx, "SELECT 1")
	return err
}

func (s *postgresSession) provision(ctx context.Context, m Master, database string) error {
	if m.User == "" || m.Verifier == "" {
		return nil
	}
	if err := s.role(ctx, "rds_superuser", " NOLOGIN"); err != nil {
		return err
	}
	if err := s.role(ctx, m.User, " LOGIN CREATEDB CREATEROLE"); err != nil {
		return err
	}
	user := pgx.Identifier{m.User}.Sanitize()
	for _, text := range []string{
		"GRANT pg_monitor, pg_signal_backend TO rds_superuser WITH ADMIN OPTION",
		"GRANT rds_superuser TO " + user,
		"ALTER ROLE " + user + " PASSWORD " + quotePostgres(m.Verifier),
		"ALTER DATABASE postgres OWNER TO " + user,
	} {
		if _, err := s.conn.Exec(ctx, text); err != nil {
			return err
		}
	}
	if database == "" {
		return nil
	}
	var there bool
	if err := s.conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", database).Scan(&there); err != nil || there {
		return err
	}
	_, err := s.conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{database}.Sanitize()+" OWNER "+user)
	return err
}

// role makes a role if there is none of that name.
func (s *postgresSession) role(ctx context.Context, name, options string) error {
	var there bool
	if err := s.conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", name).Scan(&there); err != nil || there {
		return err
	}
	_, err := s.conn.Exec(ctx, "CREATE ROLE "+pgx.Identifier{name}.Sanitize()+options)
	return err
}

func (s *postgresSession) setMaster(ctx context.Context, m Master) error {
	_, err := s.conn.Exec(ctx, "ALTER ROLE "+pgx.Identifier{m.User}.Sanitize()+" PASSWORD "+quoteSQL(m.Verifier))
	return err
}

// apply sets the value in postgresql.auto.conf when it can be set at run time;
// what needs a restart is in the configuration of the next start.
func (s *postgresSession) apply(ctx context.Context, wanted Setting, started *string) Outcome {
	out := Outcome{Name: wanted.Name}
	if why := s.e.refuse(wanted.Name, wanted.Value); why != "" {
		out.Effect, out.Reason = NotApplied, why
		return out
	}
	if started != nil && *started == wanted.Value {
		out.Effect = Applied
		return out
	}
	if !wanted.Now || s.e.known[wanted.Name] == "postmaster" {
		out.Effect = PendingReboot
		return out
	}
	name := pgx.Identifier{wanted.Name}.Sanitize()
	_, err := s.conn.Exec(ctx, "ALTER SYSTEM SET "+name+" = "+quotePostgres(wanted.Value))
	if err == nil {
		_, err = s.conn.Exec(ctx, "SELECT pg_reload_conf()")
	}
	if err != nil {
		out.Effect, out.Reason = NotApplied, err.Error()
		return out
	}
	out.Effect = Applied
	return out
}
