// Package projection keeps rows that are a fold of a log: a view that may be
// thrown away and made again.
//
//	log ──batch──▶ Apply, Apply, … and the checkpoint, in one transaction
//	log ──batch──▶ Prepare ──▶ what it returned and the checkpoint, in one transaction
//
// The checkpoint lies beside the rows, so each event counts once whatever
// happens; and whoever appended at a position can wait until the rows show it.
// A projection of heavy events prepares a batch before its transaction, which
// then holds up nobody for longer than the writing takes, and by Gather lets
// events come together, but never while somebody waits.
//
// A new Version makes the rows anew: Reset and a checkpoint of zero in one
// transaction, then all events again, in batches. Meanwhile the rows are
// incomplete, WaitFor waits and the lag says how far it is. To rebuild beside
// the live rows, run the new fold as a projection of another Name over tables
// of its own, let readers change over when its Lag is zero, and Forget the old.
package projection

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/internal/watermark"
	"github.com/seed-21071466/souk/kit/lease"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

const (
	batchMax = 256                   // events in one transaction
	pauseMin = 20 * time.Millisecond // after the first failure; doubled for each further one
	pauseMax = 5 * time.Second       // the longest pause after a failure
)

// Projection is a fold of a log into rows of the same store, event by event with
// Apply, or batch by batch with Prepare. What runs in a transaction does no I/O
// of its own and may be run again in a new one.
type Projection struct {
	Name    string                                              // unique in the store, for ever: "orders.list"
	Version int                                                 // of the fold; a change makes all rows anew
	Apply   func(tx sqlstore.Tx, event eventlog.Recorded) error // one event into the rows; types it does not know are no error
	Prepare Prepare                                             // in place of Apply
	Reset   func(tx sqlstore.Tx) error                          // takes all rows away
	Gather  time.Duration                                       // from the end of a batch to the next one, so that events come together; none when 0, while it is behind, or while somebody waits
}

// Prepare readies a batch, 1 to 256 events in their order, outside of any
// transaction, and returns what writes its rows. It may see the same events
// again, in another batch too, when writing them failed.
type Prepare func(ctx context.Context, batch []eventlog.Recorded) (write func(tx sqlstore.Tx) error, err error)

// Options are what a projection works with; the zero value works.
type Options struct {
	Clock      clock.Clock           // nil: the system's
	Log        *slog.Logger          // nil: discard
	Registerer prometheus.Registerer // nil: no metrics
	Leases     *lease.Keeper         // of the store, which has lease.Schema if it is shared; one of its own when nil
}

// Projector is a projection at work.
type Projector struct {
	projection Projection
	options    Options
	store      *sqlstore.Store
	log        *eventlog.Log
	mark       watermark.Mark
	rested     time.Time     // when the last batch that was not full ended
	waiting    atomic.Int32  // who waits for rows to come
	wake       chan struct{} // somebody has begun to wait
	look       chan struct{} // the same, for a process that does not project
	leading    atomic.Bool   // this process projects

	mu     sync.Mutex
	closed bool
	stop   context.CancelFunc // of the run that is going on, or nil
	ended  chan struct{}      // closed when it has ended
}

//go:embed schema/*.sql
var schemaFiles embed.FS

// Schema is the checkpoint's table.
func Schema() sqlstore.Schema {
	files, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		panic(err) // the folder is part of the binary
	}
	return sqlstore.Schema{Name: "projection", Files: files}
}

// errMoved tells that the checkpoint is not where this projector left it.
var errMoved = errors.New("the checkpoint was moved by somebody else")

// New finds where the projection stands, or resets it if its version is another
// than that of the rows. Run then keeps it up with the log.
func New(ctx context.Context, store *sqlstore.Store, log *eventlog.Log, p Projection, o Options) (*Projector, error) {
	if p.Name == "" || (p.Apply == nil) == (p.Prepare == nil) || p.Reset == nil {
		return nil, fmt.Errorf("open projection %q: it needs a name, Reset, and either Apply or Prepare", p.Name)
	}
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	pr := &Projector{projection: p, options: o, store: store, log: log, wake: make(chan struct{}, 1), look: make(chan struct{}, 1)}
	if pr.options.Leases == nil {
		pr.options.Leases = lease.New(store, lease.Options{Log: o.Log, Registerer: o.Registerer})
	}
	if err := pr.open(ctx); err != nil {
		return nil, fmt.Errorf("open projection %s: %w", p.Name, err)
	}
	if o.Registerer != nil {
		lag := prometheus.GaugeOpts{
			Name: "souk_projection_lag_events", Help: "Events that the rows do not show yet.",
			ConstLabels: prometheus.Labels{"projection": p.Name},
		}
		if err := o.Registerer.Register(prometheus.NewGaugeFunc(lag, func() float64 { return float64(pr.Lag()) })); err != nil {
			return nil, fmt.Errorf("open projection %s: %w", p.Name, err)
		}
	}
	return pr, nil
}

// resume reads the checkpoint; for a new version it begins anew.
func (p *Projector) resume(ctx context.Context) error {
	var position int64
	err := p.store.Update(ctx, func(tx sqlstore.Tx) error {
		var version int
		err := tx.QueryRow(`SELECT version, position FROM projection_checkpoint WHERE name = ?`,
			p.projection.Name).Scan(&version, &position)
		if err == nil && version == p.projection.Version || err != nil && !errors.Is(err, sqlstore.ErrNoRows) {
			return err
		}
		position = 0
		return p.reset(tx)
	})
	if err != nil {
		return err
	}
	head, err := p.log.HeadNow(ctx)
	if err != nil {
		return err
	}
	if position > head {
		return fmt.Errorf("it shows position %d and the log ends at %d; give it another version to make it anew", position, head)
	}
	p.mark.Set(position)
	return nil
}

func (p *Projector) reset(tx sqlstore.Tx) error {
	if err := p.projection.Reset(tx); err != nil {
		return fmt.Errorf("reset its rows: %w", err)
	}
	_, err := tx.Exec(`INSERT INTO projection_checkpoint (name, version, position) VALUES (?, ?, 0)
		ON CONFLICT (name) DO UPDATE SET version = excluded.version, position = 0`,
		p.projection.Name, p.projection.Version)
	return err
}

// Run keeps the rows up with the log until the context ends or Close is called,
// or, where several processes share the store, keeps an eye on how far another
// has kept them up, and takes its place when that lives no more.
// An event that cannot be applied holds the projection there, visibly: it is
// tried again with growing pauses, because rows that skip an event are wrong.
func (p *Projector) Run(ctx context.Context) error {
	ctx, err := p.begin(ctx)
	if err != nil {
		return err
	}
	defer close(p.ended)
	defer p.stop()
	return p.live(ctx)
}

// project keeps the rows up.
func (p *Projector) project(ctx context.Context) (err error) {
	limit, pause := batchMax, pauseMin
	for ctx.Err() == nil {
		if err = p.step(ctx, limit); err == nil {
			limit, pause = batchMax, pauseMin
			continue
		}
		if ctx.Err() != nil {
			break
		}
		p.options.Log.ErrorContext(ctx, "projection stands still", "projection", p.projection.Name,
			"position", p.mark.Position(), "err", err)
		if limit > 1 {
			limit = 1 // to get as far as the failing event
			continue
		}
		p.rest(ctx, pause)
		pause = min(2*pause, pauseMax)
	}
	return nil
}

func (p *Projector) begin(ctx context.Context) (context.Context, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stop != nil {
		return nil, fmt.Errorf("run projection %s: it has already been run", p.projection.Name)
	}
	ctx, p.stop = context.WithCancel(ctx)
	p.ended = make(chan struct{})
	if p.closed {
		p.stop()
	}
	return ctx, nil
}

// Close ends Run, also one yet to come, and waits for it.
func (p *Projector) Close() {
	p.mu.Lock()
	p.closed = true
	stop, ended := p.stop, p.ended
	p.mu.Unlock()
	if stop != nil {
		stop()
		<-ended
	}
}

// step waits for the log and takes one batch.
func (p *Projector) step(ctx context.Context, limit int) error {
	from := p.mark.Position()
	if err := p.log.Wait(ctx, from); err != nil {
		return err
	}
	if err := p.gather(ctx, from, limit); err != nil {
		return err
	}
	events, err := p.log.After(ctx, from, limit)
	if err != nil || len(events) == 0 {
		return err
	}
	write, err := p.prepare(ctx, events)
	if err != nil {
		return err
	}
	to := events[len(events)-1].Position
	if err := p.store.Update(ctx, func(tx sqlstore.Tx) error { return p.write(tx, write, from, to) }); err != nil {
		if errors.Is(err, errMoved) {
			return errors.Join(err, p.resume(ctx))
		}
		return err
	}
	p.mark.Set(to)
	if len(events) < limit {
		p.rested = p.options.Clock.Now()
	}
	return nil
}

// gather lets events come together: the first after a quiet time is taken at
// once, the next ones in batches, and all of them when somebody waits.
func (p *Projector) gather(ctx context.Context, from int64, limit int) error {
	select {
	case <-p.wake: // whoever it was is counted as long as it waits
	default:
	}
	wait := p.projection.Gather - p.options.Clock.Now().Sub(p.rested)
	if p.projection.Gather <= 0 || wait <= 0 || p.waiting.Load() > 0 || p.log.Head()-from >= int64(limit) {
		return nil
	}
	timer := p.options.Clock.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C():
	case <-p.wake:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// prepare gives what writes the rows of a batch.
func (p *Projector) prepare(ctx context.Context, events []eventlog.Recorded) (write func(tx sqlstore.Tx) error, err error) {
	if p.projection.Prepare == nil {
		return func(tx sqlstore.Tx) error { return p.apply(tx, events) }, nil
	}
	first, last := events[0].Position, events[len(events)-1].Position
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("prepare positions %d to %d: it panicked: %v", first, last, panicked)
		}
	}()
	if write, err = p.projection.Prepare(ctx, events); err != nil {
		return nil, fmt.Errorf("prepare positions %d to %d: %w", first, last, err)
	}
	return write, nil
}

// write takes a batch into the rows and moves the checkpoint, unless somebody else did.
func (p *Projector) write(tx sqlstore.Tx, rows func(tx sqlstore.Tx) error, from, to int64) (err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("write positions %d to %d: it panicked: %v", from+1, to, panicked)
		}
	}()
	moved, err := tx.Exec(`UPDATE projection_checkpoint SET position = ? WHERE name = ? AND version = ? AND position = ?`,
		to, p.projection.Name, p.projection.Version, from)
	if err != nil {
		return err
	}
	if moved != 1 {
		return errMoved
	}
	if err := rows(tx); err != nil {
		return fmt.Errorf("write positions %d to %d: %w", from+1, to, err)
	}
	return nil
}

// apply folds a batch event by event.
func (p *Projector) apply(tx sqlstore.Tx, events []eventlog.Recorded) error {
	for i := range events {
		if err := p.projection.Apply(tx, events[i]); err != nil {
			return fmt.Errorf("apply position %d (%s): %w", events[i].Position, events[i].Type, err)
		}
	}
	return nil
}

func (p *Projector) rest(ctx context.Context, pause time.Duration) {
	timer := p.options.Clock.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C():
	case <-ctx.Done():
	}
}

// Position is how far the rows go.
func (p *Projector) Position() int64 { return p.mark.Position() }

// Lag is how many events the rows do not show yet.
func (p *Projector) Lag() int64 { return max(0, p.log.Head()-p.mark.Position()) }

// WaitFor returns once the rows show the event at position, so that whoever
// appended it reads it.
func (p *Projector) WaitFor(ctx context.Context, position int64) error {
	if p.mark.Position() < position {
		p.waiting.Add(1)
		defer p.waiting.Add(-1)
		select {
		case p.wake <- struct{}{}:
		default: // it is awake
		}
		p.glanceNow()
	}
	if err := p.mark.Wait(ctx, position); err != nil {
		return fmt.Errorf("wait for projection %s to show %d: %w", p.projection.Name, position, err)
	}
	return nil
}

// Forget drops the checkpoint of a projection that is no longer run; its rows
// are for the room to drop.
func Forget(tx sqlstore.Tx, name string) error {
	_, err := tx.Exec(`DELETE FROM projection_checkpoint WHERE name = ?`, name)
	return err
}
