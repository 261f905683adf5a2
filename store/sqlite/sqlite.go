// Package sqlite is the store of one machine: SQLite is the durable form of the
// records, the index in memory is what is read.
//
//	Commit ─► queue ─► writer: try each transaction on a stage (in memory)
//	                          write those that hold, one SQL transaction, fsync
//	                          publish the stage, answer all
//
// Decisions:
//   - All records are held in memory (store/internal/index) and loaded at Open.
//     So reads cost no SQL and never wait; the limit is memory: about 1.3 times
//     the records' size. Some thousands of records are a few MiB.
//   - One writer goroutine with group commit: the transactions that queued up
//     during the last fsync share the next one. A transaction whose check fails
//     is not part of the SQL transaction, so it does not fail its neighbours.
//     Because there is no other writer, the checks are made on the stage, which
//     is the database's state plus the neighbours before it.
//   - journal_mode=WAL, synchronous=FULL: an acknowledged write has been synced.
//     locking_mode=EXCLUSIVE: a second process cannot open the file. The VFS
//     unix-excl keeps the index of the log in memory, not in a -shm file: such a
//     file is made anew at each start, for which a full disk has no room.
//   - A failed write (disk full, I/O error) is rolled back and answered with
//     the error to everyone in the group; the stage is dropped, reads go on, and
//     the next write tries again.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"sync"

	_ "modernc.org/sqlite" // the database/sql driver "sqlite"

	"minato/store"
	"minato/store/internal/index"
)

// schema is version 1. A record's key is unique; meta holds the revision, which
// must not go back when the newest record is deleted.
const schema = `
CREATE TABLE IF NOT EXISTS records (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, value BLOB NOT NULL, revision INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS meta (id INTEGER PRIMARY KEY CHECK (id = 1), revision INTEGER NOT NULL);
INSERT OR IGNORE INTO meta (id, revision) VALUES (1, 0);
PRAGMA user_version = 1;
`

// A group is bounded so that the first to come does not wait for too many.
const (
	groupTxns  = 256
	groupBytes = 8 << 20
)

// Store is a store.Store in an SQLite file.
type Store struct {
	*index.Mem
	db    *sql.DB
	conn  *sql.Conn
	queue chan *request
	done  chan struct{} // closed when the writer has ended

	mu     sync.RWMutex // held for reading while something is put into the queue
	closed bool

	upsert, remove, revise *sql.Stmt
}

type request struct {
	txn  store.Txn
	rev  store.Revision
	err  error
	done chan struct{}
}

// Open opens the store in a file, made with mode 0600 if it does not exist.
func Open(path string) (*Store, error) {
	// SQLite's -wal file takes over this mode. O_EXCL: closing a file that is
	// there would drop the locks of a store this process has open on it.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		f.Close()
	} else if !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("store: %w", err)
	}
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: url.Values{
		"vfs":     {"unix-excl"},
		"_pragma": {"locking_mode(EXCLUSIVE)", "journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(2000)"},
	}.Encode()}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	db.SetMaxOpenConns(1)
	s := &Store{db: db, queue: make(chan *request, groupTxns), done: make(chan struct{})}
	if err := s.load(context.Background()); err != nil {
		db.Close()
		return nil, fmt.Errorf("store: %s: %w", path, err)
	}
	go s.write()
	return s, nil
}

// load makes the schema if need be and reads all records.
func (s *Store) load(ctx context.Context) error {
	var err error
	if s.conn, err = s.db.Conn(ctx); err != nil {
		return err
	}
	var version int
	if err := s.conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version > 1 {
		return fmt.Errorf("written by a newer minato (schema %d)", version)
	}
	if version == 0 {
		if _, err := s.conn.ExecContext(ctx, schema); err != nil {
			return err
		}
	}
	state := index.State{}
	if err := s.conn.QueryRowContext(ctx, "SELECT revision FROM meta").Scan(&state.Revision); err != nil {
		return err
	}
	rows, err := s.conn.QueryContext(ctx, "SELECT key, value, revision FROM records")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var r store.Record
		if err := rows.Scan(&r.Key, &r.Value, &r.Revision); err != nil {
			return err
		}
		state.Tree = state.Tree.Put(r)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	s.Mem = index.New(state)
	for _, p := range []struct {
		stmt **sql.Stmt
		text string
	}{
		{&s.upsert, "INSERT INTO records (key, value, revision) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value, revision = excluded.revision"},
		{&s.remove, "DELETE FROM records WHERE key = ?"},
		{&s.revise, "UPDATE meta SET revision = ?"},
	} {
		if *p.stmt, err = s.conn.PrepareContext(ctx, p.text); err != nil {
			return err
		}
	}
	return nil
}

// Commit is part of store.Store. Once a transaction is in the queue its outcome
// is awaited even if ctx ends, so that a caller always knows it.
func (s *Store) Commit(ctx context.Context, txn store.Txn) (store.Revision, error) {
	if err := store.Validate(txn); err != nil {
		return 0, err
	}
	r := &request{txn: txn, done: make(chan struct{})}
	if err := s.enqueue(ctx, r); err != nil {
		return 0, err
	}
	<-r.done
	return r.rev, r.err
}

func (s *Store) enqueue(ctx context.Context, r *request) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return store.ErrClosed
	}
	select {
	case s.queue <- r:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// write is the writer: it takes what has queued up and commits it as a group.
func (s *Store) write() {
	defer close(s.done)
	var group []*request
	for r := range s.queue {
		group = append(group[:0], r)
		size := bytesOf(r.txn)
	fill:
		for len(group) < groupTxns && size < groupBytes {
			select {
			case r, ok := <-s.queue:
				if !ok {
					break fill
				}
				group = append(group, r)
				size += bytesOf(r.txn)
			default:
				break fill
			}
		}
		s.commit(group)
		for _, r := range group {
			close(r.done)
		}
		clear(group)
	}
}

// commit tries the transactions of a group in turn, and makes those that hold
// durable together. Readers see them when they are on disk, not before. A
// conflict is answered with the group too: what it conflicts with may be a
// neighbour, which its owner can read only after the publication.
func (s *Store) commit(group []*request) {
	stage := s.Stage()
	before := stage.Revision
	held := group[:0:0]
	for _, r := range group {
		if r.rev, r.err = stage.Apply(r.txn); r.err == nil {
			held = append(held, r)
		}
	}
	if stage.Revision == before {
		return
	}
	if err := s.persist(held, stage.Revision); err != nil {
		for _, r := range group { // also those that lost against a neighbour that is not written
			r.rev, r.err = 0, fmt.Errorf("store: not written: %w", err)
		}
		return
	}
	s.Publish(stage)
}

// persist writes the transactions in one SQL transaction.
func (s *Store) persist(held []*request, rev store.Revision) (err error) {
	ctx := context.Background()
	if _, err := s.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			// SQLite has rolled back by itself after some errors; then this fails, and rightly.
			_, _ = s.conn.ExecContext(ctx, "ROLLBACK")
		}
	}()
	for _, r := range held {
		for _, p := range r.txn.Puts {
			value := p.Value
			if value == nil {
				value = []byte{}
			}
			if _, err := s.upsert.ExecContext(ctx, p.Key, value, int64(r.rev)); err != nil {
				return err
			}
		}
		for _, key := range r.txn.Deletes {
			if _, err := s.remove.ExecContext(ctx, key); err != nil {
				return err
			}
		}
	}
	if _, err := s.revise.ExecContext(ctx, int64(rev)); err != nil {
		return err
	}
	_, err = s.conn.ExecContext(ctx, "COMMIT")
	return err
}

// Close is part of store.Store: it waits for what is queued, then closes the
// file. Reads go on working on the last state.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.queue)
	s.mu.Unlock()
	<-s.done
	s.Mem.Close()
	return errors.Join(s.upsert.Close(), s.remove.Close(), s.revise.Close(), s.conn.Close(), s.db.Close())
}

func bytesOf(t store.Txn) int {
	n := 0
	for _, p := range t.Puts {
		n += len(p.Key) + len(p.Value)
	}
	return n
}
