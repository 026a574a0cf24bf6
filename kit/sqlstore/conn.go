package sqlstore

import (
	"context"
	"database/sql/driver"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"modernc.org/sqlite"
)

// Bounds of one connection.
const (
	stmtsMax       = 256  // prepared statements kept; one more and an idle one goes
	writerCacheKiB = 2048 // page cache of the writer
	readerCacheKiB = 512  // page cache of every other connection
)

// conn is one SQLite connection with its prepared statements, used by one goroutine at a time. It calls the driver
// below database/sql: no pool, no lock, no reflection, and no goroutine that watches a context.
type conn struct {
	raw     driver.Conn
	stmts   map[string]*stmt
	args    []driver.NamedValue // reused; the driver copies what it binds
	durable bool                // it is there to write
	shared  bool                // others write the file
	seen    string              // its version when this connection began last; only if it is shared
	glance  bool                // a view of one statement is under way, without a transaction
	quiet   *sync.Mutex         // held during a transaction that writes, unless nil
	grew    func(pages int)     // told by how much a commit has lengthened the log, unless nil
}

type stmt struct {
	conn   *conn
	exec   driver.StmtExecContext
	query  driver.StmtQueryContext
	close  func() error
	writes bool
	counts bool
	give   func()         // gives it back to its connection
	values []driver.Value // one row's, reused
	kept   bool           // in the connection's map
	busy   bool           // its rows are being read
}

type pragma struct{ name, value string }

// openConn opens path and sets the pragmas, then those that its role adds.
func openConn(path string, role ...pragma) (*conn, error) {
	connector, err := sqlite.NewConnector("file:" + (&url.URL{Path: path}).EscapedPath() + "?_dqs=0&_error_rc=1")
	if err != nil {
		return nil, err
	}
	raw, err := connector.Connect(context.Background())
	if err != nil {
		return nil, err
	}
	c := &conn{raw: raw, stmts: map[string]*stmt{}}
	common := []pragma{{"busy_timeout", "5000"}, {"foreign_keys", "ON"}, {"temp_store", "MEMORY"}}
	for _, p := range append(common, role...) {
		if err := c.Script("PRAGMA " + p.name + "=" + p.value); err != nil {
			_ = c.Close()
			return nil, fmt.Errorf("set %s=%s: %w", p.name, p.value, err)
		}
	}
	return c, nil
}

// openWriteConn opens a connection whose commits are durable, and refuses one whose commits would not be.
func openWriteConn(path string, role ...pragma) (*conn, error) {
	durable := []pragma{{"journal_mode", "WAL"}, {"synchronous", "FULL"}, {"wal_autocheckpoint", "0"}}
	c, err := openConn(path, append(durable, role...)...)
	if err != nil {
		return nil, err
	}
	c.durable = true
	for _, want := range []pragma{{"journal_mode", "wal"}, {"synchronous", "2"}} {
		if err := c.require(want, "commits would not be durable"); err != nil {
			_ = c.Close()
			return nil, err
		}
	}
	return c, nil
}

func (c *conn) require(want pragma, otherwise string) error {
	got, err := c.readPragma(want.name)
	if err != nil {
		return fmt.Errorf("read %s back: %w", want.name, err)
	}
	if len(got) == 0 || fmt.Sprint(got[0]) != want.value {
		return fmt.Errorf("%s is %v and must be %s: %s", want.name, got, want.value, otherwise)
	}
	return nil
}

// overwriteDeleted fills what is deleted with zeros, where a schema asks for it.
func (c *conn) overwriteDeleted(schemas []Schema) error {
	if !slices.ContainsFunc(schemas, func(s Schema) bool { return s.Erases }) {
		return nil
	}
	if err := c.Script("PRAGMA secure_delete=ON"); err != nil {
		return fmt.Errorf("set secure_delete: %w", err)
	}
	return c.require(pragma{"secure_delete", "1"}, "an erasure would leave traces")
}

// readPragma is the one row that a pragma answers.
func (c *conn) readPragma(name string) ([]any, error) {
	s, err := c.take("PRAGMA " + name)
	if err != nil {
		return nil, err
	}
	rows, err := s.Query(context.Background(), nil)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	if !rows.Next() {
		return nil, rows.Err()
	}
	got := make([]any, len(rows.values))
	for i, v := range rows.values {
		got[i] = v
	}
	return got, nil
}

func cacheKiB(n int) pragma { return pragma{"cache_size", strconv.Itoa(-n)} }

// Begin takes SQLite's one lock for writing. Unless the file is shared it is locked against other processes, and there is
// no other writer.
func (c *conn) Begin() (alone bool, err error) {
	if c.quiet != nil {
		c.quiet.Lock()
	}
	if err := c.run("BEGIN IMMEDIATE"); err != nil || !c.shared {
		return true, err
	}
	before := c.seen
	c.seen = c.version()
	return c.seen == before, nil
}

// BeginView leaves it to the first statement to take the snapshot.
func (c *conn) BeginView() error { return c.run("BEGIN") }

// BeginGlance has nothing to do: a statement outside of any transaction is one of its own.
func (c *conn) BeginGlance() error {
	c.glance = true
	return nil
}

// Flush has nothing to wait for.
func (c *conn) Flush() error { return nil }

// Commit has nobody to tell news to.
func (c *conn) Commit(int64) error {
	if err := c.run("COMMIT"); err != nil {
		return err
	}
	if c.grew != nil {
		c.grew(c.pagesWritten())
	}
	c.rest()
	return nil
}

// Rollback fails when an error has rolled back already.
func (c *conn) Rollback() error {
	if c.glance {
		c.glance = false
		return nil
	}
	defer c.rest()
	return c.run("ROLLBACK")
}

func (c *conn) rest() {
	if c.quiet != nil {
		c.quiet.Unlock()
	}
}

// Savepoint sets the one savepoint.
func (c *conn) Savepoint() error { return c.run("SAVEPOINT member") }

// Release forgets it and keeps what was written since.
func (c *conn) Release() error { return c.run("RELEASE member") }

// RollbackTo undoes what was written since.
func (c *conn) RollbackTo() error { return c.run("ROLLBACK TO member") }

// Script runs statements separated by semicolons, unprepared.
func (c *conn) Script(text string) error {
	_, err := c.raw.(driver.ExecerContext).ExecContext(context.Background(), text, nil)
	return err
}

// run is Exec of a statement of our own, without arguments.
func (c *conn) run(query string) error {
	s, err := c.take(query)
	if err != nil {
		return err
	}
	defer c.give(s)
	_, err = s.exec.ExecContext(context.Background(), nil)
	return err
}

// Writes reports whether it may change something: all but SELECT.
func (s *stmt) Writes() bool { return s.writes }

// Counts is true of INSERT, UPDATE and DELETE; a CREATE does not say what it changed.
func (s *stmt) Counts() bool { return s.counts }

// Exec runs a statement without rows.
func (s *stmt) Exec(_ context.Context, args []any) (int64, error) {
	bound, err := s.conn.bind(args)
	if err != nil {
		return 0, err
	}
	result, err := s.exec.ExecContext(context.Background(), bound)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// Do waits all the same: nothing is far.
func (s *stmt) Do(args []any) (idle bool, err error) {
	affected, err := s.Exec(context.Background(), args)
	return affected == 0 && s.counts, err
}

// Query gives the statement back when the rows are closed.
func (s *stmt) Query(_ context.Context, args []any) (*Rows, error) {
	bound, err := s.conn.bind(args)
	if err != nil {
		s.give()
		return nil, err
	}
	from, err := s.query.QueryContext(context.Background(), bound)
	if err != nil {
		s.give()
		return nil, err
	}
	if n := len(from.Columns()); len(s.values) != n {
		s.values = make([]driver.Value, n)
	}
	return &Rows{from: from, values: s.values, done: s.give}, nil
}

// Done gives the statement back.
func (s *stmt) Done() { s.give() }

func (c *conn) bind(args []any) ([]driver.NamedValue, error) {
	c.args = c.args[:0]
	for i, arg := range args {
		v, err := Value(arg)
		if err != nil {
			return nil, fmt.Errorf("bind argument %d: %w", i+1, err)
		}
		c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	return c.args, nil
}

// pagesWritten is by how much this connection has lengthened the log since it was last asked.
func (c *conn) pagesWritten() int {
	pages, _, err := c.raw.(sqlite.DBStatus).Status(sqlite.DBStatusCacheWrite, true)
	if err != nil {
		return 1 // at least; it fails only for a counter that is unknown
	}
	return pages
}

// Take is take for those who know no more than Conn.
func (c *conn) Take(query string) (Stmt, error) {
	s, err := c.take(query)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// take finds or prepares a statement. One whose rows are being read is not disturbed: its text is prepared once more.
func (c *conn) take(query string) (*stmt, error) {
	known, ok := c.stmts[query]
	if ok && !known.busy {
		known.busy = true
		return known, nil
	}
	s, err := c.prepare(query)
	if err == nil && !ok {
		c.makeRoom()
		c.stmts[query], s.kept = s, true
	}
	return s, err
}

func (c *conn) prepare(query string) (*stmt, error) {
	raw, err := c.raw.(driver.ConnPrepareContext).PrepareContext(context.Background(), keepPlan(query))
	if err != nil {
		return nil, err
	}
	writes, counts := Verb(query)
	s := &stmt{
		conn: c, exec: raw.(driver.StmtExecContext), query: raw.(driver.StmtQueryContext), close: raw.Close,
		writes: writes, counts: counts, busy: true,
	}
	s.give = func() { c.give(s) }
	return s, nil
}

// keepPlan spares a statement from being planned anew at each run: SQLite does so whenever a LIMIT is a parameter and
// nothing else, because the value might change the plan. That costs more than most of our statements do.
func keepPlan(query string) string { return strings.ReplaceAll(query, "LIMIT ?", "LIMIT ? + 0") }

// Verb says of a statement whether it may change something, and whether it changes just as many rows as it says.
func Verb(query string) (writes, counts bool) {
	words := strings.Fields(query)
	if len(words) == 0 {
		return true, false
	}
	switch strings.ToUpper(words[0]) {
	case "SELECT":
		return false, false
	case "INSERT", "UPDATE", "DELETE":
		return true, !strings.Contains(query, ";")
	}
	return true, false
}

// makeRoom closes any idle statement when there are too many; which one does not matter to a room with a fixed set.
func (c *conn) makeRoom() {
	if len(c.stmts) < stmtsMax {
		return
	}
	for query, s := range c.stmts {
		if !s.busy {
			delete(c.stmts, query)
			_ = s.close()
			return
		}
	}
}

func (c *conn) give(s *stmt) {
	s.busy = false
	if !s.kept {
		_ = s.close()
	}
}

// Close closes the statements too.
func (c *conn) Close() error {
	for _, s := range c.stmts {
		_ = s.close()
	}
	return c.raw.Close()
}
