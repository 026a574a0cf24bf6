// Package sweep removes what rooms keep for a time and whose time is over: idempotency keys, ended runs.
//
//	every Every ─▶ transaction: each task removes up to Batch rows ─▶ again while there is more
package sweep

import (
	"context"
	"log/slog"
	"time"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// The pace of a Sweeper.
const (
	Every  = 10 * time.Minute // between two sweeps
	Batch  = 1000             // rows that a task removes at most in one transaction
	rounds = 1000             // transactions of one sweep at most; what is left waits for the next
)

// Task removes rows that are past their time by now, at most limit, and tells how many.
type Task func(tx sqlstore.Tx, now time.Time, limit int) (removed int64, err error)

// Sweeper does its tasks from time to time.
type Sweeper struct {
	store *sqlstore.Store
	clock clock.Clock
	log   *slog.Logger
	tasks []Task
}

// New makes a sweeper; Run does its work.
func New(store *sqlstore.Store, c clock.Clock, log *slog.Logger, tasks ...Task) *Sweeper {
	return &Sweeper{store: store, clock: c, log: log, tasks: tasks}
}

// Run sweeps until ctx ends; a sweep under way stops after its transaction. Two that sweep the same store do no harm, and
// are one too many.
func (s *Sweeper) Run(ctx context.Context) error {
	timer := s.clock.NewTimer(Every)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C():
		}
		if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("cannot remove what is past its time", "error", err)
		}
		timer.Reset(Every)
	}
}

// Sweep goes on while there is more, so that it keeps up with any number of commands.
func (s *Sweeper) Sweep(ctx context.Context) error {
	for range rounds {
		more := false
		err := s.store.Update(ctx, func(tx sqlstore.Tx) error {
			more = false
			for _, task := range s.tasks {
				n, err := task(tx, s.clock.Now(), Batch)
				if err != nil {
					return err
				}
				more = more || n >= Batch
			}
			return nil
		})
		if err != nil || !more || ctx.Err() != nil {
			return err
		}
	}
	return nil
}
