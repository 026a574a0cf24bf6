// Package logtest is the specification of kit/eventlog over any store: positions without gaps, versions that protect a
// decision, and a head that is never ahead of the disk.
package logtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// Open opens the store that path names, with the log's schema, making it if need be. Closing it is the suite's work.
type Open func(t *testing.T, path string) *sqlstore.Store

// Run runs the suite. newPath names a store that does not exist yet.
func Run(t *testing.T, newPath func(t *testing.T) string, open Open) {
	cases := []struct {
		name string
		test func(s *suite)
	}{
		{"an event comes back as it was recorded, with position, version and prev", (*suite).roundTrip},
		{"another expected version is a conflict that names both", (*suite).conflict},
		{"of many who expect the same version one appends", (*suite).race},
		{"positions have no gap under writers of whom some refuse", (*suite).gapFree},
		{"prev chains the events of each stream", (*suite).prevChain},
		{"an append of many events is as good as many appends", (*suite).manyEvents},
		{"thousands of streams each go on from their own end", (*suite).manyStreams},
		{"a stream goes on from its end after the update that moved it was refused", (*suite).afterRefusal},
		{"a refused append leaves no event and does not move the head", (*suite).refused},
		{"the head moves before the caller hears, and wakes all who wait", (*suite).wait},
		{"a wait ends with its context", (*suite).waitEnds},
		{"a reopened log reads its head and goes on", (*suite).reopen},
		{"streams are listed in the order in which they began, page by page", (*suite).begun},
		{"readings are pages of at most the limit, and the limit is bounded", (*suite).pages},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := &suite{T: t, path: newPath(t), open: open}
			s.start()
			defer s.stop()
			c.test(s)
		})
	}
}

type suite struct {
	*testing.T
	path  string
	open  Open
	store *sqlstore.Store
	log   *eventlog.Log
}

func (s *suite) start() {
	s.Helper()
	s.store = s.open(s.T, s.path)
	log, err := eventlog.New(s.store)
	s.must(err)
	s.log = log
}

func (s *suite) stop() { s.must(s.store.Close()) }

func (s *suite) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func event(typ string) eventlog.Event {
	return eventlog.Event{Type: typ, Schema: 1, Data: []byte(`{}`), Meta: eventlog.Meta{
		Shop: "main", Actor: "staff:ann", OnBehalfOf: "bearer:crt_1", Reason: "asked", Correlation: "req_1",
		Causation: "req_0", Trace: "4bf92f35", Time: time.UnixMicro(1_700_000_000_000_001).UTC(),
	}}
}

func (s *suite) append(stream string, expected int64, events ...eventlog.Event) (version int64, err error) {
	err = s.store.Update(s.Context(), func(tx sqlstore.Tx) error {
		version, err = s.log.Append(tx, stream, expected, events...)
		return err
	})
	return version, err
}

func (s *suite) all() []eventlog.Recorded {
	s.Helper()
	all, err := s.log.After(s.Context(), 0, eventlog.LimitMax)
	s.must(err)
	return all
}

func (s *suite) roundTrip() {
	first, second := event("Placed"), event("Confirmed")
	second.Data = nil
	version, err := s.append("ord_1", 0, first, second)
	s.must(err)
	if version != 2 {
		s.Errorf("version is %d after two events", version)
	}
	second.Data = []byte{}
	want := []eventlog.Recorded{
		{Event: first, Position: 1, Prev: 0, Stream: "ord_1", Version: 1},
		{Event: second, Position: 2, Prev: 1, Stream: "ord_1", Version: 2},
	}
	if diff := cmp.Diff(want, s.all()); diff != "" {
		s.Errorf("read other events than were appended (-want +got):\n%s", diff)
	}
}

func (s *suite) conflict() {
	_, err := s.append("ord_1", 0, event("Placed"))
	s.must(err)
	_, err = s.append("ord_1", 3, event("Confirmed"))
	var conflict *eventlog.ConflictError
	if !errors.As(err, &conflict) || *conflict != (eventlog.ConflictError{Stream: "ord_1", Expected: 3, Actual: 1}) {
		s.Errorf("got %v", err)
	}
	if version, err := s.append("ord_1", eventlog.Any, event("Noted")); err != nil || version != 2 {
		s.Errorf("Any: version %d, %v", version, err)
	}
}

// writers is the concurrency of this suite.
const writers = 32

func (s *suite) race() {
	var won, lost int
	s.concurrently(func(w int) (err error) {
		_, err = s.append("ord_1", 0, event(fmt.Sprint(w)))
		return err
	}, func(err error) {
		var conflict *eventlog.ConflictError
		switch {
		case err == nil:
			won++
		case errors.As(err, &conflict):
			lost++
		default:
			s.Error(err)
		}
	})
	if won != 1 || lost != writers-1 {
		s.Errorf("%d won, %d lost", won, lost)
	}
}

// concurrently runs do once for each writer, at the same time, and hands the outcomes on, one at a time.
func (s *suite) concurrently(do func(w int) error, after func(error)) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	for w := range writers {
		wg.Go(func() {
			err := do(w)
			mu.Lock()
			defer mu.Unlock()
			after(err)
		})
	}
	wg.Wait()
}

var errRefused = errors.New("refused")

// mixed has every writer append twenty times, to streams that they share, and refuse every third after appending.
func (s *suite) mixed() int {
	const rounds = 20
	var kept atomic.Int64
	s.concurrently(func(w int) error {
		for n := range rounds {
			switch err := s.appendThenMaybeRefuse(fmt.Sprintf("stream_%d", w%5), (w+n)%3 == 0); {
			case err == nil:
				kept.Add(2)
			case !errors.Is(err, errRefused):
				return err
			}
		}
		return nil
	}, func(err error) {
		if err != nil {
			s.Error(err)
		}
	})
	return int(kept.Load())
}

func (s *suite) appendThenMaybeRefuse(stream string, refuse bool) error {
	return s.store.Update(s.Context(), func(tx sqlstore.Tx) error {
		_, err := s.log.Append(tx, stream, eventlog.Any, event("A"), event("B"))
		if err == nil && refuse {
			return errRefused
		}
		return err
	})
}

func (s *suite) gapFree() {
	kept := s.mixed()
	all := s.all()
	if len(all) != kept {
		s.Fatalf("%d events, %d were acknowledged", len(all), kept)
	}
	for i, r := range all {
		if r.Position != int64(i+1) {
			s.Fatalf("position %d follows %d", r.Position, i)
		}
	}
	if s.log.Head() != int64(kept) {
		s.Errorf("head is %d of %d", s.log.Head(), kept)
	}
}

func (s *suite) prevChain() {
	s.mixed()
	last := map[string]eventlog.Recorded{}
	for _, r := range s.all() {
		if before := last[r.Stream]; r.Prev != before.Position || r.Version != before.Version+1 {
			s.Fatalf("%s %d (version %d) names %d as previous, which is %d (version %d)",
				r.Stream, r.Position, r.Version, r.Prev, before.Position, before.Version)
		}
		last[r.Stream] = r
	}
}

func (s *suite) manyEvents() {
	var events []eventlog.Event
	for n := range 11 {
		events = append(events, event(fmt.Sprint(n)))
	}
	version, err := s.append("ord_1", 0, events...)
	s.must(err)
	if version != 11 || s.log.Head() != 11 {
		s.Errorf("version is %d, head %d", version, s.log.Head())
	}
	for i, r := range s.all() {
		if r.Type != fmt.Sprint(i) || r.Position != int64(i+1) || r.Version != r.Position || r.Prev != r.Position-1 {
			s.Errorf("event %d is %v", i, r)
		}
	}
}

// manyStreams are more than a log may remember.
func (s *suite) manyStreams() {
	const streams = 5000
	for version := range int64(2) {
		s.must(s.store.Update(s.Context(), func(tx sqlstore.Tx) error {
			for n := range streams {
				if _, err := s.log.Append(tx, fmt.Sprint("ord_", n), version, event("A")); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	for _, r := range s.all() {
		if want := max(0, r.Position-streams); r.Prev != want {
			s.Fatalf("%s %d: prev is %d", r.Stream, r.Version, r.Prev)
		}
	}
}

func (s *suite) afterRefusal() {
	for version := range int64(3) {
		if err := s.appendThenMaybeRefuse("ord_1", true); !errors.Is(err, errRefused) {
			s.Fatal(err)
		}
		_, err := s.append("ord_1", version, event("A"))
		s.must(err)
		_, err = s.append(fmt.Sprint("ord_2", version), 0, event("B"))
		s.must(err)
	}
	if all := s.all(); len(all) != 6 || all[4].Prev != 3 || all[5].Position != 6 {
		s.Errorf("read %v", all)
	}
}

func (s *suite) refused() {
	err := s.appendThenMaybeRefuse("ord_1", true)
	if !errors.Is(err, errRefused) || len(s.all()) != 0 || s.log.Head() != 0 {
		s.Errorf("error %v, head %d, events %v", err, s.log.Head(), s.all())
	}
}

func (s *suite) wait() {
	woken := make(chan error, 3)
	for range cap(woken) {
		go func() { woken <- s.log.Wait(s.Context(), 1) }()
	}
	for i := range int64(2) {
		_, err := s.append("ord_1", i, event("Placed"))
		s.must(err)
		if s.log.Head() != i+1 {
			s.Errorf("the caller heard of position %d and the head is %d", i+1, s.log.Head())
		}
	}
	for range cap(woken) {
		s.must(<-woken)
	}
}

func (s *suite) waitEnds() {
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	if err := s.log.Wait(ctx, 0); !errors.Is(err, context.Canceled) {
		s.Errorf("got %v", err)
	}
}

func (s *suite) reopen() {
	_, err := s.append("ord_1", 0, event("A"), event("B"), event("C"))
	s.must(err)
	s.stop()
	s.start()
	if s.log.Head() != 3 {
		s.Errorf("head is %d after reopening", s.log.Head())
	}
	_, err = s.append("ord_2", 0, event("D"))
	s.must(err)
	if all := s.all(); len(all) != 4 || all[3].Position != 4 {
		s.Errorf("read %v", all)
	}
}

// begun lists streams that were mixed with each other.
func (s *suite) begun() {
	var want []eventlog.Begin
	for i := range 20 {
		stream := fmt.Sprint("s", i%7)
		if _, err := s.append(stream, eventlog.Any, event("A"), event("B")); err != nil {
			s.Fatal(err)
		}
		if i < 7 {
			want = append(want, eventlog.Begin{Position: int64(2*i) + 1, Stream: stream})
		}
	}
	var got []eventlog.Begin
	for after := int64(0); ; {
		var page []eventlog.Begin
		s.must(s.store.View(s.Context(), func(tx sqlstore.Tx) (err error) {
			page, err = s.log.Begun(tx, after, 3)
			return err
		}))
		if len(page) == 0 {
			break
		}
		got, after = append(got, page...), page[len(page)-1].Position
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.Error(diff)
	}
	s.must(s.store.View(s.Context(), func(tx sqlstore.Tx) error {
		if _, err := s.log.Begun(tx, 0, 0); err == nil {
			s.Error("a limit of nothing was taken")
		}
		return nil
	}))
}

func (s *suite) pages() {
	for range 5 {
		_, err := s.append("ord_1", eventlog.Any, event("A"), event("B"))
		s.must(err)
	}
	page, err := s.log.After(s.Context(), 3, 4)
	s.must(err)
	if len(page) != 4 || page[0].Position != 4 {
		s.Errorf("after 3, limit 4: %v", page)
	}
	s.must(s.store.View(s.Context(), func(tx sqlstore.Tx) error {
		page, err = s.log.Stream(tx, "ord_1", 8, 4)
		return err
	}))
	if len(page) != 2 || page[0].Version != 9 {
		s.Errorf("stream after 8: %v", page)
	}
	if _, err := s.log.After(s.Context(), 0, eventlog.LimitMax+1); err == nil {
		s.Error("a limit beyond the bound was taken")
	}
}
