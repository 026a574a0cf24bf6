package app

import (
	"context"
	"time"

	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/idem"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/saga"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/orders/aftersale"
	"github.com/seed-21071466/souk/services/orders/order"
)

// Cancel calls an order off, for its owner or staff, and waits for the decision. An order that is still canceling when
// the wait is over goes on by itself.
func (a *App) Cancel(ctx context.Context, p auth.Principal, orderID, reason string, meta eventlog.Meta) (order.Order, error) {
	ch, leave := a.waiters.enter(orderID)
	defer leave()
	o, err := a.command(ctx, p, orderID, meta, func(o *order.Order) ([]order.Event, error) { return o.Cancel(reason, a.Clock.Now()) })
	if err != nil || o.Status != order.Canceling {
		return o, err
	}
	if decided, ok := a.waitFor(ctx, orderID, ch); ok {
		o = decided
	}
	if o.Cancellation.Code == order.CancelTooLate {
		return o, problem.Newf(problem.Conflict, order.CancelTooLate, "everything of order %s has left: open a return instead", orderID).With("order", orderID)
	}
	return o, nil
}

// command lets an order that the principal may see decide something; its runs follow in the same transaction.
func (a *App) command(ctx context.Context, p auth.Principal, orderID string, meta eventlog.Meta, d decision) (o order.Order, err error) {
	err = a.Store.Update(ctx, func(tx sqlstore.Tx) error {
		o, err = a.commandIn(tx, p, orderID, meta, d)
		return err
	})
	return o, err
}

func (a *App) commandIn(tx sqlstore.Tx, p auth.Principal, orderID string, meta eventlog.Meta, d decision) (order.Order, error) {
	k, err := a.look(tx, orderID)
	if err != nil {
		return k.order, err
	}
	if !visible(p, &k.order) {
		return k.order, notFound(orderID)
	}
	o, err := a.decide(tx, k, meta, d)
	if err != nil || o.Version == k.order.Version {
		return o, err
	}
	return o, a.follow(tx, o, k.order.Status)
}

// visible tells whether an order exists for a principal: staff, or the holder of its own or its cart's token.
func visible(p auth.Principal, o *order.Order) bool {
	return o.Status != order.Absent && (p.Staff() || p.Owns(o.ID) || o.CartID != "" && p.Owns(o.CartID))
}

// keyed runs a command once for each idempotency key: the effect and its answer are one transaction, and a call heard
// again is answered from it.
func (a *App) keyed(ctx context.Context, key idem.Key, ref string, do func(tx sqlstore.Tx) (o order.Order, about string, err error)) (o order.Order, about string, err error) {
	err = a.Store.Update(ctx, func(tx sqlstore.Tx) error {
		state, err := idem.Claim(tx, key, ref, a.Clock.Now())
		if err != nil {
			return err
		}
		if !state.Fresh {
			s, err := decodeStand(state.Answer)
			if err != nil {
				return err
			}
			about = s.About
			o, err = a.foldAt(tx, s)
			return err
		}
		if o, about, err = do(tx); err != nil {
			return err
		}
		return idem.Answer(tx, key.Method, ref, encodeStand(stand{OrderID: o.ID, Version: o.Version, About: about}))
	})
	return o, about, err
}

// Capture takes money of a confirmed order; an amount of 0 is all that was not asked for yet. Where an earlier capture
// failed it is tried again now, and nothing more is asked for.
func (a *App) Capture(ctx context.Context, p auth.Principal, orderID string, amount int64, key idem.Key, meta eventlog.Meta) (order.Order, error) {
	o, _, err := a.keyed(ctx, key, a.IDs.New("cmd"), func(tx sqlstore.Tx) (order.Order, string, error) {
		again := false
		o, err := a.commandIn(tx, p, orderID, meta, func(o *order.Order) ([]order.Event, error) {
			if again = o.Failing() && o.Status == order.Confirmed; again {
				return nil, nil
			}
			return o.RequestCapture(amount)
		})
		if err == nil && again {
			err = a.hurry(tx, o, saga.By{Actor: meta.Actor, Reason: meta.Reason, At: a.Clock.Now()})
		}
		return o, "", err
	})
	return o, err
}

// OpenReturn announces what comes back of an order, or with a receipt takes it in at once, which is for staff.
func (a *App) OpenReturn(ctx context.Context, p auth.Principal, orderID string, r order.Opening, receipt *order.Receipt, key idem.Key, meta eventlog.Meta) (order.Order, string, error) {
	r.ID, r.At = a.IDs.New("ret"), a.Clock.Now()
	return a.keyed(ctx, key, r.ID, func(tx sqlstore.Tx) (order.Order, string, error) {
		o, err := a.commandIn(tx, p, orderID, meta, func(o *order.Order) ([]order.Event, error) {
			return openAndReceive(*o, r, receipt)
		})
		return o, r.ID, err
	})
}

func openAndReceive(o order.Order, r order.Opening, receipt *order.Receipt) ([]order.Event, error) {
	events, err := o.OpenReturn(r)
	if err != nil || receipt == nil {
		return events, err
	}
	for _, e := range events {
		if err := o.Evolve(e); err != nil {
			return nil, err
		}
	}
	came := *receipt
	came.ID, came.Now = r.ID, r.At
	received, err := o.ReceiveReturn(came)
	return append(events, received...), err
}

// ReceiveReturn takes a return in. A return that was received already is answered as it is.
func (a *App) ReceiveReturn(ctx context.Context, p auth.Principal, orderID string, r order.Receipt, meta eventlog.Meta) (order.Order, error) {
	r.Now = a.Clock.Now()
	return a.command(ctx, p, orderID, meta, func(o *order.Order) ([]order.Event, error) { return o.ReceiveReturn(r) })
}

// CloseReturn gives a return up.
func (a *App) CloseReturn(ctx context.Context, p auth.Principal, orderID, returnID, reason string, meta eventlog.Meta) (order.Order, error) {
	return a.command(ctx, p, orderID, meta, func(o *order.Order) ([]order.Event, error) {
		return o.CloseReturn(returnID, reason, a.Clock.Now())
	})
}

// Refund gives money back without a return; the answer is the refund as it was decided.
func (a *App) Refund(ctx context.Context, p auth.Principal, orderID string, amount int64, reason string, key idem.Key, meta eventlog.Meta) (order.Refund, error) {
	meta.Reason = reason
	o, refundID, err := a.keyed(ctx, key, a.IDs.New("cmd"), func(tx sqlstore.Tx) (order.Order, string, error) {
		o, err := a.commandIn(tx, p, orderID, meta, func(o *order.Order) ([]order.Event, error) {
			return o.RequestRefund(amount, reason, a.Clock.Now())
		})
		if err != nil {
			return o, "", err
		}
		return o, o.Refunds[len(o.Refunds)-1].ID, nil
	})
	return o.Refund(refundID), err
}

// hurry has an order's after-sale run go on now, in place of waiting for its turn or for an operator.
func (a *App) hurry(tx sqlstore.Tx, o order.Order, by saga.By) error {
	runID := aftersale.RunID(o.ID)
	run, err := saga.Look(tx, runID)
	if err == nil && run.State == saga.Parked {
		run, err = saga.Retry(tx, runID, by)
	}
	if err != nil {
		return err
	}
	tx.AfterCommit(func() { a.driver.KickFrom(context.Background(), runID) })
	return saga.Save(tx, aftersaleCourse.place(run, &o, by.At, by.At))
}

// Currency is that of an order; "" for one that does not exist.
func (a *App) Currency(ctx context.Context, orderID string) (string, error) {
	if k, ok := a.recent.get(orderID); ok {
		return k.order.Currency, nil
	}
	o, err := a.Load(ctx, orderID)
	return o.Currency, err
}

// At is the time of a command that names one itself, or the clock's; a time that has not come is refused.
func (a *App) At(field string, asked time.Time) (time.Time, error) {
	now := a.Clock.Now()
	switch {
	case asked.IsZero():
		return now, nil
	case asked.After(now.Add(clockSkewMax)):
		return now, problem.Field(field, "in_the_future", "not later than now")
	}
	return asked.UTC(), nil
}

// clockSkewMax is how far another clock may be ahead of ours.
const clockSkewMax = time.Minute
