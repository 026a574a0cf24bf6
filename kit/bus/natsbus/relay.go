package natsbus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/internal/watermark"
)

const (
	announceEvery = time.Second     // how often the relay tells where the log ends
	lookEvery     = 5 * time.Second // how often a relay with nothing to do looks whether its stream is still whole
	readMax       = 256             // records read from the log at once
)

// errElsewhere says that the stream does not end where the relay thought: the
// broker lost some of it, or another relay was faster. It is looked at again.
var errElsewhere = errors.New("the stream does not end where this relay left it")

// relay copies one source's records to its stream.
type relay struct {
	broker   *Broker
	feed     bus.Feed
	source   string
	stream   string
	subjects subjects
	log      *slog.Logger
	js       jetstream.JetStream // with acknowledgements of its own
	identity string              // of the log, once it has a record
	doubt    int64               // a position that the stream refused, to be looked at; 0: none

	active atomic.Bool // it is this process's turn to relay

	copied     watermark.Mark // every record up to here is in the stream
	fault      atomic.Pointer[error]
	published  atomic.Int64
	mismatches atomic.Int64
	replaced   atomic.Int64
}

func newRelay(b *Broker, source bus.Feed) *relay {
	name := source.Source()
	return &relay{
		broker: b, feed: source, source: name, stream: Stream(b.options.Shop, name),
		subjects: subjectsOf(b.options.Shop, name), log: b.options.Log,
	}
}

// prepare refuses a source that the broker could not name.
func (r *relay) prepare() (err error) {
	if err := named("source", r.source); err != nil {
		return err
	}
	if r.js == nil {
		r.js, err = r.broker.streams()
	}
	return err
}

// failed keeps why the relay does not get its records through.
func (r *relay) failed(ctx context.Context, err error) {
	if !r.broker.conn.IsConnected() {
		err = fmt.Errorf("the broker at %s is away; the relay goes on when it is back: %w", r.broker.address, err)
	}
	r.fault.Store(&err)
	r.log.WarnContext(ctx, "the relay of a source is held up", "source", r.source, "copied", r.copied.Position(), "err", err)
}

// run copies until the context ends. Whatever goes wrong, it looks where the
// stream ends and goes on from there.
func (r *relay) run(ctx context.Context) {
	if err := r.prepare(); err != nil {
		r.failed(ctx, err)
		return
	}
	r.active.Store(true)
	defer r.active.Store(false)
	for failed := 0; ctx.Err() == nil; failed++ {
		before := r.published.Load()
		err := r.copy(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case r.published.Load() > before:
			failed = 0
		}
		if errors.Is(err, errElsewhere) {
			r.mismatches.Add(1)
			r.log.DebugContext(ctx, "the relay looks where its stream ends", "source", r.source, "err", err)
		} else {
			r.failed(ctx, err)
		}
		r.rest(ctx, failed)
	}
}

// rest is the pause before the next try; it ends early when the broker comes back.
func (r *relay) rest(ctx context.Context, failed int) {
	at, long := r.broker.joined.Position(), pause(failed)
	if !r.broker.conn.IsConnected() {
		long = lookEvery // its coming back ends the pause
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	timer := r.broker.options.Clock.NewTimer(long)
	defer timer.Stop()
	joined := make(chan struct{})
	r.broker.work.Go(func() {
		defer close(joined)
		_ = r.broker.joined.Wait(ctx, at+1) // however it ends, the rest is over
	})
	select {
	case <-timer.C():
	case <-joined:
	case <-ctx.Done():
	}
}

// copy finds where the stream ends and copies from there, until something is
// not as it should be, which is its error.
func (r *relay) copy(ctx context.Context) error {
	joined := r.broker.joined.Position()
	last, err := r.open(ctx)
	if err != nil {
		return err
	}
	r.copied.Set(last)
	r.fault.Store(nil)
	return newTransit(ctx, r, last).run(joined)
}
