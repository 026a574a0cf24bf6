package sweep_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/idem"
	"github.com/seed-21071466/souk/kit/saga"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
	"github.com/seed-21071466/souk/kit/sweep"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func open(t *testing.T) *sqlstore.Store {
	t.Helper()
	store, err := sqlstoretest.Open(context.Background(), filepath.Join(t.TempDir(), "room.db"), sqlstore.Options{Schemas: []sqlstore.Schema{idem.Schema(), saga.Schema()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

func count(t *testing.T, store *sqlstore.Store, table string) (n int) {
	t.Helper()
	err := store.View(context.Background(), func(tx sqlstore.Tx) error { return tx.QueryRow(`SELECT count(*) FROM ` + table).Scan(&n) })
	if err != nil {
		t.Fatal(err)
	}
	return n
}

var trip = saga.Definition{Name: "trip", Version: 1, Steps: []saga.Step{{Name: "go", Kind: saga.Retriable, Timeout: time.Second, Attempts: 1, Backoff: saga.Backoff{First: time.Second, Max: time.Second}}}}

// fill leaves so many keys and ended runs that are past their time, one of each that is just not, and a run that goes on.
func fill(t *testing.T, store *sqlstore.Store, past int) {
	t.Helper()
	err := store.Update(context.Background(), func(tx sqlstore.Tx) error {
		for i := range past + 1 {
			key, ended := now.Add(-idem.Keep-time.Second), now.Add(-saga.KeepDone-time.Second)
			if i == past {
				key, ended = now.Add(-idem.Keep), now.Add(-saga.KeepDone)
			}
			id := fmt.Sprint("r", i)
			if _, err := idem.Claim(tx, idem.Key{Shop: "shop", Principal: "staff:key", Method: "go", Key: id}, id, key); err != nil {
				return err
			}
			if err := saga.Begin(tx, trip.New(id, "room", ended).End(ended)); err != nil {
				return err
			}
		}
		return saga.Begin(tx, trip.New("open", "room", now.Add(-10*saga.KeepDone)))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestASweepRemovesAllThatIsPastItsTimeAndNothingElse(t *testing.T) {
	store := open(t)
	fill(t, store, 2*sweep.Batch+7) // more than one transaction may remove
	s := sweep.New(store, clock.NewFake(now), slog.New(slog.DiscardHandler), idem.Expire, saga.Expire)
	if err := s.Sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
	if keys, runs := count(t, store, "idem_keys"), count(t, store, "saga_runs"); keys != 1 || runs != 2 {
		t.Errorf("%d keys and %d runs are left, want 1 and 2", keys, runs)
	}
}

func TestItSweepsFromTimeToTimeUntilItsContextEnds(t *testing.T) {
	fake := clock.NewFake(now)
	swept := make(chan time.Time)
	s := sweep.New(open(t), fake, slog.New(slog.DiscardHandler), func(_ sqlstore.Tx, at time.Time, _ int) (int64, error) {
		swept <- at
		return 0, errors.New("a task that fails does not end the sweeper")
	})
	ended := make(chan struct{})
	ctx, end := context.WithCancel(context.Background())
	go func() { defer close(ended); _ = s.Run(ctx) }()
	for range 3 {
		for waiting := true; waiting; {
			fake.Advance(sweep.Every)
			select {
			case <-swept:
				waiting = false
			case <-time.After(time.Millisecond):
			}
		}
	}
	end()
	<-ended
}
