package sqlstore

import (
	"context"
	"errors"
)

// errEnded answers whoever keeps a Tx beyond its function.
var errEnded = errors.New("the transaction has ended")

// errGlanced answers the second statement of a Glance.
var errGlanced = errors.New("a Glance makes one statement; for more of them there is View")

// tx is a transaction on one connection.
type tx struct {
	ctx     context.Context // the caller's
	marked  context.Context // made when asked for
	conn    Conn
	update  *group // the group commit that it is part of; nil in a View
	open    []*Rows
	few     [2]*Rows // where open begins
	hooks   []func()
	news    int64
	glance  bool  // there is one statement
	glanced bool  // it was made
	wrote   bool  // a statement changed something
	aborted error // an error behind which the transaction goes on only from a savepoint
	fatal   error // an error that ended the outer transaction
	ended   bool
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
	defer s.Done()
	affected, err := s.Exec(t.patience(), args)
	if err != nil {
		return 0, t.note(err)
	}
	if s.Writes() && (affected > 0 || !s.Counts()) {
		t.wrote = true
	}
	return affected, nil
}

func (t *tx) Do(query string, args ...any) error {
	if t.update == nil {
		_, err := t.Exec(query, args...)
		return err
	}
	s, err := t.take(query)
	if err != nil {
		return t.note(err)
	}
	defer s.Done()
	idle, err := s.Do(args)
	if err != nil {
		return t.note(err)
	}
	t.wrote = t.wrote || !idle && s.Writes()
	return nil
}

func (t *tx) Query(query string, args ...any) (*Rows, error) {
	s, err := t.take(query)
	if err != nil {
		return nil, t.note(err)
	}
	writes := s.Writes()
	rows, err := s.Query(t.patience(), args)
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

// patience bounds a statement: a View ends with its caller, an Update that has begun is waited for.
func (t *tx) patience() context.Context {
	if t.update == nil {
		return t.ctx
	}
	return context.Background()
}

// Announce has the store's listeners in other processes hear news, a number above 0 such as how far a log has come, once
// the update is durable; of several in one commit they hear the last. Where nobody else can listen it does nothing.
func Announce(of Tx, news int64) {
	if t, ok := of.(*tx); ok {
		t.news = news
	}
}

// anything is heard where nothing in particular is announced.
const anything = -1

// Hint has other processes hear, by Elsewhere, that rows have changed of which nothing is announced. What is announced
// in the same commit is a hint as well.
func Hint(of Tx) {
	if t, ok := of.(*tx); ok && t.news == 0 {
		t.news = anything
	}
}

// Undone counts how often a store has undone what one of its updates wrote, or has found that another process wrote.
// While it stays the same, whatever an update of this store has written or read, in this group or one before, still
// stands for the next update: what was learnt from it need not be read again. ok is false where that cannot be said: in
// a View, or of a Tx that is not a store's own.
func Undone(of Tx) (times uint64, ok bool) {
	t, ok := of.(*tx)
	if !ok || t.update == nil {
		return 0, false
	}
	return t.update.w.undone, true
}

// take readies a statement, and in an Update the savepoint before the first.
func (t *tx) take(query string) (Stmt, error) {
	if err := t.over(); err != nil {
		return nil, err
	}
	if t.update != nil {
		if err := t.update.protect(); err != nil {
			return nil, err
		}
	}
	return t.conn.Take(query)
}

// over is why no more statement can run.
func (t *tx) over() error {
	switch {
	case t.ended:
		return errEnded
	case t.fatal != nil:
		return t.fatal
	case t.aborted != nil:
		return t.aborted
	case t.glanced:
		return errGlanced
	case t.update == nil:
		t.glanced = t.glance
		return t.ctx.Err()
	}
	return nil
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

// note remembers an error after which the transaction does not simply go on.
func (t *tx) note(err error) error {
	if t.update == nil && t.ctx.Err() != nil {
		t.aborted = err // a caller who has left says nothing about the database
		return err
	}
	switch t.conn.Fate(err) {
	case Again, Lost:
		if t.fatal == nil {
			t.fatal = err
		}
	case Aborted:
		if t.aborted == nil {
			t.aborted = err
		}
	case Stands:
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
