package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/saga"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/services/orders/checkout"
	"github.com/seed-21071466/souk/services/orders/order"
)

// actor is who the run's own events name.
const actor = "service:orders"

// passage is one run on its way: what was heard since the last commit is kept in
// hand and becomes durable with the decision that it leads to. A crash before that
// costs nothing: each step answers the same when it is asked again.
type passage struct {
	app   *App
	run   saga.Run
	meta  eventlog.Meta
	token string        // of the means of payment, while the order is undecided
	order order.Order   // as it stands, with the facts in hand
	base  order.Order   // as it stands in the log
	facts []order.Event // in hand
}

// Advance takes a run as far as it can go now. The saga driver sees to it that only
// one driver does so at a time, and calls again at the run's NextAt or after an error.
func (a *App) Advance(ctx context.Context, run saga.Run) (saga.Run, error) {
	p := passage{app: a, run: run}
	if err := p.load(ctx); err != nil {
		return run, err
	}
	for p.run.State.Active() {
		action := checkout.Next(&p.order)
		if action == checkout.Nothing {
			err := p.flush(ctx, a.Clock.Now())
			return p.run, err
		}
		p.run = place(p.run, &p.order, p.run.NextAt, a.Clock.Now())
		wait, err := p.act(ctx, action)
		switch {
		case err != nil:
			err = p.failed(ctx, action, err)
			return p.run, err
		case wait:
			err = p.flush(ctx, p.pollAt())
			return p.run, err
		case p.order.Status != p.base.Status:
			if err := p.flush(ctx, a.Clock.Now()); err != nil {
				return p.run, err
			}
		}
	}
	return p.run, nil
}

// load reads the order, unless it was placed by this process a moment ago. An order that
// has moved on since then costs nothing but a second look, when the facts are flushed.
func (p *passage) load(ctx context.Context) error {
	if h, ok := p.app.hot.take(p.run.ID); ok {
		p.base, p.order, p.meta, p.token = h.order, h.order, h.meta, h.token
		p.meta.Actor, p.meta.Causation = actor, p.run.Saga+"/"+p.run.ID
		return nil
	}
	return p.app.Store.View(ctx, func(tx sqlstore.Tx) (err error) {
		if p.base, p.meta, err = p.app.read(tx, p.run.ID); err != nil {
			return err
		}
		if p.base.Status == order.Absent {
			return fmt.Errorf("advance run %s: its order was never placed", p.run.ID)
		}
		p.order = p.base
		p.meta.Actor, p.meta.Causation = actor, p.run.Saga+"/"+p.run.ID
		if p.order.Decided() {
			return nil
		}
		return tx.QueryRow(`SELECT token FROM payment_tokens WHERE order_id = ?`, p.order.ID).Scan(&p.token)
	})
}

// act does one step; wait says that its outcome is not known yet.
func (p *passage) act(ctx context.Context, action checkout.Action) (wait bool, err error) {
	switch action {
	case checkout.Hold:
		return false, p.hold(ctx)
	case checkout.Pay:
		return p.pay(ctx)
	case checkout.Cancel:
		return p.cancel(ctx)
	}
	return false, p.release(ctx)
}

func (p *passage) hold(ctx context.Context) error {
	if expired := p.order.Expire(p.app.Clock.Now()); expired != nil {
		return p.hear(nil)
	}
	short, err := p.app.Stock.Hold(ctx, Hold{
		OrderID: p.order.ID, RunID: p.run.ID, Attempt: p.run.Attempt, Lines: p.order.Lines, Deadline: p.order.Deadline,
	})
	switch {
	case err != nil:
		return err
	case len(short) > 0:
		return p.hear(order.StockRefused{Lines: short})
	}
	return p.hear(order.StockHeld{Attempt: p.run.Attempt})
}

// pay asks for the money; while payments does not know, the run waits, and at the
// order's deadline the order is rejected.
func (p *passage) pay(ctx context.Context) (wait bool, err error) {
	if expired := p.order.Expire(p.app.Clock.Now()); expired != nil {
		return false, p.hear(nil)
	}
	fact, err := p.app.Payments.Authorize(ctx, Authorization{
		OrderID: p.order.ID, RunID: p.run.ID, Attempt: payAttempt, Amount: p.order.Totals.Total,
		Currency: p.order.Currency, Provider: p.order.Provider, Token: p.token,
	})
	if err != nil {
		return false, err
	}
	_, unknown := fact.(order.Unknown)
	return unknown, p.hear(fact)
}

// payAttempt is the only attempt of an order: a decline rejects it, and paying again is a new order.
const payAttempt = 1

func (p *passage) cancel(ctx context.Context) (wait bool, err error) {
	outcome, done, err := p.app.Payments.Cancel(ctx, p.order.ID, p.run.ID, p.order.Rejection.Code)
	if err != nil {
		return false, err
	}
	if !done {
		return false, problem.Newf(problem.Unavailable, "cancel_pending", "the provider has not accepted the cancellation of order %s yet", p.order.ID)
	}
	return false, p.hear(order.Undone{Step: order.StepPay, Outcome: outcome})
}

func (p *passage) release(ctx context.Context) error {
	outcome, err := p.app.Stock.Release(ctx, p.order.ID, p.run.ID)
	if err != nil {
		return err
	}
	return p.hear(order.Undone{Step: order.StepHold, Outcome: outcome})
}

// hear takes a fact in hand; nil only looks at the clock.
func (p *passage) hear(fact order.Event) error {
	if fact != nil {
		p.facts = append(p.facts, fact)
	}
	p.order = p.base
	events, err := p.decision(&p.order)
	if err != nil {
		return err
	}
	for _, e := range events {
		if err := p.order.Evolve(e); err != nil {
			return err
		}
	}
	return nil
}

// decision hears all facts in hand, on the order as the log has it, then looks at the clock.
// When the log has moved on meanwhile, what was undone may have been done again since:
// such a fact is dropped, and the room is asked once more.
func (p *passage) decision(o *order.Order) (all []order.Event, err error) {
	now := p.app.Clock.Now()
	next := *o
	for _, fact := range p.facts {
		if _, undone := fact.(order.Undone); undone && o.Version != p.base.Version {
			continue
		}
		events, err := next.Hear(fact, now)
		if err != nil {
			return nil, err
		}
		for _, e := range events {
			if err := next.Evolve(e); err != nil {
				return nil, err
			}
		}
		all = append(all, events...)
	}
	return append(all, next.Expire(now)...), nil
}

// flush makes what is in hand durable, with the run's new place, in one transaction.
func (p *passage) flush(ctx context.Context, next time.Time) error {
	return p.app.Store.Update(ctx, func(tx sqlstore.Tx) error {
		o, err := p.app.decideSince(tx, p.base, p.meta, p.decision)
		if err != nil {
			return err
		}
		run := place(p.run, &o, next, p.app.Clock.Now())
		if err := saga.Save(tx, run); err != nil {
			return err
		}
		tx.AfterCommit(func() { p.run, p.base, p.order, p.facts = run, o, o, nil })
		return nil
	})
}

// failed keeps what is in hand, also when the step has used up its time, and leaves it
// to the driver to back off or to park the run. An order that is not decided yet is never
// parked: a room that is away for long costs it time, until its deadline decides it.
func (p *passage) failed(ctx context.Context, action checkout.Action, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	if p.order.Status == order.Pending && p.run.Attempt >= checkout.StepAttempts {
		p.app.Logger.WarnContext(ctx, "step failed; the order waits for its deadline", "run", p.run.ID, "step", p.run.Step, "error", cause)
		p.run.LastError = cause.Error()
		return p.flush(ctx, p.beforeDeadline(checkout.BackoffMax))
	}
	cause = fmt.Errorf("run %s: %s: %w", p.run.ID, action, cause)
	if len(p.facts) == 0 {
		return cause
	}
	return errors.Join(cause, p.flush(ctx, p.app.Clock.Now()))
}

// flushTimeout bounds the keeping of what is in hand when the step's own time is over.
const flushTimeout = 5 * time.Second

// place is where a run stands by its order; another step, or the way back, begins with its first attempt.
func place(run saga.Run, o *order.Order, next, now time.Time) saga.Run {
	action := checkout.Next(o)
	if action == checkout.Nothing {
		return run.End(now)
	}
	if run.Step != action.Step() || run.State != action.Direction() {
		run = run.To(action.Step(), now)
	}
	run.State, run.NextAt, run.Resume, run.EndedAt = action.Direction(), next, "", time.Time{}
	return run
}

// pollAt is when to look again at an unknown payment: soon at first, then less often.
func (p *passage) pollAt() time.Time {
	return p.beforeDeadline(checkout.PollAfter(p.app.Clock.Now().Sub(p.order.PlacedAt)))
}

// beforeDeadline is after a wait, or at the order's deadline if that comes first.
func (p *passage) beforeDeadline(wait time.Duration) time.Time {
	at := p.app.Clock.Now().Add(wait)
	if at.After(p.order.Deadline) {
		return p.order.Deadline
	}
	return at
}
