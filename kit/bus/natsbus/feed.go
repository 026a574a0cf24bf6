package natsbus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/internal/watermark"
)

const (
	tailMax      = 1024    // newest events that the consumers of a source share
	tailBytesMax = 4 << 20 // and the bytes of their bodies
	liveMax      = 8192    // live messages that wait to be taken; more are dropped, and read from the stream
	limitMax     = 1024    // events that one After asks for

	headMax    = 2 * time.Second        // for a source to say where it ends
	headTryMax = 700 * time.Millisecond // for one process of it
)

// feed is a source of another process, as the consumers of this one see it. Its
// live events come by subscription; what was missed is read from the stream,
// and what that has not, or not yet for sure, from the source's own process.
type feed struct {
	broker                          *Broker
	source                          string
	subjects                        subjects
	head                            watermark.Mark // the highest position heard of
	vouched                         atomic.Bool    // a relay of the source has looked at the stream
	begins                          atomic.Int64   // where the stream began when somebody last looked for what is older
	heard                           atomic.Int64   // unix µs of the source's last sign of life, 0 before any
	fromLive, fromStream, fromOwner atomic.Int64   // events by how they came

	mu    sync.Mutex
	tail  []bus.Event // contiguous, newest last; entries are never changed
	bytes int         // of the bodies in tail
}

func newFeed(b *Broker, source string) *feed {
	return &feed{broker: b, source: source, subjects: subjectsOf(b.options.Shop, source)}
}

// listen takes what the source's relay says until the context ends.
func (f *feed) listen(ctx context.Context) {
	for failed := 0; ctx.Err() == nil; failed++ {
		err := f.subscribe(ctx)
		if ctx.Err() != nil {
			return
		}
		f.broker.options.Log.WarnContext(ctx, "a source cannot be listened to", "source", f.source, "err", err)
		select {
		case <-f.broker.options.Clock.After(pause(failed)):
		case <-ctx.Done():
		}
	}
}

func (f *feed) subscribe(ctx context.Context) error {
	if err := named("source", f.source); err != nil {
		return err
	}
	events, err := f.broker.conn.Subscribe(f.subjects.all(), f.live)
	if err != nil {
		return err
	}
	defer func() { _ = events.Unsubscribe() }() // fails only with the connection, which forgets it
	if err := events.SetPendingLimits(liveMax, 4*tailBytesMax); err != nil {
		return err
	}
	heads, err := f.broker.conn.Subscribe(f.subjects.head, f.announced)
	if err != nil {
		return err
	}
	defer func() { _ = heads.Unsubscribe() }()
	<-ctx.Done()
	return ctx.Err()
}

// live takes an event as its relay publishes it. The relay publishes nothing
// but what is in the log, so it is true even if the stream refuses it.
func (f *feed) live(m *nats.Msg) {
	ev, err := decode(m, f.source)
	if err != nil {
		f.broker.options.Log.Warn("a message is no event", "source", f.source, "err", err)
		return
	}
	f.alive()
	if f.keep(ev) {
		f.fromLive.Add(1)
	}
	f.grow(ev.Position)
}

// announced takes the source's word on where it ends.
func (f *feed) announced(m *nats.Msg) {
	head, err := strconv.ParseInt(m.Header.Get(headHeader), 10, 64)
	if err != nil {
		f.broker.options.Log.Warn("a message tells no end", "source", f.source, "err", err)
		return
	}
	f.alive()
	f.vouched.Store(true)
	f.grow(head)
}

func (f *feed) alive() { f.heard.Store(f.broker.options.Clock.Now().UnixMicro()) }

// grow moves the head, never back.
func (f *feed) grow(to int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if to > f.head.Position() {
		f.head.Set(to)
	}
}

// keep appends an event to the tail if it follows; after a gap the tail begins
// anew. It is false for an event that is there already.
func (f *feed) keep(ev bus.Event) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := len(f.tail); n > 0 {
		switch last := f.tail[n-1].Position; {
		case ev.Position <= last:
			return false
		case ev.Position > last+1:
			f.tail, f.bytes = nil, 0
		}
	}
	f.tail = append(f.tail, ev)
	f.bytes += len(ev.Data)
	if len(f.tail) > tailMax || f.bytes > tailBytesMax {
		f.shorten()
	}
	return true
}

// shorten lets the older half of the tail go, in a new slice, because consumers
// may still read the old one.
func (f *feed) shorten() {
	f.tail = append(make([]bus.Event, 0, tailMax+1), f.tail[(len(f.tail)+1)/2:]...)
	f.bytes = 0
	for i := range f.tail {
		f.bytes += len(f.tail[i].Data)
	}
}

// Source is the room's name.
func (f *feed) Source() string { return f.source }

// Head is the highest position heard of; the source itself may be further.
func (f *feed) Head() int64 { return f.head.Position() }

// Wait waits to hear of a record.
func (f *feed) Wait(ctx context.Context, after int64) error { return f.head.Wait(ctx, after+1) }

// HeadNow asks the source. The process that is asked may be frozen, or on its
// way back, so others are asked before the error.
func (f *feed) HeadNow(ctx context.Context) (head int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, headMax)
	defer cancel()
	for {
		asking, cancel := context.WithTimeout(ctx, headTryMax)
		_, head, err = f.broker.asked(asking, f.source, 0, 0)
		cancel()
		if err == nil {
			f.alive()
			f.grow(head)
			return head, nil
		}
		select {
		case <-ctx.Done():
			return 0, err
		case <-f.broker.options.Clock.After(retryMin):
		}
	}
}

// After answers from the tail where it can, else from the stream, else from
// the source's own log.
func (f *feed) After(ctx context.Context, position int64, limit int) ([]bus.Event, error) {
	limit = min(limit, limitMax)
	if events := f.newest(position, limit); len(events) > 0 {
		return events, nil
	}
	if position >= f.head.Position() {
		return nil, nil
	}
	events, missed := f.stored(ctx, position, limit)
	if len(events) > 0 {
		return events, nil
	}
	events, head, err := f.broker.asked(ctx, f.source, position, limit)
	if err != nil {
		return nil, fmt.Errorf("the events of %s after %d are neither in its stream nor with its process: %w",
			f.source, position, errors.Join(missed, err))
	}
	f.fromOwner.Add(int64(len(events)))
	f.alive()
	f.grow(head)
	return events, nil
}

// stored reads from the stream what it has. A stream forgets its oldest
// messages and never gets older ones, so it is not asked in vain twice.
func (f *feed) stored(ctx context.Context, position int64, limit int) ([]bus.Event, error) {
	if !f.vouched.Load() || position+1 < f.begins.Load() {
		return nil, nil
	}
	events, first, err := f.broker.stored(ctx, f.source, position, limit)
	if first > position+1 {
		f.begins.Store(first)
	}
	f.fromStream.Add(int64(len(events)))
	return events, err
}

func (f *feed) newest(position int64, limit int) []bus.Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.tail) == 0 {
		return nil
	}
	first, last := f.tail[0].Position, f.tail[len(f.tail)-1].Position
	if position < first-1 || position >= last {
		return nil
	}
	from := int(position - first + 1)
	to := min(from+limit, len(f.tail))
	return f.tail[from:to:to]
}
