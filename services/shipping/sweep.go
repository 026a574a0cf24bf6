package shipping

import (
	"context"
	"log/slog"
	"time"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/idem"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

const (
	sweepEvery = 10 * time.Minute // how often keys are looked through
	sweepBatch = 1000             // keys that one transaction removes at most
	sweepMax   = 1000             // transactions of one sweep at most; what is left waits for the next
)

// sweeper removes idempotency keys after idem.Keep.
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
			s.log.Error("cannot remove idempotency keys that are past their time", "error", err)
		}
		timer.Reset(sweepEvery)
	}
}

// sweep goes on while there is more, so that it keeps up with any number of dispatches.
func (s *sweeper) sweep() error {
	for range sweepMax {
		var keys int64
		err := s.store.Update(context.Background(), func(tx sqlstore.Tx) (err error) {
			keys, err = idem.Sweep(tx, s.clock.Now().Add(-idem.Keep), sweepBatch)
			return err
		})
		if err != nil || keys < sweepBatch || s.closing() {
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
