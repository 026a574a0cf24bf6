package pgstore

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

// stmt is one statement of a room on one session. It is prepared when it first runs, and again on a new connection.
type stmt struct {
	s       *session
	text    string
	writes  bool
	counts  bool
	kept    bool           // in the session's map; others are prepared without a name, each time
	on      *pgconn.PgConn // the connection on which it is prepared
	known   *pgconn.StatementDescription
	formats []int16  // of its columns
	values  [][]byte // arguments, reused
	types   []int16  // their formats, reused
}

// Take finds the statement; what is wrong with one shows when it runs.
func (s *session) Take(query string) (sqlstore.Stmt, error) {
	st, ok := s.stmts[query]
	if ok {
		return st, nil
	}
	st = &stmt{s: s, text: portable(query)}
	st.writes, st.counts = sqlstore.Verb(query)
	if st.kept = len(s.stmts) < stmtsMax; st.kept {
		s.stmts[query] = st
	}
	return st, nil
}

func (st *stmt) Writes() bool { return st.writes }

func (st *stmt) Counts() bool { return st.counts }

// Done leaves it prepared.
func (st *stmt) Done() {}

// Exec runs it to its end.
func (st *stmt) Exec(ctx context.Context, args []any) (int64, error) {
	r, err := st.start(ctx, args)
	if err != nil {
		return 0, err
	}
	if err := r.Close(); err != nil {
		return 0, err
	}
	return r.tag.RowsAffected(), nil
}

// Query returns when the first row, or the end, is there.
func (st *stmt) Query(ctx context.Context, args []any) (*sqlstore.Rows, error) {
	r, err := st.start(ctx, args)
	if err != nil {
		return nil, err
	}
	return sqlstore.NewRows(r, nil), nil
}

// start sends the statement, in a view's beginning together with its BEGIN. There a connection that was lost while nobody
// used it is replaced.
func (st *stmt) start(ctx context.Context, args []any) (r *rows, err error) {
	if ctx == context.Background() {
		ctx = st.s.base
	}
	for range 2 {
		r, err = st.send(ctx, args)
		if err == nil || !st.s.fresh() || !st.s.dead() || ctx.Err() != nil {
			break
		}
		st.s.drop()
	}
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return r, err
}

func (st *stmt) send(ctx context.Context, args []any) (*rows, error) {
	s := st.s
	if s.fresh() && s.dead() {
		if err := s.connect(ctx); err != nil {
			return nil, finalError{err}
		}
	}
	if err := s.settle(); err != nil {
		return nil, err
	}
	if err := st.prepare(ctx); err != nil {
		return nil, err
	}
	if err := st.bind(args); err != nil {
		return nil, err
	}
	r := &rows{s: s, ctx: ctx, fields: st.known.Fields, formats: st.formats}
	switch {
	case s.pending:
		return r, r.begin(st)
	case s.queue.pipeline != nil:
		return r, r.after(st)
	}
	r.from = s.raw.ExecStatement(ctx, st.known, st.values, st.types, st.formats)
	if s.glance && s.dead() { // it was lost while nobody used it
		_, err := r.from.Close()
		return nil, s.failed(err)
	}
	s.reading = r
	return r, nil
}

// prepare has the server plan it, which tells the types of arguments and columns.
func (st *stmt) prepare(ctx context.Context) error {
	s := st.s
	if st.on == s.raw {
		return nil
	}
	if err := s.Flush(); err != nil {
		return err
	}
	name := ""
	if st.kept {
		s.named++
		name = "s" + strconv.Itoa(s.named)
	}
	known, err := s.raw.Prepare(ctx, name, st.text, nil)
	if err != nil {
		return s.failed(fmt.Errorf("%w, in: %s", err, st.text))
	}
	st.on, st.known, st.formats = s.raw, known, make([]int16, len(known.Fields))
	for i, f := range known.Fields {
		st.formats[i] = formatOf(f.DataTypeOID)
	}
	return nil
}

func (st *stmt) bind(args []any) error {
	if len(args) != len(st.known.ParamOIDs) {
		return fmt.Errorf("bind arguments: %d for %d placeholders in: %s", len(args), len(st.known.ParamOIDs), st.text)
	}
	st.values, st.types = st.values[:0], st.types[:0]
	for i, arg := range args {
		v, err := sqlstore.Value(arg)
		if err == nil {
			var bytes []byte
			var format int16
			bytes, format, err = encode(v, st.known.ParamOIDs[i])
			st.values, st.types = append(st.values, bytes), append(st.types, format)
		}
		if err != nil {
			return fmt.Errorf("bind argument %d: %w", i+1, err)
		}
	}
	return nil
}
