package natsbus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
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

// transit is one run of publications, each expecting the one before it.
type transit struct {
	*relay
	ctx      context.Context // ends with the first failure
	fail     context.CancelCauseFunc
	sent     int64            // the last position published
	ending   <-chan struct{}  // closed when the relay is to end
	inFlight chan publication // in order; its size bounds what is not acknowledged
	done     chan struct{}    // closed when all in flight are answered
}

type publication struct {
	position int64
	ack      jetstream.PubAckFuture
}

func newTransit(ctx context.Context, r *relay, last int64) *transit {
	t := &transit{relay: r, sent: last, ending: ctx.Done(), done: make(chan struct{})}
	t.inFlight = make(chan publication, r.broker.options.Window)
	t.ctx, t.fail = context.WithCancelCause(ctx)
	return t
}

// run publishes until something fails, and returns that once nothing is in flight.
func (t *transit) run(joined int64) error {
	t.broker.work.Go(t.collect)
	t.fail(t.pump(joined)) // an earlier failure stays the cause
	close(t.inFlight)
	<-t.done
	return context.Cause(t.ctx)
}

// collect takes the acknowledgements in order. Each comes, or its failure,
// within ackMax; when the relay is to end nobody waits for them any more.
func (t *transit) collect() {
	defer close(t.done)
	for p := range t.inFlight {
		select {
		case ack := <-p.ack.Ok():
			t.taken(p.position, int64(ack.Sequence))
		case err := <-p.ack.Err():
			t.refused(p.position, err)
		case <-t.ending:
		}
	}
}

func (t *transit) taken(position, sequence int64) {
	if sequence != position {
		t.refused(position, fmt.Errorf("%w: record %d became message %d", errElsewhere, position, sequence))
		return
	}
	t.published.Add(1)
	if t.ctx.Err() == nil {
		t.copied.Set(position)
	}
}

// refused ends the run. What is in the first refused record's place is looked
// at before the next one: those in flight behind it may have been taken.
func (t *transit) refused(position int64, err error) {
	if t.ctx.Err() == nil {
		t.doubt = position
	}
	t.fail(t.why(position, err))
}

// why says what a failed publication means.
func (t *transit) why(position int64, err error) error {
	var refused *jetstream.APIError
	if errors.As(err, &refused) {
		switch refused.ErrorCode {
		case jetstream.JSErrCodeStreamWrongLastSequence, jetstream.JSErrCodeStreamWrongLastSequenceConstant:
			return fmt.Errorf("%w: %w", errElsewhere, err)
		}
	}
	return fmt.Errorf("publish %s/%d: %w", t.source, position, err)
}

// pump publishes what the log has, and waits for more.
func (t *transit) pump(joined int64) error {
	var announced time.Time
	for looked := t.now(); ; {
		if now := t.now(); now.Sub(announced) >= announceEvery {
			t.announce()
			announced = now
		}
		events, err := t.feed.After(t.ctx, t.sent, readMax)
		if err != nil {
			return err
		}
		if err := t.publish(events); err != nil {
			return err
		}
		if len(events) > 0 {
			continue
		}
		if rejoined := t.broker.joined.Position(); rejoined != joined || t.now().Sub(looked) >= lookEvery {
			if err := t.look(); err != nil {
				return err
			}
			joined, looked = rejoined, t.now()
		}
		if err := t.wait(); err != nil {
			return err
		}
	}
}

func (t *transit) now() time.Time { return t.broker.options.Clock.Now() }

// publish sends events without waiting for their acknowledgements, as far as
// the window allows.
func (t *transit) publish(events []bus.Event) error {
	for i := range events {
		ev := &events[i]
		if ev.Position != t.sent+1 {
			return fmt.Errorf("the log of %s gave record %d after %d", t.source, ev.Position, t.sent)
		}
		ack, err := t.js.PublishMsgAsync(encode(ev, t.subjects.of(ev.Type)),
			jetstream.WithExpectLastSequence(uint64(t.sent)), jetstream.WithExpectStream(t.stream))
		if errors.Is(err, nats.ErrMaxPayload) {
			return fmt.Errorf("publish %s: %w: the broker takes %d bytes; raise max_payload there", ev.ID, err, t.broker.conn.MaxPayload())
		}
		if err != nil {
			return fmt.Errorf("publish %s: %w", ev.ID, err)
		}
		select {
		case t.inFlight <- publication{ev.Position, ack}:
		case <-t.ctx.Done():
			return t.ctx.Err()
		}
		t.sent = ev.Position
	}
	return nil
}

// wait ends when the log grows, and after announceEvery if it does not.
func (t *transit) wait() error {
	ctx, cancel := context.WithCancel(t.ctx)
	defer cancel()
	timer := t.broker.options.Clock.NewTimer(announceEvery)
	defer timer.Stop()
	grown := make(chan error, 1)
	t.broker.work.Go(func() { grown <- t.feed.Wait(ctx, t.sent) })
	select {
	case err := <-grown:
		return err
	case <-timer.C():
	case <-t.ctx.Done():
	}
	return t.ctx.Err()
}

// announce tells the feeds of other processes where the log ends. By it they
// also know that this relay has looked at the stream, and may read from that.
func (t *transit) announce() {
	m := &nats.Msg{Subject: t.subjects.head, Header: nats.Header{
		headHeader: []string{strconv.FormatInt(max(t.feed.Head(), t.sent), 10)},
	}}
	if err := t.broker.conn.PublishMsg(m); err != nil {
		t.fail(fmt.Errorf("tell where %s ends: %w", t.source, err))
	}
}

// look fails if the stream does not end where this relay left it, as after a
// loss of the broker's newest data.
func (t *transit) look() error {
	if t.copied.Position() != t.sent {
		return nil // acknowledgements are on their way and tell it themselves
	}
	state, err := t.state(t.ctx)
	if err != nil {
		return err
	}
	if last := int64(state.State.LastSeq); last != t.sent {
		return fmt.Errorf("%w: it ends at %d and not at %d", errElsewhere, last, t.sent)
	}
	return nil
}
