package natsbus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed-21071466/souk/kit/bus"
)

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
		events, err := t.more()
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

// more is what the log has beyond what was sent; it is not read in vain.
func (t *transit) more() ([]bus.Event, error) {
	if t.feed.Head() <= t.sent {
		return nil, nil
	}
	return t.feed.After(t.ctx, t.sent, readMax)
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
