package app

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/seed-21071466/souk/kit/clock"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/idem"
)

// The pace of the watch.
const (
	overdueBatch = 100             // holds reported in one transaction
	watchPause   = time.Second     // between two looks, so that dense deadlines do not become a storm
	watchRetry   = 5 * time.Second // after the store refused
	watchIdle    = 24 * time.Hour  // the longest sleep; then old idempotency keys are forgotten
	sweepBatch   = 1_000           // keys forgotten in one transaction
)

// watch knows the earliest deadline that was not reported and wakes the watcher when an earlier one comes.
type watch struct {
	next atomic.Int64 // Unix microseconds for which the watcher sleeps
	wake chan struct{}
}

func newWatch() watch { return watch{wake: make(chan struct{}, 1)} }

// expect is told of every new deadline; nearly all are later than the one awaited and cost one load.
func (w *watch) expect(deadline time.Time) {
	if deadline.UnixMicro() >= w.next.Load() {
		return
	}
	select {
	case w.wake <- struct{}{}:
	default: // it is being woken already
	}
}

// Watch reports holds whose deadline has passed, each once, until ctx ends: first those that passed while nobody
// watched, then each in its time. It keeps the holds; their orders decide.
func (inv *Inventory) Watch(ctx context.Context, meta eventlog.Meta) error {
	timer := inv.Clock.NewTimer(0)
	defer timer.Stop()
	var swept time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-inv.watch.wake:
		case <-timer.C():
		}
		if now := inv.Clock.Now(); now.Sub(swept) >= watchIdle {
			swept = now
			inv.sweep(ctx, now)
		}
		next, err := inv.ReportOverdue(ctx, meta)
		if err != nil && ctx.Err() == nil {
			inv.Slog.ErrorContext(ctx, "overdue holds could not be reported", "error", err)
			next = inv.Clock.Now().Add(watchRetry)
		}
		inv.sleep(timer, next)
	}
}

// sleep sets the timer for next, within the bounds of the pace.
func (inv *Inventory) sleep(timer clock.Timer, next time.Time) {
	timer.Reset(min(max(next.Sub(inv.Clock.Now()), watchPause), inv.Store.RestAtMost(watchIdle)))
}

// ReportOverdue says HoldOverdue for each hold whose deadline has passed since it was last asked, and tells the next
// deadline, far away if there is none.
func (inv *Inventory) ReportOverdue(ctx context.Context, meta eventlog.Meta) (next time.Time, err error) {
	for more := true; more && err == nil; {
		err = inv.update(ctx, func(r rows) error {
			more, next, err = inv.reportSome(r, meta)
			return err
		})
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("report overdue holds: %w", err)
	}
	return next, nil
}

func (inv *Inventory) reportSome(r rows, meta eventlog.Meta) (more bool, next time.Time, err error) {
	now := inv.Clock.Now()
	holds, err := r.selectOverdue(now, overdueBatch)
	if err != nil {
		return false, next, err
	}
	for _, h := range holds {
		if err := r.updateReported(h); err != nil {
			return false, next, err
		}
		if err := inv.say(r, h.Order, inv.Words.HoldOverdue(h.Order, h.Deadline), meta); err != nil {
			return false, next, err
		}
	}
	next, none, err := r.nextDeadline()
	if none {
		next = now.Add(watchIdle)
	}
	inv.watch.next.Store(next.UnixMicro()) // while this is the only writer, so no deadline slips between
	return len(holds) == overdueBatch, next, err
}

// sweep forgets idempotency keys that are older than idem.Keep.
func (inv *Inventory) sweep(ctx context.Context, now time.Time) {
	for n := int64(sweepBatch); n == sweepBatch; {
		err := inv.update(ctx, func(r rows) (err error) {
			n, err = idem.Sweep(r, now.Add(-idem.Keep), sweepBatch)
			return err
		})
		if err != nil {
			inv.Slog.WarnContext(ctx, "old idempotency keys were not forgotten", "error", err)
			return
		}
	}
}
