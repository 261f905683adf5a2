package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-sql-driver/mysql"
)

const erIncorrectGlobalLocalVar = 1238 // "Variable '…' is a read only variable"

func canonical(name string) string { return strings.ReplaceAll(strings.ToLower(name), "-", "_") }

// renamed are MySQL 8's parameters that MariaDB has under another name.
var renamed = map[string]string{
	"transaction_isolation":       "tx_isolation",
	"transaction_read_only":       "tx_read_only",
	"innodb_redo_log_capacity":    "innodb_log_file_size",
	"replica_net_timeout":         "slave_net_timeout",
	"replica_parallel_workers":    "slave_parallel_threads",
	"log_replica_updates":         "log_slave_updates",
	"log_slow_replica_statements": "log_slow_slave_statements",
	"binlog_row_value_options":    "",
	"mysql_native_password":       "",
}

// translate returns a parameter as the product knows it, or why it is not applied.
func (e *mysqlEngine) translate(name, value string) (string, string, string) {
	if slices.Contains(ours, name) {
		return "", "", "it is set by minato"
	}
	if strings.ContainsAny(value, "\x00\n\r") {
		return "", "", "the value has a line break"
	}
	if !e.mariadb() || e.p.Engine == "mariadb" {
		return name, value, ""
	}
	if to, ok := renamed[name]; ok {
		if to == "" {
			return "", "", "MariaDB " + e.p.Version + " has no such variable"
		}
		name = to
	}
	if strings.HasPrefix(name, "collation_") {
		// MySQL 8's default collations (Unicode 9.0) are newer than MariaDB 10.11;
		// its nearest are those of Unicode 5.2.
		if charset, ok := strings.CutSuffix(value, "_0900_ai_ci"); ok {
			value = charset + "_unicode_520_ci"
		} else if charset, ok := strings.CutSuffix(value, "_0900_bin"); ok {
			value = charset + "_bin"
		}
	}
	return name, value, ""
}

func (s *mysqlSession) apply(ctx context.Context, wanted Setting, started *string) Outcome {
	out := Outcome{Name: wanted.Name}
	name, value, why := s.e.translate(canonical(wanted.Name), wanted.Value)
	if why != "" {
		out.Effect, out.Reason = NotApplied, why
		return out
	}
	if name != canonical(wanted.Name) || value != wanted.Value {
		out.Reason = fmt.Sprintf("as %s = %s", name, value)
	}
	present, known, err := s.variable(ctx, name)
	switch {
	case err != nil:
		out.Effect, out.Reason = NotApplied, err.Error()
		return out
	case !known:
		out.Effect, out.Reason = NotApplied, fmt.Sprintf("%s %s has no variable %s", s.e.p.Name, s.e.p.Version, name)
		return out
	case sameValue(present, value):
		out.Effect = Applied
		return out
	case !wanted.Now:
		out.Effect = PendingReboot
		if started != nil && *started == wanted.Value {
			out.Effect, out.Reason = NotApplied, fmt.Sprintf("the server was started with it and uses %q", present)
		}
		return out
	}
	_, err = s.db.ExecContext(ctx, "SET GLOBAL `"+strings.ReplaceAll(name, "`", "")+"` = "+literal(value))
	var refused *mysql.MySQLError
	switch {
	case err == nil:
		out.Effect = Applied
	case errors.As(err, &refused) && refused.Number == erIncorrectGlobalLocalVar && (started == nil || *started != wanted.Value):
		out.Effect = PendingReboot
	default:
		out.Effect, out.Reason = NotApplied, err.Error()
	}
	return out
}

// variable returns the present global value.
func (s *mysqlSession) variable(ctx context.Context, name string) (value string, known bool, err error) {
	var ignored string
	err = s.db.QueryRowContext(ctx, "SHOW GLOBAL VARIABLES WHERE Variable_name = ?", name).Scan(&ignored, &value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return value, err == nil, err
}

// literal writes a value as SET wants it: numbers bare, the rest as strings.
func literal(value string) string {
	if n, ok := size(value); ok {
		return strconv.FormatInt(n, 10)
	}
	if _, err := strconv.ParseFloat(value, 64); err == nil {
		return value
	}
	return quoteSQL(value)
}

// sameValue compares as the server does: 1 is ON, 16M is 16777216.
func sameValue(a, b string) bool {
	a, b = strings.ToLower(strings.TrimSpace(a)), strings.ToLower(strings.TrimSpace(b))
	if a == b || truth(a) != "" && truth(a) == truth(b) {
		return true
	}
	m, ok1 := size(a)
	n, ok2 := size(b)
	if ok1 && ok2 {
		return m == n
	}
	x, err1 := strconv.ParseFloat(a, 64)
	y, err2 := strconv.ParseFloat(b, 64)
	return err1 == nil && err2 == nil && x == y
}

func truth(s string) string {
	switch s {
	case "1", "on", "true", "yes":
		return "on"
	case "0", "off", "false", "no":
		return "off"
	}
	return ""
}

// size reads an integer with an optional K, M, G or T.
func size(s string) (int64, bool) {
	s = strings.ToLower(s)
	shift := 0
	if s != "" {
		if i := strings.IndexByte("kmgt", s[len(s)-1]); i >= 0 {
			shift, s = 10*(i+1), s[:len(s)-1]
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n<<shift>>shift != n {
		return 0, false
	}
	return n << shift, true
}
