package logtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/eventlog"
)

// RunShared runs what two processes that append to one log owe each other. Each opens the store for itself.
func RunShared(t *testing.T, newPath func(t *testing.T) string, open Open) {
	cases := []struct {
		name string
		test func(one, two *suite)
	}{
		{"positions have no gap and prev chains the streams, whoever appends", bothMix},
		{"of many in two processes who expect the same version one appends", bothRace},
		{"each goes on from where the other left a stream", takeTurns},
		{"the head of a process that only reads follows, and wakes all who wait", follow},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := newPath(t)
			one, two := &suite{T: t, path: path, open: open}, &suite{T: t, path: path, open: open}
			one.start()
			defer one.stop()
			two.start()
			defer two.stop()
			c.test(one, two)
		})
	}
}

// together runs one thing in both.
func together(one, two *suite, do func(s *suite)) {
	var wg sync.WaitGroup
	for _, s := range []*suite{one, two} {
		wg.Go(func() { do(s) })
	}
	wg.Wait()
}

func bothMix(one, two *suite) {
	var mu sync.Mutex
	kept := 0
	together(one, two, func(s *suite) {
		n := s.mixed()
		mu.Lock()
		defer mu.Unlock()
		kept += n
	})
	one.unbroken(kept)
	together(one, two, func(s *suite) { s.comesTo(int64(kept)) })
}

// unbroken reads so many events, one after the other, each naming the one before it in its stream.
func (s *suite) unbroken(kept int) {
	s.Helper()
	all := s.all()
	if len(all) != kept {
		s.Fatalf("%d events, %d were acknowledged", len(all), kept)
	}
	last := map[string]eventlog.Recorded{}
	for i, r := range all {
		if r.Position != int64(i+1) {
			s.Fatalf("position %d follows %d", r.Position, i)
		}
		if before := last[r.Stream]; r.Prev != before.Position || r.Version != before.Version+1 {
			s.Fatalf("%s %d (version %d) names %d as previous, which is %d (version %d)",
				r.Stream, r.Position, r.Version, r.Prev, before.Position, before.Version)
		}
		last[r.Stream] = r
	}
}

// comesTo waits for the head to be there.
func (s *suite) comesTo(position int64) {
	ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
	defer cancel()
	if err := s.log.Wait(ctx, position-1); err != nil {
		s.Errorf("wait for position %d: %v; the head is %d", position, err, s.log.Head())
	}
}

func bothRace(one, two *suite) {
	var mu sync.Mutex
	won := 0
	together(one, two, func(s *suite) {
		s.concurrently(func(w int) (err error) {
			_, err = s.append("ord_1", 0, event(fmt.Sprint(w)))
			return err
		}, func(err error) {
			var conflict *eventlog.ConflictError
			switch {
			case err == nil:
				mu.Lock()
				won++
				mu.Unlock()
			case !errors.As(err, &conflict):
				s.Error(err)
			}
		})
	})
	if won != 1 {
		one.Errorf("%d won", won)
	}
}

func takeTurns(one, two *suite) {
	for version := range int64(10) {
		s := one
		if version%2 == 1 {
			s = two
		}
		if err := s.appendThenMaybeRefuse("ord_1", true); !errors.Is(err, errRefused) {
			s.Fatal(err)
		}
		_, err := s.append("ord_1", version, event("A"))
		s.must(err)
		_, err = s.append(fmt.Sprint("ord_2", version), 0, event("B"))
		s.must(err)
	}
	two.unbroken(20)
}

func follow(one, two *suite) {
	woken := make(chan struct{})
	go func() {
		defer close(woken)
		two.comesTo(3)
	}()
	_, err := one.append("ord_1", 0, event("A"), event("B"))
	one.must(err)
	_, err = one.append("ord_1", 2, event("C"))
	one.must(err)
	<-woken
	two.unbroken(3)
}
