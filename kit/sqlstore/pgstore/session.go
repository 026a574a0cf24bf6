package pgstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// session is one connection and, after that was lost, the next: what it does for a store is in sqlstore.Conn. Statements
// of our own are prepared when it connects, each room's when it first runs.
type session struct {
	d       *database
	as      role
	base    context.Context // of all that no caller may cut short
	raw     *pgconn.PgConn
	stmts   map[string]*stmt
	named   int   // statements, to name the next
	pending bool  // a view has begun; its BEGIN travels with the first statement
	glance  bool  // a view of one statement has begun, which goes without BEGIN
	reading *rows // the result that is coming in
	queue   queue // statements that are yet to be sent
}

// Our own statements, by the names under which each connection has them: those of views, and those of updates.
var oursToView = map[string]string{
	"view":     "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
	"rollback": "ROLLBACK",
}

var oursToWrite = map[string]string{
	"begin":      "BEGIN ISOLATION LEVEL SERIALIZABLE",
	"lock":       "LOCK TABLE souk_writer IN EXCLUSIVE MODE",
	"holder":     "UPDATE souk_writer SET holder = $1 WHERE holder <> $1",
	"commit":     "COMMIT",
	"rollback":   "ROLLBACK",
	"savepoint":  "SAVEPOINT member",
	"release":    "RELEASE SAVEPOINT member",
	"rollbackto": "ROLLBACK TO SAVEPOINT member",
	"notify":     notify,
}

func newSession(d *database, as role, base context.Context) *session {
	return &session{d: d, as: as, base: base, stmts: map[string]*stmt{}}
}

func (d *database) openWriter(ctx context.Context) (*session, error) {
	s := newSession(d, writes, context.Background())
	if err := s.connect(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// dead reports whether the connection is gone.
func (s *session) dead() bool { return s.raw == nil || s.raw.IsClosed() }

// connect makes a new connection that knows our statements, and checks what commits on it are worth.
func (s *session) connect(ctx context.Context) error {
	s.drop()
	raw, err := s.d.dial(ctx, s.as, nil)
	if err != nil {
		return err
	}
	s.raw = raw
	if err := s.prime(ctx); err != nil {
		s.drop()
		return s.d.explain(err)
	}
	if s.as != writes {
		return nil
	}
	if err := s.requireDurable(ctx); err != nil {
		s.drop()
		return err
	}
	return nil
}

// prime prepares our own statements in one round trip. Whoever only reads leaves out those of writers: to
// prepare the one that names souk_writer waits for the lock that a writer holds.
func (s *session) prime(ctx context.Context) error {
	ours := oursToWrite
	if s.readsOnly() {
		ours = oursToView
	}
	p := s.raw.StartPipeline(ctx)
	for name, text := range ours {
		p.SendPrepare(name, text, nil)
	}
	return errors.Join(p.Sync(), p.Close())
}

func (s *session) readsOnly() bool { return s.as == reads || s.as == copies }

// requireDurable refuses a server that acknowledges what a crash may take back.
func (s *session) requireDurable(ctx context.Context) error {
	r := s.raw.ExecParams(ctx, `SELECT name FROM pg_settings
		WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting = 'off' ORDER BY name`, nil, nil, nil, nil).Read()
	if r.Err != nil {
		return fmt.Errorf("read the settings of commits: %w", r.Err)
	}
	if len(r.Rows) > 0 {
		return fmt.Errorf("%s is off and must be on: commits would not be durable", r.Rows[0][0])
	}
	return nil
}

// drop forgets the connection and all that it knew.
func (s *session) drop() {
	if s.raw == nil {
		return
	}
	s.reading, s.queue = nil, queue{}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = s.raw.Close(ctx) // it only fails to say good-bye
	s.raw = nil
	s.d.connections.Dec()
}

// Close waits a little for a connection that was lost to be cleared away.
func (s *session) Close() error {
	if s.raw == nil {
		return nil
	}
	gone := s.raw.CleanupDone()
	s.drop()
	select {
	case <-gone:
	case <-time.After(answerTimeout):
	}
	return nil
}

// call is one of our own statements with its arguments.
type call struct {
	name string
	args []string
}

// burst runs statements of our own in one round trip and returns their tags; after one that fails none runs.
func (s *session) burst(calls ...call) (read []pgconn.CommandTag, err error) {
	if err := s.settle(); err != nil {
		return nil, err
	}
	p, queued := s.pipeline()
	for _, c := range calls {
		c.send(p)
	}
	if err = p.Sync(); err == nil {
		read, err = tags(p, queued+len(calls))
	}
	if closed := p.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return nil, s.failed(err)
	}
	return read[queued:], nil
}

func (c call) send(p *pgconn.Pipeline) {
	args := make([][]byte, len(c.args))
	for i, arg := range c.args {
		args[i] = []byte(arg)
	}
	p.SendQueryPrepared(c.name, args, nil, nil)
}

// nextTag reads the next answer to its end.
func nextTag(p *pgconn.Pipeline) (pgconn.CommandTag, error) {
	results, err := p.GetResults()
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	rr, ok := results.(*pgconn.ResultReader)
	if !ok {
		return pgconn.CommandTag{}, fmt.Errorf("the server answered out of turn: %T", results)
	}
	return rr.Close()
}

// Begin connects if need be, takes the writers' lock and only then its snapshot. A connection that was lost while nobody
// used it is replaced.
func (s *session) Begin() (alone bool, err error) {
	fresh := s.dead()
	if fresh {
		if err := s.connect(s.base); err != nil {
			return false, finalError{err}
		}
	}
	tags, err := s.burst(call{name: "begin"}, call{name: "lock"}, call{"holder", []string{s.d.me}})
	switch {
	case err == nil:
		return tags[2].RowsAffected() == 0, nil
	case s.dead() && !fresh:
		s.drop()
		return s.Begin()
	case s.dead():
		return false, finalError{err}
	}
	return false, err
}

// BeginView begins with the first statement.
func (s *session) BeginView() error {
	s.pending = true
	return nil
}

// BeginGlance leaves it to the one statement.
func (s *session) BeginGlance() error {
	s.glance = true
	return nil
}

// fresh is a view whose first statement has not been answered, so that a connection lost while idle may be replaced.
func (s *session) fresh() bool { return s.pending || s.glance }

// Commit leaves the outcome unknown when the connection is lost meanwhile: then it must not run again.
func (s *session) Commit(news int64) error {
	if err := s.settle(); err != nil {
		return err
	}
	p, queued := s.pipeline()
	call{name: "commit"}.send(p)
	if news != 0 && s.d.others.any() {
		p.SendPipelineSync() // after the commit, not within it: NOTIFY holds a lock of the whole database until its own
		call{"notify", []string{s.d.channel(), strconv.FormatInt(news, 10)}}.send(p)
	}
	err := p.Sync()
	var tag pgconn.CommandTag
	if err == nil {
		_, err = tags(p, queued)
	}
	if err == nil {
		tag, err = nextTag(p)
	}
	told := p.Close()
	switch {
	case codeOf(err) == idleTooLong:
		return s.failed(err) // the server had ended the transaction before the commit came
	case err != nil && s.dead():
		return finalError{fmt.Errorf("it is not known whether the commit was kept: %w", err)}
	case err != nil:
		return s.failed(err)
	case tag.String() != "COMMIT":
		return finalError{fmt.Errorf("the server answered the commit with %s", tag)}
	case told != nil:
		s.d.log.Warn("other processes were not told of a commit; they look for themselves", "store", s.d.schema, "error", told)
	}
	if s.as == writes {
		s.d.statistics.committed()
	}
	return nil
}

// Rollback has nothing to do before a view's first statement, nor after one that is alone.
func (s *session) Rollback() error {
	if s.glance {
		s.glance = false
		return s.settle()
	}
	if s.pending {
		s.pending = false
		return nil
	}
	_ = s.Flush() // what is undone need not have succeeded; a connection that is lost is told below
	return s.run("rollback")
}

// Savepoint replaces the one before, of which only the newest is ever gone back to.
func (s *session) Savepoint() error { return s.run("savepoint") }

// Release keeps what was written since.
func (s *session) Release() error { return s.run("release") }

// RollbackTo undoes what was written since.
func (s *session) RollbackTo() error {
	_ = s.Flush() // as above
	return s.run("rollbackto")
}

func (s *session) run(name string) error {
	_, err := s.burst(call{name: name})
	return err
}

// settle readies the connection for another request: what is still coming in is put aside for its reader.
func (s *session) settle() error {
	if s.dead() {
		return errLost
	}
	if s.reading != nil {
		s.reading.putAside()
	}
	if s.dead() {
		return errLost
	}
	return nil
}

// Script runs statements by the simple protocol, which takes several at once.
func (s *session) Script(text string) error {
	if err := s.Flush(); err != nil {
		return err
	}
	if err := s.settle(); err != nil {
		return err
	}
	_, err := s.raw.Exec(s.base, portable(text)).ReadAll()
	return s.failed(err)
}
