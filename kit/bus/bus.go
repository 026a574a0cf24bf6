// Package bus brings what one room said in public to the rooms that listen.
// The record is the source's own event log; the bus only reads it, so nothing
// is lost between a commit and its publication:
//
//	source's log ──Feed──▶ consumer ──one transaction──▶ effect + inbox mark
//	                          │ fails
//	                          ├──▶ again, after a backoff, up to Attempts
//	                          └──▶ dead letter: parks its key in this consumer
//
// Delivery is at least once and in any order; the effect is exactly once and
// in order by key. A source's positions have no gaps, so the inbox of a
// consumer is a low-water mark and the few positions settled ahead of it. An
// event names the previous one of its key; it is put back until that one is
// settled. An event that fails for good becomes a letter, and the later events
// of its key become letters behind it, until an operator redrives or skips.
package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/lease"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// Event is what a room says in public, a CloudEvents 1.0 event. Handlers share
// it and change nothing in it.
type Event struct {
	ID       string        // "<source>/<position>", unique for ever
	Source   string        // the room that says it
	Type     string        // "souk.orders.v1.OrderConfirmed"; "": this record says nothing in public
	Subject  string        // the stream, which is the ordering key
	Position int64         // in the source's log, contiguous from 1
	Prev     int64         // the position of the subject's previous record, 0 if this is the first
	Time     time.Time     // when it was recorded
	Data     []byte        // protobuf, as Type says
	Meta     eventlog.Meta // who caused it, and why
}

// Feed delivers the records of one source; it is the small interface that a
// transport implements. A feed may deliver twice, late and out of order, as
// long as each record above the asked position comes in the end.
type Feed interface {
	// Source is the name of the room whose records these are.
	Source() string
	// After is up to limit records above position, the lowest ones first if it can.
	After(ctx context.Context, position int64, limit int) ([]Event, error)
	// Wait returns once Head is above after; it costs nothing meanwhile.
	Wait(ctx context.Context, after int64) error
	// Head is the last durable position of the source.
	Head() int64
}

// DistantFeed is the feed of a source that lives in another process: its Head
// is what has been heard from there, 0 before anything was.
type DistantFeed interface {
	Feed
	// HeadNow asks the source itself for its last durable position.
	HeadNow(ctx context.Context) (int64, error)
}

// Handler turns an event into its effect, in the transaction that also marks it
// as handled. It does no I/O of its own, may be run again and may be run for an
// event whose effect it must then refuse as a fact already known.
type Handler func(tx sqlstore.Tx, ev Event) error

// BatchHandler turns events of one type, in the order of their positions, into
// their effect at once: several rows in one statement, or only the last word on
// each row. What holds for a Handler holds for it; if it fails, each event is
// handled alone, so that the failing one is known.
type BatchHandler func(tx sqlstore.Tx, events []Event) error

// Start says where a consumer begins the first time that it subscribes.
type Start uint8

const (
	// FromStart begins with the first record of the source.
	FromStart Start = iota
	// FromNow begins after the last record that the source had at that moment.
	FromNow
)

// The bounds of a consumer, used where it names none.
const (
	AttemptsDefault   = 8                     // deliveries of one event before it is a dead letter
	BackoffMinDefault = 50 * time.Millisecond // before the second delivery; doubled for each further one
	BackoffMaxDefault = 5 * time.Second       // the longest pause between two deliveries
	LettersDefault    = 10_000                // letters of one consumer; at the bound it stands still, visibly
	BatchDefault      = 256                   // events in one transaction
	ignoredMax        = 1024                  // events of no interest before the mark is stored for them alone
)

// Consumer is one reaction of a room to one source.
type Consumer struct {
	Name       string                  // unique in the bus and for ever: "inventory.orders"
	Source     string                  // the room that it follows
	From       Start                   // where it begins the first time
	Store      *sqlstore.Store         // the consumer's own store, opened with Schema
	Keep       Keeper                  // instead of Store, of a room that keeps nothing in SQL; then Hears instead of Handle and HandleAll
	Hears      []string                // the event types whose effects Keep has
	LookAgain  time.Duration           // how often an idle consumer reads its mark again, of a Keep that may forget or is shared; 0: never
	Handle     map[string]Handler      // by event type; types of neither map are ignored
	HandleAll  map[string]BatchHandler // by event type, instead of Handle
	Gather     time.Duration           // from the end of a batch to the next one, so that events come together; none when 0, or while it is behind
	Attempts   int                     // 0: AttemptsDefault
	BackoffMin time.Duration           // 0: BackoffMinDefault
	BackoffMax time.Duration           // 0: BackoffMaxDefault
	LettersMax int                     // 0: LettersDefault
}

// Options are what a bus works with; the zero value works.
type Options struct {
	Clock      clock.Clock           // nil: the system's
	Log        *slog.Logger          // nil: discard
	Registerer prometheus.Registerer // nil: no metrics
	BatchMax   int                   // 0: BatchDefault
	Through    func(Feed) Feed       // what every feed passes through, such as a fault wrapper; nil: nothing

	// Remote gives the feed of a source that nobody publishes in this process, nil where there is none; it asks nobody
	// yet. Nil: all sources are here. Its feeds are DistantFeeds.
	Remote func(source string) Feed
	// Leases say which process delivers, where several share a consumer's store; nil: a book of our own.
	Leases *lease.Book
	// Relay carries a feed published here to the other processes. Nil: there are none.
	Relay func(Feed)

	TracerProvider trace.TracerProvider // adds the handling of an event to the trace that caused it; nil: nobody does
}

// Bus carries the feeds of the rooms of this process to their consumers.
type Bus struct {
	options   Options
	mu        sync.Mutex
	feeds     map[string]published
	followers []*follower     // in the order of subscription
	running   context.Context // the life of the deliveries, nil before Run
	stop      context.CancelFunc
	closed    bool
	work      sync.WaitGroup
}

// New makes a bus without feeds and consumers.
func New(o Options) *Bus {
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.BatchMax <= 0 {
		o.BatchMax = BatchDefault
	}
	if o.Leases == nil {
		o.Leases = lease.NewBook(lease.Options{Log: o.Log, Registerer: o.Registerer})
	}
	b := &Bus{options: o, feeds: make(map[string]published)}
	if o.Registerer != nil {
		o.Registerer.MustRegister(collector{b})
	}
	return b
}

// Publish makes a source known; a second feed of the same source replaces it
// for those who subscribe later.
func (b *Bus) Publish(feed Feed) {
	if b.options.Relay != nil {
		b.options.Relay(feed)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.known(feed)
}

// Subscribe adds a consumer. Where a new one begins is stored at once if its
// source is already published here, when Run begins if it is published later,
// and when the source first answers if it lives in another process. It refuses
// a name in use, and a source that ends below what this consumer has handled.
func (b *Bus) Subscribe(c Consumer) error {
	f, err := newConsumer(c, b.options)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return fmt.Errorf("subscribe %s: the bus is closed", c.Name)
	}
	if b.named(c.Name) != nil {
		return fmt.Errorf("subscribe %s: the name is in use", c.Name)
	}
	if _, here := b.feeds[c.Source]; here {
		if err := b.bind(context.Background(), f); err != nil {
			return err
		}
	}
	b.followers = append(b.followers, f)
	if b.running != nil {
		return b.start(f)
	}
	return nil
}

// Run delivers until the context ends or Close is called, and returns when no
// handler is at work any more. A consumer whose source nobody publishes is
// refused.
func (b *Bus) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if err := b.begin(ctx, stop); err != nil {
		stop()
		b.work.Wait()
		return err
	}
	<-ctx.Done()
	b.work.Wait()
	return nil
}

func (b *Bus) begin(ctx context.Context, stop context.CancelFunc) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.running != nil {
		return errors.New("run the bus: it has already been run")
	}
	b.running, b.stop = ctx, stop
	if b.closed {
		stop()
		return nil
	}
	for _, f := range b.followers {
		if err := b.start(f); err != nil {
			return err
		}
	}
	return nil
}

// start sets one consumer to work; b.mu is held.
func (b *Bus) start(f *follower) error {
	if err := b.bind(b.running, f); err != nil {
		return err
	}
	running := b.running
	b.work.Go(func() {
		if f.await(running) {
			f.live(running)
		}
	})
	return nil
}

// Close ends Run, also one yet to come, and waits until no handler is at work.
func (b *Bus) Close() {
	b.mu.Lock()
	stop := b.stop
	b.closed = true
	b.mu.Unlock()
	if stop != nil {
		stop()
	}
	b.work.Wait()
}

// Position is how far a consumer has come: every record of its source up to
// there is settled, by its effect, as of no interest, or as a letter.
func (b *Bus) Position(consumer string) (position int64, known bool) {
	if f := b.find(consumer); f != nil {
		return f.mark.Position(), true
	}
	return 0, false
}

// WaitFor returns once a consumer has settled the source's records up to
// position, so that whoever caused them reads their effect.
func (b *Bus) WaitFor(ctx context.Context, consumer, source string, position int64) error {
	f := b.find(consumer)
	if f == nil || f.Source != source {
		return unknownConsumer(consumer)
	}
	defer f.watched()()
	if err := f.mark.Wait(ctx, position); err != nil {
		return fmt.Errorf("wait for consumer %s to reach %s/%d: %w", consumer, source, position, err)
	}
	return nil
}

func (b *Bus) find(name string) *follower {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.named(name)
}

// named is the consumer of that name or nil; b.mu is held.
func (b *Bus) named(name string) *follower {
	for _, f := range b.followers {
		if f.Name == name {
			return f
		}
	}
	return nil
}

// consumers is a copy of the list, for whoever walks it at leisure.
func (b *Bus) consumers() []*follower {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]*follower(nil), b.followers...)
}

func unknownConsumer(name string) error {
	return problem.Newf(problem.NotFound, "unknown_consumer", "there is no consumer %q", name)
}
