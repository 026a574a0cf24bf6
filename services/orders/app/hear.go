package app

import (
	"context"
	"fmt"

	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/saga"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/orders/order"
)

// Hear takes a fact that another room has published. It is never refused: a fact
// about an order that is decided already is recorded and, if it must be, answered.
func (a *App) Hear(tx sqlstore.Tx, orderID string, meta eventlog.Meta, fact order.Event) error {
	return a.tell(tx, orderID, meta, func(o *order.Order) ([]order.Event, error) {
		if o.Status == order.Absent {
			return nil, fmt.Errorf("hear %T: order %s was never placed", fact, orderID)
		}
		return o.Hear(fact, a.Clock.Now())
	})
}

// Overdue lets an order decide about its hold, which inventory keeps until then.
func (a *App) Overdue(tx sqlstore.Tx, orderID string, meta eventlog.Meta) error {
	return a.tell(tx, orderID, meta, func(o *order.Order) ([]order.Event, error) { return o.Expire(a.Clock.Now()), nil })
}

// tell lets an order decide something, and its runs follow.
func (a *App) tell(tx sqlstore.Tx, orderID string, meta eventlog.Meta, d decision) error {
	k, err := a.look(tx, orderID)
	if err != nil {
		return err
	}
	o, err := a.decide(tx, k, meta, d)
	if err != nil || o.Version == k.order.Version {
		return err
	}
	return a.follow(tx, o, k.order.Status)
}

// follow moves the runs of an order to where it now stands: that of its checkout while it is one's to decide or to undo,
// that of its after-sale from then on.
func (a *App) follow(tx sqlstore.Tx, o order.Order, before order.Status) error {
	if before == order.Pending || o.Status == order.Rejected {
		if err := a.followRun(tx, checkoutCourse, o); err != nil {
			return err
		}
	}
	if o.Status == order.Pending || o.Status == order.Rejected {
		return nil
	}
	return a.followRun(tx, aftersaleCourse, o)
}

// followRun moves a run to where its order now stands, and drives it if there is
// something to do. What is parked stays so while it is still at the same step. A run
// that has ended goes on for what appeared late; one that was swept, or not needed yet, is begun.
func (a *App) followRun(tx sqlstore.Tx, c *course, o order.Order) error {
	now := a.Clock.Now()
	run, err := saga.Look(tx, c.runID(o.ID))
	switch {
	case problem.Is(err, "run_not_found") && c.next(&o).over():
		return nil
	case problem.Is(err, "run_not_found"):
		run = c.place(c.definition.New(c.runID(o.ID), a.driver.Owner(), now), &o, now, now)
		if err := saga.Begin(tx, run); err != nil {
			return err
		}
		tx.AfterCommit(func() { a.driver.KickBegun(context.Background(), run) })
		return nil
	case err != nil:
		return err
	}
	next := c.place(run, &o, now, now)
	switch {
	case run.State == saga.Parked && run.Resume == next.State && run.Step == next.Step && !c.next(&o).fresh:
		return nil // an operator decides about it
	case !run.State.Active() && !next.State.Active():
		return nil // over as before
	}
	if err := saga.Save(tx, next); err != nil {
		return err
	}
	tx.AfterCommit(func() { a.driver.KickFrom(context.Background(), run.ID) })
	return nil
}
