package sqlstore

import (
	"context"
	"errors"
)

// errEnded answers whoever keeps a Tx beyond its function.
var errEnded = errors.New("the transaction has ended")

// tx is a transaction on one connection.
type tx struct {
	ctx    context.Context // the caller's
	marked context.Context // made when asked for
	conn   *conn
	update *group // the group commit that it is part of; nil in a View
	open   []*Rows
	few    [2]*Rows // where open begins
	hooks  []func()
	wrote  bool  // a statement changed something
	fatal  error // an error that ended the outer transaction
	ended  bool
}

func (t *tx) Context() context.Context {
	if t.marked == nil {
		t.marked = mark(t.ctx)
	}
	return t.marked
}

func (t *tx) Exec(query string, args ...any) (int64, error) {
	s, err := t.take(query)
	if err != nil {
		return 0, t.note(err)
	}
	defer t.conn.give(s)
	affected, err := t.conn.exec(s, args)
	if err != nil {
		return 0, t.note(err)
	}
	if s.writes && (affected > 0 || !s.counts) {
		t.wrote = true
	}
	return affected, nil
}

func (t *tx) Query(query string, args ...any) (*Rows, error) {
	s, err := t.take(query)
	if err != nil {
		return nil, t.note(err)
	}
	writes := s.writes
	rows, err := t.conn.rows(s, args)
	if err != nil {
		return nil, t.note(err)
	}
	if writes {
		t.wrote = true // such as RETURNING; how many rows is not known yet
	}
	t.watch(rows)
	return rows, nil
}

func (t *tx) QueryRow(query string, args ...any) Row { return NewRow(t.Query(query, args...)) }

func (t *tx) AfterCommit(fn func()) {
	if t.update == nil {
		panic("sqlstore: AfterCommit in a View, which commits nothing")
	}
	t.hooks = append(t.hooks, fn)
}

// Undone counts how often a store has undone what one of its updates wrote. While it stays the same, whatever an update
// of this store has written or read, in this group or one before, still stands for the next update: what was learnt from
// it need not be read again. ok is false where that cannot be said: in a View, of a driver that runs updates side by
// side, or of a database that other processes write.
func Undone(of Tx) (times uint64, ok bool) {
	t, ok := of.(*tx)
	if !ok || t.update == nil || t.update.w.shared {
		return 0, false
	}
	return t.update.w.undone, true
}

// take readies a statement, and in an Update the savepoint before the first write.
func (t *tx) take(query string) (*stmt, error) {
	if t.ended {
		return nil, errEnded
	}
	if t.fatal != nil {
		return nil, t.fatal
	}
	if t.update == nil {
		if err := t.ctx.Err(); err != nil {
			return nil, err
		}
	}
	s, err := t.conn.take(query)
	if err != nil || !s.writes || t.update == nil {
		return s, err
	}
	if err := t.update.protect(); err != nil {
		t.conn.give(s)
		return nil, err
	}
	return s, nil
}

// watch sees to rows left open, to their errors, and in a View to a caller who has left.
func (t *tx) watch(rows *Rows) {
	rows.note = t.note
	if t.update == nil {
		rows.ask = t.ctx.Err
	}
	if t.open == nil {
		t.open = t.few[:0]
	}
	if len(t.open) > 0 && t.open[len(t.open)-1].closed {
		t.open = t.open[:len(t.open)-1]
	}
	t.open = append(t.open, rows)
}

// note remembers an error after which the outer transaction cannot commit.
func (t *tx) note(err error) error {
	if t.fatal == nil && (endsTransaction(err) || t.update != nil && cannotWrite(err)) {
		t.fatal = err
	}
	return err
}

// end closes what the function left open; afterwards the Tx answers only errors.
func (t *tx) end() {
	t.ended = true
	for _, rows := range t.open {
		_ = rows.Close()
	}
	t.open = nil
}
