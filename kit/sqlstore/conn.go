package sqlstore

import (
	"context"
	"database/sql/driver"
	"fmt"
	"net/url"
	"strconv"
	"strings"

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
	raw   driver.Conn
	stmts map[string]*stmt
	args  []driver.NamedValue // reused; the driver copies what it binds
}

type stmt struct {
	exec   driver.StmtExecContext
	query  driver.StmtQueryContext
	close  func() error
	writes bool           // may change something: all but SELECT
	counts bool           // changes just as many rows as it says: INSERT, UPDATE, DELETE; a CREATE does not say
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
		if err := c.script("PRAGMA " + p.name + "=" + p.value); err != nil {
			_ = c.close()
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
	for _, want := range []pragma{{"journal_mode", "wal"}, {"synchronous", "2"}} {
		if err := c.require(want); err != nil {
			_ = c.close()
			return nil, err
		}
	}
	return c, nil
}

func (c *conn) require(want pragma) error {
	got, err := c.readPragma(want.name)
	if err != nil {
		return fmt.Errorf("read %s back: %w", want.name, err)
	}
	if len(got) == 0 || fmt.Sprint(got[0]) != want.value {
		return fmt.Errorf("%s is %v and must be %s: commits would not be durable", want.name, got, want.value)
	}
	return nil
}

// readPragma is the one row that a pragma answers.
func (c *conn) readPragma(name string) ([]any, error) {
	rows, err := c.query("PRAGMA "+name, nil)
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

// script runs statements separated by semicolons, unprepared.
func (c *conn) script(text string) error {
	_, err := c.raw.(driver.ExecerContext).ExecContext(context.Background(), text, nil)
	return err
}

// run is exec of a statement of our own, without arguments.
func (c *conn) run(query string) error {
	s, err := c.take(query)
	if err != nil {
		return err
	}
	defer c.give(s)
	_, err = s.exec.ExecContext(context.Background(), nil)
	return err
}

// exec runs a statement without rows.
func (c *conn) exec(s *stmt, args []any) (int64, error) {
	bound, err := c.bind(args)
	if err != nil {
		return 0, err
	}
	result, err := s.exec.ExecContext(context.Background(), bound)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (c *conn) query(query string, args []any) (*Rows, error) {
	s, err := c.take(query)
	if err != nil {
		return nil, err
	}
	return c.rows(s, args)
}

// rows gives the statement back when the rows are closed.
func (c *conn) rows(s *stmt, args []any) (*Rows, error) {
	bound, err := c.bind(args)
	if err != nil {
		c.give(s)
		return nil, err
	}
	from, err := s.query.QueryContext(context.Background(), bound)
	if err != nil {
		c.give(s)
		return nil, err
	}
	if n := len(from.Columns()); len(s.values) != n {
		s.values = make([]driver.Value, n)
	}
	return &Rows{from: from, values: s.values, done: s.give}, nil
}

func (c *conn) bind(args []any) ([]driver.NamedValue, error) {
	c.args = c.args[:0]
	for i, arg := range args {
		v, err := value(arg)
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
	verb := firstWord(query)
	s := &stmt{
		exec: raw.(driver.StmtExecContext), query: raw.(driver.StmtQueryContext), close: raw.Close,
		writes: verb != "SELECT",
		counts: (verb == "INSERT" || verb == "UPDATE" || verb == "DELETE") && !strings.Contains(query, ";"),
		busy:   true,
	}
	s.give = func() { c.give(s) }
	return s, nil
}

// keepPlan spares a statement from being planned anew at each run: SQLite does so whenever a LIMIT is a parameter and
// nothing else, because the value might change the plan. That costs more than most of our statements do.
func keepPlan(query string) string { return strings.ReplaceAll(query, "LIMIT ?", "LIMIT ? + 0") }

func firstWord(query string) string {
	if words := strings.Fields(query); len(words) > 0 {
		return strings.ToUpper(words[0])
	}
	return ""
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

func (c *conn) close() error {
	for _, s := range c.stmts {
		_ = s.close()
	}
	return c.raw.Close()
}
