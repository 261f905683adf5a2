package database

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/vishvananda/netns"

	"minato/dataplane/container"
	"minato/internal/ids"
)

func init() {
	mysql.RegisterDialContext("netns", func(ctx context.Context, addr string) (net.Conn, error) {
		return dialIn(ctx, addr)
	})
}

// network makes a namespace for one test, with a loopback.
func network(t *testing.T) string {
	t.Helper()
	name := "mdbtest-" + ids.Alnum(8)
	for _, args := range [][]string{{"netns", "add", name}, {"-n", name, "link", "set", "lo", "up"}} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v %s", args, err, out)
		}
	}
	t.Cleanup(func() {
		if out, err := exec.Command("ip", "netns", "del", name).CombinedOutput(); err != nil {
			t.Errorf("%v %s", err, out)
		}
	})
	return "/run/netns/" + name
}

// dialIn connects to "path|host:port" in the namespace path.
func dialIn(ctx context.Context, addr string) (net.Conn, error) {
	path, to, _ := strings.Cut(addr, "|")
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread, in another namespace now, ends with the goroutine
		ns, err := netns.GetFromPath(path)
		if err == nil {
			err = netns.Set(ns)
			ns.Close()
		}
		if err != nil {
			done <- result{nil, err}
			return
		}
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", to)
		done <- result{conn, err}
	}()
	r := <-done
	return r.conn, r.err
}

// customer opens a connection as the customer's user.
type customer interface {
	exec(text string) error
	value(text string) (string, error)
	close()
}

type mysqlCustomer struct{ db *sql.DB }

func (c mysqlCustomer) exec(text string) error { _, err := c.db.Exec(text); return err }
func (c mysqlCustomer) value(text string) (v string, err error) {
	err = c.db.QueryRow(text).Scan(&v)
	return v, err
}
func (c mysqlCustomer) close() { c.db.Close() }

type postgresCustomer struct{ conn *pgx.Conn }

func (c postgresCustomer) exec(text string) error {
	_, err := c.conn.Exec(context.Background(), text)
	return err
}

func (c postgresCustomer) value(text string) (v string, err error) {
	err = c.conn.QueryRow(context.Background(), text).Scan(&v)
	return v, err
}
func (c postgresCustomer) close() { c.conn.Close(context.Background()) }

func login(s Server, user, password, database string) (customer, error) {
	to := s.Netns + "|127.0.0.1:" + fmt.Sprint(s.Port)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if s.Engine == "postgres" {
		config, err := pgx.ParseConfig("host=127.0.0.1 sslmode=disable")
		if err != nil {
			return nil, err
		}
		config.User, config.Password, config.Database = user, password, database
		config.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) { return dialIn(ctx, to) }
		conn, err := pgx.ConnectConfig(ctx, config)
		if err != nil {
			return nil, err
		}
		return postgresCustomer{conn}, nil
	}
	config := mysql.NewConfig()
	config.Net, config.Addr, config.User, config.Passwd, config.DBName = "netns", to, user, password, database
	config.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	if err := db.PingContext(ctx); err != nil {
		db.Close()
		return nil, err
	}
	return mysqlCustomer{db}, nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, root string, r container.Runtime) *Manager {
	t.Helper()
	m, err := New(Options{Root: root, Runtime: r, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	must(t, err)
	return m
}

func TestOnProcesses(t *testing.T) {
	contract(t, func(t *testing.T, _ string) container.Runtime { return newDirect(t) })
}

// contract is what servers do on every runtime.
func contract(t *testing.T, newRuntime func(t *testing.T, root string) container.Runtime) {
	for _, name := range []string{"mysql", "postgres"} {
		t.Run(name, func(t *testing.T) {
			if detect()[name] == nil {
				t.Skip("no server program for " + name)
			}
			if os.Geteuid() != 0 {
				t.Skip("needs root")
			}
			root, err := os.MkdirTemp("", "minato-database-")
			must(t, err)
			t.Cleanup(func() { os.RemoveAll(root) })
			r := newRuntime(t, root)
			life(t, open(t, root, r), func() *Manager { return open(t, root, r) }, name)
		})
	}
}

// life is that of one server, from its making to its end.
func life(t *testing.T, m *Manager, reopen func() *Manager, name string) {
	ctx := t.Context()
	verifier, err := m.Verifier(name, "harbour-password")
	must(t, err)
	s := Server{
		ID: "db-" + ids.Alnum(6), Engine: name, Database: "app", Port: map[string]uint16{"mysql": 3306, "postgres": 5432}[name],
		Master: Master{User: "root", Verifier: verifier}, Netns: network(t), Hostname: "db", Memory: 1 << 30, CPUs: 2,
		Parameters: map[string]map[string]string{
			"mysql":    {"character_set_server": "utf8mb4", "character_set_client": "utf8mb4", "collation_server": "utf8mb4_bin", "no_such_thing": "1"},
			"postgres": {"max_connections": "42", "no_such_thing": "1"},
		}[name],
	}
	t.Cleanup(func() { must(t, m.Delete(context.Background(), s.ID)) })
	begin := time.Now()
	must(t, m.Ensure(ctx, s))
	t.Log("with the template:", time.Since(begin))
	must(t, m.Ensure(ctx, s)) // the same twice is fine
	must(t, m.Check(ctx, s.ID))

	c, err := login(s, "root", "harbour-password", "app")
	must(t, err)
	defer c.close()
	must(t, c.exec("CREATE TABLE t (x varchar(20))"))
	must(t, c.exec("INSERT INTO t VALUES ('港')"))

	t.Run("the master has no more rights than RDS gives", func(t *testing.T) {
		for _, text := range map[string][]string{
			"mysql":    {"SELECT 'x' INTO OUTFILE '/srv/database/tmp/x'", "SET GLOBAL max_connections = 10", "GRANT SUPER ON *.* TO root@'%'", "SELECT LOAD_FILE('/etc/passwd') + SLEEP(0) FROM no_such.table_"},
			"postgres": {"COPY t TO '/srv/database/tmp/x'", "ALTER SYSTEM SET max_connections = 10", "CREATE ROLE boss SUPERUSER", "CREATE EXTENSION plpython3u"},
		}[name] {
			if err := c.exec(text); err == nil {
				t.Errorf("allowed: %s", text)
			}
		}
		for _, text := range map[string][]string{
			"mysql":    {"CREATE DATABASE other", "CREATE USER reader@'%' IDENTIFIED BY 'reader-password'", "GRANT SELECT ON *.* TO reader@'%'"},
			"postgres": {"CREATE DATABASE other", "CREATE ROLE reader LOGIN PASSWORD 'reader-password'", "GRANT pg_monitor TO reader"},
		}[name] {
			if err := c.exec(text); err != nil {
				t.Errorf("%s: %v", text, err)
			}
		}
	})

	t.Run("nobody else comes in", func(t *testing.T) {
		database := map[string]string{"mysql": "mysql", "postgres": "postgres"}[name]
		for _, who := range [][2]string{{"root", ""}, {"root", "wrong"}, {admin, m.admin}, {admin, ""}, {"", ""}, {"nobody", "x"}} {
			if c, err := login(s, who[0], who[1], database); err == nil {
				c.close()
				t.Errorf("%q came in with %q", who[0], who[1])
			}
		}
	})

	t.Run("parameters", func(t *testing.T) {
		var settings []Setting
		for k, v := range s.Parameters {
			settings = append(settings, Setting{Name: k, Value: v, Now: true})
		}
		settings = append(settings, map[string][]Setting{
			"mysql":    {{"long_query_time", "3", true}, {"max_connections", "77", false}, {"back_log", "99", true}, {"datadir", "/", true}, {"collation_connection", "utf8mb4_0900_ai_ci", true}},
			"postgres": {{"log_min_duration_statement", "3000", true}, {"work_mem", "8MB", false}, {"shared_buffers", "48MB", true}, {"data_directory", "/", true}},
		}[name]...)
		want := map[string]map[string]Effect{
			"mysql": {
				"character_set_server": Applied, "character_set_client": Applied, "collation_server": Applied, "no_such_thing": NotApplied,
				"long_query_time": Applied, "max_connections": PendingReboot, "back_log": PendingReboot, "datadir": NotApplied, "collation_connection": Applied,
			},
			"postgres": {
				"max_connections": Applied, "no_such_thing": NotApplied, "log_min_duration_statement": Applied, "work_mem": PendingReboot,
				"shared_buffers": PendingReboot, "data_directory": NotApplied,
			},
		}[name]
		got, err := m.Apply(ctx, s.ID, settings)
		must(t, err)
		if len(got) != len(want) {
			t.Errorf("%d outcomes: %v", len(got), got)
		}
		for _, o := range got {
			if o.Effect != want[o.Name] || o.Effect == NotApplied && o.Reason == "" {
				t.Errorf("%s: %s (%s), want %s", o.Name, o.Effect, o.Reason, want[o.Name])
			}
		}
	})

	snapshot := "snap-" + ids.Alnum(6)
	t.Run("a snapshot while it is written to", func(t *testing.T) {
		stop, done := make(chan struct{}), make(chan error, 1)
		w, err := login(s, "root", "harbour-password", "app")
		must(t, err)
		defer w.close()
		must(t, w.exec("CREATE TABLE busy (n int)"))
		go func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					done <- nil
					return
				default:
					if err := w.exec(fmt.Sprintf("INSERT INTO busy VALUES (%d)", n)); err != nil {
						done <- err
						return
					}
				}
			}
		}()
		time.Sleep(100 * time.Millisecond)
		begin := time.Now()
		must(t, m.Snapshot(ctx, s.ID, snapshot))
		t.Log("snapshot took", time.Since(begin))
		close(stop)
		must(t, <-done)
		must(t, m.Snapshot(ctx, s.ID, snapshot)) // twice is once
	})

	t.Run("adopted by another manager, and again after SIGKILL of the server", func(t *testing.T) {
		before, err := m.running(ctx, s.ID)
		must(t, err)
		// As if the process before had been killed in the middle of a snapshot.
		must(t, m.runtime.Signal(ctx, before, syscall.SIGSTOP))
		m = reopen()
		running, err := m.running(ctx, s.ID)
		must(t, err)
		if running == "" {
			t.Fatal("it does not run any more")
		}
		must(t, m.Ensure(ctx, s))
		if again, _ := m.running(ctx, s.ID); again != running {
			t.Fatal("it was started again:", running, again)
		}
		if v, err := c.value("SELECT x FROM t"); err != nil || v != "港" {
			t.Fatal(v, err)
		}
		changed := m.Changes(ctx)
		must(t, m.runtime.Signal(ctx, running, syscall.SIGKILL))
		waitFor(t, changed, s.ID)
		_, err = m.runtime.Wait(ctx, running)
		must(t, err)
		begin := time.Now()
		must(t, m.Ensure(ctx, s))
		t.Log("started again in", time.Since(begin))
		c.close()
		c, err = login(s, "root", "harbour-password", "app")
		must(t, err)
		if v, err := c.value("SELECT x FROM t"); err != nil || v != "港" {
			t.Fatal(v, err)
		}
	})

	t.Run("another password", func(t *testing.T) {
		other, err := m.Verifier(name, "other-password ' \\ ü")
		must(t, err)
		must(t, m.SetMaster(ctx, s.ID, Master{User: "root", Verifier: other}))
		if _, err := login(s, "root", "harbour-password", "app"); err == nil {
			t.Error("the old one is still good")
		}
		again, err := login(s, "root", "other-password ' \\ ü", "app")
		must(t, err)
		again.close()
	})

	t.Run("a parameter that the server refuses keeps it from starting, and says so", func(t *testing.T) {
		must(t, m.Stop(ctx, s.ID))
		must(t, m.Stop(ctx, s.ID)) // stopped is stopped
		if running, err := m.Running(ctx, s.ID); running || err != nil {
			t.Fatal(running, err)
		}
		bad := s
		bad.Parameters = map[string]map[string]string{"mysql": {"innodb_page_size": "12345"}, "postgres": {"max_connections": "many"}}[name]
		if err := m.Ensure(ctx, bad); err == nil || !strings.Contains(err.Error(), map[string]string{"mysql": "Invalid page size", "postgres": "max_connections"}[name]) {
			t.Errorf("%v", err)
		}
		begin := time.Now()
		must(t, m.Ensure(ctx, s))
		t.Log("started again in", time.Since(begin))
	})

	t.Run("restored", func(t *testing.T) {
		restored := s
		restored.ID, restored.Snapshot, restored.Netns, restored.Database = "db-"+ids.Alnum(6), snapshot, network(t), ""
		restored.Master.Verifier = ""
		begin := time.Now()
		must(t, m.Ensure(ctx, restored))
		t.Log("restored in", time.Since(begin))
		t.Cleanup(func() { must(t, m.Delete(context.Background(), restored.ID)) })
		c, err := login(restored, "root", "harbour-password", "app")
		must(t, err)
		defer c.close()
		if v, err := c.value("SELECT x FROM t"); err != nil || v != "港" {
			t.Error(v, err)
		}
		if v, err := c.value("SELECT CASE WHEN COUNT(*) = MAX(n) + 1 THEN 'whole' ELSE 'torn' END FROM busy"); err != nil || v != "whole" {
			t.Error(v, err)
		}
		a, _ := m.read(s.ID)
		b, _ := m.read(restored.ID)
		if a.UID == b.UID {
			t.Error("two servers have the same user id", a.UID)
		}
		found, err := m.List(ctx)
		if err != nil || len(found) != 2 {
			t.Error(found, err)
		}
		must(t, m.DeleteSnapshot(ctx, snapshot))
		must(t, m.DeleteSnapshot(ctx, snapshot))
	})

	t.Run("deleted, and nothing is left", func(t *testing.T) {
		c.close()
		must(t, m.Delete(ctx, s.ID))
		must(t, m.Delete(ctx, s.ID))
		if err := m.Check(ctx, s.ID); err == nil {
			t.Error("it answers")
		}
		entries, err := os.ReadDir(m.servers())
		must(t, err)
		for _, e := range entries {
			if e.Name() == s.ID || strings.HasPrefix(e.Name(), ".") {
				t.Error("left:", e.Name())
			}
		}
		groups, err := m.runtime.Groups(ctx)
		must(t, err)
		for _, g := range groups {
			if strings.Contains(g, s.ID) {
				t.Error("left:", g)
			}
		}
	})
}

func waitFor(t *testing.T, changes <-chan string, id string) {
	t.Helper()
	limit := time.After(2 * time.Minute)
	for {
		select {
		case got := <-changes:
			if got == id {
				return
			}
		case <-limit:
			t.Fatal("no word of the end of", id)
		}
	}
}

// TestSecondServer measures what the template is for.
func TestSecondServer(t *testing.T) {
	if detect()["mysql"] == nil {
		t.Skip("no server program")
	}
	r := newDirect(t)
	root, err := os.MkdirTemp("", "minato-database-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(root) })
	m := open(t, root, r)
	var first time.Duration
	for i := range 2 {
		begin := time.Now()
		must(t, m.Ensure(t.Context(), Server{ID: fmt.Sprint("s", i), Engine: "mysql", Port: 3306, Netns: network(t)}))
		took := time.Since(begin)
		if i == 0 {
			first = took
		} else if took > max(first, 5*time.Second) { // a tenth of it, but for a busy machine
			t.Errorf("a server from the template took %s, the first one %s", took, first)
		}
		t.Log(took)
		must(t, m.Delete(t.Context(), fmt.Sprint("s", i)))
	}
	if left, _ := filepath.Glob(filepath.Join(root, "servers", "*")); len(left) > 0 {
		t.Error("left:", left)
	}
}
