package app

import (
	"context"

	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/saga"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/orders/checkout"
	"github.com/seed-21071466/souk/services/orders/order"
)

// Resolution is what an operator does to a parked run.
type Resolution struct {
	RunID  string
	Action string // "retry", "skip" or "abandon"
	Reason string
	Meta   eventlog.Meta
}

// Resolve retries a parked run, skips the undoing that it is at, or abandons it.
// Each leaves an audit row with who and why.
func (a *App) Resolve(ctx context.Context, r Resolution) error {
	if r.Reason == "" && r.Action != "retry" {
		return problem.Field("reason", "required", "say why: it is kept in the run's audit")
	}
	by := saga.By{Actor: r.Meta.Actor, Reason: r.Reason, At: a.Clock.Now()}
	err := a.Store.Update(ctx, func(tx sqlstore.Tx) (err error) {
		switch r.Action {
		case "retry":
			_, err = saga.Retry(tx, r.RunID, by)
		case "skip":
			err = a.skip(tx, r, by)
		case "abandon":
			_, err = saga.Abandon(tx, r.RunID, by)
		default:
			err = problem.Field("action", "unknown", `must be "retry", "skip" or "abandon"`)
		}
		return err
	})
	if err == nil {
		a.kick(ctx, r.RunID)
	}
	return err
}

// skip leaves the effect that the run is undoing as it is. A step of an undecided
// order cannot be skipped: that would confirm what was never held or paid.
func (a *App) skip(tx sqlstore.Tx, r Resolution, by saga.By) error {
	o, err := a.fold(tx, r.RunID)
	if err != nil {
		return err
	}
	step, err := undoing(&o)
	if err != nil {
		return err
	}
	meta := r.Meta
	meta.Reason = r.Reason
	_, err = a.decide(tx, o, meta, func(o *order.Order) ([]order.Event, error) { return o.SkipUndo(step) })
	if err != nil {
		return err
	}
	_, err = saga.Skip(tx, checkout.Definition(), r.RunID, by)
	return err
}

func undoing(o *order.Order) (order.Step, error) {
	switch checkout.Next(o) {
	case checkout.Cancel:
		return order.StepPay, nil
	case checkout.Release:
		return order.StepHold, nil
	}
	return "", problem.Newf(problem.Conflict, "not_skippable", "order %s is %s: only the undoing of a rejected order can be skipped", o.ID, o.Status)
}

// Runs lists a page of runs and gives the cursor of the next.
func (a *App) Runs(ctx context.Context, f saga.Filter) (runs []saga.Run, next string, err error) {
	err = a.Store.View(ctx, func(tx sqlstore.Tx) error {
		runs, next, err = saga.List(tx, f)
		return err
	})
	return runs, next, err
}

// Run reads one run with what operators did to it.
func (a *App) Run(ctx context.Context, runID string) (run saga.Run, audit []saga.Audit, err error) {
	err = a.Store.View(ctx, func(tx sqlstore.Tx) error {
		run, audit, err = saga.Get(tx, runID)
		return err
	})
	return run, audit, err
}
