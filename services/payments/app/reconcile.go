package app

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/payments/intent"
	"github.com/seed-21071466/souk/services/payments/operation"
)

// Bounds of the unattended work.
const (
	batchMax   = 64          // rows looked at in one round
	atOnce     = 16          // calls of the provider under way in one round
	restMax    = time.Minute // the longest sleep between two rounds
	failedRest = time.Second // the sleep after a round that the store failed
)

// reconcile settles unfinished intents whose time has come.
func (p *Payments) reconcile(ctx context.Context) error {
	return p.rounds(ctx, p.intents, "intents", func() (int, error) {
		due, err := p.dueIntents(ctx, p.now())
		if err != nil {
			return 0, err
		}
		return len(due), inParallel(due, func(i intent.Intent) error {
			if ctx.Err() != nil {
				return nil
			}
			i, err := p.flights.do(ctx, i.Key(), func() (intent.Intent, error) { return p.settleNow(ctx, i.ID) })
			if err == nil && !i.State.Final() {
				err = p.postpone(ctx, "intents", i.ID)
			}
			return err
		})
	})
}

// settleNow settles an intent as it is now, which may be finished.
func (p *Payments) settleNow(ctx context.Context, id string) (i intent.Intent, err error) {
	err = p.Store.Glance(ctx, func(tx sqlstore.Tx) error {
		i, err = p.byID(tx, id)
		return err
	})
	if err != nil {
		return i, err
	}
	return p.settle(ctx, i)
}

// finishOperations asks about open operations whose time has come.
func (p *Payments) finishOperations(ctx context.Context) error {
	return p.rounds(ctx, p.asked, "operations", func() (int, error) {
		due, err := p.dueOperations(ctx, p.now())
		if err != nil {
			return 0, err
		}
		return len(due), inParallel(due, func(o operation.Operation) error {
			if ctx.Err() != nil {
				return nil
			}
			return p.finishOperation(ctx, o)
		})
	})
}

// finishOperation takes the order's turn, in which it may have been finished.
func (p *Payments) finishOperation(ctx context.Context, o operation.Operation) error {
	done, err := p.turns.take(ctx, o.Order)
	if err != nil {
		return nil // the room is closing
	}
	defer done()
	var i intent.Intent
	err = p.Store.View(ctx, func(tx sqlstore.Tx) error {
		if o, err = p.operation(tx, o.ID); err == nil && o.State.Open() {
			i, err = p.byID(tx, o.Intent)
		}
		return err
	})
	if err != nil || !o.State.Open() {
		return err
	}
	if o, err = p.ask(ctx, o, i); err != nil || !o.State.Open() {
		return err
	}
	return p.postpone(ctx, "operations", o.ID)
}

// rounds works until ctx ends: at once while there is more, else when woken or
// when the next row of the table is due.
func (p *Payments) rounds(ctx context.Context, w waker, table string, round func() (int, error)) error {
	timer := p.Clock.NewTimer(restMax)
	defer timer.Stop()
	for ctx.Err() == nil {
		done, err := round()
		if err == nil && done == batchMax {
			continue
		}
		timer.Reset(p.rest(ctx, table, err))
		select {
		case <-ctx.Done():
		case <-w:
		case <-timer.C():
		}
	}
	return nil
}

// rest is how long nothing is due.
func (p *Payments) rest(ctx context.Context, table string, failed error) time.Duration {
	var due int64
	if failed == nil {
		failed = p.Store.Glance(ctx, func(tx sqlstore.Tx) error {
			return tx.QueryRow(`SELECT COALESCE(MIN(due_at), 0) FROM ` + table + ` WHERE due_at > 0`).Scan(&due)
		})
	}
	switch {
	case failed != nil && ctx.Err() == nil:
		p.Log.ErrorContext(ctx, "payments: unattended work on "+table, "err", failed)
		return failedRest
	case due == 0:
		return p.Store.RestAtMost(restMax)
	}
	return min(p.Store.RestAtMost(restMax), max(0, time.UnixMicro(due).Sub(p.now())))
}

func inParallel[T any](all []T, do func(T) error) error {
	var group errgroup.Group
	group.SetLimit(atOnce)
	for _, one := range all {
		group.Go(func() error { return do(one) })
	}
	return group.Wait()
}
