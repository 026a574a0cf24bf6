package app

import (
	"context"

	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/saga"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/orders/aftersale"
	"github.com/seed-21071466/souk/services/orders/order"
)

// Resolution is what an operator does to a parked run.
type Resolution struct {
	RunID  string
	Action string // "retry", "skip" or "abandon"
	Reason string
	Meta   eventlog.Meta
}

// Resolve retries a parked run, skips the undoing that it is at, or abandons it, which
// skips all that is left. Each leaves an audit row with who and why.
func (a *App) Resolve(ctx context.Context, r Resolution) error {
	act, ok := map[string]func(sqlstore.Tx, Resolution, saga.By) error{"retry": retry, "skip": a.skip, "abandon": a.abandon}[r.Action]
	switch {
	case !ok:
		return problem.Field("action", "unknown", `must be "retry", "skip" or "abandon"`)
	case r.Reason == "" && r.Action != "retry":
		return problem.Field("reason", "required", "say why: it is kept in the run's audit")
	}
	r.Meta.Reason = r.Reason
	by := saga.By{Actor: r.Meta.Actor, Reason: r.Reason, At: a.Clock.Now()}
	err := a.Store.Update(ctx, func(tx sqlstore.Tx) error { return act(tx, r, by) })
	if err == nil {
		a.driver.KickFrom(ctx, r.RunID)
	}
	return err
}

func retry(tx sqlstore.Tx, r Resolution, by saga.By) error {
	_, err := saga.Retry(tx, r.RunID, by)
	return err
}

// skip leaves out what the run stands at. What comes next is for the order to say.
func (a *App) skip(tx sqlstore.Tx, r Resolution, by saga.By) error {
	c := a.courseOfRun(r.RunID)
	run, err := saga.Skip(tx, c.definition, r.RunID, by)
	if err != nil {
		return err
	}
	o, err := a.leave(tx, r, 1)
	if err != nil {
		return err
	}
	return saga.Save(tx, c.place(run, &o, by.At, by.At))
}

// abandon leaves out all that is still to be done.
func (a *App) abandon(tx sqlstore.Tx, r Resolution, by saga.By) error {
	if _, err := saga.Abandon(tx, r.RunID, by); err != nil {
		return err
	}
	_, err := a.leave(tx, r, leaveMax)
	return err
}

// leaveMax is more than a run can have left to do.
const leaveMax = 4 * order.MoneyMax

// leave has an order forget the next thing to be done, or so many of them. Of an undecided order nothing can be left
// out: that would confirm what was never held or paid, or block its cart for good; nor can the question to shipping,
// whose answer decides a cancellation.
func (a *App) leave(tx sqlstore.Tx, r Resolution, most int) (order.Order, error) {
	c := a.courseOfRun(r.RunID)
	k, err := a.look(tx, c.orderID(r.RunID))
	if err != nil {
		return k.order, err
	}
	return a.decide(tx, k, r.Meta, func(o *order.Order) (left []order.Event, err error) {
		next := *o
		for range most {
			m := c.next(&next)
			if m.over() {
				break
			}
			if m.leave == nil {
				return nil, problem.Newf(problem.Conflict, "not_skippable", "order %s is %s, and its %s cannot be left out; retry it", o.ID, next.Status, m.name)
			}
			events, err := m.leave(&next)
			if err != nil {
				return nil, err
			}
			for _, e := range events {
				if err := next.Evolve(e); err != nil {
					return nil, err
				}
			}
			left = append(left, events...)
		}
		if len(left) == 0 {
			return nil, problem.Newf(problem.Conflict, "not_skippable", "order %s is %s, and nothing of it is left to be done", o.ID, o.Status)
		}
		return left, nil
	})
}

func (a *App) courseOfRun(runID string) *course {
	if _, after := aftersale.OrderID(runID); after {
		return aftersaleCourse
	}
	return checkoutCourse
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
