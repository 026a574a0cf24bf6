package bustest

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/internal/watermark"
)

// Type is the type of the events that a Source says in public.
const Type = "souk.test.v1.Said"

// Source is a feed in memory, as a room's outbox would give it.
type Source struct {
	name   string
	head   watermark.Mark
	mu     sync.Mutex
	events []bus.Event
	last   map[string]int64 // newest position by subject
}

// NewSource is an empty source of that name.
func NewSource(name string) *Source {
	return &Source{name: name, last: make(map[string]int64)}
}

// Say records a public event on the subject and returns its position.
func (s *Source) Say(subject string) int64 { return s.Record(subject, Type) }

// Record records an event of any type, "" for one that says nothing in public.
func (s *Source) Record(subject, typ string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	position := int64(len(s.events)) + 1
	now := time.Now().UTC().Truncate(time.Microsecond)
	s.events = append(s.events, bus.Event{
		ID: s.name + "/" + strconv.FormatInt(position, 10), Source: s.name, Type: typ, Subject: subject,
		Position: position, Prev: s.last[subject], Time: now, Data: []byte(subject),
		Meta: eventlog.Meta{Shop: "main", Actor: "service:" + s.name, Time: now},
	})
	s.last[subject] = position
	s.head.Set(position)
	return position
}

// Source is the name.
func (s *Source) Source() string { return s.name }

// Head is the last position.
func (s *Source) Head() int64 { return s.head.Position() }

// Wait returns once there is something after that position.
func (s *Source) Wait(ctx context.Context, after int64) error { return s.head.Wait(ctx, after+1) }

// After is the next events.
func (s *Source) After(_ context.Context, position int64, limit int) ([]bus.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := min(int(position), len(s.events))
	to := min(from+limit, len(s.events))
	return s.events[from:to:to], nil
}
