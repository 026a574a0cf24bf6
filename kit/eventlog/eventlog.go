// Package eventlog keeps what happened, in order: streams with expected versions, and one tail over all of them without
// gaps. It is also the outbox of rooms that are not event-sourced: state and event in one transaction.
//
//	Append in an Update → durable commit → Head moves, Wait wakes → After reads on
//
// Nothing in it carries a name, mail or address: events outlive the rows that an erasure destroys.
package eventlog

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"time"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

// Meta says who, why and within what an event happened.
type Meta struct {
	Shop        string
	Actor       string // "kind:id"
	OnBehalfOf  string
	Reason      string
	Correlation string
	Causation   string
	Trace       string
	Time        time.Time // microseconds, UTC
}

// Event is one fact to append.
type Event struct {
	Type   string
	Schema int // version of Data's shape, from 1
	Data   []byte
	Meta   Meta
}

// Recorded is an event in its place.
type Recorded struct {
	Event
	Position int64  // in the log, contiguous from 1
	Prev     int64  // position of the previous event of this stream, 0 for the first
	Stream   string // such as an order's id
	Version  int64  // in the stream, contiguous from 1
}

// Any as the expected version appends whatever the stream's version is.
const Any int64 = -1

// LimitMax bounds one reading.
const LimitMax = 10_000

// ConflictError says that a stream is not at the version that was expected: somebody else decided first.
type ConflictError struct {
	Stream           string
	Expected, Actual int64
}

// Error names the stream and both versions.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("append to %s: expected version %d, is at %d", e.Stream, e.Expected, e.Actual)
}

//go:embed migrations/*.sql
var migrations embed.FS

// Schema is the log's table, for sqlstore.Options.
func Schema() sqlstore.Schema {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic("eventlog: " + err.Error()) // only for a path that is not one
	}
	return sqlstore.Schema{Name: "eventlog", Files: files}
}

// Log is the log of one store. It is safe for concurrency. A process has one Log of a store, for it remembers how streams
// end and moves its Head by what was appended through it. Where other processes append too, they tell each other how far
// the log has come: their Heads follow at once as a rule, and within seconds when the news was lost.
type Log struct {
	store *sqlstore.Store
	head  head
	tail  tail
	ends  ends // used within updates only, which run one after the other
}

// New reads the head of the store's log. The store has been opened with Schema.
func New(store *sqlstore.Store) (*Log, error) {
	l := &Log{store: store}
	if err := l.look(context.Background()); err != nil {
		return nil, err
	}
	store.Listen(l.hear)
	return l, nil
}

// lookTimeout bounds a look at the log's end; the next is a second away.
const lookTimeout = 5 * time.Second

// hear moves the head to where another process has come, or looks where that is.
func (l *Log) hear(last int64) {
	if last == 0 {
		ctx, cancel := context.WithTimeout(context.Background(), lookTimeout)
		defer cancel()
		_ = l.look(ctx) // the store says to all who read it why it cannot be read, and the next look is a second away
		return
	}
	l.head.advance(last)
}

const (
	insertEvent = `INSERT INTO events (position, stream, version, prev, type, schema, data, time,
	shop, actor, on_behalf_of, reason, correlation, causation, trace) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

	selectEvents = `SELECT position, stream, version, prev, type, schema, data, time,
	shop, actor, on_behalf_of, reason, correlation, causation, trace FROM events `

	selectStream = selectEvents + "WHERE stream = ? AND version > ? ORDER BY version LIMIT ?"
	selectAfter  = selectEvents + "WHERE position > ? ORDER BY position LIMIT ?"
)

// Append adds events to the end of a stream and returns its new version. Unless expected is Any, the stream must be at
// that version (0: it does not exist yet); if it is not, the error is a *ConflictError. Their data is the log's from then
// on: nobody changes it.
func (l *Log) Append(tx sqlstore.Tx, stream string, expected int64, events ...Event) (version int64, err error) {
	last, at, err := l.ends.read(tx, stream)
	if err != nil {
		return 0, fmt.Errorf("read end of stream %s: %w", stream, err)
	}
	if expected != Any && expected != at.version {
		return at.version, &ConflictError{stream, expected, at.version}
	}
	if len(events) == 0 {
		return at.version, nil
	}
	made := make([]Recorded, len(events))
	for i := range events {
		next := end{position: last + 1, version: at.version + 1}
		made[i] = recorded(stream, next, at.position, &events[i])
		if err := insert(tx, &made[i]); err != nil {
			l.ends.forget()
			return 0, fmt.Errorf("append %s to %s: %w", events[i].Type, stream, err)
		}
		last, at = next.position, next
	}
	l.ends.keep(stream, at)
	tx.AfterCommit(func() {
		l.tail.keep(made)
		l.head.advance(last)
	})
	sqlstore.Announce(tx, last)
	return at.version, nil
}

func insert(tx sqlstore.Tx, r *Recorded) error {
	m := &r.Meta
	err := tx.Do(insertEvent, r.Position, r.Stream, r.Version, r.Prev, r.Type, r.Schema, r.Data, m.Time,
		m.Shop, m.Actor, m.OnBehalfOf, m.Reason, m.Correlation, m.Causation, m.Trace)
	return err
}

// Stream reads events of one stream whose version is above after, in order, at most limit (1 to LimitMax).
func (l *Log) Stream(tx sqlstore.Tx, stream string, after int64, limit int) ([]Recorded, error) {
	read, err := read(tx, limit, selectStream, stream, after, limit)
	if err != nil {
		return nil, fmt.Errorf("read stream %s after version %d: %w", stream, after, err)
	}
	return read, nil
}

// After reads the tail of the whole log, in order: events whose position is above it, at most limit (1 to LimitMax). It
// may be fewer than there are. Readers share them and change nothing in them.
func (l *Log) After(ctx context.Context, position int64, limit int) (events []Recorded, err error) {
	if events := l.tail.after(position, limit); len(events) > 0 && limit <= LimitMax {
		return events, nil
	}
	err = l.store.Glance(ctx, func(tx sqlstore.Tx) error {
		events, err = read(tx, limit, selectAfter, position, limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read event log after %d: %w", position, err)
	}
	return events, nil
}

// Begin is where a stream begins in the log.
type Begin struct {
	Position int64
	Stream   string
}

// Begun lists the streams that begin after a position, in the order of their beginning, at most limit (1 to LimitMax).
// It reads no event's data.
func (l *Log) Begun(tx sqlstore.Tx, position int64, limit int) (begun []Begin, err error) {
	if limit < 1 || limit > LimitMax {
		return nil, fmt.Errorf("a limit of %d is not within 1 and %d", limit, LimitMax)
	}
	rows, err := tx.Query(`SELECT position, stream FROM events WHERE position > ? AND prev = 0 ORDER BY position LIMIT ?`, position, limit)
	if err != nil {
		return nil, fmt.Errorf("list streams begun after %d: %w", position, err)
	}
	defer rows.Close()
	for rows.Next() {
		var b Begin
		if err := rows.Scan(&b.Position, &b.Stream); err != nil {
			return nil, err
		}
		begun = append(begun, b)
	}
	return begun, rows.Err()
}

// Head is the last durable position, 0 for an empty log.
func (l *Log) Head() int64 { return l.head.now() }

// HeadNow is Head for whoever must not miss what another process of the room has just made durable: where there are
// others, the store is asked.
func (l *Log) HeadNow(ctx context.Context) (int64, error) {
	if !l.store.Shared() {
		return l.Head(), nil
	}
	if err := l.look(ctx); err != nil {
		return 0, err
	}
	return l.Head(), nil
}

// look moves the head to where the store's log ends.
func (l *Log) look(ctx context.Context) error {
	var last int64
	err := l.store.Glance(ctx, func(tx sqlstore.Tx) error { return tx.QueryRow(selectLast).Scan(&last) })
	if err != nil {
		return fmt.Errorf("read head of event log: %w", err)
	}
	l.head.advance(last)
	return nil
}

// Wait returns nil once Head is above after, or the context's error.
func (l *Log) Wait(ctx context.Context, after int64) error { return l.head.wait(ctx, after) }

func read(tx sqlstore.Tx, limit int, query string, args ...any) ([]Recorded, error) {
	if limit < 1 || limit > LimitMax {
		return nil, fmt.Errorf("a limit of %d is not within 1 and %d", limit, LimitMax)
	}
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var events []Recorded
	for rows.Next() {
		events = append(events, Recorded{})
		if err := scan(rows, &events[len(events)-1]); err != nil {
			return nil, err
		}
	}
	return events, rows.Err()
}

func scan(rows *sqlstore.Rows, r *Recorded) error {
	m := &r.Meta
	err := rows.Scan(&r.Position, &r.Stream, &r.Version, &r.Prev, &r.Type, &r.Schema, &r.Data, &m.Time,
		&m.Shop, &m.Actor, &m.OnBehalfOf, &m.Reason, &m.Correlation, &m.Causation, &m.Trace)
	if r.Data == nil {
		r.Data = []byte{}
	}
	return err
}
