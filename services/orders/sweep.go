package orders

import (
	"context"
	"log/slog"
	"time"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/idem"
	"github.com/seed-21071466/souk/kit/saga"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

const (
	sweepEvery = 10 * time.Minute // how often what is kept for a time is looked through
	sweepBatch = 1000             // rows that one transaction removes at most
	sweepMax   = 1000             // transactions of one sweep at most; what is left waits for the next
)

// sweeper removes idempotency keys after idem.Keep and ended runs after saga.KeepDone.
type sweeper struct {
	store *sqlstore.Store
	clock clock.Clock
	log   *slog.Logger
	quit  chan struct{}
}

func newSweeper(store *sqlstore.Store, c clock.Clock, log *slog.Logger) *sweeper {
	return &sweeper{store: store, clock: c, log: log, quit: make(chan struct{})}
}

func (s *sweeper) run() {
	timer := s.clock.NewTimer(sweepEvery)
	defer timer.Stop()
	for {
		select {
		case <-s.quit:
			return
		case <-timer.C():
		}
		if err := s.sweep(); err != nil {
			s.log.Error("cannot remove what is past its time", "error", err)
		}
		timer.Reset(sweepEvery)
	}
}

// sweep goes on while there is more, so that it keeps up with any number of checkouts.
func (s *sweeper) sweep() error {
	for range sweepMax {
		var keys, runs int64
		err := s.store.Update(context.Background(), func(tx sqlstore.Tx) (err error) {
			now := s.clock.Now()
			if keys, err = idem.Sweep(tx, now.Add(-idem.Keep), sweepBatch); err != nil {
				return err
			}
			runs, err = saga.Sweep(tx, now.Add(-saga.KeepDone), sweepBatch)
			return err
		})
		if err != nil || max(keys, runs) < sweepBatch || s.closing() {
			return err
		}
	}
	return nil
}

func (s *sweeper) closing() bool {
	select {
	case <-s.quit:
		return true
	default:
		return false
	}
}

func (s *sweeper) close() { close(s.quit) }
