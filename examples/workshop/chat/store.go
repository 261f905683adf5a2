package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	_ "embed"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"golang.org/x/crypto/bcrypt"
)

const (
	databaseName = "chat"
	shown        = 50 // comments on the page
	sessionFor   = 14 * 24 * time.Hour

	erAccessDenied = 1045
	erDuplicate    = 1062
)

//go:embed schema.sql
var schema string

// What a person may be told.
var (
	ErrNameTaken   = errors.New("this name is taken")
	ErrWrongLogin  = errors.New("name or password is wrong")
	ErrNoSuchImage = errors.New("no such image")
)

// DatabaseAddress says where the database is and who we are there.
type DatabaseAddress struct{ Host, User, Password string }

// User is somebody who signed up.
type User struct {
	ID   int64
	Name string
}

// Comment is one line of the chat, as GET /comment gives it.
type Comment struct {
	ID      int64     `json:"id"`
	Name    string    `json:"name"`
	Text    string    `json:"text"`
	Image   string    `json:"image,omitempty"` // path of the image, if there is one
	Created time.Time `json:"created_at"`
}

// Store is the database.
type Store struct {
	db *sql.DB
	// decoy is compared when a name is unknown, so that the time of the answer
	// does not tell who has an account.
	decoy []byte
}

// OpenStore connects, waiting up to patience for a database that does not
// answer yet, and makes database and tables where they are missing. A refused
// password is not waited for.
func OpenStore(ctx context.Context, log *slog.Logger, address DatabaseAddress, patience time.Duration) (*Store, error) {
	if address.Host == "" {
		return nil, errors.New("DB_HOST is not set: the address of the database is needed")
	}
	deadline := time.Now().Add(patience)
	for wait := 250 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		store, err := openOnce(ctx, address)
		if err == nil {
			return store, nil
		}
		var refused *mysql.MySQLError
		if errors.As(err, &refused) && refused.Number == erAccessDenied {
			return nil, fmt.Errorf("the database %s refuses DB_USER and DB_PASS: %w", address.Host, err)
		}
		if time.Now().Add(wait).After(deadline) {
			return nil, fmt.Errorf("the database %s did not answer within %s: %w", address.Host, patience, err)
		}
		log.Warn("the database does not answer yet", "host", address.Host, "error", err)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(wait):
		}
	}
}

func openOnce(ctx context.Context, address DatabaseAddress) (*Store, error) {
	config := mysql.NewConfig()
	config.Net, config.Addr = "tcp", address.Host
	if _, _, err := net.SplitHostPort(address.Host); err != nil {
		config.Addr = net.JoinHostPort(address.Host, "3306")
	}
	config.User, config.Passwd = address.User, address.Password
	config.Collation = "utf8mb4_bin"
	config.ParseTime, config.Loc = true, time.UTC
	config.Params = map[string]string{"time_zone": "'+00:00'"}
	config.Timeout, config.ReadTimeout, config.WriteTimeout = 3*time.Second, 15*time.Second, 15*time.Second
	config.MultiStatements = true // the schema is one text
	if err := applySchema(ctx, config, schema); err != nil {
		return nil, err
	}

	config.MultiStatements = false
	config.DBName = databaseName
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	decoy, err := bcrypt.GenerateFromPassword([]byte(rand.Text()), bcrypt.DefaultCost)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(16)
	db.SetMaxIdleConns(4)
	db.SetConnMaxIdleTime(time.Minute)
	return &Store{db: db, decoy: decoy}, nil
}

func applySchema(ctx context.Context, config *mysql.Config, text string) error {
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	defer db.Close()
	_, err = db.ExecContext(ctx, text)
	return err
}

// Close ends the connections.
func (s *Store) Close() error { return s.db.Close() }

// SignUp makes an account.
func (s *Store) SignUp(ctx context.Context, name, password string) (User, error) {
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost)
	if err != nil {
		return User{}, err
	}
	result, err := s.db.ExecContext(ctx, "INSERT INTO users (name, password) VALUES (?, ?)", name, hash)
	var duplicate *mysql.MySQLError
	if errors.As(err, &duplicate) && duplicate.Number == erDuplicate {
		return User{}, ErrNameTaken
	}
	if err != nil {
		return User{}, err
	}
	id, err := result.LastInsertId()
	return User{ID: id, Name: name}, err
}

// SignIn finds an account by name and password.
func (s *Store) SignIn(ctx context.Context, name, password string) (User, error) {
	user := User{Name: name}
	var hash []byte
	err := s.db.QueryRowContext(ctx, "SELECT id, password FROM users WHERE name = ?", name).Scan(&user.ID, &hash)
	if errors.Is(err, sql.ErrNoRows) {
		hash = s.decoy
	} else if err != nil {
		return User{}, err
	}
	if bcrypt.CompareHashAndPassword(hash, []byte(password)) != nil || err != nil {
		return User{}, ErrWrongLogin
	}
	return user, nil
}

// StartSession returns a token by which any task knows the user again. The
// database has only its hash: who reads the table cannot sign in with it.
func (s *Store) StartSession(ctx context.Context, user User) (token string, expires time.Time, err error) {
	token = rand.Text()
	expires = time.Now().UTC().Add(sessionFor).Truncate(time.Second)
	if _, err = s.db.ExecContext(ctx, "DELETE FROM sessions WHERE expires_at < UTC_TIMESTAMP() LIMIT 100"); err != nil {
		return "", time.Time{}, err
	}
	_, err = s.db.ExecContext(ctx, "INSERT INTO sessions (token, user_id, expires_at) VALUES (?, ?, ?)", tokenHash(token), user.ID, expires)
	return token, expires, err
}

// Session returns the user of a token; ok is false for one that is unknown or over.
func (s *Store) Session(ctx context.Context, token string) (user User, ok bool, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT users.id, users.name FROM sessions JOIN users ON users.id = sessions.user_id
		WHERE sessions.token = ? AND sessions.expires_at > UTC_TIMESTAMP()`, tokenHash(token)).Scan(&user.ID, &user.Name)
	if errors.Is(err, sql.ErrNoRows) {
		return User{}, false, nil
	}
	return user, err == nil, err
}

// EndSession makes a token worthless.
func (s *Store) EndSession(ctx context.Context, token string) error {
	_, err := s.db.ExecContext(ctx, "DELETE FROM sessions WHERE token = ?", tokenHash(token))
	return err
}

func tokenHash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Say keeps a comment; image may be nil.
func (s *Store) Say(ctx context.Context, user User, text string, image []byte) error {
	_, err := s.db.ExecContext(ctx, "INSERT INTO comments (user_id, text, image) VALUES (?, ?, ?)", user.ID, text, image)
	return err
}

// Recent returns the last comments, oldest first.
func (s *Store) Recent(ctx context.Context) ([]Comment, error) {
	ids, err := s.RecentIDs(ctx)
	if err != nil {
		return nil, err
	}
	return s.Comments(ctx, ids)
}

// RecentIDs returns the ids of the last comments, oldest first.
func (s *Store) RecentIDs(ctx context.Context) ([]int64, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT id FROM (SELECT id FROM comments ORDER BY id DESC LIMIT ?) AS last ORDER BY id", shown)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// Comments returns the comments with these ids, oldest first.
func (s *Store) Comments(ctx context.Context, ids []int64) ([]Comment, error) {
	comments := []Comment{} // not nil: an empty chat is [] in JSON
	if len(ids) == 0 {
		return comments, nil
	}
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	marks := strings.TrimSuffix(strings.Repeat("?,", len(ids)), ",")
	rows, err := s.db.QueryContext(ctx, `SELECT comments.id, users.name, comments.text, comments.image IS NOT NULL, comments.created_at
		FROM comments JOIN users ON users.id = comments.user_id WHERE comments.id IN (`+marks+`) ORDER BY comments.id`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var c Comment
		var image bool
		if err := rows.Scan(&c.ID, &c.Name, &c.Text, &image, &c.Created); err != nil {
			return nil, err
		}
		if image {
			c.Image = fmt.Sprintf("/image/%d", c.ID)
		}
		comments = append(comments, c)
	}
	return comments, rows.Err()
}

// Image returns the image of a comment.
func (s *Store) Image(ctx context.Context, id int64) ([]byte, error) {
	var image []byte
	err := s.db.QueryRowContext(ctx, "SELECT image FROM comments WHERE id = ? AND image IS NOT NULL", id).Scan(&image)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNoSuchImage
	}
	return image, err
}
