package sqlstore

import (
	"context"
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Conn is one connection to a database, used by one goroutine at a time. What a store does with connections is the same
// over every database: groups, savepoints, re-runs, hooks, readers, migrations. What differs is here.
type Conn interface {
	// Begin begins an update's transaction: serializable, and no other writer of this database beside it. alone is
	// false when somebody else may have written since this connection's last commit.
	Begin() (alone bool, err error)
	// BeginView begins one that reads the snapshot which its first statement takes, and cannot write.
	BeginView() error
	// BeginGlance begins a view of one statement, which is its own snapshot.
	BeginGlance() error
	// Flush waits for the statements that Stmt.Do has left on their way; without any it does nothing. So do the next
	// statement and Commit, whose error may be one of theirs.
	Flush() error
	// Commit makes the transaction durable; afterwards news, unless 0, is told to whoever listens elsewhere.
	Commit(news int64) error
	// Rollback ends the transaction without effect. It may fail when an error has ended it already.
	Rollback() error
	// Savepoint, Release and RollbackTo have one savepoint at a time. RollbackTo leaves it standing.
	Savepoint() error
	Release() error
	RollbackTo() error
	// Take readies a statement in the portable SQL of this package, until its Done.
	Take(query string) (Stmt, error)
	// Script runs statements without arguments, separated by semicolons.
	Script(text string) error
	// Fate says what has become of the transaction in which err arose.
	Fate(err error) Fate
	Close() error
}

// Stmt is a statement in use.
type Stmt interface {
	Writes() bool // it may change something
	Counts() bool // it changes just as many rows as it says
	// Exec runs it for its effect. Only in a View does ctx ever end.
	Exec(ctx context.Context, args []any) (affected int64, err error)
	// Do is Exec that need not wait: the statement may be sent with the next one, and fail then. idle says that it is known to
	// have changed nothing.
	Do(args []any) (idle bool, err error)
	// Query runs it for its rows. Other statements may run before they are read; they are done with the statement
	// when they are closed, in place of Done.
	Query(ctx context.Context, args []any) (*Rows, error)
	Done()
}

// Fate is what an error means for the transaction in which it arose.
type Fate int

// The fates.
const (
	Stands  Fate = iota // the statement had no effect and the transaction goes on
	Aborted             // it goes on only behind a rollback to a savepoint
	Again               // it is gone, nothing of it was kept, and another run may succeed
	Lost                // it is gone, or nobody knows whether it was kept
)

// Backend is a database as its driver brings it.
type Backend struct {
	Writer  Conn                                    // of all updates, one after the other
	Reader  func(ctx context.Context) (Conn, error) // opens a connection for views
	Long    func(ctx context.Context) (Conn, error) // opens one for a snapshot, which may be read for hours; default Reader
	Metrics []prometheus.Collector                  // shown beside the store's own
	Listen  func(hear func(news int64))             // see Store.Listen; nil: nobody else writes
	Last    func(tx Tx) (ours bool, err error)      // whether this process committed last; nil: nobody knows
	Close   func() error                            // after the store's last use of its connections; nil: nothing is left to do
}

// NewStore makes a store of a database that has been opened and migrated. It closes the connections.
func NewStore(o Options, b Backend) (*Store, error) {
	o = o.WithDefaults()
	beneath := &base{listen: b.Listen}
	d, err := newGrouped(o, b, beneath.bell.Ring)
	if err != nil {
		return nil, err
	}
	beneath.Driver = d
	if o.Wrap != nil {
		beneath.Driver = o.Wrap(d)
	}
	s := &Store{name: o.Name, shared: b.Listen != nil}
	s.lies.Store(beneath)
	if b.Listen != nil {
		b.Listen(func(news int64) { s.heard(beneath, b, news) })
	}
	return s, nil
}

// grouped is a driver of one writer, whose updates share commits, and of readers.
type grouped struct {
	name    string
	writer  *writer
	readers *readers
	long    func(context.Context) (Conn, error)
	close   func() error
}

func newGrouped(o Options, b Backend, others func()) (*grouped, error) {
	m, err := newMetrics(o.Name, o.Registerer, b.Metrics...)
	if err != nil {
		return nil, err
	}
	d := &grouped{name: o.Name, writer: newWriter(b.Writer, m, o, others), readers: newReaders(b.Reader, o.Readers), long: b.Long, close: b.Close}
	if d.long == nil {
		d.long = b.Reader
	}
	go d.writer.loop()
	return d, nil
}

func (d *grouped) View(ctx context.Context, fn func(Tx) error) error {
	return d.readers.view(ctx, d.name, false, fn)
}

// Glance sees to it that fn makes one statement alone.
func (d *grouped) Glance(ctx context.Context, fn func(Tx) error) error {
	return d.readers.view(ctx, d.name, true, fn)
}

func (d *grouped) Update(ctx context.Context, fn func(Tx) error) error {
	return d.writer.update(ctx, fn)
}

// Show shows or hides the metrics.
func (d *grouped) Show(whether bool) { d.writer.metrics.show(whether) }

// Close lets the queued updates and the running views end.
func (d *grouped) Close() error {
	var err error
	d.writer.closing.Do(func() {
		close(d.writer.stop)
		<-d.writer.gone
		d.writer.metrics.unregister()
		err = errors.Join(d.readers.close(), d.writer.conn.Close())
		if d.close != nil {
			err = errors.Join(err, d.close())
		}
	})
	return err
}
