package bus

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"github.com/seed-21071466/souk/kit/eventlog"
)

// tailMax bounds the newest events that a feed keeps in memory, so that the
// consumers of one source share one read of its log.
const tailMax = 1024

// Publisher says what one record means in public: the event's type and its
// data, a pure function. An empty type means that it says nothing.
type Publisher func(eventlog.Recorded) (typ string, data []byte, err error)

// FeedOf publishes a log. A record that publish refuses holds the source's
// consumers up there, visibly; a nil publish hands records on as they are.
func FeedOf(source string, log *eventlog.Log, publish Publisher) Feed {
	if publish == nil {
		publish = func(r eventlog.Recorded) (string, []byte, error) { return r.Type, r.Data, nil }
	}
	return &logFeed{source: source, log: log, publish: publish}
}

// logFeed reads a log through a window on its newest events.
type logFeed struct {
	source  string
	log     *eventlog.Log
	publish Publisher
	mu      sync.Mutex
	tail    []Event // contiguous, newest last; entries are never changed
}

// Source is the room's name.
func (f *logFeed) Source() string { return f.source }

// Head is the log's last durable position.
func (f *logFeed) Head() int64 { return f.log.Head() }

// storedHead is the log's end by now, also when other processes append to it.
func (f *logFeed) storedHead(ctx context.Context) (int64, error) { return f.log.HeadNow(ctx) }

// Wait waits for the log.
func (f *logFeed) Wait(ctx context.Context, after int64) error { return f.log.Wait(ctx, after) }

// After answers from the tail where it can; a consumer further behind reads
// the log for itself.
func (f *logFeed) After(ctx context.Context, position int64, limit int) ([]Event, error) {
	if events, inTail, err := f.newest(ctx, position, limit); inTail || err != nil {
		return events, err
	}
	return f.read(ctx, position, limit)
}

// newest serves from the tail, reading on from its end when it is used up. The
// lock makes the consumers who wake together share that read.
func (f *logFeed) newest(ctx context.Context, position int64, limit int) (events []Event, inTail bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := len(f.tail); n == 0 || position == f.tail[n-1].Position {
		fresh, err := f.read(ctx, position, limit)
		if err != nil {
			return nil, false, err
		}
		f.keep(fresh)
		return fresh, true, nil
	}
	first, last := f.tail[0].Position, f.tail[len(f.tail)-1].Position
	if position < first-1 || position > last {
		return nil, false, nil
	}
	from := int(position - first + 1)
	to := min(from+limit, len(f.tail))
	return f.tail[from:to:to], true, nil
}

// keep appends to the tail and lets the oldest go, in a new slice, because
// consumers may still read the old one.
func (f *logFeed) keep(fresh []Event) {
	if len(f.tail)+len(fresh) > tailMax {
		f.tail = append(make([]Event, 0, 2*tailMax), f.tail[max(0, len(f.tail)-tailMax/2):]...)
	}
	f.tail = append(f.tail, fresh...)
}

func (f *logFeed) read(ctx context.Context, position int64, limit int) ([]Event, error) {
	records, err := f.log.After(ctx, position, limit)
	if err != nil {
		return nil, fmt.Errorf("read %s after %d: %w", f.source, position, err)
	}
	events := make([]Event, len(records))
	for i := range records {
		if events[i], err = f.event(&records[i]); err != nil {
			return nil, err
		}
	}
	return events, nil
}

func (f *logFeed) event(r *eventlog.Recorded) (Event, error) {
	typ, data, err := f.publish(*r)
	if err != nil {
		return Event{}, fmt.Errorf("publish %s/%d (%s): %w", f.source, r.Position, r.Type, err)
	}
	return Event{
		ID: f.source + "/" + strconv.FormatInt(r.Position, 10), Source: f.source, Type: typ, Subject: r.Stream,
		Position: r.Position, Prev: r.Prev, Time: r.Meta.Time, Data: data, Meta: r.Meta,
	}, nil
}
