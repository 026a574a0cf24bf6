// Package natsbus carries what rooms say in public between processes, over NATS
// JetStream. The record stays the source's own log; the broker holds a copy of
// its newest part, which it may lose at any time:
//
//	source's log ──relay──▶ stream SOUK_<shop>_<source> ──┐ stored events, by direct get
//	     │                         └─ live events ────────┼──▶ Feed ──▶ kit/bus consumers
//	     └──owner answers: where it ends, any records ────┘ what the stream has not
//
// The sequence number of a message is the position of its record. The relay
// publishes each record with the sequence expected before it, so the broker
// refuses whatever would be a gap, a repetition or a second relay's turn; the
// refused one looks where the stream ends and goes on from there.
package natsbus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/internal/watermark"
)

// The bounds of a broker's connection and its streams, used where Options name none.
const (
	MaxAgeDefault   = 72 * time.Hour // how long a stream keeps an event
	MaxBytesDefault = 256 << 20      // how much a stream keeps
	BackfillDefault = 10_000         // newest records that a new stream begins with
	WindowDefault   = 512            // events published and not yet acknowledged
)

// Options are how a process takes part. The shop is needed, the rest has defaults.
type Options struct {
	Shop       string                // part of every name on the broker: letters, digits, - and _
	Name       string                // of this process, as the broker's lists show it
	Security   Security              // how it proves who it is; nil values: not at all
	Clock      clock.Clock           // nil: the system's
	Log        *slog.Logger          // nil: discard
	Registerer prometheus.Registerer // nil: no metrics

	Replicas int           // copies that a cluster keeps of a stream; 0: 1
	MaxAge   time.Duration // 0: MaxAgeDefault
	MaxBytes int64         // 0: MaxBytesDefault
	Backfill int64         // 0: BackfillDefault
	Window   int           // 0: WindowDefault

	// Alone runs the relay of a source in one of several processes of its room at a time, as long as the context that it
	// gives lasts; it returns when its own context ends. Several relays at once do no harm, only needless work. Nil: run
	// at once.
	Alone func(ctx context.Context, source string, run func(context.Context))
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Alone == nil {
		o.Alone = func(ctx context.Context, _ string, run func(context.Context)) { run(ctx) }
	}
	o.Replicas = orDefault(o.Replicas, 1)
	o.MaxAge = orDefault(o.MaxAge, MaxAgeDefault)
	o.MaxBytes = orDefault(o.MaxBytes, MaxBytesDefault)
	o.Backfill = orDefault(o.Backfill, BackfillDefault)
	o.Window = orDefault(o.Window, WindowDefault)
	return o
}

func orDefault[T int | int64 | time.Duration](value, standard T) T {
	if value <= 0 {
		return standard
	}
	return value
}

// Broker is a process's place at the broker: the relays of the sources that are
// here, and the feeds of those that are elsewhere.
type Broker struct {
	options Options
	address string // without passwords
	conn    *nats.Conn
	joined  watermark.Mark       // how often the connection was made
	link    atomic.Pointer[link] // the present connection, over or not
	fault   atomic.Pointer[error]
	ctx     context.Context
	stop    context.CancelFunc
	work    sync.WaitGroup

	mu     sync.Mutex
	closed bool
	relays map[string]*relay
	feeds  map[string]*feed
}

// Connect joins the broker at url, several of a cluster separated by commas. It
// refuses an address that is none, an identity that the broker refuses, and a
// broker without JetStream. One that is away is no error: the process goes on,
// Ready tells, and the connection is tried for ever.
func Connect(ctx context.Context, url string, o Options) (*Broker, error) {
	if err := named("shop", o.Shop); err != nil {
		return nil, err
	}
	address, err := readable(url)
	if err != nil {
		return nil, err
	}
	b := &Broker{
		options: o.withDefaults(), address: address,
		relays: make(map[string]*relay), feeds: make(map[string]*feed),
	}
	b.ctx, b.stop = context.WithCancel(context.WithoutCancel(ctx))
	b.link.Store(newLink())
	if err := b.join(ctx, url); err != nil {
		b.stop()
		return nil, fmt.Errorf("join the broker at %s: %w", address, err)
	}
	if o.Registerer != nil {
		if err := o.Registerer.Register(collector{b}); err != nil {
			b.Close()
			return nil, fmt.Errorf("register the metrics of the broker: %w", err)
		}
	}
	return b, nil
}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// named refuses what cannot be part of a stream's name and of subjects.
func named(what, name string) error {
	if !nameForm.MatchString(name) {
		return fmt.Errorf("the %s is named %q: on the broker a name is up to 64 letters, digits, - and _", what, name)
	}
	return nil
}

// Relay copies the source's records to its stream until Close, and answers the
// other processes of the shop from its log. A source has one relay in a process.
func (b *Broker) Relay(source bus.Feed) {
	r := newRelay(b, source)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.relays[r.source] != nil {
		return
	}
	b.relays[r.source] = r
	b.work.Go(func() { r.answer(b.ctx) })
	b.work.Go(func() { b.options.Alone(b.ctx, r.source, r.run) })
}

// Feed is the feed of a source in another process; the consumers of this
// process share it. It is a bus.DistantFeed.
func (b *Broker) Feed(source string) bus.Feed {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.feeds[source]
	if f == nil {
		f = newFeed(b, source)
		b.feeds[source] = f
		if !b.closed {
			b.work.Go(func() { f.listen(b.ctx) })
		}
	}
	return f
}

// Ready is nil while the broker is there and every relay gets its records
// through; else it says what is wrong.
func (b *Broker) Ready() error {
	if !b.conn.IsConnected() {
		return fmt.Errorf("the broker at %s is away: %w", b.address, b.lastFault())
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var errs []error
	for _, r := range b.relays {
		if err := r.fault.Load(); err != nil {
			errs = append(errs, fmt.Errorf("relay %s: %w", r.source, *err))
		}
	}
	return errors.Join(errs...)
}

// lastFault is the connection's last error.
func (b *Broker) lastFault() error {
	if err := b.conn.LastError(); err != nil {
		return err
	}
	if err := b.fault.Load(); err != nil {
		return *err
	}
	return errors.New("not connected")
}

// Close ends relays and feeds and leaves the broker. What was not relayed yet is
// in the log, for the next process.
func (b *Broker) Close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.stop()
	b.work.Wait()
	b.conn.Close()
	if b.options.Registerer != nil {
		b.options.Registerer.Unregister(collector{b})
	}
}

// streams is JetStream as one relay uses it, with acknowledgements of its own.
func (b *Broker) streams() (jetstream.JetStream, error) {
	return jetstream.New(b.conn, jetstream.WithPublishAsyncMaxPending(2*b.options.Window),
		jetstream.WithPublishAsyncTimeout(ackMax), jetstream.WithDefaultTimeout(answerMax))
}
