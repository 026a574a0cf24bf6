package sqlstoretest

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-21071466/souk/kit/sqlstore"
)

func (s *suite) panics() {
	release := s.busy()
	go release()
	concurrently(8, func(i int) {
		defer func() {
			if p := recover(); (p == "boom") != (i == 3) {
				s.Errorf("update %d recovered %v", i, p)
			}
		}()
		s.ok(s.update(func(tx sqlstore.Tx) error {
			if err := insert(tx, i+1, nil); err != nil {
				return err
			}
			if i == 3 {
				panic("boom")
			}
			return nil
		}))
	})
	release()
	if n := s.count(); n != 7 {
		s.Errorf("%d rows of 7", n)
	}
}

func (s *suite) goexit() {
	s.ok(s.set("a", 1))
	err := s.update(func(tx sqlstore.Tx) error {
		_ = set(tx, "a", 2)
		runtime.Goexit()
		return nil
	})
	if err == nil {
		s.Error("the caller heard nothing of it")
	}
	s.wants("a", 1)
	s.ok(s.set("a", 3))
	s.wants("a", 3)
}

func (s *suite) leavesQueue() {
	release := s.busy()
	defer release()
	ctx, cancel := context.WithCancel(s.Context())
	heard := make(chan error)
	var ran atomic.Bool
	go func() {
		heard <- s.store.Update(ctx, func(tx sqlstore.Tx) error {
			ran.Store(true)
			return set(tx, "a", 1)
		})
	}()
	time.Sleep(10 * time.Millisecond) // it queues; if it has not yet, it finds its context ended
	cancel()
	if err := <-heard; !errors.Is(err, context.Canceled) {
		s.Errorf("the caller who left heard %v", err)
	}
	release()
	s.ok(s.set("b", 1))
	if ran.Load() {
		s.Error("its function ran all the same")
	}
	s.wants("a", -1)
}

func (s *suite) leavesRunning() {
	ctx, cancel := context.WithCancel(s.Context())
	s.ok(s.store.Update(ctx, func(tx sqlstore.Tx) error {
		cancel()
		return set(tx, "a", 1)
	}))
	s.wants("a", 1)
}

func (s *suite) hooks() {
	var ran []string
	hook := func(name string, outcome error) error {
		return s.update(func(tx sqlstore.Tx) error {
			tx.AfterCommit(func() {
				s.wants("a", 1)
				ran = append(ran, name)
			})
			return errors.Join(set(tx, "a", 1), outcome)
		})
	}
	s.ok(hook("kept", nil))
	if len(ran) != 1 {
		s.Error("the caller heard before the hook ran")
	}
	if err := hook("refused", errRefused); !errors.Is(err, errRefused) {
		s.Errorf("got %v", err)
	}
	if len(ran) != 1 || ran[0] != "kept" {
		s.Errorf("hooks ran: %v", ran)
	}
}

func (s *suite) fullQueue() {
	release := s.busy()
	defer release()
	ctx, cancel := context.WithTimeout(s.Context(), 50*time.Millisecond)
	defer cancel()
	concurrently(sqlstore.QueueMaxDefault+64, func(i int) {
		err := s.store.Update(ctx, func(tx sqlstore.Tx) error { return insert(tx, i+1, nil) })
		if !errors.Is(err, context.DeadlineExceeded) {
			s.Errorf("update %d: %v", i, err)
		}
	})
	release()
	s.ok(s.set("a", 1))
	if n := s.count(); n != 0 {
		s.Errorf("%d rows of callers who had left", n)
	}
}

func (s *suite) manyUpdates() {
	const callers, rounds = 100, 50
	concurrently(callers, func(i int) {
		for r := range rounds {
			s.ok(s.update(func(tx sqlstore.Tx) error { return insert(tx, i*rounds+r+1, make([]byte, 200)) }))
		}
	})
	if n := s.count(); n != callers*rounds {
		s.Errorf("%d rows of %d", n, callers*rounds)
	}
}

// bigUpdate writes some 48 MB at once, and twice more beside readers, so that the log has to start again.
func (s *suite) bigUpdate() {
	body := make([]byte, 16<<10)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				s.count()
			}
		}
	})
	for round := range 3 {
		s.ok(s.update(func(tx sqlstore.Tx) error {
			for i := range 1000 {
				if err := insert(tx, round*1000+i+1, body); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	close(stop)
	wg.Wait()
	if n := s.count(); n != 3000 {
		s.Errorf("%d rows of 3000", n)
	}
}
