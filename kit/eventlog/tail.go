package eventlog

import (
	"sync"
	"time"
)

// Bounds of the newest events that a log keeps in memory.
const (
	tailMax      = 512
	tailBytesMax = 1 << 20 // of their data
)

// tail is the newest events that this process has made durable, so that whoever follows the log need not read them from
// the store: contiguous, newest last. Where other processes append too, it begins anew behind what they said.
type tail struct {
	mu     sync.Mutex
	events []Recorded // entries are never changed
	bytes  int
}

// recorded is an appended event as it will be read: with what the store keeps of its time, and data that is never nil.
func recorded(stream string, at end, prev int64, e *Event) Recorded {
	r := Recorded{Event: *e, Position: at.position, Prev: prev, Stream: stream, Version: at.version}
	r.Meta.Time = time.UnixMicro(r.Meta.Time.UnixMicro()).UTC()
	if r.Data == nil {
		r.Data = []byte{}
	}
	return r
}

// keep appends what is durable now.
func (t *tail) keep(events []Recorded) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.events); n > 0 && t.events[n-1].Position+1 != events[0].Position {
		t.events, t.bytes = nil, 0
	}
	t.events = append(t.events, events...)
	for i := range events {
		t.bytes += len(events[i].Data)
	}
	for len(t.events) > tailMax || t.bytes > tailBytesMax && len(t.events) > 1 {
		t.shorten()
	}
}

// shorten lets the older half go, in a new slice, because somebody may still read the old one.
func (t *tail) shorten() {
	t.events = append(make([]Recorded, 0, tailMax+1), t.events[(len(t.events)+1)/2:]...)
	t.bytes = 0
	for i := range t.events {
		t.bytes += len(t.events[i].Data)
	}
}

// after is the events above a position, at most limit; none when the tail does not have the next one.
func (t *tail) after(position int64, limit int) []Recorded {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.events) == 0 {
		return nil
	}
	from := position + 1 - t.events[0].Position
	if from < 0 || from >= int64(len(t.events)) {
		return nil
	}
	to := min(from+int64(limit), int64(len(t.events)))
	return t.events[from:to:to]
}
