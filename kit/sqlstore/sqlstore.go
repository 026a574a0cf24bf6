// Package sqlstore keeps a room's rows in SQL: serializable updates that share one durable commit, snapshot reads, and
// migrations that only go forward.
//
//	Open → migrate → View / Update … → Close
//
// An Update is acknowledged, and a refusal told, only after everything that it saw is durable. Updates that are waiting
// become members of one group and share its commit: they run one after the other in one transaction, without savepoints,
// for hardly one fails after it wrote. When one does, and the writes of others stand before its own, the transaction is
// rolled back and all from the first writer on run again, each behind a savepoint, so that every outcome, the refusal
// too, is decided on the state that commits. Under load a group waits a fraction of a millisecond for more members.
//
// The SQL is portable: placeholders are ?, column types are INTEGER (64 bits), REAL, TEXT and BLOB, times are INTEGER
// microseconds since 1970 in UTC, and no database's own tricks are used.
package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// ErrNoRows is what Row.Scan returns when the query found nothing.
var ErrNoRows = sql.ErrNoRows

// Tx is one transaction, valid until the function that received it returns. It belongs to that function's goroutine.
//
// Arguments may be nil, bool, string, []byte, time.Time (stored as microseconds), integers, floats and named types of
// these. After a statement has failed, return: not every database goes on with a transaction.
type Tx interface {
	// Context is the caller's context, marked so that InTx reports true and nothing crosses the network with it.
	Context() context.Context
	// Exec runs a statement without rows and tells how many it changed.
	Exec(query string, args ...any) (affected int64, err error)
	// Do is Exec for whoever need not know how many rows it changed. A server is sent the statement together with the next
	// one, so that its error may be returned by that, or be the update's.
	Do(query string, args ...any) error
	// Query runs a statement with rows. Close them; those forgotten are closed when the transaction ends.
	Query(query string, args ...any) (*Rows, error)
	// QueryRow runs a statement of which at most one row matters.
	QueryRow(query string, args ...any) Row
	// AfterCommit runs fn once the outcome is durable and before the caller hears of it; not at all after a refusal.
	// fn must be quick: other callers wait for it. It panics in a View.
	AfterCommit(fn func())
}

// Schema is one component's share of a store: its tables, made by migrations 001_what.sql, 002_… at the root of Files.
type Schema struct {
	Name  string
	Files fs.FS
	// Erases says that its rows are of persons, and what is deleted from them shall leave no trace in the database: SQLite
	// overwrites it with zeros. PostgreSQL can no longer be asked for it; its bytes lie in the files, which only the server
	// reads, until a vacuum and later rows have taken their place.
	Erases bool
}

// Options of a store; the zero value works.
type Options struct {
	Name       string                // the room, as the label of metrics and spans; default "store"
	Schemas    []Schema              // applied in this order when the store opens
	Registerer prometheus.Registerer // nil: metrics are counted and not shown
	Log        *slog.Logger          // nil: slog.Default()
	Readers    int                   // connections for View, opened when needed; default ReadersDefault
	BatchMax   int                   // updates that share one commit at most; default BatchMaxDefault
	QueueMax   int                   // updates that may wait; default QueueMaxDefault
	Wrap       func(Driver) Driver   // puts a wrapper, such as faultstore's, around the driver; nil: none
	Shared     bool                  // other processes write the SQLite file too; see Store.Shared
}

// Defaults and bounds.
const (
	ReadersDefault  = 2
	BatchMaxDefault = 256
	QueueMaxDefault = 1024
)

// Driver is a database beneath a Store. It keeps the contract of View, Glance and Update; the suite in sqlstoretest is its text.
type Driver interface {
	View(ctx context.Context, fn func(Tx) error) error
	Glance(ctx context.Context, fn func(Tx) error) error // a View in which fn makes one statement
	Update(ctx context.Context, fn func(Tx) error) error
	Close() error
}

// Store is an open database. It is safe for concurrency. What lies beneath can be changed while it is in use: see Fence.
type Store struct {
	name    string
	lies    atomic.Pointer[base]
	shared  bool // see Shared; as it was opened, whatever lies beneath later
	updates gate
}

// base is what lies beneath a store.
type base struct {
	Driver
	listen func(hear func(news int64)) // nil: nobody else writes
	bell   Bell                        // rung by what others tell
}

func (s *Store) beneath() Driver { return s.lies.Load().Driver }

// Open opens the SQLite file at path, making it if need be, and migrates it. Other databases have a package each, such
// as pgstore.
func Open(ctx context.Context, path string, o Options) (*Store, error) {
	o = o.WithDefaults()
	s, err := openSQLite(ctx, path, o)
	if err != nil {
		return nil, fmt.Errorf("open store %s at %s: %w", o.Name, path, err)
	}
	return s, nil
}

// WithDefaults fills in what was left zero.
func (o Options) WithDefaults() Options {
	if o.Name == "" {
		o.Name = "store"
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	o.Readers = positiveOr(o.Readers, ReadersDefault)
	o.BatchMax = positiveOr(o.BatchMax, BatchMaxDefault)
	o.QueueMax = positiveOr(o.QueueMax, QueueMaxDefault)
	return o
}

func positiveOr(n, other int) int {
	if n > 0 {
		return n
	}
	return other
}

// Name is the room's, as metrics show it.
func (s *Store) Name() string { return s.name }

// View runs fn on one snapshot of the store, beside any writing. A write in fn fails.
func (s *Store) View(ctx context.Context, fn func(Tx) error) error {
	refuseNested(ctx, s.name, "View")
	if !trace.SpanFromContext(ctx).IsRecording() {
		return s.view(ctx, fn)
	}
	return s.traced(ctx, "view", fn, s.view)
}

// Glance is a View in which fn makes one statement, and a second one fails. A database on a server is then asked once
// and not three times.
func (s *Store) Glance(ctx context.Context, fn func(Tx) error) error {
	refuseNested(ctx, s.name, "Glance")
	if !trace.SpanFromContext(ctx).IsRecording() {
		return s.glance(ctx, fn)
	}
	return s.traced(ctx, "view", fn, s.glance)
}

func (s *Store) view(ctx context.Context, fn func(Tx) error) error {
	return s.asked(func(d Driver) error { return d.View(ctx, fn) })
}

func (s *Store) glance(ctx context.Context, fn func(Tx) error) error {
	return s.asked(func(d Driver) error { return d.Glance(ctx, fn) })
}

// asked asks once more when the driver was swapped and closed before it began.
func (s *Store) asked(ask func(Driver) error) error {
	for {
		asked := s.lies.Load()
		err := ask(asked.Driver)
		if !errors.Is(err, ErrClosed) || s.lies.Load() == asked {
			return err
		}
	}
}

// Update runs fn as if it were alone (serializable) and returns once its outcome is durable. What fn returns is what
// Update returns, and an error undoes all that fn did.
//
// fn may run more than once, so it sets what it hands out anew each time, and does no I/O of its own. It must not call this store with any other context than
// tx.Context(), which panics, for it would wait for itself. When ctx ends before fn has begun, fn never runs; once it
// has begun, Update waits for the outcome. A store that cannot write (full disk, I/O error) answers a problem of kind
// Unavailable, "storage_unavailable": nothing was acknowledged, and reads go on.
func (s *Store) Update(ctx context.Context, fn func(Tx) error) error {
	refuseNested(ctx, s.name, "Update")
	if !trace.SpanFromContext(ctx).IsRecording() {
		return s.update(ctx, fn)
	}
	return s.traced(ctx, "update", fn, s.update)
}

func (s *Store) update(ctx context.Context, fn func(Tx) error) error {
	if err := s.updates.enter(ctx); err != nil {
		return err
	}
	defer s.updates.leave()
	return s.beneath().Update(ctx, fn)
}

// Close lets running calls end, then closes the database. Later calls get an error.
func (s *Store) Close() error {
	if err := s.beneath().Close(); err != nil {
		return fmt.Errorf("close store %s: %w", s.name, err)
	}
	return nil
}

func (s *Store) traced(ctx context.Context, op string, fn func(Tx) error, run func(context.Context, func(Tx) error) error) error {
	tracer := trace.SpanFromContext(ctx).TracerProvider().Tracer("souk")
	ctx, span := tracer.Start(ctx, s.name+" db", trace.WithAttributes(attribute.String("db.operation", op)))
	defer span.End()
	err := run(ctx, fn)
	if err != nil {
		span.SetStatus(codes.Error, "undone")
	}
	return err
}

type inTx struct{}

// InTx reports whether ctx is the context of a transaction, where nothing may wait for the network.
func InTx(ctx context.Context) bool { return ctx.Value(inTx{}) != nil }

func mark(ctx context.Context) context.Context { return context.WithValue(ctx, inTx{}, true) }

func refuseNested(ctx context.Context, store, op string) {
	if InTx(ctx) {
		panic("sqlstore: " + op + " of " + store + " inside a transaction: use its Tx")
	}
}
