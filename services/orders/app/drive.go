package app

import (
	"context"
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
	for {
		action := checkout.Next(&p.order)
		if action == checkout.Nothing {
			err := p.flush(ctx, time.Time{})
			return p.run, err
		}
		p.stand(action.Step())
		wait, err := p.act(ctx, action)
		if err != nil {
			return p.run, p.failed(ctx, action, err)
		}
		if wait {
			err := p.flush(ctx, p.pollAt())
			return p.run, err
		}
		if p.order.Status != p.base.Status {
			if err := p.flush(ctx, p.app.Clock.Now()); err != nil {
				return p.run, err
			}
		}
	}
}

// stand says at which step the run is; a new step begins with its first attempt.
func (p *passage) stand(step string) {
	if p.run.Step != step {
		p.run = p.run.To(step, p.app.Clock.Now())
	}
}

func (p *passage) load(ctx context.Context) error {
	return p.app.Store.View(ctx, func(tx sqlstore.Tx) (err error) {
		if p.base, err = p.app.fold(tx, p.run.ID); err != nil {
			return err
		}
		first, err := p.app.Log.Stream(tx, p.run.ID, 0, 1)
		if err != nil || len(first) == 0 {
			return fmt.Errorf("advance run %s: its order was never placed: %w", p.run.ID, err)
		}
		p.order = p.base
		p.meta = first[0].Meta
		p.meta.Actor, p.meta.Causation = actor, fmt.Sprintf("%s/%s", p.run.Saga, p.run.ID)
		return nil
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
	token, err := p.token(ctx)
	if err != nil {
		return false, err
	}
	fact, err := p.app.Payments.Authorize(ctx, Authorization{
		OrderID: p.order.ID, RunID: p.run.ID, Attempt: payAttempt, Amount: p.order.Totals.Total,
		Currency: p.order.Currency, Provider: p.order.Provider, Token: token,
	})
	if err != nil {
		return false, err
	}
	_, unknown := fact.(order.Unknown)
	return unknown, p.hear(fact)
}

// payAttempt is the only attempt of an order: a decline rejects it, and paying again is a new order.
const payAttempt = 1

func (p *passage) token(ctx context.Context) (token string, err error) {
	err = p.app.Store.View(ctx, func(tx sqlstore.Tx) error {
		return tx.QueryRow(`SELECT token FROM payment_tokens WHERE order_id = ?`, p.order.ID).Scan(&token)
	})
	if err != nil {
		return "", fmt.Errorf("read payment token of order %s: %w", p.order.ID, err)
	}
	return token, nil
}

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
func (p *passage) decision(o *order.Order) (all []order.Event, err error) {
	now := p.app.Clock.Now()
	next := *o
	for _, fact := range p.facts {
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
		o, err := p.app.decide(tx, p.base, p.meta, p.decision)
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

// failed keeps what is in hand before the driver backs off or parks the run.
func (p *passage) failed(ctx context.Context, action checkout.Action, cause error) error {
	if len(p.facts) > 0 {
		if err := p.flush(ctx, p.app.Clock.Now()); err != nil {
			return err
		}
	}
	return fmt.Errorf("run %s: %s: %w", p.run.ID, action, cause)
}

// place is where a run stands by its order.
func place(run saga.Run, o *order.Order, next, now time.Time) saga.Run {
	switch {
	case o.Status == order.Pending:
		run.State, run.NextAt = saga.Running, next
	case len(o.Undo) > 0:
		run.State, run.NextAt = saga.Compensating, next
	default:
		return run.End(now)
	}
	return run
}

// pollAt is when to look again at an unknown payment: soon at first, then less often, and at the deadline.
func (p *passage) pollAt() time.Time {
	now := p.app.Clock.Now()
	at := now.Add(checkout.PollAfter(now.Sub(p.order.PlacedAt)))
	if at.After(p.order.Deadline) {
		return p.order.Deadline
	}
	return at
}
