package app

import (
	"context"
	"fmt"

	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/saga"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/orders/checkout"
	"github.com/seed-21071466/souk/services/orders/order"
)

// Hear takes a fact that another room has published. It is never refused: a fact
// about an order that is decided already is recorded and, if it must be, undone.
func (a *App) Hear(tx sqlstore.Tx, orderID string, meta eventlog.Meta, fact order.Event) error {
	if a.hot.knows(orderID, fact) {
		return nil
	}
	known, err := a.fold(tx, orderID)
	if err != nil {
		return err
	}
	if known.Status == order.Absent {
		return fmt.Errorf("hear %T: order %s was never placed", fact, orderID)
	}
	o, err := a.decide(tx, known, meta, func(o *order.Order) ([]order.Event, error) {
		return o.Hear(fact, a.Clock.Now())
	})
	if err != nil || o.Version == known.Version {
		return err
	}
	return a.follow(tx, o)
}

// Overdue lets an order decide about its hold, which inventory keeps until then.
func (a *App) Overdue(tx sqlstore.Tx, orderID string, meta eventlog.Meta) error {
	known, err := a.fold(tx, orderID)
	if err != nil {
		return err
	}
	o, err := a.decide(tx, known, meta, func(o *order.Order) ([]order.Event, error) {
		return o.Expire(a.Clock.Now()), nil
	})
	if err != nil || o.Version == known.Version {
		return err
	}
	return a.follow(tx, o)
}

// follow moves the run to where its order now stands, and drives it if there is
// something to do. What is parked stays so while it is still at the same step. A run
// that has ended goes on for an effect that appeared late; one that was swept is begun anew.
func (a *App) follow(tx sqlstore.Tx, o order.Order) error {
	now, save := a.Clock.Now(), saga.Save
	run, err := saga.Look(tx, o.ID)
	switch {
	case problem.Is(err, "run_not_found") && checkout.Next(&o) == checkout.Nothing:
		return nil
	case problem.Is(err, "run_not_found"):
		run, save = checkout.Definition().New(o.ID, actor, now), saga.Begin
	case err != nil:
		return err
	}
	next := place(run, &o, now, now)
	if run.State == saga.Parked && run.Resume == next.State && run.Step == next.Step {
		return nil // an operator decides about it
	}
	if err := save(tx, next); err != nil {
		return err
	}
	tx.AfterCommit(func() { a.driver.KickFrom(context.Background(), o.ID) })
	return nil
}
